// Package usageapi gives usage history as files: series, allocations, denials
// and the hash-chained log, and what is so now as OpenMetrics. It decodes a
// question, calls a use case, and encodes row after row; nothing is gathered.
package usageapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/usage"
)

// UseCases are what the exports call; *platform.Platform has them.
type UseCases interface {
	EachUsage(ctx context.Context, q history.UsageQuestion, each func(*ent.UsageSeries, usage.Point) error) error
	EachSeries(ctx context.Context, q history.UsageQuestion, each func(*ent.UsageSeries, usage.Series) error) error
	EachAllocation(ctx context.Context, q history.ListQuestion, each func(*ent.Allocation) error) error
	EachDenial(ctx context.Context, q history.ListQuestion, each func(*ent.Denial) error) error
	EachLogEntry(ctx context.Context, firm string, after uint64, each func(usage.Hash, string) error) error
	UsageLog(ctx context.Context, firm string) (history.UsageLog, error)
}

// Export writes one answer. An error before the first byte is the answer; after
// it the connection has to be broken off.
type Export = func(w http.ResponseWriter, r *http.Request) error

// Exports gives the exports by name. The request's context tells who asks.
func Exports(p UseCases) map[string]Export {
	e := exports{p}
	return map[string]Export{
		"usage": e.usage, "allocations": e.allocations, "denials": e.denials, "metrics": e.metrics, "log": e.log,
	}
}

type exports struct{ use UseCases }

// The columns, which stay as they are: new ones come behind.
var (
	usageColumns = []string{"container", "group", "product", "productName", "resolution", "start", "end", "complete", "peak", "average",
		"quantity", "fullSeconds", "users", "stations", "granted", "released", "expired", "removed", "denied"}
	allocationColumns = []string{"id", "container", "product", "productName", "handle", "mode", "licenses", "asked", "borrowed", "state", "client",
		"user", "station", "processId", "application", "firstAccess", "lastAccess", "endedAt", "endedBy",
		"accesses", "lastAccessAt", "idleSince", "expiresAt"}
	denialColumns = []string{"id", "container", "product", "productName", "at", "reason", "rule", "mode", "licenses", "client", "user", "station", "application"}
)

// answer is a table that is written once there is something to write, so that an
// error of the use case can still be the answer.
type answer struct {
	w       http.ResponseWriter
	format  string
	name    string
	columns []string
	table   usage.Table
}

func newAnswer(w http.ResponseWriter, r *http.Request, name string, columns []string) (*answer, error) {
	a := &answer{w: w, format: r.URL.Query().Get("format"), name: name, columns: columns}
	switch a.format {
	case "csv", "json":
		return a, nil
	case "":
		a.format = "csv"
		return a, nil
	}
	return nil, license.Errorf(license.CodeInvalidInput, "ask for csv or json", "%q is no format of this export", license.Clip(a.format, 64))
}

func (a *answer) begin() (err error) {
	if a.table != nil {
		return nil
	}
	kind := "text/csv; charset=utf-8; header=present"
	if a.format == "json" {
		kind = "application/x-ndjson; charset=utf-8"
	}
	a.w.Header().Set("Content-Type", kind)
	a.w.Header().Set("Content-Disposition", `attachment; filename="`+a.name+"."+a.format+`"`)
	if a.format == "json" {
		a.table = usage.NewJSON(a.w, a.columns)
		return nil
	}
	a.table, err = usage.NewCSV(a.w, a.columns)
	return err
}

func (a *answer) row(cells ...any) error {
	if err := a.begin(); err != nil {
		return err
	}
	return a.table.Row(cells...)
}

func (a *answer) end(err error) error {
	if err != nil {
		return err
	}
	if err := a.begin(); err != nil {
		return err
	}
	return a.table.Close()
}

func (e exports) usage(w http.ResponseWriter, r *http.Request) error {
	a, err := newAnswer(w, r, "usage", usageColumns)
	if err != nil {
		return err
	}
	v := r.URL.Query()
	q := history.UsageQuestion{Container: v.Get("container"), Product: v.Get("product"), Resolution: property.UsageResolution(v.Get("resolution"))}
	if q.Resolution == "" {
		q.Resolution = property.UsageDay
	}
	if q.From, q.To, err = period(r, 30*24*time.Hour); err != nil {
		return err
	}
	return a.end(e.use.EachUsage(r.Context(), q, func(s *ent.UsageSeries, p usage.Point) error {
		return a.row(s.Edges.Container.Serial, groupOf(s.Edges.Container), reference(s.Edges.Product), s.Edges.Product.Name,
			string(q.Resolution), p.Start, p.End, p.Over(), p.MostTaken, p.Average(), p.MostQuantity, p.Full().Seconds(),
			p.Users, p.Stations, p.Granted, p.Released, p.Expired, p.Removed, p.Denied)
	}))
}

func (e exports) allocations(w http.ResponseWriter, r *http.Request) error {
	a, err := newAnswer(w, r, "allocations", allocationColumns)
	if err != nil {
		return err
	}
	q, err := list(r)
	if err != nil {
		return err
	}
	return a.end(e.use.EachAllocation(r.Context(), q, func(row *ent.Allocation) error {
		return a.row(row.ID, row.Edges.Container.Serial, reference(row.Edges.Product), row.Edges.Product.Name, row.Handle, string(row.Mode),
			row.Licenses, row.Asked, row.Borrowed, string(row.State), row.Client, row.User, row.Station, row.ProcessID, row.Application,
			row.FirstAccess, row.LastAccess, when(row.EndedAt), row.EndedBy, row.Accesses, when(row.LastAccessAt), when(row.IdleSince), when(row.ExpiresAt))
	}))
}

// when gives a time; the zero one, which a table leaves empty, where there is none.
func when(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return *at
}

func (e exports) denials(w http.ResponseWriter, r *http.Request) error {
	a, err := newAnswer(w, r, "denials", denialColumns)
	if err != nil {
		return err
	}
	q, err := list(r)
	if err != nil {
		return err
	}
	return a.end(e.use.EachDenial(r.Context(), q, func(row *ent.Denial) error {
		return a.row(row.ID, row.Edges.Container.Serial, reference(row.Edges.Product), row.Edges.Product.Name, row.At, row.Reason, row.Rule,
			string(row.Mode), row.Licenses, row.Client, row.User, row.Station, row.Application)
	}))
}

// log writes the usage log of a firm as `quorate usage verify` reads it.
func (e exports) log(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	after := uint64(0)
	if text := v.Get("after"); text != "" {
		var err error
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return license.Errorf(license.CodeInvalidInput, "give the number of the last entry that you have", "%q is no number of an entry", license.Clip(text, 64))
		}
	}
	if _, err := e.use.UsageLog(r.Context(), v.Get("firm")); err != nil { // there may be no entry that could tell it
		return err
	}
	begun := false
	begin := func() {
		if !begun {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Content-Disposition", `attachment; filename="usage.log"`)
			begun = true
		}
	}
	err := e.use.EachLogEntry(r.Context(), v.Get("firm"), after, func(h usage.Hash, line string) error {
		begin()
		return usage.WriteLine(w, h, line)
	})
	if err == nil {
		begin()
	}
	return err
}

// metrics writes what is so now as OpenMetrics text. Families can't be mixed, so
// each goes through the series anew.
func (e exports) metrics(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	q := history.UsageQuestion{Container: v.Get("container"), Product: v.Get("product")}
	m := usage.NewMetrics(w)
	for i, f := range []struct {
		name, kind, help string
		value            func(usage.Series) int64
	}{
		{"quorate_licenses", usage.Gauge, "Licenses in force.", func(s usage.Series) int64 { return s.Quantity }},
		{"quorate_licenses_taken", usage.Gauge, "Licenses taken.", func(s usage.Series) int64 { return s.Taken }},
		{"quorate_licenses_free", usage.Gauge, "Licenses in force that are not taken.", func(s usage.Series) int64 { return max(s.Quantity-s.Taken, 0) }},
		{"quorate_users", usage.Gauge, "Different users with a handle.", func(s usage.Series) int64 { return s.Users }},
		{"quorate_stations", usage.Gauge, "Different stations with a handle.", func(s usage.Series) int64 { return s.Stations }},
		{"quorate_handles_granted", usage.Counter, "Handles given.", func(s usage.Series) int64 { return s.Granted }},
		{"quorate_handles_released", usage.Counter, "Handles that their programs returned.", func(s usage.Series) int64 { return s.Released }},
		{"quorate_handles_expired", usage.Counter, "Handles that were not renewed in time.", func(s usage.Series) int64 { return s.Expired }},
		{"quorate_handles_removed", usage.Counter, "Handles that a person removed.", func(s usage.Series) int64 { return s.Removed }},
		{"quorate_denials", usage.Counter, "Requests that were denied.", func(s usage.Series) int64 { return s.Denied }},
	} {
		if i > 0 {
			if err := m.Family(f.name, f.kind, f.help); err != nil {
				return err
			}
		}
		begun := i > 0
		begin := func() error {
			if begun {
				return nil
			}
			begun = true
			w.Header().Set("Content-Type", usage.MetricsType)
			return m.Family(f.name, f.kind, f.help)
		}
		if err := e.use.EachSeries(r.Context(), q, func(row *ent.UsageSeries, s usage.Series) error {
			if err := begin(); err != nil {
				return err
			}
			return m.Sample(float64(f.value(s)), usage.Label{Name: "container", Value: row.Edges.Container.Serial},
				usage.Label{Name: "group", Value: groupOf(row.Edges.Container)}, usage.Label{Name: "product", Value: reference(row.Edges.Product)},
				usage.Label{Name: "name", Value: row.Edges.Product.Name})
		}); err != nil {
			return err
		}
		if err := begin(); err != nil {
			return err
		}
	}
	return m.Close()
}

func list(r *http.Request) (history.ListQuestion, error) {
	v := r.URL.Query()
	q := history.ListQuestion{Container: v.Get("container"), Product: v.Get("product"), Active: v.Get("active") == "true"}
	var err error
	q.From, q.To, err = period(r, 0)
	return q, err
}

// period reads from and to; a missing from is so long ago, or not given when 0.
func period(r *http.Request, ago time.Duration) (from, to time.Time, err error) {
	v := r.URL.Query()
	for name, at := range map[string]*time.Time{"from": &from, "to": &to} {
		if text := v.Get(name); text != "" {
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return from, to, license.Errorf(license.CodeInvalidInput, "write it as 2026-11-22T08:00:00Z", "%q is no time", license.Clip(text, 64))
			}
		}
	}
	if from.IsZero() && ago > 0 {
		end := to
		if end.IsZero() {
			end = time.Now()
		}
		from = end.Add(-ago)
	}
	return from, to, nil
}

func reference(p *ent.Product) string {
	return license.Product{Firm: license.FirmCode(p.Edges.Firm.Code), Code: license.ProductCode(p.Code)}.String() //nolint:gosec // G115: bounded by the schema
}

// groupOf is the name of a container's TMR group; empty outside of groups.
func groupOf(c *ent.Container) string {
	if c.Edges.TmrGroup == nil {
		return ""
	}
	return c.Edges.TmrGroup.Name
}
