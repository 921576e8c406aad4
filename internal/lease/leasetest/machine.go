package leasetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
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
				store: h.Store, sure: h.Sure, ctx: t.Context(), blink: blink, quantity: 6,
				pool:  lease.Pool{Container: license.Serial{Mask: 130, Number: groups.Add(1)}, Product: kit.Product},
				lives: map[string]*modelled{}, n: map[uint32]uint64{}, again: map[string]bool{},
			}
			m.claim(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"access": m.access, "lapse": m.lapse, "repeat": m.repeat, "renew": m.renew, "check": m.check,
				"release": m.release, "remove": m.remove, "claim": m.claim, "expire": m.expire,
				"quantity": m.change, "lost": m.lost, "wait": m.wait, "leave": m.leave, "": m.agree,
			})
			m.stream(rt)
		})
	})
}

type machine struct {
	store    lease.Store
	sure     bool // no record is ever missing
	ctx      context.Context
	blink    time.Duration
	pool     lease.Pool
	seats    lease.Seats
	quantity uint32
	lives    map[string]*modelled
	ids      []string
	n        map[uint32]uint64
	queue    []standing
	denied   []denial
	again    map[string]bool // denials that are on record
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

func (m *machine) access(rt *rapid.T) { m.ask(rt, kit.Long) }

// lapse is an access whose lease then runs out.
func (m *machine) lapse(rt *rapid.T) {
	if l := m.ask(rt, m.blink); l != nil {
		kit.Pass(m.blink)
		l.end = lease.Expired
	}
}

// draw draws what a program asks for, but for its waiting.
func (m *machine) draw(rt *rapid.T) lease.Request {
	r := kit.By(rapid.SampledFrom([]string{"ada", "bob"}).Draw(rt, "user"), kit.Request(m.quantity))
	r.Pool = m.pool
	r.Client.Process = rapid.Uint32Range(1, 2).Draw(rt, "process")
	r.Mode = rapid.SampledFrom([]license.AccessMode{
		license.UserLimit, license.UserLimit, license.StationShare, license.StationShare, license.Exclusive, license.NoUserLimit,
	}).Draw(rt, "mode")
	r.Station = rapid.SampledFrom([]string{"a", "a", "b", "c"}).Draw(rt, "station")
	r.Licenses = rapid.SampledFrom([]uint32{0, 1, 1, 2, 3}).Draw(rt, "licenses")
	r.Limits = m.limits(rt)
	return r
}

func (m *machine) limits(rt *rapid.T) (l lease.Limits) {
	tags := []string{"x", "y"}
	for _, tag := range tags {
		switch rapid.IntRange(0, 5).Draw(rt, "limit "+tag) {
		case 0:
			l.Tags = append(l.Tags, tag)
		case 1:
			l.Tags = append(l.Tags, tag)
			l.Caps = append(l.Caps, lease.Cap{Tag: tag, Most: rapid.Uint32Range(0, 4).Draw(rt, "cap")})
		case 2:
			l.Holds = append(l.Holds, lease.Hold{Tag: tag, Least: rapid.Uint32Range(0, 3).Draw(rt, "hold")})
		}
	}
	return l
}

// wait asks with the right to queue: anew, or again as one of the queue.
func (m *machine) wait(rt *rapid.T) {
	r := m.draw(rt)
	priority := rapid.Int32Range(-1, 1).Draw(rt, "priority")
	if len(m.queue) > 0 && rapid.Bool().Draw(rt, "again") {
		r = rapid.SampledFrom(m.queue).Draw(rt, "waiter").request
		r.Quantity, r.Limits = m.quantity, m.limits(rt)
		switch rapid.IntRange(0, 7).Draw(rt, "how") {
		case 0:
			r.Client.Process++
			_, err := m.seats.Access(m.ctx, r)
			want(rt, "Access as who waits with another content", err, license.CodeRequestMismatch)
			return
		case 1: // waits no longer
			r.Wait = nil
			m.decided(rt, r)
			return
		}
	}
	m.decided(rt, kit.Queued(r, priority))
}

func (m *machine) leave(rt *rapid.T) {
	id := "nobody"
	if len(m.queue) > 0 {
		id = rapid.SampledFrom(m.queue).Draw(rt, "waiter").request.ID
	}
	want(rt, "Leave", m.seats.Leave(m.ctx, m.pool, id), "")
	m.left(id)
}

func (m *machine) left(id string) {
	m.queue = slices.DeleteFunc(m.queue, func(w standing) bool { return w.request.ID == id })
}

func (m *machine) ask(rt *rapid.T, d time.Duration) *modelled {
	return m.decided(rt, kit.Lasting(m.draw(rt), d))
}

// decided asks for a handle and checks the answer against the model.
func (m *machine) decided(rt *rapid.T, r lease.Request) *modelled {
	if r.Wait == nil {
		m.left(r.ID)
	}
	at := slices.IndexFunc(m.queue, func(w standing) bool { return w.request.ID == r.ID })
	place := at
	if at < 0 {
		place = m.behind(0)
		if r.Wait != nil {
			place = m.behind(r.Wait.Priority)
		}
	}
	code, rule := m.decide(r, m.queue[:place])
	own, last := m.own(r), m.lowest()
	g, err := m.seats.Access(m.ctx, r)
	if code == license.CodeNoFreeSeat && r.Wait != nil && r.Wants() <= r.Quantity {
		want(rt, "Access that waits", err, license.CodeQueued)
		if at < 0 {
			m.queue = slices.Insert(m.queue, place, standing{r, r.Wait.Priority})
		}
		m.queue[place].request = r
		if d := license.Public(err).Details; d["position"] != uint32(place)+1 || d["waiting"] != uint32(len(m.queue)) {
			rt.Fatalf("details %v, the model has place %d of %d", d, place+1, len(m.queue))
		}
		return nil
	}
	want(rt, "Access", err, code)
	m.left(r.ID)
	if code != "" {
		if d := fmt.Sprint(r.Holder(), r.Wants(), code, rule); !m.again[d] {
			m.again[d] = true
			m.denied = append(m.denied, denial{r.ID, code, rule})
		}
		return nil
	}
	seat := last
	if own != nil && r.Mode != license.NoUserLimit {
		seat = own.ref.Seat
		own.lingers = false
	}
	if g.Seat != seat || g.N != m.n[seat]+1 || g.Repeated || g.Licenses != r.Wants() || g.Mode != r.Mode {
		rt.Fatalf("grant %+v with quantity %d, want seat %d, its last n is %d", g, m.quantity, seat, m.n[seat])
	}
	m.n[seat] = g.N
	l := &modelled{request: r, ref: kit.Ref(r, g)}
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
	tok.Linger = rapid.SampledFrom([]time.Duration{0, m.blink, kit.Long, kit.Long}).Draw(rt, "linger")
	err := m.seats.Release(m.ctx, tok)
	if expect == license.CodeNotLeader {
		want(rt, "Release", err, expect)
		return
	}
	want(rt, "Release", err, "")
	if expect != "" {
		return
	}
	l.end, l.lingers = lease.Released, tok.Linger == kit.Long && l.request.Mode != license.NoUserLimit
	if tok.Linger == m.blink {
		kit.Pass(m.blink)
	}
}

func (m *machine) remove(rt *rapid.T) {
	l := m.any(rt)
	young := rapid.IntRange(0, 3).Draw(rt, "young") == 0
	removal := lease.Removal{Handle: l.ref.Handle, By: "root"}
	if young {
		removal.MinAge = kit.Long
	}
	err := m.seats.Remove(m.ctx, m.pool, removal)
	switch {
	case l.end == "" && l.request.Borrowed:
		want(rt, "Remove of a borrowed handle", err, license.CodeBorrowed)
	case l.end == "" && young:
		want(rt, "Remove of a young handle", err, license.CodeTooYoung)
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
	clear(m.again)
	if old != nil {
		if s.Epoch() <= old.Epoch() {
			rt.Fatalf("epoch %d after %d", s.Epoch(), old.Epoch())
		}
		_, err := old.Usage(m.ctx, m.pool)
		want(rt, "Usage under the old epoch", err, license.CodeFenced)
	}
	m.seats = s
	// Places may be lost.
	if all, err := s.Waiting(m.ctx, m.pool); err != nil || len(all) == 0 {
		want(rt, "Waiting", err, "")
		m.queue = nil
	}
}

func (m *machine) expire(rt *rapid.T) {
	_, err := m.seats.Expire(m.ctx)
	want(rt, "Expire", err, "")
}

func (m *machine) change(rt *rapid.T) { m.quantity = rapid.Uint32Range(0, 9).Draw(rt, "quantity") }

// lost renews a handle that the store has never heard of.
func (m *machine) lost(rt *rapid.T) {
	seat := rapid.Uint32Range(1, 8).Draw(rt, "seat")
	r := m.draw(rt)
	r.Limits.Caps, r.Limits.Holds = nil, nil
	n := m.n[seat] + rapid.Uint64Range(0, 2).Draw(rt, "n")
	tok := kit.Ref(r, lease.Grant{Handle: r.ID, Pool: r.Pool, Mode: r.Mode, Seat: seat, N: n, Lease: kit.Long})
	_, err := m.seats.Renew(m.ctx, tok)
	before := m.holder(seat)
	if m.sure || n <= m.n[seat] || before != nil && !before.lingers {
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
	list, err := m.seats.List(m.ctx, m.pool)
	want(rt, "List", err, "")
	queue, err := m.seats.Waiting(m.ctx, m.pool)
	want(rt, "Waiting", err, "")
	living, all := m.requests(false, nil), m.requests(true, nil)
	taken, lives := together(all), together(living)
	if u.Taken != taken || u.Lingering != taken-lives || u.Waiting != uint32(len(m.queue)) || len(list) != len(living) {
		rt.Fatalf("usage %+v, %d listed; the model has %d taken, %d of them lingering, %d handles, %d waiting",
			u, len(list), taken, taken-lives, len(living), len(m.queue))
	}
	for _, mode := range []license.AccessMode{license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit} {
		some := slices.DeleteFunc(slices.Clone(living), func(r lease.Request) bool { return r.Mode != mode })
		if u.ByMode[mode] != uint32(len(some)) || u.TakenByMode[mode] != together(some) {
			rt.Fatalf("usage %+v, the model has %d with %s that take %d", u, len(some), mode, together(some))
		}
	}
	for _, tag := range []string{"x", "y"} {
		if u.ByTag[tag] != together(withTag(all, tag)) {
			rt.Fatalf("usage %+v, the model has %d with %s", u, together(withTag(all, tag)), tag)
		}
	}
	var sum, accesses uint32
	for _, h := range list {
		l := m.lives[h.Handle]
		if l == nil || l.end != "" || l.ref.Seat != h.Seat || l.ref.N != h.N || !slices.Equal(h.Tags, l.request.Limits.Tags) {
			rt.Fatalf("listed %+v, the model has %+v", h, l)
		}
		sum += h.Takes
		if h.Takes > 0 || h.Mode == license.NoUserLimit {
			accesses += h.Accesses
		}
	}
	if sum != lives || int(accesses) != len(living) {
		rt.Fatalf("the handles listed take %d for %d accesses, the model has %d and %d", sum, accesses, lives, len(living))
	}
	for i, w := range m.queue {
		if i >= len(queue) || queue[i].ID != w.request.ID || queue[i].Priority != w.priority {
			rt.Fatalf("the queue is %+v, the model has %+v", queue, m.queue)
		}
	}
}

// stream checks that the events tell each handle's life and each denial.
func (m *machine) stream(rt *rapid.T) {
	m.expire(rt)
	told := map[string][]lease.EventKind{}
	var denied []denial
	var last, seq uint64
	expect := len(m.denied)
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
		if seq++; e.Seq != seq {
			rt.Fatalf("event %+v counts as %d, want %d", e, e.Seq, seq)
		}
		last = e.Position
		if e.Kind == lease.Denied {
			denied = append(denied, denial{e.Handle, e.Reason, e.Rule})
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
	if !slices.Equal(denied, m.denied) {
		rt.Fatalf("denials told: %v, want %v", denied, m.denied)
	}
}
