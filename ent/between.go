package ent

import (
	"strings"

	"entgo.io/contrib/entgql"
	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/internal/license"
)

// between selects what lies behind one cursor and before another in a list that
// is ordered by its ids; newID makes such an id. Error: CodeInvalidInput for a
// cursor of another list.
func between(after, before *Cursor, column string, direction OrderDirection, newID func() string) ([]func(*sql.Selector), error) {
	behind, ahead := sql.FieldGT, sql.FieldLT
	if direction == entgql.OrderDirectionDesc {
		behind, ahead = ahead, behind
	}
	var places []func(*sql.Selector)
	for _, side := range []struct {
		name   string
		cursor *Cursor
		where  func(string, any) func(*sql.Selector)
	}{{"after", after, behind}, {"before", before, ahead}} {
		if side.cursor == nil {
			continue
		}
		kind, _, _ := strings.Cut(newID(), "_")
		if !strings.HasPrefix(side.cursor.ID, kind+"_") || side.cursor.Value != nil {
			return nil, license.Errorf(license.CodeInvalidInput, "use a cursor that the same list gave", "`%s` is a cursor of another list", side.name)
		}
		places = append(places, side.where(column, side.cursor.ID))
	}
	return places, nil
}
