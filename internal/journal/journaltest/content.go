package journaltest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
)

func recordPages(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	products := []license.Product{
		{Firm: 9, Code: 4}, {Firm: 10, Code: 4}, {Firm: 10, Code: 11}, {Firm: 600010, Code: 2}, {Firm: math.MaxUint32, Code: math.MaxUint32},
	}
	var want []journal.Record
	for _, product := range products {
		for _, seat := range []uint32{1, 2, 9, 10, 255, 256, 70000, math.MaxUint32} {
			want = append(want, journal.Record{Key: journal.Key{Product: product, Seat: seat}, N: 1, Holder: []byte("x")})
		}
	}
	for i := range want { // in another order
		r := want[(i*7)%len(want)]
		write(t, h.Journal, p, journal.Batch{Records: []journal.Record{r}})
	}
	for i := range want {
		want[i].Epoch = 7
	}
	for _, page := range []int{1, 3, len(want), len(want) + 1} {
		if got, _ := all(t, h.Journal, p, page); !sameRecords(got, want) {
			t.Errorf("by pages of %d: %v, want %v", page, got, want)
		}
	}
	rest, err := h.Journal.Records(t.Context(), p, journal.Key{Product: products[1], Seat: 11}, 2)
	if err != nil || !sameRecords(rest, want[12:14]) {
		t.Errorf("after a key that is not there: %v, %v", rest, err)
	}
	if none, err := h.Journal.Records(t.Context(), p, want[len(want)-1].Key, 10); err != nil || len(none) != 0 {
		t.Errorf("after the last: %v, %v", none, err)
	}
	var many journal.Batch
	for i := range journal.MostPage {
		many.Records = append(many.Records, record(uint32(i)+1, 1, "y"))
		many.Events = append(many.Events, journal.Event{Position: uint64(i) + 1})
	}
	write(t, h.Journal, p, many)
	write(t, h.Journal, p, journal.Batch{Events: []journal.Event{{Position: math.MaxInt64}}})
	some, err := h.Journal.Records(t.Context(), p, journal.Key{}, math.MaxInt)
	if err != nil || len(some) != journal.MostPage {
		t.Errorf("%d records on a page, %v", len(some), err)
	}
	few, err := h.Journal.Events(t.Context(), p, 0, math.MaxInt)
	if err != nil || len(few) != journal.MostPage {
		t.Errorf("%d events on a page, %v", len(few), err)
	}
}

func pageBytes(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	full := bytes.Repeat([]byte{'x'}, journal.MostHolder)
	const perBatch = journal.MostBatchBytes / journal.MostHolder
	for i := range 3 {
		var records, events journal.Batch
		for k := range perBatch {
			seat := uint32(i*perBatch + k + 1)
			records.Records = append(records.Records, journal.Record{Key: key(seat), N: 1, Holder: full})
			events.Events = append(events.Events, journal.Event{Position: uint64(seat), Data: full})
		}
		write(t, h.Journal, p, records)
		write(t, h.Journal, p, events)
	}
	page, err := h.Journal.Records(t.Context(), p, journal.Key{}, journal.MostPage)
	if err != nil || len(page) != journal.MostPageBytes/journal.MostHolder {
		t.Errorf("%d full records on a page, %v", len(page), err)
	}
	events, err := h.Journal.Events(t.Context(), p, 0, journal.MostPage)
	if err != nil || len(events) != journal.MostPageBytes/journal.MostEventData {
		t.Errorf("%d full events on a page, %v", len(events), err)
	}
	records, events := all(t, h.Journal, p, journal.MostPage)
	if len(records) != 3*perBatch || len(events) != 3*perBatch {
		t.Errorf("%d records and %d events, want %d of each", len(records), len(events), 3*perBatch)
	}
}

func replaces(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	step := func(n uint64, holder string) {
		t.Helper()
		write(t, h.Journal, p, journal.Batch{Records: []journal.Record{record(1, n, holder)}})
		r, err := h.Journal.Seat(t.Context(), key(1))
		if err != nil || r.N != n || string(r.Holder) != holder || r.Epoch != p.Epoch {
			t.Fatalf("the seat has %+v, %v; want n %d of %q", r, err, n, holder)
		}
	}
	step(5, "ada")
	step(5, "ada") // the same again
	step(9, "bob")
	step(10, "")
	p = claim(t, h.Journal, 8)
	step(3, "eve") // the epoch goes first
	step(10, "")
	p = claim(t, h.Journal, 10)
	step(2, "mia")
}

func refusesLower(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	write(t, h.Journal, p, journal.Batch{Records: []journal.Record{record(2, 10, "ada")}, Events: []journal.Event{{Position: 5}}})
	before := state(t, h.Journal)
	for name, r := range map[string]journal.Record{
		"a lower n": record(2, 9, "ada"), "another holder": record(2, 10, "bob"), "no holder": record(2, 10, ""),
	} {
		_, err := h.Journal.Write(t.Context(), p, journal.Batch{
			Records: []journal.Record{record(1, 1, "eve"), r, record(3, 1, "eve")},
			Events:  []journal.Event{{Position: 6}}, Drop: []uint64{5}, Trim: 9, Base: 7,
		})
		coded(t, name, err, license.CodeConflict)
	}
	if now := state(t, h.Journal); !same(now, before) {
		t.Errorf("refused writes changed %+v to %+v", before, now)
	}
	records, events := all(t, h.Journal, p, 10)
	if len(records) != 1 || len(events) != 1 || events[0].Position != 5 {
		t.Errorf("records %v, events %v", records, events)
	}
	// Also under a later term: what has the higher epoch here stays.
	p = claim(t, h.Journal, 8)
	write(t, h.Journal, p, journal.Batch{Records: []journal.Record{record(2, 1, "bob")}})
	_, err := h.Journal.Write(t.Context(), p, journal.Batch{Records: []journal.Record{record(2, 1, "eve")}})
	coded(t, "another holder of a later term", err, license.CodeConflict)
}

func events(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	put := func(b journal.Batch, want ...string) {
		t.Helper()
		write(t, h.Journal, p, b)
		_, events := all(t, h.Journal, p, 3)
		var got []string
		for _, e := range events {
			got = append(got, fmt.Sprintf("%d:%d:%s", e.Position, e.Epoch, e.Data))
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("events %v, want %v", got, want)
		}
	}
	e := func(position uint64, data string) journal.Event {
		return journal.Event{Position: position, Data: []byte(data), Epoch: 99}
	}
	put(journal.Batch{Events: []journal.Event{e(100, "c"), e(9, "a"), e(10, "b")}}, "9:7:a", "10:7:b", "100:7:c")
	p = claim(t, h.Journal, 8)
	put(journal.Batch{Events: []journal.Event{e(10, "B")}}, "9:7:a", "10:8:B", "100:7:c")
	put(journal.Batch{Drop: []uint64{9, 11, 0, math.MaxUint64}}, "10:8:B", "100:7:c")
	put(journal.Batch{Drop: []uint64{100}, Trim: 50, Events: []journal.Event{e(20, "d"), e(100, "C")}}, "20:8:d", "100:8:C")
	put(journal.Batch{Trim: 20}, "100:8:C")
	put(journal.Batch{Trim: math.MaxInt64})
	rest, err := h.Journal.Events(t.Context(), p, math.MaxUint64, 5)
	if err != nil || len(rest) != 0 {
		t.Errorf("after the highest position: %v, %v", rest, err)
	}
}

func bases(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	for _, c := range []struct{ write, want uint64 }{{3, 3}, {0, 3}, {2, 3}, {7, 7}, {math.MaxInt64, math.MaxInt64}} {
		write(t, h.Journal, p, journal.Batch{Base: c.write})
		if s := state(t, h.Journal); s.Base != c.want {
			t.Errorf("after %d the base is %d, want %d", c.write, s.Base, c.want)
		}
	}
}

func marks(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	mark := func(want string, all ...journal.Mark) {
		t.Helper()
		write(t, h.Journal, p, journal.Batch{Marks: all})
		if got := fmt.Sprint(state(t, h.Journal).Marks); got != want {
			t.Errorf("marks %v after %v, want %v", got, all, want)
		}
	}
	mark("[]", journal.Mark{Incarnation: "A", Version: 3})
	enrol := func(n uint64, peers ...journal.Peer) {
		t.Helper()
		_, err := h.Journal.Enrol(t.Context(), p, journal.Roster{N: n, Peers: peers}, false)
		ok(t, "Enrol", err)
	}
	a, b := journal.Peer{Name: "a", Incarnation: "A"}, journal.Peer{Name: "b", Incarnation: "B"}
	enrol(1, a, b)
	mark("[{A 3}]", journal.Mark{Incarnation: "A", Version: 3}, journal.Mark{Incarnation: "C", Version: 9})
	mark("[{A 3} {B 5}]", journal.Mark{Incarnation: "A", Version: 2}, journal.Mark{Incarnation: "B", Version: 5})
	mark("[{A 4} {B 5}]", journal.Mark{Incarnation: "A", Version: 4})
	enrol(2, journal.Peer{Name: "a", Incarnation: "A2"}, b)
	mark("[{B 5}]")
	mark(fmt.Sprintf("[{A2 1} {B %d}]", int64(math.MaxInt64)),
		journal.Mark{Incarnation: "A2", Version: 1}, journal.Mark{Incarnation: "B", Version: math.MaxInt64})
}

func enrols(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	peers := func(incarnation string) []journal.Peer { return []journal.Peer{{Name: "a", Incarnation: incarnation}} }
	enrol := func(n uint64, incarnation string, vote bool, want license.Code) {
		t.Helper()
		before := state(t, h.Journal)
		pulse, err := h.Journal.Enrol(t.Context(), p, journal.Roster{Epoch: 99, N: n, Peers: peers(incarnation), Grace: n%2 == 0}, vote)
		coded(t, "Enrol", err, want)
		s := state(t, h.Journal)
		if err != nil {
			if !same(s, before) {
				t.Errorf("a refused roster changed %+v to %+v", before, s)
			}
			return
		}
		if s.Roster.Epoch != p.Epoch || s.Roster.N != n || s.Roster.Grace != (n%2 == 0) || s.Roster.Of("a") != incarnation ||
			s.Voting != (before.Voting || vote) || pulse.Version != s.Version {
			t.Errorf("enrolled as %+v, %+v", s, pulse)
		}
	}
	enrol(4, "A", false, "")
	v := state(t, h.Journal).Version
	enrol(4, "A", false, "")
	if now := state(t, h.Journal).Version; now != v {
		t.Errorf("the same again counted as a change")
	}
	enrol(3, "A", true, license.CodeConflict)
	enrol(4, "B", true, license.CodeConflict)
	enrol(4, "A", true, "") // the same, and it votes from now on
	enrol(4, "A", false, "")
	enrol(10, "B", false, "")
	p = claim(t, h.Journal, 8)
	enrol(1, "C", false, "")
}

func resets(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	write(t, h.Journal, p, journal.Batch{Records: []journal.Record{record(1, 1, "a")}, Events: []journal.Event{{Position: 1}}, Base: 7})
	_, err := h.Journal.Enrol(t.Context(), p, journal.Roster{N: 1, Peers: []journal.Peer{{Name: "a", Incarnation: "A"}}}, true)
	ok(t, "Enrol", err)
	s, err := h.Journal.Reset(t.Context(), p)
	ok(t, "Reset", err)
	if s.Incarnation == p.Incarnation || s.Incarnation == "" || s.Version != 1 || s.Voting || s.Promised != p.Term ||
		s.Base != 0 || len(s.Roster.Peers) != 0 || s.Roster.N != 0 || len(s.Marks) != 0 {
		t.Errorf("a reset journal says %+v", s)
	}
	if now := state(t, h.Journal); !same(now, s) {
		t.Errorf("the answer was %+v, the state is %+v", s, now)
	}
	refused(t, h.Journal, p, license.CodeConflict, 0)
	p.Incarnation = s.Incarnation
	records, events := all(t, h.Journal, p, 10)
	if len(records)+len(events) != 0 {
		t.Errorf("a reset journal has %v and %v", records, events)
	}
	_, err = h.Journal.Claim(t.Context(), journal.Term{Epoch: 6, Owner: "b"})
	coded(t, "an older claim", err, license.CodeFenced)
	write(t, h.Journal, p, journal.Batch{Records: []journal.Record{record(1, 1, "b")}})
}

func highest(t *testing.T, h Harness) {
	p := claim(t, h.Journal, journal.MostEpoch-1)
	_, err := h.Journal.Claim(t.Context(), journal.Term{Epoch: journal.MostEpoch - 2, Owner: "b"})
	coded(t, "one lower", err, license.CodeFenced)
	if journal.PromisedBy(err) != journal.MostEpoch-1 {
		t.Errorf("promised %d", journal.PromisedBy(err))
	}
	write(t, h.Journal, p, journal.Batch{
		Records: []journal.Record{record(1, journal.MostEpoch-1, "a")}, Events: []journal.Event{{Position: journal.MostEpoch - 1}},
	})
	_, err = h.Journal.Write(t.Context(), p, journal.Batch{Records: []journal.Record{record(1, journal.MostEpoch-2, "a")}})
	coded(t, "n one lower", err, license.CodeConflict)
	p = claim(t, h.Journal, journal.MostEpoch)
	write(t, h.Journal, p, journal.Batch{
		Records: []journal.Record{record(1, journal.MostEpoch, "b")}, Events: []journal.Event{{Position: journal.MostEpoch}},
	})
	records, events := all(t, h.Journal, p, 1)
	if len(records) != 1 || records[0].N != journal.MostEpoch || records[0].Epoch != journal.MostEpoch {
		t.Errorf("records %v", records)
	}
	if len(events) != 2 || events[0].Position != journal.MostEpoch-1 || events[0].Epoch != journal.MostEpoch-1 || events[1].Position != journal.MostEpoch {
		t.Errorf("events %v", events)
	}
}

func bounds(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	before := state(t, h.Journal)
	for name, b := range map[string]journal.Batch{
		"no seat":         {Records: []journal.Record{record(0, 1, "")}},
		"no n":            {Records: []journal.Record{record(1, 0, "")}},
		"a seat twice":    {Records: []journal.Record{record(1, 1, ""), record(1, 2, "")}},
		"a long holder":   {Records: []journal.Record{record(1, 1, strings.Repeat("x", journal.MostHolder+1))}},
		"many records":    {Records: make([]journal.Record, journal.MostBatch+1)},
		"many events":     {Events: make([]journal.Event, journal.MostBatch+1)},
		"many drops":      {Drop: make([]uint64, journal.MostBatch+1)},
		"a long event":    {Events: []journal.Event{{Position: 1, Data: make([]byte, journal.MostEventData+1)}}},
		"no position":     {Events: []journal.Event{{}}},
		"a position high": {Events: []journal.Event{{Position: journal.MostEpoch + 1}}},
		"a mark's name":   {Marks: []journal.Mark{{Version: 1}}},
	} {
		_, err := h.Journal.Write(t.Context(), p, b)
		coded(t, name, err, license.CodeInvalidInput)
	}
	for name, r := range map[string]journal.Roster{
		"nobody":   {N: 1},
		"no n":     {Peers: []journal.Peer{{Name: "a", Incarnation: "A"}}},
		"unsorted": {N: 1, Peers: []journal.Peer{{Name: "b", Incarnation: "B"}, {Name: "a", Incarnation: "A"}}},
	} {
		_, err := h.Journal.Enrol(t.Context(), p, r, true)
		coded(t, name, err, license.CodeInvalidInput)
	}
	for _, term := range []journal.Term{{Owner: "a"}, {Epoch: 9}, {Epoch: journal.MostEpoch + 1, Owner: "a"}, {Epoch: 9, Owner: "a\nb"}} {
		_, err := h.Journal.Claim(t.Context(), term)
		coded(t, fmt.Sprint(term), err, license.CodeInvalidInput)
	}
	if now := state(t, h.Journal); !same(now, before) {
		t.Errorf("refused calls changed %+v to %+v", before, now)
	}
}

func anyBytes(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for i, data := range [][]byte{nil, {}, {0}, []byte("\r\n"), every, bytes.Repeat(every, 16), []byte("ü\xff")} {
		b := journal.Batch{
			Records: []journal.Record{{Key: key(uint32(i) + 1), N: 1, Holder: data}},
			Events:  []journal.Event{{Position: uint64(i) + 1, Data: data}},
		}
		write(t, h.Journal, p, b)
		write(t, h.Journal, p, b)
		r, err := h.Journal.Seat(t.Context(), key(uint32(i)+1))
		if err != nil || !bytes.Equal(r.Holder, data) {
			t.Errorf("%q came back as %q, %v", data, r.Holder, err)
		}
		e, err := h.Journal.Events(t.Context(), p, uint64(i), 1)
		if err != nil || len(e) != 1 || !bytes.Equal(e[0].Data, data) {
			t.Errorf("%q came back as %v, %v", data, e, err)
		}
	}
}

func unshared(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	holder, data := []byte("holder"), []byte("data")
	peers := []journal.Peer{{Name: "a", Incarnation: "A"}}
	_, err := h.Journal.Enrol(t.Context(), p, journal.Roster{N: 1, Peers: peers}, true)
	ok(t, "Enrol", err)
	write(t, h.Journal, p, journal.Batch{
		Records: []journal.Record{{Key: key(1), N: 1, Holder: holder}}, Events: []journal.Event{{Position: 1, Data: data}},
		Marks: []journal.Mark{{Incarnation: "A", Version: 1}},
	})
	for range 2 {
		holder[0], data[0], peers[0].Name = 'X', 'X', "X"
		r, err := h.Journal.Seat(t.Context(), key(1))
		ok(t, "Seat", err)
		records, events := all(t, h.Journal, p, 10)
		s := state(t, h.Journal)
		if string(r.Holder) != "holder" || string(records[0].Holder) != "holder" || string(events[0].Data) != "data" ||
			s.Roster.Peers[0].Name != "a" || s.Marks[0].Version != 1 {
			t.Fatalf("%q, %q, %q, %+v", r.Holder, records[0].Holder, events[0].Data, s)
		}
		holder, data, peers = records[0].Holder, events[0].Data, s.Roster.Peers
		r.Holder[1], s.Marks[0].Version = 'X', 9
	}
}

func cancelled(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Journal.Write(ctx, p, journal.Batch{Records: []journal.Record{record(1, 1, "a")}})
	coded(t, "Write", err, license.CodeUnavailable)
	_, err = h.Journal.Confirm(ctx, p)
	coded(t, "Confirm", err, license.CodeUnavailable)
	_, err = h.Journal.Claim(ctx, journal.Term{Epoch: 9, Owner: "a"})
	coded(t, "Claim", err, license.CodeUnavailable)
	_, err = h.Journal.State(ctx)
	coded(t, "State", err, license.CodeUnavailable)
}

func concurrent(t *testing.T, h Harness) {
	p := claim(t, h.Journal, 7)
	const many = 24
	var mu sync.Mutex
	versions := map[uint64]int{}
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			pulse, err := h.Journal.Write(t.Context(), p, journal.Batch{
				Records: []journal.Record{record(uint32(i)+1, 1, "a"), record(1000, uint64(i)+1, "x")},
				Events:  []journal.Event{{Position: uint64(i) + 1}},
			})
			if license.CodeOf(err) == license.CodeConflict {
				return // another was faster with a higher n
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("Write: %v", err)
			}
			versions[pulse.Version]++
		})
		wg.Go(func() {
			if _, err := h.Journal.Records(t.Context(), p, journal.Key{}, 10); err != nil {
				t.Errorf("Records: %v", err)
			}
		})
	}
	wg.Wait()
	for v, n := range versions {
		if n != 1 || v < 2 || v > uint64(len(versions))+1 {
			t.Errorf("version %d came %d times, of %d", v, n, len(versions))
		}
	}
	records, events := all(t, h.Journal, p, 10)
	if len(records) != len(versions)+1 || len(events) != len(versions) {
		t.Errorf("%d records and %d events of %d writes", len(records), len(events), len(versions))
	}
}
