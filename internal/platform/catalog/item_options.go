package catalog

import (
	"math"
	"math/bits"
	"strings"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
)

// ItemOptions are the options of one license of an item. Quantity is 1 or more
// unless the item is local only.
func ItemOptions(it *ent.Item) license.Options {
	o := license.Options{
		Quantity: uint32(min(it.Quantity, math.MaxInt32)), Issue: uint32(it.Issue), FeatureMap: it.FeatureMap, //nolint:gosec // G115: bounded by the schema
		Activation: timeOf(it.Activation), Expiration: timeOf(it.Expiration),
		Maintenance:    license.Maintenance{From: timeOf(it.MaintenanceFrom), Until: timeOf(it.MaintenanceUntil)},
		UsagePeriod:    secondsOf(it.UsagePeriod),
		Linger:         secondsOf(it.Linger),
		MinimumVersion: license.Version(ValueOf(it.MinimumVersion)),
		Text:           ValueOf(it.Text),
	}
	if it.Units != nil {
		n := *it.Units
		o.Units = &n
	}
	for _, s := range it.AccessList {
		r, _ := license.ParseAccessRule(s) // valid when it was saved; one that is not would match nobody
		o.AccessList = append(o.AccessList, r)
	}
	copy(o.Protected[:], it.ProtectedName)
	copy(o.Secret[:], it.SecretName)
	return o
}

// OrderedOptions are the options of a license by all orders of its product, in
// their order, with their items: those of the item ordered last, but
//   - the quantity is the sum over the orders; those of items that are local
//     only add no seats;
//   - a unit counter has the units of all orders: ordered licenses times the
//     item's units, at most license.MostUnits; of a replaced container's those
//     that were left;
//   - a usage period that had begun in a replaced container ends when it would
//     have ended there;
//   - the issue is the sum of the ordered items' issues, so it rises with each
//     renewal of any of them and never falls.
func OrderedOptions(orders []*ent.Order) license.Options {
	last := ItemOptions(orders[len(orders)-1].Edges.Item)
	var quantity, units, issue uint64
	seen := map[string]bool{}
	for _, o := range orders {
		it := o.Edges.Item
		n := uint64(max(o.Quantity, 0)) //nolint:gosec // G115: not negative
		if it.Quantity > 0 {
			quantity += n
		}
		if it.Units != nil && stillCarried(o) && o.Carried.Units != nil {
			units = min(units+min(*o.Carried.Units, license.MostUnits), license.MostUnits)
		} else if it.Units != nil {
			if high, low := bits.Mul64(n, *it.Units); high == 0 {
				units = min(units+min(low, license.MostUnits), license.MostUnits)
			} else {
				units = license.MostUnits
			}
		}
		if !seen[it.ID] {
			seen[it.ID] = true
			issue += uint64(max(it.Issue, 0)) //nolint:gosec // G115: not negative
		}
	}
	last.Quantity = uint32(min(quantity, math.MaxInt32))
	last.Issue = uint32(min(issue, math.MaxUint32))
	if last.Units != nil {
		last.Units = &units
	}
	if end := CarriedEnd(orders); end != nil && last.UsagePeriod != 0 && (last.Expiration.IsZero() || end.Before(last.Expiration)) {
		last.Expiration = *end
	}
	return last
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

func secondsOf(n *int) time.Duration { return time.Duration(ValueOf(n)) * time.Second }

// ValueOf gives zero for nil.
func ValueOf[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}

// CheckItem says whether an item can be saved as it is specified. The error is
// CodeInvalidInput with the field at fault, as the API calls it, among the
// details.
func CheckItem(s ItemSpec) error {
	if err := checkName("name", s.Name, mostItemName); err != nil {
		return err
	}
	o := s.Options
	if o.Quantity > math.MaxInt32 {
		return core.AtField("quantity", license.Errorf(license.CodeInvalidInput, "give at most 2147483647", "a quantity of %d is not possible", o.Quantity))
	}
	if strings.ContainsRune(o.Text, 0) {
		return core.AtField("text", license.Errorf(license.CodeInvalidInput, "leave it out", "the text has a NUL character"))
	}
	// One option more at a time, so that the one at fault is known.
	var so license.Options
	if s.TMR {
		so.TMRID = 1
	}
	for _, f := range []struct {
		name string
		add  func()
	}{
		{"quantity", func() { so.Quantity = o.Quantity }},
		{"activation", func() { so.Activation = o.Activation }},
		{"expiration", func() { so.Expiration = o.Expiration }},
		{"usagePeriod", func() { so.UsagePeriod = o.UsagePeriod }},
		{"units", func() { so.Units = o.Units }},
		{"maintenanceFrom", func() { so.Maintenance.From = o.Maintenance.From }},
		{"maintenanceUntil", func() { so.Maintenance.Until = o.Maintenance.Until }},
		{"minimumVersion", func() { so.MinimumVersion = o.MinimumVersion }},
		{"text", func() { so.Text = o.Text }},
		{"accessList", func() { so.AccessList = o.AccessList }},
		{"linger", func() { so.Linger = o.Linger }},
	} {
		f.add()
		if err := so.Validate(); err != nil {
			return core.AtField(f.name, err)
		}
	}
	for name, d := range map[string]Data{"protectedData": s.Protected, "secretData": s.Secret} {
		if len(d) > license.MostData {
			return core.AtField(name, license.Errorf(license.CodeInvalidInput, "shorten it to 4096 bytes", "the data has %d bytes", len(d)))
		}
	}
	return nil
}

const mostItemName = 200

// checkName refuses what is no name to show.
func checkName(field, name string, most int) error {
	if name == "" || len(name) > most || name != core.PlainText(name) || strings.TrimSpace(name) != name {
		return core.AtField(field, license.Errorf(license.CodeInvalidInput, "give a line of text without spaces around it",
			"the name is empty, has more than %d bytes, or has characters that can't be shown", most))
	}
	return nil
}

// stillCarried says whether what an order carried over still counts.
func stillCarried(o *ent.Order) bool {
	return o.Carried != nil && o.Edges.Item != nil && o.Carried.Issue == o.Edges.Item.Issue
}

// CarriedEnd is the earliest end of a usage period that orders carried over, or
// nil.
func CarriedEnd(orders []*ent.Order) *time.Time {
	var end *time.Time
	for _, o := range orders {
		if stillCarried(o) && o.Carried.End != nil && (end == nil || o.Carried.End.Before(*end)) {
			end = o.Carried.End
		}
	}
	return end
}
