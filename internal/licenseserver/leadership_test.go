package licenseserver_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/arbiter"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// role is an arbiter that a test commands.
type role struct{ c chan bool }

func newRole() *role { return &role{make(chan bool)} }

func (r *role) Arbitrate(ctx context.Context, tell func(bool)) {
	for {
		select {
		case <-ctx.Done():
			return
		case lead := <-r.c:
			tell(lead)
		}
	}
}

func (r *role) say(lead bool) {
	r.c <- lead
	synctest.Wait()
}

func (l *lab) election(c *licenseserver.Config) {
	c.Arbiter = arbiter.Election{Elector: &l.elector, Group: servertest.Virtual(), Owner: c.Name}
}

func leads(t *testing.T, s *licenseserver.Server, want bool) uint64 {
	t.Helper()
	synctest.Wait()
	epoch, leading := s.Leading()
	if leading != want {
		t.Errorf("leading %v, want %v", leading, want)
	}
	return epoch
}

func TestStandbyTakesOverWithEverySeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		a := l.start(t, "a", l.election)
		b := l.start(t, "b", l.election)
		apiA, apiB := l.api(t, "a"), l.api(t, "b")
		leads(t, a, true)
		leads(t, b, false)
		_, err := apiB.Access(t.Context(), connect.NewRequest(access(9)))
		wantCode(t, "the standby", err, license.CodeNotLeader)
		_, err = apiB.ListLicenses(t.Context(), connect.NewRequest(&quoratev1.ListLicensesRequest{}))
		wantCode(t, "the standby", err, license.CodeNotLeader)

		first, second := take(t, apiA, access(1)), take(t, apiA, access(2))
		time.Sleep(29 * time.Second)
		changed := b.Changed()
		a.Stop()
		a.Stop()
		leads(t, a, false)
		_, err = renew(t.Context(), apiA, first.GetToken())
		wantCode(t, "a stopped server", err, license.CodeNotLeader)
		time.Sleep(arbiter.DefaultTerm / 4)
		leads(t, b, true)
		select {
		case <-changed:
		default:
			t.Error("the change of leadership was not told")
		}
		_, err = apiB.Access(t.Context(), connect.NewRequest(access(3)))
		wantCode(t, "a third program of two after the takeover", err, license.CodeNoFreeSeat)
		// Every held seat has a full lease from the takeover on.
		time.Sleep(29 * time.Second)
		for _, h := range []struct {
			token []byte
			seat  uint32
		}{{first.GetToken(), first.GetSeat()}, {second.GetToken(), second.GetSeat()}} {
			n, err := renew(t.Context(), apiB, h.token)
			if err != nil || n.GetSeat() != h.seat {
				t.Errorf("after the takeover: %v, %v; want seat %d", n, err, h.seat)
			}
		}
	})
}

func TestTokenOfNewerEpochDeposes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		roleA, roleB := newRole(), newRole()
		stale := &staleStore{Store: l.store}
		a := l.start(t, "a", func(c *licenseserver.Config) { c.Arbiter, c.Store = roleA, stale })
		b := l.start(t, "b", func(c *licenseserver.Config) { c.Arbiter = roleB })
		apiA, apiB := l.api(t, "a"), l.api(t, "b")
		roleA.say(true)
		old := take(t, apiA, access(1))
		// The store no longer tells a of its fence, as on the far side of a split.
		stale.split()
		roleB.say(true)
		leads(t, a, true)
		leads(t, b, true)
		fresh, err := renew(t.Context(), apiB, old.GetToken())
		if err != nil {
			t.Fatal(err)
		}
		roleA.say(true) // no news: it stays as it is
		_, err = openKey(t.Context(), apiA, fresh.GetToken(), servertest.Wrap(nil))
		wantCode(t, "a token of a newer epoch", err, license.CodeNotLeader)
		leads(t, a, false)
		_, err = apiA.Access(t.Context(), connect.NewRequest(access(2)))
		wantCode(t, "the deposed server", err, license.CodeNotLeader)
		// b goes on, and takes its own token.
		if _, err := renew(t.Context(), apiB, fresh.GetToken()); err != nil {
			t.Error(err)
		}
		// Its arbiter takes the role away: a doesn't claim again.
		roleA.say(false)
		time.Sleep(time.Minute)
		leads(t, a, false)
	})
}

// staleStore gives seats that, after a split, answer Next as if nothing had
// happened, so that the server doesn't learn by itself that it was fenced.
type staleStore struct {
	lease.Store
	mu   sync.Mutex
	away bool
}

func (s *staleStore) split() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = true
}

func (s *staleStore) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	seats, err := s.Store.Claim(ctx, group, owner)
	return &staleSeats{seats, s}, err
}

type staleSeats struct {
	lease.Seats
	store *staleStore
}

func (s *staleSeats) Next(ctx context.Context) (time.Duration, bool, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if s.store.away {
		return 0, false, nil
	}
	return s.Seats.Next(ctx)
}

func TestFencedServerStopsAndClaimsAgainOnlyWithTheRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		roleA, roleB := newRole(), newRole()
		a := l.start(t, "a", func(c *licenseserver.Config) { c.Arbiter = roleA })
		b := l.start(t, "b", func(c *licenseserver.Config) { c.Arbiter = roleB })
		apiA, apiB := l.api(t, "a"), l.api(t, "b")
		roleA.say(true)
		first := leads(t, a, true)
		h := take(t, apiA, access(1))
		roleB.say(true) // both are told to lead
		if second := leads(t, b, true); second <= first {
			t.Errorf("epoch %d after %d", second, first)
		}
		_, err := apiA.Access(t.Context(), connect.NewRequest(access(2)))
		wantCode(t, "the fenced server", err, license.CodeNotLeader)
		leads(t, a, false)
		if _, err := renew(t.Context(), apiB, h.GetToken()); err != nil {
			t.Error(err)
		}
		// Still told to lead, it claims after a pause, and b is the fenced one;
		// an idle server learns so by itself.
		time.Sleep(1500 * time.Millisecond)
		leads(t, a, true)
		roleB.say(false)
		time.Sleep(time.Minute)
		leads(t, a, true)
		leads(t, b, false)
	})
}

func TestIdleServerLearnsOfItsFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		r := newRole()
		a := l.start(t, "a", func(c *licenseserver.Config) { c.Arbiter = r })
		r.say(true)
		leads(t, a, true)
		if _, err := l.store.Claim(t.Context(), servertest.Virtual(), "somebody"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1100 * time.Millisecond)
		leads(t, a, false)
		r.say(false)
	})
}

func TestRoleLostEndsServiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		r := newRole()
		a := l.start(t, "a", func(c *licenseserver.Config) { c.Arbiter = r })
		api := l.api(t, "a")
		_, err := api.Access(t.Context(), connect.NewRequest(access(1)))
		wantCode(t, "before the first word", err, license.CodeNotLeader)
		for range 3 {
			r.say(true)
			leads(t, a, true)
			take(t, api, access(1))
			r.say(false)
			leads(t, a, false)
			_, err := api.Access(t.Context(), connect.NewRequest(access(1)))
			wantCode(t, "without the role", err, license.CodeNotLeader)
		}
	})
}

// brokenStore refuses claims.
type brokenStore struct {
	lease.Store
	mu     sync.Mutex
	broken bool
}

func (s *brokenStore) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return nil, lease.Unavailable(errors.New("no store"))
	}
	return s.Store.Claim(ctx, group, owner)
}

func TestClaimIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		store := &brokenStore{Store: l.store, broken: true}
		a := l.start(t, "a", func(c *licenseserver.Config) { c.Store = store })
		time.Sleep(10 * time.Second)
		leads(t, a, false)
		store.mu.Lock()
		store.broken = false
		store.mu.Unlock()
		time.Sleep(200 * time.Millisecond)
		leads(t, a, true)
	})
}

func TestSharedServersServeTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		shared := func(c *licenseserver.Config) { c.Shared = true }
		a, b := l.start(t, "a", shared), l.start(t, "b", shared)
		if leads(t, a, true) != leads(t, b, true) {
			t.Error("they serve under different epochs")
		}
		h := take(t, l.api(t, "a"), access(1))
		if _, err := renew(t.Context(), l.api(t, "b"), h.GetToken()); err != nil {
			t.Error(err)
		}
		take(t, l.api(t, "b"), access(2))
		_, err := l.api(t, "a").Access(t.Context(), connect.NewRequest(access(3)))
		wantCode(t, "the third of two", err, license.CodeNoFreeSeat)
	})
}

func TestStartAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		s := l.start(t, "a", nil)
		if s.Start(t.Context()) == nil {
			t.Error("started twice")
		}
		s.Stop()
		s.Stop()
		if s.Start(t.Context()) == nil {
			t.Error("started after a stop")
		}
		cfg := licenseserver.Config{Source: l.source, Store: l.store, Signer: l.signer, Arbiter: licenseserver.Always{}}
		for _, d := range []time.Duration{time.Millisecond, 48 * time.Hour, -1} {
			cfg.Lease = d
			if _, err := licenseserver.New(cfg); license.CodeOf(err) != license.CodeInvalidInput {
				t.Errorf("lease %s: %v", d, err)
			}
		}
		idle, err := licenseserver.New(licenseserver.Config{
			Source: l.source, Store: l.store, Signer: l.signer, Arbiter: licenseserver.Always{},
		})
		if err != nil {
			t.Fatal(err)
		}
		idle.Stop()
		if _, err := licenseserver.New(licenseserver.Config{}); err == nil {
			t.Error("made of nothing")
		}
	})
}

func TestEndOfContextEndsService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		s, err := licenseserver.New(licenseserver.Config{
			Source: l.source, Store: l.store, Signer: l.signer, Arbiter: licenseserver.Always{},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.Start(ctx); err != nil {
			t.Fatal(err)
		}
		leads(t, s, true)
		cancel()
		leads(t, s, false)
		s.Stop()
	})
}

// slowStore takes its time for a claim.
type slowStore struct {
	lease.Store
	time    time.Duration
	mu      sync.Mutex
	dropped int
}

func (s *slowStore) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	select {
	case <-time.After(s.time):
		return s.Store.Claim(ctx, group, owner)
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dropped++
		return nil, lease.Unavailable(ctx.Err())
	}
}

// A store that waits for journals that are away is waited for, but only by who
// has the role.
func TestClaimIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		r, slow := newRole(), &slowStore{Store: l.store, time: 12 * time.Second}
		s := l.start(t, "a", func(c *licenseserver.Config) { c.Arbiter, c.Store = r, slow })
		r.say(true)
		time.Sleep(11 * time.Second)
		leads(t, s, false)
		r.say(false)
		if slow.dropped != 1 {
			t.Errorf("%d claims were given up with the role", slow.dropped)
		}
		time.Sleep(time.Minute)
		leads(t, s, false)
		r.say(true)
		time.Sleep(13 * time.Second)
		leads(t, s, true)
	})
}
