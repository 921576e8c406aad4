package views

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/tmrview"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/store"
)

// MostViews bounds how many views one push may bring.
const MostViews = 1000

// viewsKept is how many views of a group are kept, the newest: who watches a
// group is rarely more than one behind.
const viewsKept = 1000

// ViewPush is what the leading TMR server of a group tells of it.
type ViewPush struct {
	// Epoch is the leader's. One older than what the platform has seen is of a
	// server that leads no more.
	Epoch  uint64
	Views  []PushedView // in order, none left out
	Health []BackendHealth
	// Clients is how many handles live.
	Clients int
}

// PushedView is one view of the group. Its own Version counts.
type PushedView struct {
	View license.View
	At   time.Time // by the server's clock
}

// BackendHealth is how the TMR server reaches a backend.
type BackendHealth struct {
	Position int
	Serial   string
	Address  string
	Presence license.Presence
	SeenAt   time.Time // zero: never
}

// ApplyView stores a group's views, each one and in order, and makes the last
// one the group's state. The newest thousand stay. It returns the last version that the platform has of
// this epoch, 0 when none: the server goes on after it. Doing it twice has the
// effect of once; after a gap in the versions nothing more is taken; a push of
// an older epoch changes nothing. Errors: CodeUnauthenticated, CodeForbidden
// for another group than the caller's, CodeInvalidInput.
func (p *Service) ApplyView(ctx context.Context, group string, push ViewPush) (uint64, error) {
	if err := core.RequireServer(ctx, group); err != nil {
		return 0, err
	}
	if err := checkPush(push); err != nil {
		return 0, err
	}
	ctx = core.System(ctx, "link")
	g, err := p.core.Store.Client().TmrGroup.Get(ctx, group)
	if err != nil {
		return 0, core.NotFound(err, "TMR group", group)
	}
	if push.Epoch < g.ViewEpoch {
		return 0, nil
	}
	if nothingNew(g, push) {
		return g.ViewVersion, nil
	}
	var version uint64
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		g, err := tx.TmrGroup.Query().Where(tmrgroup.ID(group), store.Locked).Only(ctx)
		if err != nil {
			return err
		}
		if push.Epoch < g.ViewEpoch {
			version = 0
			return nil
		}
		version, err = p.applyView(ctx, tx, g, push)
		return err
	})
	return version, err
}

func checkPush(push ViewPush) error {
	if len(push.Views) > MostViews {
		return license.Errorf(license.CodeTooLarge, "push at most 1000 views at once", "%d views are too many", len(push.Views))
	}
	if push.Epoch > core.MostNumber {
		return core.NumberTooLarge("epoch", push.Epoch)
	}
	var last uint64
	for _, v := range push.Views {
		if v.View.Version > core.MostNumber {
			return core.NumberTooLarge("version", v.View.Version)
		}
		if v.View.Version <= last {
			return license.Errorf(license.CodeInvalidInput, "push views in their order", "the views are not in order")
		}
		last = v.View.Version
	}
	for _, h := range push.Health {
		if h.Position < 1 || h.Position > license.Backends {
			return license.Errorf(license.CodeInvalidInput, "number the backends 1 to 3", "there is no backend %d", h.Position)
		}
	}
	return nil
}

// nothingNew says whether a push would change only how long ago things were
// seen, by less than is worth a write.
func nothingNew(g *ent.TmrGroup, push ViewPush) bool {
	if push.Epoch != g.ViewEpoch || push.Clients != g.Clients || g.LinkedAt == nil || time.Since(*g.LinkedAt) > core.SeenEvery {
		return false
	}
	if n := len(push.Views); n > 0 && push.Views[n-1].View.Version > g.ViewVersion {
		return false
	}
	for _, b := range overlayHealth(g.Backends, push.Health) {
		i := slices.IndexFunc(g.Backends, func(c property.Backend) bool { return c.Position == b.Position })
		if i < 0 || g.Backends[i].Serial != b.Serial || g.Backends[i].Address != b.Address {
			return false
		}
	}
	return true
}

func (p *Service) applyView(ctx context.Context, tx *store.Tx, g *ent.TmrGroup, push ViewPush) (uint64, error) {
	if push.Epoch > g.ViewEpoch {
		g.ViewEpoch, g.ViewVersion = push.Epoch, 0
	}
	fresh, before := 0, g.Backends
	var changed []history.Quantities
	for _, v := range push.Views {
		version := v.View.Version
		if version <= g.ViewVersion {
			continue
		}
		// A leader's first view may have any version: it watched before it led.
		if g.ViewVersion != 0 && version != g.ViewVersion+1 {
			break
		}
		if len(g.Backends) == 0 {
			if err := nameBackends(ctx, tx, g); err != nil {
				return 0, err
			}
		}
		payload := groupView(v.View, overlayHealth(g.Backends, push.Health))
		at := core.Plausible(v.At)
		if q := quantitiesOf(payload.Licenses); !maps.Equal(q, quantitiesOf(g.Licenses)) {
			changed = append(changed, history.Quantities{At: at, Of: q})
		}
		g.ViewVersion = version
		g.Sequence++
		g.ViewedAt, g.Status, g.Quantity, g.TmrID = &at, payload.Status, payload.Quantity, payload.TmrID
		g.Backends, g.Licenses = payload.Backends, payload.Licenses
		if err := tx.TmrView.Create().SetVendorID(g.VendorID).SetNillableCustomerID(g.CustomerID).SetTmrGroupID(g.ID).
			SetSequence(g.Sequence).SetEpoch(push.Epoch).SetVersion(version).SetAt(at).SetPayload(payload).Exec(ctx); err != nil {
			return 0, err
		}
		fresh++
	}
	g.Backends = overlayHealth(g.Backends, push.Health)
	news := fresh > 0 || g.Clients != push.Clients || !core.Linked(g)
	update := tx.TmrGroup.UpdateOneID(g.ID).SetViewEpoch(g.ViewEpoch).SetViewVersion(g.ViewVersion).SetSequence(g.Sequence).
		SetNillableViewedAt(g.ViewedAt).SetStatus(g.Status).SetQuantity(g.Quantity).SetBackends(g.Backends).
		SetLicenses(g.Licenses).SetClients(max(push.Clients, 0)).SetLinkedAt(core.Now())
	if g.TmrID != nil {
		update.SetTmrID(*g.TmrID)
	} else {
		update.ClearTmrID()
	}
	if err := update.Exec(ctx); err != nil {
		return 0, err
	}
	if news {
		p.core.Publish(ctx, tx, event.TmrGroup, g.ID)
	}
	if fresh == 0 {
		return g.ViewVersion, nil
	}
	if err := p.emitBackends(ctx, tx, g, before); err != nil {
		return 0, err
	}
	if len(changed) > 0 {
		virtual, err := tx.Container.Query().Where(container.Serial(g.VirtualSerial)).FirstID(ctx)
		if ent.IsNotFound(err) { // nothing can be used of it
			changed = nil
		} else if err != nil {
			return 0, err
		}
		if err := history.NoteQuantities(ctx, history.NewTracks(tx, g.VendorID, g.CustomerID, virtual), changed); err != nil {
			return 0, err
		}
	}
	if old := g.Sequence - viewsKept; old > 0 {
		if _, err := tx.TmrView.Delete().Where(tmrview.TmrGroupID(g.ID), tmrview.SequenceLTE(old)).Exec(ctx); err != nil {
			return 0, err
		}
	}
	return g.ViewVersion, p.tellRollout(ctx, tx, g.ID)
}

// emitBackends tells which backends are lost, or reached again, since before. Of
// a group that was never seen nothing is lost.
func (p *Service) emitBackends(ctx context.Context, tx *store.Tx, g *ent.TmrGroup, before []property.Backend) error {
	present := 0
	for _, b := range g.Backends {
		if b.State != property.BackendAbsent {
			present++
		}
	}
	for _, b := range g.Backends {
		i := slices.IndexFunc(before, func(old property.Backend) bool { return old.Position == b.Position })
		if i < 0 || (before[i].State == property.BackendAbsent) == (b.State == property.BackendAbsent) {
			continue
		}
		kind := core.EventBackendRejoined
		if b.State == property.BackendAbsent {
			kind = core.EventBackendLost
		}
		if err := p.core.EmitShared(ctx, tx, g.VendorID, g.CustomerID, kind, map[string]any{
			"tmrGroup": g.ID, "virtualSerial": g.VirtualSerial, "position": b.Position, "serial": b.Serial, "present": present,
		}); err != nil {
			return err
		}
	}
	return nil
}

// quantitiesOf are how many licenses are in force, by product.
func quantitiesOf(all []property.TmrLicense) map[string]int64 {
	out := map[string]int64{}
	for _, l := range all {
		if l.InForce {
			out[l.Product] += int64(l.Quantity)
		}
	}
	return out
}

// tellRollout has a rollout that may wait for the view, or for a new backend at
// the TMR servers, go on.
func (p *Service) tellRollout(ctx context.Context, tx *store.Tx, group string) error {
	id, err := tx.Rollout.Query().
		Where(rollout.TmrGroupID(group), rollout.Running(true), rollout.StateIn(property.RolloutConfirming, property.RolloutCollecting)).OnlyID(ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.core.Jobs.EnqueueTx(ctx, tx.SQL(), tasks.AdvanceRollout{Rollout: id})
}

// nameBackends gives a group that was never seen its backends' serials.
func nameBackends(ctx context.Context, tx *store.Tx, g *ent.TmrGroup) error {
	found, err := tx.Container.Query().
		Where(container.TmrGroupID(g.ID), container.PositionNotNil()).Order(ent.Asc(container.FieldPosition)).All(ctx)
	if err != nil {
		return err
	}
	for _, c := range found {
		g.Backends = append(g.Backends, property.Backend{Position: *c.Position, Serial: c.Serial, State: property.BackendAbsent})
	}
	return nil
}

// overlayHealth gives the three backends with the addresses and times of health.
func overlayHealth(backends []property.Backend, health []BackendHealth) []property.Backend {
	out := make([]property.Backend, license.Backends)
	for i := range out {
		out[i] = property.Backend{Position: i + 1, State: property.BackendAbsent}
	}
	for _, b := range backends {
		if b.Position >= 1 && b.Position <= license.Backends {
			out[b.Position-1] = b
		}
	}
	for _, h := range health {
		b := &out[h.Position-1]
		if h.Serial != "" {
			b.Serial = core.Clip(h.Serial)
		}
		if h.Address != "" {
			b.Address = core.ClipText(h.Address)
		}
		if !h.SeenAt.IsZero() {
			at := h.SeenAt.UTC().Truncate(time.Millisecond)
			b.SeenAt = &at
		}
	}
	return out
}

// groupView is what a view shows: its headline for the backends, and each license.
func groupView(v license.View, backends []property.Backend) property.GroupView {
	out := property.GroupView{Status: v.Status(), Backends: backends}
	head, any := v.Headline()
	if any && head.InForce {
		out.Quantity, out.TmrID = int(head.Options.Quantity), optional(head.Options.TMRID)
	}
	for i := range out.Backends {
		b := &out.Backends[i]
		b.State = backendState(v.Backends[i])
		b.TmrID, b.Quantity, b.InForce = nil, nil, false
		if cell := head.Cells[i]; any && cell.Shown() {
			q := int(cell.Quantity)
			b.TmrID, b.Quantity, b.InForce = optional(cell.TMRID), &q, cell.InForce
		}
	}
	for _, l := range v.Licenses {
		shown := property.TmrLicense{
			Product: l.Product.String(), Name: l.Name, InForce: l.InForce, Conflict: l.Conflict,
			Unanimous: l.Unanimous(), Status: l.Status(),
		}
		if l.InForce {
			shown.Quantity, shown.TmrID, shown.FeatureMap = int(l.Options.Quantity), optional(l.Options.TMRID), l.Options.FeatureMap
			if !l.Options.Expiration.IsZero() {
				at := l.Options.Expiration.UTC()
				shown.Expiration = &at
			}
		}
		out.Licenses = append(out.Licenses, shown)
	}
	return out
}

func optional(n uint32) *int {
	if n == 0 {
		return nil
	}
	i := int(n)
	return &i
}

func backendState(p license.Presence) property.BackendState {
	switch p {
	case license.Present:
		return property.BackendPresent
	case license.Activating:
		return property.BackendActivating
	}
	return property.BackendAbsent
}

// ViewsAfter gives up to most views of a group after a sequence number, oldest
// first: who watches a group sees each one, unless he is further behind than
// views are kept (see ApplyView).
func (p *Service) ViewsAfter(ctx context.Context, group string, sequence, most int) ([]*ent.TmrView, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	return c.TmrView.Query().Where(tmrview.TmrGroupID(group), tmrview.SequenceGT(sequence)).
		Order(ent.Asc(tmrview.FieldSequence)).Limit(most).All(ctx)
}

// GroupAt gives the group as a view showed it. Everything that is not in a view
// (clients, link) is g's.
func GroupAt(g *ent.TmrGroup, v *ent.TmrView) *ent.TmrGroup {
	at, out := v.At, *g
	out.Sequence, out.ViewedAt, out.ViewEpoch, out.ViewVersion = v.Sequence, &at, v.Epoch, v.Version
	out.Status, out.Quantity, out.TmrID = v.Payload.Status, v.Payload.Quantity, v.Payload.TmrID
	out.Backends, out.Licenses = v.Payload.Backends, v.Payload.Licenses
	return &out
}

// Health is the verdict on a group in one word.
func Health(g *ent.TmrGroup) property.TmrHealth {
	if !core.Linked(g) {
		return property.HealthUnknown
	}
	present := 0
	for _, b := range g.Backends {
		if b.State != property.BackendAbsent {
			present++
		}
	}
	switch {
	case g.Sequence > 0 && present < license.Majority:
		return property.HealthNoMajority
	case len(g.Licenses) == 0:
		return property.HealthEmpty
	case slices.ContainsFunc(g.Licenses, func(l property.TmrLicense) bool { return !l.InForce }):
		return property.HealthNoMajority
	case slices.ContainsFunc(g.Licenses, func(l property.TmrLicense) bool { return !l.Unanimous }):
		return property.HealthNoSpare
	}
	return property.HealthFullyRedundant
}

// ServerRole is what a TMR server does now.
func ServerRole(s *ent.TmrServer) property.TmrServerRole {
	switch {
	case !core.Heard(s.SeenAt):
		return property.ServerDown
	case s.Leading:
		return property.ServerActive
	}
	return property.ServerStandby
}
