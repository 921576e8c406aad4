package redislog

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

// FuzzEntry reads anything as what Redis answers.
func FuzzEntry(f *testing.F) {
	f.Add(`{"u":{"a":"3w5e11264sgsf"},"r":["b"]}`, "7")
	f.Add(`{"u":{},"r":[]}`, "")
	f.Add(`{"u":{"a":"-1"}}`, "x")
	f.Fuzz(func(t *testing.T, text, number string) {
		if p, err := positionOf(text, number); err == nil && p.Epoch != text {
			t.Errorf("epoch %q of %q", p.Epoch, text)
		}
		if id, _, err := itemOf(text, number); err == nil && id != text {
			t.Errorf("id %q of %q", id, text)
		}
		e, err := entryOf(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(entryAs(e))
		if err != nil {
			t.Fatal(err)
		}
		same, err := entryOf(string(again))
		if err != nil || !maps.Equal(e.Upserted, same.Upserted) || !slices.Equal(e.Removed, same.Removed) {
			t.Errorf("%+v was written as %s, %v", e, again, err)
		}
	})
}
