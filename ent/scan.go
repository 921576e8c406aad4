package ent

import "entgo.io/ent/dialect/sql"

// reused has all rows of a query scanned into the same values: a row copies what
// it keeps of them. Of a column that its entity doesn't have it keeps the value
// itself, so such a column gets another one for each row.
func reused(scanValues func(columns []string) ([]any, error)) func(columns []string) ([]any, error) {
	var values []any
	var unknown []int
	return func(columns []string) (_ []any, err error) {
		if values == nil {
			if values, err = scanValues(columns); err != nil {
				return nil, err
			}
			for i, v := range values {
				if _, ok := v.(*sql.UnknownType); ok {
					unknown = append(unknown, i)
				}
			}
		}
		for _, i := range unknown {
			values[i] = new(sql.UnknownType)
		}
		return values, nil
	}
}
