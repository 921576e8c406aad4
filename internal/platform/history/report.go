package history

import (
	"context"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/ent/usagebucket"
	"github.com/quorate/quorate/ent/usageseries"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/usage"
)

// Bounds of one page of a report.
const (
	MostReportPoints = 800 // of the period: two years of days, or a month of hours
	MostReportLines  = 100
)

// ReportQuestion is about the use of licenses in a period.
type ReportQuestion struct {
	UsageQuestion
	// Firm is a firm's id or code, Customer a customer's id; empty: all that the
	// caller may see.
	Firm, Customer string
	// After and Before are series of lines that are known; empty: none.
	After, Before string
	// Lines is how many at most, 1 to MostReportLines: the first ones, or the Last.
	Lines int
	Last  bool
}

// Report is a page of a report: a line for each product in each container, in the
// order in which they were first used.
type Report struct {
	// From and To are what it is about: whole hours or days, the last of which may
	// go on; From is later than asked for where older ones are not kept any more.
	From, To time.Time
	Lines    []ReportLine
	More     bool // there are lines behind these, or before the last ones
	Total    int  // of all pages
}

// ReportLine is the use of one product in one container in the period.
type ReportLine struct {
	Series                  *ent.UsageSeries // with its container, product and firm
	MostTaken, MostQuantity int64
	Taken, Full             time.Duration // license-time; time in which nothing was free
	Known                   time.Duration // how long something is known of
	MostUsers, MostStations int64         // in one hour, or one day
	usage.Counts
}

// Average is how many licenses were taken on average.
func (l ReportLine) Average() float64 {
	if l.Known <= 0 {
		return float64(l.MostTaken)
	}
	return float64(l.Taken.Milliseconds()) / float64(l.Known.Milliseconds())
}

// add adds a point of a series of which nothing is known before since.
func (l *ReportLine) add(p usage.Point, since time.Time) {
	l.MostTaken, l.MostQuantity = max(l.MostTaken, p.MostTaken), max(l.MostQuantity, p.MostQuantity)
	l.MostUsers, l.MostStations = max(l.MostUsers, p.Users), max(l.MostStations, p.Stations)
	l.Taken += time.Duration(p.TakenMs) * time.Millisecond
	l.Full += p.Full()
	if p.Start.Before(since) {
		p.Start = since
	}
	l.Known += max(p.Until.Sub(p.Start), 0)
	l.Granted += p.Granted
	l.Released += p.Released
	l.Expired += p.Expired
	l.Removed += p.Removed
	l.Denied += p.Denied
}

// UsageReport gives a page of a report, in as many statements for many lines as
// for one. Errors: CodeNotFound for what the caller can't see, CodeInvalidInput,
// CodeTooLarge for more than MostReportPoints.
func (p *Service) UsageReport(ctx context.Context, q ReportQuestion) (Report, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return Report{}, err
	}
	if q.Lines < 1 || q.Lines > MostReportLines {
		return Report{}, license.Errorf(license.CodeInvalidInput, "ask for 1 to 100", "a page can't have %d lines", q.Lines)
	}
	kind, _, _ := strings.Cut(usageseries.DefaultID(), "_")
	for _, at := range []string{q.After, q.Before} {
		if at != "" && !strings.HasPrefix(at, kind+"_") {
			return Report{}, license.Errorf(license.CodeInvalidInput, "use a cursor that the same list gave", "the cursor is of another list")
		}
	}
	r, err := p.period(ctx, &q.UsageQuestion, MostReportPoints)
	if err != nil {
		return Report{}, err
	}
	q.From = r.Start(q.From)
	if whole := r.Start(q.To); whole.Before(q.To) {
		q.To = whole.Add(time.Duration(r))
	}
	out := Report{From: q.From, To: q.To}
	where, err := reported(ctx, c, q)
	if err != nil {
		return out, err
	}
	if out.Total, err = c.UsageSeries.Query().Where(where...).Count(ctx); err != nil {
		return out, err
	}
	order := ent.Asc(usageseries.FieldID)
	if q.Last {
		order = ent.Desc(usageseries.FieldID)
	}
	if q.Before != "" {
		where = append(where, usageseries.IDLT(q.Before))
	}
	rows, err := c.UsageSeries.Query().Where(where...).Where(usageseries.IDGT(q.After)).
		WithContainer(func(q *ent.ContainerQuery) { q.WithTmrGroup().WithCustomer() }).
		WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }).
		Order(order).Limit(q.Lines + 1).All(ctx)
	if err != nil {
		return out, err
	}
	if out.More = len(rows) > q.Lines; out.More {
		rows = rows[:q.Lines]
	}
	if q.Last {
		slices.Reverse(rows)
	}
	out.Lines, err = reportLines(ctx, c, rows, r, q)
	return out, err
}

// reported are the series of a report.
func reported(ctx context.Context, c *ent.Client, q ReportQuestion) ([]predicate.UsageSeries, error) {
	rows, err := filterBy(ctx, c, q.Container, q.Product)
	if err != nil {
		return nil, err
	}
	all := []predicate.UsageSeries{usageseries.SinceLT(q.To), func(s *sql.Selector) { rows(s) }}
	if q.Firm != "" {
		id, err := c.Firm.Query().Where(core.FirmIs(q.Firm)).OnlyID(ctx)
		if err != nil {
			return nil, core.NotFound(err, "firm", q.Firm)
		}
		all = append(all, usageseries.HasProductWith(product.FirmID(id)))
	}
	if q.Customer != "" {
		id, err := c.Organization.Query().Where(organization.ID(q.Customer)).OnlyID(ctx)
		if err != nil {
			return nil, core.NotFound(err, "organization", q.Customer)
		}
		all = append(all, usageseries.CustomerID(id))
	}
	return all, nil
}

// reportLines adds up the points of series. What isn't in the rows of the period
// is as the row behind it tells.
func reportLines(ctx context.Context, c *ent.Client, rows []*ent.UsageSeries, r usage.Resolution, q ReportQuestion) ([]ReportLine, error) {
	tracks, err := settled(ctx, c, rows, core.Now())
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	found, err := c.UsageBucket.Query().Where(usagebucket.SeriesIDIn(ids...), usagebucket.Seconds(r.Seconds()), usagebucket.StartGTE(q.From),
		usagebucket.Or(usagebucket.StartLT(q.To), firstFrom(r, q.To))).Order(ent.Asc(usagebucket.FieldStart)).All(ctx)
	if err != nil {
		return nil, err
	}
	buckets := make(map[string][]*ent.UsageBucket, len(rows))
	for _, b := range found {
		buckets[b.SeriesID] = append(buckets[b.SeriesID], b)
	}
	lines := make([]ReportLine, 0, len(rows))
	for _, row := range rows {
		if row.Edges.Container == nil || row.Edges.Product == nil || row.Edges.Product.Edges.Firm == nil {
			continue
		}
		own := func(yield func(usage.Bucket, error) bool) {
			for _, b := range buckets[row.ID] {
				if !yield(bucketOf(b), nil) {
					return
				}
			}
		}
		l, t := ReportLine{Series: row}, tracks[row.ID]
		for point, err := range usage.Fill(r, q.From, q.To, core.Now(), t.Series, usage.Overlay(own, t.Touched(r))) {
			if err != nil {
				return nil, err
			}
			l.add(point, t.Since)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// firstFrom are the series' first buckets from a time on.
func firstFrom(r usage.Resolution, at time.Time) predicate.UsageBucket {
	return func(s *sql.Selector) {
		later := sql.Table(usagebucket.Table).As("later")
		s.Where(sql.In(s.C(usagebucket.FieldStart), sql.Select(sql.Min(later.C(usagebucket.FieldStart))).From(later).Where(sql.And(
			sql.ColumnsEQ(later.C(usagebucket.FieldSeriesID), s.C(usagebucket.FieldSeriesID)),
			sql.EQ(later.C(usagebucket.FieldSeconds), r.Seconds()), sql.GTE(later.C(usagebucket.FieldStart), at)))))
	}
}
