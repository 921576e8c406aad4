package history

import (
	"context"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/denial"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/platform/core"
)

// listAtOnce bounds how many rows of a list are in memory.
const listAtOnce = 500

// ListQuestion is about allocations or denials.
type ListQuestion struct {
	// Container is a container's or TMR group's id or serial number, Product a
	// product's id or reference; empty: all that the caller may see.
	Container, Product string
	From, To           time.Time // zero: from the first that is kept, up to now
	Active             bool      // only allocations that live
}

// EachAllocation gives the allocations that lived at any time from From to To,
// oldest first, in memory that doesn't grow with them. Error: CodeNotFound;
// each's own end it.
func (p *Service) EachAllocation(ctx context.Context, q ListQuestion, each func(*ent.Allocation) error) error {
	c, err := p.core.Read(ctx)
	if err != nil {
		return err
	}
	where, err := filterBy(ctx, c, q.Container, q.Product)
	if err != nil {
		return err
	}
	for after := ""; ; {
		query := c.Allocation.Query().Where(allocation.IDGT(after), func(s *sql.Selector) { where(s) })
		if !q.From.IsZero() {
			query.Where(allocation.Or(allocation.EndedAtIsNil(), allocation.EndedAtGTE(core.Plausible(q.From))))
		}
		if !q.To.IsZero() {
			query.Where(allocation.FirstAccessLT(core.Plausible(q.To)))
		}
		if q.Active {
			query.Where(allocation.StateEQ(property.AllocationActive))
		}
		rows, err := query.WithContainer().WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }).
			Order(ent.Asc(allocation.FieldID)).Limit(listAtOnce).All(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.ID
			if row.Edges.Container == nil || row.Edges.Product == nil || row.Edges.Product.Edges.Firm == nil {
				continue
			}
			if err := each(row); err != nil {
				return err
			}
		}
		if len(rows) < listAtOnce {
			return nil
		}
	}
}

// EachDenial gives the denials from From to To, oldest first, in memory that
// doesn't grow with them. Error: CodeNotFound; each's own end it.
func (p *Service) EachDenial(ctx context.Context, q ListQuestion, each func(*ent.Denial) error) error {
	c, err := p.core.Read(ctx)
	if err != nil {
		return err
	}
	where, err := filterBy(ctx, c, q.Container, q.Product)
	if err != nil {
		return err
	}
	for after := ""; ; {
		query := c.Denial.Query().Where(denial.IDGT(after), func(s *sql.Selector) { where(s) })
		if !q.From.IsZero() {
			query.Where(denial.AtGTE(core.Plausible(q.From)))
		}
		if !q.To.IsZero() {
			query.Where(denial.AtLT(core.Plausible(q.To)))
		}
		rows, err := query.WithContainer().WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }).
			Order(ent.Asc(denial.FieldID)).Limit(listAtOnce).All(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.ID
			if row.Edges.Container == nil || row.Edges.Product == nil || row.Edges.Product.Edges.Firm == nil {
				continue
			}
			if err := each(row); err != nil {
				return err
			}
		}
		if len(rows) < listAtOnce {
			return nil
		}
	}
}
