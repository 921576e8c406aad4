package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// Table writes lines whose tabs end columns. Each Write has whole characters, and
// Flush writes all lines. Texts in it may be anybody's: characters that a terminal
// would obey are replaced.
type Table struct{ lines *tabwriter.Writer }

// NewTable begins a table.
func NewTable(w io.Writer) *Table { return &Table{tabwriter.NewWriter(narrow{w}, 0, 0, 2, ' ', 0)} }

// WriteTable writes one with a head, whose words are its columns.
func WriteTable(w io.Writer, head string, lines func(w io.Writer)) error {
	t := NewTable(w)
	fmt.Fprintln(t, strings.ReplaceAll(head, " ", "\t"))
	lines(t)
	return t.Flush()
}

// Flush writes what was given so far.
func (t *Table) Flush() error { return t.lines.Flush() }

// Write implements io.Writer.
func (t *Table) Write(b []byte) (int, error) {
	out := make([]byte, 0, len(b))
	for _, r := range string(b) {
		if !unicode.IsPrint(r) && r != '\t' && r != '\n' {
			r = unicode.ReplacementChar
		}
		if out = utf8.AppendRune(out, r); wide(r) {
			out = utf8.AppendRune(out, filler)
		}
	}
	_, err := t.lines.Write(out)
	return len(b), err
}

// filler follows a character that is two columns wide, so that it is counted
// twice. It isn't printable, so no text has it.
const filler = '\ue000'

// narrow takes the fillers out.
type narrow struct{ w io.Writer }

func (n narrow) Write(b []byte) (int, error) {
	_, err := n.w.Write(bytes.ReplaceAll(b, []byte(string(filler)), nil))
	return len(b), err
}

// wide says whether terminals give a character two columns: those of East Asia
// but for the halfwidth ones, and emoji.
func wide(r rune) bool {
	within := func(from, to rune) bool { return r >= from && r <= to }
	switch {
	case r < 0x1100, within(0xff61, 0xffdc):
		return false
	case within(0x3000, 0x303e), within(0xff01, 0xff60), within(0xffe0, 0xffe6), within(0x1f300, 0x1f64f), within(0x1f900, 0x1f9ff):
		return true
	}
	return unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Yi)
}
