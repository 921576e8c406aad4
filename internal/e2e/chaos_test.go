package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/history"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

const (
	chaosPrograms = 24
	chaosStaying  = 10 // of them take one handle and keep it
	chaosQuantity = 20
	// calm is what follows a fault: most handles are renewed in it.
	calm      = 2 * time.Second
	shortCalm = calm / 4
)

// TestChaos: 24 programs take, hold and release 20 licenses while the TMR
// servers are killed, stopped, paused and restarted, and so are the backends with
// their journals of seats, one fault at a time. At no instant are more handles valid than licenses are in
// force, no seat is given twice, and no program loses its handle.
func TestChaos(t *testing.T) {
	l := newLab(t, labConfig{})
	c := newChaos(t, l)
	c.begin()
	c.recovered()

	pause := func(s int) {
		c.fault(fmt.Sprintf("%s pauses", tmrName(s)))
		l.tmr[s].signal(syscall.SIGSTOP)
		time.Sleep(2500 * time.Millisecond) // longer than an election's term: the other one takes over
		l.tmr[s].signal(syscall.SIGCONT)
		c.recovered()
	}
	restart := func(s int, how syscall.Signal) {
		c.fault(fmt.Sprintf("%s gets %s", tmrName(s), how))
		_ = l.tmr[s].end(how)
		l.set(&l.tmr[s], tmrName(s), true)
		c.recovered()
	}
	restart(c.leader(), syscall.SIGKILL)
	pause(c.leader())
	// Each backend once, its journal of seats with it; the last one loses it.
	for i := range l.backends {
		name := fmt.Sprintf("backend-%d", i+1)
		c.fault(name + " is killed")
		l.set(&l.backends[i], name, false)
		c.recovered()
		if i == 2 {
			c.fault(name + " lost its journal")
			if err := os.Remove(l.path(name + ".journal")); err != nil {
				t.Fatal(err)
			}
		}
		l.set(&l.backends[i], name, true)
		c.recovered()
	}
	c.fault("a backend pauses") // for less than it takes to count as absent, and longer than any call
	l.backends[0].signal(syscall.SIGSTOP)
	time.Sleep(1500 * time.Millisecond)
	l.backends[0].signal(syscall.SIGCONT)
	c.recovered()
	restart(1-c.leader(), syscall.SIGKILL)
	if !testing.Short() { // once more, with the other one leading
		pause(c.leader())
	}
	restart(c.leader(), syscall.SIGINT)

	c.end()
}

// signal doesn't wait for anything.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

type chaos struct {
	t       *testing.T
	lab     *lab
	pool    lease.Pool
	history history.History
	began   time.Time

	ctx     context.Context // ended by end
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	holders map[*client.Handle]struct{}
	grants  int
	refused int
	name    string // of the last fault
}

func newChaos(t *testing.T, l *lab) *chaos {
	serial, err := license.ParseSerial(virtual)
	if err != nil {
		t.Fatal(err)
	}
	p, err := license.ParseProduct(product)
	if err != nil {
		t.Fatal(err)
	}
	c := &chaos{
		t: t, lab: l, pool: lease.Pool{Container: serial, Product: p}, began: time.Now(),
		history: history.History{Margin: lease.Margin}, holders: map[*client.Handle]struct{}{},
	}
	c.history.SetQuantity(c.pool, chaosQuantity, c.began, c.began)
	c.ctx, c.cancel = context.WithCancel(t.Context())
	t.Cleanup(func() { c.cancel(); c.running.Wait() })
	return c
}

func (c *chaos) begin() {
	for i := range chaosPrograms {
		sdk, err := client.Open(c.ctx, client.Config{
			Servers: c.lab.programServers(), Application: "chartproc", User: fmt.Sprintf("user%02d", i), Wait: 20 * time.Second,
		})
		if err != nil {
			c.t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(uint64(i), 7))
		c.running.Go(func() {
			defer sdk.Close()
			for c.ctx.Err() == nil {
				hold := time.Duration(50+random.IntN(3000)) * time.Millisecond
				if i < chaosStaying {
					hold = time.Hour
				}
				c.program(sdk, hold)
				c.sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			}
		})
	}
}

func (c *chaos) sleep(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-c.ctx.Done():
		return false
	}
}

// program is one life of a program; every call of it goes into the history.
func (c *chaos) program(sdk *client.Client, hold time.Duration) {
	op := history.Op{Kind: history.Access, Pool: c.pool, Start: time.Now()}
	h, err := sdk.Access(context.Background(), product)
	op.End, op.Code = time.Now(), license.Code(client.CodeOf(err))
	if err != nil {
		op.Handle = fmt.Sprintf("refused %p %d", sdk, op.Start.UnixNano())
		c.history.Record(op)
		if op.Code != license.CodeNoFreeSeat {
			c.t.Errorf("access under %q: %v", c.now(), err)
		}
		c.mu.Lock()
		c.refused++
		c.mu.Unlock()
		return
	}
	info := h.Info()
	op.Handle, op.Seat = info.ID, info.Seat
	until := time.Now().Add(info.Remaining) // a little early, as time passed since
	op.Lease = until.Sub(op.Start)
	c.history.Record(op)
	c.mu.Lock()
	c.holders[h] = struct{}{}
	c.grants++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.holders, h)
		c.mu.Unlock()
	}()

	over := time.Now().Add(hold)
	for looked := time.Now(); time.Now().Before(over) && c.sleep(100*time.Millisecond); {
		if err := h.Err(); err != nil {
			c.history.Record(history.Op{Kind: history.Confirm, Pool: c.pool, Handle: info.ID, Start: looked, End: time.Now(), Code: license.Code(client.CodeOf(err))})
			c.t.Errorf("a handle on seat %d is lost under %q: %v", info.Seat, c.now(), err)
			return
		}
		now := time.Now()
		if later := now.Add(h.Info().Remaining); later.Sub(until) > 50*time.Millisecond { // renewed since the last look
			c.history.Record(history.Op{Kind: history.Confirm, Pool: c.pool, Handle: info.ID, Seat: info.Seat, Start: looked, End: now, Lease: later.Sub(looked)})
			until = later
		}
		looked = now
	}
	op = history.Op{Kind: history.Release, Pool: c.pool, Handle: info.ID, Start: time.Now()}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err = h.Release(ctx)
	op.End, op.Code = time.Now(), license.Code(client.CodeOf(err))
	c.history.Record(op)
	if err != nil {
		c.t.Errorf("release under %q: %v", c.now(), err)
	}
}

func (c *chaos) fault(name string) {
	c.t.Logf("%5.1fs %s", time.Since(c.began).Seconds(), name)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name = name
}

func (c *chaos) now() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.name
}

// recovered waits until the last fault is over for every program: somebody got
// a license since, and each handle has been renewed.
func (c *chaos) recovered() {
	c.t.Helper()
	c.mu.Lock()
	before := c.grants
	c.mu.Unlock()
	testenv.Eventually(c.t, 20*time.Second, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.grants == before {
			return fmt.Errorf("no license was given since %q", c.name)
		}
		if len(c.holders) < chaosStaying {
			return fmt.Errorf("%d handles are held", len(c.holders))
		}
		for h := range c.holders {
			// A third of ten seconds, and a quarter of that, passes between renewals.
			if left := h.Info().Remaining; h.Err() == nil && left < 5*time.Second {
				return fmt.Errorf("a handle was not renewed since %q: %s are left", c.name, left)
			}
		}
		return nil
	})
	c.t.Logf("%5.1fs recovered", time.Since(c.began).Seconds())
	if testing.Short() {
		c.sleep(shortCalm)
		return
	}
	c.sleep(calm)
}

// leader gives the index of the TMR server that hands out licenses.
func (c *chaos) leader() int {
	c.t.Helper()
	found := -1
	testenv.Eventually(c.t, 20*time.Second, func() error {
		for i, s := range c.lab.tmr {
			sdk, err := client.Open(c.ctx, client.Config{Servers: []string{s.ready["licenseServer"]}, Wait: 500 * time.Millisecond})
			if err != nil {
				return err
			}
			_, err = sdk.Licenses(c.ctx)
			_ = sdk.Close()
			if err == nil {
				found = i
				return nil
			}
		}
		return fmt.Errorf("nobody leads under %q", c.now())
	})
	return found
}

func (c *chaos) end() {
	c.t.Helper()
	c.cancel()
	c.running.Wait()
	c.t.Logf("%5.1fs: %d handles given, %d refused", time.Since(c.began).Seconds(), c.grants, c.refused)
	for _, v := range c.history.Check() {
		c.t.Error(v)
	}
	if c.grants < 2*chaosPrograms {
		c.t.Errorf("only %d handles were given", c.grants)
	}
}
