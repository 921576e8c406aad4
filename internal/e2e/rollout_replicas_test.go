package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/testenv"
)

// TestRolloutsSurviveAReplica: of two platforms on one PostgreSQL and Redis, the
// one that works on a TMR group's rollout is killed while the second backend is
// being updated; first in a rollout alone, then in the first wave of a plan. The
// other one takes each over, and begins and ends the plan's next wave. All end as
// they should: each backend was updated one at a time, every container holds each
// update once and in order, and who watched at the killed one goes on at the other
// one by number, with no stage of the group repeated or left out.
func TestRolloutsSurviveAReplica(t *testing.T) {
	dsn, rdb := testenv.Postgres(t), testenv.Redis(t)
	r := &survivors{t: t}
	sweep := []string{"--sweep", "500ms"} // how soon what a dead one left is looked for
	r.lab = newLab(t, labConfig{database: dsn, redis: rdb.URL(), flags: sweep, link: func(l *lab) string {
		addr := testenv.FreeAddr(t)
		other := slices.Clone(l.args["platform"])
		other[slices.Index(other, "--listen")+1] = addr
		r.args = [2][]string{l.args["platform"], other}
		r.replicas = [2]*process{l.platform, start(t, "platform-2", other...)}
		r.apis = [2]api{l.api, {"http://" + addr, l.api.token}}
		r.front = newFront(t, r.apis[0].url, r.apis[1].url)
		return r.front.url
	}})
	l := r.lab
	customers := &life{t: t, dir: l.dir, root: l.root, api: api{r.front.url, l.api.token}}
	box := customers.box("office", "130-77", "Acme Motors", true)
	box.start()

	// A rollout alone.
	l.api.order(t, 20)
	id := l.api.startRollout(t)
	followed := r.follow()
	left := r.killTheWorker(id)
	followed.goOn(left)
	testenv.Eventually(t, 20*time.Second, func() error {
		if s := r.rollout(left, id).State; s != "DONE" {
			return fmt.Errorf("the rollout is %s", s)
		}
		return nil
	})
	r.tookOver(left, id)
	followed.check(stages()[0])
	r.restart(1 - left)

	// A plan.
	r.apis[left].order(t, 10)
	box.buy(r.item(), 5)
	followed = r.follow()
	var made struct {
		CreateRolloutPlan struct{ Plan struct{ ID string } }
	}
	l.api.query(t, `mutation($in: CreateRolloutPlanInput!) { createRolloutPlan(input: $in) { plan { id } } }`, map[string]any{"in": map[string]any{
		"name": "Spring", "waves": []any{map[string]any{"tmrGroups": []string{virtual}}, map[string]any{"containers": []string{box.serial}}},
	}}, &made)
	plan := made.CreateRolloutPlan.Plan.ID
	id = r.plan(0, plan, func(p rolloutPlan) bool { return p.entries[0].Rollout != nil }).entries[0].Rollout.ID
	left = r.killTheWorker(id)
	followed.goOn(left)
	if p := r.plan(left, plan, nil); p.State != "RUNNING" || p.entries[1].State != "WAITING" {
		t.Fatalf("the replica was killed too late: %+v", p)
	}
	p := r.plan(left, plan, func(p rolloutPlan) bool { return p.State != "RUNNING" })
	if p.State != "DONE" || p.entries[0].State != "DONE" || p.entries[1].State != "DONE" {
		t.Fatalf("the plan ended so: %+v", p)
	}
	first, second := p.entries[0].Rollout, p.entries[1].Rollout
	if first.State != "DONE" || second.State != "DONE" || second.CreatedAt.Before(*first.FinishedAt) {
		t.Errorf("the second wave didn't wait for the first: %+v, %+v", first, second)
	}
	r.tookOver(left, id)
	followed.check(stages()...)
	r.updatedOnceAndInTurn(dsn, box)
}

// survivors are two replicas of the platform behind one address, of which one may
// be dead, and the five servers that they look after.
type survivors struct {
	t        *testing.T
	lab      *lab
	front    *front
	replicas [2]*process
	args     [2][]string
	apis     [2]api
}

// worked finds what a replica has stored of a rollout.
func (r *survivors) worked(replica int, id, state string) bool {
	return regexp.MustCompile(`msg=rollout rollout=` + id + ` state=` + state).MatchString(r.replicas[replica].output())
}

// killTheWorker kills the replica that has the second backend activate its
// update, and gives the one that is left.
func (r *survivors) killTheWorker(id string) (left int) {
	r.t.Helper()
	left = -1
	testenv.Eventually(r.t, 30*time.Second, func() error {
		for i := range r.replicas {
			if r.worked(i, id, "ACTIVATING backend=2") {
				left = 1 - i
				return nil
			}
		}
		return fmt.Errorf("no replica is there; the first one's rollout is %s", r.rollout(0, id).State)
	})
	r.replicas[1-left].kill()
	r.front.only(r.apis[left].url)
	if r.worked(left, id, "DONE") {
		r.t.Error("the other replica was killed too late")
	}
	return left
}

func (r *survivors) tookOver(left int, id string) {
	r.t.Helper()
	for _, state := range []string{"CONFIRMING backend=3", "DONE"} {
		if !r.worked(left, id, state) {
			r.t.Errorf("it is not the other replica that came to %s", state)
		}
	}
}

func (r *survivors) restart(replica int) {
	r.t.Helper()
	r.replicas[replica] = start(r.t, fmt.Sprintf("platform-%d", replica+1), r.args[replica]...)
	r.front.only(r.apis[0].url, r.apis[1].url)
}

type rolled struct {
	ID, State  string
	CreatedAt  time.Time
	FinishedAt *time.Time
}

func (r *survivors) rollout(at int, id string) rolled {
	r.t.Helper()
	var out struct{ Node rolled }
	r.apis[at].query(r.t, `query($id: ID!) { node(id: $id) { ... on Rollout { id state createdAt finishedAt } } }`, map[string]any{"id": id}, &out)
	return out.Node
}

type rolloutPlan struct {
	State, StopReason string
	Entries           struct{ Edges []struct{ Node planEntry } }
	entries           []planEntry
}

type planEntry struct {
	State, Note string
	Rollout     *rolled
}

// plan gives a plan once it is as awaited.
func (r *survivors) plan(at int, id string, awaited func(rolloutPlan) bool) rolloutPlan {
	r.t.Helper()
	var out struct{ Node rolloutPlan }
	testenv.Eventually(r.t, 30*time.Second, func() error {
		out.Node = rolloutPlan{}
		r.apis[at].query(r.t, `query($id: ID!) { node(id: $id) { ... on RolloutPlan { state stopReason
			entries { edges { node { state note rollout { id state createdAt finishedAt } } } } } } }`, map[string]any{"id": id}, &out)
		for _, e := range out.Node.Entries.Edges {
			out.Node.entries = append(out.Node.entries, e.Node)
		}
		if awaited != nil && !awaited(out.Node) {
			return fmt.Errorf("the plan is %+v", out.Node)
		}
		return nil
	})
	return out.Node
}

func (r *survivors) item() string {
	r.t.Helper()
	var out struct {
		Items struct {
			Edges []struct{ Node struct{ ID string } }
		}
	}
	r.lab.api.query(r.t, `{ items { edges { node { id } } } }`, nil, &out)
	return out.Items.Edges[0].Node.ID
}

// groupFollower replays what it is told of the group, at one replica after another.
type groupFollower struct {
	t    testing.TB
	at   int
	done chan struct{} // the present connection has ended
	mu   sync.Mutex

	seen     []groupView
	position string
	sequence int
	again    bool // connected again, and not told anything yet
	resumed  bool
	problems []string
}

const followGroup = `subscription($id: ID!, $after: StreamPosition) { tmrGroupChanged(id: $id, after: $after) {
	sequence since snapshot position tmrGroup { ` + groupFields + ` } } }`

func (f *groupFollower) connect(a api) {
	f.t.Helper()
	variables := map[string]any{"id": virtual}
	if f.position != "" {
		variables["after"], f.again = f.position, true
	}
	s := a.subscribe(f.t, followGroup, variables)
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		for raw := range s.next {
			f.apply(raw)
		}
	}()
}

func (f *groupFollower) apply(raw []byte) {
	var m struct {
		Data struct {
			TmrGroupChanged struct {
				Sequence int
				Since    *int
				Snapshot bool
				Position string
				TmrGroup groupView
			}
		}
		Errors []apiError
	}
	err := json.Unmarshal(raw, &m)
	c := m.Data.TmrGroupChanged
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil || len(m.Errors) > 0:
		f.problems = append(f.problems, fmt.Sprintf("%s %v", raw, err))
		return
	case c.Snapshot && len(f.seen) > 0:
		f.problems = append(f.problems, "it began anew")
	case c.Snapshot:
	case c.Since == nil || *c.Since != f.sequence || !f.again && c.Sequence != f.sequence+1:
		f.problems = append(f.problems, fmt.Sprintf("after %d came %d since %v", f.sequence, c.Sequence, c.Since))
	case f.again:
		f.resumed = true
	}
	f.again, f.sequence, f.position = false, c.Sequence, c.Position
	f.seen = append(f.seen, c.TmrGroup)
}

type followers struct {
	t   *testing.T
	r   *survivors
	all []*groupFollower
}

// follow has the group watched at both replicas, from now on.
func (r *survivors) follow() followers {
	r.t.Helper()
	fs := followers{r.t, r, nil}
	for i := range r.apis {
		f := &groupFollower{t: r.t, at: i}
		f.connect(r.apis[i])
		testenv.Eventually(r.t, 10*time.Second, func() error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.position == "" {
				return fmt.Errorf("watcher %d was told nothing", i)
			}
			return nil
		})
		fs.all = append(fs.all, f)
	}
	return fs
}

// goOn connects those who watched at the killed replica to the one that is left.
func (fs followers) goOn(left int) {
	fs.t.Helper()
	for _, f := range fs.all {
		if f.at != left {
			<-f.done
			f.connect(fs.r.apis[left])
		}
	}
}

// check waits for the last stage, and asserts that nothing else was told of than
// these stages, in their order; where there is only one, that it is the last.
func (fs followers) check(want ...stage) {
	fs.t.Helper()
	for i, f := range fs.all {
		testenv.Eventually(fs.t, 20*time.Second, func() error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if g := f.seen[len(f.seen)-1]; g.stage() != want[len(want)-1] || g.Rollout != nil {
				return fmt.Errorf("watcher %d is at %s (%v)", i, g.stage(), g.Rollout)
			}
			return nil
		})
		f.mu.Lock()
		var got []stage
		for _, g := range f.seen {
			if n := len(got); n == 0 || got[n-1] != g.stage() {
				got = append(got, g.stage())
			}
		}
		if len(want) > 1 && !slices.Equal(got, want) {
			fs.t.Errorf("watcher %d was told of %v", i, got)
		}
		if len(f.problems) > 0 {
			fs.t.Errorf("watcher %d: %s", i, strings.Join(f.problems, "; "))
		}
		f.mu.Unlock()
	}
	if n := slices.IndexFunc(fs.all, func(f *groupFollower) bool { return f.resumed }); n < 0 {
		fs.t.Error("nobody went on by number")
	}
}

// updatedOnceAndInTurn asserts what is written down of three rollouts, two of
// the group and one of the box: an update each with its receipt, activated once;
// the group's one after the other; and what the containers themselves hold.
func (r *survivors) updatedOnceAndInTurn(dsn string, b *box) {
	r.t.Helper()
	ctx := auth.With(context.Background(), auth.System("test"))
	s, err := store.Open(ctx, dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	rollouts, err := s.Client().Rollout.Query().WithUpdates(func(q *ent.UpdateQuery) { q.WithContainer() }).Order(ent.Asc("created_at")).All(ctx)
	if err != nil || len(rollouts) != 3 {
		r.t.Fatalf("%d rollouts, %v", len(rollouts), err)
	}
	numbers := map[string][]uint64{}
	for _, row := range rollouts {
		if row.State != property.RolloutDone {
			r.t.Errorf("rollout %s is %s", row.ID, row.State)
		}
		for _, u := range row.Edges.Updates {
			numbers[u.Edges.Container.Serial] = append(numbers[u.Edges.Container.Serial], u.Number)
			if len(u.Receipt) == 0 {
				r.t.Errorf("update %d of %s has no receipt", u.Number, u.Edges.Container.Serial)
			}
		}
		activations, err := s.Client().Work.Query().Where(work.RolloutID(row.ID), work.KindEQ(property.WorkActivate)).Order(ent.Asc("created_at")).All(ctx)
		if err != nil || len(activations) != len(row.Edges.Updates) {
			r.t.Fatalf("%d updates were activated by %d works, %v", len(row.Edges.Updates), len(activations), err)
		}
		for i, w := range activations {
			if w.DoneAt == nil || w.State != property.WorkDone {
				r.t.Errorf("an activation is %s", w.State)
			} else if i+1 < len(activations) && activations[i+1].CreatedAt.Before(*w.DoneAt) {
				r.t.Error("a backend's turn came before the one before was done")
			}
		}
	}
	want := map[string][]uint64{"130-1874829": {1, 2}, "130-27845973": {1, 2}, "130-3879234": {1, 2}, "130-77": {1}}
	if fmt.Sprint(numbers) != fmt.Sprint(want) {
		r.t.Errorf("the updates are %v, want %v", numbers, want)
	}
	var names []string
	b.kill()
	for i, p := range r.lab.backends {
		p.kill()
		names = append(names, r.lab.path(fmt.Sprintf("backend-%d.qrc", i+1)))
	}
	for i, file := range append(names, b.file()) {
		c, err := container.Open(file)
		if err != nil {
			r.t.Fatal(err)
		}
		quantity, updates := uint32(30), uint64(2)
		if i == 3 {
			quantity, updates = 5, 1
		}
		_, held := c.Licenses()
		if len(held) != 1 || held[0].Options.Quantity != quantity || c.Counters()[6000010] != updates {
			r.t.Errorf("%s holds %+v after the updates %v", file, held, c.Counters())
		}
		if err := c.Close(); err != nil {
			r.t.Error(err)
		}
	}
}
