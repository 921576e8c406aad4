package usage_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/usage"
)

// logOf makes a log: each number is the next event of source "131-1", each
// negative one of "130-2"; 0 is an event of one that doesn't count.
func logOf(t testing.TB, c *usage.Chain, seqs ...int) []string {
	t.Helper()
	var lines []string
	for _, n := range seqs {
		e := usage.Entry{Firm: 6000010, Source: "131-1", Seq: uint64(max(n, 0)), Kind: usage.Granted, Product: 14, Handle: "h", Mode: license.UserLimit, Licenses: 1}
		if n < 0 {
			e.Source, e.Seq = "130-2", uint64(-n)
		}
		line, err := c.Append(e)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := usage.WriteLine(&b, c.Hash, line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, b.String())
	}
	return lines
}

func verify(t *testing.T, files ...[]string) (usage.Verifier, []string, error) {
	t.Helper()
	var v usage.Verifier
	var all []string
	for _, f := range files {
		err := v.Read(iotest.OneByteReader(strings.NewReader(strings.Join(f, ""))), func(f usage.Finding) {
			all = append(all, fmt.Sprintf("%s line %d entry %d %s %d", f.Kind, f.Line, f.Number, f.Source, f.Count))
		})
		if err != nil {
			return v, all, err
		}
	}
	return v, all, nil
}

func TestVerifyFinds(t *testing.T) {
	var c usage.Chain
	good := logOf(t, &c, 1, 2, -1, 3, 0, -2, 4)
	without := func(i int) []string { return append(append([]string{}, good[:i]...), good[i+1:]...) }
	altered := func(i int, from, to string) []string {
		all := append([]string{}, good...)
		all[i] = strings.Replace(all[i], from, to, 1)
		return all
	}
	rehashed := func(i int, from, to string) []string { // by somebody who knows how
		all := altered(i, from, to)
		_, body, _ := strings.Cut(strings.TrimSuffix(all[i], "\n"), " ")
		all[i] = fmt.Sprintf("%x %s\n", sha256.Sum256([]byte(body)), body)
		return all
	}
	var other usage.Chain
	fork := logOf(t, &other, 1, 2, -1, 3, 0, -3, 4, 5)
	var more = usage.Chain{Number: c.Number, Hash: c.Hash}
	next := logOf(t, &more, 5, 6)
	late := logOf(t, new(usage.Chain), 1, 2, -7, 3, -9)
	var gaps usage.Chain
	for name, tt := range map[string]struct {
		files [][]string
		want  []string
	}{
		"good":                     {[][]string{good}, nil},
		"from the middle on":       {[][]string{good[3:]}, nil},
		"two that follow":          {[][]string{good, next}, nil},
		"two that overlap":         {[][]string{good, append(append([]string{}, good[4:]...), next...)}, nil},
		"the same twice":           {[][]string{good, good}, nil},
		"one is left out":          {[][]string{without(3)}, []string{"BROKEN line 4 entry 5  0", "MISSING line 6 entry 7 131-1 1"}},
		"altered":                  {[][]string{altered(2, `"licenses":1`, `"licenses":2`)}, []string{"BROKEN line 3 entry 3  0"}},
		"altered, new hash":        {[][]string{rehashed(2, `"licenses":1`, `"licenses":2`)}, []string{"BROKEN line 4 entry 4  0"}},
		"a begun chain":            {[][]string{rehashed(0, `"previous":"00`, `"previous":"01`)}, []string{"BROKEN line 1 entry 1  0", "BROKEN line 2 entry 2  0"}},
		"not our form":             {[][]string{rehashed(1, `"log":`, ` "log":`)}, []string{"BROKEN line 2 entry 2  0", "MISSING line 4 entry 4 131-1 1"}},
		"a file is left out":       {[][]string{good[:2], good[4:]}, []string{"BROKEN line 1 entry 5  0", "MISSING line 3 entry 7 131-1 1"}},
		"another log follows":      {[][]string{good[:6], fork[6:]}, []string{"FORKED line 1 entry 7  0"}},
		"another log, overlapping": {[][]string{good[:6], fork}, []string{"FORKED line 6 entry 6  0"}},
		"gaps of sources": {[][]string{logOf(t, &gaps, 1, -1, 4, -2, -3, 2, 3)},
			[]string{"MISSING line 3 entry 3 131-1 2", "RESTARTED line 6 entry 6 131-1 0"}},
		"a source begins late":              {[][]string{late}, []string{"MISSING line 3 entry 3 130-2 6", "MISSING line 5 entry 5 130-2 1"}},
		"the first one begins late":         {[][]string{logOf(t, new(usage.Chain), 5, 6)}, []string{"MISSING line 1 entry 1 131-1 4"}},
		"late, what was before isn't there": {[][]string{late[1:]}, []string{"MISSING line 4 entry 5 130-2 1"}},
		"late, something is left out":       {[][]string{append(late[:1:1], late[2:]...)}, []string{"BROKEN line 2 entry 3  0", "MISSING line 3 entry 4 131-1 1", "MISSING line 4 entry 5 130-2 1"}},
		"late, after a broken line":         {[][]string{append([]string{late[0], "x\n"}, late[2:]...)}, []string{"BROKEN line 2 entry 2  0", "MISSING line 4 entry 4 131-1 1", "MISSING line 5 entry 5 130-2 1"}},
		"late, in the second file":          {[][]string{late[:2], late[2:]}, []string{"MISSING line 1 entry 3 130-2 6", "MISSING line 3 entry 5 130-2 1"}},
		"a line too long":                   {[][]string{append(append([]string{}, good[:2]...), strings.Repeat("x", 10_000))}, []string{"BROKEN line 3 entry 3  0"}},
	} {
		v, found, err := verify(t, tt.files...)
		if err != nil || fmt.Sprint(found) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %q instead of %q, %v", name, found, tt.want, err)
		}
		if name == "two that overlap" && (v.Entries != 9 || v.First != 1 || v.Last != 9 || v.Hash != more.Hash || v.Firm != 6000010 || v.Uncounted != 1) {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	var c, d usage.Chain
	good := logOf(t, &c, 1, 2, 3)
	line, err := d.Append(usage.Entry{Firm: 6000011})
	if err != nil {
		t.Fatal(err)
	}
	foreign := d.Hash.String() + " " + line + "\n"
	for name, tt := range map[string]struct {
		files [][]string
		code  license.Code
	}{
		"no log":         {[][]string{{"container,product\n"}}, license.CodeFormatUnknown},
		"no text":        {[][]string{{strings.Repeat("\x00", 10_000)}}, license.CodeFormatUnknown},
		"another firm":   {[][]string{good, {foreign}}, license.CodeInvalidInput},
		"an older one":   {[][]string{good, good[:2]}, license.CodeInvalidInput},
		"nothing at all": {[][]string{{}}, ""},
	} {
		if _, _, err := verify(t, tt.files...); license.CodeOf(err) != tt.code && (tt.code != "" || err != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("the disk")
	var v usage.Verifier
	if err := v.Read(iotest.ErrReader(broken), nil); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestHostileEntries: whatever a server tells fits a line, and is read as it was
// written.
func TestHostileEntries(t *testing.T) {
	var c usage.Chain
	for _, text := range []string{strings.Repeat("\x01", 5000), strings.Repeat("<", 5000), strings.Repeat("\u2028", 5000), "a\x00b\xff", strings.Repeat("é", 201)} {
		line, err := c.Append(usage.Entry{Firm: 1, Source: text, Kind: usage.Kind(text), Handle: text, Mode: license.AccessMode(text),
			Reason: text, N: 1<<64 - 1, Seq: 1<<64 - 1, AtMs: -1 << 63, Position: 1<<64 - 1, Licenses: 1<<32 - 1, Seat: 1<<32 - 1, Product: 1<<32 - 1})
		if err != nil || len(line) > 4000 {
			t.Fatalf("%d bytes, %v", len(line), err)
		}
		var b bytes.Buffer
		if err := usage.WriteLine(&b, c.Hash, line); err != nil {
			t.Fatal(err)
		}
		h, e, err := usage.ParseLine(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
		if err != nil || h != c.Hash || e.Number != c.Number || e.N != 1<<64-1 {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func FuzzLog(f *testing.F) {
	var c usage.Chain
	lines := logOf(f, &c, 1, 2, 4, -1)
	f.Add([]byte(strings.Join(lines, "")))
	f.Add([]byte(strings.Join(lines[1:], "")))
	f.Add([]byte(lines[0][:70]))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var v usage.Verifier
		findings := 0
		if err := v.Read(bytes.NewReader(file), func(usage.Finding) { findings++ }); err != nil {
			return
		}
		if n := bytes.Count(file, []byte("\n")) + 1; v.Entries > n || findings > 2*n {
			t.Errorf("%d entries and %d findings in %d lines", v.Entries, findings, n)
		}
	})
}
