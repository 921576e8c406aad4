package history

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/usage"
)

// history writes the events of a place in one transaction, in which it has the
// place's lock: what they are about is read first, all at once, and what has
// come of them is written at the end.
type history struct {
	p         *Service
	tx        *store.Tx
	place     string
	vendor    string
	customer  *string
	container string // that the handles are of
	serial    string // of that container
	position  uint64
	now       time.Time

	products map[license.Product]string // ids
	pools    map[string]*usage.Pool     // by product
	rows     map[string]*ent.Allocation // by handle; without an id: new
	touched  map[string]bool            // handles whose row has changed
	granted  map[string]bool            // of these, those that were granted: what was asked of them before is over
	denials  []*ent.DenialCreate
	tracks   *tracks
}

// openHistory locks the place.
func (p *Service) openHistory(ctx context.Context, tx *store.Tx, placeID string) (*history, error) {
	h := &history{
		p: p, tx: tx, place: placeID, container: placeID, now: core.Now(),
		products: map[license.Product]string{}, pools: map[string]*usage.Pool{}, rows: map[string]*ent.Allocation{},
		touched: map[string]bool{}, granted: map[string]bool{},
	}
	if core.IsGroup(placeID) {
		g, err := tx.TmrGroup.Query().Where(tmrgroup.ID(placeID), store.Locked).Only(ctx)
		if err != nil {
			return nil, err
		}
		h.vendor, h.customer, h.position, h.serial = g.VendorID, g.CustomerID, g.EventPosition, g.VirtualSerial
		if h.container, err = tx.Container.Query().Where(container.Serial(g.VirtualSerial)).OnlyID(ctx); err != nil {
			return nil, err
		}
	} else {
		c, err := tx.Container.Query().Where(container.ID(placeID), store.Locked).Only(ctx)
		if err != nil {
			return nil, err
		}
		h.vendor, h.customer, h.position, h.serial = c.VendorID, c.CustomerID, c.EventPosition, c.Serial
	}
	h.tracks = NewTracks(tx, h.vendor, h.customer, h.container)
	return h, nil
}

// NewTracks are the series of a container, none of them loaded.
func NewTracks(tx *store.Tx, vendor string, customer *string, container string) *tracks {
	return &tracks{tx: tx, vendor: vendor, customer: customer, container: container, all: map[string]*track{}}
}

// read finds what the events are about.
func (h *history) read(ctx context.Context, events []LeaseEvent) error {
	refs, handles := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		refs[e.Product.String()] = true
		if fitHandle(e.Handle) {
			handles[e.Handle] = true
		}
	}
	ids := map[string]string{}
	if err := findProducts(ctx, h.tx, h.vendor, refs, ids); err != nil {
		return err
	}
	for _, e := range events {
		if id, ok := ids[e.Product.String()]; ok {
			h.products[e.Product] = id
		}
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(handles)), rowsAtOnce) {
		found, err := h.tx.Allocation.Query().Where(allocation.ContainerID(h.container), allocation.HandleIn(chunk...)).All(ctx)
		if err != nil {
			return err
		}
		h.put(found)
	}
	products := map[string]bool{}
	for _, id := range h.products {
		products[id] = true
	}
	users, stations := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		users[core.ClipText(e.User)], stations[core.ClipText(e.Station)] = true, true
	}
	for _, row := range h.rows {
		products[row.ProductID], users[row.User], stations[row.Station] = true, true, true
	}
	if len(products) == 0 {
		return nil
	}
	all := slices.Sorted(maps.Keys(products))
	if err := h.tracks.load(ctx, all); err != nil {
		return err
	}
	return h.readPresence(ctx, all, slices.Sorted(maps.Keys(users)), slices.Sorted(maps.Keys(stations)))
}

// readPresence finds who has how many handles, or had some lately, and all that
// live on the stations of those with station share.
func (h *history) readPresence(ctx context.Context, products, users, stations []string) error {
	since := h.now
	for _, id := range products {
		if at := h.tracks.all[id].At; !at.IsZero() && usage.Day.Start(at).Before(since) {
			since = usage.Day.Start(at)
		}
	}
	for chunk := range slices.Chunk(stations, rowsAtOnce) {
		found, err := h.tx.Allocation.Query().Where(allocation.ContainerID(h.container), allocation.ProductIDIn(products...),
			allocation.StateEQ(property.AllocationActive), allocation.StationIn(chunk...), allocation.Mode(license.StationShare)).All(ctx)
		if err != nil {
			return err
		}
		h.put(found)
		if err := h.presence(ctx, products, allocation.FieldStation, chunk, since, (*usage.Pool).PutStation); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(users, rowsAtOnce) {
		if err := h.presence(ctx, products, allocation.FieldUser, chunk, since, (*usage.Pool).PutUser); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) presence(ctx context.Context, products []string, column string, names []string, since time.Time, put func(*usage.Pool, string, usage.Presence)) error {
	type row struct {
		Product string  `sql:"product_id"`
		User    string  `sql:"user"` // or
		Station string  `sql:"station"`
		Living  int     `sql:"living"`
		Last    anyTime `sql:"last"`
	}
	named := func(s *sql.Selector) {
		list := make([]any, len(names))
		for i, n := range names {
			list[i] = n
		}
		s.Where(sql.In(s.C(column), list...))
	}
	found := map[[2]string]usage.Presence{}
	read := func(q *ent.AllocationQuery, aggregate ent.AggregateFunc) error {
		var rows []row
		err := q.Where(allocation.ContainerID(h.container), allocation.ProductIDIn(products...), named).
			GroupBy(allocation.FieldProductID, column).Aggregate(aggregate).Scan(ctx, &rows)
		for _, r := range rows {
			key := [2]string{r.Product, r.User + r.Station}
			at := found[key]
			at.Living += r.Living
			if t := time.Time(r.Last); t.After(at.Last) {
				at.Last = t
			}
			found[key] = at
		}
		return err
	}
	if err := read(h.tx.Allocation.Query().Where(allocation.StateEQ(property.AllocationActive)), ent.As(ent.Count(), "living")); err != nil {
		return err
	}
	if err := read(h.tx.Allocation.Query().Where(allocation.StateNEQ(property.AllocationActive), allocation.EndedAtGTE(since)),
		ent.As(ent.Max(allocation.FieldEndedAt), "last")); err != nil {
		return err
	}
	for key, at := range found {
		put(h.pool(key[0]), key[1], at)
	}
	return nil
}

// anyTime reads what a database gives for the greatest of some times.
type anyTime time.Time

// Scan implements sql.Scanner.
func (t *anyTime) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*t = anyTime{}
	case time.Time:
		*t = anyTime(v.UTC())
	case string:
		at, err := time.Parse("2006-01-02 15:04:05.999999999-07:00", v)
		*t = anyTime(at.UTC())
		return err
	default:
		return fmt.Errorf("%T is no time", v)
	}
	return nil
}

func (h *history) pool(product string) *usage.Pool {
	if h.pools[product] == nil {
		h.pools[product] = usage.NewPool()
	}
	return h.pools[product]
}

func (h *history) put(rows []*ent.Allocation) {
	for _, row := range rows {
		if h.rows[row.Handle] != nil {
			continue
		}
		h.rows[row.Handle] = row
		known := usage.Handle{
			ID: row.Handle, User: row.User, Station: row.Station, Mode: row.Mode, Asked: row.Asked, Takes: row.Licenses,
			First: row.FirstAccess.UTC(), Living: row.State == property.AllocationActive,
		}
		if row.EndedAt != nil {
			known.Ended = row.EndedAt.UTC()
		}
		h.pool(row.ProductID).Put(known)
	}
}

// findProducts gives the ids of the vendor's products by reference, in ids.
func findProducts(ctx context.Context, tx *store.Tx, vendor string, refs map[string]bool, ids map[string]string) error {
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(refs)), rowsAtOnce) {
		var codes, firms []int
		for _, ref := range chunk {
			if p, err := license.ParseProduct(ref); err == nil {
				codes, firms = append(codes, int(p.Code)), append(firms, int(p.Firm))
			}
		}
		if len(codes) == 0 {
			continue
		}
		found, err := tx.Product.Query().Where(product.VendorID(vendor), product.CodeIn(codes...), product.HasFirmWith(firm.CodeIn(firms...))).
			WithFirm().All(ctx)
		if err != nil {
			return err
		}
		for _, p := range found {
			if ref := core.ProductOf(p).String(); p.Edges.Firm != nil && refs[ref] {
				ids[ref] = p.ID
			}
		}
	}
	return nil
}

// fitHandle says whether a handle's id can be kept as it is.
func fitHandle(handle string) bool { return handle != "" && handle == core.ClipText(handle) }

// apply counts an event, in memory.
func (h *history) apply(ctx context.Context, e LeaseEvent) {
	of, known := h.products[e.Product]
	state, ends := endOf(e.Kind)
	if !known || !(fitHandle(e.Handle) || e.Kind == LeaseDenied) || e.N > core.MostNumber || !(ends || e.Kind == LeaseGranted || e.Kind == LeaseDenied) {
		h.p.core.Log.WarnContext(ctx, "a lease event was passed over", "place", h.place, "position", e.Position, "kind", core.Clip(string(e.Kind)))
		return
	}
	row := h.rows[e.Handle]
	if row != nil && e.Kind != LeaseDenied {
		of = row.ProductID
	}
	t := h.tracks.all[of]
	e.At = t.Time(core.Plausible(e.At), h.now)
	counted := usage.Event{At: e.At, Kind: usage.Kind(e.Kind)}
	switch {
	case e.Kind == LeaseDenied:
		h.denials = append(h.denials, h.denial(of, e))
	case ends:
		if row != nil && row.EndedAt != nil { // the first end counts, also where none but a person told of it
			return
		}
		if row == nil { // its beginning was lost: history knows at least its end
			row = h.make(of, e)
		}
		counted.Effect = h.pool(of).End(usage.Handle{
			ID: e.Handle, User: row.User, Station: row.Station, Mode: row.Mode, Asked: row.Asked, Takes: row.Licenses, First: row.FirstAccess,
		}, e.At)
		at := e.At
		row.State, row.EndedAt, row.EndedBy = state, &at, core.ClipText(e.By)
		h.touched[e.Handle] = true
	default:
		if row == nil {
			row = h.make(of, e)
		}
		counted.Effect = h.pool(of).Grant(usage.Handle{
			ID: e.Handle, User: row.User, Station: row.Station, Mode: row.Mode, Asked: licensesOf(e), First: row.FirstAccess,
		})
		row.State, row.Seat, row.N, row.LastAccess, row.EndedAt, row.EndedBy = property.AllocationActive, int(e.Seat), e.N, e.At, nil, ""
		row.Asked, row.Borrowed = licensesOf(e), e.Borrowed
		h.touched[e.Handle], h.granted[e.Handle] = true, true
		row.RemovalAt, row.RemovalBy, row.RemovalCode, row.RemovalMessage = nil, "", "", ""
	}
	t.Event(counted)
}

func endOf(k LeaseEventKind) (property.AllocationState, bool) {
	switch k {
	case LeaseReleased:
		return property.AllocationReleased, true
	case LeaseExpired:
		return property.AllocationExpired, true
	case LeaseRemoved:
		return property.AllocationRemoved, true
	}
	return "", false
}

func modeOf(e LeaseEvent) license.AccessMode {
	if e.Mode.Valid() {
		return e.Mode
	}
	return license.UserLimit
}

// licensesOf is how many licenses an event's program asked for.
func licensesOf(e LeaseEvent) int { return int(min(max(e.Licenses, 1), usage.MostAsked)) }

// make has a row for a handle that is not known.
func (h *history) make(of string, e LeaseEvent) *ent.Allocation {
	row := &ent.Allocation{
		ContainerID: h.container, ProductID: of, Handle: e.Handle, Mode: modeOf(e), Asked: licensesOf(e), Borrowed: e.Borrowed,
		Seat: int(e.Seat), N: e.N, Client: core.ClipText(e.Client), User: core.ClipText(e.User), Station: core.ClipText(e.Station),
		ProcessID: int(e.Process), Application: core.ClipText(e.Application), FirstAccess: e.At, LastAccess: e.At,
	}
	if row.Mode != license.NoUserLimit {
		row.Licenses = row.Asked
	}
	h.rows[e.Handle] = row
	return row
}

func (h *history) denial(of string, e LeaseEvent) *ent.DenialCreate {
	return h.tx.Denial.Create().SetVendorID(h.vendor).SetNillableCustomerID(h.customer).
		SetContainerID(h.container).SetProductID(of).SetPosition(e.Position).SetAt(e.At).
		SetReason(core.ClipText(string(e.Reason))).SetClient(core.ClipText(e.Client)).SetUser(core.ClipText(e.User)).
		SetApplication(core.ClipText(e.Application)).SetStation(core.ClipText(e.Station)).SetMode(modeOf(e)).
		SetLicenses(licensesOf(e)).SetRule(core.ClipText(e.Rule))
}

// endLost ends an allocation whose end was told by no event.
func (h *history) endLost(ctx context.Context, a *ent.Allocation, at time.Time, by string) error {
	e := LeaseEvent{Kind: LeaseRemoved, At: at, Handle: a.Handle, Product: core.ProductOf(a.Edges.Product), By: by}
	if err := h.read(ctx, []LeaseEvent{e}); err != nil {
		return err
	}
	h.apply(ctx, e)
	return h.save(ctx)
}

// save writes what has come of the events.
func (h *history) save(ctx context.Context) error {
	for product, pool := range h.pools {
		for handle, row := range h.rows {
			if row.ProductID != product {
				continue
			}
			if known := pool.Handle(handle); known != nil && known.Changed {
				row.Licenses = known.Takes
				h.touched[handle] = true
			}
		}
	}
	var fresh []*ent.AllocationCreate
	for _, handle := range slices.Sorted(maps.Keys(h.touched)) {
		row := h.rows[handle]
		if row.ID == "" {
			fresh = append(fresh, h.create(row))
		} else if err := h.update(row).Exec(ctx); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(fresh, rowsAtOnce) {
		if err := h.tx.Allocation.CreateBulk(chunk...).Exec(ctx); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(h.denials, rowsAtOnce) {
		if err := h.tx.Denial.CreateBulk(chunk...).Exec(ctx); err != nil {
			return err
		}
	}
	return h.tracks.save(ctx)
}

func (h *history) create(row *ent.Allocation) *ent.AllocationCreate {
	return h.tx.Allocation.Create().SetVendorID(h.vendor).SetNillableCustomerID(h.customer).
		SetContainerID(row.ContainerID).SetProductID(row.ProductID).SetHandle(row.Handle).SetMode(row.Mode).
		SetLicenses(row.Licenses).SetAsked(row.Asked).SetBorrowed(row.Borrowed).SetSeat(row.Seat).SetN(row.N).
		SetClient(row.Client).SetUser(row.User).SetStation(row.Station).SetProcessID(row.ProcessID).SetApplication(row.Application).
		SetState(row.State).SetFirstAccess(row.FirstAccess).SetLastAccess(row.LastAccess).
		SetNillableEndedAt(row.EndedAt).SetEndedBy(row.EndedBy)
}

func (h *history) update(row *ent.Allocation) *ent.AllocationUpdateOne {
	u := h.tx.Allocation.UpdateOneID(row.ID).SetState(row.State).SetLicenses(row.Licenses).SetAsked(row.Asked).
		SetSeat(row.Seat).SetN(row.N).SetLastAccess(row.LastAccess).SetEndedBy(row.EndedBy)
	if row.EndedAt != nil {
		u.SetEndedAt(*row.EndedAt).ClearExpiresAt()
	} else {
		u.ClearEndedAt()
	}
	if row.RemovalAt == nil { // else what its server said to it is noted meanwhile
		u.SetBorrowed(row.Borrowed).ClearRemovalAt().SetRemovalBy("").SetRemovalCode("").SetRemovalMessage("")
	}
	if h.granted[row.Handle] {
		u.ClearIdleSince().ClearNoticeAt().SetNoticeBy("").SetNoticeText("").ClearNoticeTakenAt().SetNoticeCode("").SetNoticeMessage("")
	}
	return u
}

// deniedEvery is how often at most webhooks tell of denials of one product.
const deniedEvery = time.Minute

// emitDenied tells of the first denial of each product.
func (h *history) emitDenied(ctx context.Context) error {
	told := map[string]bool{}
	for _, d := range h.denials {
		m := d.Mutation()
		product, _ := m.ProductID()
		if told[product] {
			continue
		}
		told[product] = true
		reason, _ := m.Reason()
		at, _ := m.At()
		data := map[string]any{"product": product, "container": h.container, "serial": h.serial, "reason": reason, "at": at}
		to := []string{h.vendor}
		if h.customer != nil && *h.customer != h.vendor {
			to = append(to, *h.customer)
		}
		for _, organization := range to {
			if err := h.p.core.EmitSeldom(ctx, h.tx, organization, core.EventAllocationDenied, product, deniedEvery, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// moveTo notes up to where the history is written.
func (h *history) moveTo(ctx context.Context, position uint64) error {
	h.position = position
	if core.IsGroup(h.place) {
		return h.tx.TmrGroup.UpdateOneID(h.place).SetEventPosition(position).Exec(ctx)
	}
	return h.tx.Container.UpdateOneID(h.place).SetEventPosition(position).Exec(ctx)
}
