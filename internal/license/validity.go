package license

import (
	"fmt"
	"net/netip"
	"time"
)

// Ask is what a program states, and what its server sees of it, when it wants
// to use a license.
type Ask struct {
	Features    uint32    // bits of the feature map that must be set
	ReleaseDate time.Time // of the program; zero: not stated
	Version     Version   // of the program; empty: not stated
	User        string
	Host        string
	Application string
	Address     netip.Addr // that the request comes from; invalid: not known
	Local       bool       // it comes from the license server's own machine
}

// Use is what was used of a license under its Issue.
type Use struct {
	First time.Time // of the first use; zero: not used yet
	Units uint64    // taken
}

// Moment is the time as a license server may believe it.
type Moment struct {
	At time.Time
	// SetBack: the clock shows less than it did before, so At is the highest
	// time seen, and nothing that is limited in time may be used until the time
	// is certified.
	SetBack bool
	// Certified is the last time that the platform has vouched for; zero: none.
	Certified time.Time
}

// Validity explains whether a license may be used.
type Validity struct {
	// Reasons are all that refuse it now, the most general first; none: valid.
	Reasons []*Error
	// From and Until bound in time what would else be valid, as far as is known
	// now; zero: not bounded.
	From, Until time.Time
	// UnitsLeft is nil where units aren't counted.
	UnitsLeft *uint64
}

// Err is the first reason; nil when the license is valid.
func (v Validity) Err() error {
	if len(v.Reasons) == 0 {
		return nil
	}
	return v.Reasons[0]
}

// InUse is the first reason that also ends a use that has begun: what was taken
// of the units stays taken, so their end ends no handle.
func (v Validity) InUse() error {
	for _, r := range v.Reasons {
		if r.Code != CodeNoUnits {
			return r
		}
	}
	return nil
}

// Explain says whether the license may be used, and all reasons where not.
func (l License) Explain(a Ask, u Use, m Moment) Validity {
	v := l.standing(u, m)
	v.Reasons = append(v.Reasons, l.refusals(a)...)
	return v
}

// Admits is the refusal of the access list, whatever else there is against it.
func (l License) Admits(a Ask) error {
	if permits(l.Options.AccessList, a) {
		return nil
	}
	return l.notListed()
}

func (l License) notListed() *Error {
	return Errorf(CodeNotOnAccessList, "have the vendor, or who manages the licenses, put you on the list",
		"the access list of the license for %s does not let this user, computer or program in", l.Product)
}

// Standing says whether the license as such may be used now, whoever asks.
func (l License) Standing(u Use, m Moment) Validity { return l.standing(u, m) }

func (l License) standing(u Use, m Moment) Validity {
	o := l.Options
	v := Validity{From: o.Activation, Until: o.Expiration}
	if o.UsagePeriod != 0 && !u.First.IsZero() {
		if end := u.First.Add(o.UsagePeriod); v.Until.IsZero() || end.Before(v.Until) {
			v.Until = end
		}
	}
	refuse := func(e *Error) { v.Reasons = append(v.Reasons, e) }
	if m.SetBack && o.TimeLimited() {
		refuse(&Error{
			Code: CodeClockSetBack,
			Message: fmt.Sprintf("the license server's clock was set back: it has seen %s before, and %s is limited in time",
				stamp(m.At), l.Product),
			Fix:     "set the clock right, then have the time certified: a server with a link does so by itself, quorate request and quorate apply do it by files",
			Details: map[string]any{"highestTimeSeen": stamp(m.At)},
		})
	}
	if !o.Activation.IsZero() && m.At.Before(o.Activation) {
		refuse(&Error{
			Code:    CodeNotYetValid,
			Message: fmt.Sprintf("the license for %s counts from %s on", l.Product, stamp(o.Activation)),
			Fix:     "wait until then, or ask the vendor for an earlier activation time",
			Details: map[string]any{"activation": stamp(o.Activation)},
		})
	}
	if !o.Expiration.IsZero() && !m.At.Before(o.Expiration) {
		refuse(&Error{
			Code:    CodeExpired,
			Message: fmt.Sprintf("the license for %s expired at %s", l.Product, stamp(o.Expiration)),
			Fix:     "order an extension from the vendor",
			Details: map[string]any{"expiration": stamp(o.Expiration)},
		})
	}
	if o.UsagePeriod != 0 && !u.First.IsZero() {
		if end := u.First.Add(o.UsagePeriod); !m.At.Before(end) {
			refuse(&Error{
				Code: CodeUsageOver,
				Message: fmt.Sprintf("the usage period of the license for %s (%s) began with its first use at %s and ended at %s",
					l.Product, o.UsagePeriod, stamp(u.First), stamp(end)),
				Fix:     "order a license, or ask the vendor for another usage period",
				Details: map[string]any{"firstUse": stamp(u.First), "end": stamp(end)},
			})
		}
	}
	if o.Units != nil {
		left := *o.Units - min(u.Units, *o.Units)
		v.UnitsLeft = &left
		if left == 0 {
			refuse(NoUnits(l.Product, 0, 1))
		}
	}
	return v
}

// NoUnits is the refusal of a unit counter.
func NoUnits(p Product, left, wanted uint64) *Error {
	e := &Error{
		Code:    CodeNoUnits,
		Message: fmt.Sprintf("the license for %s has %d units left, and %d are wanted", p, left, wanted),
		Fix:     "take fewer, or order more units from the vendor",
		Details: map[string]any{"unitsLeft": left},
	}
	if left == 0 {
		e.Message, e.Fix = fmt.Sprintf("the units of the license for %s are used up", p), "order more units from the vendor"
	}
	return e
}

// refusals are about who asks, whatever the time.
func (l License) refusals(a Ask) (all []*Error) {
	o := l.Options
	if o.Quantity == 0 && !a.Local {
		all = append(all, Errorf(CodeLocalOnly, "run the program on the license server's machine, or order licenses for the network",
			"the license for %s has no license quantity: it serves programs on the license server's own machine alone", l.Product))
	}
	if !permits(o.AccessList, a) {
		all = append(all, l.notListed())
	}
	for _, e := range []*Error{l.wrongRelease(a), l.wrongVersion(a)} {
		if e != nil {
			all = append(all, e)
		}
	}
	if missing := a.Features &^ o.FeatureMap; missing != 0 {
		all = append(all, &Error{
			Code:    CodeFeatureMissing,
			Message: fmt.Sprintf("the license for %s lacks the features %#010x", l.Product, missing),
			Fix:     "order the features from the vendor, or run without them",
			Details: map[string]any{"missingFeatures": missing},
		})
	}
	return all
}

// wrongRelease compares by days in UTC, and both ends of the period are in it.
func (l License) wrongRelease(a Ask) *Error {
	m := l.Options.Maintenance
	switch {
	case m.From.IsZero() && m.Until.IsZero():
	case a.ReleaseDate.IsZero():
		return Errorf(CodeWrongVersion, "use a version of the program that states its release date",
			"the license for %s is for releases of a maintenance period, and the program states no release date", l.Product)
	case !m.Until.IsZero() && day(a.ReleaseDate) > day(m.Until):
		return Errorf(CodeWrongVersion, "extend the maintenance, or use an older release",
			"the program was released on %s, and the maintenance of the license for %s ended on %s", day(a.ReleaseDate), l.Product, day(m.Until))
	case !m.From.IsZero() && day(a.ReleaseDate) < day(m.From):
		return Errorf(CodeWrongVersion, "use a newer release",
			"the program was released on %s, and the maintenance of the license for %s began on %s", day(a.ReleaseDate), l.Product, day(m.From))
	}
	return nil
}

func (l License) wrongVersion(a Ask) *Error {
	lowest := l.Options.MinimumVersion
	switch {
	case lowest == "":
	case a.Version == "":
		return Errorf(CodeWrongVersion, "use a release of the program that states its version",
			"the license for %s is for version %s and later, and the program states no version", l.Product, lowest)
	case a.Version.Less(lowest):
		return Errorf(CodeWrongVersion, "use a newer release",
			"the license for %s is for version %s and later, and the program has version %s", l.Product, lowest, a.Version)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// day is a date that compares as text: years have four digits.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
