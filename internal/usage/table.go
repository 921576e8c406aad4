package usage

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Table writes rows, one after the other; it keeps none.
type Table interface {
	// Row writes one, with as many cells as there are columns: texts, whole
	// numbers, float64, bool, time.Time (zero: nothing).
	Row(cells ...any) error
	// Close writes what is still to be written; the writer stays open.
	Close() error
}

type csvTable struct {
	w    *csv.Writer
	text []string
}

// NewCSV begins a table as RFC 4180 has it, with a line of the columns' names. A
// text that a spreadsheet would take for a formula gets an apostrophe before it.
func NewCSV(w io.Writer, columns []string) (Table, error) {
	t := &csvTable{csv.NewWriter(w), make([]string, len(columns))}
	t.w.UseCRLF = true
	return t, t.w.Write(columns)
}

func (t *csvTable) Row(cells ...any) error {
	if len(cells) != len(t.text) {
		return fmt.Errorf("a row has %d cells, and the table %d columns", len(cells), len(t.text))
	}
	for i, c := range cells {
		switch c := c.(type) {
		case string:
			t.text[i] = noFormula(c)
		case float64:
			t.text[i] = number(c)
		case time.Time:
			t.text[i] = ""
			if !c.IsZero() {
				t.text[i] = c.UTC().Format(time.RFC3339Nano)
			}
		default:
			t.text[i] = fmt.Sprint(c)
		}
	}
	return t.w.Write(t.text)
}

func (t *csvTable) Close() error {
	t.w.Flush()
	return t.w.Error()
}

// formula says whether a spreadsheet would compute a text.
func formula(s string) bool {
	return s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(s)[0])
}

// noFormula makes a foreign text one that no spreadsheet computes.
func noFormula(s string) string {
	if formula(s) {
		return "'" + s
	}
	return s
}

// Plain gives a text of an export without what keeps spreadsheets from computing
// it.
func Plain(s string) string {
	if t, ok := strings.CutPrefix(s, "'"); ok && formula(t) {
		return t
	}
	return s
}

// number writes a number in full, without an exponent.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

type jsonTable struct {
	w       *bufio.Writer
	columns []string
}

// NewJSON begins a table of JSON Lines: one object a row, its names the columns'.
func NewJSON(w io.Writer, columns []string) Table {
	return &jsonTable{bufio.NewWriter(w), columns}
}

func (t *jsonTable) Row(cells ...any) error {
	if len(cells) != len(t.columns) {
		return fmt.Errorf("a row has %d cells, and the table %d columns", len(cells), len(t.columns))
	}
	for i, c := range cells {
		if at, ok := c.(time.Time); ok {
			c = at.UTC()
			if at.IsZero() {
				c = nil
			}
		}
		b, err := json.Marshal(c)
		if err != nil {
			return err
		}
		before := `,"`
		if i == 0 {
			before = `{"`
		}
		if _, err := t.w.WriteString(before + t.columns[i] + `":` + string(b)); err != nil {
			return err
		}
	}
	_, err := t.w.WriteString("}\n")
	return err
}

func (t *jsonTable) Close() error { return t.w.Flush() }
