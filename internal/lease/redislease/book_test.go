package redislease_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

// TestDecidesAsBook makes random calls of this store and of the book that the
// other drivers decide by: every answer is the same, and so is what they show.
func TestDecidesAsBook(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	s := connect(t, server.Addr, redislease.Options{})
	rounds := 30
	if testing.Short() {
		rounds = 8
	}
	for round := range rounds {
		seed := rand.Uint64()
		p := newPair(t, s, uint64(round)+1, seed)
		for step := range 150 {
			what := p.step()
			p.compare()
			if t.Failed() {
				t.Fatalf("seed %d, step %d: %s", seed, step, what)
			}
		}
		p.events()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type pair struct {
	t        *testing.T
	rand     *rand.Rand
	store    *redislease.Store
	group    license.Serial
	seats    lease.Seats
	book     *book.Book
	quantity uint32
	requests []lease.Request
	refs     []lease.Ref // as granted
	seen     uint64      // events
}

func newPair(t *testing.T, s *redislease.Store, number, seed uint64) *pair {
	t.Helper()
	p := &pair{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), store: s, group: license.Serial{Mask: 140, Number: number}, quantity: 6,
	}
	p.book = book.New(p.group, book.Options{})
	p.claim()
	return p
}

func (p *pair) pool() lease.Pool { return lease.Pool{Container: p.group, Product: pool.Product} }

func (p *pair) claim() {
	p.t.Helper()
	seats, err := p.store.Claim(p.t.Context(), p.group, "test")
	if err != nil {
		p.t.Fatal(err)
	}
	p.seats = seats
	p.book.Claim(seats.Epoch(), time.Now())
}

var tags = []string{"a", "b", "a/b", "quoted \"tag\" ü"}

// request draws a request, of few stations, users and tags.
func (p *pair) request() lease.Request {
	modes := []license.AccessMode{license.UserLimit, license.UserLimit, license.StationShare, license.StationShare, license.Exclusive, license.NoUserLimit}
	r := lease.Request{
		ID: fmt.Sprintf("id-%d", p.rand.IntN(1_000_000)), Pool: p.pool(), Mode: modes[p.rand.IntN(len(modes))],
		Station:  []string{"desk", "hall", "a long name of a station, which is more than forty bytes", "desk/a"}[p.rand.IntN(4)],
		Client:   lease.Client{Address: "192.0.2.7", User: []string{"ada", "bob"}[p.rand.IntN(2)], Application: "chart"},
		Quantity: p.quantity, Lease: time.Hour,
	}
	if p.rand.IntN(3) == 0 {
		r.Licenses = p.rand.Uint32N(4)
	}
	r.Borrowed = p.rand.IntN(6) == 0
	for _, tag := range tags {
		if p.rand.IntN(4) == 0 {
			r.Limits.Tags = append(r.Limits.Tags, tag)
		}
		if p.rand.IntN(6) == 0 {
			r.Limits.Caps = append(r.Limits.Caps, lease.Cap{Tag: tag, Most: p.rand.Uint32N(5)})
		}
		if p.rand.IntN(6) == 0 {
			r.Limits.Holds = append(r.Limits.Holds, lease.Hold{Tag: tag, Least: p.rand.Uint32N(4)})
		}
	}
	if p.rand.IntN(3) == 0 {
		r.Wait = &lease.Wait{Priority: p.rand.Int32N(3) - 1, Until: time.Hour, Place: time.Hour}
		switch p.rand.IntN(8) {
		case 0:
			r.Wait.Place = time.Millisecond
		case 1:
			r.Wait.Until = time.Millisecond
		}
	}
	return r
}

// any draws something that was asked before.
func (p *pair) any() (lease.Request, bool) {
	if len(p.requests) == 0 {
		return lease.Request{}, false
	}
	return p.requests[p.rand.IntN(len(p.requests))], true
}

func (p *pair) ref() (lease.Ref, bool) {
	if len(p.refs) == 0 {
		return lease.Ref{}, false
	}
	return p.refs[p.rand.IntN(len(p.refs))], true
}

// blink lets what lasts a millisecond run out, for both.
func blink() { <-time.After(4 * time.Millisecond) }

func (p *pair) access(r lease.Request) {
	p.t.Helper()
	g, err := p.seats.Access(p.t.Context(), r)
	h, want := p.book.Access(time.Now(), r)
	p.agree(err, want)
	p.granted(g, h)
	if err == nil && !g.Repeated {
		p.refs = append(p.refs, lease.Ref{
			Pool: g.Pool, Handle: g.Handle, Seat: g.Seat, Epoch: g.Epoch, N: g.N, Mode: g.Mode, Station: r.Station, Client: r.Client,
			Lease: g.Lease, Licenses: g.Licenses, Tags: r.Limits.Tags, Borrowed: r.Borrowed,
		})
	}
}

func (p *pair) granted(g, h lease.Grant) {
	p.t.Helper()
	if (g.Notice == nil) != (h.Notice == nil) || g.Notice != nil && *g.Notice != *h.Notice {
		p.t.Errorf("notice %+v, want %+v", g.Notice, h.Notice)
	}
	g.Notice, h.Notice = nil, nil
	if g != h {
		p.t.Errorf("grant %+v, want %+v", g, h)
	}
}

// agree compares errors, but for times.
func (p *pair) agree(got, want error) {
	p.t.Helper()
	if (got == nil) != (want == nil) {
		p.t.Errorf("%v, want %v", got, want)
	}
	if got == nil || want == nil {
		return
	}
	g, w := license.Public(got), license.Public(want)
	next, will := g.Details["nextExpiryMs"], w.Details["nextExpiryMs"]
	if (next == nil) != (will == nil) {
		p.t.Errorf("next in %v, want %v", next, will)
	}
	for _, key := range []string{"nextExpiryMs", "ageMs"} {
		delete(g.Details, key)
		delete(w.Details, key)
	}
	if g.Code != w.Code || g.Message != w.Message || fmt.Sprint(g.Details) != fmt.Sprint(w.Details) {
		p.t.Errorf("%v %v, want %v %v", got, g.Details, want, w.Details)
	}
}

func (p *pair) step() string {
	ctx := p.t.Context()
	switch n := p.rand.IntN(102); {
	case n >= 100:
		r, ok := p.any()
		if !ok || p.rand.IntN(2) == 0 {
			r = p.request()
		}
		denier := p.seats.(lease.Denier)
		p.agree(denier.Deny(ctx, r, license.CodeNotAllowed, "rule 7"), p.book.Deny(time.Now(), r, license.CodeNotAllowed, "rule 7"))
		return fmt.Sprintf("deny %+v", r)
	case n < 40:
		r := p.request()
		p.requests = append(p.requests, r)
		p.access(r)
		if r.Wait != nil && (r.Wait.Place < time.Second || r.Wait.Until < time.Second) {
			blink()
		}
		return fmt.Sprintf("access %+v %+v", r, r.Wait)
	case n < 55: // again, as it was or with other limits
		r, ok := p.any()
		if !ok {
			return "nothing"
		}
		r.Quantity = p.quantity
		switch p.rand.IntN(6) {
		case 0:
			r.Limits = p.request().Limits
		case 1:
			r.Wait = p.request().Wait
		case 2:
			r.Client.Process++
		}
		p.access(r)
		if r.Wait != nil && (r.Wait.Place < time.Second || r.Wait.Until < time.Second) {
			blink()
		}
		return fmt.Sprintf("access again %+v %+v", r, r.Wait)
	case n < 60: // a lease that runs out
		r := p.request()
		r.Lease, r.Wait = time.Millisecond, nil
		p.access(r)
		blink()
		return fmt.Sprintf("lapse %+v", r)
	case n < 75:
		ref, ok := p.ref()
		if !ok {
			return "nothing"
		}
		switch p.rand.IntN(4) {
		case 0:
			ref.Linger = time.Hour
		case 1:
			ref.Linger = time.Millisecond
		}
		p.agree(p.seats.Release(ctx, ref), p.book.Release(time.Now(), ref))
		blink()
		return fmt.Sprintf("release %+v", ref)
	case n < 80:
		ref, ok := p.ref()
		if !ok {
			return "nothing"
		}
		if p.rand.IntN(3) == 0 { // of a handle that was lost
			ref.Handle = fmt.Sprintf("lost-%d", p.rand.IntN(1_000_000))
			ref.Seat, ref.N, ref.Lease = p.rand.Uint32N(8), ref.N+p.rand.Uint64N(4), time.Hour
			p.refs = append(p.refs, ref)
		}
		ref.Idle = time.Duration(p.rand.IntN(3)) * time.Second
		g, err := p.seats.Renew(ctx, ref)
		h, want := p.book.Renew(time.Now(), ref)
		p.agree(err, want)
		p.granted(g, h)
		return fmt.Sprintf("renew %+v", ref)
	case n < 84:
		ref, ok := p.ref()
		if !ok {
			return "nothing"
		}
		_, want := p.book.Check(time.Now(), ref)
		p.agree(p.seats.Check(ctx, ref), want)
		return fmt.Sprintf("check %+v", ref)
	case n < 89:
		ref, ok := p.ref()
		if !ok {
			return "nothing"
		}
		r := lease.Removal{Handle: ref.Handle, By: "grace", MinAge: time.Duration(p.rand.IntN(4)/3) * time.Hour}
		p.agree(p.seats.Remove(ctx, p.pool(), r), p.book.Remove(time.Now(), p.pool(), r))
		return fmt.Sprintf("remove %+v", r)
	case n < 92:
		ref, ok := p.ref()
		if !ok {
			return "nothing"
		}
		notice := lease.Notice{ID: fmt.Sprint(p.rand.IntN(9)), Text: "bitte", By: "grace"}
		p.agree(p.seats.Ask(ctx, p.pool(), ref.Handle, notice), p.book.Ask(time.Now(), p.pool(), ref.Handle, notice))
		return fmt.Sprintf("ask %+v", ref)
	case n < 95:
		r, ok := p.any()
		if !ok {
			return "nothing"
		}
		p.agree(p.seats.Leave(ctx, p.pool(), r.ID), p.book.Leave(p.pool(), r.ID))
		return "leave " + r.ID
	case n < 97:
		p.claim()
		return "claim"
	default:
		p.quantity = p.rand.Uint32N(10)
		return fmt.Sprintf("quantity %d", p.quantity)
	}
}

// compare compares what both show.
func (p *pair) compare() {
	p.t.Helper()
	ctx := p.t.Context()
	u, err := p.seats.Usage(ctx, p.pool())
	want, fault := p.book.Usage(time.Now(), p.pool())
	p.agree(err, fault)
	if fmt.Sprintf("%+v", u) != fmt.Sprintf("%+v", want) {
		p.t.Errorf("usage %+v, want %+v", u, want)
	}
	list, err := p.seats.List(ctx, p.pool())
	all, fault := p.book.List(time.Now(), p.pool())
	book.Arrange(all)
	p.agree(err, fault)
	if got, want := handles(list), handles(all); !slices.Equal(got, want) {
		p.t.Errorf("list %q, want %q", got, want)
	}
	waiting, err := p.seats.Waiting(ctx, p.pool())
	queue, fault := p.book.Waiting(time.Now(), p.pool())
	p.agree(err, fault)
	if got, want := waiters(waiting), waiters(queue); !slices.Equal(got, want) {
		p.t.Errorf("queue %q, want %q", got, want)
	}
}

func handles(all []lease.Handle) (rows []string) {
	for _, h := range all {
		h.FirstAccess, h.LastAccess, h.Remaining = time.Time{}, time.Time{}, 0
		if len(h.Tags) == 0 {
			h.Tags = nil
		}
		rows = append(rows, fmt.Sprintf("%+v", h))
	}
	return rows
}

func waiters(all []lease.Waiter) (rows []string) {
	for _, w := range all {
		w.Since = time.Time{}
		rows = append(rows, fmt.Sprintf("%+v", w))
	}
	return rows
}

// events compares the streams, but for positions and times.
func (p *pair) events() {
	p.t.Helper()
	want := p.book.Events(0, 1<<62, 1<<30)
	var got []lease.Event
	for len(got) < len(want) {
		ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
		more, err := p.store.Events(ctx, p.group, p.seen, 1000)
		cancel()
		if err != nil || len(more) == 0 {
			p.t.Fatalf("%d events, want %d; %v", len(got), len(want), err)
		}
		got, p.seen = append(got, more...), more[len(more)-1].Position
	}
	if len(got) != len(want) {
		p.t.Errorf("%d events, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		g.Position, g.At, w.Position, w.At = 0, time.Time{}, 0, time.Time{}
		if g != w {
			p.t.Errorf("event %d is %+v, want %+v", i, g, w)
		}
	}
}
