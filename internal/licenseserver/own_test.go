package licenseserver

import (
	"net"
	"net/netip"
	"testing"
)

func TestOwnAddresses(t *testing.T) {
	all, err := net.InterfaceAddrs()
	if err != nil || len(all) == 0 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, a := range all {
		own := netip.MustParsePrefix(a.String()).Addr()
		if !ownAddress(own) || own.Is6() && own.IsLinkLocalUnicast() && !ownAddress(own.WithZone("eth9")) {
			t.Errorf("%s is not ours", own)
		}
	}
	for _, s := range []string{"192.0.2.1", "2001:db8::1", "0.0.0.0"} {
		if ownAddress(netip.MustParseAddr(s)) {
			t.Errorf("%s is ours", s)
		}
	}
	if ownAddress(netip.Addr{}) {
		t.Error("no address is ours")
	}
}
