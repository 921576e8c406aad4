package property_test

import (
	"bytes"
	"testing"

	"github.com/quorate/quorate/ent/schema/property"
)

func TestEnumsAreReadStrictly(t *testing.T) {
	var s property.RolloutState
	for _, v := range s.Values() {
		if err := s.UnmarshalGQL(v); err != nil || string(s) != v {
			t.Errorf("%s: %v", v, err)
		}
		var b bytes.Buffer
		if s.MarshalGQL(&b); b.String() != `"`+v+`"` {
			t.Errorf("%s is written as %s", v, b.String())
		}
	}
	for _, bad := range []any{"", "queued", "NONE", 1, nil} {
		if err := s.UnmarshalGQL(bad); err == nil {
			t.Errorf("%v passes", bad)
		}
	}
}
