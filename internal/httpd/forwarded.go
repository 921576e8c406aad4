package httpd

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwarded has requests that come by a trusted proxy be those of whom the proxy
// says they are from. What others say of themselves doesn't count.
func forwarded(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, ok := parseForwarded(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), trusted); ok {
			r = r.WithContext(r.Context()) // a copy: who serves may look at its own
			r.RemoteAddr = net.JoinHostPort(from.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}

// mostHops bounds how many proxies a request may come by.
const mostHops = 20

// parseForwarded gives the last address of a chain that is none of a trusted
// proxy: each proxy adds the address that it was called from, and what is before
// the first that nobody trusts anybody may have written. false: the connection's
// own counts.
func parseForwarded(peer string, headers []string, trusted []netip.Prefix) (from netip.Addr, ok bool) {
	at, err := netip.ParseAddrPort(peer)
	if err != nil {
		return from, false
	}
	from = unzoned(at.Addr())
	chain := strings.Join(headers, ",")
	for hops := 0; chain != "" && hops < mostHops && slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(from) }); hops++ {
		last := chain[strings.LastIndexByte(chain, ',')+1:]
		chain = strings.TrimSuffix(chain[:len(chain)-len(last)], ",")
		next, err := parseHop(strings.TrimSpace(last))
		if err != nil {
			break
		}
		from, ok = next, true
	}
	return from, ok
}

// parseHop reads an address as proxies write it, some with a port.
func parseHop(text string) (netip.Addr, error) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return unzoned(at.Addr()), nil
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return unzoned(a), err
}

func unzoned(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
