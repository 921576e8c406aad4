package workers_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/platform/views"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/store/storetest"
	"github.com/quorate/quorate/internal/testenv"
	"github.com/quorate/quorate/workers"
)

var chart = license.Product{Firm: 6000010, Code: 14}

//nolint:gochecknoglobals // prepared once for all tests
var migrated = storetest.New("workers", func(ctx context.Context, dsn string) error {
	s, err := store.Open(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = workers.Open(ctx, workers.Config{DB: s.DB(), Dialect: s.Dialect(), Logger: slog.New(slog.DiscardHandler)})
	return errors.Join(err, s.Close())
})

// databases runs a test on each kind of database.
func databases(t *testing.T, run func(t *testing.T, dsn string)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		run(t, migrated.SQLite(t))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		run(t, migrated.Postgres(t))
	})
}

// process is a platform on a database, as one process has it.
type process struct {
	*platform.Platform
	store *store.Store
	queue *workers.River
}

func open(ctx context.Context, dsn, keyFile string, jobs ...func(core.Jobs) core.Jobs) (*process, error) {
	return openSweeping(ctx, dsn, keyFile, 500*time.Millisecond, jobs...)
}

func openSweeping(ctx context.Context, dsn, keyFile string, sweep time.Duration, jobs ...func(core.Jobs) core.Jobs) (*process, error) {
	s, err := store.Open(ctx, dsn)
	if err != nil {
		return nil, err
	}
	keys, err := core.LoadOrCreateMasterKey(keyFile)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	q, err := workers.Open(ctx, workers.Config{
		DB: s.DB(), Dialect: s.Dialect(), Poll: 10 * time.Millisecond, Sweep: sweep, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	enqueue := core.Jobs(q)
	for _, f := range jobs {
		enqueue = f(enqueue)
	}
	p, err := platform.New(platform.Config{
		Store: s, Bus: event.NewLocal(), Keys: keys, Jobs: enqueue, Settle: time.Millisecond, Logger: log, Webhooks: testSender(),
		Passwords: auth.NewHasher(auth.Cost{Time: 1, Memory: 64, Threads: 1}, 1),
	})
	if err != nil {
		return nil, err
	}
	return &process{p, s, q}, nil
}

// lab is a platform process and a TMR group with real containers.
type lab struct {
	*process
	t        *testing.T
	dsn, key string
	owner    auth.Principal
	server   auth.Principal
	item     string
	group    *ent.TmrGroup

	mu         sync.Mutex
	containers [3]*container.Container
	identities [3]*seal.Identity
	paths      [3]string
	marks      [3]bool
	last       license.View
	views      []license.View // all that were pushed
	// fail makes an execution fail, until it returns nil.
	fail func(w tasks.LinkWork) error
	// after makes an execution be reported as failed, after it was done.
	after func(w tasks.LinkWork) error
	// forge changes a report.
	forge func(w tasks.LinkWork, r *tasks.LinkReport)
	// statement replaces that of a container.
	statement func(i int, nonce []byte) ([]byte, bool)
	dead      [3]bool // lost: they answer nothing
	mute      bool    // no views are pushed
	direct    bool    // views are pushed to the use case, not over the link
	token     string
	// done counts how often each kind of work was carried out.
	done map[property.WorkKind]int
}

func newLab(t *testing.T, dsn string) *lab {
	t.Helper()
	key := filepath.Join(t.TempDir(), "master.key")
	p, err := open(t.Context(), dsn, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.store.Close() })
	l := &lab{process: p, t: t, dsn: dsn, key: key, direct: true, done: map[property.WorkKind]int{}}
	boot, err := p.Bootstrap(t.Context(), accounts.BootstrapSpec{Organization: "Vendor", Email: "owner@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	l.owner = auth.Principal{Kind: auth.KindMember, ID: boot.Owner.ID, Organization: boot.Organization.ID, Role: auth.Owner, Name: "Olga Owner"}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spec := provision.ProvisionSpec{
		Customer: "Customer",
		Firm:     catalog.FirmSpec{Code: chart.Firm, Name: "Firm"},
		Product:  catalog.ProductSpec{Code: chart.Code, Name: "Chart Processing"},
		Item:     catalog.ItemSpec{Name: "Chart TMR", Options: license.Options{Quantity: 20, FeatureMap: 5}},
		Group: provision.GroupSpec{
			Name: "Group", Virtual: license.Serial{Mask: 131, Number: 4837572}, FirstTMRID: 7, TokenKey: public,
			Servers: []provision.ServerSpec{{Name: "a", Address: "a:1"}, {Name: "b", Address: "b:1"}},
		},
	}
	for i, n := range []uint64{1874829, 27845973, 3879234} {
		identity, err := seal.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		l.identities[i] = identity
		l.paths[i] = filepath.Join(t.TempDir(), fmt.Sprint("container", i+1))
		c, err := container.Create(l.paths[i], container.Params{
			Serial: license.Serial{Mask: 130, Number: n}, Root: boot.Root, ActivationID: [16]byte{1, 2, 3}, Identity: identity,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		l.containers[i] = c
		if spec.Group.Fingerprints[i], err = c.Fingerprint(nil); err != nil {
			t.Fatal(err)
		}
	}
	made, err := p.Provision(l.as(l.owner), spec)
	if err != nil {
		t.Fatal(err)
	}
	l.item, l.group, l.token = made.Item.ID, made.Group, made.Servers[0].Token
	if l.server, err = p.AuthenticateLink(t.Context(), made.Servers[0].Token); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) as(p auth.Principal) context.Context { return auth.With(l.t.Context(), p) }

func (l *lab) system() context.Context { return l.as(auth.System("test")) }

// work starts the workers of this process.
func (l *lab) work(after rollouts.AfterState) {
	l.t.Helper()
	l.queue.Register(l.Platform, after)
	if err := l.queue.Start(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := l.queue.Stop(ctx); err != nil {
			l.t.Error(err)
		}
	})
}

// link runs the TMR server's side until the test ends.
func (l *lab) link() {
	ctx, cancel := context.WithCancel(auth.With(context.Background(), l.server))
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			due, err := l.Pull(ctx, true, 100*time.Millisecond)
			if err != nil && ctx.Err() == nil {
				l.t.Errorf("pull: %v", err)
				return
			}
			for _, w := range due {
				r := l.execute(w)
				for range 2 { // repeating a report is harmless
					if err := l.Report(ctx, r); err != nil && ctx.Err() == nil {
						l.t.Errorf("report: %v", err)
					}
				}
			}
		}
	})
	l.t.Cleanup(func() { cancel(); all.Wait() })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pushView()
}

// execute does what a TMR server does for a work item.
func (l *lab) execute(w tasks.LinkWork) tasks.LinkReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := tasks.LinkReport{WorkID: w.ID}
	err := l.carryOut(w, &r)
	if err == nil && l.after != nil {
		err = l.after(w)
	}
	if err == nil && l.forge != nil {
		l.forge(w, &r)
	}
	if err != nil {
		var e *license.Error
		if !errors.As(err, &e) {
			l.t.Errorf("%s: %v", w.Kind, err)
			e = license.Public(err)
		}
		r = tasks.LinkReport{WorkID: w.ID, Failed: e}
	} else {
		l.done[w.Kind]++
	}
	return r
}

func (l *lab) carryOut(w tasks.LinkWork, r *tasks.LinkReport) error {
	if l.fail != nil {
		if err := l.fail(w); err != nil {
			return err
		}
	}
	i := w.Position - 1
	if i >= 0 && w.Kind != property.WorkGuard && l.dead[i] {
		return absent(i)
	}
	switch w.Kind {
	case property.WorkCollect:
		for i, c := range l.containers {
			if l.dead[i] {
				return absent(i)
			}
			b, err := c.Fingerprint(w.Nonce)
			if err != nil {
				return err
			}
			r.Fingerprints = append(r.Fingerprints, tasks.BackendBytes{Position: i + 1, Data: b})
		}
	case property.WorkStage:
		for _, u := range w.Updates {
			if l.dead[u.Position-1] {
				return absent(u.Position - 1)
			}
			if _, err := l.containers[u.Position-1].Stage(u.Update); err != nil {
				return err
			}
		}
	case property.WorkGuard:
		all, err := l.statements(i, w.Nonce)
		for j, b := range all {
			if b != nil {
				r.Statements = append(r.Statements, tasks.BackendBytes{Position: j + 1, Data: b})
			}
		}
		return err
	case property.WorkActivate:
		staged, err := l.containers[i].Stage(w.Updates[0].Update)
		if err != nil {
			return err
		}
		if staged.Installed {
			r.Receipt = staged.Receipt
			return nil
		}
		l.marks[i] = true
		l.pushView()
		all, err := l.statements(i, staged.Nonce)
		if err != nil {
			l.marks[i] = false
			l.pushView()
			return err
		}
		r.Receipt, err = l.containers[i].Activate(staged.Digest, [][]byte{all[(i+1)%3], all[(i+2)%3]})
		return err
	case property.WorkVerify:
		_, held := l.containers[i].Licenses()
		for _, e := range w.Expect {
			ok := false
			for _, h := range held {
				ok = ok || (h.Product == e.Product && h.Options.TMRID == e.TMRID)
			}
			if !ok {
				return license.Errorf(license.CodeUnavailable, "", "backend %d does not serve %s #%d", w.Position, e.Product, e.TMRID)
			}
		}
		l.marks[i] = false
		l.pushView()
	}
	return nil
}

func (l *lab) statements(but int, nonce []byte) (all [3][]byte, err error) {
	for j, c := range l.containers {
		if j != but {
			if l.dead[j] {
				return all, absent(j)
			}
			if l.statement != nil {
				if b, ok := l.statement(j, nonce); ok {
					all[j] = b
					continue
				}
			}
			if all[j], err = c.Statement(nonce); err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

func absent(i int) error {
	return license.Errorf(license.CodeBackendAbsent, "start it", "backend %d does not answer", i+1)
}

// emptyStatement is what backend 3 would sign if it held nothing.
func (l *lab) emptyStatement(nonce []byte) []byte {
	b, err := seal.SignStatement(l.identities[2], seal.Statement{Serial: l.containers[2].Serial(), Nonce: nonce})
	if err != nil {
		l.t.Error(err)
	}
	return b
}

func (l *lab) view() license.View {
	var obs [3]license.Observation
	for i, c := range l.containers {
		if l.dead[i] {
			continue
		}
		obs[i].Presence = license.Present
		if l.marks[i] {
			obs[i].Presence = license.Activating
		}
		_, obs[i].Licenses = c.Licenses()
	}
	return license.Merge(l.last, obs)
}

// pushView tells the platform what the TMR server sees, if that has changed.
func (l *lab) pushView() {
	v := l.view()
	if v.Version == l.last.Version || l.mute {
		return
	}
	l.last = v
	l.views = append(l.views, v)
	if !l.direct {
		return
	}
	push := views.ViewPush{Epoch: 1, Views: []views.PushedView{{View: v, At: time.Now()}}}
	for i, c := range l.containers {
		push.Health = append(push.Health, views.BackendHealth{Position: i + 1, Serial: c.Serial().String(), Presence: v.Backends[i]})
	}
	if _, err := l.Push(auth.With(context.Background(), l.server), links.LinkPush{Leading: true, ViewPush: push}); err != nil {
		l.t.Errorf("push: %v", err)
	}
}

func (l *lab) order(quantity int) {
	l.t.Helper()
	if _, err := l.Order(l.as(l.owner), orders.OrderRequest{Item: l.item, Group: l.group.ID, Quantity: quantity}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) start() *ent.Rollout {
	l.t.Helper()
	r, err := l.StartRollout(l.as(l.owner), core.Place{Group: l.group.VirtualSerial}, "")
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l *lab) row(id string) *ent.Rollout {
	l.t.Helper()
	r, err := l.store.Client().Rollout.Get(l.system(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// until waits for a state of a rollout.
func (l *lab) until(id string, want property.RolloutState) *ent.Rollout {
	l.t.Helper()
	var r *ent.Rollout
	testenv.Eventually(l.t, 30*time.Second, func() error {
		r = l.row(id)
		if r.State != want {
			message := ""
			if r.ErrorMessage != nil {
				message = *r.ErrorMessage
			}
			return fmt.Errorf("rollout %d is %s %s, want %s", r.Number, r.State, message, want)
		}
		return nil
	})
	return r
}

// holds asserts what every rollout that is done leaves behind.
func (l *lab) holds(id string, quantity, tmrID uint32) {
	l.t.Helper()
	r := l.row(id)
	if r.State != property.RolloutDone || r.FinishedAt == nil || r.Running || r.Quantity != int(quantity) || r.TmrID != int(tmrID) {
		l.t.Errorf("rollout: %+v", r)
	}
	for _, s := range r.Steps {
		if s.State != property.StepDone || s.StartedAt == nil || s.FinishedAt == nil {
			l.t.Errorf("step %+v", s)
		}
	}
	for i, c := range l.containers {
		_, held := c.Licenses()
		if len(held) != 1 || held[0].Options.Quantity != quantity || held[0].Options.TMRID != tmrID || held[0].Options.FeatureMap != 5 {
			l.t.Errorf("container %d holds %+v, want %d/#%d", i+1, held, quantity, tmrID)
		}
	}
	updates, err := l.store.Client().Rollout.QueryUpdates(r).WithContainer().All(l.system())
	if err != nil {
		l.t.Fatal(err)
	}
	if len(updates) != 3 {
		l.t.Errorf("%d updates, want one for each container", len(updates))
	}
	for _, u := range updates {
		if len(u.Receipt) == 0 || len(u.Bytes) == 0 || u.TmrID != int(tmrID) {
			l.t.Errorf("update %d of %s without bytes or receipt", u.Number, u.Edges.Container.Serial)
		}
	}
	counters, err := l.store.Client().FirmCounter.Query().All(l.system())
	if err != nil {
		l.t.Fatal(err)
	}
	for _, c := range counters {
		for _, u := range updates {
			if u.ContainerID == c.ContainerID && (c.Counter != u.Number || string(c.Digest) != string(u.Digest)) {
				l.t.Errorf("counter of %s is %d, the update is %d", u.Edges.Container.Serial, c.Counter, u.Number)
			}
		}
	}
	if len(counters) != 3 {
		l.t.Errorf("%d counters", len(counters))
	}
	running, err := l.store.Client().Rollout.Query().Where(entrollout.Running(true)).Count(l.system())
	if err != nil || running != 0 {
		l.t.Errorf("%d rollouts run, %v", running, err)
	}
}
