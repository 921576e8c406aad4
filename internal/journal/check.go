package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/license"
)

// LeastN is the n of a seat that nobody has had: a leader gives higher ones.
const LeastN = 1

// Bounds of what a journal takes and gives.
const (
	MostHolder     = 4 << 10 // bytes of a record's holder
	MostEventData  = 4 << 10 // bytes of an event
	MostOwner      = 128     // bytes of a term's owner
	MostName       = 64      // bytes of a peer's name and of an incarnation
	MostBatch      = 1024    // records, events or drops of a batch
	MostBatchBytes = 1 << 20 // holders and events of a batch, in bytes
	MostPage       = 1024    // records or events of a page
	MostPageBytes  = 1 << 20 // holders or events of a page, in bytes; one fits always
	MostMarks      = license.Backends
	MostEpoch      = math.MaxInt64 // also of n, positions and versions
)

// Check says whether a journal may promise the term.
func (t Term) Check() error {
	if t.Epoch == 0 || t.Epoch > MostEpoch {
		return invalid("%d is no epoch", t.Epoch)
	}
	return checkName("owner", t.Owner, MostOwner)
}

// Check says whether the promise is well-formed.
func (p Promise) Check() error {
	if err := p.Term.Check(); err != nil {
		return err
	}
	return checkName("incarnation", p.Incarnation, MostName)
}

// Check says whether the key names a seat.
func (k Key) Check() error {
	if k.Product.Firm == 0 || k.Seat == 0 {
		return invalid("%s seat %d is no seat", k.Product, k.Seat)
	}
	return nil
}

// Check says whether a journal may write the batch.
func (b Batch) Check() error {
	if len(b.Records) > MostBatch || len(b.Events) > MostBatch || len(b.Drop) > MostBatch || len(b.Marks) > MostMarks {
		return invalid("a batch has at most %d records, %d events and %d marks", MostBatch, MostBatch, MostMarks)
	}
	size := 0
	var seats map[Key]bool
	if !ascending(b.Records) {
		seats = make(map[Key]bool, len(b.Records))
	}
	for _, r := range b.Records {
		if err := r.Key.Check(); err != nil {
			return err
		}
		if seats[r.Key] {
			return invalid("%s seat %d is twice in a batch", r.Product, r.Seat)
		}
		if len(r.Holder) > MostHolder || r.N == 0 || r.N > MostEpoch {
			return invalid("a holder has up to %d bytes, and n is from 1", MostHolder)
		}
		if seats != nil {
			seats[r.Key] = true
		}
		size += len(r.Holder)
	}
	var positions map[uint64]bool
	if !rising(b.Events) {
		positions = make(map[uint64]bool, len(b.Events))
	}
	for _, e := range b.Events {
		if len(e.Data) > MostEventData || e.Position == 0 || e.Position > MostEpoch || positions[e.Position] {
			return invalid("an event has up to %d bytes, and a position of its own from 1", MostEventData)
		}
		if positions != nil {
			positions[e.Position] = true
		}
		size += len(e.Data)
	}
	if size > MostBatchBytes {
		return invalid("a batch has up to %d bytes, not %d", MostBatchBytes, size)
	}
	if b.Base > MostEpoch || b.Trim > MostEpoch {
		return invalid("a base is an epoch, and a trim a position")
	}
	for _, m := range b.Marks {
		if err := checkName("incarnation", m.Incarnation, MostName); err != nil {
			return err
		}
		if m.Version > MostEpoch {
			return invalid("%d is no version", m.Version)
		}
	}
	return nil
}

// Check says whether a journal may record the roster.
func (r Roster) Check() error {
	if len(r.Peers) == 0 || len(r.Peers) > license.Backends || r.N == 0 || r.N > MostEpoch {
		return invalid("a roster has 1 to %d peers, and n is from 1", license.Backends)
	}
	for i, p := range r.Peers {
		if err := checkName("name of a peer", p.Name, MostName); err != nil {
			return err
		}
		if err := checkName("incarnation", p.Incarnation, MostName); err != nil {
			return err
		}
		if i > 0 && r.Peers[i-1].Name >= p.Name {
			return invalid("the peers of a roster are in the order of their names, each once")
		}
	}
	return nil
}

func checkName(what, s string, most int) error {
	if s == "" || len(s) > most || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return invalid("the %s must be 1 to %d characters of ASCII without blanks", what, most)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return license.Errorf(license.CodeInvalidInput, "tell the vendor: a TMR server asks its journals wrongly", format, args...)
}

// The errors below are the same for every driver. Errors with CodeConflict are
// told apart by what the leader does about them, not by their cause.
var (
	// ErrUnpromised: the term was not promised by this incarnation.
	ErrUnpromised error = &license.Error{
		Code:    license.CodeConflict,
		Message: "this journal of seats has not promised the epoch: it lost its disk, or was not claimed",
		Fix:     "nothing to do: the leader claims it again",
	}
	// ErrLower: a seat or the roster has something newer here.
	ErrLower error = &license.Error{
		Code:    license.CodeConflict,
		Message: "this journal of seats has something newer than what was to be written",
		Fix:     "look at the log: two servers may decide under one epoch",
	}
)

// Fenced refuses what is asked under an older term than the promised one. Its
// details name the promised epoch, so that a claimer whose clock is behind can
// go above it.
func Fenced(promised uint64) error {
	return &license.Error{
		Code:    license.CodeFenced,
		Message: fmt.Sprintf("this journal of seats has promised the epoch %d to another leader", promised),
		Fix:     "ask the active server",
		Details: map[string]any{"promised": strconv.FormatUint(promised, 10)},
	}
}

// PromisedBy reads the epoch out of a Fenced error, also one that came over the
// network; zero where there is none.
func PromisedBy(err error) uint64 {
	var e *license.Error
	if !errors.As(err, &e) || e.Code != license.CodeFenced {
		return 0
	}
	var epoch uint64
	switch v := e.Details["promised"].(type) {
	case string:
		epoch, _ = strconv.ParseUint(v, 10, 64)
	case json.Number:
		epoch, _ = strconv.ParseUint(v.String(), 10, 64)
	}
	if epoch > MostEpoch {
		return 0
	}
	return epoch
}

// Admit says whether a claim of t may change the state; nil also where it is
// promised already.
func (s State) Admit(t Term) error {
	if err := t.Check(); err != nil {
		return err
	}
	if t.Epoch < s.Promised.Epoch || (t.Epoch == s.Promised.Epoch && t != s.Promised) {
		return Fenced(s.Promised.Epoch)
	}
	return nil
}

// Allow says whether a call under p may be made.
func (s State) Allow(p Promise) error {
	if err := p.Check(); err != nil {
		return err
	}
	if err := s.Admit(p.Term); err != nil {
		return err
	}
	if p.Term != s.Promised || p.Incarnation != s.Incarnation {
		return ErrUnpromised
	}
	return nil
}

// Replaces says whether a new record of a seat may replace what the journal
// has: nil, or ErrLower.
func (r Record) Replaces(old Record) error {
	switch {
	case r.Epoch > old.Epoch || (r.Epoch == old.Epoch && r.N > old.N):
		return nil
	case r.Epoch == old.Epoch && r.N == old.N && slices.Equal(r.Holder, old.Holder):
		return nil
	}
	return ErrLower
}

// Merge gives the marks that are kept: of the roster's incarnations the highest.
func (r Roster) Merge(old, more []Mark) []Mark {
	var kept []Mark
	for _, p := range r.Peers {
		var version uint64
		for _, m := range slices.Concat(old, more) {
			if m.Incarnation == p.Incarnation {
				version = max(version, m.Version)
			}
		}
		if version > 0 {
			kept = append(kept, Mark{p.Incarnation, version})
		}
	}
	return kept
}
