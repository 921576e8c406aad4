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
		"64:ff9b::a00:1": false, "2002:a00:1::1": false, "::10.0.0.1": false, "2001::1": false, "2001:db8::1": false,
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
