package roles

import (
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/outbound"
)

// trustedProxies reads the networks whose word counts. Whoever trusts everybody
// lets everybody choose his own address.
func trustedProxies(text string) (outbound.Networks, error) {
	all, err := outbound.ParseNetworks(text)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.Bits() == 0 {
			return nil, license.Errorf(license.CodeInvalidInput, "name the proxies' own addresses", "--trusted-proxies has a network of all addresses")
		}
	}
	return all, nil
}
