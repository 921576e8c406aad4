package leasetest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/history"
	"github.com/quorate/quorate/internal/lease/leasetest"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
)

// broken is a store with one fault.
type broken struct {
	lease.Store
	wrap  func(lease.Seats) lease.Seats
	claim func(lease.Store) lease.Store // nil: the same
}

func (b *broken) Claim(ctx context.Context, g license.Serial, owner string) (lease.Seats, error) {
	if b.claim != nil {
		b.Store = b.claim(b.Store)
	}
	s, err := b.Store.Claim(ctx, g, owner)
	if err != nil {
		return nil, err
	}
	return b.wrap(s), nil
}

// seats passes everything on but what a fault replaces.
type seats struct {
	lease.Seats
	access  func(context.Context, lease.Request) (lease.Grant, error)
	renew   func(context.Context, lease.Ref) (lease.Grant, error)
	release func(context.Context, lease.Ref) error
}

func (s *seats) Access(ctx context.Context, r lease.Request) (lease.Grant, error) {
	if s.access != nil {
		return s.access(ctx, r)
	}
	return s.Seats.Access(ctx, r)
}

func (s *seats) Renew(ctx context.Context, r lease.Ref) (lease.Grant, error) {
	if s.renew != nil {
		return s.renew(ctx, r)
	}
	return s.Seats.Renew(ctx, r)
}

func (s *seats) Release(ctx context.Context, r lease.Ref) error {
	if s.release != nil {
		return s.release(ctx, r)
	}
	return s.Seats.Release(ctx, r)
}

// every says true for every n-th call.
func every(n int) func() bool {
	var mu sync.Mutex
	i := 0
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		i++
		return i%n == 0
	}
}

func TestHistoryCatchesBrokenStores(t *testing.T) {
	pass := func(s lease.Seats) lease.Seats { return s }
	for name, c := range map[string]fault{
		"gives one more than there are": {rule: history.RuleQuantity, wrap: func(s lease.Seats) lease.Seats {
			return &seats{Seats: s, access: func(ctx context.Context, r lease.Request) (lease.Grant, error) {
				r.Quantity++
				return s.Access(ctx, r)
			}}
		}},
		"gives a seat twice when all are taken": {rule: history.RuleSeat, wrap: func(s lease.Seats) lease.Seats {
			now := every(20)
			return &seats{Seats: s, access: func(ctx context.Context, r lease.Request) (lease.Grant, error) {
				g, err := s.Access(ctx, r)
				if license.CodeOf(err) == license.CodeNoFreeSeat && now() {
					all, err := s.List(ctx, r.Pool)
					if err == nil && len(all) > 0 {
						g = all[0].Grant
						g.Handle, g.N = r.ID, g.N+1
						return g, nil
					}
				}
				return g, err
			}}
		}},
		"uses an n again": {rule: history.RuleN, wrap: func(s lease.Seats) lease.Seats {
			return &seats{Seats: s, access: func(ctx context.Context, r lease.Request) (lease.Grant, error) {
				g, err := s.Access(ctx, r)
				g.N = (g.N + 1) / 2
				return g, err
			}}
		}},
		"revives late renewals": {rule: history.RuleRevived, wrap: func(s lease.Seats) lease.Seats {
			return &seats{Seats: s, renew: func(ctx context.Context, r lease.Ref) (lease.Grant, error) {
				g, err := s.Renew(ctx, r)
				if license.CodeOf(err) == license.CodeHandleExpired {
					return lease.Grant{Handle: r.Handle, Pool: r.Pool, Seat: r.Seat, N: r.N, Lease: r.Lease}, nil
				}
				return g, err
			}}
		}},
		"counts a shorter lease than it answers": {rule: history.RuleSeat, wrap: func(s lease.Seats) lease.Seats {
			return &seats{Seats: s, access: func(ctx context.Context, r lease.Request) (lease.Grant, error) {
				full := r.Lease
				r.Lease /= 3
				g, err := s.Access(ctx, r)
				g.Lease = full
				return g, err
			}}
		}},
		"answers renewals without doing them": {rule: history.RuleSeat, wrap: func(s lease.Seats) lease.Seats {
			return &seats{Seats: s, renew: func(ctx context.Context, r lease.Ref) (lease.Grant, error) {
				return lease.Grant{Handle: r.Handle, Pool: r.Pool, Seat: r.Seat, N: r.N, Lease: r.Lease}, s.Check(ctx, r)
			}}
		}},
		"refuses renewals in time": {rule: history.RuleDropped, wrap: func(s lease.Seats) lease.Seats {
			now := every(9)
			return &seats{Seats: s, renew: func(ctx context.Context, r lease.Ref) (lease.Grant, error) {
				if now() {
					return lease.Grant{}, lease.Ended(lease.Expired, r.Handle)
				}
				return s.Renew(ctx, r)
			}}
		}},
		"loses released seats": {rule: history.RuleRefused, wrap: func(s lease.Seats) lease.Seats {
			return &seats{
				Seats:   s,
				release: func(context.Context, lease.Ref) error { return nil },
				access: func(ctx context.Context, r lease.Request) (lease.Grant, error) {
					full := r.Lease
					r.Lease = time.Hour
					g, err := s.Access(ctx, r)
					g.Lease = full
					return g, err
				},
			}
		}},
		"takes a repeat for a new request": {rule: history.RuleAnswer, wrap: func(s lease.Seats) lease.Seats {
			return &seats{Seats: s, access: func(ctx context.Context, r lease.Request) (lease.Grant, error) {
				id := r.ID
				r.ID = uuid.NewString()
				g, err := s.Access(ctx, r)
				g.Handle = id
				return g, err
			}}
		}},
		"forgets all seats at a takeover": {rule: history.RuleSeat, wrap: pass, claim: func(lease.Store) lease.Store {
			s, err := memlease.Open("", memlease.Options{})
			if err != nil {
				panic(err) // nothing to open
			}
			return s
		}}} {
		c.caught(t, name, leasetest.Workload{Clients: 24, For: 3 * time.Minute, Lease: 10 * time.Second})
	}
}

// fault is what a broken store does, and the rule that catches it.
type fault struct {
	rule  string
	wrap  func(lease.Seats) lease.Seats
	claim func(lease.Store) lease.Store
	rare  bool // shows itself seldom
}

func (f fault) caught(t *testing.T, name string, w leasetest.Workload) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			inner, err := memlease.Open("", memlease.Options{})
			if err != nil {
				t.Fatal(err)
			}
			h, _ := w.Record(t, &broken{Store: inner, wrap: f.wrap, claim: f.claim})
			found := h.Check()
			if !slices.ContainsFunc(found, func(v history.Violation) bool { return v.Rule == f.rule }) {
				t.Fatalf("not caught as %q; found %d others", f.rule, len(found))
			}
		})
	})
}

func TestHistoryCatchesBrokenLingers(t *testing.T) {
	// releasing is a store that releases otherwise.
	releasing := func(release func(context.Context, lease.Seats, lease.Ref) error) func(lease.Seats) lease.Seats {
		return func(s lease.Seats) lease.Seats {
			return &seats{Seats: s, release: func(ctx context.Context, r lease.Ref) error { return release(ctx, s, r) }}
		}
	}
	times := func(by, of time.Duration) func(lease.Seats) lease.Seats {
		return releasing(func(ctx context.Context, s lease.Seats, r lease.Ref) error {
			r.Linger = r.Linger * by / of
			return s.Release(ctx, r)
		})
	}
	var released sync.Map
	for name, f := range map[string]fault{
		"frees at once":           {rule: history.RuleLinger, wrap: times(0, 1)},
		"lingers too short":       {rule: history.RuleLinger, wrap: times(1, 2)},
		"lingers too long":        {rule: history.RuleRefused, wrap: times(2, 1)},
		"lingers for every user":  {rule: history.RuleLinger, wrap: asking(func(r *lease.Request) { r.Client.User = "" })},
		"lingers for the process": {rule: history.RuleReturn, wrap: asking(func(r *lease.Request) { r.Client.User += r.ID })},
		"prolongs at each repeat": {rule: history.RuleRefused, wrap: releasing(func(ctx context.Context, s lease.Seats, r lease.Ref) error {
			if _, again := released.LoadOrStore(r.Handle, true); again && r.Linger > 0 {
				q := r.Request()
				q.ID, q.Quantity = uuid.NewString(), 8
				if g, err := s.Access(ctx, q); err == nil {
					r.Handle, r.Seat, r.N, r.Linger = g.Handle, g.Seat, g.N, 2*r.Linger
				}
			}
			return s.Release(ctx, r)
		})},
	} {
		f.caught(t, name, leasetest.Workload{
			Clients: 24, For: 15 * time.Minute, Lease: 10 * time.Second, Linger: 5 * time.Second, Steady: true,
		})
	}
}

// asking is a store that takes requests for others.
func asking(change func(*lease.Request)) func(lease.Seats) lease.Seats {
	return func(s lease.Seats) lease.Seats {
		return &seats{Seats: s, access: func(ctx context.Context, r lease.Request) (lease.Grant, error) {
			change(&r)
			return s.Access(ctx, r)
		}}
	}
}

func TestHistoryCatchesBrokenModes(t *testing.T) {
	instead := func(of, mode license.AccessMode) func(lease.Seats) lease.Seats {
		return asking(func(r *lease.Request) {
			if r.Mode == of {
				r.Mode = mode
			}
		})
	}
	for name, f := range map[string]fault{
		"counts a share per handle":    {rule: history.RuleRefused, wrap: instead(license.StationShare, license.UserLimit)},
		"counts shares not at all":     {rule: history.RuleQuantity, wrap: instead(license.StationShare, license.NoUserLimit)},
		"counts exclusive not at all":  {rule: history.RuleQuantity, wrap: instead(license.Exclusive, license.NoUserLimit)},
		"forgets exclusivity":          {rule: history.RuleStation, wrap: instead(license.Exclusive, license.UserLimit)},
		"is exclusive for user limits": {rule: history.RuleRefused, wrap: instead(license.UserLimit, license.Exclusive)},
		"shares with all stations": {rule: history.RuleQuantity, wrap: asking(func(r *lease.Request) {
			if r.Mode == license.StationShare {
				r.Station = "anywhere"
			}
		})},
		"ignores how many are asked for": {rule: history.RuleQuantity, wrap: asking(func(r *lease.Request) { r.Licenses = 1 })},
		"has a cap off by one": {rule: history.RuleCap, wrap: asking(func(r *lease.Request) {
			for i := range r.Limits.Caps {
				r.Limits.Caps = []lease.Cap{{Tag: r.Limits.Caps[i].Tag, Most: r.Limits.Caps[i].Most + 1}}
			}
		})},
		"caps at nothing": {rule: history.RuleRefused, wrap: asking(func(r *lease.Request) {
			for i := range r.Limits.Caps {
				r.Limits.Caps = []lease.Cap{{Tag: r.Limits.Caps[i].Tag}}
			}
		})},
		"forgets tags":  {rare: true, rule: history.RuleCap, wrap: asking(func(r *lease.Request) { r.Limits.Tags = nil })},
		"ignores holds": {rule: history.RuleHold, wrap: asking(func(r *lease.Request) { r.Limits.Holds = nil })},
		"holds back too much": {rule: history.RuleRefused, wrap: asking(func(r *lease.Request) {
			if len(r.Limits.Holds) > 0 {
				r.Limits.Holds = []lease.Hold{{Tag: r.Limits.Holds[0].Tag, Least: 8}}
			}
		})},
		"lets the queue be jumped": {rule: history.RuleQueue, wrap: func(s lease.Seats) lease.Seats {
			return &seats{Seats: s, access: func(ctx context.Context, r lease.Request) (lease.Grant, error) {
				if r.Wait != nil {
					return s.Access(ctx, r)
				}
				r.Wait = &lease.Wait{Priority: 99, Until: time.Second, Place: time.Millisecond}
				g, err := s.Access(ctx, r)
				if license.CodeOf(err) == license.CodeQueued {
					return g, errors.Join(lease.NoFreeSeat(r.Pool, lease.Shortage{}), s.Leave(ctx, r.Pool, r.ID))
				}
				return g, err
			}}
		}},
		"ignores priorities": {rule: history.RuleQueue, wrap: asking(func(r *lease.Request) {
			if r.Wait != nil {
				r.Wait = &lease.Wait{Until: r.Wait.Until, Place: r.Wait.Place}
			}
		})},
		"keeps places for ever": {rule: history.RuleRefused, wrap: asking(func(r *lease.Request) {
			if r.Wait != nil {
				r.Wait = &lease.Wait{Until: r.Wait.Until, Place: lease.MostPlace}
			}
		})},
		"loses places at once": {rule: history.RuleQueue, wrap: asking(func(r *lease.Request) {
			if r.Wait != nil {
				r.Wait = &lease.Wait{Until: r.Wait.Until, Place: time.Millisecond}
			}
		})},
		"keeps the places of who left": {rule: history.RuleRefused, wrap: func(s lease.Seats) lease.Seats { return stayers{s} }},
	} {
		w := leasetest.Workload{Clients: 64, For: 3 * time.Minute, Lease: 10 * time.Second, Mixed: true, Steady: true}
		if f.rare {
			w.For *= 4
		}
		f.caught(t, name, w)
	}
}

// stayers is a store in which nobody leaves a queue.
type stayers struct{ lease.Seats }

func (stayers) Leave(context.Context, lease.Pool, string) error { return nil }
