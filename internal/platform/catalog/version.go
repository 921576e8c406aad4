package catalog

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/itemversion"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// itemTerms are all that an item says, in the order in which people read it. Of
// data only the names are told.
func itemTerms(it *ent.Item) []property.Term {
	o := ItemOptions(it)
	day := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	seconds := func(d *int) string {
		if d == nil {
			return ""
		}
		return strconv.Itoa(*d)
	}
	units := ""
	if it.Units != nil {
		units = strconv.FormatUint(*it.Units, 10)
	}
	return []property.Term{
		{Name: "name", Value: it.Name},
		{Name: "quantity", Value: strconv.Itoa(it.Quantity)},
		{Name: "tmr", Value: strconv.FormatBool(it.Tmr)},
		{Name: "activation", Value: day(o.Activation)},
		{Name: "expiration", Value: day(o.Expiration)},
		{Name: "usagePeriod", Value: seconds(it.UsagePeriod)},
		{Name: "units", Value: units},
		{Name: "issue", Value: strconv.Itoa(it.Issue)},
		{Name: "featureMap", Value: strconv.FormatUint(uint64(it.FeatureMap), 10)},
		{Name: "maintenanceFrom", Value: day(o.Maintenance.From)},
		{Name: "maintenanceUntil", Value: day(o.Maintenance.Until)},
		{Name: "minimumVersion", Value: string(o.MinimumVersion)},
		{Name: "text", Value: o.Text},
		{Name: "accessList", Value: strings.Join(it.AccessList, ", ")},
		{Name: "linger", Value: seconds(it.Linger)},
		{Name: "protectedData", Value: hex.EncodeToString(it.ProtectedName)},
		{Name: "secretData", Value: hex.EncodeToString(it.SecretName)},
	}
}

// keepVersion writes what an item is now as its version; before is what it was,
// nil for a new one. What was never written, since it is older than this
// record, is written first.
func keepVersion(ctx context.Context, tx *store.Tx, before, it *ent.Item) error {
	by, err := auth.From(ctx)
	if err != nil {
		return err
	}
	write := func(it *ent.Item, terms []property.Term, by string) error {
		return tx.ItemVersion.Create().SetVendorID(it.VendorID).SetItemID(it.ID).SetRevision(it.Revision).
			SetTerms(terms).SetChangedBy(by).Exec(ctx)
	}
	terms := itemTerms(it)
	if before != nil {
		was := itemTerms(before)
		there, err := tx.ItemVersion.Query().Where(itemversion.ItemID(it.ID), itemversion.Revision(before.Revision)).Exist(ctx)
		if err != nil {
			return err
		}
		if !there {
			if err := write(before, was, ""); err != nil {
				return err
			}
		}
		for i := range terms {
			if was[i].Value != terms[i].Value {
				terms[i].Was = &was[i].Value
			}
		}
	}
	return write(it, terms, core.DisplayName(by))
}

// Difference is one term of an item at two revisions.
type Difference struct{ Name, From, To string }

// ItemDifference tells what differs between two revisions of an item, in
// either order; equal ones differ in nothing. For members of the vendor. Errors:
// CodeNotFound for the item, and for a revision that nothing is known of.
func (p *Service) ItemDifference(ctx context.Context, id string, from, to int) ([]Difference, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	it, err := c.Item.Get(ctx, id)
	if err != nil {
		return nil, core.NotFound(err, "item", id)
	}
	at := func(revision int) (map[string]string, error) {
		if revision == it.Revision {
			return byName(itemTerms(it)), nil
		}
		v, err := c.ItemVersion.Query().Where(itemversion.ItemID(id), itemversion.Revision(revision)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil, license.Errorf(license.CodeNotFound, "take one of the item's versions", "nothing is known of the item's revision %d", revision)
		}
		if err != nil {
			return nil, err
		}
		return byName(v.Terms), nil
	}
	was, err := at(from)
	if err != nil {
		return nil, err
	}
	is, err := at(to)
	if err != nil {
		return nil, err
	}
	var out []Difference
	for _, t := range itemTerms(it) {
		if was[t.Name] != is[t.Name] {
			out = append(out, Difference{t.Name, was[t.Name], is[t.Name]})
		}
	}
	return out, nil
}

func byName(terms []property.Term) map[string]string {
	out := make(map[string]string, len(terms))
	for _, t := range terms {
		out[t.Name] = t.Value
	}
	return out
}
