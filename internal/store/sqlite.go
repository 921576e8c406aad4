package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteBusy is how long SQLite waits for others that have the file locked.
const sqliteBusy = 10 * time.Second

// sqliteConnector opens connections of a driver that makes no connectors.
type sqliteConnector struct {
	driver driver.Driver
	dsn    string
}

// Connect implements driver.Connector. SQLite doesn't wait for who gives a new
// file its kind of journal; here that is waited for, too.
func (c sqliteConnector) Connect(ctx context.Context) (driver.Conn, error) {
	for until := time.Now().Add(sqliteBusy); ; {
		conn, err := c.driver.Open(c.dsn)
		if e, ok := errors.AsType[*sqlite.Error](err); !ok || e.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(until) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Driver implements driver.Connector.
func (c sqliteConnector) Driver() driver.Driver { return c.driver }
