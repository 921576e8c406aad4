package store

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	entgo "entgo.io/ent"
	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/denial"
	"github.com/quorate/quorate/ent/intercept"
	"github.com/quorate/quorate/ent/ruleset"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
)

// Veil hides from a vendor what a row tells of a customer's users: a pointer to
// an Allocation, a Denial or a RuleSet, whose fields it overwrites. customer is
// the whole organization.
type Veil func(ctx context.Context, customer *ent.Organization, row any) error

// SetVeil says how customers' users are hidden. Without one no vendor reads
// rows of a customer that tell of users.
func (s *Store) SetVeil(v Veil) { s.veil.Store(&v) }

// veiled are, by entity, the columns that tell of a customer's users.
func veiled(entity string) []string {
	switch entity {
	case ent.TypeAllocation:
		return []string{allocation.FieldUser, allocation.FieldClient, allocation.FieldStation, allocation.FieldApplication, allocation.FieldProcessID}
	case ent.TypeDenial:
		return []string{denial.FieldUser, denial.FieldClient, denial.FieldStation, denial.FieldApplication, denial.FieldRule}
	case ent.TypeRuleSet:
		return []string{ruleset.FieldText, ruleset.FieldDigest}
	}
	return nil
}

// owners are the columns that tell whose a row is.
func owners(entity string) []string {
	columns := []string{"vendor_id", "customer_id"}
	if entity == ent.TypeRuleSet {
		columns = append(columns, ruleset.FieldByVendor)
	}
	return columns
}

// mayVeil says whether a principal may be the vendor of others: who has a provider
// may be one, too. The system sees all.
func mayVeil(p auth.Principal) bool { return !p.IsSystem() }

// guardUsers has whatever way rows are read by (lists, pages, node lookups,
// streams, exports, eager loading) pass the veil. It comes after guard, which
// has refused whoever isn't known.
func guardUsers(client *ent.Client, veil *atomic.Pointer[Veil]) {
	client.Intercept(intercept.TraverseFunc(func(ctx context.Context, q intercept.Query) error {
		p, err := auth.From(ctx)
		if err != nil {
			return err
		}
		entity := q.Type()
		columns := veiled(entity)
		if columns == nil || !mayVeil(p) {
			return nil
		}
		// Whose a row is has to be known whatever columns the caller chose.
		q.WhereP(func(s *sql.Selector) {
			selected := s.SelectedColumns()
			tells := func(column string) bool { return slices.Contains(selected, s.C(column)) }
			if !slices.ContainsFunc(columns, tells) {
				return
			}
			for _, owner := range owners(entity) {
				if !tells(owner) {
					s.AppendSelect(s.C(owner))
				}
			}
		})
		return nil
	}))
	client.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			p, err := auth.From(ctx)
			if err != nil {
				return nil, err
			}
			if !mayVeil(p) {
				return next.Query(ctx, q)
			}
			var hide func(ent.Value) error
			switch q := q.(type) {
			case *ent.AllocationQuery:
				q.WithCustomer()
				hide = hiding(ctx, veil, p, func(a *ent.Allocation) owner { return owner{a.VendorID, a.CustomerID, a.Edges.Customer} })
			case *ent.DenialQuery:
				q.WithCustomer()
				hide = hiding(ctx, veil, p, func(d *ent.Denial) owner { return owner{d.VendorID, d.CustomerID, d.Edges.Customer} })
			case *ent.RuleSetQuery:
				q.WithCustomer()
				hide = hiding(ctx, veil, p, func(r *ent.RuleSet) owner { return owner{r.VendorID, r.CustomerID, r.Edges.Customer} })
			default:
				return next.Query(ctx, q)
			}
			if err := wholeRows(ctx); err != nil {
				return nil, err
			}
			rows, err := next.Query(ctx, q)
			if err != nil {
				return nil, err
			}
			return rows, hide(rows)
		})
	}))
}

// wholeRows refuses to read columns that tell of users into anything but rows,
// where nothing could hide them.
func wholeRows(ctx context.Context) error {
	q := entgo.QueryFromContext(ctx)
	if q == nil || (q.Op != entgo.OpQuerySelect && q.Op != entgo.OpQueryGroupBy) {
		return nil
	}
	for _, column := range veiled(q.Type) {
		if slices.Contains(q.Fields, column) {
			return license.Errorf(license.CodeForbidden, "read whole rows", "%s.%s tells of a customer's users", q.Type, column)
		}
	}
	return nil
}

type owner struct {
	vendor   string
	customer *string
	loaded   *ent.Organization
}

func hiding[R any](ctx context.Context, veil *atomic.Pointer[Veil], p auth.Principal, of func(*R) owner) func(ent.Value) error {
	return func(v ent.Value) error {
		rows, ok := v.([]*R)
		if !ok {
			return nil // a count, or ids
		}
		for _, row := range rows {
			o := of(row)
			switch {
			case o.vendor == "":
				continue // guardUsers has it wherever a column tells of users
			case o.customer == nil, *o.customer == p.Organization:
				continue // its own
			case o.vendor != p.Organization:
				return fmt.Errorf("a row of %s was read by %s", o.vendor, p.Organization)
			}
			f := veil.Load()
			if f == nil || o.loaded == nil {
				return license.Errorf(license.CodeUnavailable, "try again", "whether the users of %s may be seen is not known", *o.customer)
			}
			if err := (*f)(ctx, o.loaded, row); err != nil {
				return err
			}
		}
		return nil
	}
}
