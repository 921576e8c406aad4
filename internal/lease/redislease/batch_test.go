package redislease

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

// gate holds what a client sends until it is open, and notes how many commands
// came together.
type gate struct {
	open chan struct{}

	mu   sync.Mutex
	sent []int
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if name := cmds[0].Name(); name != "evalsha" && name != "eval" {
			return next(ctx, cmds) // a connection's beginning
		}
		g.mu.Lock()
		g.sent = append(g.sent, len(cmds))
		g.mu.Unlock()
		<-g.open
		return next(ctx, cmds)
	}
}

// gated gives seats whose calls a gate holds from now on, and the calls' queue.
func gated(t *testing.T) (lease.Seats, *gate, *batches, *redis.Client) {
	t.Helper()
	group := license.Serial{Mask: license.MaskVirtual, Number: 1}
	client := redis.NewClient(&redis.Options{Addr: testenv.Redis(t).Addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	s := New(client, Options{})
	t.Cleanup(func() { _ = s.Close() })
	seats, err := s.Claim(t.Context(), group, "test")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{open: make(chan struct{})}
	client.AddHook(g)
	return seats, g, s.batches(group), client
}

func access(ctx context.Context, s lease.Seats) error {
	group := license.Serial{Mask: license.MaskVirtual, Number: 1}
	_, err := s.Access(ctx, lease.Request{
		ID: uuid.NewString(), Pool: lease.Pool{Container: group, Product: license.Product{Firm: 1, Code: 2}},
		Mode: license.UserLimit, Quantity: 1000, Lease: time.Minute,
	})
	return err
}

// start makes n calls, and returns when they and the others are sent or wait.
func start(t *testing.T, s lease.Seats, g *gate, b *batches, n, others int) (wait func()) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := access(context.Background(), s); err != nil {
				t.Error(err)
			}
		})
	}
	g.await(t, b, n+others)
	return wg.Wait
}

// await waits until n calls are held or wait.
func (g *gate) await(t *testing.T, b *batches, n int) {
	t.Helper()
	testenv.Eventually(t, 10*time.Second, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		g.mu.Lock()
		defer g.mu.Unlock()
		there := len(b.waiting)
		for _, sent := range g.sent {
			there += sent
		}
		if there != n || len(b.waiting) > 0 && len(g.sent) != mostBatches {
			return fmt.Errorf("%d calls are there", there)
		}
		return nil
	})
}

// Calls that come while others are under way are sent together.
func TestCallsTogether(t *testing.T) {
	seats, g, b, client := gated(t)
	wait := start(t, seats, g, b, 100, 0)
	if err := client.ScriptFlush(t.Context()).Err(); err != nil { // and Redis knows none of their scripts
		t.Fatal(err)
	}
	close(g.open)
	wait()
	if len(g.sent) > 8 { // each is sent twice, in full the second time
		t.Errorf("100 calls were sent in batches of %v", g.sent)
	}
	for _, n := range g.sent {
		if n > mostCalls {
			t.Errorf("a batch had %d calls", n)
		}
	}
	u, err := seats.Usage(t.Context(), lease.Pool{Container: license.Serial{Mask: license.MaskVirtual, Number: 1}, Product: license.Product{Firm: 1, Code: 2}})
	if err != nil || u.Taken != 100 {
		t.Errorf("%d taken, %v", u.Taken, err)
	}
	testenv.Eventually(t, 10*time.Second, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.running != 0 || len(b.waiting) != 0 {
			return fmt.Errorf("%d run, %d wait", b.running, len(b.waiting))
		}
		return nil
	})
}

// Who waits no more leaves at once, whether his call was sent or not; the others
// have their answers.
func TestCallerLeaves(t *testing.T) {
	seats, g, b, _ := gated(t)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 2)
	go func() { left <- access(ctx, seats) }()
	wait := start(t, seats, g, b, 10, 1)
	go func() { left <- access(ctx, seats) }()
	g.await(t, b, 12)
	cancel()
	for range 2 {
		if err := <-left; license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("who left has %v", err)
		}
	}
	close(g.open)
	wait()
}
