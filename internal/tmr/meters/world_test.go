package meters_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/tmr/meters"
)

// A world of rival leaders, clients that repeat what got no answer, and backends
// behind a network that delays, loses and delivers late. Meters are the real
// ones; variants break one rule each, at the border where it shows, and have to
// be caught.
type variant struct {
	noPromise   bool // a promise is not kept
	oneWrite    bool // a write that one backend alone has counts as two
	noWriteBack bool // what was read is not written under the own epoch
	staleRead   bool // one backend alone is read
	sameEpoch   bool // some leaders have one epoch
	forgetful   bool // the last takings are not kept with the meter
	lowered     bool // a write of fewer units is taken under the same epoch
	unconfirmed bool // a leader isn't told of what newer ones did
}

const (
	granted = 70
	clients = 5
	each    = 6
)

var errLost = errors.New("no answer came")

// disk is the durable side of a backend. It outlives its process.
type disk struct {
	mu       sync.Mutex
	promised uint64
	meter    license.Meter
	has      bool
}

func (d *disk) promise(v variant, epoch uint64) (license.Meter, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.unconfirmed && epoch < d.promised {
		return license.Meter{}, false, nil
	}
	if epoch < d.promised {
		return license.Meter{}, false, license.Errorf(license.CodeFenced, "x", "promised %d", d.promised)
	}
	if !v.noPromise {
		d.promised = max(d.promised, epoch)
	}
	return d.meter, d.has, nil
}

func (d *disk) write(v variant, m license.Meter) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	lower := d.has && (m.Epoch < d.meter.Epoch || (m.Epoch == d.meter.Epoch && m.Units < d.meter.Units && !v.lowered))
	if m.Epoch < d.promised || lower {
		return license.Errorf(license.CodeFenced, "x", "promised %d", d.promised)
	}
	if v.forgetful {
		m.Recent = nil
	}
	if !v.noPromise {
		d.promised = m.Epoch
	}
	d.meter, d.has = m, true
	return nil
}

type world struct {
	v       variant
	disks   [license.Backends]*disk
	network sync.WaitGroup // late deliveries

	mu      sync.Mutex
	rand    *rand.Rand
	calm    bool // no more faults
	down    [license.Backends]bool
	leaders []*leader
	acked   map[string]ack
	asked   map[asking]uint64
	wrong   string // the first contradiction
	seen    counters
}

// asking is a request, of a leader or, with epoch zero, of anyone.
type asking struct {
	request string
	epoch   uint64
}

type ack struct {
	n, left uint64
	at      time.Time
}

type counters struct{ runs, acked, late, rivals, fenced, repeats, noUnits, unsure, reads int }

func (c *counters) add(o counters) {
	c.runs, c.acked, c.late, c.rivals = c.runs+1, c.acked+o.acked, c.late+o.late, c.rivals+o.rivals
	c.fenced, c.repeats, c.noUnits, c.unsure, c.reads = c.fenced+o.fenced, c.repeats+o.repeats, c.noUnits+o.noUnits, c.unsure+o.unsure, c.reads+o.reads
}

type leader struct {
	epoch  uint64
	meters *meters.Meters
	world  *world
	dead   bool                   // killed: nothing gets through any more, either way
	cut    [license.Backends]bool // from a backend
	life   context.Context        // of its clients' calls
	end    context.CancelFunc
}

func (w *world) chance(percent int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(100) < percent
}

func (w *world) number(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

func (w *world) contradiction(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
	}
}

func (w *world) count(c *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*c++
}

// wire is a leader's way to a backend.
type wire struct {
	l *leader
	i int
}

func (x wire) through() bool {
	x.l.world.mu.Lock()
	defer x.l.world.mu.Unlock()
	return !x.l.dead && !x.l.cut[x.i] && !x.l.world.down[x.i]
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send brings f to the backend and its answer back, or not.
func (x wire) send(ctx context.Context, f func() error) error {
	w := x.l.world
	w.mu.Lock()
	calm, fate := w.calm, w.rand.IntN(100)
	way := time.Duration(1+w.rand.IntN(40)) * time.Millisecond
	back := time.Duration(1+w.rand.IntN(40)) * time.Millisecond
	late := time.Duration(1+w.rand.IntN(4000)) * time.Millisecond
	w.mu.Unlock()
	if err := pause(ctx, way); err != nil {
		return err
	}
	switch {
	case calm:
	case fate < 12 || !x.through(): // lost on the way, at once or in silence
		if fate%2 == 0 {
			<-ctx.Done()
		}
		return errLost
	case fate < 20: // delivered when nobody waits any more
		w.network.Go(func() {
			time.Sleep(late)
			w.mu.Lock()
			down := w.down[x.i]
			w.seen.late++
			w.mu.Unlock()
			if !down {
				_ = f()
			}
		})
		return errLost
	}
	err := f()
	if perr := pause(ctx, back); perr != nil {
		return perr
	}
	if !calm && (fate < 32 || !x.through()) {
		return errLost
	}
	return err
}

func (x wire) Promise(ctx context.Context, epoch uint64, p license.Product, issue uint32) (m license.Meter, found bool, err error) {
	v := x.l.world.v
	type answer struct {
		m     license.Meter
		found bool
	}
	got := make(chan answer, 1)
	err = x.send(ctx, func() error {
		m, found, err := x.l.world.disks[x.i].promise(v, epoch)
		if err == nil {
			got <- answer{m, found}
		}
		return err
	})
	if err != nil {
		return m, false, err
	}
	a := <-got
	if v.staleRead && x.i != int(epoch%license.Backends) {
		return license.Meter{}, false, nil
	}
	return a.m, a.found, nil
}

func (x wire) Write(ctx context.Context, m license.Meter) error {
	v := x.l.world.v
	if v.noWriteBack {
		x.l.world.mu.Lock()
		taken := false
		for _, t := range m.Recent {
			taken = taken || x.l.world.asked[asking{t.Request, x.l.epoch}] != 0
		}
		x.l.world.mu.Unlock()
		if !taken {
			return nil
		}
	}
	err := x.send(ctx, func() error { return x.l.world.disks[x.i].write(v, m) })
	if v.oneWrite && x.i == int(m.Epoch%license.Backends) && err != nil {
		return nil
	}
	return err
}

// lead makes a leader with a new epoch.
func (w *world) lead() *leader {
	w.mu.Lock()
	defer w.mu.Unlock()
	epoch := uint64(len(w.leaders) + 1)
	if w.v.sameEpoch {
		epoch = (epoch + 3) / 4
	}
	l := &leader{epoch: epoch, world: w}
	l.life, l.end = context.WithCancel(context.Background())
	l.meters = meters.New([license.Backends]meters.Backend{wire{l, 0}, wire{l, 1}, wire{l, 2}})
	w.leaders = append(w.leaders, l)
	return l
}

// anyone gives the newest leader, or now and then one before.
func (w *world) anyone() *leader {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := len(w.leaders) - 1
	if at > 0 && w.rand.IntN(100) < 25 {
		at--
		w.seen.rivals++
	}
	if w.v.sameEpoch { // all of an epoch may be asked
		at = max(0, len(w.leaders)-1-w.rand.IntN(4))
	}
	return w.leaders[at]
}
