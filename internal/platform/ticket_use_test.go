package platform_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/tickets"
)

// What came by a ticket goes back to it, within its rules; and follows when it is
// moved, and when its container is lost.
func TestTicketReturns(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		s := newSale(l)
		row, code := s.ticket(10, func(spec *tickets.TicketSpec) { spec.ReturnLimit = new(1) })
		a := s.activate(s.buyer, s.part(code, s.one.place(), 6))
		back := func(ctx context.Context, activation string, quantity int) (*ent.Transfer, error) {
			return s.ReturnLicenses(ctx, orders.TransferRequest{Activation: activation, Quantity: quantity})
		}
		_, err := back(s.buyer, a.ID, 1)
		wantCode(t, "before it is rolled out", err, license.CodeConflict)
		if !strings.Contains(err.Error(), "rolled out first (by files: hand in the receipts)") {
			t.Errorf("it doesn't say what to do: %v", err)
		}
		l.buy(s.made.Item.ID, s.one, 2)
		s.one.roll()
		_, err = back(s.buyer, a.ID, 7)
		wantCode(t, "more than the activation brought", err, license.CodeConflict)
		_, err = back(s.rest, a.ID, 1)
		wantCode(t, "another customer", err, license.CodeNotFound)
		_, err = s.ReturnLicenses(s.buyer, s.one.leave(3))
		wantCode(t, "a ticket's licenses as a credit", err, license.CodeConflict)
		sent, err := back(s.buyer, a.ID, 2)
		if err != nil || sent.TicketActivationID == nil || s.activated(row.ID) != 6 {
			t.Fatalf("%+v, %v", sent, err)
		}
		_, err = back(s.buyer, a.ID, 1)
		wantCode(t, "twice, while the first is under way", err, license.CodeLimitReached)
		if _, err := s.CancelTransfer(s.buyer, sent.ID); err != nil {
			t.Fatal(err)
		}
		if _, err = back(s.buyer, a.ID, 2); err != nil {
			t.Fatal(err)
		}
		s.one.roll()
		got := s.Store().Client().TicketActivation.GetX(s.system(), a.ID)
		if s.activated(row.ID) != 4 || got.Returned != 2 || l.credit() != 0 || s.one.quantity() != 6 {
			t.Errorf("%d activated, %d returned, %d credited, %d there", s.activated(row.ID), got.Returned, l.credit(), s.one.quantity())
		}
		_, err = back(s.buyer, a.ID, 1)
		wantCode(t, "more often than the ticket allows", err, license.CodeLimitReached)
		if _, err = back(s.vendor(), a.ID, 1); err != nil {
			t.Errorf("the vendor's owner: %v", err)
		}
		s.one.roll()

		// Moved: another activation, of which as much can be moved on.
		if _, err := s.MoveLicenses(s.buyer, orders.TransferRequest{Activation: a.ID, To: s.two.serial, Quantity: 2}); err != nil {
			t.Fatal(err)
		}
		s.one.roll()
		s.two.roll()
		var moved *ent.TicketActivation
		for _, x := range s.Store().Client().TicketActivation.Query().AllX(s.system()) {
			if x.ID != a.ID {
				moved = x
			}
		}
		if moved == nil || moved.Quantity != 2 || *moved.ContainerID != s.two.row.ID || s.activated(row.ID) != 3 || s.two.quantity() != 2 {
			t.Fatalf("%+v, %d activated", moved, s.activated(row.ID))
		}
		said := false
		for _, e := range s.Store().Client().AuditEntry.Query().Where(auditentry.Action("transfer.confirm")).AllX(s.system()) {
			said = said || e.After["activation"] == moved.ID && e.After["order"] == moved.OrderID
		}
		if !said {
			t.Error("the audit log doesn't tell what the move became")
		}
		_, err = back(s.vendor(), a.ID, 2)
		wantCode(t, "what was moved", err, license.CodeConflict)

		// Lost: the activation is its replacement's.
		three := l.box(904, "Shipping Company")
		if _, err := s.RehostContainer(s.buyer, s.two.serial, three.serial, "burned", ""); err != nil {
			t.Fatal(err)
		}
		three.roll()
		if got := s.Store().Client().TicketActivation.GetX(s.system(), moved.ID); *got.ContainerID != three.row.ID {
			t.Errorf("the activation is at %s", *got.ContainerID)
		}
		if _, err = back(s.vendor(), moved.ID, 2); err != nil {
			t.Fatal(err)
		}
		three.roll()
		if s.activated(row.ID) != 1 || three.quantity() != 0 {
			t.Errorf("%d activated, %d there", s.activated(row.ID), three.quantity())
		}
		if _, err := s.RevokeTicket(s.vendor(), row.ID, ""); err != nil {
			t.Fatal(err)
		}
		_, err = back(s.vendor(), a.ID, 1)
		wantCode(t, "to a revoked ticket", err, license.CodeTicketRevoked)
	})
}

func TestTicketEvents(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	s := newSale(l)
	vendor, customer := l.owner.Organization, *s.made.Group.CustomerID
	l.endpoint(vendor, "ticket.created", "ticket.activated", "ticket.returned", "ticket.revoked")
	l.endpoint(customer, "ticket.created", "ticket.activated", "ticket.returned", "ticket.revoked")
	row, code := s.ticket(4)
	a := s.activate(s.buyer, s.part(code, s.one.place(), 4))
	s.one.roll()
	if _, err := s.ReturnLicenses(s.buyer, orders.TransferRequest{Activation: a.ID, Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	s.one.roll()
	if _, err := s.RevokeTicket(s.vendor(), row.ID, "not paid"); err != nil {
		t.Fatal(err)
	}
	want := []core.EventKind{core.EventTicketCreated, core.EventTicketActivated, core.EventTicketReturned, core.EventTicketRevoked}
	for _, organization := range []string{vendor, customer} {
		all := l.events(organization)
		if !slices.Equal(kindsOf(all), want) {
			t.Fatalf("%s was told %v", organization, kindsOf(all))
		}
		for _, e := range all {
			if e.Data["ticket"] != row.ID {
				t.Errorf("%+v", e)
			}
		}
	}
	for _, e := range s.Store().Client().WebhookEvent.Query().AllX(s.system()) {
		if strings.Contains(string(e.Payload), code[:5]) {
			t.Errorf("the code is told: %s", e.Payload)
		}
	}
	for _, e := range s.Store().Client().AuditEntry.Query().AllX(s.system()) {
		if strings.Contains(fmt.Sprint(e.Before, e.After), code[:11]) {
			t.Errorf("the code is in the audit log: %+v", e)
		}
	}
}

// A move to a container that was blocked meanwhile puts licenses back on the
// ticket, which is no return.
func TestTicketMoveToBlockedContainer(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	s := newSale(l)
	row, code := s.ticket(4, func(spec *tickets.TicketSpec) { spec.ReturnLimit = new(0) })
	a := s.activate(s.buyer, s.part(code, s.one.place(), 4))
	s.one.roll()
	_, err := s.ReturnLicenses(s.buyer, orders.TransferRequest{Activation: a.ID, Quantity: 1})
	wantCode(t, "never", err, license.CodeLimitReached)
	if _, err := s.MoveLicenses(s.buyer, orders.TransferRequest{Activation: a.ID, To: s.two.serial, Quantity: 4}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DecideContainer(s.vendor(), s.two.serial, property.DecideBlock, "stolen"); err != nil {
		t.Fatal(err)
	}
	s.one.roll()
	if got := s.Store().Client().Ticket.GetX(s.system(), row.ID); s.activated(row.ID) != 0 || got.Returns != 0 || l.credit() != 0 {
		t.Errorf("%d activated, %d returns, %d credited", s.activated(row.ID), got.Returns, l.credit())
	}
}

// Rollouts begin with the activation, one for each firm and place.
func TestTicketStartsRollouts(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		s := newSale(l)
		_, code := s.ticket(5)
		ask := tickets.Activation{Code: code, IdempotencyKey: "x", Targets: []tickets.Target{
			{At: core.Place{Group: s.made.Group.VirtualSerial}, Shares: s.share(2)}, {At: s.one.place(), Shares: s.share(1)},
		}}
		l.jobs.fail = true // after the first place's
		if _, err := s.ActivateTicket(s.buyer, ask); err == nil {
			t.Fatal("a rollout that was not enqueued counts as started")
		}
		c := s.Store().Client()
		if c.TicketActivation.Query().CountX(s.system())+c.Order.Query().CountX(s.system())+c.Rollout.Query().CountX(s.system()) != 0 {
			t.Error("a part of an activation is left")
		}
		for range 2 {
			out, err := s.ActivateTicket(s.buyer, ask)
			if err != nil || len(out.Rollouts) != 2 || len(out.Activations) != 2 {
				t.Fatalf("%+v, %v", out, err)
			}
		}
		if n := c.Rollout.Query().CountX(s.system()); n != 2 {
			t.Errorf("%d rollouts", n)
		}

		// By files.
		out, err := s.ActivateTicket(s.buyer, tickets.Activation{Code: code, Request: s.two.request(), Targets: []tickets.Target{{At: s.two.place(), Shares: s.share(2)}}})
		if err != nil || out.Problem != nil || out.Update == "" || len(out.Rollouts) != 1 || !out.Activations[0].Offline {
			t.Fatalf("%+v, %v", out, err)
		}
		if row, err := s.FinishOfflineRollout(s.buyer, out.Rollouts[0].ID, s.two.apply(out.Update, 0)); err != nil || row.State != property.RolloutDone || s.two.quantity() != 2 {
			t.Errorf("%+v, %v", row, err)
		}
	})
}

// A rollout by files that can't begin leaves the licenses activated, and says so.
func TestTicketByFilesTellsOfProblems(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	s := newSale(l)
	_, code := s.ticket(5)
	copied := s.one.copied()
	if _, err := s.ActivateTicket(s.buyer, s.part(code, s.one.place(), 1)); err != nil {
		t.Fatal(err)
	}
	s.one.roll()
	s.one.restore(copied)
	out, err := s.ActivateTicket(s.buyer, tickets.Activation{Code: code, Request: s.one.request(), Targets: []tickets.Target{{At: s.one.place(), Shares: s.share(1)}}})
	if err != nil || out.Problem == nil || out.Problem.Code != license.CodeManipulation || len(out.Activations) != 1 || out.Update != "" {
		t.Errorf("%+v, %v", out, err)
	}
}
