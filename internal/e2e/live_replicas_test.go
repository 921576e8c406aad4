package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/event/redisevent"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/testenv"
)

// replicas are several platforms on one PostgreSQL and one Redis, and what
// changes beneath them: rows are written, and told of, as a further replica does.
type replicas struct {
	t         testing.TB
	urls      []string
	processes []*process
	token     string

	store   *store.Store
	bus     *redisevent.Bus
	ctx     context.Context // as the system
	dsn     string
	redis   string // its address
	vendor  string
	product string
}

func newReplicas(t testing.TB, n int, args ...string) *replicas {
	t.Helper()
	dir, dsn, rdb := t.TempDir(), testenv.Postgres(t), testenv.Redis(t)
	db := []string{"--database", dsn, "--master-key", dir + "/master.key", "--redis", rdb.URL()}
	var boot struct{ Token string }
	out := must(t, append([]string{"platform", "init", "--organization", "Example Vendor", "--email", "owner@example.com", "--json"}, db...)...)
	if err := json.Unmarshal([]byte(out), &boot); err != nil {
		t.Fatal(err)
	}
	r := &replicas{t: t, token: boot.Token, dsn: dsn, redis: rdb.Addr, ctx: auth.With(t.Context(), auth.System("test"))}
	for i := range n {
		addr := testenv.FreeAddr(t)
		all := append([]string{"platform", "--listen", addr, "--json"}, db...)
		r.processes = append(r.processes, start(t, fmt.Sprintf("platform-%d", i+1), append(all, args...)...))
		r.urls = append(r.urls, "http://"+addr)
	}
	var err error
	if r.store, err = store.Open(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	r.bus = newBus(t, rdb.Addr)
	r.change("", func(tx *store.Tx) error {
		if r.vendor, err = tx.Organization.Query().Where(organization.Vendor(true)).FirstID(r.ctx); err != nil {
			return err
		}
		firm, err := tx.Firm.Create().SetVendorID(r.vendor).SetCode(6000010).SetName("Example Vendor").
			SetSealedKey([]byte("-")).SetPublicKey([]byte("-")).SetCert([]byte("-")).Save(r.ctx)
		if err != nil {
			return err
		}
		p, err := tx.Product.Create().SetVendorID(r.vendor).SetFirmID(firm.ID).SetCode(14).SetName("Chart Processing").
			SetPublicKey([]byte("-")).SetSealedKey([]byte("-")).Save(r.ctx)
		if err == nil {
			r.product = p.ID
		}
		return err
	})
	return r
}

func newBus(t testing.TB, redisAddr string) *redisevent.Bus {
	t.Helper()
	bus, err := redisevent.New(t.Context(), redis.NewClient(&redis.Options{Addr: redisAddr}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() })
	return bus
}

// change writes, and tells that something about a container's allocations changed.
func (r *replicas) change(container string, f func(tx *store.Tx) error) {
	r.t.Helper()
	if err := r.store.WithTx(r.ctx, f); err != nil {
		r.t.Fatal(err)
	}
	if container != "" {
		if err := r.bus.Publish(r.ctx, event.Allocations, container); err != nil {
			r.t.Fatal(err)
		}
	}
}

// container makes one with living allocations.
func (r *replicas) container(serial string, allocations int) (id string, handles []string) {
	r.t.Helper()
	r.change("", func(tx *store.Tx) error {
		c, err := tx.Container.Create().SetVendorID(r.vendor).SetSerial(serial).SetKind(property.ContainerUniversal).
			SetServed([]property.ServedLicense{{Product: "6000010:14", Name: "Chart Processing", Quantity: 1000}}).Save(r.ctx)
		if err != nil {
			return err
		}
		id = c.ID
		for n := range allocations {
			a, err := r.allocation(tx, id, n).Save(r.ctx)
			if err != nil {
				return err
			}
			handles = append(handles, a.ID)
		}
		return nil
	})
	return id, handles
}

func (r *replicas) allocation(tx *store.Tx, container string, n int) *ent.AllocationCreate {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return tx.Allocation.Create().SetVendorID(r.vendor).SetContainerID(container).SetProductID(r.product).
		SetHandle(fmt.Sprintf("handle-%d", n)).SetMode(license.UserLimit).SetLicenses(1).SetSeat(n).SetN(1).
		SetClient("10.0.0.9").SetUser("ada").SetStation("st-1").SetProcessID(4000 + n).SetApplication("charts").
		SetState(property.AllocationActive).SetFirstAccess(now).SetLastAccess(now)
}

const liveQuery = `subscription($container: ID!, $after: StreamPosition) { allocationsChanged(container: $container, after: $after) {
	sequence since snapshot position taken upserted { id accesses } removed } }`

// watcher replays what it is told, at one replica after another.
type watcher struct {
	container string
	mu        sync.Mutex
	rows      map[string]int // accesses by id
	taken     int
	position  string
	sequence  int
	problems  []string
	resumed   int // how often it went on without a snapshot
	restarted int // how often it didn't
}

type liveMessage struct {
	Data struct {
		AllocationsChanged struct {
			Sequence, Taken int
			Since           *int
			Snapshot        bool
			Position        string
			Upserted        []struct {
				ID       string
				Accesses int
			}
			Removed []string
		}
	}
	Errors []apiError
}

// follow watches until the connection ends.
func (w *watcher) follow(t testing.TB, at api) {
	variables := map[string]any{"container": w.container}
	w.mu.Lock()
	again := w.position != ""
	if again {
		variables["after"] = w.position
	}
	w.mu.Unlock()
	for raw := range at.subscribe(t, liveQuery, variables).next {
		var m liveMessage
		if err := json.Unmarshal(raw, &m); err != nil || len(m.Errors) > 0 {
			w.note(fmt.Sprintf("%s %v", raw, err))
			return
		}
		w.apply(m, again)
		again = false
	}
}

func (w *watcher) note(problem string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, problem)
}

func (w *watcher) apply(m liveMessage, again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := m.Data.AllocationsChanged
	switch {
	case c.Snapshot:
		w.rows = map[string]int{}
		if again {
			w.restarted++
		}
	case c.Since == nil || *c.Since != w.sequence:
		w.problems = append(w.problems, fmt.Sprintf("after %d came %+v", w.sequence, c))
	case !again && c.Sequence != w.sequence+1:
		w.problems = append(w.problems, fmt.Sprintf("after %d came %d", w.sequence, c.Sequence))
	case again:
		w.resumed++
	}
	for _, u := range c.Upserted {
		w.rows[u.ID] = u.Accesses
	}
	for _, id := range c.Removed {
		if _, ok := w.rows[id]; !ok && !again {
			w.problems = append(w.problems, id+" was removed twice")
		}
		delete(w.rows, id)
	}
	w.sequence, w.position, w.taken = c.Sequence, c.Position, c.Taken
}

// TestSubscriptionsSurviveAReplica: one of two platforms is killed while people
// watch. Those who watched there go on at the other one by number, and everybody
// ends with what a query shows.
func TestSubscriptionsSurviveAReplica(t *testing.T) {
	r := newReplicas(t, 2)
	container, handles := r.container("130-501", 12)
	watchers := make([]*watcher, 6)
	var all sync.WaitGroup
	dead := make(chan struct{})
	for i := range watchers {
		w := &watcher{container: container, rows: map[string]int{}}
		watchers[i] = w
		all.Go(func() {
			w.follow(t, api{r.urls[i%2], r.token})
			if i%2 == 0 {
				<-dead
				w.follow(t, api{r.urls[1], r.token})
			}
		})
	}
	random, next := rand.New(rand.NewPCG(1, 2)), len(handles)
	changes := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); {
			r.change(container, func(tx *store.Tx) error {
				switch i := random.IntN(len(handles)); {
				case random.IntN(3) == 0 && len(handles) < 40:
					a, err := r.allocation(tx, container, next).Save(r.ctx)
					if err == nil {
						handles, next = append(handles, a.ID), next+1
					}
					return err
				case random.IntN(3) == 0 && len(handles) > 5:
					id := handles[i]
					handles = append(handles[:i], handles[i+1:]...)
					return tx.Allocation.UpdateOneID(id).SetState(property.AllocationReleased).SetEndedAt(time.Now().UTC()).Exec(r.ctx)
				default:
					return tx.Allocation.UpdateOneID(handles[i]).AddAccesses(1).Exec(r.ctx)
				}
			})
		}
	}
	changes(3 * time.Second)
	r.processes[0].kill()
	close(dead)
	changes(3 * time.Second)

	var shown struct {
		Allocations struct {
			Edges []struct {
				Node struct {
					ID       string
					Accesses int
				}
			}
		}
	}
	api{r.urls[1], r.token}.query(t, `query($c: ID!) { allocations(first: 100, active: true, container: $c) { edges { node { id accesses } } } }`,
		map[string]any{"c": container}, &shown)
	want := map[string]int{}
	for _, e := range shown.Allocations.Edges {
		want[e.Node.ID] = e.Node.Accesses
	}
	if len(want) != len(handles) {
		t.Fatalf("the query shows %d allocations of %d", len(want), len(handles))
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		watchers[1].mu.Lock()
		last := watchers[1].sequence
		watchers[1].mu.Unlock()
		for i, w := range watchers {
			w.mu.Lock()
			same, sequence, rows := maps.Equal(w.rows, want) && w.taken == len(want), w.sequence, len(w.rows)
			w.mu.Unlock()
			if !same || sequence != last {
				return fmt.Errorf("watcher %d is at %d with %d rows, there are %d", i, sequence, rows, len(want))
			}
		}
		return nil
	})
	for i, w := range watchers {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.problems) > 0 {
			t.Errorf("watcher %d: %s", i, strings.Join(w.problems, "; "))
		}
		if i%2 == 0 && (w.resumed != 1 || w.restarted != 0) {
			t.Errorf("watcher %d went on %d times and began anew %d times", i, w.resumed, w.restarted)
		}
	}
}
