package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
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
	_, err := w.Write(harmless(unescaped(b.Bytes())))
	return err
}

// harmless escapes in valid JSON what terminals obey and JSON needn't escape: the
// controls from U+007F to U+009F.
func harmless(in []byte) []byte {
	control := func(r rune) bool { return r >= 0x7f && r <= 0x9f }
	if !bytes.ContainsFunc(in, control) {
		return in
	}
	out := make([]byte, 0, len(in)+16)
	for _, r := range string(in) {
		if control(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
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
