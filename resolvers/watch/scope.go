package watch

import (
	"context"
	"strings"
	"sync"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/rolloutplan"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/platform/core"
)

// Bounds of what one stream watches.
const (
	mostWatched    = 10_000 // rows
	mostContainers = 5_000
	// rowsAtOnce bounds how many ids one statement names.
	rowsAtOnce = 500
)

// scope is what of the containers, allocations or denials that one may see is
// watched.
type Scope struct {
	container *ent.Container // nil: all
	product   *ent.Product   // with its firm; nil: all
	customer  string         // "": all
}

// Scope finds what the arguments name. Error: CodeNotFound.
func (r *Streams) Scope(ctx context.Context, containerID, productID, customer *string) (s Scope, err error) {
	if id := value(containerID); id != "" {
		s.container, err = r.client.Container.Query().Where(container.Or(core.ContainerIs(id),
			container.And(container.KindEQ(property.ContainerVirtual), container.HasTmrGroupWith(core.GroupIs(id))))).Only(ctx)
		if err != nil {
			return s, core.NotFound(err, "container", id)
		}
	}
	if id := value(productID); id != "" {
		if s.product, err = r.client.Product.Query().Where(core.ProductIs(id)).WithFirm().Only(ctx); err != nil {
			return s, core.NotFound(err, "product", id)
		}
	}
	if id := value(customer); id != "" {
		if s.customer, err = r.client.Organization.Query().Where(organization.ID(id)).OnlyID(ctx); err != nil {
			return s, core.NotFound(err, "organization", id)
		}
	}
	return s, nil
}

// key names the scope.
func (s Scope) key() string {
	parts := []string{"", "", s.customer}
	if s.container != nil {
		parts[0] = s.container.ID
	}
	if s.product != nil {
		parts[1] = s.product.ID
	}
	return strings.Join(parts, ",")
}

// reference is the product's, or "".
func (s Scope) reference() string {
	if s.product == nil || s.product.Edges.Firm == nil {
		return ""
	}
	return core.ProductOf(s.product).String()
}

// oneContainer says whether the scope is all of one container.
func (s Scope) oneContainer() bool {
	return s.container != nil && s.product == nil && s.customer == ""
}

// rows is the filter of allocations, denials and series.
func (s Scope) rows(q *sql.Selector) {
	if s.container != nil {
		q.Where(sql.EQ(q.C("container_id"), s.container.ID))
	}
	if s.product != nil {
		q.Where(sql.EQ(q.C("product_id"), s.product.ID))
	}
	if s.customer != "" {
		q.Where(sql.EQ(q.C("customer_id"), s.customer))
	}
}

// containers gives the ids of those where something is served. Error:
// CodeTooLarge.
func (r *Streams) containers(ctx context.Context, s Scope) ([]string, error) {
	if s.container != nil {
		return []string{s.container.ID}, nil
	}
	q := r.client.Container.Query().Where(container.Or(container.TmrGroupIDIsNil(), container.KindEQ(property.ContainerVirtual)))
	if s.customer != "" {
		q.Where(container.CustomerID(s.customer))
	}
	ids, err := q.Order(ent.Asc(container.FieldID)).Limit(mostContainers + 1).IDs(ctx)
	if err == nil && len(ids) > mostContainers {
		err = tooMuch()
	}
	return ids, err
}

func tooMuch() error {
	return license.Errorf(license.CodeTooLarge, "name a container, a product or a customer", "this is too much for one stream")
}

// source begins a stream of what the scope has. Its signals are those of the
// topics, whose keys are containers, and of views where they count.
func (r *Streams) source(ctx context.Context, kind string, s Scope, views bool, topics ...string) (live.Source, error) {
	src := live.Source{Key: kind + ":" + s.key(), Every: 10 * r.tick}
	if s.container != nil {
		for _, t := range topics {
			src.Topics = append(src.Topics, event.Signal{Topic: t, Key: s.container.ID})
		}
		if group := s.container.TmrGroupID; views && group != nil { // the quantity in force comes with the view
			src.Topics = append(src.Topics, event.Signal{Topic: event.TmrGroup, Key: *group})
		}
		return src, nil
	}
	for _, t := range topics {
		src.Topics = append(src.Topics, event.Signal{Topic: t})
	}
	if views {
		src.Topics = append(src.Topics, event.Signal{Topic: event.TmrGroup})
	}
	var err error
	src.Concerns, err = r.concerns(ctx, s.customer)
	return src, err
}

// concerns says of which rows signals count: those that the principal may see,
// and of one customer where it is named.
func (r *Streams) concerns(ctx context.Context, customer string) (func(context.Context, event.Signal) (bool, error), error) {
	by, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, s event.Signal) (bool, error) {
		o, err := r.owners.of(ctx, r.client, by.Organization, s.Key)
		return o.seen && (customer == "" || o.customer == customer), err
	}, nil
}

// owner is whose a row is in an organization's sight. It never changes.
type owner struct {
	seen     bool
	customer string
}

// mostOwners bounds how many owners are remembered.
const mostOwners = 20_000

// owners remembers which organizations see the rows that signals name, as the
// guard told them: it saves looking for nothing at each signal.
type owners struct {
	mu    sync.Mutex
	known map[[2]string]owner
}

// of looks under the context's principal, who is of the organization.
func (o *owners) of(ctx context.Context, c *ent.Client, organization, id string) (owner, error) {
	at := [2]string{organization, id}
	o.mu.Lock()
	found, ok := o.known[at]
	o.mu.Unlock()
	if ok {
		return found, nil
	}
	var customer *string
	var err error
	switch prefix, _, _ := strings.Cut(id, "_"); prefix {
	case "con":
		var row *ent.Container
		if row, err = c.Container.Query().Where(container.ID(id)).Select(container.FieldVendorID, container.FieldCustomerID).Only(ctx); err == nil {
			customer = row.CustomerID
		}
	case "tmr":
		var row *ent.TmrGroup
		if row, err = c.TmrGroup.Query().Where(tmrgroup.ID(id)).Select(tmrgroup.FieldVendorID, tmrgroup.FieldCustomerID).Only(ctx); err == nil {
			customer = row.CustomerID
		}
	case "rol":
		var row *ent.Rollout
		if row, err = c.Rollout.Query().Where(rollout.ID(id)).Select(rollout.FieldVendorID, rollout.FieldCustomerID).Only(ctx); err == nil {
			customer = row.CustomerID
		}
	case "rpl":
		var row *ent.RolloutPlan
		if row, err = c.RolloutPlan.Query().Where(rolloutplan.ID(id)).Select(rolloutplan.FieldVendorID, rolloutplan.FieldCustomerID).Only(ctx); err == nil {
			customer = row.CustomerID
		}
	default:
		return owner{}, nil
	}
	switch {
	case err == nil:
		found = owner{true, value(customer)}
	case !ent.IsNotFound(err):
		return owner{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known == nil || len(o.known) >= mostOwners {
		o.known = map[[2]string]owner{}
	}
	o.known[at] = found
	return found, nil
}
