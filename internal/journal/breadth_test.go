package journal

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// clone gives an independent copy.
func (w *world) clone() *world {
	d := *w
	d.late = slices.Clone(w.late)
	for i := range d.servers {
		if c := d.servers[i].core; c != nil {
			d.servers[i].core = c.clone()
		}
	}
	return &d
}

func (c *core) clone() *core {
	d := *c
	d.seats, d.log = maps.Clone(c.seats), slices.Clone(c.log)
	return &d
}

// digest collects what makes a world's future.
type digest []byte

func (d *digest) num(all ...int) {
	for _, n := range all {
		*d = binary.AppendVarint(*d, int64(n))
	}
}

func (d *digest) text(s string) { *d = append(append(*d, s...), 0) }

func (d *digest) flags(all ...bool) {
	for _, on := range all {
		if on {
			*d = append(*d, 1)
		} else {
			*d = append(*d, 0)
		}
	}
}

func (d *digest) record(r Record) {
	d.num(int(r.Seat), int(r.Epoch), int(r.N), len(r.Holder))
	*d = append(*d, r.Holder...)
}

func (d *digest) roster(r Roster) {
	d.num(int(r.Epoch), int(r.N), len(r.Peers))
	d.flags(r.Grace)
	for _, p := range r.Peers {
		d.text(p.Name)
		d.text(p.Incarnation)
	}
}

func (d *digest) state(s State) {
	d.text(s.Incarnation)
	d.flags(s.Voting)
	d.num(int(s.Promised.Epoch), int(s.Base))
	d.roster(s.Roster)
}

func (d *digest) call(w *world, k call) {
	d.num(int(k.kind), w.left(k.sent.mono), int(k.promise.Epoch), int(k.upto), int(k.batch.Base), len(k.batch.Records))
	d.text(k.promise.Incarnation)
	d.flags(k.private, k.vote)
	d.roster(k.roster)
	for _, r := range k.batch.Records {
		d.record(r)
	}
}

// left is a time as it is from now on: what is long ago is all the same.
func (w *world) left(t time.Duration) int { return int(max(t-w.now, -4*time.Second) / time.Second) }

// identity is what makes a world's future, and nothing that only counts.
func (w *world) identity(b []byte) []byte {
	d := (*digest)(&b)
	d.num(w.b.claims, w.b.crashes, w.b.losses, w.b.rollbacks, w.b.lates, w.b.ticks, w.b.handles, w.b.lostCalls, w.b.cuts)
	d.num(int(w.epochs), int(w.answered))
	d.flags(w.twice)
	for i := range w.disks {
		d.state(w.disks[i].state)
		for _, r := range w.disks[i].recs {
			d.record(r)
		}
	}
	for _, l := range w.late {
		d.num(l.slot)
		d.call(w, l.call)
	}
	for i := range w.servers {
		v := &w.servers[i]
		d.flags(v.core != nil, v.ready, v.cut[0], v.cut[1], v.cut[2])
		d.num(int(v.ended))
		d.roster(v.known.Roster)
		if v.core != nil {
			d.server(w, v)
		}
	}
	for i := range w.users {
		u := &w.users[i]
		d.num(int(u.handle), int(u.used), u.seat, int(u.epoch), int(u.n), w.left(u.deadline), int(u.asks), u.to, w.left(u.sent))
		d.num(int(u.g.n), int(u.gEpoch), int(u.attempt%2))
		d.flags(u.has, u.answered, u.ok, u.gone)
	}
	return *d
}

func (d *digest) server(w *world, v *server) {
	c := v.core
	d.num(int(c.term.Epoch), int(c.phase), w.left(c.served.mono), int(c.base), int(c.committed), int(c.dropped), len(c.log))
	d.num(w.left(c.wanted.mono), w.left(c.began.mono), len(c.back.records))
	d.flags(c.founding, c.founded, c.grace)
	d.roster(c.known)
	for s := range seatCount {
		d.record(c.seats[seatKey(s)])
		e := v.table[s]
		first := -1
		for u := range w.users {
			if e.first == w.users[u].attempt {
				first = u
			}
		}
		d.num(int(e.handle), int(e.n), w.left(e.until), int(e.index), first)
	}
	for _, ch := range c.log {
		for _, r := range ch.records {
			d.record(r)
		}
	}
	for j := range c.slots {
		s := &c.slots[j]
		d.flags(s.busy, s.failed > 0, s.refused, s.claimed, s.voter, s.hears, s.follows, s.ready)
		d.text(s.back)
		d.num(w.left(s.heard.mono), len(s.private), int(s.from), int(s.acked), int(s.tried))
		d.state(s.state)
		d.records(s.records)
		f := &v.calls[j]
		d.num(int(f.stage))
		if f.stage > 0 {
			d.call(w, f.call)
		}
		if f.stage == 2 {
			d.text(string(license.CodeOf(f.answer.err)))
			d.state(f.answer.state)
			d.records(f.answer.records)
		}
	}
}

func (d *digest) records(all []Record) {
	for s := range seatCount {
		i := slices.IndexFunc(all, func(r Record) bool { return r.Key == seatKey(s) })
		if i < 0 {
			d.record(Record{})
			continue
		}
		d.record(all[i])
	}
}

// breadth visits what can come of a world, nearest first, up to most states.
func breadth(start *world, most int) (states, depth int, wrong *world, path []step) {
	type node struct {
		w    *world
		from int
		by   step
	}
	seed := maphash.MakeSeed()
	seen := map[uint64]bool{}
	queue := []node{{w: start, from: -1}}
	ends := 1 // of the present depth
	var all []step
	var buf []byte
	for at := 0; at < len(queue); at++ {
		if at == ends {
			depth, ends = depth+1, len(queue)
		}
		n := queue[at]
		all = n.w.steps(all)
		for _, s := range all {
			w := n.w.clone()
			w.apply(s)
			if w.wrong != "" {
				path = []step{s}
				for i := at; i > 0; i = queue[i].from {
					path = append(path, queue[i].by)
				}
				slices.Reverse(path)
				return len(queue), depth, w, path
			}
			buf = w.identity(buf[:0])
			if h := maphash.Bytes(seed, buf); !seen[h] && len(queue) < most {
				seen[h] = true
				queue = append(queue, node{w, at, s})
			}
		}
		queue[at].w = nil
	}
	return len(queue), depth, nil, nil
}

// TestBreadthFirst visits everything that can come of each guided start within
// few faults, up to some number of states.
func TestBreadthFirst(t *testing.T) {
	states := 2_000
	if testing.Short() {
		states = 500
	}
	if d := most(t, 0); d > 0 {
		states = int(d.Seconds()) * 1_000
	}
	total := 0
	for guide := range guides {
		r := rand.New(rand.NewPCG(uint64(guide), 5))
		w := newWorld(variant{}, budget{claims: 3, crashes: 1, losses: 1, rollbacks: 1, lates: 2, ticks: 10, handles: 3, lostCalls: 1})
		w.guide(guide, r)
		w.b = budget{claims: 1, crashes: 1, losses: 1, lates: 1, ticks: 5, handles: 2, lostCalls: 1}
		n, depth, wrong, path := breadth(w, states)
		total += n
		if wrong != nil {
			t.Fatalf("start %d, %d states: %s\n%s\n%v", guide, n, wrong.wrong, describe(path), wrong)
		}
		t.Logf("start %d: %d states, %d steps deep", guide, n, depth)
	}
	t.Logf("%d states", total)
}

// The breadth-first search catches what is broken, too.
func TestBreadthFirstCatches(t *testing.T) {
	for guide, v := range map[int]variant{7: {lateConfirm: true}, 10: {noGrace: true}, 12: {noExtra: true}} {
		caught := false
		for seed := uint64(0); seed < 8 && !caught; seed++ {
			w := newWorld(v, budget{claims: 3, crashes: 1, losses: 2, ticks: 10, handles: 3})
			w.many = guide == 10
			w.guide(guide, rand.New(rand.NewPCG(seed, 5)))
			w.b = budget{claims: 1, crashes: 1, ticks: 4, handles: 2}
			n, _, wrong, path := breadth(w, 3_000)
			if caught = wrong != nil || w.wrong != ""; wrong != nil {
				t.Logf("start %d: after %d states, by %d steps: %s: %s", guide, n, len(path), wrong.wrong, describe(path))
			}
		}
		if !caught {
			t.Errorf("%+v is not caught", v)
		}
	}
}
