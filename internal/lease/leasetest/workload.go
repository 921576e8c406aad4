package leasetest

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/history"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

// Workload is a crowd of programs that take, renew, repeat, release and
// forget handles, with takeovers, removals and a changing quantity among them.
type Workload struct {
	// Mixed lets the programs ask in all modes, for several licenses, under caps
	// and holds, and queue; see mixed.
	Mixed   bool
	Clients int
	For     time.Duration // how long they go on
	Lease   time.Duration
	// Linger, if set, lets most released seats linger for so long; each client
	// has two programs then.
	Linger time.Duration
	// Steady leaves out what disturbs: takeovers, removals, quantity changes.
	Steady bool
	// Disturb, if set, runs beside the programs until its context ends: it may
	// kill and restart what the store consists of.
	Disturb func(ctx context.Context)

	// patient: on a slow machine what is rare takes longer to come about, so it
	// goes on up to five times as long.
	patient bool
}

// Seen counts what a workload met.
type Seen struct {
	Granted, Repeated, Denied, Renewed, Expired, Removed, Fenced, Unavailable, Claims, Returned atomic.Int64
	// By Mixed: in the queue, granted out of it, and refused by a station or a cap.
	Queued, Awaited, Busy, Capped atomic.Int64
}

// Run runs the workload on a store, checks the history, and checks that it
// met what it is for.
func (w Workload) Run(t *testing.T, s lease.Store) *history.History {
	t.Helper()
	w.patient = true
	h, seen := w.Record(t, s)
	for _, v := range h.Check() {
		t.Error(v)
		for _, o := range v.Calls { // times of both clocks
			t.Logf("%s %s seat %d n %d %q: %v to %v", o.Handle, o.Kind, o.Seat, o.N, o.Code, o.Start, o.End)
		}
	}
	t.Logf("granted %d, repeated %d, denied %d, renewed %d, expired %d, removed %d, fenced %d, unavailable %d, claims %d, came back %d, "+
		"queued %d, awaited %d, stations busy %d, capped %d",
		seen.Granted.Load(), seen.Repeated.Load(), seen.Denied.Load(), seen.Renewed.Load(), seen.Expired.Load(),
		seen.Removed.Load(), seen.Fenced.Load(), seen.Unavailable.Load(), seen.Claims.Load(), seen.Returned.Load(),
		seen.Queued.Load(), seen.Awaited.Load(), seen.Busy.Load(), seen.Capped.Load())
	for _, what := range w.unseen(seen) {
		t.Errorf("the workload never saw: %s", what)
	}
	return h
}

// unseen is what the workload is for and hasn't met.
func (w Workload) unseen(seen *Seen) (missing []string) {
	must := map[string]*atomic.Int64{
		"granted": &seen.Granted, "repeated": &seen.Repeated, "denied": &seen.Denied,
		"renewed": &seen.Renewed,
	}
	if w.Steady {
		must["expired"] = &seen.Expired
	} else {
		must["fenced"], must["removed"], must["claims"] = &seen.Fenced, &seen.Removed, &seen.Claims
	}
	if w.Linger > 0 {
		must["came back to a lingering seat"] = &seen.Returned
	}
	if w.Mixed {
		must["queued"], must["granted out of the queue"] = &seen.Queued, &seen.Awaited
		must["refused by an exclusive use"], must["refused by a cap"] = &seen.Busy, &seen.Capped
	}
	for what, n := range must {
		if n.Load() == 0 {
			missing = append(missing, what)
		}
	}
	return missing
}

// Record runs the workload and gives what its programs saw, unchecked.
func (w Workload) Record(t *testing.T, s lease.Store) (*history.History, *Seen) {
	t.Helper()
	r := &crowd{
		Workload: w, store: s,
		history: &history.History{Margin: lease.Margin + w.Lease/2},
		held:    map[string]lease.Ref{}, left: map[place]lease.Holder{},
	}
	r.quantity.Store(r.usual())
	first, err := s.Claim(t.Context(), kit.Group, "first")
	kit.OK(t, "Claim", err)
	r.seats.Store(&first)
	r.before.Store(&first)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		wait(ctx, w.For)
		for waited := w.For; w.patient && waited < 5*w.For && len(w.unseen(&r.seen)) > 0; waited += w.Lease {
			wait(ctx, w.Lease)
		}
	})
	for i := range w.Clients {
		wg.Go(func() { r.program(ctx, i, rand.New(rand.NewPCG(uint64(i), 17))) })
	}
	wg.Go(func() { r.every(ctx, w.Lease/3, func(*rand.Rand) { r.expire(ctx) }) })
	if !w.Steady {
		wg.Go(func() { r.every(ctx, w.For/4, func(*rand.Rand) { r.claim(ctx) }) })
		wg.Go(func() { r.every(ctx, w.Lease/4, r.remove) })
		wg.Go(func() {
			r.every(ctx, w.Lease/2, func(rnd *rand.Rand) { r.quantity.Store(r.usual()/2 + rnd.Uint32N(r.usual()+1)) })
		})
	}
	if w.Disturb != nil {
		wg.Go(func() { w.Disturb(ctx) })
	}
	wg.Wait()
	return r.history, &r.seen
}

type crowd struct {
	Workload
	store    lease.Store
	history  *history.History
	quantity atomic.Uint32
	seats    atomic.Pointer[lease.Seats]
	before   atomic.Pointer[lease.Seats] // of an earlier leader
	seen     Seen

	mu   sync.Mutex
	held map[string]lease.Ref
	left map[place]lease.Holder // grants whose seats were left lingering
}

type place struct {
	seat uint32
	n    uint64
}

// wait lets d pass and says whether the workload goes on.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (r *crowd) every(ctx context.Context, d time.Duration, f func(*rand.Rand)) {
	rnd := rand.New(rand.NewPCG(uint64(d), 23))
	for wait(ctx, d/2+rand.N(d)) {
		f(rnd)
	}
}

// call calls f, outside the workload's end, and records the outcome.
func (r *crowd) call(o history.Op, f func(ctx context.Context, o *history.Op) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*r.Lease)
	defer cancel()
	o.Start = time.Now()
	err := f(ctx, &o)
	o.End = time.Now()
	o.Code = license.CodeOf(err)
	switch o.Code {
	case license.CodeNoFreeSeat:
		r.seen.Denied.Add(1)
	case license.CodeHandleExpired:
		r.seen.Expired.Add(1)
	case license.CodeHandleRemoved:
		r.seen.Removed.Add(1)
	case license.CodeFenced:
		r.seen.Fenced.Add(1)
	case license.CodeQueued:
		r.seen.Queued.Add(1)
	case license.CodeStationBusy:
		r.seen.Busy.Add(1)
	case license.CodeLimitReached:
		r.seen.Capped.Add(1)
	case license.CodeUnavailable:
		r.seen.Unavailable.Add(1)
	}
	r.history.Record(o)
	return err
}

func (r *crowd) claim(ctx context.Context) {
	_ = r.call(history.Op{Kind: history.Claim, Pool: kit.Pool}, func(_ context.Context, _ *history.Op) error {
		s, err := r.store.Claim(ctx, kit.Group, "next")
		if err == nil {
			r.seen.Claims.Add(1)
			r.before.Store(r.seats.Swap(&s))
		}
		return err
	})
}

func (r *crowd) expire(ctx context.Context) { _, _ = (*r.seats.Load()).Expire(ctx) }

func (r *crowd) remove(*rand.Rand) {
	r.mu.Lock()
	var victim string
	for victim = range r.held {
		break
	}
	delete(r.held, victim)
	r.mu.Unlock()
	if victim == "" {
		return
	}
	_ = r.call(history.Op{Kind: history.Remove, Pool: kit.Pool, Handle: victim}, func(ctx context.Context, _ *history.Op) error {
		return (*r.seats.Load()).Remove(ctx, kit.Pool, lease.Removal{Handle: victim, By: "root"})
	})
}

// leader is whom a program asks: mostly the newest.
func (r *crowd) leader(rnd *rand.Rand) lease.Seats {
	if rnd.IntN(12) == 0 {
		return *r.before.Load()
	}
	return *r.seats.Load()
}

func (r *crowd) access(rnd *rand.Rand, q lease.Request) (lease.Grant, error) {
	var g lease.Grant
	err := r.call(history.Op{Kind: history.Access, Pool: kit.Pool, Handle: q.ID, Quantity: q.Quantity, Lease: r.Lease, Holder: q.Holder(), Request: q}, func(ctx context.Context, o *history.Op) (err error) {
		g, err = r.leader(rnd).Access(ctx, q)
		o.Seat, o.N = g.Seat, g.N
		return err
	})
	return g, err
}

func (r *crowd) renew(rnd *rand.Rand, tok lease.Ref) error {
	return r.call(history.Op{Kind: history.Confirm, Pool: kit.Pool, Handle: tok.Handle, Lease: r.Lease}, func(ctx context.Context, o *history.Op) error {
		g, err := r.leader(rnd).Renew(ctx, tok)
		o.Seat, o.N = g.Seat, g.N
		if err == nil {
			r.seen.Renewed.Add(1)
		}
		return err
	})
}

func (r *crowd) check(rnd *rand.Rand, tok lease.Ref) {
	_ = r.call(history.Op{Kind: history.Confirm, Pool: kit.Pool, Handle: tok.Handle}, func(ctx context.Context, _ *history.Op) error {
		return r.leader(rnd).Check(ctx, tok)
	})
}

func (r *crowd) release(rnd *rand.Rand, tok lease.Ref) {
	if rnd.IntN(4) > 0 {
		tok.Linger = r.Linger
	}
	r.mu.Lock()
	delete(r.held, tok.Handle)
	if tok.Linger > 0 {
		r.left[place{tok.Seat, tok.N}] = lease.Request{Mode: tok.Mode, Station: tok.Station, Client: tok.Client}.Holder()
	}
	r.mu.Unlock()
	_ = r.call(history.Op{Kind: history.Release, Pool: kit.Pool, Handle: tok.Handle, Linger: tok.Linger}, func(ctx context.Context, _ *history.Op) error {
		return r.leader(rnd).Release(ctx, tok)
	})
}

// rest is how long a program pauses between two handles: every other time until
// its seat lingers no more.
func (r *crowd) rest(rnd *rand.Rand) time.Duration {
	d := 1 + rand.N(r.Lease/4)
	if rnd.IntN(2) == 0 {
		d += r.Linger * 3 / 2
	}
	return d
}

// program starts one program after the other.
func (r *crowd) program(ctx context.Context, i int, rnd *rand.Rand) {
	for wait(ctx, r.rest(rnd)) {
		q := r.wanted(i, rnd)
		g, err := r.access(rnd, q)
		// The answer may be lost, or the leader be an old one: ask again.
		for range 3 {
			if err == nil && rnd.IntN(3) > 0 || refused(err) {
				break
			}
			g, err = r.access(rnd, q)
		}
		if license.CodeOf(err) == license.CodeQueued {
			g, err = r.queue(ctx, rnd, q)
		}
		if err != nil {
			continue
		}
		r.seen.Granted.Add(1)
		if g.Repeated {
			r.seen.Repeated.Add(1)
		}
		tok := kit.Ref(q, g)
		r.mu.Lock()
		r.held[tok.Handle] = tok
		if who, ok := r.left[place{g.Seat, g.N - 1}]; ok && who == q.Holder() {
			r.seen.Returned.Add(1)
		}
		r.mu.Unlock()
		r.hold(ctx, rnd, tok)
	}
}

// refused says whether asking again has no point for now.
func refused(err error) bool {
	switch license.CodeOf(err) {
	case license.CodeNoFreeSeat, license.CodeStationBusy, license.CodeLimitReached, license.CodeQueued:
		return true
	}
	return false
}

// hold lets a program work with its handle until it ends one way or another.
func (r *crowd) hold(ctx context.Context, rnd *rand.Rand, tok lease.Ref) {
	for range rnd.IntN(6) {
		pause := r.Lease/5 + time.Duration(rnd.Int64N(int64(r.Lease/4)))
		switch rnd.IntN(12) {
		case 0: // killed
			return
		case 1: // stopped for longer than the lease
			pause = r.Lease + r.Lease/4 + time.Duration(rnd.Int64N(int64(r.Lease)))
		case 2:
			r.check(rnd, tok)
		}
		if !wait(ctx, pause) {
			return
		}
		switch license.CodeOf(r.renew(rnd, tok)) {
		case "", license.CodeFenced, license.CodeUnavailable:
		default:
			return
		}
	}
	r.release(rnd, tok)
	if rnd.IntN(4) == 0 {
		_ = r.renew(rnd, tok)
		r.release(rnd, tok)
	}
}
