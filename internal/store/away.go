package store

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/lib/pq"

	"github.com/quorate/quorate/internal/license"
)

// Logged has log told when a PostgreSQL that was there can't be reached, and when
// it is back: once each, however many ask meanwhile.
func Logged(log *slog.Logger) Option {
	return func(o *options) { o.log = log }
}

// Away gives why the database can't be reached, if that is what err tells, for
// operators; else nil. To everybody else such an error is a
// license.CodeUnavailable that tells nothing of the database.
func Away(err error) error {
	if a, ok := errors.AsType[*awayError](err); ok {
		return a.err
	}
	return nil
}

type awayError struct{ err error }

func (e *awayError) Error() string { return e.err.Error() }
func (e *awayError) Unwrap() error { return e.err }

// outage is whether the database is there. Safe for concurrent use.
type outage struct {
	log   *slog.Logger
	mu    sync.Mutex
	known bool      // it was there once: before that whoever opens it is told
	since time.Time // zero: it is there
}

func (o *outage) there() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		o.log.Info("the database is back", "away", time.Since(o.since).Round(time.Millisecond))
	}
	o.known, o.since = true, time.Time{}
}

// notThere notes that no connection could be made.
func (o *outage) notThere(ctx context.Context, err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known && o.since.IsZero() {
		o.since = time.Now()
		o.log.ErrorContext(ctx, "the database can't be reached", "err", err)
	}
	return away(err)
}

func away(err error) *license.Error {
	return &license.Error{Code: license.CodeUnavailable, Err: &awayError{err}, Message: "the database can't be reached now",
		Fix: "try again in a moment; if it persists, the operator finds why in the platform's log"}
}

// told gives err as clients are told of it. One whose context is over tells nothing
// of the database.
func (o *outage) told(ctx context.Context, err error) error {
	if err == nil || !broken(err) {
		return err
	}
	if over(ctx) {
		return late(ctx, err)
	}
	o.log.WarnContext(ctx, "a connection to the database has broken", "err", err)
	return away(err)
}

// over says whether nobody waits any more. The network tells that a deadline has
// passed before the context does.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// late says that err came of a context that was over.
func late(ctx context.Context, err error) error {
	return fmt.Errorf("%w: %w", cmp.Or(ctx.Err(), context.DeadlineExceeded), err)
}

// broken says whether an error is a connection's, and not a statement's.
func broken(err error) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		switch e.Code {
		case "57P01", "57P02", "57P03", "53300": // it stops, has crashed, starts, has no more connections
			return true
		}
		return e.Code.Class() == "08"
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF)
}

// awayConnector opens connections that say so when they have broken.
type awayConnector struct {
	driver.Connector
	outage *outage
}

// Connect implements driver.Connector.
func (c awayConnector) Connect(ctx context.Context) (driver.Conn, error) {
	w := &wire{ctx: ctx}
	conn, err := c.Connector.Connect(context.WithValue(ctx, wireKey{}, w))
	switch opened := w.opened(); {
	case err != nil && over(ctx):
		return nil, late(ctx, err)
	case err != nil:
		return nil, c.outage.notThere(ctx, err)
	case !opened:
		return nil, errors.Join(late(ctx, errors.New("it was not opened in time")), conn.Close())
	}
	c.outage.there()
	able, ok := conn.(checkedConn)
	if !ok { // tracedConn is
		return nil, errors.Join(errors.New("the connection lacks a method"), conn.Close())
	}
	return &awayConn{able, c.outage, w}, nil
}

type checkedConn interface {
	watchableConn
	driver.NamedValueChecker
}

type awayConn struct {
	checkedConn
	outage *outage
	wire   *wire
}

func (c *awayConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	end := c.wire.during(ctx)
	rows, err := c.checkedConn.QueryContext(ctx, query, args)
	if whole, ok := rows.(checkedRows); ok && err == nil {
		return &awayRows{whole, c.outage, ctx, end}, nil
	}
	end()
	return rows, c.outage.told(ctx, err)
}

func (c *awayConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	defer c.wire.during(ctx)()
	result, err := c.checkedConn.ExecContext(ctx, query, args)
	return result, c.outage.told(ctx, err)
}

func (c *awayConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	defer c.wire.during(ctx)()
	s, err := c.checkedConn.PrepareContext(ctx, query)
	return s, c.outage.told(ctx, err)
}

func (c *awayConn) Ping(ctx context.Context) error {
	defer c.wire.during(ctx)()
	return c.outage.told(ctx, c.checkedConn.Ping(ctx))
}

func (c *awayConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	defer c.wire.during(ctx)()
	tx, err := c.checkedConn.BeginTx(ctx, options)
	if err != nil {
		return nil, c.outage.told(ctx, err)
	}
	return &awayTx{tx, c.outage, c.wire, ctx}, nil
}

type awayTx struct {
	driver.Tx
	outage *outage
	wire   *wire
	ctx    context.Context //nolint:containedctx // Commit gets none
}

// Commit that breaks off may have been done, whoever gave up first.
func (t *awayTx) Commit() error {
	defer t.wire.during(t.ctx)()
	err := t.outage.told(t.ctx, t.Tx.Commit())
	if err == nil || !broken(err) {
		return err
	}
	return &license.Error{Code: license.CodeUnavailable, Err: err, Message: "the database didn't say that it has kept the change",
		Fix: "look whether it is done, and try again in a moment if not"}
}

func (t *awayTx) Rollback() error {
	defer t.wire.during(t.ctx)()
	return t.Tx.Rollback()
}

type checkedRows interface {
	driver.RowsNextResultSet
	driver.RowsColumnTypeScanType
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypePrecisionScale
}

type awayRows struct {
	checkedRows
	outage *outage
	ctx    context.Context //nolint:containedctx // Next gets none
	end    func()
}

func (r *awayRows) Close() error {
	if r.end != nil { // whoever closes twice
		defer r.end()
		r.end = nil
	}
	return r.checkedRows.Close()
}

func (r *awayRows) Next(dest []driver.Value) error {
	err := r.checkedRows.Next(dest)
	if err == nil || err == io.EOF { //nolint:errorlint // as the contract of driver.Rows has it
		return err
	}
	return r.outage.told(r.ctx, err)
}
