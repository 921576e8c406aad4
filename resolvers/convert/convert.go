// Package convert says what the API's inputs mean to use cases, and what use cases
// give in the API's words. It reads nothing: what it needs is given to it.
package convert

import (
	"fmt"
	"strconv"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/platform/core"
)

// Place is the place that an input names.
func Place(group, container *string) core.Place {
	return core.Place{Group: Value(group), Container: Value(container)}
}

// Cell is what a backend holds as the table writes it.
func Cell(b property.Backend) string {
	if b.TmrID == nil || b.Quantity == nil {
		return "–"
	}
	return fmt.Sprintf("%d/#%d", *b.Quantity, *b.TmrID)
}

// Reference is how a product is named, for example 6000010:14.
func Reference(f *ent.Firm, p *ent.Product) string {
	return strconv.Itoa(f.Code) + ":" + strconv.Itoa(p.Code)
}

// Value is what a pointer points to, or the zero value.
func Value[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}
