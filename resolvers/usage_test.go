package resolvers_test

import (
	"encoding/json"
	"fmt"
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
