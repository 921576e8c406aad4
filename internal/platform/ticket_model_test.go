package platform_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/tickets"
	"github.com/quorate/quorate/internal/store"
)

// TestTicketIsNeverOverdrawn: whoever activates and returns at the same time, and
// whatever is broken off in between and repeated, a ticket's line never brings
// more than it has, and what came of it is what callers were told.
func TestTicketIsNeverOverdrawn(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		const has, callers, rounds = 24, 4, 2
		s := newSale(l)
		row, code := s.ticket(has)
		group := core.Place{Group: s.made.Group.VirtualSerial}
		boxes := []*box{s.one, s.two}
		var mu sync.Mutex
		bought, back := 0, 0                  // that callers were told of
		mine := map[string]int{}              // by activation: what is there
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: a test
		check := func(what string) {
			t.Helper()
			sum := 0
			c := s.Store().Client()
			for _, a := range c.TicketActivation.Query().AllX(s.system()) {
				sum += a.Quantity - a.Returned
			}
			if got := s.activated(row.ID); got != bought-back || got != sum || got > has || got < 0 {
				t.Fatalf("%s: %d of %d are activated, callers were told %d, activations have %d", what, got, has, bought-back, sum)
			}
		}
		for round := range rounds {
			var all sync.WaitGroup
			usedUp := false
			for caller := range callers {
				mu.Lock()
				seed := rand.New(rand.NewPCG(uint64(round), uint64(caller))) //nolint:gosec // G404: a test
				mu.Unlock()
				all.Go(func() {
					for n := range 4 {
						ask := s.part(code, s.one.place(), 1+seed.IntN(4))
						switch seed.IntN(3) {
						case 0:
							ask.Targets = append(ask.Targets, tickets.Target{At: s.two.place(), Shares: s.share(1)})
						case 1:
							ask.Targets[0].At = group
						}
						ask.IdempotencyKey = fmt.Sprintf("%d/%d/%d", round, caller, n)
						out, err := s.brokenOff(seed, ask)
						mu.Lock()
						switch license.CodeOf(err) {
						case "":
							for _, a := range out.Activations {
								bought += a.Quantity
								if a.ContainerID != nil {
									mine[a.ID] = a.Quantity
								}
							}
						case license.CodeTicketUsedUp:
							usedUp = true
						default:
							t.Errorf("%v: %v", err, store.Away(err))
						}
						mu.Unlock()
					}
				})
			}
			all.Wait()
			check("after activations")
			if !usedUp {
				t.Error("callers never asked for more than there was")
			}
			for _, b := range boxes {
				b.rollIfDue()
			}
			// Each activation is returned by two callers at once, of whom one may be
			// refused.
			sent := 0
			for id, there := range mine {
				n := 1 + random.IntN(there)
				for range 2 {
					all.Go(func() {
						_, err := s.ReturnLicenses(s.buyer, orders.TransferRequest{Activation: id, Quantity: n})
						mu.Lock()
						defer mu.Unlock()
						switch license.CodeOf(err) {
						case "":
							sent += n
							mine[id] -= n
						case license.CodeConflict:
						default:
							t.Errorf("%v", err)
						}
					})
				}
				all.Wait()
				if mine[id] < 0 {
					t.Fatalf("more went back than was there: %d", mine[id])
				}
				if mine[id] == 0 {
					delete(mine, id)
				}
			}
			check("before returns are confirmed")
			for _, b := range boxes {
				b.rollIfDue()
			}
			back += sent
			check("after returns")
			there := 0
			for _, n := range mine {
				there += n
			}
			if got := s.one.quantity() + s.two.quantity(); got != there {
				t.Errorf("the containers hold %d, want %d", got, there)
			}
		}
	})
}

// brokenOff asks again and again, as a client does whose connection breaks off,
// until there is an answer.
func (s *sale) brokenOff(random *rand.Rand, ask tickets.Activation) (tickets.Activated, error) {
	for try := 0; ; try++ {
		ctx, cancel := s.buyer, context.CancelFunc(func() {})
		if try < 3 {
			ctx, cancel = context.WithTimeout(s.buyer, time.Duration(random.IntN(4000))*time.Microsecond)
		}
		out, err := s.ActivateTicket(ctx, ask)
		cancel()
		// A call that was broken off has no answer: it may have happened.
		if err == nil || !late(err) || try >= 3 {
			return out, err
		}
	}
}

// late says whether there was no time left. Drivers have words of their own for it.
func late(err error) bool {
	return license.CodeOf(err) == license.CodeInternal || errors.Is(err, context.DeadlineExceeded)
}

// rollIfDue rolls out by files where something is due.
func (b *box) rollIfDue() {
	b.l.t.Helper()
	r, err := b.l.StartOfflineRollout(b.l.vendor(), b.place(), b.request())
	if license.CodeOf(err) == license.CodeRolloutUpToDate {
		return
	}
	if err != nil {
		b.l.t.Fatal(err)
	}
	var row *ent.Rollout
	if row, err = b.l.FinishOfflineRollout(b.l.vendor(), r.Row.ID, b.apply(r.Update, 0)); err != nil || row.State != property.RolloutDone {
		b.l.t.Fatalf("%+v, %v", row, err)
	}
}
