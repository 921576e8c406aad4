package platform

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
)

// Job is something to be done durably; Kind names its sort.
type Job interface{ Kind() string }

// Jobs is the durable queue.
type Jobs interface {
	// EnqueueTx has job worked once tx is committed, at least once, by any
	// replica. After a rollback it is as if it was never asked for.
	EnqueueTx(ctx context.Context, tx *sql.Tx, job Job) error
}

// Config is what a Platform is made of. All fields but Logger, Passwords and
// Settle are required.
type Config struct {
	Store *store.Store
	Bus   event.Bus
	Keys  KeyWrapper
	Jobs  Jobs
	// Passwords defaults to a Hasher of the default cost, four at a time.
	Passwords *auth.Hasher
	Logger    *slog.Logger
	// Settle is how long a backend has to serve a new license steadily before
	// the next backend's turn; one second when zero.
	Settle time.Duration
	// Usage is how long what of the usage history is kept.
	Usage UsagePolicy
}

// Platform has the use cases. Safe for concurrent use.
type Platform struct {
	store     *store.Store
	bus       event.Bus
	keys      KeyWrapper
	jobs      Jobs
	passwords *auth.Hasher
	throttle  *throttle
	clocks    *clocks
	log       *slog.Logger
	settle    time.Duration
	usage     UsagePolicy
	checks    atomic.Int32 // of rules, that run now
	checkTime time.Duration
	// keyFileWork is scrypt's cost for exported keys.
	keyFileWork int
}

// New makes a Platform.
func New(c Config) (*Platform, error) {
	if c.Store == nil || c.Bus == nil || c.Keys == nil || c.Jobs == nil {
		return nil, errors.New("the platform needs a store, an event bus, a key wrapper and a job queue")
	}
	if c.Passwords == nil {
		c.Passwords = auth.NewHasher(auth.DefaultCost(), 4)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Settle == 0 {
		c.Settle = time.Second
	}
	policy, err := c.Usage.complete()
	if err != nil {
		return nil, err
	}
	return &Platform{
		usage: policy,
		store: c.Store, bus: c.Bus, keys: c.Keys, jobs: c.Jobs,
		passwords: c.Passwords, throttle: newThrottle(), clocks: newClocks(), log: c.Logger, settle: c.Settle,
		keyFileWork: keyFileWork, checkTime: checkTime,
	}, nil
}

// Store is where the platform keeps everything.
func (p *Platform) Store() *store.Store { return p.store }

// Bus tells of changes.
func (p *Platform) Bus() event.Bus { return p.bus }

// system gives a context in which the platform itself acts; part says which
// part of it. Only what has checked its caller may use it.
func system(ctx context.Context, part string) context.Context {
	return auth.With(ctx, auth.System(part))
}

// publish tells subscribers after tx is committed. That it may not reach other
// processes is no reason to fail what has happened: they read it at the latest
// when they reconnect.
func (p *Platform) publish(ctx context.Context, tx *store.Tx, topic, key string) {
	tx.AfterCommit(func() {
		if err := p.bus.Publish(context.WithoutCancel(ctx), topic, key); err != nil {
			p.log.WarnContext(ctx, "subscribers were not told", "topic", topic, "key", key, "err", err)
		}
	})
}

// audit writes who did what in the transaction that does it.
func audit(ctx context.Context, tx *store.Tx, organization, action, target string, before, after map[string]any) error {
	by, err := auth.From(ctx)
	if err != nil {
		return err
	}
	return tx.AuditEntry.Create().SetOrganizationID(organization).SetActor(by.Actor()).SetAction(action).
		SetTarget(target).SetBefore(before).SetAfter(after).Exec(ctx)
}

// notFound turns ent's error about a missing row (or a foreign one, which is
// the same to the caller) into one with a code.
func notFound(err error, what, id string) error {
	if !ent.IsNotFound(err) {
		return err
	}
	return license.Errorf(license.CodeNotFound, "look it up in the list of those that you may see", "there is no %s %s", what, clip(id))
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// now is what both databases can store exactly.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
