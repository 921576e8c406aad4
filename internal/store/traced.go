package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/telemetry"
)

// tracedConnector opens connections whose statements have spans of their own,
// where their context has one that is told. Elsewhere they cost one look.
type tracedConnector struct {
	driver.Connector
	system string // as OpenTelemetry names it
}

// Connect implements driver.Connector.
func (c tracedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	able, ok := conn.(watchableConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the connection can't be traced, as %T lacks a method", conn), conn.Close())
	}
	return &tracedConn{able, c.system}, nil
}

type tracedConn struct {
	watchableConn
	system string
}

func (c *tracedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if !telemetry.Recorded(ctx) {
		return c.watchableConn.QueryContext(ctx, query, args)
	}
	ctx, end := telemetry.StartStatement(ctx, c.system, query)
	rows, err := c.watchableConn.QueryContext(ctx, query, args)
	end(err)
	return rows, err
}

func (c *tracedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !telemetry.Recorded(ctx) {
		return c.watchableConn.ExecContext(ctx, query, args)
	}
	ctx, end := telemetry.StartStatement(ctx, c.system, query)
	result, err := c.watchableConn.ExecContext(ctx, query, args)
	end(err)
	return result, err
}

// CheckNamedValue leaves values to the connection where it looks at them.
func (c *tracedConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.watchableConn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}
