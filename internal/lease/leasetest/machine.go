package leasetest

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// machine compares a store with a model: random calls, one after the other,
// each answer as the model has it.
func (d Driver) machine(t *testing.T) {
	d.run(t, "any sequence of calls answers as the model does", func(t *testing.T, h Harness) {
		var groups atomic.Uint64
		blink := 4 * time.Millisecond
		// Hidden: the test's deadline can't be asked for in a bubble.
		tb := struct{ rapid.TB }{t}
		rapid.Check(tb, func(rt *rapid.T) {
			m := &machine{
				store: h.Store, ctx: t.Context(), blink: blink, quantity: 3,
				pool:  lease.Pool{Container: license.Serial{Mask: 130, Number: groups.Add(1)}, Product: product},
				lives: map[string]*modelled{}, n: map[uint32]uint64{},
			}
			m.claim(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"access": m.access, "lapse": m.lapse, "repeat": m.repeat, "renew": m.renew, "check": m.check,
				"release": m.release, "remove": m.remove, "claim": m.claim, "expire": m.expire,
				"quantity": m.change, "lost": m.lost, "": m.agree,
			})
			m.stream(rt)
		})
	})
}

type machine struct {
	store    lease.Store
	ctx      context.Context
	blink    time.Duration
	pool     lease.Pool
	seats    lease.Seats
	quantity uint32
	lives    map[string]*modelled
	ids      []string
	n        map[uint32]uint64
	denied   int
}

type modelled struct {
	request lease.Request
	ref     lease.Ref
	end     lease.EventKind // empty: alive
	lingers bool            // released, its seat not free yet
}

func (m *machine) count() (alive, lingering uint32) {
	for _, l := range m.lives {
		if l.end == "" {
			alive++
		} else if l.lingers {
			lingering++
		}
	}
	return alive, lingering
}

// holder gives the handle that has a seat, living or lingering.
func (m *machine) holder(seat uint32) *modelled {
	for _, l := range m.lives {
		if (l.end == "" || l.lingers) && l.ref.Seat == seat {
			return l
		}
	}
	return nil
}

// own gives the lowest seat that lingers for the client of a request.
func (m *machine) own(r lease.Request) (own *modelled) {
	for _, l := range m.lives {
		if l.lingers && l.request.Holder() == r.Holder() && (own == nil || l.ref.Seat < own.ref.Seat) {
			own = l
		}
	}
	return own
}

// any draws a known handle, alive or ended.
func (m *machine) any(rt *rapid.T) *modelled {
	if len(m.ids) == 0 {
		rt.Skip("no handle yet")
	}
	return m.lives[rapid.SampledFrom(m.ids).Draw(rt, "handle")]
}

func want(rt *rapid.T, what string, err error, code license.Code) {
	rt.Helper()
	if got := license.CodeOf(err); got != code {
		rt.Fatalf("%s: code %q (%v), want %q", what, got, err, code)
	}
}

func code(end lease.EventKind) license.Code {
	switch end {
	case "":
		return ""
	case lease.Expired:
		return license.CodeHandleExpired
	case lease.Removed:
		return license.CodeHandleRemoved
	}
	return license.CodeHandleUnknown
}

func (m *machine) access(rt *rapid.T) { m.ask(rt, long) }

// lapse is an access whose lease then runs out.
func (m *machine) lapse(rt *rapid.T) {
	if l := m.ask(rt, m.blink); l != nil {
		pass(m.blink)
		l.end = lease.Expired
	}
}

func (m *machine) ask(rt *rapid.T, d time.Duration) *modelled {
	r := lasting(by(rapid.SampledFrom([]string{"ada", "bob", "eve"}).Draw(rt, "user"), request(m.quantity)), d)
	r.Pool = m.pool
	r.Client.Process = rapid.Uint32Range(1, 2).Draw(rt, "process")
	own := m.own(r)
	taken, lingering := m.count()
	if own == nil {
		taken += lingering
	}
	g, err := m.seats.Access(m.ctx, r)
	if taken >= m.quantity {
		want(rt, "Access with all taken", err, license.CodeNoFreeSeat)
		m.denied++
		return nil
	}
	want(rt, "Access", err, "")
	fits := g.Seat >= 1 && g.Seat <= m.quantity && m.holder(g.Seat) == nil
	if own != nil {
		fits = g.Seat == own.ref.Seat
		own.lingers = false
	}
	if !fits || g.N != m.n[g.Seat]+1 || g.Repeated {
		rt.Fatalf("grant %+v with quantity %d, last n %d, held by %+v, own %+v", g, m.quantity, m.n[g.Seat], m.holder(g.Seat), own)
	}
	m.n[g.Seat] = g.N
	l := &modelled{request: r, ref: ref(r, g)}
	m.lives[r.ID] = l
	m.ids = append(m.ids, r.ID)
	return l
}

func (m *machine) repeat(rt *rapid.T) {
	l := m.any(rt)
	r := l.request
	if rapid.Bool().Draw(rt, "other content") {
		r.Client.Process++
		_, err := m.seats.Access(m.ctx, r)
		want(rt, "Access with another content", err, license.CodeRequestMismatch)
		return
	}
	g, err := m.seats.Access(m.ctx, r)
	want(rt, "repeat", err, code(l.end))
	if err == nil && (!g.Repeated || g.Seat != l.ref.Seat || g.N != l.ref.N) {
		rt.Fatalf("repeated as %+v, was %+v", g, l.ref)
	}
}

// token draws a token of a handle: mostly right, else with a wrong n.
func (m *machine) token(rt *rapid.T) (*modelled, lease.Ref, license.Code) {
	l := m.any(rt)
	tok := l.ref
	switch rapid.IntRange(0, 7).Draw(rt, "token") {
	case 0:
		tok.N--
		return l, tok, license.CodeHandleUnknown
	case 1:
		tok.Epoch = m.seats.Epoch() + 1
		return l, tok, license.CodeNotLeader
	}
	return l, tok, code(l.end)
}

func (m *machine) renew(rt *rapid.T) {
	l, tok, expect := m.token(rt)
	g, err := m.seats.Renew(m.ctx, tok)
	want(rt, "Renew", err, expect)
	if err == nil {
		if g.Seat != tok.Seat || g.N != tok.N || g.Epoch != m.seats.Epoch() {
			rt.Fatalf("renewed as %+v, was %+v", g, tok)
		}
		l.ref.Epoch = g.Epoch
	}
}

func (m *machine) check(rt *rapid.T) {
	_, tok, expect := m.token(rt)
	want(rt, "Check", m.seats.Check(m.ctx, tok), expect)
}

func (m *machine) release(rt *rapid.T) {
	l, tok, expect := m.token(rt)
	tok.Linger = rapid.SampledFrom([]time.Duration{0, m.blink, long, long}).Draw(rt, "linger")
	err := m.seats.Release(m.ctx, tok)
	if expect == license.CodeNotLeader {
		want(rt, "Release", err, expect)
		return
	}
	want(rt, "Release", err, "")
	if expect != "" {
		return
	}
	l.end, l.lingers = lease.Released, tok.Linger == long
	if tok.Linger == m.blink {
		pass(m.blink)
	}
}

func (m *machine) remove(rt *rapid.T) {
	l := m.any(rt)
	err := m.seats.Remove(m.ctx, m.pool, lease.Removal{Handle: l.ref.Handle, By: "root"})
	switch {
	case l.end == "":
		want(rt, "Remove", err, "")
		l.end = lease.Removed
	case l.end == lease.Removed:
		want(rt, "second Remove", err, "")
	case l.lingers:
		want(rt, "Remove of a lingering handle", err, "")
		l.lingers = false
	default:
		want(rt, "Remove of an ended handle", err, license.CodeHandleUnknown)
	}
}

// claim takes over. Whether lapsed handles and lingers that nobody has noticed
// stay held then is the store's affair, so they are noticed first.
func (m *machine) claim(rt *rapid.T) {
	old := m.seats
	if old != nil {
		m.expire(rt)
	}
	s, err := m.store.Claim(m.ctx, m.pool.Container, "machine")
	want(rt, "Claim", err, "")
	if old != nil {
		if s.Epoch() <= old.Epoch() {
			rt.Fatalf("epoch %d after %d", s.Epoch(), old.Epoch())
		}
		_, err := old.Usage(m.ctx, m.pool)
		want(rt, "Usage under the old epoch", err, license.CodeFenced)
	}
	m.seats = s
}

func (m *machine) expire(rt *rapid.T) {
	_, err := m.seats.Expire(m.ctx)
	want(rt, "Expire", err, "")
}

func (m *machine) change(rt *rapid.T) { m.quantity = rapid.Uint32Range(0, 6).Draw(rt, "quantity") }

// lost renews a handle that the store has never heard of.
func (m *machine) lost(rt *rapid.T) {
	seat := rapid.Uint32Range(1, 8).Draw(rt, "seat")
	r := lasting(request(1), long)
	r.Pool = m.pool
	n := m.n[seat] + rapid.Uint64Range(0, 2).Draw(rt, "n")
	tok := ref(r, lease.Grant{Handle: r.ID, Pool: r.Pool, Mode: r.Mode, Seat: seat, N: n, Lease: long})
	_, err := m.seats.Renew(m.ctx, tok)
	before := m.holder(seat)
	if n <= m.n[seat] || before != nil && !before.lingers {
		want(rt, "Renew of a lost handle with a used n or seat", err, license.CodeHandleUnknown)
		return
	}
	want(rt, "Renew of a lost handle", err, "")
	if before != nil {
		before.lingers = false
	}
	m.n[seat] = n
	m.lives[r.ID] = &modelled{request: r, ref: tok}
	m.ids = append(m.ids, r.ID)
}

func (m *machine) agree(rt *rapid.T) {
	u, err := m.seats.Usage(m.ctx, m.pool)
	want(rt, "Usage", err, "")
	all, err := m.seats.List(m.ctx, m.pool)
	want(rt, "List", err, "")
	alive, lingering := m.count()
	if u.Taken != alive+lingering || u.Lingering != lingering || len(all) != int(alive) || u.ByMode[license.UserLimit] != alive {
		rt.Fatalf("usage %+v, %d listed, the model has %d and %d lingering", u, len(all), alive, lingering)
	}
	for _, h := range all {
		if l := m.lives[h.Handle]; l == nil || l.end != "" || l.ref.Seat != h.Seat || l.ref.N != h.N {
			rt.Fatalf("listed %+v, the model has %+v", h, l)
		}
	}
}

// stream checks that the events tell each handle's life and each denial.
func (m *machine) stream(rt *rapid.T) {
	m.expire(rt)
	told := map[string][]lease.EventKind{}
	denied := 0
	var last uint64
	expect := m.denied
	for _, l := range m.lives {
		expect++
		if l.end != "" {
			expect++
		}
	}
	for range expect {
		es, err := m.store.Events(m.ctx, m.pool.Container, last, 1)
		want(rt, "Events", err, "")
		e := es[0]
		if e.Position <= last {
			rt.Fatalf("position %d after %d", e.Position, last)
		}
		last = e.Position
		if e.Kind == lease.Denied {
			denied++
		} else {
			told[e.Handle] = append(told[e.Handle], e.Kind)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.lives)) {
		life := []lease.EventKind{lease.Granted}
		if end := m.lives[id].end; end != "" {
			life = append(life, end)
		}
		if !slices.Equal(told[id], life) {
			rt.Fatalf("events of %s: %v, want %v", id, told[id], life)
		}
	}
	if denied != m.denied {
		rt.Fatalf("%d denials told, want %d", denied, m.denied)
	}
}
