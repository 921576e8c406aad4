package quorumlease_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/quorumlease"
	"github.com/quorate/quorate/internal/license"
)

// Two servers that both think they lead, three journals in files, and programs
// that take, renew and release; the ways between them are cut, delayed and late,
// servers are killed, backends restarted, and disks lost one at a time. What the
// programs may count on is swept at the end: never more at once than there are
// licenses, and nobody loses a seat that he renews.

const (
	someLicenses = 2
	programs     = 5
	someLease    = 5 * time.Second
)

var (
	errLost = errors.New("no answer came")
	someone = license.Serial{Mask: 131, Number: 4837572}
	pool    = lease.Pool{Container: someone, Product: license.Product{Firm: 6000010, Code: 14}}
)

// span is a time in which a program could count on its seat.
type span struct {
	handle   string
	from, to time.Time
}

type rivalry struct {
	boxes   [license.Backends]*box
	open    func(path string) (journal.Journal, func(), error)
	network sync.WaitGroup

	mu    sync.Mutex
	rand  *rand.Rand
	calm  bool
	sites [2]*site
	newer uint64 // the newest epoch that was claimed
	spans []span
	wrong string
	seen  map[string]int
}

func (w *rivalry) number(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

func (w *rivalry) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[what]++
}

func (w *rivalry) contradiction(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
	}
}

// boot starts a server, in place of one that is dead.
func (w *rivalry) boot(i int) {
	s := &site{w: w}
	s.store = quorumlease.New(quorumlease.Options{
		Journals: func(license.Serial) (all [license.Backends]journal.Backend, err error) {
			for i := range all {
				all[i] = journal.Backend{Name: fmt.Sprint("130-", i), Journal: wire{s, i}}
			}
			return all, nil
		},
		Journal: journal.Options{NewGroup: true, CallTime: 500 * time.Millisecond, Despair: time.Minute, ClaimTime: 10 * time.Second},
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sites[i] = s
}

func (w *rivalry) site(i int) *site {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sites[i]
}

func (w *rivalry) claim(ctx context.Context, i int) error {
	s := w.site(i)
	seats, err := s.store.Claim(ctx, someone, fmt.Sprint("site ", i))
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.seen["claims in vain"]++
		return err
	}
	if w.newer > 0 {
		w.seen["takeovers"]++
	}
	w.newer = max(w.newer, seats.Epoch())
	s.seats = seats
	return nil
}

func (w *rivalry) kill(i int) {
	s := w.site(i)
	w.mu.Lock()
	s.dead = true
	w.mu.Unlock()
	_ = s.store.Close()
	w.boot(i)
	w.count("servers killed")
}

// anyone gives a server's seats, if it leads.
func (w *rivalry) anyone(i int) (lease.Seats, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sites[i]
	return s.seats, s.seats != nil && !s.dead
}

// program takes a seat, renews it for a while, and lets it go or forgets it.
func (w *rivalry) program(ctx context.Context, user int) {
	for round := 0; ctx.Err() == nil; round++ {
		id := fmt.Sprintf("program-%d-%d", user, round)
		w.hold(ctx, id, user)
		_ = pause(ctx, time.Duration(w.number(1500))*time.Millisecond)
	}
}

func (w *rivalry) hold(ctx context.Context, id string, user int) {
	at, renews := w.number(2), w.number(12)
	request := lease.Request{
		ID: id, Pool: pool, Mode: license.UserLimit, Station: fmt.Sprint("station-", user), Quantity: someLicenses, Lease: someLease,
	}
	var ref lease.Ref
	var until time.Time
	for try := 0; ctx.Err() == nil && (until.IsZero() || renews > 0); try++ {
		seats, leads := w.anyone(at)
		if !leads {
			at = 1 - at
			_ = pause(ctx, 100*time.Millisecond)
			if until.IsZero() && try > 20 || !until.IsZero() && !time.Now().Before(until) {
				return
			}
			continue
		}
		sent := time.Now()
		call, cancel := context.WithTimeout(ctx, time.Duration(200+w.number(2500))*time.Millisecond)
		var g lease.Grant
		var err error
		if until.IsZero() {
			g, err = seats.Access(call, request)
		} else {
			g, err = seats.Renew(call, ref)
		}
		cancel()
		now := time.Now()
		valid := !until.IsZero() && now.Before(until)
		switch code := license.CodeOf(err); {
		case err == nil:
			if until.IsZero() || valid {
				w.held(id, now, sent.Add(someLease), g, seats, !until.IsZero())
				until = sent.Add(someLease)
			} else {
				return // too late: it has stopped
			}
			ref = lease.Ref{Pool: pool, Handle: id, Seat: g.Seat, Epoch: g.Epoch, N: g.N, Mode: g.Mode, Station: request.Station, Lease: someLease}
			renews--
			_ = pause(ctx, someLease/4)
		case code == license.CodeFenced, code == license.CodeNotLeader, code == license.CodeUnavailable, code == license.CodeThrottled:
			w.count("answers " + string(code))
			at = 1 - at
			_ = pause(ctx, 50*time.Millisecond)
		case until.IsZero():
			w.count("answers " + string(code))
			if code != license.CodeNoFreeSeat || try > 3 {
				return
			}
			_ = pause(ctx, 300*time.Millisecond)
		default:
			if valid {
				w.contradiction("%s has its seat for another %v and is refused by epoch %d: %v", id, until.Sub(now), seats.Epoch(), err)
			}
			return
		}
		if !until.IsZero() && !time.Now().Before(until) {
			return
		}
	}
	if until.IsZero() || w.number(4) == 0 {
		return // forgotten
	}
	w.let(id)
	if seats, leads := w.anyone(at); leads {
		call, cancel := context.WithTimeout(ctx, time.Second)
		_ = seats.Release(call, ref)
		cancel()
	}
}

// held notes how long a program may count on its seat.
func (w *rivalry) held(id string, from, to time.Time, g lease.Grant, s lease.Seats, renewed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen["answered"]++
	if g.Epoch < w.newer && renewed {
		w.seen["renewals by a leader that was replaced"]++
	}
	if from.Before(to) {
		w.spans = append(w.spans, span{id, from, to})
	}
}

// let notes that a program doesn't count on its seat any longer.
func (w *rivalry) let(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for i := range w.spans {
		if s := &w.spans[i]; s.handle == id && s.to.After(now) {
			s.to = now
		}
	}
}

// sweep looks whether there were ever more programs with a seat than licenses.
func (w *rivalry) sweep() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.spans {
		holders := map[string]bool{}
		for _, s := range w.spans {
			if !s.from.After(at.from) && at.from.Before(s.to) {
				holders[s.handle] = true
			}
		}
		if len(holders) > someLicenses && w.wrong == "" {
			w.wrong = fmt.Sprintf("%d programs had a seat at once, of %d: %v", len(holders), someLicenses, holders)
		}
	}
}

// trouble changes servers, backends and the network.
func (w *rivalry) trouble(ctx context.Context) {
	for pause(ctx, time.Duration(50+w.number(1200))*time.Millisecond) == nil {
		i, j := w.number(2), w.number(license.Backends)
		s := w.site(i)
		switch w.number(12) {
		case 0, 1, 2, 3: // whoever leads
			_ = w.claim(ctx, i)
		case 4, 5: // a partition, or its end
			w.mu.Lock()
			s.cut[j] = !s.cut[j]
			w.mu.Unlock()
		case 6:
			w.mu.Lock()
			s.cut = [license.Backends]bool{}
			w.mu.Unlock()
		case 7: // killed, started and killed again
			w.kill(i)
			if w.number(2) == 0 {
				_ = pause(ctx, time.Duration(w.number(400))*time.Millisecond)
				_ = w.claim(ctx, i)
				_ = pause(ctx, time.Duration(w.number(400))*time.Millisecond)
				w.kill(i)
			}
			_ = w.claim(ctx, 1-i)
		case 8, 9: // a backend is restarted, for a moment or longer
			w.boxes[j].stop()
			_ = pause(ctx, time.Duration(w.number(2500))*time.Millisecond)
			w.begin(j)
			w.count("backends restarted")
		case 10: // a disk is lost, if all others are whole
			if w.whole(ctx) {
				w.boxes[j].stop()
				if err := os.Remove(w.boxes[j].path); err != nil && !errors.Is(err, os.ErrNotExist) {
					w.contradiction("%v", err)
				}
				w.begin(j)
				w.count("disks lost")
			}
		case 11:
			_ = pause(ctx, time.Duration(w.number(4000))*time.Millisecond)
		}
	}
}

func (w *rivalry) begin(i int) {
	if err := w.boxes[i].start(w.open); err != nil {
		w.contradiction("backend %d: %v", i, err)
	}
}

// whole says whether no disk is lost now.
func (w *rivalry) whole(ctx context.Context) bool {
	for _, b := range w.boxes {
		j, _ := b.journal()
		if j == nil {
			return false
		}
		if s, err := j.State(ctx); err != nil || !s.Voting {
			return false
		}
	}
	return true
}

// rivals plays one run and gives the first contradiction.
func rivals(t *testing.T, seed uint64, seen map[string]int, open func(path string) (journal.Journal, func(), error)) (wrong string) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &rivalry{rand: rand.New(rand.NewPCG(seed, 3)), seen: seen, open: open}
		for i := range w.boxes {
			w.boxes[i] = &box{path: filepath.Join(dir, fmt.Sprint("journal-", i))}
			w.begin(i)
		}
		w.boot(0)
		w.boot(1)
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		w.calm = true
		if err := w.claim(ctx, 0); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.calm = false
		w.mu.Unlock()
		var actors sync.WaitGroup
		for user := range programs {
			actors.Go(func() { w.program(ctx, user) })
		}
		actors.Go(func() { w.trouble(ctx) })
		actors.Wait()
		cancel()
		w.end(t)
		w.network.Wait()
		for _, b := range w.boxes {
			b.stop()
		}
		wrong = w.wrong
	})
	return wrong
}

// end lets all be well again, and looks at what there is then.
func (w *rivalry) end(t *testing.T) {
	w.mu.Lock()
	w.calm = true
	for _, s := range w.sites {
		s.cut = [license.Backends]bool{}
	}
	w.mu.Unlock()
	for i, b := range w.boxes {
		if j, _ := b.journal(); j == nil {
			w.begin(i)
		}
	}
	now := time.Now()
	if err := w.claim(t.Context(), 1); err != nil {
		w.contradiction("the last claim: %v", err)
	}
	if seats, leads := w.anyone(1); leads {
		living, err := seats.List(t.Context(), pool)
		if err != nil {
			w.contradiction("the last list: %v", err)
		}
		w.sweep()
		w.mu.Lock()
		for _, s := range w.spans {
			listed := slices.ContainsFunc(living, func(h lease.Handle) bool { return h.Handle == s.handle })
			if s.to.After(now) && !listed && w.wrong == "" && time.Now().Before(s.to) {
				w.wrong = fmt.Sprintf("%s has a seat until %v, and the last leader doesn't know", s.handle, s.to)
			}
		}
		w.mu.Unlock()
		if len(living) > someLicenses {
			w.contradiction("the last leader has %d handles", len(living))
		}
		w.events(t)
		time.Sleep(10 * time.Second)
		status, _ := w.site(1).store.Status(someone)
		for _, s := range status {
			if !s.Counts || s.Behind > 0 {
				var states []journal.State
				for _, b := range w.boxes {
					j, _ := b.journal()
					state, _ := j.State(t.Context())
					states = append(states, state)
				}
				w.contradiction("at the end all are well, and a journal does not count: %+v; %+v", s, states)
			}
		}
	}
	_ = w.site(0).store.Close()
	_ = w.site(1).store.Close()
}

// events looks whether each handle begins and ends once at most, in its order.
func (w *rivalry) events(t *testing.T) {
	events, err := w.site(1).store.Events(t.Context(), someone, 0, 1<<20)
	if err != nil {
		w.contradiction("events: %v", err)
	}
	state := map[string]lease.EventKind{}
	for i, e := range events {
		if i > 0 && e.Position <= events[i-1].Position {
			w.contradiction("event %d after %d", e.Position, events[i-1].Position)
		}
		before := state[e.Handle]
		switch e.Kind {
		case lease.Granted:
			if before != "" && before != lease.Denied {
				w.contradiction("%s: granted after %s", e.Handle, before)
			}
		case lease.Denied:
		default:
			if before != lease.Granted {
				w.contradiction("%s: %s after %q", e.Handle, e.Kind, before)
			}
		}
		state[e.Handle] = e.Kind
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.spans {
		if state[s.handle] == "" && w.wrong == "" {
			w.wrong = fmt.Sprintf("%s had a seat, and no event tells", s.handle)
		}
	}
}
