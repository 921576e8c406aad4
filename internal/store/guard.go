package store

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/intercept"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
)

// ownership is by which rule an entity belongs to organizations.
type ownership int

const (
	unknown ownership = iota // refused
	global                   // for the system alone
	itself                   // the organization, and for its provider
	owned                    // organization_id
	shared                   // vendor_id or customer_id
	catalog                  // as shared; a vendor's customers may read it too
)

// ownershipOf lists every entity. A test compares it with the schema.
func ownershipOf(entity string) ownership {
	switch entity {
	case ent.TypeSession, ent.TypePlatformKey:
		return global
	case ent.TypeOrganization:
		return itself
	case ent.TypeMember, ent.TypeApiToken, ent.TypeAuditEntry:
		return owned
	case ent.TypeFirm, ent.TypeProduct, ent.TypeItem:
		return catalog
	case ent.TypeContainer, ent.TypeFirmCounter, ent.TypeTmrGroup, ent.TypeTmrView, ent.TypeTmrServer,
		ent.TypeAllocation, ent.TypeDenial, ent.TypeOrder, ent.TypeRollout, ent.TypeUpdate, ent.TypeWork:
		return shared
	}
	return unknown
}

// guard makes client see and change only what the context's principal may.
//
// Queries of every sort (lists, counts, eager loading, steps along edges,
// lookups by id) get the tenant's predicate by an interceptor. Updates and
// deletes get it as a predicate of the mutation, so a foreign row is not
// found. What is made must name the principal's organization. The system
// principal passes; without a principal everything fails.
func guard(client *ent.Client) {
	client.Intercept(intercept.TraverseFunc(func(ctx context.Context, q intercept.Query) error {
		p, err := auth.From(ctx)
		if err != nil || p.IsSystem() {
			return err
		}
		visible, err := visibleTo(p, ownershipOf(q.Type()), q.Type(), false)
		if err != nil {
			return err
		}
		q.WhereP(visible)
		return nil
	}))
	client.Use(func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			p, err := auth.From(ctx)
			if err != nil {
				return nil, err
			}
			if !p.IsSystem() {
				if err := guardMutation(p, m); err != nil {
					return nil, err
				}
			}
			return next.Mutate(ctx, m)
		})
	})
}

func guardMutation(p auth.Principal, m ent.Mutation) error {
	rule := ownershipOf(m.Type())
	visible, err := visibleTo(p, rule, m.Type(), true)
	if err != nil {
		return err
	}
	if m.Op().Is(ent.OpCreate) {
		columns := map[ownership][]string{
			owned: {"organization_id"}, shared: {"vendor_id", "customer_id"}, catalog: {"vendor_id"},
			itself: {"provider_id"},
		}[rule]
		for _, c := range columns {
			if v, ok := m.Field(c); ok && v == p.Organization {
				return nil
			}
		}
		return foreign(m.Type())
	}
	where, ok := m.(interface{ WhereP(...func(*sql.Selector)) })
	if !ok {
		return fmt.Errorf("%s can't be guarded", m.Type())
	}
	where.WhereP(visible)
	return nil
}

func visibleTo(p auth.Principal, rule ownership, entity string, change bool) (func(*sql.Selector), error) {
	is := func(column string) func(*sql.Selector) *sql.Predicate {
		return func(s *sql.Selector) *sql.Predicate { return sql.EQ(s.C(column), p.Organization) }
	}
	var any []func(*sql.Selector) *sql.Predicate
	switch rule {
	case itself:
		any = append(any, is("id"), is("provider_id"))
	case owned:
		any = append(any, is("organization_id"))
	case shared:
		any = append(any, is("vendor_id"), is("customer_id"))
	case catalog:
		any = append(any, is("vendor_id"))
		if !change {
			any = append(any, is("customer_id"))
			if p.Provider != "" {
				any = append(any, func(s *sql.Selector) *sql.Predicate { return sql.EQ(s.C("vendor_id"), p.Provider) })
			}
		}
	default:
		return nil, foreign(entity)
	}
	return func(s *sql.Selector) {
		all := make([]*sql.Predicate, len(any))
		for i, f := range any {
			all[i] = f(s)
		}
		s.Where(sql.Or(all...))
	}, nil
}

func foreign(entity string) error {
	return license.Errorf(license.CodeForbidden, "use one of your own organization", "this %s is not yours", entity)
}
