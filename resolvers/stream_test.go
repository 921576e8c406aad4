package resolvers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/resolvers"
)

const groupQuery = `subscription { tmrGroupChanged(id: "131-4837572") { sequence since snapshot position tmrGroup {
	sequence status quantity tmrId linked health orderedQuantity servers { name role } backends { cell } rollout { number state } } } }`

type groupMessage struct {
	TmrGroupChanged struct {
		Sequence, Since int
		Snapshot        bool
		Position        string
		TmrGroup        struct {
			Sequence, Quantity, OrderedQuantity int
			Status, Health                      string
			Linked                              bool
			Servers                             []struct{ Name, Role string }
			Backends                            []struct{ Cell string }
			Rollout                             *struct {
				Number int
				State  string
			}
		}
	}
}

func (m groupMessage) line() string {
	g := m.TmrGroupChanged.TmrGroup
	cells := make([]string, len(g.Backends))
	for i, b := range g.Backends {
		cells[i] = b.Cell
	}
	return fmt.Sprintf("%s | %s | %d", strings.Join(cells, " "), g.Status, g.Quantity)
}

// The table of an update from 20 to 30 licenses: every stage arrives, in
// order, although all of them were stored before the subscriber heard of any.
func TestGroupStreamShowsEachStageOfAnUpdate(t *testing.T) {
	w := newWorld(t)
	s := dial(t, w.server(t, "viewer"), nil)
	s.init()
	s.subscribe("1", groupQuery)
	var m groupMessage
	s.data(&m)
	if got, want := m.line(), "20/#7 20/#7 20/#7 | 1:#7 2:#7 3:#7 | 20"; got != want {
		t.Fatalf("present state %q, want %q", got, want)
	}
	stages := []struct {
		ids     [3]int
		inForce int
		want    string
	}{
		{[3]int{0, 7, 7}, 7, "– 20/#7 20/#7 | 1:- 2:#7 3:#7 | 20"},
		{[3]int{8, 7, 7}, 7, "30/#8 20/#7 20/#7 | 1:(#8) 2:#7 3:#7 | 20"},
		{[3]int{8, 0, 7}, 7, "30/#8 – 20/#7 | 1:(#8) 2:- 3:#7 | 20"},
		{[3]int{8, 8, 7}, 8, "30/#8 30/#8 20/#7 | 1:#8 2:#8 3:(#7) | 30"},
		{[3]int{8, 8, 0}, 8, "30/#8 30/#8 – | 1:#8 2:#8 3:- | 30"},
		{[3]int{8, 8, 8}, 8, "30/#8 30/#8 30/#8 | 1:#8 2:#8 3:#8 | 30"},
	}
	w.change(event.TmrGroup, "tmr_1", func(tx *store.Tx) error {
		for _, st := range stages {
			if err := w.pushView(tx, groupView(6000010, "131-4837572", st.ids, st.inForce)); err != nil {
				return err
			}
		}
		return nil
	})
	for i, st := range stages {
		s.data(&m)
		if got := m.line(); got != st.want || m.TmrGroupChanged.TmrGroup.Sequence != 4+i {
			t.Errorf("stage %d: sequence %d, %q, want %q", i+1, m.TmrGroupChanged.TmrGroup.Sequence, got, st.want)
		}
	}
	s.send(message{ID: "1", Type: "complete"})
	s.send(message{Type: "ping"})
	for m := s.next(); m.Type != "pong"; m = s.next() { // the stream has ended, the connection has not
		if m.Type == "next" {
			t.Errorf("after the end: %s", m.Payload)
		}
	}
}

// What is shown beside the view comes too, under the sequence of the last view.
func TestGroupStreamShowsLinkServersOrdersAndRollout(t *testing.T) {
	w := newWorld(t)
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	s.subscribe("1", groupQuery)
	var m groupMessage
	s.data(&m)
	until := func(what string, f func() bool) {
		t.Helper()
		for !f() {
			s.data(&m)
			if m.TmrGroupChanged.TmrGroup.Sequence != 3 {
				t.Fatalf("%s: sequence %d without a view", what, m.TmrGroupChanged.TmrGroup.Sequence)
			}
		}
	}
	ask(w.serve("owner"), request{Query: `mutation { order(input: {item: "itm_1", tmrGroup: "tmr_1", quantity: 10}) { order { id } } }`})
	until("order", func() bool { return m.TmrGroupChanged.TmrGroup.OrderedQuantity == 30 })
	ask(w.serve("owner"), request{Query: `mutation { startRollout(input: {tmrGroup: "tmr_1"}) { rollout { id } } }`})
	until("rollout", func() bool { r := m.TmrGroupChanged.TmrGroup.Rollout; return r != nil && r.Number == 2 })
	// Nobody tells when a server falls silent.
	past := time.Now().Add(-time.Hour).UTC()
	w.change("", "", func(tx *store.Tx) error {
		if err := tx.TmrServer.UpdateOneID("srv_1").SetSeenAt(past).Exec(w.system()); err != nil {
			return err
		}
		return tx.TmrGroup.UpdateOneID("tmr_1").SetLinkedAt(past).Exec(w.system())
	})
	until("silence", func() bool {
		g := m.TmrGroupChanged.TmrGroup
		return !g.Linked && g.Servers[0].Role == "DOWN" && g.Health == "UNKNOWN"
	})
}

func TestAllocationsStream(t *testing.T) {
	w := newWorld(t)
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	s.subscribe("1", `subscription { allocationsChanged(container: "131-4837572") {
		sequence snapshot total taken free denials upserted { id product { reference } container { serial } } removed } }`)
	var m struct {
		AllocationsChanged struct {
			Sequence, Total, Taken, Free, Denials int
			Snapshot                              bool
			Upserted                              []struct {
				ID      string
				Product struct{ Reference string }
			}
			Removed []string
		}
	}
	c := &m.AllocationsChanged
	s.data(&m)
	if !c.Snapshot || c.Sequence != 1 || len(c.Upserted) != 3 || c.Total != 20 || c.Taken != 3 || c.Free != 17 || c.Upserted[0].Product.Reference != "6000010:14" {
		t.Fatalf("snapshot: %+v", m)
	}
	// A burst becomes few messages: nothing twice, nothing lost, numbers without gaps.
	const burst = 40
	started := time.Now()
	for n := range burst {
		w.addAllocation(100 + n)
	}
	seen := map[string]int{}
	messages := 0
	for len(seen) < burst {
		before := c.Sequence
		m.AllocationsChanged.Upserted = nil
		s.data(&m)
		messages++
		if c.Snapshot || c.Sequence != before+1 {
			t.Fatalf("after message %d: %+v", before, c)
		}
		for _, a := range c.Upserted {
			seen[a.ID]++
		}
	}
	if most := int(time.Since(started)/(250*time.Millisecond)) + 1; messages > most {
		t.Errorf("%d messages within %v", messages, time.Since(started))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	if c.Taken != 3+burst || c.Free != 0 {
		t.Errorf("figures: %+v", c)
	}
	w.change(event.Allocations, "con_0", func(tx *store.Tx) error {
		return tx.Allocation.UpdateOneID("alc_100").SetState(property.AllocationReleased).SetEndedAt(w.now).Exec(w.system())
	})
	m.AllocationsChanged.Upserted = nil
	s.data(&m)
	if fmt.Sprint(c.Removed) != "[alc_100]" || len(c.Upserted) != 0 || c.Taken != 2+burst {
		t.Errorf("removal: %+v", c)
	}
	// The quantity in force comes with the view.
	w.change(event.TmrGroup, "tmr_1", func(tx *store.Tx) error {
		return w.pushView(tx, groupView(6000010, "131-4837572", [3]int{8, 8, 7}, 8))
	})
	s.data(&m)
	if c.Total != 30 || len(c.Removed) != 0 {
		t.Errorf("quantity: %+v", c)
	}
}

// TestAllocationsOfASingleContainer: the quantity comes from what its license
// server tells.
func TestAllocationsOfASingleContainer(t *testing.T) {
	w := newWorld(t)
	w.seedContainers()
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	s.subscribe("1", `subscription { allocationsChanged(container: "130-800") { snapshot total taken free upserted { id container { serial } } removed } }`)
	var m struct {
		AllocationsChanged struct {
			Snapshot           bool
			Total, Taken, Free int
			Upserted           []struct{ ID string }
			Removed            []string
		}
	}
	c := &m.AllocationsChanged
	s.data(&m)
	if !c.Snapshot || c.Total != 0 || len(c.Upserted) != 0 {
		t.Fatalf("snapshot: %+v", c)
	}
	w.change(event.Served, "con_800", func(tx *store.Tx) error {
		return tx.Container.UpdateOneID("con_800").SetServed([]property.ServedLicense{
			{Product: "6000010:14", Quantity: 5}, {Product: "6000010:15", Quantity: 7, Reason: "LICENSE_EXPIRED"},
		}).Exec(w.system())
	})
	s.data(&m)
	if c.Snapshot || c.Total != 5 || c.Free != 5 || c.Taken != 0 {
		t.Errorf("what is served: %+v", c)
	}
	w.change(event.Allocations, "con_800", func(tx *store.Tx) error {
		port := "org_port"
		return w.allocation(w.system(), tx, "org_charts", &port, "", 800).SetContainerID("con_800").Exec(w.system())
	})
	s.data(&m)
	if c.Total != 5 || c.Taken != 1 || c.Free != 4 || len(c.Upserted) != 1 || c.Upserted[0].ID != "alc_800" {
		t.Errorf("a handle: %+v", c)
	}
	w.change(event.Allocations, "con_800", func(tx *store.Tx) error {
		return tx.Allocation.UpdateOneID("alc_800").SetState(property.AllocationRemoved).SetEndedAt(w.now).Exec(w.system())
	})
	s.data(&m)
	if c.Free != 5 || fmt.Sprint(c.Removed) != "[alc_800]" {
		t.Errorf("its end: %+v", c)
	}
}

func TestRolloutStreamEndsWithTheRollout(t *testing.T) {
	w := newWorld(t)
	var started struct {
		Data struct {
			StartRollout struct{ Rollout struct{ ID string } }
		}
	}
	ask(w.serve("owner"), request{Query: `mutation { order(input: {item: "itm_1", tmrGroup: "tmr_1", quantity: 10}) { order { id } } }`})
	answer := ask(w.serve("owner"), request{Query: `mutation { startRollout(input: {tmrGroup: "tmr_1"}) { rollout { id } } }`})
	if err := json.Unmarshal(answer.Body.Bytes(), &started); err != nil {
		t.Fatal(err)
	}
	id := started.Data.StartRollout.Rollout.ID
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	s.subscribe("1", fmt.Sprintf(`subscription { rolloutChanged(id: %q) { rollout { state sequence } } }`, id))
	var m struct {
		RolloutChanged struct {
			Rollout struct {
				State    string
				Sequence int
			}
		}
	}
	s.data(&m)
	if m.RolloutChanged.Rollout.State != "COLLECTING" {
		t.Errorf("present state: %+v", m)
	}
	ask(w.serve("owner"), request{Query: fmt.Sprintf(`mutation { abortRollout(input: {rollout: %q}) { rollout { id } } }`, id)})
	s.data(&m)
	if m.RolloutChanged.Rollout.State != "ABORTED" {
		t.Errorf("end: %+v", m)
	}
	s.want("complete")
}

func TestStreamOfAnotherTenantIsNotFound(t *testing.T) {
	w := newWorld(t)
	s := dial(t, w.server(t, "stranger"), nil)
	s.init()
	for _, q := range []string{`tmrGroupChanged(id: "tmr_1") { sequence }`, `rolloutChanged(id: "rol_0") { sequence }`, `allocationsChanged(container: "con_0") { sequence }`} {
		s.subscribe("1", "subscription { "+q+" }")
		if got := s.code(s.want("next").Payload); got != "NOT_FOUND" {
			t.Errorf("%s: %s", q, got)
		}
		s.want("complete")
	}
}

// A member who is removed hears the reason, and then nothing any more.
func TestStreamEndsWithThePermission(t *testing.T) {
	w := newWorld(t)
	s := dial(t, w.server(t, "viewer"), nil)
	s.init()
	s.subscribe("1", groupQuery)
	var m groupMessage
	s.data(&m)
	w.change("", "", func(tx *store.Tx) error { return tx.Member.DeleteOneID("mem_viewer").Exec(w.system()) })
	w.change(event.TmrGroup, "tmr_1", func(tx *store.Tx) error {
		return w.pushView(tx, groupView(6000010, "131-4837572", [3]int{0, 7, 7}, 7))
	})
	if got := s.code(s.want("next").Payload); got != "UNAUTHENTICATED" {
		t.Errorf("code %s", got)
	}
	s.want("complete")
}

func TestServerSentEvents(t *testing.T) {
	w := newWorld(t, func(c *resolvers.Config) { c.Ping = 5 * time.Millisecond })
	server := w.server(t, "owner")
	body, _ := json.Marshal(request{Query: `subscription { tmrGroupChanged(id: "tmr_1") { tmrGroup { sequence status } } }`})
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
		t.Fatalf("type %q", got)
	}
	next := events(t, resp.Body)
	if got, want := next(), `next {"data":{"tmrGroupChanged":{"tmrGroup":{"sequence":3,"status":"1:#7 2:#7 3:#7"}}}}`; got != want {
		t.Errorf("first %s", got)
	}
	w.change(event.TmrGroup, "tmr_1", func(tx *store.Tx) error {
		return w.pushView(tx, groupView(6000010, "131-4837572", [3]int{0, 7, 7}, 7))
	})
	if got, want := next(), `next {"data":{"tmrGroupChanged":{"tmrGroup":{"sequence":4,"status":"1:- 2:#7 3:#7"}}}}`; got != want {
		t.Errorf("second %s", got)
	}

	// By GET, as an EventSource asks; a stream that ends says so.
	r, _ = http.NewRequestWithContext(t.Context(), "GET", server.URL+"?query=subscription%7BrolloutChanged(id:%22rol_0%22)%7Brollout%7Bstate%7D%7D%7D", nil)
	r.Header.Set("Accept", "text/event-stream")
	ended, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer ended.Body.Close()
	next = events(t, ended.Body)
	for _, want := range []string{`next {"data":{"rolloutChanged":{"rollout":{"state":"DONE"}}}}`, "complete", "end"} {
		if got := next(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
