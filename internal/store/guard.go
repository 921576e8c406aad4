package store

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/intercept"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/membergroup"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/rolloutplan"
	"github.com/quorate/quorate/ent/ticket"
	"github.com/quorate/quorate/ent/ticketactivation"
	"github.com/quorate/quorate/ent/ticketline"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/ent/webhookendpoint"
	"github.com/quorate/quorate/ent/webhookevent"
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
	catalog                  // as shared; what is for no customer the vendor's customers may read too
)

// ownershipOf lists every entity. A test compares it with the schema.
func ownershipOf(entity string) ownership {
	switch entity {
	case ent.TypeSession, ent.TypePlatformKey, ent.TypeUsageKept, ent.TypeUser, ent.TypeUserIdentity:
		return global
	case ent.TypeOrganization:
		return itself
	case ent.TypeMember, ent.TypeMemberGroup, ent.TypeMemberGroupEntry, ent.TypeInvitation, ent.TypeIdentityProvider,
		ent.TypeApiToken, ent.TypeAuditEntry, ent.TypeIdempotencyKey,
		ent.TypeWebhookEndpoint, ent.TypeWebhookEvent, ent.TypeWebhookDelivery:
		return owned
	case ent.TypeFirm, ent.TypeFirmKey, ent.TypeProduct, ent.TypeItem:
		return catalog
	case ent.TypeContainer, ent.TypeFirmCounter, ent.TypeTmrGroup, ent.TypeTmrView, ent.TypeTmrServer,
		ent.TypeAllocation, ent.TypeDenial, ent.TypeOrder, ent.TypeRollout, ent.TypeUpdate, ent.TypeWork, ent.TypeTransfer,
		ent.TypeUsageSeries, ent.TypeUsageBucket, ent.TypeUsageLog, ent.TypeUsageEntry, ent.TypeRuleSet, ent.TypeItemVersion,
		ent.TypeTicket, ent.TypeTicketLine, ent.TypeTicketActivation, ent.TypeEnrollment, ent.TypeRolloutPlan, ent.TypeRolloutPlanEntry:
		return shared
	}
	return unknown
}

// guard makes client see and change only what the context's principal may.
//
// Queries of every sort (lists, counts, eager loading, steps along edges,
// lookups by id) get the tenant's predicate by an interceptor. Updates and
// deletes get it as a predicate of the mutation, so a foreign row is not
// found. What is made must be for the principal's organization, and whatever a
// row is tied to must be visible to the principal. The system principal
// passes; without a principal everything fails.
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
				if err := guardMutation(ctx, p, m); err != nil {
					return nil, err
				}
			}
			return next.Mutate(ctx, m)
		})
	})
}

// guarded is what every generated mutation has.
type guarded interface {
	ent.Mutation
	WhereP(...func(*sql.Selector))
	Client() *ent.Client
}

func guardMutation(ctx context.Context, p auth.Principal, mutation ent.Mutation) error {
	m, ok := mutation.(guarded)
	if !ok {
		return fmt.Errorf("%s can't be guarded", mutation.Type())
	}
	rule := ownershipOf(m.Type())
	visible, err := visibleTo(p, rule, m.Type(), true)
	if err != nil {
		return err
	}
	if err := guardEdges(ctx, rule, m); err != nil {
		return err
	}
	if m.Op().Is(ent.OpCreate) {
		return guardOwner(ctx, p, rule, m)
	}
	// ent adds no predicate to an update of one row that changes no column,
	// and would give back the row.
	if m.Op().Is(ent.OpUpdateOne) && len(m.Fields()) == 0 && len(m.ClearedFields()) == 0 {
		return fmt.Errorf("an update of %s changes nothing", m.Type())
	}
	m.WhereP(visible)
	return nil
}

// guardOwner checks whom a new row is for.
func guardOwner(ctx context.Context, p auth.Principal, rule ownership, m guarded) error {
	is := func(column, organization string) bool {
		v, ok := m.Field(column)
		return ok && organization != "" && v == organization
	}
	switch {
	case rule == owned && is("organization_id", p.Organization), rule == itself && is("provider_id", p.Organization):
		return nil
	case (rule == shared || rule == catalog) && is("vendor_id", p.Organization):
		customer, ok := m.Field("customer_id")
		if !ok {
			return nil
		}
		_, err := visibleTarget(ctx, m.Client(), "customer", fmt.Sprint(customer))
		return err
	case rule == shared && is("customer_id", p.Organization) && is("vendor_id", p.Provider):
		return nil
	}
	return foreign(m.Type())
}

// guardEdges checks the rows that a row is tied to: they must be visible, and the
// same vendor's, for who is a vendor and another one's customer sees rows of both.
// An edge is set on the side that has its column; through the other side a
// foreign row could be moved.
func guardEdges(ctx context.Context, rule ownership, m guarded) error {
	if len(m.RemovedEdges()) > 0 {
		return fmt.Errorf("%s: edges are changed from the side that has the column", m.Type())
	}
	for _, edge := range m.ClearedEdges() {
		if !m.FieldCleared(edge + "_id") {
			return fmt.Errorf("%s.%s is changed from the other side", m.Type(), edge)
		}
	}
	for _, edge := range m.AddedEdges() {
		id, ok := m.Field(edge + "_id")
		if !ok {
			return fmt.Errorf("%s.%s is changed from the other side", m.Type(), edge)
		}
		switch edge {
		case "vendor", "customer", "organization", "provider":
			if !m.Op().Is(ent.OpCreate) {
				return foreign(edge) // whose something is the system alone changes
			}
			continue // guardOwner
		}
		vendor, err := visibleTarget(ctx, m.Client(), edge, fmt.Sprint(id))
		if err != nil {
			return err
		}
		if vendor == "" || rule != shared && rule != catalog {
			continue
		}
		if !m.Op().Is(ent.OpCreate) {
			m.WhereP(func(s *sql.Selector) { s.Where(sql.EQ(s.C("vendor_id"), vendor)) })
		} else if of, ok := m.Field("vendor_id"); !ok || of != vendor {
			return foreign(edge)
		}
	}
	return nil
}

// visibleTarget looks under the guard for the row that an edge leads to, and
// gives its vendor; "" where it is an organization's alone. An edge that is not
// listed leads nowhere.
func visibleTarget(ctx context.Context, c *ent.Client, edge, id string) (vendor string, err error) {
	var there bool
	switch edge {
	case "customer":
		there, err = c.Organization.Query().Where(organization.ID(id)).Exist(ctx)
	case "member":
		there, err = c.Member.Query().Where(member.ID(id)).Exist(ctx)
	case "member_group":
		there, err = c.MemberGroup.Query().Where(membergroup.ID(id)).Exist(ctx)
	case "webhook_endpoint":
		there, err = c.WebhookEndpoint.Query().Where(webhookendpoint.ID(id)).Exist(ctx)
	case "webhook_event":
		there, err = c.WebhookEvent.Query().Where(webhookevent.ID(id)).Exist(ctx)
	default:
		if vendor, err = vendorOf(ctx, c, edge, id); ent.IsNotFound(err) {
			return "", foreign(edge)
		}
		return vendor, err
	}
	if err == nil && !there {
		return "", foreign(edge)
	}
	return "", err
}

// vendorOf gives the vendor of a row that is visible; else it is not found.
func vendorOf(ctx context.Context, c *ent.Client, edge, id string) (string, error) {
	switch edge {
	case "firm":
		return c.Firm.Query().Where(firm.ID(id)).Select(firm.FieldVendorID).String(ctx)
	case "product":
		return c.Product.Query().Where(product.ID(id)).Select(product.FieldVendorID).String(ctx)
	case "item":
		return c.Item.Query().Where(item.ID(id)).Select(item.FieldVendorID).String(ctx)
	case "container":
		return c.Container.Query().Where(container.ID(id)).Select(container.FieldVendorID).String(ctx)
	case "tmr_group":
		return c.TmrGroup.Query().Where(tmrgroup.ID(id)).Select(tmrgroup.FieldVendorID).String(ctx)
	case "rollout":
		return c.Rollout.Query().Where(rollout.ID(id)).Select(rollout.FieldVendorID).String(ctx)
	case "order":
		return c.Order.Query().Where(order.ID(id)).Select(order.FieldVendorID).String(ctx)
	case "ticket":
		return c.Ticket.Query().Where(ticket.ID(id)).Select(ticket.FieldVendorID).String(ctx)
	case "ticket_line":
		return c.TicketLine.Query().Where(ticketline.ID(id)).Select(ticketline.FieldVendorID).String(ctx)
	case "ticket_activation":
		return c.TicketActivation.Query().Where(ticketactivation.ID(id)).Select(ticketactivation.FieldVendorID).String(ctx)
	case "tmr_server":
		return c.TmrServer.Query().Where(tmrserver.ID(id)).Select(tmrserver.FieldVendorID).String(ctx)
	case "rollout_plan":
		return c.RolloutPlan.Query().Where(rolloutplan.ID(id)).Select(rolloutplan.FieldVendorID).String(ctx)
	}
	return "", foreign(edge)
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
				any = append(any, func(s *sql.Selector) *sql.Predicate {
					return sql.And(sql.EQ(s.C("vendor_id"), p.Provider), sql.IsNull(s.C("customer_id")))
				})
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
