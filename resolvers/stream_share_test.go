package resolvers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
)

// change is what messages have in common, with the ids of what they bring.
type change struct {
	Sequence        int
	Since           *int
	Snapshot        bool
	Position        string
	Upserted, Added []struct {
		ID, State, Action string
		Taken, Peak       int
		Latency           *int
		Entries           struct {
			Edges []struct {
				Node struct {
					Wave  int
					State string
				}
			}
		}
	}
	Removed []string
	Taken   int
}

func (c change) ids() (all []string) {
	for _, u := range slices.Concat(c.Upserted, c.Added) {
		all = append(all, u.ID)
	}
	return all
}

// follow subscribes; next gives one message after the other.
func follow(t *testing.T, server *httptest.Server, query, after string) (s *socket, next func() change) {
	t.Helper()
	s = dial(t, server, nil)
	s.init()
	variables := map[string]any{}
	if after != "" {
		variables["after"] = after
	}
	payload, _ := json.Marshal(map[string]any{"query": query, "variables": variables})
	s.send(message{ID: "1", Type: "subscribe", Payload: payload})
	return s, func() change {
		t.Helper()
		var m map[string]change
		s.data(&m)
		for _, c := range m {
			return c
		}
		t.Fatal("a message without data")
		return change{}
	}
}

const allocationsQuery = `subscription($after: StreamPosition) { allocationsChanged(container: "131-4837572", after: $after) {
	sequence since snapshot position taken upserted { id state product { reference } container { serial } } removed } }`

// A change is read and shown once, whatever the number of subscribers.
func TestSubscribersShareStatements(t *testing.T) {
	for what, watched := range map[string]struct {
		query  string
		rows   int
		change func(*world)
		shown  string
	}{
		"allocations": {allocationsQuery, 3, func(w *world) { w.addAllocation(100) }, "[alc_100]"},
		"servers": {`subscription { serversChanged { sequence since snapshot upserted { id name state role latency tmrGroup { name } } removed } }`, 2, func(w *world) {
			w.change(event.Servers, "org_charts", func(tx *store.Tx) error {
				return tx.TmrServer.UpdateOneID("srv_1").SetVersion("9.9.9").Exec(w.system())
			})
		}, "[srv_1]"},
	} {
		t.Run(what, func(t *testing.T) {
			count := func(subscribers int) int64 {
				w := newWorld(t)
				var statements atomic.Int64
				w.store.Client().Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
					return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
						statements.Add(1)
						return next.Query(ctx, q)
					})
				}))
				server := w.server(t, "owner")
				nexts := make([]func() change, subscribers)
				for i := range nexts {
					_, nexts[i] = follow(t, server, watched.query, "")
					if c := nexts[i](); !c.Snapshot || len(c.Upserted) != watched.rows {
						t.Fatalf("snapshot: %+v", c)
					}
				}
				statements.Store(0)
				watched.change(w)
				for _, next := range nexts {
					if c := next(); c.Snapshot || *c.Since != c.Sequence-1 || fmt.Sprint(c.ids()) != watched.shown {
						t.Fatalf("the change: %+v", c)
					}
				}
				return statements.Load()
			}
			one, many := count(1), count(200)
			if one == 0 || one != many {
				t.Errorf("%d statements for one subscriber, %d for 200", one, many)
			}
			t.Logf("%d statements a change", one)
		})
	}
}

// The same words of two tenants are two streams.
func TestStreamsOfTenantsAreApart(t *testing.T) {
	const query = `subscription { allocationsChanged { sequence since snapshot taken upserted { id } removed } }`
	w := newWorld(t)
	seen := map[string]func() change{}
	for viewer, want := range map[string]string{"owner": "[alc_001 alc_002 alc_003]", "viewer": "[alc_001 alc_002 alc_003]", "customer": "[alc_001 alc_002 alc_003]", "stranger": "[alc_001x alc_002x alc_003x]"} {
		_, seen[viewer] = follow(t, w.server(t, viewer), query, "")
		if c := seen[viewer](); fmt.Sprint(c.ids()) != want || !c.Snapshot {
			t.Errorf("%s sees %v, want %v", viewer, c.ids(), want)
		}
	}
	w.addAllocation(100)
	for _, viewer := range []string{"owner", "viewer", "customer"} {
		if c := seen[viewer](); fmt.Sprint(c.ids()) != "[alc_100]" || c.Snapshot {
			t.Errorf("%s is told %+v", viewer, c)
		}
	}
	w.change(event.Allocations, "con_0x", func(tx *store.Tx) error {
		return w.allocation(w.system(), tx, "org_other", nil, "x", 100).Exec(w.system())
	})
	if c := seen["stranger"](); fmt.Sprint(c.ids()) != "[alc_100x]" || c.Taken != 4 || c.Sequence != 2 {
		t.Errorf("the stranger is told %+v", c)
	}
}

func TestSocketResumesByPosition(t *testing.T) {
	w := newWorld(t)
	server := w.server(t, "owner")
	s, next := follow(t, server, allocationsQuery, "")
	first := next()
	_ = s.conn.CloseNow()
	w.addAllocation(100)
	w.change(event.Allocations, "con_0", func(tx *store.Tx) error {
		return tx.Allocation.UpdateOneID("alc_001").SetState(property.AllocationReleased).SetEndedAt(w.now).Exec(w.system())
	})
	_, next = follow(t, server, allocationsQuery, first.Position)
	c := next()
	if c.Snapshot || *c.Since != first.Sequence || fmt.Sprint(c.ids(), c.Removed) != "[alc_100] [alc_001]" || c.Taken != 3 {
		t.Errorf("resumed: %+v", c)
	}
	_, again := follow(t, server, allocationsQuery, c.Position)
	if c := again(); c.Snapshot || *c.Since != c.Sequence || len(c.ids())+len(c.Removed) != 0 {
		t.Errorf("resumed where it is: %+v", c)
	}
	for _, after := range []string{"x", "OTHER.1", strings.Repeat("9", 1000), strings.Split(c.Position, ".")[0] + ".99999"} {
		if _, next := follow(t, server, allocationsQuery, after); !next().Snapshot {
			t.Errorf("after %.20q: no snapshot", after)
		}
	}
	// A position of one stream is none of another's.
	if _, next := follow(t, w.server(t, "customer"), allocationsQuery, c.Position); !next().Snapshot {
		t.Error("another tenant goes on where this one was")
	}
}

// A viewer by now gets what viewers share; who is removed hears so at once, though
// nothing else has changed.
func TestStreamsFollowRights(t *testing.T) {
	w := newWorld(t)
	_, next := follow(t, w.server(t, "owner"), allocationsQuery, "")
	if c := next(); !c.Snapshot {
		t.Fatalf("first: %+v", c)
	}
	s, gone := follow(t, w.server(t, "viewer"), allocationsQuery, "")
	gone()
	w.change("", "", func(tx *store.Tx) error {
		return tx.Member.UpdateOneID("mem_owner").SetRole(property.RoleViewer).Exec(w.system())
	})
	if c := next(); !c.Snapshot || len(c.ids()) != 3 {
		t.Errorf("with another role: %+v", c)
	}
	w.change("", "", func(tx *store.Tx) error { return tx.Member.DeleteOneID("mem_viewer").Exec(w.system()) })
	if got := s.code(s.want("next").Payload); got != "UNAUTHENTICATED" {
		t.Errorf("code %s", got)
	}
	s.want("complete")
}

func TestEverythingThatCanBeWatched(t *testing.T) {
	w := newWorld(t)
	server := w.server(t, "owner")
	begin := func(query string) func() change {
		t.Helper()
		_, next := follow(t, server, query, "")
		if c := next(); !c.Snapshot || c.Sequence < 1 || c.Since != nil || c.Position == "" {
			t.Fatalf("%s begins with %+v", query, c)
		}
		return next
	}
	delta := func(what string, next func() change, ok func(change) bool) {
		t.Helper()
		if c := next(); c.Snapshot || c.Since == nil || !ok(c) {
			t.Errorf("%s: %+v", what, c)
		}
	}
	const head = "sequence since snapshot position "
	port := "org_port"

	usage := begin(`subscription { usageChanged(product: "6000010:14", customer: "org_port") { ` + head + `upserted { id taken peak container { serial } } removed } }`)
	product := begin(`subscription { allocationsChanged(product: "6000010:14", customer: "org_port") { ` + head + `taken upserted { id } removed } }`)
	w.addAllocation(100)
	delta("usage", usage, func(c change) bool {
		return len(c.Upserted) == 1 && c.Upserted[0].Taken == 4 && c.Upserted[0].Peak >= 4
	})
	delta("product", product, func(c change) bool { return fmt.Sprint(c.ids()) == "[alc_100]" && c.Taken == 4 })

	denials := begin(`subscription { denialsChanged(container: "131-4837572") { ` + head + `added { id reason user } } }`)
	w.change(event.Denials, "con_0", func(tx *store.Tx) error {
		return tx.Denial.Create().SetID("den_new").SetVendorID("org_charts").SetCustomerID(port).SetContainerID("con_0").SetProductID("prd_1").
			SetPosition(1000).SetAt(w.now).SetReason("NO_FREE_SEAT").SetClient("10.0.0.9").SetUser("ada").SetApplication("charts").SetMode(license.UserLimit).Exec(w.system())
	})
	delta("denials", denials, func(c change) bool { return fmt.Sprint(c.ids()) == "[den_new]" })

	rollouts := begin(`subscription { rolloutsChanged { ` + head + `upserted { id state } removed } }`)
	audit := begin(`subscription { auditChanged { ` + head + `added { id action } } }`)
	for _, q := range []string{`mutation { order(input: {item: "itm_1", tmrGroup: "tmr_1", quantity: 10}) { order { id } } }`, `mutation { startRollout(input: {tmrGroup: "tmr_1"}) { rollout { id } } }`} {
		if body := ask(w.serve("owner"), request{Query: q}).Body.String(); strings.Contains(body, `"errors"`) {
			t.Fatal(body)
		}
	}
	delta("rollouts", rollouts, func(c change) bool { return len(c.Upserted) == 1 && c.Upserted[0].State == "COLLECTING" })
	delta("audit", audit, func(c change) bool { return len(c.Added) > 0 && c.Added[0].Action != "" })
	if s, _ := follow(t, w.server(t, "viewer"), `subscription { auditChanged { sequence } }`, ""); s.code(s.want("next").Payload) != "FORBIDDEN" {
		t.Error("a viewer reads the audit log")
	}

	plans := begin(`subscription { rolloutPlansChanged { ` + head + `upserted { id state entries { edges { node { wave state tmrGroup { name } } } } } removed } }`)
	ask(w.serve("owner"), request{Query: `mutation { order(input: {item: "itm_1", tmrGroup: "tmr_1", quantity: 10}) { order { id } } }`})
	answer := ask(w.serve("owner"), request{Query: `mutation { createRolloutPlan(input: {name: "North", waves: [{tmrGroups: ["tmr_1"]}]}) { plan { id } } }`})
	delta("a plan", plans, func(c change) bool {
		return len(c.Upserted) == 1 && strings.Contains(answer.Body.String(), c.Upserted[0].ID) && c.Upserted[0].State == "SCHEDULED"
	})
	if err := w.platform.AdvancePlans(t.Context()); err != nil {
		t.Fatal(err)
	}
	delta("its first wave", plans, func(c change) bool {
		u := c.Upserted
		return len(u) == 1 && u[0].State == "RUNNING" && len(u[0].Entries.Edges) == 1 && u[0].Entries.Edges[0].Node.State == "RUNNING" && u[0].Entries.Edges[0].Node.Wave == 1
	})

	servers := begin(`subscription { serversChanged { ` + head + `upserted { id name role latency tmrGroup { name } } removed } }`)
	ofPort := begin(`subscription { serversChanged(customer: "org_port") { ` + head + `upserted { id latency } removed } }`)
	w.change(event.Servers, port, func(tx *store.Tx) error {
		return tx.TmrServer.UpdateOneID("srv_1").SetLatency(11).Exec(w.system())
	})
	delta("servers of a customer", ofPort, func(c change) bool { return fmt.Sprint(c.ids()) == "[srv_1]" && *c.Upserted[0].Latency == 11 })
	w.change(event.Servers, "org_charts", func(tx *store.Tx) error {
		return tx.TmrServer.UpdateOneID("srv_1").SetSeenAt(time.Now().UTC().Add(time.Minute)).SetLatency(12).Exec(w.system())
	})
	delta("servers", servers, func(c change) bool {
		return fmt.Sprint(c.ids()) == "[srv_1]" && c.Upserted[0].Latency != nil && *c.Upserted[0].Latency == 12
	})
}

// What a message shows of plans takes as many statements for many as for one.
func TestPlanStreamStatements(t *testing.T) {
	count := func(plans int) int64 {
		w := newWorld(t)
		for i := range plans {
			body := ask(w.serve("owner"), request{Query: fmt.Sprintf(`mutation { createRolloutPlan(input: {name: "Plan %d", waves: [{tmrGroups: ["tmr_1"]}]}) { plan { id } } }`, i)}).Body.String()
			if strings.Contains(body, `"errors"`) {
				t.Fatal(body)
			}
		}
		var statements atomic.Int64
		w.store.Client().Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
			return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
				statements.Add(1)
				return next.Query(ctx, q)
			})
		}))
		_, next := follow(t, w.server(t, "owner"), `subscription { rolloutPlansChanged { upserted { id entries(first: 10) { totalCount edges { node { wave tmrGroup { name } rollout { state } } } } } } }`, "")
		if c := next(); len(c.Upserted) != plans || len(c.Upserted[0].Entries.Edges) != 1 {
			t.Fatalf("%d plans: %+v", plans, c)
		}
		return statements.Load()
	}
	if one, many := count(1), count(10); one == 0 || one != many {
		t.Errorf("%d statements for one plan, %d for 10", one, many)
	}
}
