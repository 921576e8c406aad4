package quorumlease

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

var (
	aGroup   = license.Serial{Mask: 131, Number: 4837572}
	aProduct = license.Product{Firm: 6000010, Code: 14}
)

// longest is a client with the longest names that a request may have.
func longest() (tags []string, station string, c lease.Client) {
	for range lease.MostTags {
		tags = append(tags, strings.Repeat("t", lease.MostTag))
	}
	long := strings.Repeat("x", lease.MostText)
	return tags, long, lease.Client{Address: long, User: long, Application: long, Process: 1<<32 - 1}
}

func records() []book.Record {
	tags, station, client := longest()
	id := strings.Repeat("i", lease.MostID)
	return []book.Record{
		{Product: aProduct, Seat: 1, N: 7},
		{Product: aProduct, Seat: 2, N: 1<<60 - 1, Handle: &book.HandleRecord{
			ID: id, N: 1<<60 - 1, Mode: license.NoUserLimit, Station: station, Client: client, Licenses: 1<<32 - 1, Tags: tags, Borrowed: true,
			Lease: lease.MostLease, Accesses: 1<<32 - 1, First: time.Unix(1<<33, 123456789).UTC(),
		}},
		{Product: aProduct, Seat: 3, N: 2, Linger: &book.LingerRecord{
			ID: "a", N: 1, Mode: license.StationShare, Station: station, Client: client, Licenses: 1, Linger: lease.MostLinger,
		}},
	}
}

func TestRecordsComeBack(t *testing.T) {
	for _, want := range records() {
		r := recordOf(want)
		if len(r.Holder) > journal.MostHolder || r.N > journal.MostEpoch {
			t.Errorf("the record of seat %d has %d bytes", want.Seat, len(r.Holder))
		}
		got, seat, _, err := parseRecord(r)
		if err != nil || !seat || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
		for cut := 1; cut < len(r.Holder); cut++ {
			short := r
			short.Holder = r.Holder[:cut]
			if _, _, _, err := parseRecord(short); err == nil {
				t.Fatalf("cut off after %d of %d bytes it is still read", cut, len(r.Holder))
			}
		}
	}
	if _, seat, seq, err := parseRecord(counterRecord(6000010, 99)); seat || seq != 99 || err != nil {
		t.Errorf("the counter came back as %d, %v", seq, err)
	}
}

// A grant, its linger, its end and the next grant follow each other.
func TestRecordsRise(t *testing.T) {
	h, l := records()[1], records()[2]
	h.N, l.N = 5, 5
	var before uint64 = journal.LeastN
	for _, r := range []book.Record{h, l, {Product: aProduct, Seat: 1, N: 5}, {Product: aProduct, Seat: 1, N: 6, Handle: h.Handle}} {
		if n := recordOf(r).N; n <= before {
			t.Errorf("n %d after %d", n, before)
		} else {
			before = n
		}
	}
}

func TestEventsComeBack(t *testing.T) {
	_, station, client := longest()
	for _, want := range []lease.Event{
		{Position: 9, Kind: lease.Removed, At: time.Unix(1<<33, 1).UTC(), Handle: strings.Repeat("i", lease.MostID),
			Pool: lease.Pool{Container: aGroup, Product: aProduct}, Mode: license.NoUserLimit, Station: station, Client: client,
			Seat: 1<<32 - 1, N: 1<<64 - 1, Reason: license.CodeLimitReached, By: station, Licenses: 1<<32 - 1, Borrowed: true,
			Rule: strings.Repeat("r", lease.MostTag), Seq: 1<<64 - 1},
		{Position: 10, Kind: lease.Denied, At: time.Unix(0, 0).UTC(), Pool: lease.Pool{Container: aGroup, Product: aProduct}},
	} {
		e := eventOf(want)
		if len(e.Data) > journal.MostEventData {
			t.Errorf("the event has %d bytes", len(e.Data))
		}
		if got, err := parseEvent(e, aGroup); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
	}
}

// FuzzRead reads whatever a journal may give for a record or an event.
func FuzzRead(f *testing.F) {
	for _, r := range records() {
		f.Add(recordOf(r).N, recordOf(r).Holder)
	}
	f.Add(uint64(8), eventOf(lease.Event{Kind: lease.Granted, Handle: "a", At: time.Unix(1, 0)}).Data)
	f.Fuzz(func(t *testing.T, n uint64, data []byte) {
		key := journal.Key{Product: aProduct, Seat: 1}
		if rec, seat, _, err := parseRecord(journal.Record{Key: key, N: n % journal.MostEpoch, Holder: data}); err == nil && seat {
			again, _, _, err := parseRecord(recordOf(rec))
			if err != nil || !reflect.DeepEqual(again, rec) {
				t.Errorf("%+v became %+v, %v", rec, again, err)
			}
			_ = book.New(aGroup, book.Options{}).Load(rec)
		}
		if e, err := parseEvent(journal.Event{Position: 1, Data: data}, aGroup); err == nil {
			if again, err := parseEvent(eventOf(e), aGroup); err != nil || !reflect.DeepEqual(again, e) {
				t.Errorf("%+v became %+v, %v", e, again, err)
			}
		}
	})
}
