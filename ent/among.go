package ent

import (
	"database/sql/driver"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
)

// among selects rows whose column has one of the values. PostgreSQL gets them as
// one argument: the statement is the same for few and for many, so that it is
// prepared once.
func among(column string, values []string) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if s.Dialect() != dialect.Postgres {
			sql.FieldIn(column, values...)(s)
			return
		}
		s.Where(sql.P(func(b *sql.Builder) {
			b.Ident(s.C(column)).WriteString(" = ANY(").Arg(pq.StringArray(values)).WriteByte(')')
		}))
	}
}

// amongKeys is among for keys as generated code gathers them.
func amongKeys(column string, keys []driver.Value) func(*sql.Selector) {
	values := make([]string, 0, len(keys))
	for _, k := range keys {
		text, ok := k.(string)
		if !ok {
			return func(s *sql.Selector) { s.Where(sql.InValues(s.C(column), keys...)) }
		}
		values = append(values, text)
	}
	return among(column, values)
}
