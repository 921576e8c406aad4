package ent

import (
	stdsql "database/sql"
	"errors"

	"entgo.io/ent/dialect/sql"
)

// SQLTx gives database/sql's own transaction under tx, so that something else
// that speaks SQL can join it. It must not be committed or rolled back past tx.
func SQLTx(tx *Tx) (*stdsql.Tx, error) {
	if d, ok := tx.driver.(*txDriver); ok {
		if t, ok := d.tx.(*sql.Tx); ok {
			if raw, ok := t.Tx.(*stdsql.Tx); ok {
				return raw, nil
			}
		}
	}
	return nil, errors.New("the transaction is not one of database/sql")
}
