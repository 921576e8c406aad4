package apitools

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// show writes an answer for people: a line for each value, in the order of the
// answer, what belongs to something below it.
func show(w io.Writer, answer json.RawMessage) error {
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	var b strings.Builder
	if err := write(&b, d, 0, ""); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// write takes one value from d. label is what stands before it on its line.
func write(b *strings.Builder, d *json.Decoder, depth int, label string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	indent := strings.Repeat("  ", depth)
	line := func(text string) { fmt.Fprintf(b, "%s%s%s\n", indent, label, text) }
	switch v := token.(type) {
	case json.Delim:
		if !d.More() {
			line("none")
			_, err := d.Token()
			return err
		}
		if label != "" {
			label = strings.TrimSuffix(label, " ")
			line("")
			depth++
		}
		for i := 1; d.More(); i++ {
			name := fmt.Sprintf("%d: ", i)
			if v == '{' {
				key, err := d.Token()
				if err != nil {
					return err
				}
				name = fmt.Sprintf("%s: ", key)
			}
			if err := write(b, d, depth, name); err != nil {
				return err
			}
		}
		_, err := d.Token()
		return err
	case nil:
		line("-")
	case string:
		// Lines of a text stay below each other.
		line(strings.ReplaceAll(strings.Map(printable, v), "\n", "\n"+indent+"  "))
	default:
		line(fmt.Sprint(v))
	}
	return nil
}

// printable keeps what a terminal would take for orders out of it.
func printable(r rune) rune {
	if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return '?'
	}
	return r
}
