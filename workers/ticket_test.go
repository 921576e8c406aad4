package workers_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/tickets"
)

// asking is what an activator process is told to do.
type asking struct {
	By  auth.Principal
	Ask tickets.Activation
}

// activator activates a ticket in a process of its own. Told to stop at
// "uncommitted" it does so before its transaction ends, at "committed" after it.
func activator(dsn, text string) error {
	var a asking
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return err
	}
	p, err := open(context.Background(), dsn, os.Getenv(childKey), func(j core.Jobs) core.Jobs { return hanging{j} })
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := p.ActivateTicket(auth.With(context.Background(), a.By), a.Ask); err != nil {
		return err
	}
	fmt.Println("committed")
	select {}
}

type hanging struct{ core.Jobs }

func (s hanging) EnqueueTx(ctx context.Context, tx *sql.Tx, job core.Job) error {
	if os.Getenv(childStop) == "uncommitted" {
		fmt.Println("uncommitted")
		select {}
	}
	return s.Jobs.EnqueueTx(ctx, tx, job)
}

// TestTicketFromActivationToReturn is the way of a ticket, with real containers
// and sealed updates: activated in two parts, at a container and at a TMR group,
// returned in part, activated again at another container. The platform's process
// is killed at each step, the one that activates too, and the customer's program
// asks again.
func TestTicketFromActivationToReturn(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.link()
		one := l.single(901, &provision.ServerSpec{Name: "one", Address: "one:1"})
		two := l.single(902, &provision.ServerSpec{Name: "two", Address: "two:1"})
		one.serve(nil)
		two.serve(nil)
		customer := auth.Principal{Kind: auth.KindMember, ID: "mem_c", Organization: *l.group.CustomerID, Provider: l.owner.Organization, Role: auth.Operator, Name: "Carl"}
		made, err := l.CreateTicket(l.as(l.owner), tickets.TicketSpec{Customer: "Customer", Lines: []tickets.LineSpec{{Item: l.item, Quantity: 30}},
			Terms: tickets.Terms{Partial: true, ReturnLimit: new(1)}})
		if err != nil {
			t.Fatal(err)
		}
		code, err := l.TicketCode(l.as(l.owner), made)
		if err != nil {
			t.Fatal(err)
		}
		activated := func(want int) {
			t.Helper()
			c := l.store.Client()
			sum := 0
			for _, a := range c.TicketActivation.Query().AllX(l.system()) {
				sum += a.Quantity - a.Returned
			}
			if line := c.TicketLine.Query().OnlyX(l.system()); line.Activated != want || sum != want {
				t.Errorf("%d are activated, %d by the activations, want %d", line.Activated, sum, want)
			}
		}
		part := func(key string, at core.Place, quantity int) tickets.Activation {
			return tickets.Activation{Code: code, IdempotencyKey: key, Targets: []tickets.Target{{At: at, Shares: []tickets.Share{{Line: l.item, Quantity: quantity}}}}}
		}
		// activate is what a customer's program does: it asks until it has an answer.
		activate := func(a tickets.Activation, stops ...string) (*ent.TicketActivation, *ent.Rollout) {
			t.Helper()
			text, err := json.Marshal(asking{customer, a})
			if err != nil {
				t.Fatal(err)
			}
			for _, stop := range stops {
				c := l.child(stop, childTicket+"="+string(text))
				c.expect(stop)
				c.kill()
			}
			out, err := l.ActivateTicket(l.as(customer), a)
			if err != nil || len(out.Activations) != 1 || len(out.Rollouts) != 1 {
				t.Fatalf("%+v, %v", out, err)
			}
			return out.Activations[0], out.Rollouts[0]
		}
		killed := func(id string, stops ...string) {
			t.Helper()
			for _, stop := range stops {
				c := l.child(stop)
				c.expect(stop)
				c.kill()
			}
			c := l.child("")
			l.until(id, property.RolloutDone)
			c.kill()
		}

		first, r := activate(part("1", one.place(), 8), "uncommitted", "committed")
		activated(8)
		killed(r.ID, "COLLECTING", "ISSUING", "STAGING", "ACTIVATING1", "CONFIRMING1")
		one.holds(8)

		_, r = activate(part("2", core.Place{Group: l.group.VirtualSerial}, 20), "uncommitted")
		activated(28)
		killed(r.ID, "ISSUING", "STAGING", "ACTIVATING1", "GUARDING2", "CONFIRMING3")
		for i, c := range l.containers {
			if _, held := c.Licenses(); len(held) != 1 || held[0].Options.Quantity != 20 || held[0].Options.TMRID != 7 {
				t.Errorf("backend %d holds %+v", i+1, held)
			}
		}

		back := orders.TransferRequest{Activation: first.ID, Quantity: 3}
		if _, err := l.ReturnLicenses(l.as(customer), back); err != nil {
			t.Fatal(err)
		}
		activated(28)
		r, err = l.StartRollout(l.as(customer), one.place(), "back")
		if err != nil {
			t.Fatal(err)
		}
		killed(r.ID, "COLLECTING", "ISSUING", "ACTIVATING1", "DONE")
		one.holds(5)
		activated(25)
		if _, err := l.ReturnLicenses(l.as(customer), back); license.CodeOf(err) != license.CodeLimitReached {
			t.Errorf("a second return: %v", err)
		}

		_, r = activate(part("3", two.place(), 5), "committed")
		killed(r.ID)
		two.holds(5)
		activated(30)
		if _, err := l.ActivateTicket(l.as(customer), part("4", two.place(), 1)); license.CodeOf(err) != license.CodeTicketUsedUp {
			t.Errorf("more than there is: %v", err)
		}
		actions := map[string]int{}
		for _, a := range l.store.Client().AuditEntry.Query().AllX(l.system()) {
			actions[a.Action]++
		}
		for action, n := range map[string]int{"ticket.created": 1, "ticket.activated": 3, "ticket.returned": 1, "rollout.start": 4} {
			if actions[action] != n {
				t.Errorf("%s is in the audit log %d times, want %d", action, actions[action], n)
			}
		}
	})
}
