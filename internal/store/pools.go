package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/internal/auth"
)

// How many connections to PostgreSQL a process has at most.
const (
	mostConnections       = 14
	mostSystemConnections = 6
)

// pools are a database's connections. On PostgreSQL the system's statements
// outside of transactions, such as looking up a token, have connections of their
// own: they need not be told who asks, nor do others have to be told anew after
// them. On SQLite system is nil.
type pools struct{ all, system *sql.DB }

func postgresPools(connector driver.Connector, o options) pools {
	away := &outage{log: cmp.Or(o.log, slog.New(slog.DiscardHandler))}
	open := func(c driver.Connector, most int) *sql.DB {
		c = awayConnector{tracedConnector{c, "postgresql"}, away}
		if o.watch != nil {
			c = tellingConnector{c, o.watch}
		}
		db := sql.OpenDB(c)
		db.SetMaxOpenConns(most)
		db.SetMaxIdleConns(most)
		db.SetConnMaxIdleTime(5 * time.Minute)
		return db
	}
	schema := new(atomic.Uint64)
	return pools{
		all:    open(tenantConnector{connector, false, schema}, mostConnections),
		system: open(tenantConnector{connector, true, schema}, mostSystemConnections),
	}
}

func (p pools) ping(ctx context.Context) error {
	err := p.all.PingContext(ctx)
	if err == nil && p.system != nil {
		err = p.system.PingContext(ctx)
	}
	return err
}

func (p pools) close() error {
	if p.system == nil {
		return p.all.Close()
	}
	return errors.Join(p.system.Close(), p.all.Close())
}

// driver gives ent the connections.
func (p pools) driver(name string) dialect.Driver {
	d := entsql.OpenDB(name, p.all)
	if p.system == nil {
		return d
	}
	return divided{d, entsql.OpenDB(name, p.system), p}
}

// divided chooses the connections by who asks; transactions have any.
type divided struct {
	*entsql.Driver
	system *entsql.Driver
	pools  pools
}

func (d divided) of(ctx context.Context) *entsql.Driver {
	if p, err := auth.From(ctx); err == nil && p.IsSystem() {
		return d.system
	}
	return d.Driver
}

// Query implements dialect.Driver.
func (d divided) Query(ctx context.Context, query string, args, v any) error {
	return d.of(ctx).Query(ctx, query, args, v)
}

// Exec implements dialect.Driver.
func (d divided) Exec(ctx context.Context, query string, args, v any) error {
	return d.of(ctx).Exec(ctx, query, args, v)
}

// Close implements dialect.Driver.
func (d divided) Close() error { return d.pools.close() }
