package resolvers_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/resolvers"
)

// TestUsageOverTime: two days of a series, and the one that is not over.
func TestUsageOverTime(t *testing.T) {
	w := newWorld(t)
	day := w.now.Truncate(24 * time.Hour).Add(-48 * time.Hour)
	body := ask(w.serve("customer"), request{Query: fmt.Sprintf(`{ usage(container: "tmr_1", product: "prd_1", from: %q, resolution: DAY) {
		resolution since container { serial } product { reference }
		points { start end complete peak average quantity fullSeconds users stations granted released expired removed denied } } }`,
		day.Add(-72*time.Hour).Format(time.RFC3339))}).Body.Bytes()
	var got struct {
		Data struct {
			Usage struct {
				Resolution string
				Since      time.Time
				Container  struct{ Serial string }
				Points     []map[string]any
			}
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	u := got.Data.Usage
	if u.Resolution != "DAY" || !u.Since.Equal(day) || u.Container.Serial != "131-4837572" || len(u.Points) != 3 {
		t.Fatalf("%s", body)
	}
	want := map[string]any{"start": day.Format("2006-01-02T15:04:05Z"), "end": day.Add(24 * time.Hour).Format("2006-01-02T15:04:05Z"), "complete": true,
		"peak": 5.0, "average": 5.0, "quantity": 20.0, "fullSeconds": 0.0, "users": 2.0, "stations": 2.0,
		"granted": 5.0, "released": 2.0, "expired": 0.0, "removed": 0.0, "denied": 1.0}
	if fmt.Sprint(u.Points[0]) != fmt.Sprint(want) {
		t.Errorf("%v instead of %v", u.Points[0], want)
	}
	if today := u.Points[2]; today["complete"] != false || today["peak"] != 3.0 || today["granted"] != 0.0 {
		t.Errorf("%v", today)
	}
}

// TestUsageCostsByItsPoints: one long series is affordable, many at once are not.
func TestUsageCostsByItsPoints(t *testing.T) {
	w := newWorld(t)
	s := w.serve("customer")
	const points = "points { start end complete peak average quantity fullSeconds users stations granted released expired removed denied }"
	part := func(name string, minutes int) string {
		return fmt.Sprintf(`%s: usage(container: "tmr_1", product: "prd_1", from: %q, to: %q, resolution: MINUTE) { %s } `,
			name, w.now.Add(-time.Duration(minutes)*time.Minute).Format(time.RFC3339), w.now.Format(time.RFC3339), points)
	}
	if body := ask(s, request{Query: "{ " + part("a", 2490) + "}"}).Body.String(); strings.Contains(body, "errors") {
		t.Errorf("the longest series: %.300s", body)
	}
	if body := ask(s, request{Query: "{ " + part("a", 2490) + part("b", 2490) + "}"}).Body.String(); !strings.Contains(body, "TOO_LARGE") {
		t.Errorf("two of them: %.300s", body)
	}
	many := ""
	for i := range 10 {
		many += part(fmt.Sprintf("s%d", i), 100)
	}
	if body := ask(s, request{Query: "{ " + many + "}"}).Body.String(); strings.Contains(body, "errors") {
		t.Errorf("ten short ones: %.300s", body)
	}
	from := fmt.Sprintf("%q", w.now.Add(-2490*time.Minute).Format(time.RFC3339))
	if body := ask(s, request{Query: `query($from: Time!) { a: usage(container: "tmr_1", product: "prd_1", from: $from, resolution: MINUTE) { ` + points +
		` } b: usage(container: "tmr_1", product: "prd_1", from: $from, resolution: MINUTE) { ` + points + ` } }`,
		Variables: json.RawMessage(`{"from":` + from + `}`)}).Body.String(); !strings.Contains(body, "TOO_LARGE") {
		t.Errorf("by a variable: %.300s", body)
	}
}

// TestUsageReport: a month of the vendor's customers, line by line and page by
// page; of the customer its own; and nothing of others.
func TestUsageReport(t *testing.T) {
	w := newWorld(t)
	w.change("", "", func(tx *store.Tx) error {
		return w.seedVendor(w.system(), tx, "org_charts", "org_port", "_2", 6000011, "131-77")
	})
	type report struct {
		Data struct {
			UsageReport struct {
				From, To   time.Time
				TotalCount int
				PageInfo   struct {
					HasNextPage, HasPreviousPage bool
					EndCursor                    string
				}
				Edges []struct {
					Cursor string
					Node   map[string]any
				}
			}
		}
	}
	day := w.now.Truncate(24 * time.Hour).Add(-48 * time.Hour)
	get := func(viewer, more string) (r report) {
		t.Helper()
		body := ask(w.serve(viewer), request{Query: fmt.Sprintf(`{ usageReport(from: %q, to: %q%s) { from to totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
			edges { cursor node { product { reference } container { serial } peak average quantity licenseHours fullSeconds peakUsers peakStations
				granted released expired removed denied } } } }`,
			day.Add(-5*24*time.Hour).Format(time.RFC3339), day.Add(36*time.Hour).Format(time.RFC3339), more)}).Body.Bytes()
		if err := json.Unmarshal(body, &r); err != nil || strings.Contains(string(body), `"errors"`) {
			t.Fatalf("%s: %v", body, err)
		}
		return r
	}
	all := get("owner", "").Data.UsageReport
	if all.TotalCount != 2 || len(all.Edges) != 2 || all.PageInfo.HasNextPage || all.PageInfo.HasPreviousPage ||
		!all.From.Equal(day.Add(-5*24*time.Hour)) || !all.To.Equal(day.Add(48*time.Hour)) {
		t.Fatalf("%+v", all)
	}
	want := map[string]any{"product": map[string]any{"reference": "6000010:14"}, "container": map[string]any{"serial": "131-4837572"},
		"peak": 5.0, "average": 4.0, "quantity": 20.0, "licenseHours": 192.0, "fullSeconds": 0.0, "peakUsers": 2.0, "peakStations": 2.0,
		"granted": 10.0, "released": 4.0, "expired": 0.0, "removed": 0.0, "denied": 2.0}
	if fmt.Sprint(all.Edges[0].Node) != fmt.Sprint(want) {
		t.Errorf("%v instead of %v", all.Edges[0].Node, want)
	}
	one := get("owner", ", first: 1").Data.UsageReport
	if len(one.Edges) != 1 || one.TotalCount != 2 || !one.PageInfo.HasNextPage || one.PageInfo.EndCursor != all.Edges[0].Cursor {
		t.Errorf("the first page: %+v", one)
	}
	two := get("owner", fmt.Sprintf(", first: 1, after: %q", one.PageInfo.EndCursor)).Data.UsageReport
	if len(two.Edges) != 1 || two.PageInfo.HasNextPage || !two.PageInfo.HasPreviousPage || fmt.Sprint(two.Edges[0]) != fmt.Sprint(all.Edges[1]) {
		t.Errorf("the second page: %+v", two)
	}
	last := get("owner", ", last: 1").Data.UsageReport
	if len(last.Edges) != 1 || last.PageInfo.HasNextPage || !last.PageInfo.HasPreviousPage || fmt.Sprint(last.Edges[0]) != fmt.Sprint(all.Edges[1]) {
		t.Errorf("the last page: %+v", last)
	}
	first := get("owner", fmt.Sprintf(", last: 1, before: %q", last.PageInfo.EndCursor)).Data.UsageReport
	if len(first.Edges) != 1 || !first.PageInfo.HasNextPage || first.PageInfo.HasPreviousPage || fmt.Sprint(first.Edges[0]) != fmt.Sprint(all.Edges[0]) {
		t.Errorf("the page before: %+v", first)
	}
	if firm := get("customer", `, firm: "6000011"`).Data.UsageReport; len(firm.Edges) != 1 || fmt.Sprint(firm.Edges[0]) != fmt.Sprint(all.Edges[1]) {
		t.Errorf("of one firm: %+v", firm)
	}
	if none := get("stranger", "").Data.UsageReport; none.TotalCount != 1 || none.Edges[0].Node["container"].(map[string]any)["serial"] != "131-99" {
		t.Errorf("of a stranger: %+v", none)
	}
	for _, more := range []string{", first: 101", ", first: 0", `, after: "x"`, ", resolution: MINUTE", `, firm: "6000099"`} {
		body := ask(w.serve("owner"), request{Query: fmt.Sprintf(`{ usageReport(from: %q%s) { totalCount } }`, day.Format(time.RFC3339), more)}).Body.String()
		if !strings.Contains(body, `"errors"`) {
			t.Errorf("%s: %s", more, body)
		}
	}
}

// TestUsageReportCostsByWhatItAddsUp: nothing that is read for it is free.
func TestUsageReportCostsByWhatItAddsUp(t *testing.T) {
	w := newWorld(t, func(c *resolvers.Config) { c.Rates.Caller = ratelimit.Rate{Burst: 100_000, Per: time.Hour} })
	cost := func(from, more string) int {
		t.Helper()
		res := ask(w.serve("owner"), request{Query: fmt.Sprintf(`{ usageReport(from: %q, to: "2026-11-01T00:00:00Z"%s) { edges { node { peak } } } }`, from, more)})
		n, err := strconv.Atoi(res.Header().Get("RateLimit-Cost"))
		if err != nil {
			t.Fatalf("%s: %v", res.Body, err)
		}
		return n
	}
	month, year := cost("2026-10-01T00:00:00Z", ""), cost("2025-11-01T00:00:00Z", "")
	if few := cost("2025-11-01T00:00:00Z", ", first: 10"); month < 200 || year < month+1500 || few*4 > year {
		t.Errorf("a month costs %d, a year %d, ten lines of it %d", month, year, few)
	}
}
