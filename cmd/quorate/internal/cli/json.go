package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// WriteJSON writes v as one line of JSON, with & < > as they are: also in what
// the platform answered, which json passes on as it came.
func WriteJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(unescaped(b.Bytes()))
	return err
}

// unescaped writes \u0026, \u003c and \u003e in valid JSON as the characters
// that they stand for.
func unescaped(in []byte) []byte {
	out := make([]byte, 0, len(in))
	for {
		at := bytes.IndexByte(in, '\\')
		if at < 0 {
			return append(out, in...)
		}
		out = append(out, in[:at]...)
		in = in[at:]
		n := 2 // an escape is one character, or u and four digits; these need no further look
		switch strings.ToLower(string(in[:min(6, len(in))])) {
		case `\u0026`:
			out, in, n = append(out, '&'), in[6:], 0
		case `\u003c`:
			out, in, n = append(out, '<'), in[6:], 0
		case `\u003e`:
			out, in, n = append(out, '>'), in[6:], 0
		}
		out, in = append(out, in[:n]...), in[n:]
	}
}
