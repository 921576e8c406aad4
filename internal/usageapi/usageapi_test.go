package usageapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/usage"
	"github.com/quorate/quorate/internal/usageapi"
)

// fake has rows, and remembers what it was asked.
type fake struct {
	rows  int
	err   error
	asked history.UsageQuestion
	list  history.ListQuestion
	after uint64
}

func edges() (*ent.Container, *ent.Product) {
	p := &ent.Product{Code: 14, Name: `=Chart "Pro"`}
	p.Edges.Firm = &ent.Firm{Code: 6000010}
	c := &ent.Container{Serial: "131-1"}
	c.Edges.TmrGroup = &ent.TmrGroup{Name: "Bridge"}
	return c, p
}

func series(i int) *ent.UsageSeries {
	s := &ent.UsageSeries{ID: fmt.Sprint(i)}
	s.Edges.Container, s.Edges.Product = edges()
	s.Edges.Container.Serial = fmt.Sprintf("131-%d", i)
	return s
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func (f *fake) EachUsage(_ context.Context, q history.UsageQuestion, each func(*ent.UsageSeries, usage.Point) error) error {
	f.asked = q
	for i := range f.rows {
		if err := each(series(i), usage.Point{Start: noon, End: noon.Add(time.Hour), Until: noon.Add(time.Hour), MostTaken: 7, TakenMs: 9_000_000, MostQuantity: 20, FullMs: 1500}); err != nil {
			return err
		}
	}
	return f.err
}

func (f *fake) EachSeries(_ context.Context, q history.UsageQuestion, each func(*ent.UsageSeries, usage.Series) error) error {
	f.asked = q
	for i := range f.rows {
		if err := each(series(i), usage.Series{Level: usage.Level{Taken: 23, Quantity: 20, Users: 3}, Counts: usage.Counts{Granted: 1 << 40, Denied: 2}}); err != nil {
			return err
		}
	}
	return f.err
}

func (f *fake) EachAllocation(_ context.Context, q history.ListQuestion, each func(*ent.Allocation) error) error {
	f.list = q
	for range f.rows {
		used, ends := noon.Add(time.Minute), noon.Add(time.Hour)
		a := &ent.Allocation{
			ID: "alc_1", Handle: "h", Mode: license.Exclusive, User: "=ada()", FirstAccess: noon, LastAccess: noon, State: property.AllocationActive,
			Accesses: 3, LastAccessAt: &used, ExpiresAt: &ends,
		}
		a.Edges.Container, a.Edges.Product = edges()
		if err := each(a); err != nil {
			return err
		}
	}
	return f.err
}

func (f *fake) EachDenial(_ context.Context, q history.ListQuestion, each func(*ent.Denial) error) error {
	f.list = q
	for range f.rows {
		d := &ent.Denial{ID: "den_1", At: noon, Reason: "LIMIT_REACHED", Rule: "-cap", Mode: license.UserLimit}
		d.Edges.Container, d.Edges.Product = edges()
		if err := each(d); err != nil {
			return err
		}
	}
	return f.err
}

func (f *fake) EachLogEntry(_ context.Context, _ string, after uint64, each func(usage.Hash, string) error) error {
	f.after = after
	chain := usage.Chain{Number: after}
	for i := range f.rows {
		line, err := chain.Append(usage.Entry{Firm: 6000010, Source: "131-1", Seq: uint64(i + 1)})
		if err != nil {
			return err
		}
		if err := each(chain.Hash, line); err != nil {
			return err
		}
	}
	return f.err
}

func (f *fake) UsageLog(context.Context, string) (history.UsageLog, error) {
	return history.UsageLog{}, f.err
}

func get(t *testing.T, f *fake, target string) (*httptest.ResponseRecorder, error) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/export/"+target, nil)
	name, _, _ := strings.Cut(target, "?")
	err := usageapi.Exports(f)[name](w, r)
	return w, err
}

func TestTables(t *testing.T) {
	f := &fake{rows: 3}
	for name, want := range map[string]string{
		"usage":       "131-0,Bridge,6000010:14,\"'=Chart \"\"Pro\"\"\",DAY,2026-11-22T12:00:00Z,2026-11-22T13:00:00Z,true,7,2.5,20,1.5,0,0,0,0,0,0,0",
		"allocations": "alc_1,131-1,6000010:14,\"'=Chart \"\"Pro\"\"\",h,EXCLUSIVE,0,0,false,ACTIVE,,'=ada(),,0,,2026-11-22T12:00:00Z,2026-11-22T12:00:00Z,,,3,2026-11-22T12:01:00Z,,2026-11-22T13:00:00Z",
		"denials":     "den_1,131-1,6000010:14,\"'=Chart \"\"Pro\"\"\",2026-11-22T12:00:00Z,LIMIT_REACHED,'-cap,USER_LIMIT,0,,,,",
	} {
		w, err := get(t, f, name+"?container=131-1&product=6000010:14&from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z")
		if err != nil || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") || !strings.Contains(w.Header().Get("Content-Disposition"), name+".csv") {
			t.Fatalf("%s: %v, %v", name, err, w.Header())
		}
		if lines := strings.Split(w.Body.String(), "\r\n"); len(lines) != 5 || lines[1] != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, lines[1], want)
		}
		rows, err := csv.NewReader(w.Body).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		w, err = get(t, f, name+"?format=json")
		if err != nil || w.Header().Get("Content-Type") != "application/x-ndjson; charset=utf-8" {
			t.Fatalf("%s: %v", name, err)
		}
		lines := bufio.NewScanner(w.Body)
		for lines.Scan() {
			var row map[string]any
			if err := json.Unmarshal(lines.Bytes(), &row); err != nil || len(row) != len(rows[0]) {
				t.Errorf("%s: %v, %v", name, row, err)
			}
			for _, column := range rows[0] {
				if _, ok := row[column]; !ok {
					t.Errorf("%s: JSON has no %s", name, column)
				}
			}
		}
	}
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	if _, err := get(t, f, "denials?container=131-1&product=6000010:14&from=2026-11-01T01:00:00%2B01:00"); err != nil ||
		f.list.Container != "131-1" || f.list.Product != "6000010:14" || !f.list.From.Equal(at) {
		t.Errorf("%+v, %v", f.list, err)
	}
	if _, err := get(t, f, "usage?resolution=HOUR"); err != nil || f.asked.Resolution != property.UsageHour || time.Since(f.asked.From) < 29*24*time.Hour {
		t.Errorf("%+v, %v", f.asked, err)
	}
	if _, err := get(t, f, "allocations?active=true"); err != nil || !f.list.Active || !f.list.From.IsZero() {
		t.Errorf("%+v, %v", f.list, err)
	}
	// Nothing is a table as well.
	if w, err := get(t, &fake{}, "denials"); err != nil || strings.Count(w.Body.String(), "\r\n") != 1 {
		t.Errorf("%q, %v", w.Body, err)
	}
}

// TestErrorsComeBeforeTheFirstByte, or break the answer off.
func TestErrorsComeBeforeTheFirstByte(t *testing.T) {
	broken := errors.New("the database")
	for _, name := range []string{"usage", "allocations", "denials", "metrics", "log"} {
		if w, err := get(t, &fake{err: broken}, name); !errors.Is(err, broken) || w.Body.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, w.Body)
		}
		if name == "log" {
			continue
		}
		if _, err := get(t, &fake{rows: 2, err: broken}, name); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, target := range []string{"usage?format=xml", "denials?from=yesterday", "allocations?to=1", "log?firm=1&after=x"} {
		if w, err := get(t, &fake{rows: 1}, target); license.CodeOf(err) != license.CodeInvalidInput || w.Body.Len() > 0 {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestLog(t *testing.T) {
	f := &fake{rows: 5}
	w, err := get(t, f, "log?firm=6000010&after=7")
	if err != nil || f.after != 7 {
		t.Fatal(err)
	}
	var v usage.Verifier
	if err := v.Read(w.Body, func(f usage.Finding) { t.Errorf("%+v", f) }); err != nil || v.Entries != 5 || v.First != 8 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestMetrics are read by Prometheus' own parser, and are what OpenMetrics asks
// for beyond that.
func TestMetrics(t *testing.T) {
	w, err := get(t, &fake{rows: 3}, "metrics")
	if err != nil || w.Header().Get("Content-Type") != usage.MetricsType {
		t.Fatalf("%v, %v", err, w.Header())
	}
	text := w.Body.String()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	value := func(name, container string) float64 {
		t.Helper()
		for _, m := range families[name].GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "container" && l.GetValue() == container {
					return m.GetGauge().GetValue() + m.GetUntyped().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
		t.Errorf("no %s of %s", name, container)
		return -1
	}
	if value("quorate_licenses_taken", "131-2") != 23 || value("quorate_licenses", "131-0") != 20 || value("quorate_licenses_free", "131-0") != 0 ||
		value("quorate_handles_granted_total", "131-1") != 1<<40 || value("quorate_denials_total", "131-1") != 2 {
		t.Error(text)
	}
	if !strings.HasSuffix(text, "\n# EOF\n") || strings.Count(text, "# EOF") != 1 || strings.Contains(text, "\n\n") {
		t.Error("it does not end as it has to")
	}
	seen, current := map[string]bool{}, ""
	samples := map[string]bool{}
	for line := range strings.Lines(strings.TrimSuffix(text, "# EOF\n")) {
		switch {
		case strings.HasPrefix(line, "# TYPE "):
			name, kind, _ := strings.Cut(strings.TrimSuffix(line[7:], "\n"), " ")
			if seen[name] || strings.HasSuffix(name, "_total") || (kind != "gauge" && kind != "counter") {
				t.Errorf("family %s %s", name, kind)
			}
			seen[name], current = true, name
			if kind == "counter" {
				current += "_total"
			}
		case strings.HasPrefix(line, "# HELP "):
		default:
			if !strings.HasPrefix(line, current+"{") {
				t.Errorf("%q is not of %s", line, current)
			}
			key, _, _ := strings.Cut(line, "} ")
			if samples[key] {
				t.Errorf("twice: %s", key)
			}
			samples[key] = true
		}
	}
	if len(seen) != 10 || len(samples) != 30 {
		t.Errorf("%d families with %d samples", len(seen), len(samples))
	}
	if w, err = get(t, &fake{}, "metrics"); err != nil || !strings.HasSuffix(w.Body.String(), "# EOF\n") {
		t.Errorf("nothing: %q, %v", w.Body, err)
	}
}
