package link

import (
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// TestServed tells of each license whether anybody can have it, by product.
func TestServed(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	five := uint64(5)
	of := func(code license.ProductCode, o license.Options) license.Held {
		o.Quantity = 3
		o.FeatureMap = 5
		return license.Held{License: license.License{Product: license.Product{Firm: 6000010, Code: code}, Name: "Chart", Options: o}}
	}
	held := []license.Held{
		of(7, license.Options{TMRID: 7}),
		of(6, license.Options{Units: &five}),
		of(5, license.Options{UsagePeriod: time.Hour}),
		of(4, license.Options{Activation: at.Add(time.Second)}),
		of(3, license.Options{Expiration: at}),
		of(2, license.Options{Expiration: at.Add(time.Second), MinimumVersion: "2.0"}),
		of(1, license.Options{}),
	}
	use := func(p license.Product) license.Use {
		return license.Use{First: at.Add(-2 * time.Hour), Units: uint64(p.Code) - 1}
	}
	for name, c := range map[string]struct {
		moment license.Moment
		want   []license.Code
	}{
		"a good clock": {license.Moment{At: at}, []license.Code{"", "", license.CodeExpired, license.CodeNotYetValid, license.CodeUsageOver, license.CodeNoUnits, license.CodeTMROnly}},
		"set back": {license.Moment{At: at, SetBack: true}, []license.Code{"", license.CodeClockSetBack, license.CodeClockSetBack, license.CodeClockSetBack,
			license.CodeClockSetBack, license.CodeNoUnits, license.CodeTMROnly}},
	} {
		all := served(slices.Clone(held), use, c.moment)
		if len(all) != len(c.want) {
			t.Fatalf("%s: %+v", name, all)
		}
		for i, s := range all {
			if want := (Served{license.Product{Firm: 6000010, Code: license.ProductCode(i + 1)}, "Chart", 3, c.want[i], 5}); s != want {
				t.Errorf("%s: %+v, want %+v", name, s, want)
			}
		}
	}
}
