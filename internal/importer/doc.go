// Package importer reads what other license managers have, and makes a plan of
// it: FlexNet options files become rules; keygen exports and CSV become
// customers, items and orders. It carries nothing out.
//
// Nothing is dropped silently: what has no counterpart is a Problem with its
// line. Inputs are bounded, and what is beyond a bound is refused as a whole.
package importer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
)

// Bounds of a file.
const (
	MostBytes    = 8 << 20
	MostLines    = 50_000 // lines of text, or licenses
	MostProblems = 5_000
	mostName     = 200 // of an item or a customer, in bytes
	mostKey      = 104 // of an order
	mostShown    = 160 // of what is quoted from a file
)

// Problem is something in a file that the plan doesn't have, or has otherwise.
type Problem struct {
	// Line is the line; in a JSON file it is 0, and What names the license.
	Line int `json:"line,omitempty"`
	// What is what the file says.
	What string `json:"what"`
	// LeftOut: the plan doesn't have it. Else it is there, but not quite so.
	LeftOut bool   `json:"leftOut"`
	Reason  string `json:"reason"`
	Fix     string `json:"fix,omitempty"`
}

// String tells it in a line.
func (p Problem) String() string {
	how := "differs"
	if p.LeftOut {
		how = "left out"
	}
	at := ""
	if p.Line > 0 {
		at = fmt.Sprintf("line %d, ", p.Line)
	}
	text := fmt.Sprintf("%s%s: %s: %s", at, how, p.What, p.Reason)
	if p.Fix != "" {
		text += " (" + p.Fix + ")"
	}
	return text
}

// problems collects them.
type problems struct{ all []Problem }

func (p *problems) add(line int, what string, leftOut bool, fix, format string, args ...any) {
	p.all = append(p.all, Problem{Line: line, What: shown(what), LeftOut: leftOut, Reason: fmt.Sprintf(format, args...), Fix: fix})
}

// checked refuses a file with too many of them.
func (p *problems) checked() error {
	if len(p.all) > MostProblems {
		return license.Errorf(license.CodeInvalidInput, "take the file in parts, or mend what it repeats", "more than %d things in the file can't be taken over as they are", MostProblems)
	}
	return nil
}

// shown is a piece of a file as it can be shown: on one line, and not too long.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return license.Clip(strings.Join(strings.Fields(s), " "), mostShown)
}

// text reads a file's bytes as text; one that is no UTF-8 is taken as Latin-1,
// which odd tells.
func text(b []byte) (s string, odd bool, err error) {
	if len(b) > MostBytes {
		return "", false, license.Errorf(license.CodeTooLarge, "take it in parts", "the file has %d bytes, and %d are the most", len(b), MostBytes)
	}
	if utf8.Valid(b) {
		return strings.TrimPrefix(string(b), "\ufeff"), false, nil
	}
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out), true, nil
}

// nameProblem says why a text can't name a customer or an item; "" where it can.
func nameProblem(s string) string {
	switch {
	case strings.TrimSpace(s) == "":
		return "it is empty"
	case len(s) > mostName:
		return fmt.Sprintf("it is longer than %d bytes", mostName)
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "it has characters that can't be shown"
	}
	return ""
}
