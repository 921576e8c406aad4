package webhook

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/outbound"
)

// Networks are those that may be called besides the public internet. In them
// plain HTTP is allowed, too.
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

// allow says whether an address may be called: one that is allowed by name, or
// with TLS one of the public internet.
func (n Networks) allow(a netip.Addr, secure bool) bool {
	a = a.WithZone("").Unmap()
	if slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return true
	}
	return secure && public(a)
}

// public says whether an address is one of the public internet. What isn't known
// to be is not.
func public(a netip.Addr) bool {
	if v4, ok := translated(a); ok {
		a = v4
	}
	return outbound.Public(a) && a != netip.MustParseAddr(azureHost)
}

// azureHost is a public address that shows a machine of Azure its own secrets.
const azureHost = "168.63.129.16"

// translated is the IPv4 address that a NAT64 gateway makes of an IPv6 one.
func translated(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() || !netip.MustParsePrefix("64:ff9b::/96").Contains(a) {
		return a, false
	}
	b := a.As16()
	return netip.AddrFrom4([4]byte(b[12:])), true
}
