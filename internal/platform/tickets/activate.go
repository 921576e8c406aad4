package tickets

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/ticketactivation"
	"github.com/quorate/quorate/ent/ticketline"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/store"
)

// mostActivations bounds those of one call; an idempotency key remembers as many.
const mostActivations = 40

// Share is so many licenses of one of a ticket's lines.
type Share struct {
	Line     string // the line's id, or its item's
	Quantity int
}

// Target is where something is activated, and how much.
type Target struct {
	At     core.Place
	Shares []Share // none: all that is left
}

// Activation asks for a ticket, or a part of it, at some places.
type Activation struct {
	Code    string
	Targets []Target
	// Wait leaves it to somebody else to start the rollouts.
	Wait bool
	// Request is the text of the request file of the one place, to activate by
	// files.
	Request string
	// IdempotencyKey: the same key activates once; empty is no key.
	IdempotencyKey string
}

// Activated is what came of it.
type Activated struct {
	Ticket      *ent.Ticket
	Activations []*ent.TicketActivation
	Rollouts    []*ent.Rollout
	// Update is the text of the update file, of an activation by files.
	Update string
	// Problem is why the rollout by files could not be begun. The licenses are
	// activated all the same.
	Problem *license.Error
}

// ActivateTicket makes orders of a ticket, or of a part of it, and has rollouts
// bring them: all of that in one transaction. A ticket that is nobody's becomes
// that of the place's customer. By files the rollout begins after it, and may be
// asked for again with the same key, or by StartOfflineRollout. Errors:
// CodeInvalidInput, CodeNotFound, CodeForbidden, CodeTicketExpired,
// CodeTicketRevoked, CodeTicketUsedUp, CodeContainerBlocked, CodeConflict,
// CodeUpdateForeign, CodeThrottled.
func (p *Service) ActivateTicket(ctx context.Context, a Activation) (Activated, error) {
	by, err := auth.Require(ctx, auth.Order)
	if err != nil {
		return Activated{}, err
	}
	if !a.Wait {
		if by, err = auth.Require(ctx, auth.RunRollout); err != nil {
			return Activated{}, err
		}
	}
	if err := a.check(); err != nil {
		return Activated{}, err
	}
	found, err := p.byCode(ctx, by, a.Code)
	if err != nil {
		return Activated{}, err
	}
	var out Activated
	var at core.Place
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		w := activating{p: p, tx: tx, by: by, caller: ctx, asked: a, ticket: found}
		ids, err := w.run()
		if err != nil {
			return err
		}
		at = a.Targets[0].At
		out, err = w.outcome(core.System(ctx, "ticket"), ids)
		return err
	})
	if err != nil || a.Request == "" {
		return out, err
	}
	begun, err := p.rollouts.StartOfflineRollout(ctx, at, a.Request)
	switch problem := new(license.Error); {
	case errors.As(err, &problem):
		out.Problem = problem
	case err != nil:
		p.core.Log.ErrorContext(ctx, "a ticket's rollout by files was not begun", "ticket", found.ID, "error", err)
		out.Problem = license.Public(err)
	default:
		out.Update, out.Rollouts = begun.Update, []*ent.Rollout{begun.Row}
	}
	return out, nil
}

func (a Activation) check() error {
	n := 0
	for _, t := range a.Targets {
		n += max(len(t.Shares), 1)
		if len(t.Shares) == 0 && len(a.Targets) > 1 {
			return invalid("places", "give lines for each place", "it is not said how much each of %d places gets", len(a.Targets))
		}
		for _, s := range t.Shares {
			if s.Quantity < 1 || s.Quantity > mostQuantity {
				return invalid("places", "give 1 to 1000000", "a quantity of %d can't be activated", s.Quantity)
			}
		}
	}
	switch {
	case n == 0 || n > mostActivations:
		return invalid("places", "give 1 to 40 places and lines in all", "%d activations can't be made at once", n)
	case a.Request != "" && len(a.Targets) != 1:
		return invalid("request", "activate one place after the other", "a request file is of one place")
	case a.Request != "" && a.Wait:
		return invalid("request", "leave the file out, or have the rollout begin", "a request file is for the rollout")
	}
	return nil
}

// activating is one call in one transaction. Locks are taken in this order: items,
// places, the vendor's orders, the ticket.
type activating struct {
	p      *Service
	tx     *store.Tx
	by     auth.Principal
	caller context.Context //nolint:containedctx // whose right it is to see the places
	asked  Activation
	ticket *ent.Ticket
	places []core.LoadedPlace
}

func (w *activating) run() ([]string, error) {
	if err := w.find(); err != nil {
		return nil, err
	}
	type input struct {
		Ticket string
		Places []string
		Shares [][]Share
		Wait   bool
		Files  bool
	}
	in := input{Ticket: w.ticket.ID, Wait: w.asked.Wait, Files: w.asked.Request != ""}
	for i, t := range w.places {
		in.Places, in.Shares = append(in.Places, t.ID()), append(in.Shares, w.asked.Targets[i].Shares)
	}
	ctx := core.System(w.caller, "ticket")
	ids, _, err := core.Once(ctx, w.tx, core.AuditOwner(w.by, w.ticket.VendorID), "activateTicket", w.asked.IdempotencyKey, in, func() ([]string, error) {
		return w.activate(ctx)
	})
	return ids, err
}

// find resolves the places, among those that the caller may see.
func (w *activating) find() error {
	for _, target := range w.asked.Targets {
		t, err := core.FindPlace(w.caller, w.tx, target.At)
		if err != nil {
			return core.AtField("places", err)
		}
		switch {
		case t.Vendor() != w.ticket.VendorID:
			return invalid("places", "name a place that got its licenses from the ticket's vendor", "%s is another vendor's than the ticket", t.Serial())
		case slices.ContainsFunc(w.places, func(o core.LoadedPlace) bool { return o.ID() == t.ID() }):
			return invalid("places", "give all lines of a place at once", "%s is there twice", t.Serial())
		}
		w.places = append(w.places, t)
	}
	if w.asked.Request == "" {
		return nil
	}
	f, parts, err := core.ParseFile(armor.Request, w.asked.Request)
	if err != nil {
		return core.AtField("request", err)
	}
	t, of := w.places[0], f.Group.String()
	if f.Group.IsZero() {
		of = parts[0].Serial.String()
	}
	if of != t.Serial() || t.Single() != f.Group.IsZero() {
		return core.AtField("request", license.Errorf(license.CodeUpdateForeign, "give the request file of "+t.Serial(), "that is a request of %s", of))
	}
	return nil
}

// mine says whether the ticket is for the place.
func (w *activating) mine(t core.LoadedPlace) error {
	of, at := w.ticket.CustomerID, t.Customer()
	switch {
	case of != nil && (at == nil || *at != *of):
		return invalid("places", "name a container or a TMR group of that customer", "the ticket is another customer's than %s", t.Serial())
	case of == nil && !w.by.IsSystem() && w.by.Organization != w.ticket.VendorID && (at == nil || *at != w.by.Organization):
		return invalid("places", "name a container or a TMR group of your own", "%s is not yours", t.Serial())
	}
	return nil
}

func (w *activating) activate(ctx context.Context) ([]string, error) {
	items := make([]string, len(w.ticket.Edges.Lines))
	for i, l := range w.ticket.Edges.Lines {
		items[i] = l.ItemID
	}
	if _, err := w.tx.Item.Query().Where(item.IDIn(items...), store.Locked).Order(ent.Asc(item.FieldID)).All(ctx); err != nil {
		return nil, err // what they are fit for stays so
	}
	places := make([]string, len(w.places))
	for i, t := range w.places {
		places[i] = t.ID()
	}
	if err := orders.LockPlaces(ctx, w.tx, w.ticket.VendorID, places...); err != nil {
		return nil, err
	}
	var err error
	for i, id := range places { // a container may have been blocked meanwhile
		if w.places[i], err = core.PlaceOf(ctx, w.tx, id); err != nil {
			return nil, err
		}
	}
	if w.ticket, err = orders.LockTicket(ctx, w.tx, w.ticket.ID); err != nil {
		return nil, err
	}
	if !mayHave(w.by, w.ticket) { // claimed meanwhile
		return nil, core.AtField("code", license.Errorf(license.CodeNotFound, "compare it with the ticket, or ask the vendor", "there is no ticket of this code"))
	}
	if err := usable(w.ticket); err != nil {
		return nil, err
	}
	var ids []string
	for i, t := range w.places {
		if err := w.mine(t); err != nil {
			return nil, err
		}
		if err := w.claim(ctx, t.Customer()); err != nil {
			return nil, err
		}
		made, err := w.at(ctx, t, w.asked.Targets[i].Shares)
		if err != nil {
			return nil, err
		}
		ids = append(ids, made...)
	}
	if len(ids) == 0 {
		return nil, license.Errorf(license.CodeTicketUsedUp, "return licenses to it first, or ask the vendor for another", "nothing is left on the ticket …-%s", w.ticket.Hint)
	}
	if !w.ticket.Partial {
		for _, l := range w.ticket.Edges.Lines {
			if left := l.Quantity - l.Activated; left > 0 {
				return nil, invalid("places", "activate all that is left at once", "the ticket can't be activated in parts, and %d of %q would be left", left, l.Edges.Item.Name)
			}
		}
	}
	return ids, nil
}

// claim makes the ticket the customer's who activates it first. The vendor's log
// tells, whoever does it: that one's own tells of the activation alone.
func (w *activating) claim(ctx context.Context, customer *string) error {
	if w.ticket.CustomerID != nil || customer == nil {
		return nil
	}
	if err := w.tx.TicketLine.Update().Where(ticketline.TicketID(w.ticket.ID)).SetCustomerID(*customer).Exec(ctx); err != nil {
		return err
	}
	lines := w.ticket.Edges.Lines
	var err error
	if w.ticket, err = w.tx.Ticket.UpdateOne(w.ticket).SetCustomerID(*customer).AddRevision(1).Save(ctx); err != nil {
		return err
	}
	w.ticket.Edges.Lines = lines
	return core.Audit(ctx, w.tx, w.ticket.VendorID, "ticket.claimed", w.ticket.ID, nil,
		map[string]any{"customer": *customer, "by": core.ClipText(core.DisplayName(w.by)), "revision": w.ticket.Revision})
}

// at activates at one place, and starts its rollouts.
func (w *activating) at(ctx context.Context, t core.LoadedPlace, shares []Share) ([]string, error) {
	if len(shares) == 0 {
		for _, l := range w.ticket.Edges.Lines {
			if left := l.Quantity - l.Activated; left > 0 {
				shares = append(shares, Share{Line: l.ID, Quantity: left})
			}
		}
	}
	var ids []string
	firms := map[string]bool{}
	for _, s := range shares {
		i := slices.IndexFunc(w.ticket.Edges.Lines, func(l *ent.TicketLine) bool { return l.ID == s.Line || l.ItemID == s.Line })
		if i < 0 {
			return nil, core.AtField("places", license.Errorf(license.CodeNotFound, "name one of the ticket's lines or its item", "the ticket has no line %s", core.Clip(s.Line)))
		}
		l := w.ticket.Edges.Lines[i]
		if left := l.Quantity - l.Activated; s.Quantity > left {
			return nil, core.AtField("places", license.Errorf(license.CodeTicketUsedUp, "activate at most that many", "%d licenses of %q are left on the ticket …-%s", left, l.Edges.Item.Name, w.ticket.Hint))
		}
		made, err := w.one(ctx, t, l, s.Quantity)
		if err != nil {
			return nil, err
		}
		ids = append(ids, made.ID)
		firms[l.Edges.Item.Edges.Product.FirmID] = true
	}
	if w.asked.Wait || w.asked.Request != "" {
		return ids, nil
	}
	for i := range len(firms) {
		_, err := rollouts.StartIn(w.caller, w.p.rollouts, w.tx, w.by, t, fmt.Sprintf("ticket/%s/%d", ids[0], i))
		if i > 0 && license.CodeOf(err) == license.CodeRolloutUpToDate {
			break // one brings it all
		}
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (w *activating) one(ctx context.Context, t core.LoadedPlace, l *ent.TicketLine, quantity int) (*ent.TicketActivation, error) {
	ordered, err := orders.OfTicket(ctx, w.p.core, w.tx, t, l.Edges.Item, quantity)
	if err != nil {
		return nil, core.AtField("places", err)
	}
	// The lock has been taken; the condition is for who comes past it.
	n, err := w.tx.TicketLine.Update().Where(ticketline.ID(l.ID), ticketline.Activated(l.Activated)).SetActivated(l.Activated + quantity).Save(ctx)
	if err != nil {
		return nil, err
	}
	if n != 1 {
		return nil, fmt.Errorf("the ticket line %s was changed by somebody who has no lock", l.ID)
	}
	l.Activated += quantity
	group, single := t.Columns()
	made, err := w.tx.TicketActivation.Create().SetVendorID(w.ticket.VendorID).SetNillableCustomerID(t.Customer()).
		SetTicketID(w.ticket.ID).SetTicketLineID(l.ID).SetNillableTmrGroupID(group).SetNillableContainerID(single).
		SetOrderID(ordered.ID).SetQuantity(quantity).SetOffline(w.asked.Request != "").
		SetActivatedBy(core.ClipText(core.DisplayName(w.by))).Save(ctx)
	if err != nil {
		return nil, err
	}
	if err := core.Audit(w.caller, w.tx, core.AuditOwner(w.by, w.ticket.VendorID), "ticket.activated", w.ticket.ID, nil,
		map[string]any{"activation": made.ID, "item": l.ItemID, t.Noun(): t.ID(), "quantity": quantity, "order": ordered.ID, "offline": made.Offline}); err != nil {
		return nil, err
	}
	return made, w.p.core.EmitShared(ctx, w.tx, made.VendorID, made.CustomerID, core.EventTicketActivated, core.AtPlace(group, single, map[string]any{
		"ticket": made.TicketID, "activation": made.ID, "order": ordered.ID, "item": l.ItemID, "quantity": quantity,
	}))
}

// outcome reads what an activation made, now or when its key was used first.
func (w *activating) outcome(ctx context.Context, ids []string) (Activated, error) {
	var out Activated
	var err error
	if out.Ticket, err = w.tx.Ticket.Get(ctx, w.ticket.ID); err != nil {
		return out, err
	}
	all, err := w.tx.TicketActivation.Query().Where(ticketactivation.IDIn(ids...)).All(ctx)
	if err != nil {
		return out, err
	}
	var ordered []string
	for _, id := range ids {
		for _, a := range all {
			if a.ID == id {
				out.Activations, ordered = append(out.Activations, a), append(ordered, a.OrderID)
			}
		}
	}
	out.Rollouts, err = w.tx.Rollout.Query().Where(rollout.HasOrdersWith(order.IDIn(ordered...))).Order(ent.Asc(rollout.FieldID)).All(ctx)
	return out, err
}
