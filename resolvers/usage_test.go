package resolvers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
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
