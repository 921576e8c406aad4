package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/testenv"
)

func startDemo(t *testing.T, dir string) (*process, api) {
	t.Helper()
	p := start(t, "demo", "demo", "--listen", "127.0.0.1:0", "--data", dir, "--patience", patience, "--json")
	for _, key := range []string{"url", "graphql", "token", "licenseServer"} {
		if p.ready[key] == "" {
			t.Fatalf("the JSON line has no %s: %v", key, p.ready)
		}
	}
	return p, api{p.ready["url"], p.ready["token"]}
}

// The whole job on SQLite and files, as a new user has it.
func TestJobInTheDemo(t *testing.T) {
	dir := t.TempDir()
	p, a := startDemo(t, dir)
	before := a.group(t)
	if before.stage() != stages()[0] || before.VirtualSerial != virtual || before.Health != "FULLY_REDUNDANT" {
		t.Fatalf("the demo starts with %+v", before)
	}
	for i, want := range []string{"130-1874829", "130-27845973", "130-3879234"} {
		if got := before.Backends[i].Serial; got != want {
			t.Errorf("backend %d is %s, want %s", i+1, got, want)
		}
	}
	testenv.Eventually(t, 20*time.Second, func() error { return wantHandles(t, p.ready["licenseServer"], 12) })
	if first := must(t, "ls", "--server", p.ready["licenseServer"]); !regexp.MustCompile(`Chart Processing +0x[0-9a-f]+ +20 +8 `).MatchString(first) {
		t.Errorf("quorate ls shows\n%s", first)
	}
	// The link has the containers' time certified from the start.
	testenv.Eventually(t, 30*time.Second, func() error {
		var why struct{ Certified string }
		if err := json.Unmarshal([]byte(must(t, "why", "--server", p.ready["licenseServer"], "6000010:14", "--json")), &why); err != nil {
			return err
		}
		if at, err := time.Parse(time.RFC3339, why.Certified); err != nil || time.Since(at) > 5*time.Minute {
			return fmt.Errorf("the time was certified at %q", why.Certified)
		}
		return nil
	})
	runJob(t, a, []string{p.ready["licenseServer"]}, 12, func() { a.startRollout(t) })
	showsUse(t, a)

	// It goes on with the same data, and the old token still works.
	p.stop(t)
	p, a = startDemo(t, dir)
	if after := a.group(t); after.stage() != stages()[6] {
		t.Errorf("after a restart the group shows %s", after.stage())
	}
	testenv.Eventually(t, 20*time.Second, func() error { return wantHandles(t, p.ready["licenseServer"], 12) })
	p.stop(t)
}

// showsUse has the API show how living handles are used, and one's holder be asked
// to release it, which the leading TMR server takes.
func showsUse(t *testing.T, a api) {
	type allocation struct {
		ID                      string
		Accesses                int
		LastAccessAt, ExpiresAt time.Time
		Notice                  struct {
			Code    string
			TakenAt time.Time
		}
	}
	living := func() (all []allocation) {
		var list struct {
			Container struct {
				Allocations struct{ Edges []struct{ Node allocation } }
			}
		}
		a.query(t, `query($s: String!) { container(serial: $s) { allocations(active: true, first: 100) { edges { node { id accesses lastAccessAt expiresAt notice { code takenAt } } } } } }`,
			map[string]any{"s": virtual}, &list)
		for _, e := range list.Container.Allocations.Edges {
			all = append(all, e.Node)
		}
		return all
	}
	testenv.Eventually(t, 30*time.Second, func() error {
		all := living()
		for _, one := range all {
			if one.Accesses == 0 || time.Since(one.LastAccessAt) > time.Minute || time.Until(one.ExpiresAt).Abs() > time.Minute {
				return fmt.Errorf("its use is %+v", one)
			}
		}
		if len(all) == 0 {
			return errors.New("there are no allocations")
		}
		return nil
	})
	one := living()[0]
	a.query(t, `mutation($id: ID!) { askAllocation(input: {allocation: $id, text: "please"}) { allocation { id } } }`, map[string]any{"id": one.ID}, nil)
	testenv.Eventually(t, 20*time.Second, func() error {
		all := living()
		i := slices.IndexFunc(all, func(b allocation) bool { return b.ID == one.ID })
		if i < 0 || all[i].Notice.TakenAt.IsZero() || all[i].Notice.Code != "" {
			return fmt.Errorf("the notice: %+v", all)
		}
		return nil
	})
}

// What the API refuses it refuses with a stable code, and says what to do.
func TestRefusals(t *testing.T) {
	t.Parallel()
	p, a := startDemo(t, t.TempDir())
	var items struct {
		Items struct {
			Edges []struct{ Node struct{ ID string } }
		}
	}
	a.query(t, `{ items { edges { node { id } } } }`, nil, &items)
	item := items.Items.Edges[0].Node.ID
	const start = `mutation($g: ID!) { startRollout(input: {tmrGroup: $g}) { rollout { id } } }`
	const order = `mutation($in: OrderInput!) { order(input: $in) { order { id } } }`
	tests := []struct {
		name, query string
		variables   map[string]any
		code        string
	}{
		{"nothing new ordered", start, map[string]any{"g": virtual}, "ROLLOUT_UP_TO_DATE"},
		{"no such group", start, map[string]any{"g": "131-1"}, "NOT_FOUND"},
		{"no licenses", order, map[string]any{"in": map[string]any{"item": item, "tmrGroup": virtual, "quantity": 0}}, "INVALID_INPUT"},
		{"no such item", order, map[string]any{"in": map[string]any{"item": "itm_x", "tmrGroup": virtual, "quantity": 1}}, "NOT_FOUND"},
		{"no such allocation", `mutation { releaseAllocation(input: {allocation: "alc_x"}) { allocation { id } } }`, nil, "NOT_FOUND"},
		{"no such rollout", `mutation { retryRollout(input: {rollout: "rol_x"}) { rollout { id } } }`, nil, "NOT_FOUND"},
	}
	for _, tt := range tests {
		e := a.refused(t, tt.query, tt.variables)
		if e.Extensions.Code != tt.code || e.Message == "" || e.Extensions.Fix == "" {
			t.Errorf("%s: %+v, want %s with what to do", tt.name, e, tt.code)
		}
	}
	if e := (api{a.url, "qrt_wrong"}).refused(t, `{ viewer { name } }`, nil); e.Extensions.Code != "UNAUTHENTICATED" {
		t.Errorf("a wrong token: %+v", e)
	}
	p.stop(t)
}

// A person removes one allocation: its seat is free, its program is told, the
// history shows it.
func TestReleaseAllocation(t *testing.T) {
	p, a := startDemo(t, t.TempDir())
	mine := newPrograms(t, p.ready["licenseServer"])
	mine.take(1)
	handle := mine.handles[0]
	type allocation struct{ ID, Handle, State, User string }
	var list struct {
		Container struct {
			Allocations struct{ Edges []struct{ Node allocation } }
		}
	}
	var found allocation
	testenv.Eventually(t, 10*time.Second, func() error {
		a.query(t, `query($s: String!) { container(serial: $s) { allocations(active: true, first: 100) { edges { node { id handle state user } } } } }`,
			map[string]any{"s": virtual}, &list)
		for _, e := range list.Container.Allocations.Edges {
			if e.Node.Handle == handle.Info().ID {
				found = e.Node
				return nil
			}
		}
		return fmt.Errorf("%d allocations, ours is not among them", len(list.Container.Allocations.Edges))
	})
	changes := a.subscribe(t, `subscription($c: ID!) { allocationsChanged(container: $c) { sequence snapshot taken removed } }`, map[string]any{"c": virtual})
	type change struct {
		AllocationsChanged struct {
			Sequence int
			Snapshot bool
			Taken    int
			Removed  []string
		}
	}
	var first change
	changes.read(t, 10*time.Second, &first)
	if !first.AllocationsChanged.Snapshot || first.AllocationsChanged.Taken != 13 {
		t.Errorf("the first message is %+v", first)
	}
	a.query(t, `mutation($id: ID!) { releaseAllocation(input: {allocation: $id}) { allocation { id } } }`, map[string]any{"id": found.ID}, nil)
	for {
		var next change
		changes.read(t, 10*time.Second, &next)
		if slices.Contains(next.AllocationsChanged.Removed, found.ID) {
			break
		}
	}
	select {
	case <-handle.Done():
	case <-time.After(15 * time.Second):
		t.Fatal("the program was not told")
	}
	if code := client.CodeOf(handle.Err()); code != client.CodeHandleRemoved {
		t.Errorf("the program's error is %v", handle.Err())
	}
	var node struct{ Node allocation }
	a.query(t, `query($id: ID!) { node(id: $id) { ... on Allocation { id state } } }`, map[string]any{"id": found.ID}, &node)
	if node.Node.State != "REMOVED" {
		t.Errorf("the history says %+v", node.Node)
	}
	p.stop(t)
}
