package outbound_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/outbound"
)

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "93.184.216.34": true, "2606:4700::1111": true, "::ffff:1.1.1.1": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.0.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false, "198.18.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "ff02::1": false, "::ffff:10.0.0.1": false,
		"64:ff9b::a00:1": false, "64:ff9b::101:101": true, "64:ff9b::a9fe:a9fe": false, "168.63.129.16": false, "64:ff9b::a83f:8110": false, "2002:a00:1::1": false, "::10.0.0.1": false, "2001::1": false, "2001:db8::1": false,
		"::ffff:0:7f00:1": false, "::ffff:0:1.1.1.1": false, "4000::1": false, "1fff::1": false, "3fff:1000::1": true, "3fff::1": false, "2620:fe::fe": true,
	} {
		if outbound.Public(netip.MustParseAddr(address)) != want {
			t.Errorf("%s: public is %v", address, !want)
		}
	}
}

func TestClient(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/switch":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn) // until the client closes it
			_ = conn.Close()
		case "/long":
			fmt.Fprint(w, strings.Repeat("x", 2<<20))
		}
	}))
	t.Cleanup(server.Close)
	port := server.Listener.Addr().String()[strings.LastIndex(server.Listener.Addr().String(), ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		_, err := outbound.Client(false).Get("http://" + host + port) //nolint:bodyclose,noctx // it fails
		if err = outbound.Reach(t.Context(), err, "the server"); license.CodeOf(err) != license.CodeForbidden {
			t.Errorf("%s: %v", host, err)
		}
	}
	if asked != 0 {
		t.Errorf("the private network was asked %d times", asked)
	}
	res, err := outbound.Client(true).Get(server.URL + "/away")
	if err != nil || res.StatusCode != http.StatusFound || asked != 1 {
		t.Errorf("a redirect: %v, %v, %d requests", res, err, asked)
	}
	if _, err := outbound.Client(true).Get(server.URL + "/switch"); err == nil { //nolint:bodyclose,noctx // it fails
		t.Error("another protocol was taken up")
	}
	if res, err = outbound.Client(true).Get(server.URL + "/long"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); license.CodeOf(err) != license.CodeTooLarge || len(b) != 1<<20 {
		t.Errorf("%d bytes of a long answer, %v", len(b), err)
	}
}

func TestCheckURL(t *testing.T) {
	for text, want := range map[string][2]bool{ // allowed without and with private networks
		"https://id.example.com":                 {true, true},
		"https://id.example.com/a/b":             {true, true},
		"http://127.0.0.1:9000":                  {false, true},
		"http://localhost:9000/x":                {false, true},
		"http://10.0.0.1":                        {false, false},
		"http://id.example.com":                  {false, false},
		"https://user@id.example.com":            {false, false},
		"https://id.example.com/?a=b":            {false, false},
		"https://id.example.com/#a":              {false, false},
		"ftp://id.example.com":                   {false, false},
		"https:id.example.com":                   {false, false},
		"/local":                                 {false, false},
		"":                                       {false, false},
		"https://x/" + strings.Repeat("a", 2000): {false, false},
	} {
		for i, private := range []bool{false, true} {
			if err := outbound.CheckURL(text, private); (err == nil) != want[i] {
				t.Errorf("%q, private %v: %v", text, private, err)
			}
		}
	}
}

func TestNetworks(t *testing.T) {
	n, err := outbound.ParseNetworks(" 10.20.0.0/16, 192.168.7.9,fd00::/8,")
	if err != nil || len(n) != 3 {
		t.Fatal(n, err)
	}
	for address, want := range map[string][2]bool{ // with TLS, and without
		"1.1.1.1": {true, false}, "10.20.3.4": {true, true}, "::ffff:10.20.3.4": {true, true}, "192.168.7.9": {true, true},
		"192.168.7.8": {false, false}, "10.21.0.1": {false, false}, "fd00::1%eth0": {true, true}, "127.0.0.1": {false, false},
	} {
		for i, secure := range []bool{true, false} {
			if got := n.Allow(netip.MustParseAddr(address), secure); got != want[i] {
				t.Errorf("%s, TLS %v: %v", address, secure, got)
			}
		}
	}
	for _, bad := range []string{"10.0.0.0/33", "x", "::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.0/8;11.0.0.0/8"} {
		if _, err := outbound.ParseNetworks(bad); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzNetworks reads anything as networks.
func FuzzNetworks(f *testing.F) {
	f.Add("10.0.0.0/8,fd00::1")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := outbound.ParseNetworks(text); err != nil && license.CodeOf(err) != license.CodeInvalidInput {
			t.Error(err)
		}
	})
}
