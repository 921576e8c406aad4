package store

import (
	"database/sql"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/quorate/quorate/ent"
)

// OpenWithoutRowSecurity gives a store whose connections tell PostgreSQL
// nothing, to compare with.
func OpenWithoutRowSecurity(dsn string) (*Store, error) {
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	s := &Store{pools: pools{all: db}, dialect: dialect.Postgres, client: ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db)))}
	guard(s.client)
	return s, nil
}
