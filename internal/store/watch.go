package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"log/slog"
)

// Option changes how a database is opened.
type Option func(*options)

type options struct {
	watch func(ctx context.Context, statement string)
	log   *slog.Logger
}

// Watched has watch told of each statement before it runs, with its context,
// whether ent made it or somebody by hand. It may be called by many at once.
func Watched(watch func(ctx context.Context, statement string)) Option {
	return func(o *options) { o.watch = watch }
}

type tellingConnector struct {
	driver.Connector
	watch func(context.Context, string)
}

// Connect implements driver.Connector.
func (c tellingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	able, ok := conn.(watchableConn)
	if !ok {
		return nil, fmt.Errorf("the connection can't be watched, as %T lacks a method", conn)
	}
	return &tellingConn{able, c.watch}, nil
}

type watchableConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.QueryerContext
	driver.ExecerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type tellingConn struct {
	watchableConn
	watch func(context.Context, string)
}

func (c *tellingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.watch(ctx, query)
	return c.watchableConn.QueryContext(ctx, query, args)
}

func (c *tellingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.watch(ctx, query)
	return c.watchableConn.ExecContext(ctx, query, args)
}

func (c *tellingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.watch(ctx, query)
	return c.watchableConn.PrepareContext(ctx, query)
}

// CheckNamedValue leaves values to the connection where it looks at them.
func (c *tellingConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.watchableConn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}
