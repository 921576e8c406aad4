package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/lib/pq"

	"github.com/quorate/quorate/internal/auth"
)

// everybody is told instead of an organization when the system asks.
const everybody = "*"

// rights are what a PostgreSQL session's settings tell the policies of
// rowsecurity.go. The zero value shows no row.
type rights struct{ organization, provider string }

func rightsOf(ctx context.Context) rights {
	p, err := auth.From(ctx)
	switch {
	case err != nil || p.Organization == everybody:
		return rights{}
	case p.IsSystem():
		return rightsOfSystem()
	}
	return rights{organization: p.Organization, provider: p.Provider}
}

func rightsOfSystem() rights { return rights{organization: everybody} }

func (r rights) statement() string {
	return fmt.Sprintf("SELECT set_config('quorate.organization', %s, false), set_config('quorate.provider', %s, false)",
		pq.QuoteLiteral(r.organization), pq.QuoteLiteral(r.provider))
}

// tenantConnector opens connections whose every statement runs with the rights
// of its context's principal.
type tenantConnector struct {
	driver.Connector
	// system: they serve the system alone.
	system bool
	schema *atomic.Uint64 // as prepared has it
}

func (c tenantConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(wholeConn)
	if !ok {
		return nil, fmt.Errorf("the connection can't be guarded, as %T lacks a method", conn)
	}
	if _, err := whole.ExecContext(ctx, planEachTime, nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &tenantConn{wholeConn: whole, system: c.system, prepared: prepared{schema: c.schema, at: c.schema.Load()}}, nil
}

// wholeConn is all that database/sql may ask of a connection.
type wholeConn interface {
	watchableConn
	driver.NamedValueChecker
}

// tenantConn remembers what the session's settings tell, so that a round trip
// is taken only when another principal asks. Like every driver.Conn it is used
// by one goroutine at a time.
type tenantConn struct {
	wholeConn
	system bool
	now    rights
	// known is unset when the settings may be others than now tells.
	known bool
	// inTx and changed: PostgreSQL takes settings back with the transaction that
	// made them.
	inTx, changed bool
	// fresh: nothing was executed in the transaction, which has no options, yet.
	fresh bool
	// broken is set for good when the settings could not be made: the
	// connection is not used again.
	broken   bool
	prepared prepared
}

// use has the session's settings tell ctx's principal, or fails.
func (c *tenantConn) use(ctx context.Context) error {
	if c.broken {
		return driver.ErrBadConn
	}
	want := rightsOf(ctx)
	if c.system && want != rightsOfSystem() {
		return errors.New("a connection of the system is asked by somebody else")
	}
	if c.known && c.now == want {
		return nil
	}
	c.known, c.changed = false, c.inTx
	if _, err := c.wholeConn.ExecContext(ctx, want.statement(), nil); err != nil {
		c.broken = true
		return fmt.Errorf("tell the database who asks: %w", err)
	}
	c.now, c.known = want, true
	return nil
}

// ran forgets what the settings tell when a statement may have taken them back.
func (c *tenantConn) ran(query string, err error) {
	if c.changed && err != nil || takesBack(query) {
		c.known = false
	}
}

// takesBack says whether a statement may roll back to a savepoint, or end a
// transaction that database/sql doesn't know of. To say so costs a round trip.
func takesBack(query string) bool {
	query = strings.TrimLeft(query, " \t\r\n")
	if strings.HasPrefix(query, "-") || strings.HasPrefix(query, "/") || strings.Contains(query, ";") {
		query = strings.ToLower(query)
		return strings.Contains(query, "rollback") || strings.Contains(query, "abort")
	}
	word, _, _ := strings.Cut(query, " ")
	return strings.EqualFold(word, "rollback") || strings.EqualFold(word, "abort")
}

func (c *tenantConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return run(ctx, c, query, args, c.wholeConn.QueryContext, wholeStmt.QueryContext)
}

func (c *tenantConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return run(ctx, c, query, args, c.wholeConn.ExecContext, wholeStmt.ExecContext)
}

// run executes a statement, by one that is prepared where there is one.
func run[R any](ctx context.Context, c *tenantConn, query string, args []driver.NamedValue,
	plain func(context.Context, string, []driver.NamedValue) (R, error), ready func(wholeStmt, context.Context, []driver.NamedValue) (R, error),
) (R, error) {
	var none R
	if err := c.use(ctx); err != nil {
		return none, err
	}
	fresh := c.fresh
	c.fresh = false
	s, err := c.prepared.of(ctx, c.wholeConn, query, args)
	if err != nil {
		c.ran(query, err)
		return none, err
	}
	if s == nil {
		result, err := plain(ctx, query, args)
		c.ran(query, err)
		return result, err
	}
	result, err := ready(s, ctx, args)
	if err != nil && c.prepared.outdated(query, err) && (!c.inTx || fresh && c.again(ctx)) {
		result, err = plain(ctx, query, args)
	}
	c.ran(query, err)
	return result, err
}

// again begins a transaction anew whose first statement failed. Its options would
// be lost, and versions of PostgreSQL before 12 can't.
func (c *tenantConn) again(ctx context.Context) bool {
	if _, err := c.wholeConn.ExecContext(ctx, "ROLLBACK AND CHAIN", nil); err != nil {
		return false
	}
	if c.changed {
		c.known = false
	}
	return c.use(ctx) == nil
}

// PrepareContext makes a statement that runs with the rights of who runs it,
// whoever prepared it.
func (c *tenantConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.use(ctx); err != nil {
		return nil, err
	}
	c.fresh = false
	s, err := c.wholeConn.PrepareContext(ctx, query)
	c.ran(query, err)
	if err != nil {
		return nil, err
	}
	whole, ok := s.(wholeStmt)
	if !ok {
		return nil, fmt.Errorf("the statement can't be guarded, as %T lacks a method", s)
	}
	return &tenantStmt{wholeStmt: whole, conn: c, query: query}, nil
}

func (c *tenantConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *tenantConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx makes the settings before it begins: most transactions need no other.
func (c *tenantConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if err := c.use(ctx); err != nil {
		return nil, err
	}
	tx, err := c.wholeConn.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	c.inTx, c.changed, c.fresh = true, false, options == driver.TxOptions{}
	return &tenantTx{tx, c}, nil
}

func (c *tenantConn) ResetSession(ctx context.Context) error {
	if c.broken {
		return driver.ErrBadConn
	}
	return c.wholeConn.ResetSession(ctx)
}

// IsValid has database/sql drop the connection instead of keeping it.
func (c *tenantConn) IsValid() bool { return !c.broken && c.wholeConn.IsValid() }

type tenantTx struct {
	driver.Tx
	conn *tenantConn
}

func (t *tenantTx) Commit() error {
	err := t.Tx.Commit()
	t.conn.ended(err == nil)
	return err
}

func (t *tenantTx) Rollback() error {
	err := t.Tx.Rollback()
	t.conn.ended(false)
	return err
}

func (c *tenantConn) ended(committed bool) {
	if c.changed && !committed {
		c.known = false
	}
	c.inTx, c.changed, c.fresh = false, false, false
}

type wholeStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type tenantStmt struct {
	wholeStmt
	conn  *tenantConn
	query string
}

func (s *tenantStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.conn.use(ctx); err != nil {
		return nil, err
	}
	s.conn.fresh = false
	result, err := s.wholeStmt.ExecContext(ctx, args)
	s.conn.ran(s.query, err)
	return result, err
}

func (s *tenantStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.conn.use(ctx); err != nil {
		return nil, err
	}
	s.conn.fresh = false
	rows, err := s.wholeStmt.QueryContext(ctx, args)
	s.conn.ran(s.query, err)
	return rows, err
}
