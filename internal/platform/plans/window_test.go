package plans

import (
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
)

func TestWindow(t *testing.T) {
	berlin := property.Window{Days: []int{6}, From: 22 * 60, To: 4 * 60, Zone: "Europe/Berlin"}
	for _, c := range []struct {
		window *property.Window
		at     string
		want   bool
	}{
		{nil, "2026-11-22T12:00:00Z", true},
		{&property.Window{From: 60, To: 120}, "2026-11-22T01:00:00Z", true},
		{&property.Window{From: 60, To: 120}, "2026-11-22T01:59:59Z", true},
		{&property.Window{From: 60, To: 120}, "2026-11-22T02:00:00Z", false},
		{&property.Window{From: 60, To: 120}, "2026-11-22T00:59:59Z", false},
		{&property.Window{Days: []int{1}, From: 60, To: 120}, "2026-11-22T01:30:00Z", false}, // a Sunday
		{&berlin, "2026-11-21T20:59:00Z", false},                                             // Saturday 21:59
		{&berlin, "2026-11-21T21:00:00Z", true},
		{&berlin, "2026-11-22T02:59:00Z", true}, // Sunday 03:59, begun on Saturday
		{&berlin, "2026-11-22T03:00:00Z", false},
		{&berlin, "2026-11-22T21:00:00Z", false}, // Sunday 22:00
		{&berlin, "2026-07-18T20:00:00Z", true},  // in summer
		{&property.Window{From: 60, To: 120, Zone: "gone"}, "2026-11-22T01:30:00Z", false},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := open(c.window, at); got != c.want {
			t.Errorf("%+v at %s: %v", c.window, c.at, got)
		}
	}
	for what, w := range map[string]property.Window{
		"day": {Days: []int{-1}, To: 1}, "twice": {Days: []int{1, 1}, To: 1}, "empty": {From: 5, To: 5},
		"from": {From: 1440, To: 1}, "to": {From: 1, To: -1}, "zone": {To: 1, Zone: "Mars/Olympus"},
	} {
		if checkWindow(w) == nil {
			t.Errorf("%s passes", what)
		}
	}
	if err := checkWindow(berlin); err != nil {
		t.Error(err)
	}
}
