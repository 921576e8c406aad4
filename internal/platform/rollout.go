package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/predicate"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/store"
)

// StartRollout rolls out what was ordered for a group and was not yet given to
// a rollout: the orders of one firm, that of the oldest of them. The firm's
// products whose items were changed since they were rolled out to the group go
// along; without any order due, they alone make a rollout. While another
// rollout of the group is running, this one is queued. group is the global id
// or the virtual container's serial number. The same key gives the same
// rollout; an empty one is no key. Errors: license.CodeNotFound,
// CodeForbidden, CodeInvalidInput, CodeRolloutUpToDate.
func (p *Platform) StartRollout(ctx context.Context, group, key string) (*ent.Rollout, error) {
	who, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return nil, err
	}
	if len(key) > 200 {
		return nil, license.Errorf(license.CodeInvalidInput, "use at most 200 bytes, for example a UUID", "the idempotency key is too long")
	}
	var row *ent.Rollout
	err = p.store.WithTx(ctx, func(tx *store.Tx) error {
		// The lock on the group makes starts take turns, and no other change of
		// which rollout is running happens meanwhile.
		g, err := tx.TmrGroup.Query().Where(groupIs(group), lockedGroup).Only(ctx)
		if err != nil {
			return notFound(err, "TMR group", group)
		}
		caller := ctx
		ctx := system(ctx, "rollout") // the group is the caller's: the rest is the platform's business
		if key != "" {
			row, err = tx.Rollout.Query().Where(entrollout.TmrGroupID(g.ID), entrollout.IdempotencyKey(key)).Only(ctx)
			if err == nil || !ent.IsNotFound(err) {
				return err
			}
		}
		row, err = p.newRollout(ctx, tx, g, who, key, nil)
		if err != nil {
			return err
		}
		return audit(caller, tx, auditOwner(who, row.VendorID), "rollout.start", row.ID, nil, rolloutFacts(row))
	})
	if err != nil {
		return nil, err
	}
	return row, nil
}

// newRollout makes the group's next rollout: an offline one where the three
// fingerprints of a request file are given, which can't be queued.
func (p *Platform) newRollout(ctx context.Context, tx *store.Tx, g *ent.TmrGroup, who auth.Principal, key string, request *[license.Backends]rollout.Found) (*ent.Rollout, error) {
	due, err := dueOrders(ctx, tx, g.ID)
	if err != nil {
		return nil, err
	}
	changed, err := changedProducts(ctx, tx, g.ID)
	if err != nil {
		return nil, err
	}
	var firm *ent.Firm
	switch {
	case len(due) > 0:
		firm = due[0].Edges.Item.Edges.Product.Edges.Firm
	case len(changed) > 0:
		firm = changed[0].Edges.Firm
	default:
		return nil, license.Errorf(license.CodeRolloutUpToDate, "order licenses or change their item first",
			"everything that was ordered for %s is rolled out or in a rollout", g.VirtualSerial)
	}
	var ids, products []string
	for _, o := range due {
		if o.Edges.Item.Edges.Product.FirmID == firm.ID {
			ids = append(ids, o.ID)
		}
	}
	for _, q := range changed {
		if q.FirmID == firm.ID {
			products = append(products, q.ID)
		}
	}
	if g.NextTmrID >= math.MaxUint32 {
		return nil, license.Errorf(license.CodeConflict, "set up a new TMR group", "the group %s has no TMR-ID left", g.VirtualSerial)
	}
	if err := tx.TmrGroup.UpdateOne(g).AddNextTmrID(1).Exec(ctx); err != nil {
		return nil, err
	}
	number := 1
	last, err := tx.Rollout.Query().Where(entrollout.TmrGroupID(g.ID)).Order(ent.Desc(entrollout.FieldNumber)).First(ctx)
	switch {
	case err == nil:
		number = last.Number + 1
	case !ent.IsNotFound(err):
		return nil, err
	}
	create := tx.Rollout.Create().
		SetVendorID(g.VendorID).SetNillableCustomerID(g.CustomerID).SetTmrGroupID(g.ID).
		SetNumber(number).SetState(property.RolloutQueued).SetTmrID(g.NextTmrID).SetFirm(firm.Code).SetProducts(products).
		SetStartedBy(displayName(who))
	if key != "" {
		create.SetIdempotencyKey(key)
	}
	row, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}
	if err := tx.Order.Update().Where(order.IDIn(ids...)).SetRolloutID(row.ID).Exec(ctx); err != nil {
		return nil, err
	}
	s := rollout.New()
	// One that is queued goes first, also when none is running just now.
	busy, err := tx.Rollout.Query().Where(entrollout.TmrGroupID(g.ID), entrollout.IDNEQ(row.ID),
		entrollout.Or(entrollout.Running(true), entrollout.StateEQ(property.RolloutQueued))).Exist(ctx)
	if err != nil {
		return nil, err
	}
	terms, err := rolloutTerms(ctx, tx, row)
	if err != nil {
		return nil, err
	}
	switch {
	case request != nil:
		if s, err = startedOffline(s, busy, terms, *request); err != nil {
			return nil, err
		}
	case !busy:
		if s, err = rollout.Next(s, rollout.Started{At: now(), Terms: terms}); err != nil {
			return nil, err
		}
	}
	row, err = p.saveRollout(ctx, tx, row, s, row.Epoch, terms)
	if err != nil {
		return nil, err
	}
	return row, p.jobs.EnqueueTx(ctx, tx.SQL(), AdvanceRollout{row.ID})
}

// dueOrders are a group's orders that no rollout has, oldest first.
func dueOrders(ctx context.Context, tx *store.Tx, group string) ([]*ent.Order, error) {
	return tx.Order.Query().Where(order.TmrGroupID(group), order.RolloutIDIsNil()).
		Order(ent.Asc(order.FieldNumber)).
		WithItem(func(q *ent.ItemQuery) { q.WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }) }).All(ctx)
}

// rolloutTerms are the licenses that a rollout brings: for each product of its
// orders, and each whose changed terms it brings, what orderedOptions makes of
// all that was ordered up to it and not given up.
func rolloutTerms(ctx context.Context, tx *store.Tx, row *ent.Rollout) ([]license.License, error) {
	orders, err := givenOrders(ctx, tx, row.TmrGroupID, entrollout.NumberLTE(row.Number))
	if err != nil {
		return nil, err
	}
	products := row.Products
	for _, o := range slices.Backward(orders) { // what was ordered goes first
		if *o.RolloutID == row.ID {
			products = append([]string{o.Edges.Item.ProductID}, products...)
		}
	}
	var terms []license.License
	of := byProduct(orders)
	for i, id := range products {
		if slices.Contains(products[:i], id) || len(of[id]) == 0 {
			continue
		}
		product := of[id][0].Edges.Item.Edges.Product
		l := license.License{Product: productOf(product), Name: product.Name, Options: orderedOptions(of[id])}
		l.Options.TMRID = uint32(row.TmrID)
		terms = append(terms, l)
	}
	return terms, nil
}

// givenOrders are a group's orders that rollouts have which were not given up,
// oldest first.
func givenOrders(ctx context.Context, tx *store.Tx, group string, where ...predicate.Rollout) ([]*ent.Order, error) {
	where = append(where, entrollout.StateNEQ(property.RolloutAborted))
	return tx.Order.Query().Where(order.TmrGroupID(group), order.HasRolloutWith(where...)).
		Order(ent.Asc(order.FieldNumber)).
		WithItem(func(q *ent.ItemQuery) { q.WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }) }).All(ctx)
}

func byProduct(orders []*ent.Order) map[string][]*ent.Order {
	of := map[string][]*ent.Order{}
	for _, o := range orders {
		id := o.Edges.Item.ProductID
		of[id] = append(of[id], o)
	}
	return of
}

// changedProducts are a group's products whose terms would be others now than
// those of the last rollout that brought them or is bringing them. A queued one
// takes the terms that are valid when its turn comes.
func changedProducts(ctx context.Context, tx *store.Tx, group string) ([]*ent.Product, error) {
	orders, err := givenOrders(ctx, tx, group)
	if err != nil {
		return nil, err
	}
	wanted := map[string]license.Options{}
	var open []*ent.Product // not found in a rollout yet
	of := byProduct(orders)
	for _, o := range orders {
		product := o.Edges.Item.Edges.Product
		if _, seen := wanted[product.ID]; !seen {
			wanted[product.ID] = orderedOptions(of[product.ID])
			open = append(open, product)
		}
	}
	const page = 50
	var changed []*ent.Product
	for before := math.MaxInt; len(open) > 0; {
		rows, err := tx.Rollout.Query().
			Where(entrollout.TmrGroupID(group), entrollout.StateNEQ(property.RolloutAborted), entrollout.NumberLT(before)).
			Order(ent.Desc(entrollout.FieldNumber)).Limit(page).WithOrders(func(q *ent.OrderQuery) { q.WithItem() }).All(ctx)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			before = row.Number
			terms, err := givenTerms(row)
			if err != nil {
				return nil, err
			}
			open = slices.DeleteFunc(open, func(q *ent.Product) bool {
				if row.State == property.RolloutQueued {
					return slices.Contains(row.Products, q.ID) ||
						slices.ContainsFunc(row.Edges.Orders, func(o *ent.Order) bool { return o.Edges.Item.ProductID == q.ID })
				}
				o, found := terms[productOf(q)]
				o.TMRID = 0
				if found && !o.Equal(wanted[q.ID]) {
					changed = append(changed, q)
				}
				return found
			})
		}
		if len(rows) < page {
			break
		}
	}
	return changed, nil
}

// givenTerms are the terms that a rollout took at its start.
func givenTerms(row *ent.Rollout) (map[license.Product]license.Options, error) {
	if row.State == property.RolloutQueued || len(row.Machine) == 0 {
		return nil, nil
	}
	s, err := rolloutState(row)
	if err != nil {
		return nil, err
	}
	terms := map[license.Product]license.Options{}
	for _, l := range s.Terms {
		terms[l.Product] = l.Options
	}
	return terms, nil
}

func productOf(p *ent.Product) license.Product {
	return license.Product{Firm: license.FirmCode(p.Edges.Firm.Code), Code: license.ProductCode(p.Code)}
}

// RetryRollout tries a held rollout's failed step again. Errors:
// license.CodeNotFound, CodeForbidden, CodeRolloutState.
func (p *Platform) RetryRollout(ctx context.Context, id string) (*ent.Rollout, error) {
	return p.decideRollout(ctx, id, "rollout.retry", rollout.Retried{At: now()})
}

// AbortRollout gives a rollout up before its first activation; its orders may
// then be rolled out by another one. Giving up twice is no error. Errors:
// license.CodeNotFound, CodeForbidden, CodeRolloutState.
func (p *Platform) AbortRollout(ctx context.Context, id string) (*ent.Rollout, error) {
	return p.decideRollout(ctx, id, "rollout.abort", rollout.GivenUp{At: now()})
}

func (p *Platform) decideRollout(ctx context.Context, id, action string, e rollout.Event) (*ent.Rollout, error) {
	who, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return nil, err
	}
	var row *ent.Rollout
	err = p.store.WithTx(ctx, func(tx *store.Tx) error {
		row, err = tx.Rollout.Query().Where(entrollout.ID(id), lockedRollout).Only(ctx)
		if err != nil {
			return notFound(err, "rollout", id)
		}
		before := rolloutFacts(row)
		caller := ctx
		ctx := system(ctx, "rollout")
		s, err := rolloutState(row)
		if err != nil {
			return err
		}
		n, err := rollout.Next(s, e)
		if err != nil || n.Sequence == s.Sequence {
			return err
		}
		if n.Phase == rollout.Aborted {
			if err := p.withdraw(ctx, tx, row); err != nil {
				return err
			}
		}
		if row, err = p.saveRollout(ctx, tx, row, n, row.Epoch, nil); err != nil {
			return err
		}
		if err := p.jobs.EnqueueTx(ctx, tx.SQL(), AdvanceRollout{row.ID}); err != nil {
			return err
		}
		return audit(caller, tx, auditOwner(who, row.VendorID), action, row.ID, before, rolloutFacts(row))
	})
	if err != nil {
		return nil, err
	}
	return row, nil
}

// withdraw takes back what a rollout that is given up has made: no container
// has any of it in force. Its updates go, since the next rollout issues others
// under the same numbers; the TMR-ID is not used again.
func (p *Platform) withdraw(ctx context.Context, tx *store.Tx, row *ent.Rollout) error {
	if err := tx.Order.Update().Where(order.RolloutID(row.ID)).ClearRolloutID().Exec(ctx); err != nil {
		return err
	}
	if _, err := tx.Update.Delete().Where(update.RolloutID(row.ID)).Exec(ctx); err != nil {
		return err
	}
	return tx.Work.Update().Where(work.RolloutID(row.ID), work.StateEQ(property.WorkPending)).
		SetState(property.WorkFailed).SetErrorCode(string(license.CodeRolloutState)).
		SetErrorMessage("the rollout was given up").SetDoneAt(now()).Exec(ctx)
}

// rolloutState reads the state machine's record.
func rolloutState(row *ent.Rollout) (rollout.State, error) {
	var s rollout.State
	if err := json.Unmarshal(row.Machine, &s); err != nil {
		return rollout.State{}, fmt.Errorf("the record of the rollout %s can't be read: %w", row.ID, err)
	}
	return s, nil
}

// saveRollout writes a rollout's state with all that is shown of it, under an
// epoch. terms may be nil once the state has them. When the rollout ends, the
// next one of the group gets its turn. Subscribers hear of it after the commit.
func (p *Platform) saveRollout(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, epoch uint64, terms []license.License) (*ent.Rollout, error) {
	machine, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if s.Phase != rollout.Queued {
		terms = s.Terms
	}
	steps := make([]property.RolloutStep, len(s.Steps))
	for i, step := range s.Steps {
		steps[i] = property.RolloutStep{
			Position: i + 1, State: property.RolloutStepState(step.State), Note: clipNote(step.Note),
			StartedAt: step.StartedAt, FinishedAt: step.FinishedAt,
		}
	}
	change := tx.Rollout.UpdateOne(row).
		SetState(property.RolloutState(s.Phase)).SetMachine(machine).SetSteps(steps).SetEpoch(epoch).
		SetSequence(int(s.Sequence)).SetRunning(s.Phase != rollout.Queued && !s.Phase.Ended()).
		SetNillableFinishedAt(s.EndedAt)
	if len(terms) > 0 {
		change.SetQuantity(int(terms[0].Options.Quantity))
	}
	if b := s.Blocker(); b != "" {
		change.SetBlocker(clipNote(b))
	} else {
		change.ClearBlocker()
	}
	if s.Hold != nil {
		change.SetErrorCode(string(s.Hold.Code)).SetErrorMessage(clipNote(s.Hold.Message))
	} else {
		change.ClearErrorCode().ClearErrorMessage()
	}
	saved, err := change.Save(ctx)
	if err != nil {
		return nil, err
	}
	if s.Phase.Ended() {
		if err := p.nextRollout(ctx, tx, saved); err != nil {
			return nil, err
		}
	}
	p.publish(ctx, tx, event.Rollout, saved.ID)
	p.publish(ctx, tx, event.TmrGroup, saved.TmrGroupID)
	return saved, nil
}

// nextRollout has a worker look at the group's oldest queued rollout. The lock
// on the group keeps a start that is just looking for a running one from
// missing this end.
func (p *Platform) nextRollout(ctx context.Context, tx *store.Tx, ended *ent.Rollout) error {
	if _, err := tx.TmrGroup.Query().Where(tmrgroup.ID(ended.TmrGroupID), lockedGroup).Only(ctx); err != nil {
		return err
	}
	next, err := queuedRollout(ctx, tx, ended.TmrGroupID)
	if err != nil || next == nil {
		return err
	}
	return p.jobs.EnqueueTx(ctx, tx.SQL(), AdvanceRollout{next.ID})
}

// queuedRollout is the group's oldest queued rollout, or nil.
func queuedRollout(ctx context.Context, tx *store.Tx, group string) (*ent.Rollout, error) {
	row, err := tx.Rollout.Query().Where(entrollout.TmrGroupID(group), entrollout.StateEQ(property.RolloutQueued)).
		Order(ent.Asc(entrollout.FieldNumber)).First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return row, err
}

// displayName is how people are told who did something.
func displayName(who auth.Principal) string {
	if who.Name != "" {
		return who.Name
	}
	if who.Email != "" {
		return who.Email
	}
	return who.Actor()
}

func rolloutFacts(row *ent.Rollout) map[string]any {
	return map[string]any{"state": row.State, "tmrId": row.TmrID, "quantity": row.Quantity, "number": row.Number}
}

// clipNote makes a text, which may be a server's, fit a column for notes.
func clipNote(s string) string {
	const most = 2000
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-3], "") + "…"
	}
	return s
}

func lockedRollout(s *sql.Selector) { store.Locked(s) }
func lockedGroup(s *sql.Selector)   { store.Locked(s) }

func groupIs(idOrSerial string) predicate.TmrGroup {
	return tmrgroup.Or(tmrgroup.ID(idOrSerial), tmrgroup.VirtualSerial(idOrSerial))
}
