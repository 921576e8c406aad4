package platform_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/tickets"
	"github.com/quorate/quorate/internal/ratelimit"
)

// sale is a vendor with a TMR group and two containers of one customer, and
// another customer's container.
type sale struct {
	*lab
	made        provision.Provisioned
	one, two    *box
	other       *box
	buyer, rest context.Context // the customer, and the other one
}

func newSale(l *lab) *sale {
	l.t.Helper()
	s := &sale{lab: l, made: l.provision()}
	s.one, s.two, s.other = l.box(901, "Shipping Company"), l.box(902, "Shipping Company"), l.box(903, "Ferry Company")
	s.buyer = l.customer(s.made.Group)
	s.rest = l.as(auth.Principal{Kind: auth.KindMember, ID: "mem_ferry", Organization: *s.other.row.CustomerID, Provider: l.owner.Organization, Role: auth.Owner, Name: "Fiona Ferry"})
	return s
}

// ticket makes one of so many licenses, and gives its code too.
func (s *sale) ticket(quantity int, change ...func(*tickets.TicketSpec)) (*ent.Ticket, string) {
	s.t.Helper()
	spec := tickets.TicketSpec{Customer: "Shipping Company", Lines: []tickets.LineSpec{{Item: s.made.Item.ID, Quantity: quantity}}, Terms: tickets.Terms{Partial: true}}
	for _, f := range change {
		f(&spec)
	}
	row, err := s.CreateTicket(s.vendor(), spec)
	if err != nil {
		s.t.Fatal(err)
	}
	code, err := s.TicketCode(s.vendor(), row)
	if err != nil {
		s.t.Fatal(err)
	}
	return row, code
}

func (s *sale) share(quantity int) []tickets.Share {
	return []tickets.Share{{Line: s.made.Item.ID, Quantity: quantity}}
}

// part asks for a part at one place, without a rollout.
func (s *sale) part(code string, at core.Place, quantity int) tickets.Activation {
	return tickets.Activation{Code: code, Wait: true, Targets: []tickets.Target{{At: at, Shares: s.share(quantity)}}}
}

func (s *sale) activate(ctx context.Context, a tickets.Activation) *ent.TicketActivation {
	s.t.Helper()
	out, err := s.ActivateTicket(ctx, a)
	if err != nil || len(out.Activations) != 1 {
		s.t.Fatalf("%+v, %v", out, err)
	}
	return out.Activations[0]
}

func (s *sale) activated(id string) int {
	s.t.Helper()
	n := 0
	for _, l := range s.Store().Client().TicketLine.Query().AllX(s.system()) {
		if l.TicketID == id {
			n += l.Activated
		}
	}
	return n
}

func TestTickets(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		s := newSale(l)
		row, code := s.ticket(10, func(spec *tickets.TicketSpec) { spec.Reference = "PO-1"; spec.IdempotencyKey = "k" })
		again, _ := s.ticket(10, func(spec *tickets.TicketSpec) { spec.Reference = "PO-1"; spec.IdempotencyKey = "k" })
		if again.ID != row.ID || len(code) != 29 || !strings.HasSuffix(code, row.Hint) || l.audited("ticket.created") != 1 {
			t.Errorf("%q, %s and %s", code, row.ID, again.ID)
		}
		_, err := s.CreateTicket(s.vendor(), tickets.TicketSpec{Lines: []tickets.LineSpec{{Item: s.made.Item.ID, Quantity: 11}}, IdempotencyKey: "k"})
		wantCode(t, "the key of another", err, license.CodeConflict)

		// Who has the code sees it: its customer, and the vendor.
		for what, ctx := range map[string]context.Context{"vendor": s.vendor(), "customer": s.buyer} {
			if got, err := s.TicketByCode(ctx, strings.ToLower(strings.ReplaceAll(code, "-", " "))); err != nil || got.ID != row.ID || len(got.Edges.Lines) != 1 {
				t.Errorf("%s: %+v, %v", what, got, err)
			}
			if got, err := s.TicketCode(ctx, row); err != nil || got != code {
				t.Errorf("%s: %q, %v", what, got, err)
			}
		}
		for what, ctx := range map[string]context.Context{"another customer": s.rest, "a stranger": l.stranger()} {
			_, err := s.TicketByCode(ctx, code)
			wantCode(t, what, err, license.CodeNotFound)
			_, err = s.ActivateTicket(ctx, s.part(code, s.one.place(), 1))
			wantCode(t, what+" activates", err, license.CodeNotFound)
			_, err = s.TicketCode(ctx, row)
			wantCode(t, what+" is shown the code", err, license.CodeForbidden)
		}
		_, err = s.TicketCode(l.with(auth.Viewer), row)
		wantCode(t, "a viewer is shown the code", err, license.CodeForbidden)
		_, err = s.CreateTicket(s.buyer, tickets.TicketSpec{Lines: []tickets.LineSpec{{Item: s.made.Item.ID, Quantity: 1}}})
		wantCode(t, "a customer makes one", err, license.CodeForbidden)

		// In parts, at three places.
		s.activate(s.buyer, s.part(code, s.one.place(), 3))
		out, err := s.ActivateTicket(s.buyer, tickets.Activation{Code: code, Wait: true, Targets: []tickets.Target{
			{At: s.two.place(), Shares: s.share(2)}, {At: core.Place{Group: s.made.Group.VirtualSerial}, Shares: s.share(1)},
		}, IdempotencyKey: "parts"})
		if err != nil || len(out.Activations) != 2 || out.Activations[1].TmrGroupID == nil || s.activated(row.ID) != 6 {
			t.Fatalf("%+v, %v", out, err)
		}
		repeated, err := s.ActivateTicket(s.buyer, tickets.Activation{Code: code, Wait: true, Targets: []tickets.Target{
			{At: core.Place{Container: s.two.row.ID}, Shares: s.share(2)}, {At: core.Place{Group: s.made.Group.ID}, Shares: s.share(1)},
		}, IdempotencyKey: "parts"})
		if err != nil || len(repeated.Activations) != 2 || repeated.Activations[0].ID != out.Activations[0].ID || s.activated(row.ID) != 6 {
			t.Fatalf("repeated: %+v, %v", repeated, err)
		}
		_, err = s.ActivateTicket(s.buyer, s.part(code, s.one.place(), 5))
		wantCode(t, "more than is left", err, license.CodeTicketUsedUp)
		s.activate(s.buyer, tickets.Activation{Code: code, Wait: true, Targets: []tickets.Target{{At: s.one.place()}}})
		if s.activated(row.ID) != 10 {
			t.Errorf("%d activated", s.activated(row.ID))
		}
		_, err = s.ActivateTicket(s.buyer, tickets.Activation{Code: code, Wait: true, Targets: []tickets.Target{{At: s.one.place()}}})
		wantCode(t, "nothing is left", err, license.CodeTicketUsedUp)
		lines := s.Store().Client().TicketLine.Query().AllX(s.system())
		if got := tickets.StateOf(row, lines); got != tickets.UsedUp {
			t.Errorf("it is %s", got)
		}
		for _, o := range s.Store().Client().Order.Query().AllX(s.system()) {
			if o.Source != property.OrderTicket {
				t.Errorf("an order by %s", o.Source)
			}
		}
		if n := l.audited("ticket.activated"); n != 4 {
			t.Errorf("%d activations in the audit log", n)
		}
	})
}

func TestTicketsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		s := newSale(l)
		plain, err := l.CreateItem(l.vendor(), s.made.Product.ID, catalog.ItemSpec{Name: "Plain", Options: license.Options{Quantity: 1}})
		if err != nil {
			t.Fatal(err)
		}
		line := []tickets.LineSpec{{Item: s.made.Item.ID, Quantity: 1}}
		past := time.Now().Add(-time.Hour)
		for what, spec := range map[string]tickets.TicketSpec{
			"no line":             {},
			"no quantity":         {Lines: []tickets.LineSpec{{Item: s.made.Item.ID}}},
			"too many":            {Lines: []tickets.LineSpec{{Item: s.made.Item.ID, Quantity: 1_000_001}}},
			"an item twice":       {Lines: append(line, line...)},
			"long ago":            {Lines: line, Terms: tickets.Terms{Expires: &past}},
			"a long reference":    {Lines: line, Terms: tickets.Terms{Reference: strings.Repeat("x", 201)}},
			"a NUL in the note":   {Lines: line, Terms: tickets.Terms{Note: "a\x00b"}},
			"fewer than 0 return": {Lines: line, Terms: tickets.Terms{ReturnLimit: new(-1)}},
		} {
			_, err := s.CreateTicket(s.vendor(), spec)
			wantCode(t, what, err, license.CodeInvalidInput)
		}
		_, err = s.CreateTicket(s.vendor(), tickets.TicketSpec{Lines: line, Customer: "Nobody"})
		wantCode(t, "an unknown customer", err, license.CodeNotFound)
		_, err = s.CreateTicket(l.stranger(), tickets.TicketSpec{Lines: line})
		wantCode(t, "another vendor's item", err, license.CodeNotFound)

		group := core.Place{Group: s.made.Group.VirtualSerial}
		_, code := s.ticket(5, func(spec *tickets.TicketSpec) {
			spec.Lines = append(spec.Lines, tickets.LineSpec{Item: plain.ID, Quantity: 2})
		})
		at := func(p core.Place, shares ...tickets.Share) tickets.Activation {
			return tickets.Activation{Code: code, Wait: true, Targets: []tickets.Target{{At: p, Shares: shares}}}
		}
		whole := tickets.Share{Line: plain.ID, Quantity: 1}
		both := at(s.one.place(), whole)
		both.Targets = append(both.Targets, tickets.Target{At: s.one.place(), Shares: []tickets.Share{whole}})
		open := at(s.one.place())
		open.Targets = append(open.Targets, tickets.Target{At: s.two.place()})
		mistyped := at(s.one.place())
		mistyped.Code = "0" + code[1:]
		if code[0] == '0' {
			mistyped.Code = "2" + code[1:]
		}
		files := at(s.one.place())
		files.Request, files.Wait = s.two.request(), false
		for what, c := range map[string]struct {
			who  context.Context
			ask  tickets.Activation
			code license.Code
		}{
			"another customer's container":  {s.vendor(), at(s.other.place()), license.CodeInvalidInput},
			"a container that he can't see": {s.buyer, at(s.other.place()), license.CodeNotFound},
			"an item without TMR":           {s.buyer, at(group, whole), license.CodeInvalidInput},
			"all of it, one without TMR":    {s.buyer, at(group), license.CodeInvalidInput},
			"a place twice":                 {s.buyer, both, license.CodeInvalidInput},
			"how much at each of two":       {s.buyer, open, license.CodeInvalidInput},
			"no place":                      {s.buyer, tickets.Activation{Code: code}, license.CodeInvalidInput},
			"an unknown line":               {s.buyer, at(s.one.place(), tickets.Share{Line: "tkl_x", Quantity: 1}), license.CodeNotFound},
			"nothing":                       {s.buyer, at(s.one.place(), tickets.Share{Line: plain.ID}), license.CodeInvalidInput},
			"a mistyped code":               {s.buyer, mistyped, license.CodeInvalidInput},
			"another's request file":        {s.buyer, files, license.CodeUpdateForeign},
			"a viewer":                      {l.with(auth.Viewer), at(s.one.place()), license.CodeForbidden},
		} {
			_, err := s.ActivateTicket(c.who, c.ask)
			wantCode(t, what, err, c.code)
		}

		_, code = s.ticket(5, func(spec *tickets.TicketSpec) { spec.Partial = false })
		_, err = s.ActivateTicket(s.buyer, s.part(code, s.one.place(), 4))
		wantCode(t, "a part of one that has none", err, license.CodeInvalidInput)
		split := s.part(code, s.one.place(), 4)
		split.Targets = append(split.Targets, tickets.Target{At: s.two.place(), Shares: s.share(1)})
		if out, err := s.ActivateTicket(s.buyer, split); err != nil || len(out.Activations) != 2 {
			t.Errorf("all of it at two places: %+v, %v", out, err)
		}

		row, code := s.ticket(5)
		if _, err := s.UpdateTicket(s.buyer, row.ID, row.Revision, func(*tickets.Terms) {}); license.CodeOf(err) != license.CodeForbidden {
			t.Errorf("a customer changes it: %v", err)
		}
		changed, err := s.UpdateTicket(s.vendor(), row.ID, row.Revision, func(to *tickets.Terms) { to.Expires, to.Note = &past, "over" })
		if err != nil || changed.Revision != row.Revision+1 || changed.Note != "over" {
			t.Errorf("%+v, %v", changed, err)
		}
		if later, err := s.UpdateTicket(s.vendor(), row.ID, row.Revision+1, func(to *tickets.Terms) { to.Expires, to.ReturnLimit = nil, new(3) }); err != nil || later.ExpiresAt != nil || *later.ReturnLimit != 3 {
			t.Errorf("%+v, %v", later, err)
		}
		if later, err := s.UpdateTicket(s.vendor(), row.ID, row.Revision+2, func(to *tickets.Terms) { to.Expires, to.ReturnLimit = &past, nil }); err != nil || later.ReturnLimit != nil {
			t.Errorf("%+v, %v", later, err)
		}
		_, err = s.UpdateTicket(s.vendor(), row.ID, row.Revision, func(to *tickets.Terms) { to.Note = "late" })
		wantCode(t, "an old revision", err, license.CodeConflict)
		_, err = s.ActivateTicket(s.buyer, s.part(code, s.one.place(), 1))
		wantCode(t, "an expired one", err, license.CodeTicketExpired)

		row, code = s.ticket(5)
		s.activate(s.buyer, s.part(code, s.one.place(), 1))
		for range 2 {
			if row, err = s.RevokeTicket(s.vendor(), row.ID, "not paid"); err != nil || row.RevokedAt == nil {
				t.Fatalf("%+v, %v", row, err)
			}
		}
		_, err = s.ActivateTicket(s.buyer, s.part(code, s.one.place(), 1))
		wantCode(t, "a revoked one", err, license.CodeTicketRevoked)
		if l.audited("ticket.revoked") != 1 || s.activated(row.ID) != 1 {
			t.Error("revoked more than once, or what was activated")
		}
		_, err = s.RevokeTicket(s.buyer, row.ID, "")
		wantCode(t, "a customer revokes", err, license.CodeForbidden)
		_, err = s.RevokeTicket(l.stranger(), row.ID, "")
		wantCode(t, "a stranger revokes", err, license.CodeNotFound)
	})
}

// A ticket of nobody's is the customer's who comes first.
func TestTicketOfNobodyIsClaimed(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		s := newSale(l)
		row, code := s.ticket(5, func(spec *tickets.TicketSpec) { spec.Customer = "" })
		for _, ctx := range []context.Context{s.buyer, s.rest} {
			if got, err := s.TicketByCode(ctx, code); err != nil || len(got.Edges.Lines) != 1 || got.Edges.Lines[0].Edges.Item == nil {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		if _, err := s.Store().Client().Ticket.Get(s.buyer, row.ID); !ent.IsNotFound(err) {
			t.Errorf("a customer sees it without the code: %v", err)
		}
		_, err := s.ActivateTicket(s.rest, s.part(code, s.one.place(), 1))
		wantCode(t, "at another's container", err, license.CodeNotFound)
		s.activate(s.rest, s.part(code, s.other.place(), 1))
		s.activate(s.rest, s.part(code, s.other.place(), 1))
		told := l.Store().Client().AuditEntry.Query().Where(auditentry.Action("ticket.claimed"), auditentry.Target(row.ID)).AllX(l.vendor())
		if len(told) != 1 || told[0].After["customer"] != *s.other.row.CustomerID || told[0].After["by"] != "Fiona Ferry" {
			t.Errorf("the vendor's log: %+v", told)
		}
		_, err = s.TicketByCode(s.buyer, code)
		wantCode(t, "after it was claimed", err, license.CodeNotFound)
		_, err = s.ActivateTicket(s.vendor(), s.part(code, s.one.place(), 1))
		wantCode(t, "the vendor, at another customer's", err, license.CodeInvalidInput)
		got, err := s.Store().Client().Ticket.Query().WithLines().Only(s.rest)
		if err != nil || got.CustomerID == nil || *got.CustomerID != *s.other.row.CustomerID || len(got.Edges.Lines) != 1 || got.Edges.Lines[0].Activated != 2 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestTicketOfNobodyIsClaimedOnce: of two customers that come at the same moment
// one has it, and the other is told what everybody is.
func TestTicketOfNobodyIsClaimedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		s := newSale(l)
		for range 8 {
			row, code := s.ticket(5, func(spec *tickets.TicketSpec) { spec.Customer = "" })
			asked := []struct {
				who context.Context
				at  *box
			}{{s.buyer, s.one}, {s.rest, s.other}, {s.buyer, s.two}}
			errs := make([]error, len(asked))
			var all sync.WaitGroup
			for i, a := range asked {
				all.Go(func() { _, errs[i] = s.ActivateTicket(a.who, s.part(code, a.at.place(), 3)) })
			}
			all.Wait()
			won := 0
			for i, err := range errs {
				switch license.CodeOf(err) {
				case "":
					won++
				case license.CodeNotFound:
					if err.Error() != "there is no ticket of this code: compare it with the ticket, or ask the vendor" {
						t.Errorf("%d: %v", i, err)
					}
				case license.CodeTicketUsedUp: // by his colleague
				default:
					t.Errorf("%d: %v", i, err)
				}
			}
			if won != 1 || s.activated(row.ID) != 3 {
				t.Errorf("%d have it, %d activated: %v", won, s.activated(row.ID), errs)
			}
		}
	})
}

// Who tries codes out has to wait, he alone.
func TestTicketCodesCannotBeTriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, databases.SQLite(t))
		s := newSale(l)
		_, code := s.ticket(5)
		_, wrong := s.ticket(5, func(spec *tickets.TicketSpec) { spec.Customer = "Ferry Company" })
		for n := range 20 {
			_, err := s.TicketByCode(s.buyer, wrong)
			wantCode(t, "a wrong code", err, license.CodeNotFound)
			if _, err := s.TicketByCode(s.buyer, code); n < 19 && err != nil { // makes none of the wrong ones forgotten
				t.Errorf("the right one after %d: %v", n+1, err)
			}
		}
		_, err := s.TicketByCode(s.buyer, code)
		wantCode(t, "after twenty", err, license.CodeThrottled)
		if _, err := s.TicketByCode(s.rest, wrong); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		time.Sleep(time.Minute)
		var all sync.WaitGroup
		for range 60 { // right ones, at the same time
			all.Go(func() {
				if _, err := s.TicketByCode(s.buyer, code); err != nil {
					t.Errorf("after the pause: %v", err)
				}
			})
		}
		all.Wait()
		_, err = s.TicketByCode(s.buyer, wrong)
		wantCode(t, "one more", err, license.CodeNotFound)
		_, err = s.TicketByCode(s.buyer, wrong)
		wantCode(t, "two more", err, license.CodeThrottled)
		if n := ratelimit.RetryAfter(err); n < 59 || n > 60 {
			t.Errorf("it says to wait %d s", n)
		}
	})
}
