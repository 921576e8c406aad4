// Package loading reads what the fields of many rows ask for in one statement for
// all of them: rows are announced as they are found, and the first demand loads
// what was announced.
package loading

import (
	"cmp"
	"context"
	"sync"

	"entgo.io/ent/dialect/sql"
	"github.com/99designs/gqlgen/graphql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/firmkey"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/rulesets"
	"github.com/quorate/quorate/resolvers/convert"
)

// Batch loads values by key. Keys are announced as soon as the entities that
// lead to them are known; the first demand loads all announced ones at once.
type Batch[V any] struct {
	mu        sync.Mutex
	fetch     func(ctx context.Context, keys []string) (map[string]V, error)
	announced map[string]struct{}
	loaded    map[string]result[V]
}

type result[V any] struct {
	value V
	found bool
	err   error
}

func newBatch[V any](fetch func(context.Context, []string) (map[string]V, error)) *Batch[V] {
	return &Batch[V]{fetch: fetch, announced: map[string]struct{}{}, loaded: map[string]result[V]{}}
}

// Announce says that a key may be asked for.
func (b *Batch[V]) Announce(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.loaded[key]; !ok {
		b.announced[key] = struct{}{}
	}
}

// Load gives the value of a key; found is false where there is none.
func (b *Batch[V]) Load(ctx context.Context, key string) (value V, found bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, ok := b.loaded[key]; ok {
		return r.value, r.found, r.err
	}
	b.announced[key] = struct{}{}
	keys := make([]string, 0, len(b.announced))
	for k := range b.announced {
		keys = append(keys, k)
	}
	values, err := b.fetch(ctx, keys)
	for _, k := range keys {
		v, ok := values[k]
		b.loaded[k] = result[V]{v, ok, err}
	}
	clear(b.announced)
	r := b.loaded[key]
	return r.value, r.found, r.err
}

// Loaders are those of one response.
type Loaders struct {
	Membership *Membership
	Firms      *Batch[*ent.Firm]        // by id
	Keys       *Batch[[]*ent.FirmKey]   // by firm, the newest first
	Rollouts   *Batch[*ent.Rollout]     // by id
	Running    *Batch[*ent.Rollout]     // by group or container: the one running or held
	Virtual    *Batch[*ent.Container]   // by serial
	Servers    *Batch[[]*ent.TmrServer] // by group or container
	// TicketLines are by ticket, and ActivationsGone by activation.
	TicketLines     *Batch[[]*ent.TicketLine]
	ActivationsGone *Batch[int]
	Rules           *Batch[*ent.RuleSet] // by group or container: the newest
	Ordered         *Batch[int]          // by group: how many licenses
	Places          *Batch[int]          // by item: at how many places it is
	Installed       *Batch[int]          // by container: how many updates
	States          *Batch[property.ContainerState]
	Held            *Batch[[]*graph.ContainerLicense] // by container
	Use             *Batch[[]*graph.ProductUse]       // by container
}

func newLoaders(c *ent.Client) *Loaders {
	return &Loaders{
		Membership: newMembership(c),
		Firms: newBatch(func(ctx context.Context, ids []string) (map[string]*ent.Firm, error) {
			rows, err := c.Firm.Query().Where(firm.IDIn(ids...)).All(ctx)
			return By(rows, func(f *ent.Firm) string { return f.ID }), err
		}),
		Keys: newBatch(func(ctx context.Context, firms []string) (map[string][]*ent.FirmKey, error) {
			rows, err := c.FirmKey.Query().Where(firmkey.FirmIDIn(firms...)).Order(ent.Desc(firmkey.FieldSerial)).All(ctx)
			all := map[string][]*ent.FirmKey{}
			for _, k := range rows {
				all[k.FirmID] = append(all[k.FirmID], k)
			}
			return all, err
		}),
		Rollouts: newBatch(func(ctx context.Context, ids []string) (map[string]*ent.Rollout, error) {
			rows, err := c.Rollout.Query().Where(rollout.IDIn(ids...)).All(ctx)
			return By(rows, func(r *ent.Rollout) string { return r.ID }), err
		}),
		Running: newBatch(func(ctx context.Context, places []string) (map[string]*ent.Rollout, error) {
			rows, err := c.Rollout.Query().Where(rollout.Or(rollout.TmrGroupIDIn(places...), rollout.ContainerIDIn(places...)), rollout.Running(true)).All(ctx)
			return By(rows, func(r *ent.Rollout) string { return place(cmp.Or(r.TmrGroupID, r.ContainerID)) }), err
		}),
		Virtual: newBatch(func(ctx context.Context, serials []string) (map[string]*ent.Container, error) {
			rows, err := c.Container.Query().Where(container.SerialIn(serials...)).All(ctx)
			return By(rows, func(c *ent.Container) string { return c.Serial }), err
		}),
		Servers: newBatch(func(ctx context.Context, places []string) (map[string][]*ent.TmrServer, error) {
			rows, err := c.TmrServer.Query().Where(tmrserver.Or(tmrserver.TmrGroupIDIn(places...), tmrserver.ContainerIDIn(places...))).Order(ent.Asc(tmrserver.FieldName)).All(ctx)
			all := map[string][]*ent.TmrServer{}
			for _, s := range rows {
				place := place(cmp.Or(s.TmrGroupID, s.ContainerID))
				all[place] = append(all[place], s)
			}
			return all, err
		}),
		TicketLines: newBatch(func(ctx context.Context, tickets []string) (map[string][]*ent.TicketLine, error) {
			return linesOfTickets(ctx, c, tickets)
		}),
		ActivationsGone: newBatch(func(ctx context.Context, activations []string) (map[string]int, error) {
			return goneOfActivations(ctx, c, activations)
		}),
		Rules: newBatch(func(ctx context.Context, places []string) (map[string]*ent.RuleSet, error) {
			return rulesets.RuleSets(ctx, c, places)
		}),
		Ordered: newBatch(func(ctx context.Context, groups []string) (map[string]int, error) {
			return orderedQuantities(ctx, c, groups)
		}),
		Places: newBatch(func(ctx context.Context, items []string) (map[string]int, error) {
			return placesOfItems(ctx, c, items)
		}),
		States: newBatch(func(ctx context.Context, ids []string) (map[string]property.ContainerState, error) {
			return containers.ContainerStates(ctx, c, ids)
		}),
		Held: newBatch(func(ctx context.Context, ids []string) (map[string][]*graph.ContainerLicense, error) {
			return heldLicenses(ctx, c, ids)
		}),
		Use: newBatch(func(ctx context.Context, ids []string) (map[string][]*graph.ProductUse, error) {
			found, err := history.ContainersUse(ctx, c, ids)
			all := make(map[string][]*graph.ProductUse, len(ids))
			for _, id := range ids {
				all[id] = convert.ProductUses(found[id])
			}
			return all, err
		}),
		Installed: newBatch(func(ctx context.Context, ids []string) (map[string]int, error) {
			rows, err := c.Container.Query().Where(container.IDIn(ids...)).WithCounters().All(ctx)
			all := map[string]int{}
			for _, r := range rows {
				for _, n := range r.Edges.Counters {
					all[r.ID] += int(n.Counter)
				}
			}
			return all, err
		}),
	}
}

// place is what one of two references names.
func place(id *string) string {
	if id == nil {
		return ""
	}
	return *id
}

// By gives rows by a key of theirs.
func By[V any](rows []V, key func(V) string) map[string]V {
	m := make(map[string]V, len(rows))
	for _, r := range rows {
		m[key(r)] = r
	}
	return m
}

// placesOfItems counts the TMR groups and containers that rollouts brought items to.
func placesOfItems(ctx context.Context, c *ent.Client, items []string) (map[string]int, error) {
	var counts []struct {
		Item   string `json:"item_id"`
		Places int    `json:"places"`
	}
	err := c.Order.Query().Where(order.ItemIDIn(items...), order.HasRolloutWith(rollout.StateEQ(property.RolloutDone))).
		GroupBy(order.FieldItemID).Aggregate(func(s *sql.Selector) string {
		return "COUNT(DISTINCT COALESCE(" + s.C(order.FieldTmrGroupID) + ", " + s.C(order.FieldContainerID) + ")) AS places"
	}).Scan(ctx, &counts)
	all := map[string]int{}
	for _, n := range counts {
		all[n.Item] = n.Places
	}
	return all, err
}

// orderedQuantities adds up what was ordered for each group.
func orderedQuantities(ctx context.Context, c *ent.Client, groups []string) (map[string]int, error) {
	var sums []struct {
		Group string `json:"tmr_group_id"`
		Sum   int    `json:"sum"`
	}
	err := c.Order.Query().Where(order.TmrGroupIDIn(groups...)).
		GroupBy(order.FieldTmrGroupID).Aggregate(ent.As(ent.Sum(order.FieldQuantity), "sum")).Scan(ctx, &sums)
	all := map[string]int{}
	for _, s := range sums {
		all[s.Group] = s.Sum
	}
	return all, err
}

// heldLicenses are what containers hold, by container.
func heldLicenses(ctx context.Context, c *ent.Client, ids []string) (map[string][]*graph.ContainerLicense, error) {
	held, err := containers.ContainerLicenses(ctx, c, ids)
	all := make(map[string][]*graph.ContainerLicense, len(ids))
	for _, id := range ids {
		all[id] = []*graph.ContainerLicense{}
		for _, h := range held[id] {
			all[id] = append(all[id], &graph.ContainerLicense{
				Product: h.Item.Edges.Product, Item: h.Item, Quantity: h.Quantity, Waiting: h.Waiting, Leaving: h.Leaving,
			})
		}
	}
	return all, err
}

// announce tells the loaders which rows the entity's fields may ask for, and
// those of the entities that were loaded with it.
func (l *Loaders) announce(v any) {
	switch v := v.(type) {
	case *ent.Firm:
		if v != nil {
			l.Firms.Announce(v.ID) // its products' references need it
			l.Keys.Announce(v.ID)
		}
	case *ent.Product:
		if v != nil && v.FirmID != "" {
			l.Firms.Announce(v.FirmID)
		}
	case *ent.Item:
		if v != nil {
			l.Places.Announce(v.ID)
			l.announce(v.Edges.Product)
		}
	case *ent.Container:
		if v != nil {
			l.Installed.Announce(v.ID)
			l.States.Announce(v.ID)
			l.Held.Announce(v.ID)
			l.Use.Announce(v.ID)
			l.Running.Announce(v.ID)
			l.Servers.Announce(v.ID)
			l.Rules.Announce(v.ID)
			l.announce(v.Edges.TmrGroup)
			l.announce(v.Edges.ReplacedBy)
		}
	case *ent.Allocation:
		if v != nil {
			l.announce(v.Edges.Container)
			l.announce(v.Edges.Product)
		}
	case *ent.Denial:
		if v != nil {
			l.announce(v.Edges.Container)
			l.announce(v.Edges.Product)
		}
	case *ent.Order:
		if v != nil {
			if v.RolloutID != nil {
				l.Rollouts.Announce(*v.RolloutID)
			}
			l.announce(v.Edges.Item)
			l.announce(v.Edges.TmrGroup)
			l.announce(v.Edges.Container)
		}
	case *ent.Rollout:
		if v != nil {
			l.announce(v.Edges.TmrGroup)
			l.announce(v.Edges.Container)
		}
	case *ent.Transfer:
		if v != nil {
			for _, e := range []any{v.Edges.Product, v.Edges.Item, v.Edges.TmrGroup, v.Edges.Container, v.Edges.ToContainer, v.Edges.Rollout} {
				l.announce(e)
			}
		}
	case *ent.Ticket:
		if v != nil {
			l.TicketLines.Announce(v.ID)
			activations, _ := v.NamedActivations("activations")
			each(l, append(activations, v.Edges.Activations...), func(a *ent.TicketActivation) any { return a })
		}
	case *ent.TicketActivation:
		if v != nil {
			l.TicketLines.Announce(v.TicketID)
			l.ActivationsGone.Announce(v.ID)
			for _, e := range []any{v.Edges.Ticket, v.Edges.Order, v.Edges.TmrGroup, v.Edges.Container} {
				l.announce(e)
			}
		}
	case *ent.TmrServer:
		if v != nil {
			l.announce(v.Edges.TmrGroup)
			l.announce(v.Edges.Container)
		}
	case *ent.Enrollment:
		if v != nil {
			l.announce(v.Edges.TmrGroup)
			l.announce(v.Edges.Container)
			l.announce(v.Edges.TmrServer)
		}
	case *ent.Member:
		if v != nil {
			l.Membership.groups.Announce(v.ID)
		}
	case *ent.MemberGroup:
		if v != nil {
			l.Membership.members.Announce(v.ID)
		}
	case *ent.TmrGroup:
		if v == nil {
			return
		}
		for _, b := range []interface{ Announce(string) }{l.Running, l.Servers, l.Ordered, l.Rules} {
			b.Announce(v.ID)
		}
		if v.VirtualSerial != "" {
			l.Virtual.Announce(v.VirtualSerial)
		}
	}
}

// Announce does so for what a field gave: a row, a page or a list.
func (l *Loaders) Announce(v any) {
	switch v := v.(type) {
	case *ent.ProductConnection:
		each(l, v.Edges, func(e *ent.ProductEdge) any { return e.Node })
	case *ent.ItemConnection:
		each(l, v.Edges, func(e *ent.ItemEdge) any { return e.Node })
	case *ent.ContainerConnection:
		each(l, v.Edges, func(e *ent.ContainerEdge) any { return e.Node })
	case *ent.AllocationConnection:
		each(l, v.Edges, func(e *ent.AllocationEdge) any { return e.Node })
	case *ent.DenialConnection:
		each(l, v.Edges, func(e *ent.DenialEdge) any { return e.Node })
	case *ent.OrderConnection:
		each(l, v.Edges, func(e *ent.OrderEdge) any { return e.Node })
	case *ent.RolloutConnection:
		each(l, v.Edges, func(e *ent.RolloutEdge) any { return e.Node })
	case *ent.TmrGroupConnection:
		each(l, v.Edges, func(e *ent.TmrGroupEdge) any { return e.Node })
	case *ent.TransferConnection:
		each(l, v.Edges, func(e *ent.TransferEdge) any { return e.Node })
	case []*ent.Transfer:
		each(l, v, func(t *ent.Transfer) any { return t })
	case *ent.TicketConnection:
		each(l, v.Edges, func(e *ent.TicketEdge) any { return e.Node })
	case *ent.TicketActivationConnection:
		each(l, v.Edges, func(e *ent.TicketActivationEdge) any { return e.Node })
	case []*ent.TicketActivation:
		each(l, v, func(a *ent.TicketActivation) any { return a })
	case *ent.TmrServerConnection:
		each(l, v.Edges, func(e *ent.TmrServerEdge) any { return e.Node })
	case *ent.EnrollmentConnection:
		each(l, v.Edges, func(e *ent.EnrollmentEdge) any { return e.Node })
	case *ent.MemberConnection:
		each(l, v.Edges, func(e *ent.MemberEdge) any { return e.Node })
	case *ent.MemberGroupConnection:
		each(l, v.Edges, func(e *ent.MemberGroupEdge) any { return e.Node })
	case *ent.FirmConnection:
		each(l, v.Edges, func(e *ent.FirmEdge) any { return e.Node })
	case []*graph.ContainerLicense:
		each(l, v, func(h *graph.ContainerLicense) any { return h.Item })
	case []*graph.RefusedGrant:
		each(l, v, func(g *graph.RefusedGrant) any { return g.Allocation })
	case []*ent.Allocation:
		each(l, v, func(a *ent.Allocation) any { return a })
	default:
		l.announce(v)
	}
}

func each[E any](l *Loaders, edges []E, node func(E) any) {
	for _, e := range edges {
		l.Announce(node(e))
	}
}

type key struct{}

// Of gives the loaders of the response that ctx belongs to, new ones where it
// belongs to none.
func Of(ctx context.Context, c *ent.Client) *Loaders {
	if l, ok := ctx.Value(key{}).(*Loaders); ok {
		return l
	}
	return newLoaders(c)
}

// Extension gives each response loaders of its own, which read by Client, and
// tells them what was found.
type Extension struct{ Client *ent.Client }

var _ interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
	graphql.FieldInterceptor
} = Extension{}

// ExtensionName names the extension.
func (Extension) ExtensionName() string { return "Loading" }

// Validate has nothing to check.
func (Extension) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse makes the loaders.
func (e Extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(context.WithValue(ctx, key{}, newLoaders(e.Client)))
}

// InterceptField announces what a field of the root gave.
func (Extension) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	v, err := next(ctx)
	if err == nil {
		Notice(ctx, v)
	}
	return v, err
}

// Notice announces what a field gave.
func Notice(ctx context.Context, v any) {
	if all, ok := ctx.Value(key{}).(*Loaders); ok {
		all.Announce(v)
	}
}
