package importer

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Difference is an option in which an item that is there is not as in the file.
// Field is its column in a table of items; "none" stands for what is not set.
type Difference struct {
	Field string `json:"field"`
	There string `json:"there"`
	File  string `json:"file"`
}

// String tells it in a few words.
func (d Difference) String() string { return d.Field + " " + d.There + " → " + d.File }

// Differences compares an item that is there with that of the plan, as far as
// the file says anything of items.
func (p Plan) Differences(there, file Item) []Difference {
	var all []Difference
	other := options(file)
	for i, o := range options(there) {
		if o.There != other[i].There && slices.Contains(p.said, o.Field) {
			all = append(all, Difference{o.Field, license.Clip(o.There, mostShown), license.Clip(other[i].There, mostShown)})
		}
	}
	return all
}

// options are an item's options, in the order of the columns of a table.
func options(i Item) []Difference {
	const none = "none"
	when := func(t time.Time) string {
		if t.IsZero() {
			return none
		}
		return t.UTC().Truncate(time.Second).Format(time.RFC3339) // so it is made, too
	}
	text := func(there bool, format string, v any) string {
		if !there {
			return none
		}
		return fmt.Sprintf(format, v)
	}
	tmr, units, usage := "no", none, none
	if i.TMR {
		tmr = "yes"
	}
	if i.Units != nil {
		units = strconv.FormatUint(*i.Units, 10)
	}
	const day = 24 * 60 * 60
	if i.UsagePeriod%day != 0 {
		usage = fmt.Sprintf("%d and %d s", i.UsagePeriod/day, i.UsagePeriod%day)
	} else if i.UsagePeriod != 0 {
		usage = strconv.FormatInt(i.UsagePeriod/day, 10)
	}
	return []Difference{
		{Field: "quantity", There: strconv.FormatUint(uint64(i.Quantity), 10)},
		{Field: "tmr", There: tmr},
		{Field: "activation", There: when(i.Activation)},
		{Field: "expiration", There: when(i.Expiration)},
		{Field: "usageDays", There: usage},
		{Field: "units", There: units},
		{Field: "features", There: text(i.Features != 0, "%#x", i.Features)},
		{Field: "maintenanceFrom", There: when(i.MaintenanceFrom)},
		{Field: "maintenanceUntil", There: when(i.MaintenanceUntil)},
		{Field: "minimumVersion", There: text(i.MinimumVersion != "", "%s", i.MinimumVersion)},
		{Field: "text", There: text(i.Text != "", "%q", i.Text)},
		{Field: "lingerSeconds", There: text(i.Linger != 0, "%d", i.Linger)},
	}
}
