package outbound

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/license"
)

// Networks are those of addresses that somebody has named: of callees besides
// the public internet, to which plain HTTP is allowed, too, or of proxies.
type Networks []netip.Prefix

// ParseNetworks reads networks as in "10.20.0.0/16,192.168.7.9,fd00::/8"; an
// address is a network of one. Error: CodeInvalidInput.
func ParseNetworks(text string) (Networks, error) {
	var all Networks
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		p, err := netip.ParsePrefix(part)
		if a, one := netip.ParseAddr(part); one == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Addr().Is4In6() || strings.Contains(part, "%") {
			return nil, license.Errorf(license.CodeInvalidInput, "write it as in 10.20.0.0/16,fd00::/8", "%q is no network", license.Clip(part, 64))
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// Allow says whether an address may be called: one that is allowed by name, or
// with TLS one of the public internet.
func (n Networks) Allow(a netip.Addr, secure bool) bool {
	a = a.WithZone("").Unmap()
	if slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return true
	}
	return secure && Public(a)
}
