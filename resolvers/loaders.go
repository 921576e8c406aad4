package resolvers

import (
	"cmp"
	"context"
	"sync"

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

// batch loads values by key. Keys are announced as soon as the entities that
// lead to them are known; the first demand loads all announced ones at once.
type batch[V any] struct {
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

func newBatch[V any](fetch func(context.Context, []string) (map[string]V, error)) *batch[V] {
	return &batch[V]{fetch: fetch, announced: map[string]struct{}{}, loaded: map[string]result[V]{}}
}

func (b *batch[V]) announce(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.loaded[key]; !ok {
		b.announced[key] = struct{}{}
	}
}

// load gives the value of a key; found is false where there is none.
func (b *batch[V]) load(ctx context.Context, key string) (value V, found bool, err error) {
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

// loaders are those of one response.
type loaders struct {
	membership *membership
	firms      *batch[*ent.Firm]        // by id
	keys       *batch[[]*ent.FirmKey]   // by firm, the newest first
	rollouts   *batch[*ent.Rollout]     // by id
	running    *batch[*ent.Rollout]     // by group or container: the one running or held
	virtual    *batch[*ent.Container]   // by serial
	servers    *batch[[]*ent.TmrServer] // by group or container
	// ticketLines are by ticket, and activationsGone by activation.
	ticketLines     *batch[[]*ent.TicketLine]
	activationsGone *batch[int]
	rules           *batch[*ent.RuleSet] // by group or container: the newest
	ordered         *batch[int]          // by group: how many licenses
	installed       *batch[int]          // by container: how many updates
	states          *batch[property.ContainerState]
	held            *batch[[]*graph.ContainerLicense] // by container
	use             *batch[[]*graph.ProductUse]       // by container
}

func newLoaders(c *ent.Client) *loaders {
	return &loaders{
		membership: newMembership(c),
		firms: newBatch(func(ctx context.Context, ids []string) (map[string]*ent.Firm, error) {
			rows, err := c.Firm.Query().Where(firm.IDIn(ids...)).All(ctx)
			return by(rows, func(f *ent.Firm) string { return f.ID }), err
		}),
		keys: newBatch(func(ctx context.Context, firms []string) (map[string][]*ent.FirmKey, error) {
			rows, err := c.FirmKey.Query().Where(firmkey.FirmIDIn(firms...)).Order(ent.Desc(firmkey.FieldSerial)).All(ctx)
			all := map[string][]*ent.FirmKey{}
			for _, k := range rows {
				all[k.FirmID] = append(all[k.FirmID], k)
			}
			return all, err
		}),
		rollouts: newBatch(func(ctx context.Context, ids []string) (map[string]*ent.Rollout, error) {
			rows, err := c.Rollout.Query().Where(rollout.IDIn(ids...)).All(ctx)
			return by(rows, func(r *ent.Rollout) string { return r.ID }), err
		}),
		running: newBatch(func(ctx context.Context, places []string) (map[string]*ent.Rollout, error) {
			rows, err := c.Rollout.Query().Where(rollout.Or(rollout.TmrGroupIDIn(places...), rollout.ContainerIDIn(places...)), rollout.Running(true)).All(ctx)
			return by(rows, func(r *ent.Rollout) string { return value(cmp.Or(r.TmrGroupID, r.ContainerID)) }), err
		}),
		virtual: newBatch(func(ctx context.Context, serials []string) (map[string]*ent.Container, error) {
			rows, err := c.Container.Query().Where(container.SerialIn(serials...)).All(ctx)
			return by(rows, func(c *ent.Container) string { return c.Serial }), err
		}),
		servers: newBatch(func(ctx context.Context, places []string) (map[string][]*ent.TmrServer, error) {
			rows, err := c.TmrServer.Query().Where(tmrserver.Or(tmrserver.TmrGroupIDIn(places...), tmrserver.ContainerIDIn(places...))).Order(ent.Asc(tmrserver.FieldName)).All(ctx)
			all := map[string][]*ent.TmrServer{}
			for _, s := range rows {
				place := value(cmp.Or(s.TmrGroupID, s.ContainerID))
				all[place] = append(all[place], s)
			}
			return all, err
		}),
		ticketLines: newBatch(func(ctx context.Context, tickets []string) (map[string][]*ent.TicketLine, error) {
			return linesOfTickets(ctx, c, tickets)
		}),
		activationsGone: newBatch(func(ctx context.Context, activations []string) (map[string]int, error) {
			return goneOfActivations(ctx, c, activations)
		}),
		rules: newBatch(func(ctx context.Context, places []string) (map[string]*ent.RuleSet, error) {
			return rulesets.RuleSets(ctx, c, places)
		}),
		ordered: newBatch(func(ctx context.Context, groups []string) (map[string]int, error) {
			return orderedQuantities(ctx, c, groups)
		}),
		states: newBatch(func(ctx context.Context, ids []string) (map[string]property.ContainerState, error) {
			return containers.ContainerStates(ctx, c, ids)
		}),
		held: newBatch(func(ctx context.Context, ids []string) (map[string][]*graph.ContainerLicense, error) {
			return heldLicenses(ctx, c, ids)
		}),
		use: newBatch(func(ctx context.Context, ids []string) (map[string][]*graph.ProductUse, error) {
			found, err := history.ContainersUse(ctx, c, ids)
			all := make(map[string][]*graph.ProductUse, len(ids))
			for _, id := range ids {
				all[id] = convert.ProductUses(found[id])
			}
			return all, err
		}),
		installed: newBatch(func(ctx context.Context, ids []string) (map[string]int, error) {
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

func by[V any](rows []V, key func(V) string) map[string]V {
	m := make(map[string]V, len(rows))
	for _, r := range rows {
		m[key(r)] = r
	}
	return m
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
func (l *loaders) announce(v any) {
	switch v := v.(type) {
	case *ent.Firm:
		if v != nil {
			l.firms.announce(v.ID) // its products' references need it
			l.keys.announce(v.ID)
		}
	case *ent.Product:
		if v != nil && v.FirmID != "" {
			l.firms.announce(v.FirmID)
		}
	case *ent.Item:
		if v != nil {
			l.announce(v.Edges.Product)
		}
	case *ent.Container:
		if v != nil {
			l.installed.announce(v.ID)
			l.states.announce(v.ID)
			l.held.announce(v.ID)
			l.use.announce(v.ID)
			l.running.announce(v.ID)
			l.servers.announce(v.ID)
			l.rules.announce(v.ID)
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
				l.rollouts.announce(*v.RolloutID)
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
			l.ticketLines.announce(v.ID)
			activations, _ := v.NamedActivations("activations")
			each(l, append(activations, v.Edges.Activations...), func(a *ent.TicketActivation) any { return a })
		}
	case *ent.TicketActivation:
		if v != nil {
			l.ticketLines.announce(v.TicketID)
			l.activationsGone.announce(v.ID)
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
			l.membership.groups.announce(v.ID)
		}
	case *ent.MemberGroup:
		if v != nil {
			l.membership.members.announce(v.ID)
		}
	case *ent.TmrGroup:
		if v == nil {
			return
		}
		for _, b := range []interface{ announce(string) }{l.running, l.servers, l.ordered, l.rules} {
			b.announce(v.ID)
		}
		if v.VirtualSerial != "" {
			l.virtual.announce(v.VirtualSerial)
		}
	}
}

// announceAll does so for what a field gave.
func (l *loaders) announceAll(v any) {
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

func each[E any](l *loaders, edges []E, node func(E) any) {
	for _, e := range edges {
		l.announceAll(node(e))
	}
}

type loadersKey struct{}

// loaders gives those of the response that ctx belongs to.
func (r *Resolver) loaders(ctx context.Context) *loaders {
	if l, ok := ctx.Value(loadersKey{}).(*loaders); ok {
		return l
	}
	return newLoaders(r.client)
}

// loading gives each response loaders of its own, and tells them what was found.
type loading struct{ r *Resolver }

var _ interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
	graphql.FieldInterceptor
} = loading{}

var _ graph.Noticer = (*Resolver)(nil)

// ExtensionName names the extension.
func (loading) ExtensionName() string { return "Loading" }

// Validate has nothing to check.
func (loading) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse makes the loaders.
func (l loading) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(context.WithValue(ctx, loadersKey{}, newLoaders(l.r.client)))
}

// InterceptField announces what a field of the root gave.
func (l loading) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	v, err := next(ctx)
	if err == nil {
		l.r.Notice(ctx, v)
	}
	return v, err
}

// Notice implements graph.Noticer: it announces what a field gave.
func (r *Resolver) Notice(ctx context.Context, v any) {
	if all, ok := ctx.Value(loadersKey{}).(*loaders); ok {
		all.announceAll(v)
	}
}
