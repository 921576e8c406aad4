package license_test

import (
	"testing"
	"time"

	. "github.com/quorate/quorate/internal/license"
)

// The view is its own, also in what options point to, and every option makes it
// another one.
func TestViewOfAllOptions(t *testing.T) {
	o := Options{
		Quantity: 20, TMRID: 7, Units: new(uint64(5)), Issue: 2, Text: "text",
		AccessList: []AccessRule{{Kind: AccessUser, Value: "anna"}}, Protected: DataName{1}, Secret: DataName{2},
	}
	all := func(o Options) (obs [Backends]Observation) {
		for i := range obs {
			own := o.Clone()
			obs[i] = Observation{Presence: Present, Licenses: []Held{{License: License{Product: Product{6000010, 14}, Options: own}}}}
		}
		return obs
	}
	obs := all(o)
	v := Merge(View{}, obs)
	*v.Licenses[0].Options.Units = 99
	v.Licenses[0].Options.AccessList[0].Deny = true
	for i := range obs {
		if !obs[i].Licenses[0].Options.Equal(o) {
			t.Errorf("observation %d shares its options with the view", i+1)
		}
	}
	first := Merge(View{}, obs)
	if again := Merge(first, all(o)); again.Version != first.Version {
		t.Error("the same options make another view")
	}
	for name, change := range map[string]func(*Options){
		"units":       func(o *Options) { *o.Units = 6 },
		"no units":    func(o *Options) { o.Units = nil },
		"issue":       func(o *Options) { o.Issue++ },
		"access list": func(o *Options) { o.AccessList[0].Value = "bert" },
		"protected":   func(o *Options) { o.Protected[0]++ },
		"secret":      func(o *Options) { o.Secret[0]++ },
		"text":        func(o *Options) { o.Text = "" },
		"linger":      func(o *Options) { o.Linger = time.Second },
	} {
		other := o.Clone()
		change(&other)
		if v := Merge(first, all(other)); v.Version == first.Version {
			t.Errorf("%s: the change makes no other view", name)
		}
		// Two of three say what the terms are; of two none can.
		mixed := all(o)
		mixed[0] = all(other)[0]
		if v := Merge(first, mixed); !v.Licenses[0].InForce || !v.Licenses[0].Options.Equal(o) {
			t.Errorf("%s: two of three don't decide", name)
		}
		mixed[1].Presence = Absent
		if v := Merge(first, mixed); v.Licenses[0].InForce || !v.Licenses[0].Conflict {
			t.Errorf("%s: one of two decides", name)
		}
	}
}
