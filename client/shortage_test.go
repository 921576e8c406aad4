package client

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestShortage(t *testing.T) {
	raw := `{"taken":5,"quantity":6,"waiting":2,"heldBack":1,"position":2,"nextExpiryMs":1500,"holdersInAll":3,"holders":[
		{"handle":"h-1","host":"pc-1","licenses":2,"idleMs":60000,"user":"ada","application":"charts","station":"s","borrowed":true,"remainingMs":5000},{"handle":"h-2","host":"pc-2","licenses":1}]}`
	var d map[string]any
	if err := json.Unmarshal([]byte(raw), &d); err != nil {
		t.Fatal(err)
	}
	for _, code := range []Code{CodeNoFreeSeat, CodeQueued, CodeLimitReached, CodeStationBusy} {
		err := error(&Error{Code: code, Message: "m", Details: d})
		var s *Shortage
		if !errors.As(err, &s) || !errors.Is(err, code) || !errors.Is(s, code) || s.Error() != "m" {
			t.Fatalf("%s: %v", code, s)
		}
		s.Refusal = nil
		want := Shortage{
			Taken: 5, Quantity: 6, Waiting: 2, HeldBack: 1, Position: 2, NextFree: 1500 * time.Millisecond, HoldersInAll: 3,
			Holders: []Holder{
				{Handle: "h-1", Host: "pc-1", Licenses: 2, User: "ada", Application: "charts", Station: "s", Idle: time.Minute, Borrowed: true, Remaining: 5 * time.Second},
				{Handle: "h-2", Host: "pc-2", Licenses: 1},
			},
		}
		if !reflect.DeepEqual(*s, want) {
			t.Errorf("%s: %+v", code, *s)
		}
	}
	var s *Shortage
	if err := error(&Error{Code: CodeLimitReached, Details: map[string]any{"limit": "cad", "most": 3.0, "taken": 3.0}}); !errors.As(err, &s) || s.Limit != "cad" || s.Quantity != 3 {
		t.Errorf("%+v", s)
	}
	if errors.As(error(&Error{Code: CodeNoLicense, Details: d}), &s) || errors.Is(&Error{Code: CodeNoLicense}, CodeNoFreeSeat) {
		t.Error("another refusal is a shortage")
	}
	// Figures that are none: what fits is told.
	err := error(&Error{Code: CodeNoFreeSeat, Details: map[string]any{"taken": "x", "quantity": -1.0, "holders": 7.0, "nextExpiryMs": -5.0, "waiting": 3.0}})
	if !errors.As(err, &s) || s.Taken != 0 || s.Quantity != 0 || len(s.Holders) != 0 || s.NextFree != 0 || s.Waiting != 3 {
		t.Errorf("%+v", s)
	}
}
