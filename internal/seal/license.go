package seal

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Bounds of options' texts, in bytes.
const (
	mostVersion  = 64
	mostAccesses = license.MostAccessList
)

// options writes terms. Times are whole seconds, so that what was signed
// compares equal to what was ordered.
func (w *writer) options(o license.Options) {
	if err := o.Validate(); err != nil && w.err == nil {
		w.err = err
	}
	w.u32(o.Quantity)
	w.u32(o.TMRID)
	w.second(o.Activation)
	w.second(o.Expiration)
	w.u64(uint64(o.UsagePeriod / time.Second)) //nolint:gosec // G115: validated
	w.bool(o.Units != nil)
	if o.Units != nil {
		w.u64(*o.Units)
	}
	w.u32(o.Issue)
	w.u32(o.FeatureMap)
	w.second(o.Maintenance.From)
	w.second(o.Maintenance.Until)
	w.text(string(o.MinimumVersion), mostVersion, "minimum version")
	w.text(o.Text, license.MostText, "text")
	if w.list(len(o.AccessList), mostAccesses, "rules of the access list") {
		for _, r := range o.AccessList {
			w.text(r.String(), license.MostAccessRule+16, "rule of the access list")
		}
	}
	w.u64(uint64(o.Linger / time.Second)) //nolint:gosec // G115: validated
	w.raw(o.Protected[:])
	w.raw(o.Secret[:])
}

func (r *reader) options() license.Options {
	o := license.Options{Quantity: r.u32(), TMRID: r.u32(), Activation: r.second(), Expiration: r.second()}
	o.UsagePeriod = r.seconds(license.MostUsage)
	if r.bool() {
		n := r.u64()
		o.Units = &n
	}
	o.Issue, o.FeatureMap = r.u32(), r.u32()
	o.Maintenance = license.Maintenance{From: r.second(), Until: r.second()}
	o.MinimumVersion = license.Version(r.text(mostVersion))
	o.Text = r.text(license.MostText)
	for n := r.list(mostAccesses); n > 0 && !r.bad; n-- {
		rule, err := license.ParseAccessRule(r.text(license.MostAccessRule + 16))
		r.bad = r.bad || err != nil
		o.AccessList = append(o.AccessList, rule)
	}
	o.Linger = r.seconds(license.MostLinger)
	o.Protected, o.Secret = r.array16(), r.array16()
	r.bad = r.bad || o.Validate() != nil
	return o
}

// second writes a time in whole seconds; the zero time as 0.
func (w *writer) second(t time.Time) {
	if t.IsZero() {
		w.u64(0)
		return
	}
	w.u64(uint64(t.Unix())) //nolint:gosec // G115: validated
}

func (r *reader) second() time.Time {
	switch s := r.u64(); {
	case s > latest/1000:
		r.bad = true
	case s != 0:
		return time.Unix(int64(s), 0).UTC() //nolint:gosec // G115: checked above
	}
	return time.Time{}
}

func (r *reader) seconds(most time.Duration) time.Duration {
	s := r.u64()
	if s > uint64(most/time.Second) { //nolint:gosec // G115: a positive constant
		r.bad = true
		return 0
	}
	return time.Duration(s) * time.Second //nolint:gosec // G115: checked above
}

func (w *writer) held(h license.Held) {
	w.product(h.Product)
	w.text(h.Name, license.MostProductName, "product's name")
	w.options(h.Options)
	w.bool(h.Predecessor != nil)
	if h.Predecessor != nil {
		w.options(*h.Predecessor)
	}
}

func (r *reader) held() license.Held {
	h := license.Held{License: license.License{
		Product: r.product(),
		Name:    r.text(license.MostProductName),
		Options: r.options(),
	}}
	if r.bool() {
		o := r.options()
		h.Predecessor = &o
	}
	return h
}

func (w *writer) holdings(all []license.Held) {
	all = slices.SortedFunc(slices.Values(all), func(a, b license.Held) int { return a.Product.Compare(b.Product) })
	if !w.list(len(all), MostLicenses, "licenses") {
		return
	}
	for i, h := range all {
		if i > 0 && all[i-1].Product == h.Product {
			w.fail("the product %s comes twice", h.Product)
		}
		w.held(h)
	}
}

func (r *reader) holdings() []license.Held {
	var all []license.Held
	for n := r.list(MostLicenses); n > 0 && !r.bad; n-- {
		h := r.held()
		if len(all) > 0 && all[len(all)-1].Product.Compare(h.Product) >= 0 {
			r.bad = true
		}
		all = append(all, h)
	}
	return all
}

// HoldingsFit says whether what a container holds fits its fingerprints and
// statements.
func HoldingsFit(all []license.Held) bool {
	var w writer
	w.holdings(all)
	return w.err == nil && len(w.b) <= mostHoldings
}
