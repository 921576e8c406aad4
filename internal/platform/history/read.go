package history

import (
	"context"
	"iter"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/usagebucket"
	"github.com/quorate/quorate/ent/usagekept"
	"github.com/quorate/quorate/ent/usageseries"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/usage"
)

// MostPoints bounds how many points of a usage series one question may be about.
const MostPoints = 2500

// UsageQuestion is about the use of products in containers over time.
type UsageQuestion struct {
	// Container is a container's or TMR group's id or serial number, Product a
	// product's id or reference; empty: all that the caller may see.
	Container, Product string
	Resolution         property.UsageResolution
	From, To           time.Time // To zero: now
}

// ResolutionOf is how long the points are.
func ResolutionOf(r property.UsageResolution) (usage.Resolution, error) {
	switch r {
	case property.UsageMinute:
		return usage.Minute, nil
	case property.UsageHour:
		return usage.Hour, nil
	case property.UsageDay:
		return usage.Day, nil
	}
	return 0, license.Errorf(license.CodeInvalidInput, "ask for MINUTE, HOUR or DAY", "there is no resolution %q", core.Clip(string(r)))
}

// period checks and completes a question: it begins no earlier than what is kept.
func (p *Service) period(ctx context.Context, q *UsageQuestion, most int) (usage.Resolution, error) {
	r, err := ResolutionOf(q.Resolution)
	if err != nil {
		return r, err
	}
	if q.To.IsZero() {
		q.To = core.Now()
	}
	if q.From = core.Plausible(q.From); !q.From.Before(q.To) {
		return r, license.Errorf(license.CodeInvalidInput, "begin before the end", "the time asked about begins at %s, and ends at %s", q.From.Format(time.RFC3339), q.To.UTC().Format(time.RFC3339))
	}
	kept, err := p.keptSince(ctx, r)
	if err != nil {
		return r, err
	}
	if q.From.Before(kept) {
		q.From = kept
	}
	if q.To = core.Plausible(q.To); q.From.After(q.To) { // nothing of it is kept
		q.From = q.To
	}
	if n := q.To.Sub(q.From) / time.Duration(r); most > 0 && n > time.Duration(most) {
		return r, license.Errorf(license.CodeTooLarge, "ask about less at once, or for a coarser resolution", "%d points are more than %d", n, most)
	}
	return r, nil
}

// keptSince is from when on buckets of a resolution are kept.
func (p *Service) keptSince(ctx context.Context, r usage.Resolution) (time.Time, error) {
	at := p.usage.horizon(r, core.Now())
	row, err := p.core.Store.Client().UsageKept.Query().Where(usagekept.Seconds(r.Seconds())).Only(core.System(ctx, "usage"))
	if ent.IsNotFound(err) {
		return at, nil
	}
	if err != nil {
		return at, err
	}
	if row.Since.After(at) {
		at = row.Since.UTC()
	}
	return at, nil
}

// usageContainer names a container, or the virtual one of a TMR group.
func usageContainer(idOrSerial string) predicate.Container {
	return container.Or(core.ContainerIs(idOrSerial),
		container.And(container.KindEQ(property.ContainerVirtual), container.HasTmrGroupWith(tmrgroup.ID(idOrSerial))))
}

// UsageOverTime is the use of one product in one container over time.
type UsageOverTime struct {
	Container  *ent.Container
	Product    *ent.Product
	Resolution property.UsageResolution
	From, To   time.Time // what the points are about; later than asked for where older ones are not kept
	Since      time.Time // nothing is known of before; zero: of nothing at all
	Points     []usage.Point
}

// Usage gives the use of one product in one container; both must be named.
// Errors: CodeNotFound, CodeInvalidInput, CodeTooLarge for more than MostPoints.
func (p *Service) Usage(ctx context.Context, q UsageQuestion) (UsageOverTime, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return UsageOverTime{}, err
	}
	r, err := p.period(ctx, &q, MostPoints)
	if err != nil {
		return UsageOverTime{}, err
	}
	out := UsageOverTime{Resolution: q.Resolution, From: q.From, To: q.To, Points: []usage.Point{}}
	if out.Container, err = c.Container.Query().Where(usageContainer(q.Container)).Only(ctx); err != nil {
		return out, core.NotFound(err, "container", q.Container)
	}
	if out.Product, err = c.Product.Query().Where(core.ProductIs(q.Product)).WithFirm().Only(ctx); err != nil {
		return out, core.NotFound(err, "product", q.Product)
	}
	rows, err := c.UsageSeries.Query().Where(usageseries.ContainerID(out.Container.ID), usageseries.ProductID(out.Product.ID)).All(ctx)
	if err != nil || len(rows) == 0 {
		return out, err
	}
	tracks, err := settled(ctx, c, rows, core.Now())
	if err != nil {
		return out, err
	}
	t := tracks[rows[0].ID]
	out.Since = t.Since
	for point, err := range points(ctx, c, rows[0].ID, t, r, q.From, q.To) {
		if err != nil {
			return out, err
		}
		out.Points = append(out.Points, point)
	}
	return out, nil
}

// settled gives the series as they are now, by id: with the changes of the
// quantity that still wait for late events.
func settled(ctx context.Context, c *ent.Client, rows []*ent.UsageSeries, at time.Time) (map[string]*usage.Track, error) {
	newest, err := newestBuckets(ctx, c, rows)
	if err != nil {
		return nil, err
	}
	all := make(map[string]*usage.Track, len(rows))
	for _, row := range rows {
		t := usage.NewTrack(seriesOf(row), newest[row.ID])
		t.Settle(at)
		all[row.ID] = t
	}
	return all, nil
}

// points reads those of one series, a few rows at a time.
func points(ctx context.Context, c *ent.Client, id string, t *usage.Track, r usage.Resolution, from, to time.Time) iter.Seq2[usage.Point, error] {
	size := int(min(max(to.Sub(r.Start(from)), 0)/time.Duration(r)+2, MostPoints+1)) // one behind the end tells what was so before
	rows := func(yield func(usage.Bucket, error) bool) {
		after := r.Start(from).Add(-time.Microsecond)
		for {
			page, err := c.UsageBucket.Query().
				Where(usagebucket.SeriesID(id), usagebucket.Seconds(r.Seconds()), usagebucket.StartGT(after)).
				Order(ent.Asc(usagebucket.FieldStart)).Limit(size).All(ctx)
			if err != nil {
				yield(usage.Bucket{}, err)
				return
			}
			for _, row := range page {
				if !yield(bucketOf(row), nil) {
					return
				}
				after = row.Start
			}
			if len(page) < size {
				return
			}
		}
	}
	return usage.Fill(r, from, to, core.Now(), t.Series, usage.Overlay(rows, t.Touched(r)))
}

// EachUsage gives the points of all series that a question is about, by
// container and product, in time, in memory that does not grow with them. Errors
// as Usage; each's own end it.
func (p *Service) EachUsage(ctx context.Context, q UsageQuestion, each func(s *ent.UsageSeries, point usage.Point) error) error {
	c, err := p.core.Read(ctx)
	if err != nil {
		return err
	}
	r, err := p.period(ctx, &q, 0)
	if err != nil {
		return err
	}
	return p.eachSeries(ctx, c, q, func(row *ent.UsageSeries, t *usage.Track) error {
		for point, err := range points(ctx, c, row.ID, t, r, q.From, q.To) {
			if err != nil {
				return err
			}
			if err := each(row, point); err != nil {
				return err
			}
		}
		return nil
	})
}

// EachSeries gives what is so now in all series that a question is about.
func (p *Service) EachSeries(ctx context.Context, q UsageQuestion, each func(s *ent.UsageSeries, now usage.Series) error) error {
	c, err := p.core.Read(ctx)
	if err != nil {
		return err
	}
	return p.eachSeries(ctx, c, q, func(row *ent.UsageSeries, t *usage.Track) error { return each(row, t.Series) })
}

// seriesAtOnce bounds how many series are in memory.
const seriesAtOnce = 100

func (p *Service) eachSeries(ctx context.Context, c *ent.Client, q UsageQuestion, each func(*ent.UsageSeries, *usage.Track) error) error {
	where, err := filterBy(ctx, c, q.Container, q.Product)
	if err != nil {
		return err
	}
	after := ""
	for {
		rows, err := c.UsageSeries.Query().Where(usageseries.IDGT(after), func(s *sql.Selector) { where(s) }).
			WithContainer(func(q *ent.ContainerQuery) { q.WithTmrGroup() }).WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }).
			Order(ent.Asc(usageseries.FieldID)).Limit(seriesAtOnce).All(ctx)
		if err != nil {
			return err
		}
		tracks, err := settled(ctx, c, rows, core.Now())
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.ID
			if row.Edges.Container == nil || row.Edges.Product == nil || row.Edges.Product.Edges.Firm == nil {
				continue
			}
			if err := each(row, tracks[row.ID]); err != nil {
				return err
			}
		}
		if len(rows) < seriesAtOnce {
			return nil
		}
	}
}

// filterBy is a filter of rows that have a container and a product. Error:
// CodeNotFound for what the caller can't see.
func filterBy(ctx context.Context, c *ent.Client, containerID, productID string) (func(*sql.Selector), error) {
	var all []func(*sql.Selector)
	if containerID != "" {
		id, err := c.Container.Query().Where(usageContainer(containerID)).OnlyID(ctx)
		if err != nil {
			return nil, core.NotFound(err, "container", containerID)
		}
		all = append(all, sql.FieldEQ("container_id", id))
	}
	if productID != "" {
		id, err := c.Product.Query().Where(core.ProductIs(productID)).OnlyID(ctx)
		if err != nil {
			return nil, core.NotFound(err, "product", productID)
		}
		all = append(all, sql.FieldEQ("product_id", id))
	}
	return func(s *sql.Selector) {
		for _, f := range all {
			f(s)
		}
	}, nil
}
