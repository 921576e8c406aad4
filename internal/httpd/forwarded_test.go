package httpd

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func nets(all ...string) (out []netip.Prefix) {
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestForwarded(t *testing.T) {
	proxies := nets("10.0.0.0/24", "fd00::/8")
	for name, c := range map[string]struct {
		peer    string
		headers []string
		trusted []netip.Prefix
		want    string
	}{
		"nobody is trusted":             {"192.0.2.9:5", []string{"198.51.100.1"}, nil, "192.0.2.9:5"},
		"not by a proxy":                {"192.0.2.9:5", []string{"198.51.100.1"}, proxies, "192.0.2.9:5"},
		"by a proxy":                    {"10.0.0.1:5", []string{"198.51.100.1"}, proxies, "198.51.100.1:0"},
		"by a proxy that tells nothing": {"10.0.0.1:5", nil, proxies, "10.0.0.1:5"},
		"by two":                        {"10.0.0.1:5", []string{"198.51.100.1, 10.0.0.2"}, proxies, "198.51.100.1:0"},
		"by two, in two headers":        {"10.0.0.1:5", []string{"198.51.100.1", "10.0.0.2"}, proxies, "198.51.100.1:0"},
		"what the caller wrote":         {"10.0.0.1:5", []string{"203.0.113.7, 10.0.0.9, 198.51.100.1"}, proxies, "198.51.100.1:0"},
		"no address":                    {"10.0.0.1:5", []string{"198.51.100.1, unknown"}, proxies, "10.0.0.1:5"},
		"no address before":             {"10.0.0.1:5", []string{"x, 10.0.0.2"}, proxies, "10.0.0.2:0"},
		"with a port":                   {"10.0.0.1:5", []string{"198.51.100.1:4711"}, proxies, "198.51.100.1:0"},
		"IPv6":                          {"[fd00::1]:5", []string{"[2001:db8::1]:4711"}, proxies, "[2001:db8::1]:0"},
		"IPv6 in brackets":              {"[::ffff:10.0.0.1]:5", []string{"[2001:db8::1]"}, proxies, "[2001:db8::1]:0"},
		"only proxies":                  {"10.0.0.1:5", []string{"10.0.0.3"}, proxies, "10.0.0.3:0"},
		"a socket":                      {"@", []string{"198.51.100.1"}, proxies, "@"},
		"very many":                     {"10.0.0.1:5", []string{"198.51.100.1," + strings.Repeat("10.0.0.2,", 100) + "10.0.0.2"}, proxies, "10.0.0.2:0"},
	} {
		got := ""
		h := forwarded(c.trusted, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }))
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.headers
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("%s: %s instead of %s", name, got, c.want)
		}
	}
}

// FuzzForwarded: nobody but a trusted proxy says who a request is from, and what
// it says is an address.
func FuzzForwarded(f *testing.F) {
	f.Add("10.0.0.1:5", "198.51.100.1, [fd00::2]:7")
	f.Add("192.0.2.1:5", "10.0.0.1")
	trusted := nets("10.0.0.0/24", "fd00::/8")
	f.Fuzz(func(t *testing.T, peer, header string) {
		from, ok := parseForwarded(peer, []string{header}, trusted)
		at, err := netip.ParseAddrPort(peer)
		if ok && (err != nil || !from.IsValid() || from.Zone() != "") {
			t.Fatalf("%q by %q: %v", header, peer, from)
		}
		if ok && !nets("10.0.0.0/24")[0].Contains(at.Addr().Unmap()) && !nets("fd00::/8")[0].Contains(at.Addr().Unmap().WithZone("")) {
			t.Errorf("%q counts, though nobody trusts %q", header, peer)
		}
	})
}
