package usage_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/usage"
)

// TestWhatHandlesTake is the example of the documentation: 23 licenses; one
// station runs six instances that take four, another one runs one exclusively.
func TestWhatHandlesTake(t *testing.T) {
	p := usage.NewPool()
	taken := int64(0)
	grant := func(id, station string, mode license.AccessMode, asked int, second int) {
		taken += p.Grant(usage.Handle{ID: id, Station: station, Mode: mode, Asked: asked, First: noon.Add(time.Duration(second) * time.Second)}).Taken
	}
	end := func(id string) { taken += p.End(usage.Handle{ID: id}, noon).Taken }
	takes := func(want map[string]int) {
		t.Helper()
		for id, n := range want {
			if got := p.Handle(id).Takes; got != n {
				t.Errorf("%s takes %d instead of %d", id, got, n)
			}
		}
	}
	grant("a", ".134", license.UserLimit, 1, 1)
	grant("b", ".134", license.UserLimit, 1, 2)
	grant("c", ".134", license.UserLimit, 1, 3)
	grant("d", ".134", license.StationShare, 1, 4)
	grant("e", ".134", license.StationShare, 1, 5)
	grant("f", ".134", license.NoUserLimit, 1, 6)
	grant("g", ".33", license.Exclusive, 1, 7)
	if taken != 5 {
		t.Errorf("%d are taken", taken)
	}
	takes(map[string]int{"a": 1, "b": 1, "c": 1, "d": 1, "e": 0, "f": 0, "g": 1})
	grant("h", ".134", license.StationShare, 3, 8) // the station takes the most that one asks for
	if taken != 7 {
		t.Errorf("%d are taken", taken)
	}
	takes(map[string]int{"d": 3, "e": 0, "h": 0})
	end("d") // the next one shows it
	if taken != 7 {
		t.Errorf("%d are taken", taken)
	}
	takes(map[string]int{"d": 3, "e": 3, "h": 0})
	end("h")
	end("h")
	if taken != 5 {
		t.Errorf("%d are taken", taken)
	}
	grant("a", ".134", license.UserLimit, 1, 20) // again
	if taken != 5 {
		t.Errorf("%d are taken", taken)
	}
	grant("d", ".134", license.StationShare, 1, 4) // it lives after all
	takes(map[string]int{"d": 1, "e": 0})
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "none"} {
		end(id)
	}
	if taken != 0 {
		t.Errorf("%d are taken", taken)
	}
	takes(map[string]int{"a": 1, "e": 1, "f": 0}) // what they took
}
