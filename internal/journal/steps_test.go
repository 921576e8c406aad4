package journal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// step is one thing that may happen next in a world.
type step struct {
	op   op
	a, b byte
}

type op byte

const (
	opTick op = iota
	opClaim
	opCrash
	opDeliver // a call reaches its journal
	opReturn  // its answer comes back
	opLose    // a call or its answer is lost
	opDelay   // nobody waits for a call any more, but it will arrive
	opLate    // it arrives
	opDisk    // a disk is lost
	opCopy    // a disk is copied
	opRestore // the copy is put back
	opAsk     // a program sends
	opServe   // a server deals with what a program sent
	opAnswer  // the answer reaches the program
	opGiveUp  // it doesn't, or the program's patience ends
	opExpire
	opQuit // a program goes away without a word
	opCut  // a server's way to a journal goes, or comes back
	ops
)

func (o op) String() string {
	return [...]string{"tick", "claim", "crash", "deliver", "return", "lose", "delay", "late", "disk", "copy",
		"restore", "ask", "serve", "answer", "give up", "expire", "quit", "cut"}[o]
}

func (s step) String() string { return fmt.Sprintf("%v(%d,%d)", s.op, s.a, s.b) }

// steps gives what may happen next.
func (w *world) steps(all []step) []step {
	all = all[:0]
	add := func(o op, a, b int) { all = append(all, step{o, byte(a), byte(b)}) }
	if w.b.ticks > 0 {
		add(opTick, 0, 0)
	}
	for s := range w.servers {
		v := &w.servers[s]
		if w.b.claims > 0 && (v.core == nil || v.core.phase == over) {
			add(opClaim, s, 0)
		}
		if v.core == nil {
			continue
		}
		if w.b.crashes > 0 {
			add(opCrash, s, 0)
		}
		for i := range v.calls {
			if w.b.cuts > 0 || v.cut[i] {
				add(opCut, s, i)
			}
			if v.cut[i] {
				continue
			}
			switch v.calls[i].stage {
			case 1:
				add(opDeliver, s, i)
				if w.b.lates > 0 && len(w.late) < mostLate {
					add(opDelay, s, i)
				}
			case 2:
				add(opReturn, s, i)
			}
			if w.b.lostCalls > 0 && v.calls[i].stage != 0 {
				add(opLose, s, i)
			}
		}
		for i := range v.table {
			if v.ready && v.core.phase == serving && v.table[i].handle != 0 && v.table[i].until <= w.now {
				add(opExpire, s, i)
			}
		}
	}
	for i := range w.late {
		add(opLate, i, 0)
	}
	for i := range w.disks {
		if w.b.losses > 0 && w.mayLose(i) {
			add(opDisk, i, 0)
		}
		if w.b.rollbacks > 0 && w.copyOf == 0 && w.disks[i].state.Voting {
			add(opCopy, i, 0)
		}
	}
	if w.b.rollbacks > 0 && w.copyOf > 0 && w.mayRestore() {
		add(opRestore, 0, 0)
	}
	for p := range w.users {
		w.stepsOf(p, add)
	}
	return all
}

func (w *world) stepsOf(p int, add func(o op, a, b int)) {
	u := &w.users[p]
	switch {
	case u.asks == nothing:
		for s := range w.servers {
			if w.servers[s].core != nil {
				if !u.has && (int(u.used) < w.b.handles || u.handle != 0) {
					add(opAsk, p, s<<4|int(access))
				}
				if u.valid(w.now) {
					add(opAsk, p, s<<4|int(renew))
					add(opAsk, p, s<<4|int(release))
				}
			}
		}
		if u.has {
			add(opQuit, p, 0)
		}
	case u.answered:
		add(opAnswer, p, 0)
		add(opGiveUp, p, 0)
	default:
		if w.servable(p) {
			add(opServe, p, 0)
		}
		add(opGiveUp, p, 0)
	}
}

// whole says whether a disk is none that was lost, or put back.
func (w *world) whole(i int) bool { return w.disks[i].state.Voting && !w.sick[i] }

// mayLose: one disk at a time, unless many may be lost.
func (w *world) mayLose(i int) bool {
	for j := range w.disks {
		if !w.whole(j) && j != i && !w.many {
			return false
		}
	}
	return w.disks[i].state.Voting
}

// mayRestore: a disk that is put back is one of which both others have noted
// more since.
func (w *world) mayRestore() bool {
	at := w.copyOf - 1
	if w.disks[at].state.Incarnation != w.copied.state.Incarnation || !w.mayLose(at) {
		return false
	}
	for i := range w.servers {
		if w.servers[i].core != nil { // see the package's documentation
			return false
		}
	}
	for j := range w.disks {
		noted := slices.ContainsFunc(w.disks[j].state.Marks, func(m Mark) bool {
			return m.Incarnation == w.copied.state.Incarnation && m.Version > w.copied.state.Version
		})
		if j != at && !noted {
			return false
		}
	}
	return true
}

func (w *world) apply(s step) {
	a, b := int(s.a), int(s.b)
	switch s.op {
	case opTick:
		w.b.ticks--
		w.now += time.Second
		for i := range w.servers {
			w.pump(i)
		}
	case opClaim:
		w.claim(a)
	case opCrash:
		w.b.crashes--
		w.stop(a)
	case opDeliver:
		f := &w.servers[a].calls[b]
		f.answer = w.execute(b, f.call)
		f.stage = 2
	case opReturn, opLose:
		f := w.servers[a].calls[b]
		if s.op == opLose {
			w.b.lostCalls--
			f.answer = answer{err: errLostCall}
		}
		w.finish(a, b, f)
	case opDelay:
		w.b.lates--
		f := w.servers[a].calls[b]
		w.late = append(w.late, lateCall{f.call, b})
		f.answer = answer{err: errLostCall}
		w.finish(a, b, f)
	case opLate:
		l := w.late[a]
		w.late = slices.Delete(slices.Clone(w.late), a, a+1)
		if w.execute(l.slot, l.call).err == nil {
			w.seen["late calls done"]++
		}
	case opDisk:
		w.lose(a)
	case opCopy:
		w.copyOf, w.copied = a+1, w.disks[a]
	case opRestore:
		w.b.rollbacks--
		w.hurt(w.copyOf - 1)
		w.disks[w.copyOf-1] = w.copied
		w.sick[w.copyOf-1] = true
		// It was started anew: what was on its way to it does not arrive.
		w.late = slices.DeleteFunc(slices.Clone(w.late), func(l lateCall) bool { return l.slot == w.copyOf-1 })
		for i := range w.servers {
			if f := &w.servers[i].calls[w.copyOf-1]; f.stage == 1 {
				f.stage, f.answer = 2, answer{err: errLostCall}
			}
		}
		w.copyOf = 0
		w.seen["disks put back"]++
	case opCut:
		if v := &w.servers[a]; !v.cut[b] {
			w.b.cuts--
			v.cut[b] = true
		} else {
			v.cut[b] = false
		}
	case opExpire:
		v := &w.servers[a]
		v.ended |= 1 << v.table[b].handle
		w.change(v, b, 0, 0)
		w.pump(a)
	default:
		w.applyUser(s)
	}
	w.check()
}

var errLostCall error = &license.Error{Code: license.CodeUnavailable, Message: "no answer came"}

func (w *world) claim(s int) {
	w.b.claims--
	for i := range w.servers {
		if c := w.servers[i].core; i != s && c != nil && c.phase == serving {
			w.seen["claims beside a leader"]++
		}
	}
	if !w.v.sameEpoch || w.epochs == 0 {
		w.epochs++
	}
	t := Term{w.epochs, incarnations[w.epochs]}
	w.servers[s] = server{cut: w.servers[s].cut, known: w.servers[s].known, core: newCore(settings{
		names: names, newGroup: !w.twice, graceTime: graceTime, patience: w.patience, despair: w.patience, mostEvents: 1, mostBehind: 1 << 20, lag: w.lag,
	}, t, w.servers[s].known, w.moment())}
	w.pump(s)
}

func (w *world) finish(s, i int, f flight) {
	v := &w.servers[s]
	if w.v.lateConfirm {
		f.call.sent = w.moment()
	}
	v.calls[i] = flight{}
	serve, voted := v.core.phase == serving, v.core.slots[i].voter
	v.core.done(f.call, f.answer, w.moment())
	v.core.slots[i].retry = moment{}
	switch {
	case v.core.cause == errDoubt:
		w.seen["claims dropped"]++
	case serve && v.core.phase == over:
		w.seen["leaders that found themselves fenced"]++
	case serve && v.core.slots[i].refused && v.core.fresh(w.moment()):
		w.seen["leaders that one refuses and two confirm"]++
	case serve && !voted && v.core.slots[i].voter && f.call.kind == askEnrol:
		w.seen["rejoins"]++
	}
	if v.core.phase == over {
		known := v.core.memory()
		w.stop(s)
		w.servers[s].known = known
		return
	}
	w.pump(s)
}

// stop ends what a server did; its network stays as it is.
func (w *world) stop(s int) { w.servers[s] = server{cut: w.servers[s].cut} }

// hurt notes where a disk is lost or put back while another one is.
func (w *world) hurt(i int) {
	for j := range w.disks {
		if j != i && !w.whole(j) {
			w.twice = true
			w.seen["more than one disk lost"]++
		}
	}
}

func (w *world) lose(i int) {
	w.b.losses--
	w.hurt(i)
	old := w.disks[i].state
	w.blank(i)
	if w.v.lostVotes {
		old.Promised, old.Base, old.Version = Term{}, 0, 1<<20
		w.disks[i].state = old
	}
	w.seen["disks lost"]++
}

// play takes random steps, by weights, and gives them until the first
// contradiction.
func (w *world) play(r *rand.Rand, n int, weights *[ops]int) (done []step) {
	var all []step
	for range n {
		all = w.steps(all)
		sum := 0
		for _, s := range all {
			sum += weights[s.op]
		}
		if sum == 0 {
			return done
		}
		pick := r.IntN(sum)
		for _, s := range all {
			if pick -= weights[s.op]; pick < 0 {
				done = append(done, s)
				w.apply(s)
				break
			}
		}
		if w.wrong != "" {
			return done
		}
	}
	return done
}
