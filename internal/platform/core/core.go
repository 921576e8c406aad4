// Package core has what the services of the platform share, and no use case:
// the store, the bus, the keys and the jobs that they work with, the places that
// licenses go to, locks, the audit log, and how errors and texts are written.
//
// Nothing here checks a capability but Read and RequireServer: who calls has
// done so.
package core

import (
	"context"
	"database/sql"
	"github.com/quorate/quorate/internal/event"
	"log/slog"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/ratelimit"
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

// Core is what every service works with. Its exported fields are set once, and
// all of them.
type Core struct {
	Store *store.Store
	Bus   event.Bus
	Keys  KeyWrapper
	Jobs  Jobs
	// Limits counts what callers do, over all replicas.
	Limits ratelimit.Limiter
	Log    *slog.Logger

	pseudonyms pseudonymKeys
}

// System gives a context in which the platform itself acts; part says which
// part of it. Only what has checked its caller may use it.
func System(ctx context.Context, part string) context.Context {
	return auth.With(ctx, auth.System(part))
}

// Publish tells subscribers after tx is committed. That it may not reach other
// processes is no reason to fail what has happened: they read it at the latest
// when they reconnect.
func (p *Core) Publish(ctx context.Context, tx *store.Tx, topic, key string) {
	tx.AfterCommit(func() {
		if err := p.Bus.Publish(context.WithoutCancel(ctx), topic, key); err != nil {
			p.Log.WarnContext(ctx, "subscribers were not told", "topic", topic, "key", key, "err", err)
		}
	})
}

// Read gives the client to read with, under the context's principal. It is
// for lists; nothing may be changed through it.
func (p *Core) Read(ctx context.Context) (*ent.Client, error) {
	if _, err := auth.Require(ctx, auth.Read); err != nil {
		return nil, err
	}
	return p.Store.Client(), nil
}
