package licenseserver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
)

func product() license.Product { return license.Product{Firm: 6000010, Code: 14} }

func held(code license.ProductCode, o license.Options) license.Held {
	return license.Held{License: license.License{
		Product: license.Product{Firm: 6000010, Code: code}, Name: "Chart Processing", Options: o,
	}}
}

type fakeContainer []license.Held

func (fakeContainer) Serial() license.Serial                          { return license.Serial{Mask: 130, Number: 5} }
func (c fakeContainer) Licenses() (uint64, []license.Held)            { return 1, c }
func (fakeContainer) OpenKey(license.Product, []byte) ([]byte, error) { return []byte("opened"), nil }

func TestContainerSource(t *testing.T) {
	past := time.Now().Add(-time.Hour)
	s := NewContainerSource(fakeContainer{
		held(20, license.Options{Quantity: 5}),
		held(14, license.Options{Quantity: 20, TMRID: 7}),
		held(15, license.Options{Quantity: 5, Expiration: past}),
	})
	for _, tt := range []struct {
		product license.ProductCode
		want    license.Code
	}{
		{20, ""}, {14, license.CodeTMROnly}, {15, license.CodeExpired}, {99, license.CodeNoLicense},
	} {
		p := license.Product{Firm: 6000010, Code: tt.product}
		l, err := s.Find(p)
		if license.CodeOf(err) != tt.want {
			t.Errorf("Find(%s): %v, want %q", p, err, tt.want)
		}
		if err == nil && l.Options.Quantity != 5 {
			t.Errorf("Find(%s) = %+v", p, l)
		}
		key, err := s.OpenKey(t.Context(), p, []byte("x"), nil)
		if license.CodeOf(err) != tt.want || (err == nil) != (string(key) == "opened") {
			t.Errorf("OpenKey(%s) = %q, %v, want %q", p, key, err, tt.want)
		}
	}
	var got []license.ProductCode
	for _, o := range s.Licenses() {
		got = append(got, o.Product.Code)
		if (o.Refusal == nil) != (o.Product.Code == 20) {
			t.Errorf("offer %s: refusal %v", o.Product, o.Refusal)
		}
	}
	if len(got) != 3 || got[0] != 14 || got[1] != 15 || got[2] != 20 {
		t.Errorf("offers in order %v", got)
	}
}

func TestContainerSourceExpiresAtTheInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewContainerSource(fakeContainer{held(14, license.Options{Quantity: 1, Expiration: time.Now().Add(time.Minute)})})
		time.Sleep(time.Minute - time.Nanosecond)
		if _, err := s.Find(product()); err != nil {
			t.Errorf("a nanosecond before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := s.Find(product()); license.CodeOf(err) != license.CodeExpired {
			t.Errorf("at the instant: %v", err)
		}
	})
}

type fakeGroup struct{ view license.View }

func (g *fakeGroup) View() license.View { return g.view }
func (g *fakeGroup) OpenKey(context.Context, license.Product, []byte, []byte) ([]byte, error) {
	return []byte("opened"), nil
}

func TestGroupSource(t *testing.T) {
	seven := license.Options{Quantity: 20, TMRID: 7}
	other := license.Options{Quantity: 21, TMRID: 7}
	third := license.Options{Quantity: 22, TMRID: 7}
	old := license.Options{Quantity: 20, TMRID: 7, Expiration: time.Now().Add(-time.Hour)}
	has := func(o license.Options) license.Observation {
		return license.Observation{Presence: license.Present, Licenses: []license.Held{held(14, o)}}
	}
	empty, absent := license.Observation{Presence: license.Present}, license.Observation{}
	for name, tt := range map[string]struct {
		obs  [license.Backends]license.Observation
		want license.Code
	}{
		"three":                 {[3]license.Observation{has(seven), has(seven), has(seven)}, ""},
		"two":                   {[3]license.Observation{has(seven), absent, has(seven)}, ""},
		"one alone":             {[3]license.Observation{has(seven), absent, absent}, license.CodeNoMajority},
		"one of three has it":   {[3]license.Observation{has(seven), empty, empty}, license.CodeNoMajority},
		"nobody there":          {[3]license.Observation{absent, absent, absent}, license.CodeNoMajority},
		"one there without it":  {[3]license.Observation{empty, absent, absent}, license.CodeNoMajority},
		"two there without it":  {[3]license.Observation{empty, empty, absent}, license.CodeNoLicense},
		"three without it":      {[3]license.Observation{empty, empty, empty}, license.CodeNoLicense},
		"three different terms": {[3]license.Observation{has(seven), has(other), has(third)}, license.CodeNoMajority},
		"expired":               {[3]license.Observation{has(old), has(old), has(old)}, license.CodeExpired},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewGroupSource(license.Serial{Mask: 131, Number: 1}, &fakeGroup{license.Merge(license.View{}, tt.obs)})
			l, err := s.Find(product())
			if license.CodeOf(err) != tt.want {
				t.Errorf("Find: %v, want %q", err, tt.want)
			}
			if err == nil && !l.Options.Equal(seven) {
				t.Errorf("Find = %+v", l)
			}
			if _, err := s.OpenKey(t.Context(), product(), nil, nil); license.CodeOf(err) != tt.want {
				t.Errorf("OpenKey: %v, want %q", err, tt.want)
			}
			for _, o := range s.Licenses() {
				if license.CodeOf(o.Refusal) != tt.want || o.Status == "" {
					t.Errorf("offer: refusal %v, status %q", o.Refusal, o.Status)
				}
			}
		})
	}
}
