package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/telemetry"
)

// Store is the open database. Safe for concurrent use.
type Store struct {
	pools   pools
	dialect string
	client  *ent.Client
	// writing is held by transactions on SQLite, which has one writer at a
	// time: waiting here is fair, waiting in SQLite is not.
	writing chan struct{}
	veil    atomic.Pointer[Veil]
}

// Open opens the database and brings its schema up to date. The DSN is
// "postgres://…" or the path of an SQLite file, which is made when missing, for
// its owner alone.
func Open(ctx context.Context, dsn string, option ...Option) (*Store, error) {
	p, name, err := connect(dsn, option...)
	if err != nil {
		return nil, err
	}
	if err := Migrate(ctx, p.all, name); err != nil {
		return nil, errors.Join(err, p.close())
	}
	s := &Store{pools: p, dialect: name, writing: make(chan struct{}, 1), client: ent.NewClient(ent.Driver(p.driver(name)))}
	guard(s.client)
	guardUsers(s.client, &s.veil)
	return s, nil
}

func connect(dsn string, option ...Option) (pools, string, error) {
	var o options
	for _, set := range option {
		set(&o)
	}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		connector, err := pq.NewConnector(dsn)
		if err != nil { // it may show the password
			return pools{}, "", license.Errorf(license.CodeInvalidInput,
				"write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters as %40 for @", "the PostgreSQL address can't be read")
		}
		connector.Dialer(newDialer())
		return postgresPools(connector, o), dialect.Postgres, nil
	}
	if dsn == "" {
		return pools{}, "", errors.New("no database given")
	}
	if err := private(dsn); err != nil {
		return pools{}, "", fmt.Errorf("open %s: %w", dsn, err)
	}
	db, err := sql.Open("sqlite", sqliteDSN(dsn))
	if err != nil {
		return pools{}, "", fmt.Errorf("open %s: %w", dsn, err)
	}
	var plain driver.Connector = tracedConnector{sqliteConnector{db.Driver(), sqliteDSN(dsn)}, "sqlite"}
	_ = db.Close() // it has no connection yet
	if o.watch != nil {
		plain = tellingConnector{plain, o.watch}
	}
	db = sql.OpenDB(plain)
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	return pools{all: db}, dialect.SQLite, nil
}

// private makes a missing file such that only its owner may read it: in it are
// password hashes and sealed keys. SQLite gives the files beside it the same mode.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// sqliteDSN fixes what the rest relies on: foreign keys are kept, times are
// stored so that they sort, a transaction takes the write lock when it begins
// (one that reads first and writes later would fail as busy), and a commit is
// on the disk when it returns, since an update that a container has installed
// must not be forgotten.
func sqliteDSN(path string) string {
	q := url.Values{
		"_pragma": {"journal_mode(WAL)", fmt.Sprintf("busy_timeout(%d)", sqliteBusy.Milliseconds()), "foreign_keys(1)", "synchronous(FULL)"},
		"_txlock": {"immediate"}, "_time_format": {"sqlite"}, "_timezone": {"UTC"},
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// Client reads under the principal of the context. Changes belong in WithTx.
func (s *Store) Client() *ent.Client { return s.client }

// DB is the database for the job queue, which has tables of its own.
func (s *Store) DB() *sql.DB { return s.pools.all }

// SystemDB is where the system's statements outside of transactions run, to be
// measured; nil on SQLite.
func (s *Store) SystemDB() *sql.DB { return s.pools.system }

// Dialect is "postgres" or "sqlite3", as ent names them.
func (s *Store) Dialect() string { return s.dialect }

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.pools.ping(ctx) }

// Close closes the database.
func (s *Store) Close() error { return s.client.Close() }

// Tx is a transaction: its embedded client is the only one to use inside it.
type Tx struct {
	*ent.Client
	raw     *sql.Tx
	dialect string
	after   []func()
}

// SQL is database/sql's own transaction, for the job queue to join.
func (t *Tx) SQL() *sql.Tx { return t.raw }

// AfterCommit has f run once the transaction is committed, in the order given;
// never when it is rolled back.
func (t *Tx) AfterCommit(f func()) { t.after = append(t.after, f) }

// WithTx runs fn in a transaction and commits it if fn returns nil; else, or
// when fn panics, it is rolled back. On PostgreSQL fn sees what others commit
// meanwhile: lock the row that decides with Locked. WithTx must not be called
// within fn.
func (s *Store) WithTx(ctx context.Context, fn func(tx *Tx) error) error {
	ctx, end := telemetry.Start(ctx, "transaction")
	after, err := s.transact(ctx, fn)
	end(err)
	if err != nil {
		return err
	}
	for _, f := range after {
		f()
	}
	return nil
}

func (s *Store) transact(ctx context.Context, fn func(tx *Tx) error) (after []func(), err error) {
	if s.dialect == dialect.SQLite {
		select {
		case s.writing <- struct{}{}:
			defer func() { <-s.writing }()
		case <-ctx.Done():
			return nil, fmt.Errorf("begin a transaction: %w", ctx.Err())
		}
	}
	etx, err := s.client.Tx(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin a transaction: %w", err)
	}
	done := false
	defer func() {
		if !done {
			_ = etx.Rollback() // the error that ended it is the one to tell
		}
	}()
	raw, err := ent.SQLTx(etx)
	if err != nil {
		return nil, err
	}
	tx := &Tx{Client: etx.Client(), raw: raw, dialect: s.dialect}
	if err := fn(tx); err != nil {
		return nil, err
	}
	done = true
	if err := etx.Commit(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return tx.after, nil
}

// Locked is a predicate that keeps the selected rows for this transaction
// alone until it ends. Others may still refer to them by foreign keys: a lock
// that forbids that makes transactions that touch two tables in different order
// wait for each other. On SQLite, where a transaction has the whole database,
// it does nothing.
func Locked(s *entsql.Selector) {
	if s.Dialect() == dialect.Postgres {
		s.For(entsql.LockNoKeyUpdate)
	}
}

// LockName waits until no other transaction has the name, and keeps it until
// this one ends: for what is decided before there is a row to lock. On SQLite,
// where a transaction has the whole database, it does nothing.
func (t *Tx) LockName(ctx context.Context, name string) error {
	if t.dialect != dialect.Postgres {
		return nil
	}
	sum := sha256.Sum256([]byte(name))
	// Two names that share a number wait for each other, no more.
	_, err := t.raw.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(binary.BigEndian.Uint64(sum[:8]))) //nolint:gosec // G115: any number will do
	if err != nil {
		return fmt.Errorf("lock a name: %w", err)
	}
	return nil
}
