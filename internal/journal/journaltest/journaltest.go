package journaltest

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
)

// Harness is one fresh journal of a driver, ended by its test's Cleanup.
type Harness struct {
	Journal journal.Journal
	// Restart ends the journal and opens it again on what it has on disk. Nil:
	// it has none.
	Restart func() journal.Journal
}

// Driver is what the suite runs on.
type Driver struct {
	// Open makes a fresh, empty journal.
	Open func(t *testing.T) Harness
}

// Run runs the whole suite.
func Run(t *testing.T, d Driver) {
	for name, f := range map[string]func(*testing.T, Harness){
		"a new journal is empty and of an incarnation of its own": func(t *testing.T, h Harness) { begins(t, h, d) },
		"a claim is promised, and claimed again changes nothing":  claims,
		"a lower claim is fenced, and the same by another owner":  claimsFenced,
		"calls under another term are fenced":                     callsFenced,
		"calls under a term that was not promised are a conflict": callsUnpromised,
		"confirm tells the version":                               confirms,
		"records come in the order of their keys, by pages":       recordPages,
		"pages are bounded in bytes":                              pageBytes,
		"a record replaces one that is lower":                     replaces,
		"a record that is lower changes nothing of its batch":     refusesLower,
		"events are kept by position, replaced, dropped, trimmed": events,
		"the base only rises":                                     bases,
		"marks of the roster's incarnations are kept":             marks,
		"the newer roster is in force, and says who votes":        enrols,
		"a reset begins a new incarnation under the term":         resets,
		"anyone may read a seat's record":                         seats,
		"numbers are exact up to the highest":                     highest,
		"what is beyond the bounds is refused":                    bounds,
		"a holder and an event may be anything":                   anyBytes,
		"nothing that goes in or comes out is shared":             unshared,
		"a cancelled call says that the outcome is open":          cancelled,
		"each change counts by one, also of concurrent calls":     concurrent,
		"a restart keeps everything":                              restarts,
		"random steps give the same as the journal in memory":     walks,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, d.Open(t))
		})
	}
}

var product = license.Product{Firm: 6000010, Code: 14}

func key(seat uint32) journal.Key { return journal.Key{Product: product, Seat: seat} }

func record(seat uint32, n uint64, holder string) journal.Record {
	return journal.Record{Key: key(seat), N: n, Holder: []byte(holder)}
}

func ok(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func coded(t *testing.T, what string, err error, want license.Code) {
	t.Helper()
	if license.CodeOf(err) != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

func state(t *testing.T, j journal.Journal) journal.State {
	t.Helper()
	s, err := j.State(t.Context())
	ok(t, "State", err)
	return s
}

func claim(t *testing.T, j journal.Journal, epoch uint64) journal.Promise {
	t.Helper()
	term := journal.Term{Epoch: epoch, Owner: fmt.Sprintf("a/%d", epoch)}
	s, err := j.Claim(t.Context(), term)
	ok(t, "Claim", err)
	if s.Promised != term {
		t.Fatalf("promised %+v, want %+v", s.Promised, term)
	}
	return journal.Promise{Term: term, Incarnation: s.Incarnation}
}

func write(t *testing.T, j journal.Journal, p journal.Promise, b journal.Batch) journal.Pulse {
	t.Helper()
	pulse, err := j.Write(t.Context(), p, b)
	ok(t, "Write", err)
	return pulse
}

// all reads every record and event, by pages of some.
func all(t *testing.T, j journal.Journal, p journal.Promise, page int) (records []journal.Record, events []journal.Event) {
	t.Helper()
	var after journal.Key
	for {
		some, err := j.Records(t.Context(), p, after, page)
		ok(t, "Records", err)
		if len(some) > page {
			t.Fatalf("%d records on a page of %d", len(some), page)
		}
		if len(some) == 0 {
			break
		}
		records, after = append(records, some...), some[len(some)-1].Key
	}
	var position uint64
	for {
		some, err := j.Events(t.Context(), p, position, page)
		ok(t, "Events", err)
		if len(some) > page {
			t.Fatalf("%d events on a page of %d", len(some), page)
		}
		if len(some) == 0 {
			return records, events
		}
		events, position = append(events, some...), some[len(some)-1].Position
	}
}

func same(a, b journal.State) bool {
	none := func(s *journal.State) {
		if len(s.Marks) == 0 {
			s.Marks = nil
		}
		if len(s.Roster.Peers) == 0 {
			s.Roster.Peers = nil
		}
	}
	none(&a)
	none(&b)
	return reflect.DeepEqual(a, b)
}

func sameRecords(a, b []journal.Record) bool {
	return slices.EqualFunc(a, b, func(a, b journal.Record) bool {
		return a.Key == b.Key && a.Epoch == b.Epoch && a.N == b.N && bytes.Equal(a.Holder, b.Holder)
	})
}

func sameEvents(a, b []journal.Event) bool {
	return slices.EqualFunc(a, b, func(a, b journal.Event) bool {
		return a.Position == b.Position && a.Epoch == b.Epoch && bytes.Equal(a.Data, b.Data)
	})
}

func begins(t *testing.T, h Harness, d Driver) {
	s := state(t, h.Journal)
	if s.Incarnation == "" || s.Version != 1 || s.Voting || s.Promised != (journal.Term{}) || s.Base != 0 ||
		s.Roster.N != 0 || len(s.Roster.Peers) != 0 || len(s.Marks) != 0 {
		t.Errorf("a new journal says %+v", s)
	}
	if other := state(t, d.Open(t).Journal); other.Incarnation == s.Incarnation {
		t.Errorf("two journals are the incarnation %s", s.Incarnation)
	}
	records, events := all(t, h.Journal, claim(t, h.Journal, 1), 10)
	if len(records)+len(events) != 0 {
		t.Errorf("a new journal has %v and %v", records, events)
	}
}

func claims(t *testing.T, h Harness) {
	before := state(t, h.Journal)
	p := claim(t, h.Journal, 7)
	after := state(t, h.Journal)
	want := before
	want.Promised = p.Term
	if !same(after, want) || p.Incarnation != before.Incarnation {
		t.Errorf("claimed: %+v, want %+v", after, want)
	}
	claim(t, h.Journal, 7)
	if now := state(t, h.Journal); !same(now, after) {
		t.Errorf("claimed again: %+v, was %+v", now, after)
	}
	claim(t, h.Journal, 8)
}

func claimsFenced(t *testing.T, h Harness) {
	claim(t, h.Journal, 7)
	before := state(t, h.Journal)
	for _, term := range []journal.Term{{Epoch: 6, Owner: "a/7"}, {Epoch: 7, Owner: "b"}, {Epoch: 1, Owner: "b"}} {
		_, err := h.Journal.Claim(t.Context(), term)
		coded(t, fmt.Sprint(term), err, license.CodeFenced)
		if journal.PromisedBy(err) != 7 {
			t.Errorf("%v: the refusal tells of %d", term, journal.PromisedBy(err))
		}
	}
	if now := state(t, h.Journal); !same(now, before) {
		t.Errorf("refused claims changed %+v to %+v", before, now)
	}
}

// calls are all that are made under a promise.
func calls(t *testing.T, j journal.Journal, p journal.Promise) map[string]error {
	ctx := t.Context()
	_, confirm := j.Confirm(ctx, p)
	_, records := j.Records(ctx, p, journal.Key{}, 10)
	_, events := j.Events(ctx, p, 0, 10)
	_, write := j.Write(ctx, p, journal.Batch{
		Records: []journal.Record{record(9, 9, "x")}, Events: []journal.Event{{Position: 9}}, Base: 9,
	})
	_, enrol := j.Enrol(ctx, p, journal.Roster{N: 99, Peers: []journal.Peer{{Name: "z", Incarnation: "Z"}}}, true)
	_, reset := j.Reset(ctx, p)
	return map[string]error{
		"Confirm": confirm, "Records": records, "Events": events, "Write": write, "Enrol": enrol, "Reset": reset,
	}
}

func refused(t *testing.T, j journal.Journal, p journal.Promise, want license.Code, promised uint64) {
	t.Helper()
	before := state(t, j)
	for name, err := range calls(t, j, p) {
		coded(t, fmt.Sprintf("%s under %v", name, p), err, want)
		if got := journal.PromisedBy(err); got != promised {
			t.Errorf("%s under %v: promised by the refusal: %d", name, p, got)
		}
	}
	if now := state(t, j); !same(now, before) {
		t.Errorf("refused calls changed %+v to %+v", before, now)
	}
}

func callsFenced(t *testing.T, h Harness) {
	old := claim(t, h.Journal, 7)
	write(t, h.Journal, old, journal.Batch{Records: []journal.Record{record(1, 1, "a")}})
	p := claim(t, h.Journal, 8)
	refused(t, h.Journal, old, license.CodeFenced, 8)
	other := p
	other.Owner = "stranger"
	refused(t, h.Journal, other, license.CodeFenced, 8)
	records, _ := all(t, h.Journal, p, 10)
	if !sameRecords(records, []journal.Record{{Key: key(1), Epoch: 7, N: 1, Holder: []byte("a")}}) {
		t.Errorf("records %v", records)
	}
}

func callsUnpromised(t *testing.T, h Harness) {
	p := journal.Promise{Term: journal.Term{Epoch: 7, Owner: "a"}, Incarnation: state(t, h.Journal).Incarnation}
	refused(t, h.Journal, p, license.CodeConflict, 0)
	p = claim(t, h.Journal, 7)
	higher := p
	higher.Epoch++
	refused(t, h.Journal, higher, license.CodeConflict, 0)
	lost := p
	lost.Incarnation = "another"
	refused(t, h.Journal, lost, license.CodeConflict, 0)
}

func confirms(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	for range 3 {
		pulse, err := h.Journal.Confirm(t.Context(), p)
		ok(t, "Confirm", err)
		if s := state(t, h.Journal); pulse.Version != s.Version || s.Version != 1 {
			t.Fatalf("pulse %+v, state %+v", pulse, s)
		}
	}
	pulse := write(t, h.Journal, p, journal.Batch{})
	if again, err := h.Journal.Confirm(t.Context(), p); err != nil || again != pulse || pulse.Version != 2 {
		t.Errorf("after a write: %+v, %v; the write gave %+v", again, err, pulse)
	}
}

func seats(t *testing.T, h Harness) {
	r, err := h.Journal.Seat(t.Context(), key(3))
	if err != nil || r.N != 0 || r.Epoch != 0 || len(r.Holder) != 0 || r.Key != key(3) {
		t.Errorf("a seat that never had a record: %+v, %v", r, err)
	}
	p := claim(t, h.Journal, 7)
	write(t, h.Journal, p, journal.Batch{Records: []journal.Record{record(3, 4, "ada")}})
	claim(t, h.Journal, 8)
	r, err = h.Journal.Seat(t.Context(), key(3))
	if err != nil || r.Epoch != 7 || r.N != 4 || string(r.Holder) != "ada" || r.Key != key(3) {
		t.Errorf("the seat has %+v, %v", r, err)
	}
	other := key(3)
	other.Product.Code++
	if r, err := h.Journal.Seat(t.Context(), other); err != nil || r.N != 0 {
		t.Errorf("another product's seat has %+v, %v", r, err)
	}
	_, err = h.Journal.Seat(t.Context(), journal.Key{})
	coded(t, "no seat", err, license.CodeInvalidInput)
}

func restarts(t *testing.T, h Harness) {
	if h.Restart == nil {
		t.Skip("this journal has no disk")
	}
	p := claim(t, h.Journal, 7)
	for seat := range uint32(50) {
		write(t, h.Journal, p, journal.Batch{
			Records: []journal.Record{record(seat+1, uint64(seat)+1, "holder")},
			Events:  []journal.Event{{Position: uint64(seat) + 1, Data: []byte("event")}}, Base: 7,
		})
	}
	_, err := h.Journal.Enrol(t.Context(), p, journal.Roster{N: 1, Peers: []journal.Peer{{Name: "a", Incarnation: "A"}}}, true)
	ok(t, "Enrol", err)
	write(t, h.Journal, p, journal.Batch{Marks: []journal.Mark{{Incarnation: "A", Version: 4}}, Trim: 20})
	before := state(t, h.Journal)
	records, events := all(t, h.Journal, p, 7)
	j := h.Restart()
	if now := state(t, j); !same(now, before) {
		t.Errorf("the state is %+v, was %+v", now, before)
	}
	again, more := all(t, j, p, 9)
	if !sameRecords(again, records) || !sameEvents(more, events) || len(records) != 50 || len(events) != 30 {
		t.Errorf("%d records and %d events, were %d and %d", len(again), len(more), len(records), len(events))
	}
	if pulse := write(t, j, p, journal.Batch{}); pulse.Version != before.Version+1 {
		t.Errorf("version %d after %d", pulse.Version, before.Version)
	}
}
