package book_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

var (
	group = license.Serial{Mask: 131, Number: 7}
	pool  = lease.Pool{Container: group, Product: license.Product{Firm: 6000010, Code: 14}}
	start = time.Unix(1_700_000_000, 0)
)

func request(id string, quantity uint32) lease.Request {
	return lease.Request{
		ID: id, Pool: pool, Mode: license.UserLimit, Station: "station-" + id, Client: lease.Client{User: "ada"},
		Quantity: quantity, Lease: time.Hour,
	}
}

func ref(r lease.Request, g lease.Grant) lease.Ref {
	return lease.Ref{
		Pool: g.Pool, Handle: g.Handle, Seat: g.Seat, Epoch: g.Epoch, N: g.N, Mode: g.Mode, Station: r.Station,
		Client: r.Client, Lease: g.Lease, Licenses: r.Licenses, Tags: r.Limits.Tags, Borrowed: r.Borrowed,
	}
}

func access(t *testing.T, b *book.Book, now time.Time, r lease.Request) lease.Ref {
	t.Helper()
	g, err := b.Access(now, r)
	if err != nil {
		t.Fatalf("Access: %v", err)
	}
	return ref(r, g)
}

func claimed() *book.Book {
	b := book.New(group, book.Options{})
	b.Claim(3, start)
	return b
}

// filled is a book with what another has, as a driver reads it from its store.
func filled(t *testing.T, records []book.Record, events []lease.Event, o book.Options) *book.Book {
	t.Helper()
	b := book.New(group, o)
	for _, r := range records {
		if err := b.Load(r); err != nil {
			t.Fatalf("Load: %v", err)
		}
	}
	for _, e := range events {
		b.LoadEvent(e)
	}
	return b
}

func sorted(b *book.Book) []book.Record {
	return slices.SortedFunc(b.Records(), func(x, y book.Record) int { return int(x.Seat) - int(y.Seat) })
}

// TestEffects: what Drain gives, in its order, is all that a new book needs to go
// on.
func TestEffects(t *testing.T) {
	b := claimed()
	durable := map[uint32]book.Record{}
	var events []lease.Event
	drain := func() {
		t.Helper()
		e := b.Drain()
		for _, r := range e.Records {
			if last, ok := durable[r.Seat]; ok && r.N < last.N {
				t.Fatalf("the record %+v follows %+v", r, last)
			}
			durable[r.Seat] = r
		}
		events = append(events, e.Events...)
		if !b.Drain().Empty() {
			t.Fatal("drained twice")
		}
	}
	share := request("share", 9)
	share.Mode, share.Station, share.Licenses, share.Limits.Tags = license.StationShare, "s", 3, []string{"team"}
	lent := request("lent", 9)
	lent.Borrowed = true
	toks := map[string]lease.Ref{}
	for _, r := range []lease.Request{request("gone", 9), share, request("left", 9), lent, request("late", 9)} {
		toks[r.ID] = access(t, b, start, r)
	}
	left := toks["left"]
	left.Linger = time.Minute
	for _, tok := range []lease.Ref{toks["gone"], left} {
		if err := b.Release(start, tok); err != nil {
			t.Fatal(err)
		}
	}
	drain()
	toks["next"] = access(t, b, start, request("next", 9))
	if _, err := b.Renew(start.Add(50*time.Minute), toks["next"]); err != nil {
		t.Fatal(err)
	}
	drain()
	var records []book.Record
	for _, r := range durable {
		records = append(records, r)
	}
	again := filled(t, records, events, book.Options{})
	if got, want := fmt.Sprintf("%+v", sorted(again)), fmt.Sprintf("%+v", sorted(b)); len(sorted(b)) != 5 || got == "" || len(sorted(again)) != len(sorted(b)) {
		t.Fatalf("the new book has %s, the old one %s", got, want)
	}
	for _, want := range sorted(b) {
		got, ok := again.Record(want.Product, want.Seat)
		if !ok || got.N != want.N || (got.Handle == nil) != (want.Handle == nil) || (got.Linger == nil) != (want.Linger == nil) ||
			got.Handle != nil && fmt.Sprint(*got.Handle) != fmt.Sprint(*want.Handle) ||
			got.Linger != nil && fmt.Sprint(*got.Linger) != fmt.Sprint(*want.Linger) {
			t.Errorf("seat %d: %+v, want %+v", want.Seat, got, want)
		}
	}
	now := start.Add(24 * time.Hour)
	again.Claim(8, now)
	for _, id := range []string{"share", "lent", "late", "next"} {
		if _, err := again.Renew(now.Add(lease.AfterClaim(time.Hour)-1), toks[id]); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if u, err := again.Usage(now, pool); err != nil || u.Taken != 7 || u.Borrowed != 1 || u.ByTag["team"] != 3 {
		t.Fatalf("usage %+v, %v", u, err)
	}
	if _, err := again.Access(now, request("gone", 9)); license.CodeOf(err) != license.CodeHandleUnknown {
		t.Fatalf("an ended handle's id: %v", err)
	}
	access(t, again, now, request("new", 99))
	last := again.Drain().Events
	if e := last[len(last)-1]; e.Seq != uint64(len(events)+len(last)) || e.Position <= events[len(events)-1].Position {
		t.Fatalf("the next event is %+v after %d", e, len(events))
	}
}

// TestContradictions: records that can't be true together are refused.
func TestContradictions(t *testing.T) {
	handle := func(id string, n uint64) *book.HandleRecord {
		return &book.HandleRecord{ID: id, N: n, Mode: license.UserLimit, Lease: time.Hour}
	}
	linger := func(id string, d time.Duration) *book.LingerRecord {
		return &book.LingerRecord{ID: id, N: 1, Mode: license.UserLimit, Linger: d}
	}
	p := pool.Product
	for name, records := range map[string][]book.Record{
		"a handle and a linger":  {{Product: p, Seat: 1, N: 1, Handle: handle("a", 1), Linger: linger("b", 1)}},
		"a seat twice":           {{Product: p, Seat: 1, N: 1}, {Product: p, Seat: 1, N: 2}},
		"an n above the seat's":  {{Product: p, Seat: 1, N: 1, Handle: handle("a", 2)}},
		"a handle twice":         {{Product: p, Seat: 1, N: 1, Handle: handle("a", 1)}, {Product: p, Seat: 2, N: 1, Handle: handle("a", 1)}},
		"living and lingering":   {{Product: p, Seat: 1, N: 1, Handle: handle("a", 1)}, {Product: p, Seat: 2, N: 1, Linger: linger("a", 1)}},
		"no seat":                {{Product: p, N: 1, Handle: handle("a", 1)}},
		"lingering for no time":  {{Product: p, Seat: 1, N: 1, Linger: linger("a", 0)}},
		"lingering without seat": {{Product: p, N: 1, Linger: linger("a", 1)}},
	} {
		b := book.New(group, book.Options{})
		var err error
		for _, r := range records {
			if err == nil {
				err = b.Load(r)
			}
		}
		if err == nil {
			t.Errorf("%s is taken in", name)
		}
	}
}

// TestInherit: a book that is filled anew after a failed write knows what was
// given up without being durable, and runs the timers on.
func TestInherit(t *testing.T) {
	b := claimed()
	kept, gone := request("kept", 2), request("gone", 2)
	tok := access(t, b, start, kept)
	durable := b.Drain()
	// From here on nothing is durable.
	lost := access(t, b, start.Add(time.Minute), gone)
	if err := b.Ask(start, pool, "kept", lease.Notice{ID: "n"}); err != nil {
		t.Fatal(err)
	}
	later := start.Add(30 * time.Minute)
	if _, err := b.Renew(later, tok); err != nil {
		t.Fatal(err)
	}
	waits := request("waits", 2)
	waits.Wait = &lease.Wait{Until: time.Hour, Place: time.Hour}
	if _, err := b.Access(later, waits); license.CodeOf(err) != license.CodeQueued {
		t.Fatalf("Access: %v", err)
	}
	again := filled(t, durable.Records, durable.Events, book.Options{})
	again.Inherit(b, later)
	if again.Epoch() != 3 || !again.Claimed() || again.Position() < b.Position() {
		t.Fatalf("epoch %d, position %d; were %d, %d", again.Epoch(), again.Position(), b.Epoch(), b.Position())
	}
	if e := again.Drain(); len(e.Records) != 1 || e.Records[0].Seat != lost.Seat || e.Records[0].N != lost.N || e.Records[0].Handle != nil {
		t.Fatalf("to be written: %+v", e)
	}
	if next, any := again.Next(later); !any || next != time.Hour {
		t.Fatalf("Next = %v, %v; want what is left of the lease", next, any)
	}
	g, err := again.Renew(later, tok)
	if err != nil || g.Notice == nil || g.Notice.ID != "n" {
		t.Fatalf("%+v, %v; want the notice", g, err)
	}
	if _, err := again.Check(later, lost); license.CodeOf(err) != license.CodeHandleUnknown {
		t.Fatalf("what was not durable: %v", err)
	}
	if all, err := again.Waiting(later, pool); err != nil || len(all) != 1 {
		t.Fatalf("waiting %+v, %v", all, err)
	}
	if tok := access(t, again, later, waits); tok.Seat != lost.Seat || tok.N != lost.N+1 {
		t.Fatalf("granted %+v, want seat %d with n %d", tok, lost.Seat, lost.N+1)
	}
}

// TestDroppedEventsStayCounted: a firm whose events are all dropped is counted on.
func TestDroppedEventsStayCounted(t *testing.T) {
	b := book.New(group, book.Options{MostEvents: 8})
	b.Claim(1, start)
	ask := func(firm license.FirmCode, id string) {
		r := request(id, 1<<20)
		r.Pool.Product.Firm = firm
		access(t, b, start, r)
	}
	ask(1, "a")
	ask(1, "b")
	counted := map[license.FirmCode]uint64{}
	var kept []lease.Event
	for i := range 40 {
		ask(2, strconv.Itoa(i))
		e := b.Drain()
		kept = append(kept, e.Events...)
		kept = kept[len(e.Dropped):]
		for firm, n := range e.Seqs {
			counted[firm] = n
		}
	}
	if len(kept) < 8 || len(kept) > 9 || len(b.Events(0, b.Position(), 100)) != len(kept) {
		t.Fatalf("%d events are kept", len(kept))
	}
	b = filled(t, nil, kept, book.Options{})
	for firm, n := range counted {
		b.LoadSeq(firm, n)
	}
	b.Claim(2, start)
	for firm, want := range map[license.FirmCode]uint64{1: 3, 2: 41, 3: 1} {
		ask(firm, fmt.Sprint("new ", firm))
		if e := b.Drain().Events; len(e) != 1 || e[0].Seq != want {
			t.Errorf("firm %d: %+v, want %d", firm, e, want)
		}
	}
}

// BenchmarkAccessRelease gives and frees one seat beside others that are held.
func BenchmarkAccessRelease(b *testing.B) {
	for _, mode := range []license.AccessMode{license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit} {
		for _, held := range []int{10, 1_000, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%d", mode, held), func(b *testing.B) {
				k := book.New(group, book.Options{MostEvents: 1000, MostEnded: 1000})
				k.Claim(1, start)
				ask := func(i int) lease.Ref {
					r := request(strconv.Itoa(i), 1<<30)
					r.Mode, r.Limits.Tags, r.Limits.Caps = mode, []string{"team"}, []lease.Cap{{Tag: "team", Most: 1 << 30}}
					g, err := k.Access(start, r)
					if err != nil {
						b.Fatal(err)
					}
					return ref(r, g)
				}
				for i := range held {
					ask(i)
					k.Drain()
				}
				b.ReportAllocs()
				for i := held; b.Loop(); i++ {
					if err := k.Release(start, ask(i)); err != nil {
						b.Fatal(err)
					}
					k.Drain()
				}
			})
		}
	}
}
