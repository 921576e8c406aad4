package cli

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestWriteJSON: text is written as it is, also where the platform's answer,
// which is passed on as it came, had it escaped; what a text itself has of
// backslashes stays, and nothing is written that terminals obey.
func TestWriteJSON(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{"R&D <x@example.com>", `"R&D <x@example.com>"`},
		{json.RawMessage(`{"b": "R\u0026D", "a": "\u003cx\u003E"}`), `{"b":"R&D","a":"<x>"}`},
		{[]json.RawMessage{[]byte(`"\\u0026"`), []byte(`"\\\u0026"`), []byte(`"\"\u003c"`)}, `["\\u0026","\\&","\"<"]`},
		{`\u0026`, `"\\u0026"`},
		{"\u2028\n", `"\u2028\n"`},
		{"a\u009b31m\u007fä", `"a\u009b31m\u007fä"`},
		{json.RawMessage("\"\u0085\\u0085\""), `"\u0085\u0085"`},
		{json.RawMessage(`"\u0027\u00e4\ud83d\ude00"`), `"\u0027\u00e4\ud83d\ude00"`},
	} {
		var out bytes.Buffer
		if err := WriteJSON(&out, c.value); err != nil || out.String() != c.want+"\n" {
			t.Errorf("%s instead of %s, %v", out.String(), c.want, err)
		}
	}
	if err := WriteJSON(&bytes.Buffer{}, func() {}); err == nil {
		t.Error("what can't be written is no error")
	}
}
