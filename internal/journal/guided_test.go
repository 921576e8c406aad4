package journal

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Guided starts: states that plain walks seldom come to.
const guides = 14

func (w *world) guide(which int, r *rand.Rand) {
	if which == 0 {
		return
	}
	b, patience := w.b, w.patience
	w.patience = time.Minute // all three found the group
	w.do(step{opClaim, 0, 0})
	w.settle()
	w.patience = patience
	switch which {
	case 1: // a leader, and a program with a seat
		w.seat(0, 0)
	case 2: // a grant is on one journal, its leader is replaced
		w.do(step{opAsk, 0, 0<<4 | byte(access)}, step{opServe, 0, 0}, step{opDeliver, 0, byte(r.IntN(3))})
		w.do(step{opClaim, 1, 0})
	case 3: // one journal has missed what the two others have
		away := byte(r.IntN(3))
		w.seat(0, 0, away)
		w.do(step{opClaim, 1, 0})
	case 4: // a disk is lost while a claim is under way
		w.seat(0, 0)
		lost := byte(r.IntN(3))
		w.do(step{opClaim, 1, 0}, step{opDeliver, 1, lost}, step{opDisk, lost, 0})
	case 5: // a disk is lost, and one other is away
		w.seat(0, 0, byte(r.IntN(3)))
		w.do(step{opDisk, byte(r.IntN(3)), 0})
	case 6: // a leader has two seats' worth of history; the other claims
		w.seat(0, 0)
		w.do(step{opAsk, 0, 0<<4 | byte(release)}, step{opServe, 0, 0})
		w.settle(byte(r.IntN(3)))
		w.do(step{opServe, 0, 0}, step{opAnswer, 0, 0})
		w.do(step{opClaim, 1, 0})
		w.settle()
	case 7: // a leader that was replaced doesn't know, and its answers are late
		w.seat(0, 0)
		w.do(step{opTick, 0, 0})
		w.servers[0].core.want(w.moment())
		w.pump(0)
		for i := range byte(3) {
			w.do(step{opDeliver, 0, i})
			w.servers[0].cut[i] = true
		}
		w.renew(0, 0)
		w.do(step{opClaim, 1, 0})
		w.settle()
		w.do(step{opTick, 0, 0}, step{opTick, 0, 0})
		for _, i := range r.Perm(3)[:2] {
			w.servers[0].cut[i] = false
			w.do(step{opReturn, 0, byte(i)})
			w.servers[0].cut[i] = true
		}
		for range r.IntN(4) { // its program keeps to it
			w.renew(0, 0)
			w.do(step{opTick, 0, 0})
		}
	case 8: // a disk that was lost had promised a claim, which goes on
		w.seat(0, 0)
		w.do(step{opClaim, 1, 0}, step{opDeliver, 1, 2}, step{opDisk, 2, 0})
		w.servers[1].cut = [3]bool{true, true, true}
		w.servers[0].core.want(w.moment())
		w.do(step{opTick, 0, 0})
		w.servers[0].core.want(w.moment())
		w.pump(0)
		w.settle()
		if r.IntN(2) == 0 { // the seat goes to another, on that journal and one more
			w.servers[0].cut[1] = true
			w.leave(0, 0)
			w.seat(1, 0)
		}
		if r.IntN(2) == 0 { // the claim comes through to one more
			w.servers[1].cut = [3]bool{}
			w.do(step{opReturn, 1, 2}, step{opDeliver, 1, 1}, step{opReturn, 1, 1})
		}
	case 9: // a grant that came to one journal alone, which missed a takeover
		w.do(step{opAsk, 0, 0<<4 | byte(access)}, step{opServe, 0, 0}, step{opDeliver, 0, 2}, step{opClaim, 1, 0})
		w.servers[1].cut[2] = true
		w.settle()
		w.do(step{opGiveUp, 0, 0})
	case 10: // two disks are lost, and a leader begins anew
		w.seat(0, 0)
		if w.many {
			w.do(step{opDisk, 0, 0}, step{opDisk, 1, 0}, step{opCrash, 0, 0}, step{opClaim, 1, 0})
			away := byte(r.IntN(3))
			w.settle(away)
			if r.IntN(2) == 0 {
				w.do(step{opClaim, 0, 0})
				w.settle(away)
			}
			w.seat(1, r.IntN(2), away)
		}
	case 11: // writes are late on two journals, and done again
		w.do(step{opAsk, 0, 0<<4 | byte(access)}, step{opServe, 0, 0}, step{opDelay, 0, 0}, step{opDelay, 0, 1})
		w.settle()
		w.do(step{opServe, 0, 0}, step{opAnswer, 0, 0}, step{opAsk, 0, 0<<4 | byte(release)}, step{opServe, 0, 0})
		w.settle()
		w.do(step{opServe, 0, 0}, step{opAnswer, 0, 0})
		w.seat(1, 0)
	case 12: // a leader that was replaced answers once more, and time passes
		w.seat(0, 0)
		w.do(step{opClaim, 1, 0})
		w.settle()
		w.servers[0].cut = [3]bool{true, true, true}
		for range r.IntN(4) {
			w.do(step{opTick, 0, 0})
			w.renew(0, 0)
		}
	case 13: // a disk is put back, of which the others have noted more
		c := r.IntN(3)
		x := (c + 1 + r.IntN(2)) % 3
		w.seat(0, 0)
		w.do(step{opCopy, byte(c), 0})
		w.leave(0, 0)
		w.seat(1, 0)
		w.leave(1, 0)
		w.seat(0, 0, byte(x))
		w.do(step{opCrash, 0, 0}, step{opRestore, 0, 0})
		w.servers[1].cut[3-c-x] = r.IntN(2) == 0
		w.do(step{opClaim, 1, 0})
		w.settle()
	}
	w.b = b
	w.b.losses = min(w.b.losses, 2)
}

// seat has a program get a seat from a server, with one journal away.
func (w *world) seat(p, s int, away ...byte) {
	w.do(step{opAsk, byte(p), byte(s)<<4 | byte(access)}, step{opServe, byte(p), 0})
	w.settle(away...)
	w.do(step{opServe, byte(p), 0}, step{opAnswer, byte(p), 0})
}

// leave has a program release its seat.
func (w *world) leave(p, s int) {
	w.do(step{opAsk, byte(p), byte(s)<<4 | byte(release)}, step{opServe, byte(p), 0})
	w.settle()
	w.do(step{opServe, byte(p), 0}, step{opAnswer, byte(p), 0})
}

// renew has a program ask a server to renew.
func (w *world) renew(p, s int) {
	w.do(step{opAsk, byte(p), byte(s)<<4 | byte(renew)}, step{opServe, byte(p), 0}, step{opAnswer, byte(p), 0}, step{opGiveUp, byte(p), 0})
}

// do takes the steps that are possible.
func (w *world) do(steps ...step) {
	for _, s := range steps {
		if slices.Contains(w.steps(nil), s) {
			w.apply(s)
		}
	}
}

// recover heals everything, has a server claim, and looks whether all is well
// again: it serves, and three journals count.
func (w *world) recover() {
	w.b = budget{claims: 8, ticks: 100}
	w.late = nil
	for i := range w.servers {
		w.servers[i] = server{}
	}
	w.do(step{opClaim, 0, 0})
	for range 12 {
		w.settle()
		w.do(step{opClaim, 0, 0}, step{opTick, 0, 0})
	}
	c := w.servers[0].core
	switch {
	case w.wrong != "":
	case c == nil || c.phase != serving || c.grace:
		w.contradiction("all is well, and nobody serves")
	case c.voters() < license.Backends || c.committed != c.last():
		w.contradiction("all is well, and a journal does not count")
	}
}

// settle lets all calls come to their end, but for those of a journal that is
// away.
func (w *world) settle(away ...byte) {
	for range 200 {
		all := w.steps(nil)
		i := slices.IndexFunc(all, func(s step) bool {
			return (s.op == opDeliver || s.op == opReturn) && !slices.Contains(away, s.b)
		})
		if i < 0 {
			return
		}
		w.apply(all[i])
	}
}
