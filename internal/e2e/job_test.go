package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
)

const (
	product = "6000010:14"
	virtual = "131-4837572"
)

// stage is one row of the update table: what a person sees of the group.
type stage struct {
	Cells    [3]string
	Status   string
	Quantity int
}

func (s stage) String() string {
	return fmt.Sprintf("%s | %s | %d", strings.Join(s.Cells[:], " "), s.Status, s.Quantity)
}

// stages are the seven rows from 20 licenses (#7) to 30 (#8).
func stages() []stage {
	return []stage{
		{[3]string{"20/#7", "20/#7", "20/#7"}, "1:#7 2:#7 3:#7", 20},
		{[3]string{"–", "20/#7", "20/#7"}, "1:- 2:#7 3:#7", 20},
		{[3]string{"30/#8", "20/#7", "20/#7"}, "1:(#8) 2:#7 3:#7", 20},
		{[3]string{"30/#8", "–", "20/#7"}, "1:(#8) 2:- 3:#7", 20},
		{[3]string{"30/#8", "30/#8", "20/#7"}, "1:#8 2:#8 3:(#7)", 30},
		{[3]string{"30/#8", "30/#8", "–"}, "1:#8 2:#8 3:-", 30},
		{[3]string{"30/#8", "30/#8", "30/#8"}, "1:#8 2:#8 3:#8", 30},
	}
}

const groupFields = `id name virtualSerial status quantity tmrId health sequence viewedAt linked clients orderedQuantity
	backends { position serial tmrId quantity cell inForce state } servers { name role } rollout { id state }`

type groupView struct {
	ID              string
	Name            string
	VirtualSerial   string
	Status          string
	Quantity        int
	TMRID           *int `json:"tmrId"`
	Health          string
	Sequence        int
	ViewedAt        time.Time
	Linked          bool
	Clients         int
	OrderedQuantity int
	Backends        []struct {
		Position int
		Serial   string
		TMRID    *int `json:"tmrId"`
		Quantity *int
		Cell     string
		InForce  bool
		State    string
	}
	Servers []struct{ Name, Role string }
	Rollout *struct{ ID, State string }
}

func (g groupView) stage() stage {
	s := stage{Status: g.Status, Quantity: g.Quantity}
	for i, b := range g.Backends {
		s.Cells[i] = b.Cell
	}
	return s
}

func (a api) group(t testing.TB) groupView {
	t.Helper()
	var out struct{ TmrGroup *groupView }
	a.query(t, `query($id: ID!) { tmrGroup(id: $id) { `+groupFields+` } }`, map[string]any{"id": virtual}, &out)
	if out.TmrGroup == nil {
		t.Fatalf("there is no group %s", virtual)
	}
	return *out.TmrGroup
}

func (a api) order(t testing.TB, quantity int) {
	t.Helper()
	var items struct {
		Items struct {
			Edges []struct{ Node struct{ ID string } }
		}
	}
	a.query(t, `{ items { edges { node { id } } } }`, nil, &items)
	if len(items.Items.Edges) != 1 {
		t.Fatalf("%d items", len(items.Items.Edges))
	}
	var out struct {
		Order struct{ Order struct{ Quantity int } }
	}
	a.query(t, `mutation($in: OrderInput!) { order(input: $in) { order { quantity } } }`, map[string]any{"in": map[string]any{
		"item": items.Items.Edges[0].Node.ID, "tmrGroup": virtual, "quantity": quantity,
	}}, &out)
	if out.Order.Order.Quantity != quantity {
		t.Fatalf("ordered %d, got %d", quantity, out.Order.Order.Quantity)
	}
}

func (a api) startRollout(t testing.TB) string {
	t.Helper()
	var out struct {
		StartRollout struct{ Rollout struct{ ID string } }
	}
	a.query(t, `mutation($g: ID!) { startRollout(input: {tmrGroup: $g}) { rollout { id } } }`, map[string]any{"g": virtual}, &out)
	return out.StartRollout.Rollout.ID
}

// watchGroup records what the subscription shows, without repeats.
type watchGroup struct {
	sub  *subscription
	seen []groupView
}

func (a api) watchGroup(t testing.TB) *watchGroup {
	t.Helper()
	w := &watchGroup{sub: a.subscribe(t, `subscription($id: ID!) { tmrGroupChanged(id: $id) { tmrGroup { `+groupFields+` } } }`, map[string]any{"id": virtual})}
	w.next(t)
	return w
}

func (w *watchGroup) next(t testing.TB) groupView {
	t.Helper()
	var m struct{ TmrGroupChanged struct{ TmrGroup groupView } }
	if !w.sub.read(t, 60*time.Second, &m) {
		t.Fatalf("the group's subscription ended; seen so far:\n%s", w.list())
	}
	g := m.TmrGroupChanged.TmrGroup
	if n := len(w.seen); n == 0 || w.seen[n-1].stage() != g.stage() {
		w.seen = append(w.seen, g)
	}
	return g
}

func (w *watchGroup) list() string {
	var lines []string
	for _, g := range w.seen {
		lines = append(lines, g.stage().String())
	}
	return strings.Join(lines, "\n")
}

// until reads on until the group shows this stage and no rollout runs.
func (w *watchGroup) until(t testing.TB, last stage) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for g := w.seen[len(w.seen)-1]; g.stage() != last || g.Rollout != nil; g = w.next(t) {
		if g.Rollout != nil && g.Rollout.State == "HELD" {
			t.Fatalf("the rollout is held; seen so far:\n%s", w.list())
		}
		if time.Now().After(deadline) {
			t.Fatalf("not at %s after two minutes; seen so far:\n%s", last, w.list())
		}
	}
}

// wantSevenStages asserts the whole table, in order, with nothing in between.
func (w *watchGroup) wantSevenStages(t testing.TB) {
	t.Helper()
	var got []stage
	for _, g := range w.seen {
		got = append(got, g.stage())
	}
	if !slices.Equal(got, stages()) {
		t.Errorf("the stages were\n%s", w.list())
	}
	for i, g := range w.seen {
		for _, b := range g.Backends {
			state := "PRESENT"
			if b.Cell == "–" {
				state = "ACTIVATING"
			}
			if b.State != state {
				t.Errorf("stage %d: backend %d is %s with the cell %s", i, b.Position, b.State, b.Cell)
			}
		}
	}
}

// programs are SDK clients of a test.
type programs struct {
	t       testing.TB
	servers []string

	mu      sync.Mutex
	clients []*client.Client
	handles []*client.Handle
	// granted are the moments at which a grant had arrived: from then on its
	// handle was surely valid.
	granted []time.Time
}

func newPrograms(t testing.TB, servers ...string) *programs {
	p := &programs{t: t, servers: servers}
	t.Cleanup(p.close)
	return p
}

// close ends all programs, and with them their handles.
func (p *programs) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.clients {
		_ = c.Close()
	}
	p.clients = nil
}

func (p *programs) open(name string) (*client.Client, error) {
	c, err := client.Open(context.Background(), client.Config{
		Servers: p.servers, Application: "chartproc", User: name, Station: "ws-" + name, Wait: 20 * time.Second,
	})
	if err == nil {
		p.mu.Lock()
		p.clients = append(p.clients, c)
		p.mu.Unlock()
	}
	return c, err
}

// access takes one handle and keeps it.
func (p *programs) access(ctx context.Context, name string) (*client.Handle, error) {
	c, err := p.open(name)
	if err != nil {
		return nil, err
	}
	return p.accessBy(ctx, c)
}

func (p *programs) accessBy(ctx context.Context, c *client.Client) (*client.Handle, error) {
	h, err := c.Access(ctx, product)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handles = append(p.handles, h)
	p.granted = append(p.granted, time.Now())
	return h, nil
}

func (p *programs) take(n int) {
	p.t.Helper()
	for i := range n {
		if _, err := p.access(context.Background(), fmt.Sprintf("user%02d", i)); err != nil {
			p.t.Fatalf("program %d of %d: %v", i+1, n, err)
		}
	}
}

// wantAlive asserts that no program lost its handle.
func (p *programs) wantAlive() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, h := range p.handles {
		if err := h.Err(); err != nil {
			p.t.Errorf("program %d lost its handle: %v", i+1, err)
		}
	}
}

// runJob is the main job: 20 licenses taken by programs, 10 more ordered and
// rolled out, with everything that the table promises meanwhile. others is how
// many handles programs outside of this test hold already.
func runJob(t *testing.T, a api, servers []string, others int, startRollout func()) {
	t.Helper()
	p := newPrograms(t, servers...)
	p.take(20 - others)

	late, err := p.open("late")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := late.Access(context.Background(), product); client.CodeOf(err) != client.CodeNoFreeSeat {
		t.Fatalf("the 21st program: %v, want %s", err, client.CodeNoFreeSeat)
	}

	w := a.watchGroup(t)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	admitted := make(chan time.Time, 1)
	go func() { // the 21st tries until it gets in
		for ctx.Err() == nil {
			_, err := p.accessBy(ctx, late)
			switch {
			case err == nil:
				admitted <- time.Now()
				return
			case client.CodeOf(err) == client.CodeNoFreeSeat:
				select {
				case <-time.After(5 * time.Millisecond):
				case <-ctx.Done():
				}
			default:
				t.Errorf("the 21st program: %v", err)
				close(admitted)
				return
			}
		}
	}()

	a.order(t, 10)
	startRollout()
	w.until(t, stages()[6])
	w.wantSevenStages(t)

	select {
	case at, ok := <-admitted:
		if !ok {
			break
		}
		raised := w.seen[4].ViewedAt
		if w.seen[4].stage() == stages()[4] && at.Before(raised.Truncate(time.Millisecond)) {
			t.Errorf("the 21st program was let in at %s, before the quantity became 30 at %s", at, raised)
		}
	case <-time.After(10 * time.Second):
		t.Error("the 21st program was not let in when the quantity was 30")
	}
	p.wantAlive()
	p.take(9) // up to 30, and no further
	if h, err := late.Access(context.Background(), product); client.CodeOf(err) != client.CodeNoFreeSeat {
		t.Errorf("the 31st program: %v %v, want %s", h, err, client.CodeNoFreeSeat)
	}
	p.wantAlive()
	wantNeverTooMany(t, p, others, w)
	p.close()
}

// wantNeverTooMany sweeps over all grants: at no instant are more handles
// surely valid than the quantity in force.
func wantNeverTooMany(t testing.TB, p *programs, others int, w *watchGroup) {
	t.Helper()
	var raised time.Time
	for _, g := range w.seen {
		if g.Quantity == 30 {
			raised = g.ViewedAt.Truncate(time.Millisecond)
			break
		}
	}
	held := others
	at := slices.Clone(p.granted)
	slices.SortFunc(at, time.Time.Compare)
	for _, g := range at {
		held++
		quantity := 20
		if !raised.IsZero() && !g.Before(raised) {
			quantity = 30
		}
		if held > quantity {
			t.Errorf("%d handles were valid at %s with %d licenses in force", held, g, quantity)
		}
	}
}
