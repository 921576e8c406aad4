package usage

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/quorate/quorate/internal/license"
)

// FindingKind is what is wrong with a log.
type FindingKind string

// The kinds of findings.
const (
	Broken    FindingKind = "BROKEN"    // altered, or an entry was taken out or put in
	Forked    FindingKind = "FORKED"    // two logs differ from here on
	Missing   FindingKind = "MISSING"   // events of a source never came
	Restarted FindingKind = "RESTARTED" // a source began to count anew: how many are missing isn't known
)

// Finding is one thing that is wrong with a log.
type Finding struct {
	Kind   FindingKind `json:"kind"`
	Line   int         `json:"line"`             // of the file, from 1
	Number uint64      `json:"number"`           // of the entry
	Source string      `json:"source,omitempty"` // serial number
	Count  uint64      `json:"count,omitempty"`  // of events that are missing
	Note   string      `json:"note"`
}

// Gap compares a source's count with the one that was seen last of it; last is
// 0 where none was. It gives how many events are missing, or that the source
// began to count anew.
func Gap(last, seq uint64) (missing uint64, restarted bool) {
	switch {
	case last == 0 || seq == 0 || seq == last+1:
		return 0, false
	case seq > last:
		return seq - last - 1, false
	}
	return 0, true
}

// Verifier reads the files of one firm's log, in the order in which they were
// exported; they may overlap. Its memory grows with the number of sources alone.
type Verifier struct {
	Firm        uint32
	First, Last uint64 // numbers of entries
	Hash        Hash   // of the last one
	Entries     int
	Uncounted   int // entries of sources that don't count
	known       bool
	// whole: the log was read from its first entry on, with nothing left out. So a
	// source that wasn't there before has told nothing before.
	whole bool
	seqs  map[string]uint64
}

// file is how far a file was read.
type file struct {
	lines  int
	number uint64 // of the last entry; 0: none yet
	hash   Hash
	known  bool // hash is
}

// Read reads one file to its end and tells found of all that is wrong. Errors:
// the reader's; CodeFormatUnknown for a file that is no log at all,
// CodeInvalidInput for one that is older than the one before it.
func (v *Verifier) Read(r io.Reader, found func(Finding)) error {
	if v.seqs == nil {
		v.seqs = map[string]uint64{}
	}
	var f file
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, MostLine), MostLine+2)
	for lines.Scan() {
		f.lines++
		h, e, err := ParseLine(lines.Bytes())
		switch {
		case err == nil && v.Entries > 0 && e.Firm != v.Firm:
			return license.Errorf(license.CodeInvalidInput, "verify the log of each firm by itself", "line %d is of firm %d, and others are of %d", f.lines, e.Firm, v.Firm)
		case err == nil:
			v.entry(&f, h, e, found)
		case f.lines == 1 && !looksLike(lines.Bytes()):
			return license.Errorf(license.CodeFormatUnknown, "give a file that `quorate usage log` wrote", "this is no usage log: %v", err)
		default:
			v.broken(&f, err.Error(), found)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		f.lines++
		if f.lines == 1 {
			return license.Errorf(license.CodeFormatUnknown, "give a file that `quorate usage log` wrote", "this is no usage log: its first line is too long")
		}
		v.broken(&f, "the line is too long; what follows was not read", found)
	} else if err != nil {
		return err
	}
	if f.number != 0 && f.number < v.Last {
		return license.Errorf(license.CodeInvalidInput, "give the files in the order in which they were exported",
			"the log ends with entry %d, and the one before it with %d", f.number, v.Last)
	}
	return nil
}

// broken counts a line that can't be read as one entry.
func (v *Verifier) broken(f *file, note string, found func(Finding)) {
	v.whole = false
	switch {
	case f.number != 0:
		f.number++
	case v.Entries > 0:
		f.number = v.Last + 1
	default:
		f.number = 1
	}
	f.known = false
	found(Finding{Kind: Broken, Line: f.lines, Number: f.number, Note: note})
	if f.number > v.Last {
		v.Last, v.known = f.number, false
	}
}

func (v *Verifier) entry(f *file, h Hash, e Entry, found func(Finding)) {
	tell := func(kind FindingKind, format string, args ...any) {
		v.whole = false
		found(Finding{Kind: kind, Line: f.lines, Number: e.Number, Note: fmt.Sprintf(format, args...)})
	}
	switch {
	case f.number != 0 && e.Number != f.number+1:
		tell(Broken, "entry %d follows entry %d", e.Number, f.number)
	case f.number != 0 && f.known && e.Previous != f.hash.String():
		tell(Broken, "it doesn't name the hash of the entry before")
	case f.number == 0 && v.Entries > 0 && e.Number > v.Last+1:
		tell(Broken, "no file has the entries from %d to %d", v.Last+1, e.Number-1)
	case f.number == 0 && v.Entries > 0 && e.Number == v.Last+1 && v.known && e.Previous != v.Hash.String():
		tell(Forked, "it doesn't follow the file before: the platform was restored from a backup, or the log was written anew")
	case f.number == 0 && e.Number == 1 && e.Previous != (Hash{}).String():
		tell(Broken, "the first entry names one before it")
	}
	f.number, f.hash, f.known = e.Number, h, true
	if v.Entries > 0 && e.Number <= v.Last {
		if e.Number == v.Last && v.known && h != v.Hash {
			tell(Forked, "the file before has another entry %d: the platform was restored from a backup, or the log was written anew", e.Number)
			v.Hash = h
		}
		return
	}
	if v.Entries == 0 {
		v.Firm, v.First = e.Firm, e.Number
		v.whole = e.Number == 1 && f.lines == 1
	}
	v.Entries++
	v.Last, v.Hash, v.known = e.Number, h, true
	if e.Seq == 0 {
		v.Uncounted++
		return
	}
	last, told := v.seqs[e.Source]
	missing, restarted := Gap(last, e.Seq)
	if !told && v.whole {
		missing = e.Seq - 1
	}
	switch {
	case restarted:
		found(Finding{Kind: Restarted, Line: f.lines, Number: e.Number, Source: e.Source,
			Note: fmt.Sprintf("it counts from %d on again, after %d", e.Seq, last)})
	case missing > 0:
		found(Finding{Kind: Missing, Line: f.lines, Number: e.Number, Source: e.Source, Count: missing,
			Note: fmt.Sprintf("events %d to %d never came", e.Seq-missing, e.Seq-1)})
	}
	v.seqs[e.Source] = e.Seq
}

// looksLike says whether a line begins as those of a log do.
func looksLike(line []byte) bool {
	text, _, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(text) != 2*sha256.Size {
		return false
	}
	_, err := hex.DecodeString(string(text))
	return err == nil
}
