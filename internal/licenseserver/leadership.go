package licenseserver

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

const (
	// claimPause is how long to wait after a claim that failed.
	claimPause = 200 * time.Millisecond
	// fencedPause is how long to wait after having been fenced; it doubles with
	// each time, up to mostFencedPause, and starts anew after a steady term.
	fencedPause     = time.Second
	mostFencedPause = 16 * time.Second
	steadyTerm      = 30 * time.Second
	// mostIdle bounds how long the expiry loop sleeps, so that a server that
	// nobody calls learns in time that it was fenced.
	mostIdle = time.Second
	// storePatience bounds one call of the expiry loop.
	storePatience = 5 * time.Second
	// claimPatience bounds one claim. It is longer than a store waits for journals
	// that are away: a claim that is cut short begins to wait anew.
	claimPatience = 45 * time.Second
)

// term is one stretch of leading under one epoch.
type term struct {
	seats lease.Seats
	ctx   context.Context // ends with the term
	end   context.CancelFunc
	// deposed: ended by a newer epoch rather than by the arbiter. Guarded by
	// Server.mu.
	deposed bool
}

// Leading gives the epoch that this server leads under, and whether it does.
func (s *Server) Leading() (epoch uint64, leading bool) {
	if t := s.current(); t != nil {
		return t.seats.Epoch(), true
	}
	return 0, false
}

// Changed is closed at the next change of Leading after this call.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Server) current() *term {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.term
}

// tell is the arbiter's call. When it returns after tell(false), no call is
// begun under the old term any more.
func (s *Server) tell(lead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lead = lead && !s.stopped
	if s.wanted == lead {
		return
	}
	s.wanted = lead
	close(s.roleChanged)
	s.roleChanged = make(chan struct{})
	if !lead {
		s.setTerm(nil)
	}
}

// role gives what the arbiter said last, and a channel that is closed when it
// says otherwise.
func (s *Server) role() (wanted bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted, s.roleChanged
}

// begin starts serving under t unless the role was lost meanwhile.
func (s *Server) begin(t *term) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.wanted {
		return false
	}
	s.setTerm(t)
	s.terms.Add(1)
	return true
}

// depose ends t because a newer epoch leads.
func (s *Server) depose(t *term) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.deposed = true
	if s.term == t {
		s.setTerm(nil)
	}
}

// finish clears t away, however it ended, and says whether it was deposed.
func (s *Server) finish(t *term) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.term == t {
		s.setTerm(nil)
	}
	t.end()
	return t.deposed
}

// setTerm is called with mu held.
func (s *Server) setTerm(t *term) {
	if s.term == t {
		return
	}
	if s.term != nil {
		s.term.end()
	}
	s.term = t
	close(s.changed)
	s.changed = make(chan struct{})
}

// lead claims and serves while the arbiter wants it, until ctx ends.
func (s *Server) lead(ctx context.Context) {
	pause := fencedPause
	for ctx.Err() == nil {
		wanted, changed := s.role()
		if !wanted {
			wait(ctx, changed, -1)
			continue
		}
		seats, err := s.claim(ctx, changed)
		if err != nil {
			s.log.Warn("cannot lead: the seats can't be claimed", "error", err)
			wait(ctx, changed, claimPause)
			continue
		}
		t := &term{seats: seats}
		t.ctx, t.end = context.WithCancel(ctx)
		if !s.begin(t) {
			t.end()
			continue
		}
		began := time.Now()
		s.log.Info("leading", "container", s.cfg.Source.Serial().String(), "epoch", seats.Epoch())
		s.expire(t)
		deposed := s.finish(t)
		s.log.Info("no longer leading", "epoch", seats.Epoch(), "deposed", deposed)
		if time.Since(began) > steadyTerm {
			pause = fencedPause
		}
		if deposed {
			wait(ctx, changed, pause/2+rand.N(pause))
			pause = min(2*pause, mostFencedPause)
		}
	}
}

// claim claims as long as the role stays as it is: who has lost it must not fence
// whoever leads then.
func (s *Server) claim(ctx context.Context, changed <-chan struct{}) (lease.Seats, error) {
	ctx, cancel := context.WithTimeout(ctx, claimPatience)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-changed:
			cancel()
		case <-done:
		}
	}()
	if s.cfg.Shared {
		return s.cfg.Store.Join(ctx, s.cfg.Source.Serial(), s.cfg.Name)
	}
	return s.cfg.Store.Claim(ctx, s.cfg.Source.Serial(), s.cfg.Name)
}

// expire frees seats when their lease has run out, until the term ends.
func (s *Server) expire(t *term) {
	failing := false
	for t.ctx.Err() == nil {
		pause, err := s.expireOnce(t)
		if err != nil && t.ctx.Err() == nil {
			if s.refused(t, err) {
				return
			}
			if !failing {
				s.log.Warn("seats can't be expired", "error", err)
			}
		}
		failing = err != nil
		wait(t.ctx, nil, pause)
	}
}

// expireOnce frees what has run out and gives how long to sleep. A handle given
// meanwhile runs for the configured lease, which is no shorter than mostIdle.
func (s *Server) expireOnce(t *term) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(t.ctx, storePatience)
	defer cancel()
	next, some, err := t.seats.Next(ctx)
	if err != nil {
		return claimPause, err
	}
	if !some {
		return mostIdle, nil
	}
	if next <= 0 {
		switch n, err := t.seats.Expire(ctx); {
		case err != nil:
			return claimPause, err
		case n > 0:
			s.bells.ringAll()
		}
		return time.Millisecond, nil
	}
	// A store that counts in milliseconds may round the rest down.
	return min(next+time.Millisecond, mostIdle), nil
}

// refused deposes t if err says that a newer epoch leads.
func (s *Server) refused(t *term, err error) bool {
	switch license.CodeOf(err) {
	case license.CodeFenced, license.CodeNotLeader:
		s.depose(t)
		return true
	}
	return false
}

// wait returns when ctx ends, changed is closed or d is over; a negative d
// never is.
func wait(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	var over <-chan time.Time
	if d >= 0 {
		over = time.After(d)
	}
	select {
	case <-ctx.Done():
	case <-changed:
	case <-over:
	}
}
