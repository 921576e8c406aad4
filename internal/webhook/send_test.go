package webhook_test

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/outbound"
	"github.com/quorate/quorate/internal/webhook"
)

func networks(t *testing.T, text string) outbound.Networks {
	t.Helper()
	n, err := outbound.ParseNetworks(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// local is a sender for receivers on this machine.
func local(t *testing.T, roots *x509.CertPool) *webhook.Sender {
	return webhook.New(webhook.Config{Allow: networks(t, "127.0.0.1"), Roots: roots})
}

func TestSend(t *testing.T) {
	secret := webhook.NewSecret()
	theirs, err := standardwebhooks.NewWebhook(secret.Text())
	if err != nil {
		t.Fatal(err)
	}
	var answer http.HandlerFunc
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := theirs.Verify(body, r.Header); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v: %v", r.Method, r.Header, err)
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s := local(t, roots)
	say := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = io.WriteString(w, text) }
	}
	for _, c := range []struct {
		what     string
		answer   http.HandlerFunc
		status   int
		response string
		ok, gone bool
	}{
		{"taken", say(200, "thanks"), 200, "thanks", true, false},
		{"taken without a word", say(204, ""), 204, "", true, false},
		{"an error", say(500, "oops \x00\xff"), 500, "oops \uFFFD", false, false},
		{"gone", say(410, ""), 410, "", false, true},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}, 307, "", false, false},
		{"a long answer", say(200, strings.Repeat("é", 1<<20)), 200, strings.Repeat("é", 1000), true, false},
		{"an answer that doesn't end", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 5000))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, 200, strings.Repeat("x", 2000), true, false},
	} {
		answer = c.answer
		r := s.Send(t.Context(), server.URL+"/hook?key=hidden", "evt_1", []byte(`{"type":"x"}`), secret)
		if r.Status != c.status || r.Response != c.response || r.OK() != c.ok || r.Gone() != c.gone || r.Error != "" || r.At.IsZero() || r.Took <= 0 {
			t.Errorf("%s: %d %.20q (%d bytes) %q", c.what, r.Status, r.Response, len(r.Response), r.Error)
		}
	}
	// What a receiver would go on with that switches protocols is not waited for.
	answer = func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // until the sender closes it
		_ = conn.Close()
	}
	if r := s.Send(t.Context(), server.URL, "evt_1", []byte("{}"), secret); r.Status != 101 || r.OK() || r.Response != "" || r.Error != "" {
		t.Errorf("other protocols: %+v", r)
	}
	if r := s.Send(t.Context(), server.URL, "evt_1", make([]byte, webhook.MostBody+1), secret); r.OK() || r.Status != 0 {
		t.Errorf("a long body: %+v", r)
	}
	// One that takes too long; here its caller is less patient.
	answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r := s.Send(ctx, server.URL, "evt_1", nil, secret); r.OK() || r.Error != "no answer within 15 seconds" {
		t.Errorf("a silent server: %+v", r)
	}
	server.Close()
	if r := s.Send(t.Context(), server.URL+"/hook?key=hidden", "evt_1", nil, secret); r.OK() || r.Error == "" || strings.Contains(r.Error, "hidden") {
		t.Errorf("no server: %+v", r)
	}
	// A server whose certificate nobody vouches for.
	other := httptest.NewTLSServer(say(200, ""))
	t.Cleanup(other.Close)
	if r := local(t, x509.NewCertPool()).Send(t.Context(), other.URL, "evt_1", nil, secret); r.OK() || !strings.Contains(r.Error, "certificate") {
		t.Errorf("an unknown certificate: %+v", r)
	}
}

// TestAddresses: only public addresses are called, by https, and those that the
// operator allows.
func TestAddresses(t *testing.T) {
	public, some := webhook.New(webhook.Config{}), webhook.New(webhook.Config{Allow: networks(t, "10.20.0.0/16, fd00::/8,192.168.7.9,169.254.169.254")})
	for host, want := range map[string][2]bool{ // without and with what is allowed
		"93.184.216.34": {true, true}, "[2606:4700::1111]": {true, true}, "[::ffff:93.184.216.34]": {true, true},
		"[64:ff9b::5db8:d822]": {true, true}, // NAT64 of 93.184.216.34
		"127.0.0.1":            {false, false}, "127.1.2.3": {false, false}, "[::1]": {false, false}, "0.0.0.0": {false, false}, "[::]": {false, false},
		"10.20.3.4": {false, true}, "10.21.0.1": {false, false}, "172.16.0.1": {false, false}, "192.168.7.9": {false, true}, "192.168.7.10": {false, false},
		"100.64.0.1": {false, false}, "100.100.100.200": {false, false}, // CGNAT, and a cloud's metadata there
		"169.254.1.1": {false, false}, "169.254.169.254": {false, true}, "168.63.129.16": {false, false}, "192.0.0.192": {false, false},
		"224.0.0.1": {false, false}, "239.1.1.1": {false, false}, "255.255.255.255": {false, false}, "240.0.0.1": {false, false}, "198.18.0.1": {false, false},
		"[fe80::1]": {false, false}, "[fe80::1%25eth0]": {false, false}, "[fd00:ec2::254]": {false, true}, "[fc00::1]": {false, false}, "[ff02::1]": {false, false},
		"[::ffff:127.0.0.1]": {false, false}, "[::ffff:10.20.0.1]": {false, true}, "[::ffff:169.254.169.253]": {false, false},
		"[64:ff9b::7f00:1]": {false, false}, "[64:ff9b::a9fe:a9fe]": {false, false}, "[64:ff9b:1::1]": {false, false},
		"[::ffff:0:7f00:1]": {false, false}, "[4000::1]": {false, false}, "127.0.0.1.": {false, false}, "169.254.169.254.": {false, true},
		"[2002:7f00:1::]": {false, false}, "[2001::1]": {false, false}, "[2001:db8::1]": {false, false}, "[::7f00:1]": {false, false},
	} {
		for i, s := range []*webhook.Sender{public, some} {
			if err := s.Check("https://" + host + ":8443/hook"); (err == nil) != want[i] {
				t.Errorf("%s, allowed %v: %v", host, i == 1, err)
			}
		}
		if plain := some.Check("http://" + host + "/hook"); (plain == nil) != (want[1] && !want[0]) {
			t.Errorf("%s without TLS: %v", host, plain)
		}
	}
	for _, bad := range []string{
		"", "hook", "/hook", "https://", "https:///x", "http://example.com/", "ftp://example.com/", "https://user:word@example.com/", "https://example.com/#a",
		"https://example.com/a b", "https:example.com", "file:///etc/passwd", "https://example.com/" + strings.Repeat("x", 2048), "https://exa\nmple.com/",
		"https://example.com:0/", "https://example.com:65536/", "https://example.com:99999/", "https://.../", "https://" + strings.Repeat("a", 254) + "/",
	} {
		if err := public.Check(bad); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%.60q: %v", bad, err)
		}
	}
	for _, good := range []string{"https://example.com:8443/hook?key=x", "https://example.com.:/hook", "https://example.com:65535", "https://[2606:4700::1111]:1/"} {
		if err := public.Check(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

// names is a DNS server that answers each question with the next address.
func names(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	var asked atomic.Int32
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(b[:n]) != nil || len(q.Questions) != 1 {
				continue
			}
			a := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RecursionAvailable: true}, Questions: q.Questions}
			if q.Questions[0].Type == dnsmessage.TypeA {
				i := min(int(asked.Add(1))-1, len(addresses)-1)
				a.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
					Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(addresses[i]).To4())},
				}}
			}
			if out, err := a.Pack(); err == nil {
				_, _ = c.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

// TestRebinding: a name that leads to the public internet when it is looked up
// first, and to this machine later, never leads to this machine.
func TestRebinding(t *testing.T) {
	var called atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	hook := "https://rebind.example:" + port + "/hook"
	for _, first := range []string{"127.0.0.1", "192.0.2.1"} {
		resolver := names(t, first, "127.0.0.1")
		s := webhook.New(webhook.Config{Resolver: resolver})
		if err := s.Check(hook); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			r := s.Send(t.Context(), hook, "evt_1", []byte("{}"), webhook.NewSecret())
			if r.OK() || !strings.Contains(r.Error, "webhooks may not call this address") {
				t.Errorf("%+v", r)
			}
		}
	}
	if n := called.Load(); n != 0 {
		t.Errorf("it was called %d times", n)
	}
	// The same name is called where its address is allowed.
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s := webhook.New(webhook.Config{Resolver: names(t, "127.0.0.1"), Allow: networks(t, "127.0.0.0/8"), Roots: roots})
	if r := s.Send(t.Context(), strings.Replace(hook, "rebind.example", "hook.example.com", 1), "evt_1", nil, webhook.NewSecret()); r.Status != 200 {
		t.Errorf("%+v", r)
	}
}

// TestProxies: those of the environment are not asked; one that is given is.
func TestProxies(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	allow := networks(t, "127.0.0.1,192.0.2.0/24")
	if r := webhook.New(webhook.Config{Allow: allow}).Send(t.Context(), server.URL, "evt_1", nil, webhook.NewSecret()); r.Status != 200 || asked.Load() != 0 {
		t.Errorf("%+v, the proxy was asked %d times", r, asked.Load())
	}
	to, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	if r := webhook.New(webhook.Config{Allow: allow, Proxy: to}).Send(t.Context(), "http://192.0.2.1/", "evt_1", nil, webhook.NewSecret()); r.Status != 204 || asked.Load() != 1 {
		t.Errorf("%+v, the proxy was asked %d times", r, asked.Load())
	}
}

func TestPauses(t *testing.T) {
	want := []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour}
	for i, p := range want {
		different := false
		first, _ := webhook.Pause(i + 1)
		for range 20 {
			got, more := webhook.Pause(i + 1)
			if !more || got < p*9/10 || got > p*11/10 {
				t.Errorf("after attempt %d: %s, %v", i+1, got, more)
			}
			different = different || got != first
		}
		if !different {
			t.Errorf("after attempt %d everybody comes at once", i+1)
		}
	}
	for _, n := range []int{0, -1, 10, 100} {
		if _, more := webhook.Pause(n); more {
			t.Errorf("attempt %d goes on", n)
		}
	}
	if webhook.MostAttempts() != 10 {
		t.Error(webhook.MostAttempts())
	}
}
