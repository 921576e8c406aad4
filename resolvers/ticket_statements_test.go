package resolvers_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/enrollments"
	"github.com/quorate/quorate/internal/platform/tickets"
	"github.com/quorate/quorate/internal/store"
)

// Nor do lists of tickets, of servers and of enrollments.
func TestTicketsTakeNoMoreStatementsForMoreRows(t *testing.T) {
	w := newWorld(t)
	w.seedContainers()
	var statements atomic.Int64
	w.store.Client().Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			statements.Add(1)
			return next.Query(ctx, q)
		})
	}))
	owner := w.as(t.Context(), "owner")
	made := 0
	add := func(rows int) {
		t.Helper()
		for range rows {
			made++
			row, err := w.platform.CreateTicket(owner, tickets.TicketSpec{Customer: "Port", Lines: []tickets.LineSpec{{Item: "itm_1", Quantity: 5}}, Terms: tickets.Terms{Partial: true}})
			if err != nil {
				t.Fatal(err)
			}
			code, err := w.platform.TicketCode(owner, row)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []core.Place{{Container: "130-800"}, {Group: "131-4837572"}} {
				if _, err := w.platform.ActivateTicket(owner, tickets.Activation{Code: code, Wait: true,
					Targets: []tickets.Target{{At: at, Shares: []tickets.Share{{Line: "itm_1", Quantity: 1}}}}}); err != nil {
					t.Fatal(err)
				}
			}
			name := fmt.Sprintf("server-%d", made)
			if _, _, err := w.platform.CreateEnrollment(owner, enrollments.EnrollmentSpec{At: core.Place{Group: "131-4837572"}, Name: name}); err != nil {
				t.Fatal(err)
			}
			w.change("", "", func(tx *store.Tx) error {
				return tx.TmrServer.Create().SetVendorID("org_charts").SetTmrGroupID("tmr_1").SetName(name).SetAddress("").
					SetLinkTokenHash([]byte(name)).SetSeenAt(time.Now()).Exec(w.system())
			})
		}
	}
	queries := map[string]string{
		"tickets":     `{ tickets(first: 100) { totalCount edges { node { code state customer { name } lines { left item { product { reference } } } activations(first: 5) { totalCount edges { node { left item { name } order { source } container { serial state } tmrGroup { name } } } } } } } }`,
		"servers":     `{ servers(first: 100) { totalCount edges { node { name state role customer { name } tmrGroup { name orderedQuantity } container { serial state } } } } }`,
		"enrollments": `{ enrollments(first: 100) { totalCount edges { node { name state tmrGroup { name } container { serial } tmrServer { name } } } } }`,
	}
	count := func(name string) int64 {
		t.Helper()
		statements.Store(0)
		if body := ask(w.serve("owner"), request{Query: queries[name]}).Body.String(); strings.Contains(body, `"errors"`) {
			t.Fatalf("%s: %s", name, body)
		}
		return statements.Load()
	}
	add(2)
	few := map[string]int64{}
	for name := range queries {
		few[name] = count(name)
	}
	add(10)
	for name := range queries {
		if many := count(name); many != few[name] {
			t.Errorf("%s: %d statements for few rows, %d for many", name, few[name], many)
		}
	}
}
