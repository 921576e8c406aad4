// Package importer reads what other license managers have, and makes a plan of
// it: FlexNet options files become rules; keygen exports and CSV become
// customers, items and orders. It carries nothing out.
//
// Nothing is dropped silently: what has no counterpart is a Problem with its
// line. Inputs are bounded, and what is beyond a bound is refused as a whole.
package importer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
)

// Bounds of a file.
const (
	MostBytes    = 8 << 20
	MostExport   = 128 << 20 // of keygen's files together, in which a license is long
	MostLines    = 50_000    // lines of text, or licenses
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
	// More is how many others there are of which the same is so.
	More int `json:"more,omitempty"`
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
	what := p.What
	if p.More > 0 {
		what = fmt.Sprintf("%s and %d more", what, p.More)
	}
	text := fmt.Sprintf("%s%s: %s: %s", at, how, what, p.Reason)
	if p.Fix != "" {
		text += " (" + p.Fix + ")"
	}
	return text
}

// problems collects them.
type problems struct {
	all  []Problem
	once map[Problem]int // which of all stands for what has the same reason
}

func (p *problems) add(line int, what string, leftOut bool, fix, format string, args ...any) {
	p.all = append(p.all, Problem{Line: line, What: shown(what), LeftOut: leftOut, Reason: fmt.Sprintf(format, args...), Fix: fix})
}

// same adds what is so of many things once, with the first of them and how many
// more there are.
func (p *problems) same(what string, leftOut bool, fix, reason string) {
	k := Problem{LeftOut: leftOut, Reason: reason, Fix: fix}
	if i, ok := p.once[k]; ok {
		p.all[i].More++
		return
	}
	if p.once == nil {
		p.once = map[Problem]int{}
	}
	p.once[k] = len(p.all)
	p.add(0, what, leftOut, fix, "%s", reason)
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

// text reads a file's bytes as text: UTF-8, or UTF-16 with its mark, as Windows
// and spreadsheets write it. Another one is taken as Windows-1252, of which
// Latin-1 is a part, which odd tells.
func text(b []byte) (s string, odd bool, err error) {
	if len(b) > MostBytes {
		return "", false, license.Errorf(license.CodeTooLarge, "take it in parts", "the file has %d bytes, and %d are the most", len(b), MostBytes)
	}
	for mark, order := range map[string]binary.ByteOrder{"\xff\xfe": binary.LittleEndian, "\xfe\xff": binary.BigEndian} {
		if rest, ok := bytes.CutPrefix(b, []byte(mark)); ok && len(rest)%2 == 0 {
			units := make([]uint16, len(rest)/2)
			for i := range units {
				units[i] = order.Uint16(rest[2*i:])
			}
			return string(utf16.Decode(units)), false, nil
		}
	}
	if utf8.Valid(b) {
		return strings.TrimPrefix(string(b), "\ufeff"), false, nil
	}
	const from80 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"
	high := []rune(from80)
	out := make([]rune, len(b))
	for i, c := range b {
		if out[i] = rune(c); c >= 0x80 && c < 0xa0 {
			out[i] = high[c-0x80]
		}
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
