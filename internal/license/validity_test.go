package license

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func reasons(v Validity) (all []Code) {
	for _, r := range v.Reasons {
		all = append(all, r.Code)
	}
	return all
}

func TestStanding(t *testing.T) {
	now := date(2026, 3, 1)
	at := func(d time.Duration) Moment { return Moment{At: now.Add(d)} }
	back := Moment{At: now, SetBack: true}
	for name, tt := range map[string]struct {
		o    Options
		u    Use
		m    Moment
		want []Code
	}{
		"nothing":                         {Options{}, Use{}, at(0), nil},
		"before the activation":           {Options{Activation: now}, Use{}, at(-1), []Code{CodeNotYetValid}},
		"at the activation":               {Options{Activation: now}, Use{}, at(0), nil},
		"before the expiration":           {Options{Expiration: now}, Use{}, at(-1), nil},
		"at the expiration":               {Options{Expiration: now}, Use{}, at(0), []Code{CodeExpired}},
		"a usage period not begun":        {Options{UsagePeriod: time.Hour}, Use{}, at(0), nil},
		"within the usage period":         {Options{UsagePeriod: time.Hour}, Use{First: now}, at(time.Hour - 1), nil},
		"at its end":                      {Options{UsagePeriod: time.Hour}, Use{First: now}, at(time.Hour), []Code{CodeUsageOver}},
		"begun without a usage period":    {Options{}, Use{First: now}, at(1000 * time.Hour), nil},
		"units":                           {Options{Units: new(uint64(2))}, Use{Units: 1}, at(0), nil},
		"no units granted":                {Options{Units: new(uint64)}, Use{}, at(0), []Code{CodeNoUnits}},
		"all units taken":                 {Options{Units: new(uint64(2))}, Use{Units: 2}, at(0), []Code{CodeNoUnits}},
		"the grant was lowered":           {Options{Units: new(uint64(1))}, Use{Units: 2}, at(0), []Code{CodeNoUnits}},
		"taken, yet not counted any more": {Options{}, Use{Units: 2}, at(0), nil},
		"set back, unlimited":             {Options{Units: new(uint64(1)), Maintenance: Maintenance{Until: now}}, Use{}, back, nil},
		"set back, activated":             {Options{Activation: now}, Use{}, back, []Code{CodeClockSetBack}},
		"set back, not expired":           {Options{Expiration: now.Add(1)}, Use{}, back, []Code{CodeClockSetBack}},
		"set back, not begun":             {Options{UsagePeriod: 1}, Use{}, back, []Code{CodeClockSetBack}},
		"set back and expired":            {Options{Expiration: now}, Use{}, back, []Code{CodeClockSetBack, CodeExpired}},
		"everything at once": {
			Options{Activation: now.Add(2), Expiration: now, UsagePeriod: 1, Units: new(uint64)}, Use{First: now.Add(-2)}, back,
			[]Code{CodeClockSetBack, CodeNotYetValid, CodeExpired, CodeUsageOver, CodeNoUnits},
		},
	} {
		l := License{Product: Product{Firm: 6000010, Code: 14}, Options: tt.o}
		v := l.Standing(tt.u, tt.m)
		if got := reasons(v); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		for _, r := range v.Reasons {
			coded(t, name, r, r.Code)
			if !strings.Contains(r.Message, "6000010:14") {
				t.Errorf("%s: %q does not name the product", name, r.Message)
			}
		}
	}
}

func TestValidityTells(t *testing.T) {
	now := date(2026, 3, 1)
	o := Options{Activation: now, Expiration: now.Add(3 * time.Hour), UsagePeriod: time.Hour, Units: new(uint64(5))}
	l := License{Options: o}
	if v := l.Standing(Use{}, Moment{At: now}); !v.From.Equal(now) || !v.Until.Equal(o.Expiration) || *v.UnitsLeft != 5 || v.Err() != nil {
		t.Errorf("before its first use: %+v", v)
	}
	if v := l.Standing(Use{First: now, Units: 3}, Moment{At: now}); !v.Until.Equal(now.Add(time.Hour)) || *v.UnitsLeft != 2 {
		t.Errorf("in use: %+v", v)
	}
	if v := l.Standing(Use{First: now.Add(150 * time.Minute), Units: 9}, Moment{At: now}); !v.Until.Equal(o.Expiration) || *v.UnitsLeft != 0 {
		t.Errorf("expiring within the usage period: %+v", v)
	}
	l.Options.Expiration = time.Time{}
	if v := l.Standing(Use{}, Moment{At: now}); !v.Until.IsZero() {
		t.Errorf("a usage period that hasn't begun has an end: %+v", v)
	}
	if v := (License{}).Standing(Use{Units: 3}, Moment{At: now}); v.UnitsLeft != nil || !v.From.IsZero() || !v.Until.IsZero() {
		t.Errorf("without limits: %+v", v)
	}
}

// What is in use ends with the time, not with the units.
func TestInUse(t *testing.T) {
	now := date(2026, 3, 1)
	l := License{Options: Options{Units: new(uint64), Expiration: now}}
	v := l.Standing(Use{}, Moment{At: now.Add(-1)})
	coded(t, "as such", v.Err(), CodeNoUnits)
	coded(t, "in use", v.InUse(), "")
	l.Options.Units = nil
	coded(t, "expired", l.Standing(Use{}, Moment{At: now}).InUse(), CodeExpired)
}

func TestRefusals(t *testing.T) {
	noon := date(2026, 3, 31).Add(12 * time.Hour)
	march := Maintenance{date(2026, 3, 1), date(2026, 3, 31)}
	for name, tt := range map[string]struct {
		o    Options
		ask  Ask
		want []Code
	}{
		"local, from here":                    {Options{Quantity: 0}, Ask{Local: true}, nil},
		"local, from elsewhere":               {Options{Quantity: 0}, Ask{}, []Code{CodeLocalOnly}},
		"one, from elsewhere":                 {Options{Quantity: 1}, Ask{}, nil},
		"one, from here":                      {Options{Quantity: 1}, Ask{Local: true}, nil},
		"no feature asked for":                {Options{Quantity: 1}, Ask{}, nil},
		"features there":                      {Options{Quantity: 1, FeatureMap: 0b110}, Ask{Features: 0b110}, nil},
		"one feature missing":                 {Options{Quantity: 1, FeatureMap: 0b110}, Ask{Features: 0b101}, []Code{CodeFeatureMissing}},
		"all features of all":                 {Options{Quantity: 1, FeatureMap: 1<<32 - 1}, Ask{Features: 1<<32 - 1}, nil},
		"no release date":                     {Options{Quantity: 1, Maintenance: march}, Ask{}, []Code{CodeWrongVersion}},
		"released on the first day":           {Options{Quantity: 1, Maintenance: march}, Ask{ReleaseDate: march.From}, nil},
		"released before the first day":       {Options{Quantity: 1, Maintenance: march}, Ask{ReleaseDate: march.From.Add(-1)}, []Code{CodeWrongVersion}},
		"released at the end of the last day": {Options{Quantity: 1, Maintenance: march}, Ask{ReleaseDate: march.Until.Add(24*time.Hour - 1)}, nil},
		"released after the last day":         {Options{Quantity: 1, Maintenance: march}, Ask{ReleaseDate: march.Until.Add(24 * time.Hour)}, []Code{CodeWrongVersion}},
		"ended at noon, released that day":    {Options{Quantity: 1, Maintenance: Maintenance{Until: noon}}, Ask{ReleaseDate: noon.Add(time.Hour)}, nil},
		"begun at noon, released that day":    {Options{Quantity: 1, Maintenance: Maintenance{From: noon}}, Ask{ReleaseDate: date(2026, 3, 31)}, nil},
		"any release until then":              {Options{Quantity: 1, Maintenance: Maintenance{Until: march.Until}}, Ask{ReleaseDate: date(1999, 1, 1)}, nil},
		"any release since then":              {Options{Quantity: 1, Maintenance: Maintenance{From: march.From}}, Ask{ReleaseDate: date(2099, 1, 1)}, nil},
		"a day of UTC": {
			Options{Quantity: 1, Maintenance: march},
			Ask{ReleaseDate: time.Date(2026, 4, 1, 1, 0, 0, 0, time.FixedZone("", 2*3600))}, nil,
		},
		"version not stated": {Options{Quantity: 1, MinimumVersion: "2"}, Ask{}, []Code{CodeWrongVersion}},
		"version lower":      {Options{Quantity: 1, MinimumVersion: "2.1"}, Ask{Version: "2"}, []Code{CodeWrongVersion}},
		"version equal":      {Options{Quantity: 1, MinimumVersion: "2.1"}, Ask{Version: "2.1.0"}, nil},
		"version not needed": {Options{Quantity: 1}, Ask{Version: "0.1"}, nil},
		"everything at once": {
			Options{FeatureMap: 1, Maintenance: march, MinimumVersion: "2", AccessList: []AccessRule{{Kind: AccessUser, Value: "anna"}}},
			Ask{Features: 2},
			[]Code{CodeLocalOnly, CodeNotOnAccessList, CodeWrongVersion, CodeWrongVersion, CodeFeatureMissing},
		},
	} {
		v := License{Product: Product{Firm: 6000010, Code: 14}, Options: tt.o}.Explain(tt.ask, Use{}, Moment{At: noon})
		if got := reasons(v); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		for _, r := range v.Reasons {
			coded(t, name, r, r.Code)
		}
	}
}

// What holds for everybody comes before what holds for who asks, and the first
// is the answer.
func TestExplainBeginsWithTheMostGeneral(t *testing.T) {
	now := date(2026, 3, 1)
	v := License{Options: Options{Expiration: now, Units: new(uint64)}}.Explain(Ask{Features: 1}, Use{}, Moment{At: now, SetBack: true})
	want := []Code{CodeClockSetBack, CodeExpired, CodeNoUnits, CodeLocalOnly, CodeFeatureMissing}
	if got := reasons(v); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	coded(t, "the answer", v.Err(), CodeClockSetBack)
}

// The access list of a license is nobody's business but the vendor's.
func TestRefusalNamesNobodyElse(t *testing.T) {
	l := License{Options: Options{Quantity: 1, AccessList: []AccessRule{{Kind: AccessUser, Value: "bertha"}}}}
	if err := l.Explain(Ask{User: "anna"}, Use{}, Moment{}).Err(); strings.Contains(err.Error(), "bertha") {
		t.Errorf("%v", err)
	}
}

func TestNoUnitsTellsHowMany(t *testing.T) {
	p := Product{Firm: 6000010, Code: 14}
	some, none := NoUnits(p, 3, 5), NoUnits(p, 0, 1)
	if !strings.Contains(some.Message, "3 units left, and 5") || some.Details["unitsLeft"] != uint64(3) || none.Details["unitsLeft"] != uint64(0) ||
		!strings.Contains(none.Message, "used up") {
		t.Errorf("%v, %v", some, none)
	}
}
