package seal

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// options writes terms. An expiration is a whole second, so that what was
// signed compares equal to what was ordered.
func (w *writer) options(o license.Options) {
	w.u32(o.Quantity)
	w.u32(o.TMRID)
	switch seconds := o.Expiration.Unix(); {
	case o.Expiration.IsZero():
		w.u64(0)
	case o.Expiration.Nanosecond() != 0 || seconds <= 0 || seconds > latest/1000:
		w.fail("an expiration time must be a whole second between 1970 and 9999")
	default:
		w.u64(uint64(seconds)) //nolint:gosec // G115: checked above
	}
	w.u32(o.FeatureMap)
}

func (r *reader) options() license.Options {
	o := license.Options{Quantity: r.u32(), TMRID: r.u32()}
	switch seconds := r.u64(); {
	case seconds > latest/1000:
		r.bad = true
	case seconds != 0:
		o.Expiration = time.Unix(int64(seconds), 0).UTC() //nolint:gosec // G115: checked above
	}
	o.FeatureMap = r.u32()
	return o
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
