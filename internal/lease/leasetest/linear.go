package leasetest

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

const linearQuantity = 3

type linearIn struct {
	release bool
	handle  string
}

type linearOut struct {
	seat   uint32
	denied bool
}

// linearModel is a pool of a few seats: state is who holds which.
func linearModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return map[string]uint32{} },
		Step: func(state, input, output any) (bool, any) {
			held, in, out := state.(map[string]uint32), input.(linearIn), output.(linearOut)
			next := maps.Clone(held)
			switch {
			case in.release:
				delete(next, in.handle)
				return true, next
			case out.denied:
				return len(held) >= linearQuantity, held
			}
			for _, seat := range held {
				if seat == out.seat {
					return false, held
				}
			}
			next[in.handle] = out.seat
			return len(held) < linearQuantity, next
		},
		Equal: func(a, b any) bool { return maps.Equal(a.(map[string]uint32), b.(map[string]uint32)) },
	}
}

// linearizable checks that concurrent accesses and releases answer as if each
// had happened at one instant between its call and its answer.
func linearizable(t *testing.T, h Harness) {
	s := kit.Claim(t, h.Store, "a")
	var clock atomic.Int64
	var mu sync.Mutex
	var all []porcupine.Operation
	var denials int
	record := func(client int, in linearIn, f func() linearOut) linearOut {
		call := clock.Add(1)
		out := f()
		back := clock.Add(1)
		mu.Lock()
		defer mu.Unlock()
		if out.denied {
			denials++
		}
		all = append(all, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: back})
		return out
	}
	ctx := context.WithoutCancel(t.Context())
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Go(func() {
			for range 40 {
				r := kit.Request(linearQuantity)
				var tok lease.Ref
				out := record(client, linearIn{handle: r.ID}, func() linearOut {
					g, err := s.Access(ctx, r)
					if err != nil && license.CodeOf(err) != license.CodeNoFreeSeat {
						t.Errorf("Access: %v", err)
					}
					tok = kit.Ref(r, g)
					return linearOut{seat: g.Seat, denied: err != nil}
				})
				if out.denied {
					continue
				}
				<-time.After(rand.N(time.Millisecond))
				record(client, linearIn{release: true, handle: r.ID}, func() linearOut {
					if err := s.Release(ctx, tok); err != nil {
						t.Errorf("Release: %v", err)
					}
					return linearOut{}
				})
			}
		})
	}
	wg.Wait()
	if got := porcupine.CheckOperationsTimeout(linearModel(), all, 30*time.Second); got != porcupine.Ok {
		t.Fatalf("%d operations, %d denials: %v", len(all), denials, got)
	}
	if denials == 0 || denials > 8*40-20 {
		t.Errorf("%d of %d accesses were denied: nothing to see", denials, 8*40)
	}
}
