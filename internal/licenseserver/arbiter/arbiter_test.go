package arbiter

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// roles runs an arbiter and keeps what it tells.
type roles struct {
	mu   sync.Mutex
	said []bool
	end  func()
}

func (r *roles) changes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.said)
}

func watch(t *testing.T, a interface {
	Arbitrate(ctx context.Context, tell func(lead bool))
}) *roles {
	t.Helper()
	r := &roles{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Arbitrate(ctx, func(lead bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.said = append(r.said, lead)
		})
	}()
	r.end = func() { cancel(); <-done }
	return r
}

func (r *roles) want(t *testing.T, when string, want ...bool) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.said) != len(want) {
		t.Fatalf("%s: said %v, want %v", when, r.said, want)
	}
	for i := range want {
		if r.said[i] != want[i] {
			t.Fatalf("%s: said %v, want %v", when, r.said, want)
		}
	}
}

func TestRoleFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "role")
		write := func(s string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		r := watch(t, RoleFile{Path: path})
		defer r.end()
		r.want(t, "missing")
		write("BACKUP\n")
		r.want(t, "backup")
		write("MASTER\n")
		r.want(t, "master, within 100 ms", true)
		write("MASTER 100 vrrp\n")
		r.want(t, "the first word counts", true)
		write("FAULT")
		r.want(t, "fault", true, false)
		write("MASTERFUL\n")
		r.want(t, "another word", true, false)
		write("MASTER")
		r.want(t, "master again", true, false, true)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		r.want(t, "removed", true, false, true, false)
	})
}

func TestRoleFileBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "role")
		if err := os.WriteFile(path, []byte("MASTER\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := watch(t, RoleFile{Path: path, Poll: 50 * time.Millisecond})
		defer r.end()
		r.want(t, "master", true)
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(60 * time.Millisecond)
		r.want(t, "emptied for one look", true)
		time.Sleep(50 * time.Millisecond)
		r.want(t, "empty for two looks", true, false)
	})
}

// elector is a lease.Elector that a test can break.
type elector struct {
	mu     sync.Mutex
	leader string
	until  time.Time
	broken bool
}

func (e *elector) Campaign(ctx context.Context, _ license.Serial, owner string, ttl time.Duration) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken {
		return "", errors.New("out of reach")
	}
	if e.leader == "" || e.leader == owner || !time.Now().Before(e.until) {
		e.leader, e.until = owner, time.Now().Add(ttl)
	}
	return e.leader, ctx.Err()
}

func (e *elector) Resign(_ context.Context, _ license.Serial, owner string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leader == owner {
		e.leader = ""
	}
	return nil
}

func (e *elector) leaderNow() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !time.Now().Before(e.until) {
		return ""
	}
	return e.leader
}

func (e *elector) breakDown(broken bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.broken = broken
}

func TestElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &elector{}
		a := watch(t, Election{Elector: e, Owner: "a"})
		a.want(t, "first", true)
		b := watch(t, Election{Elector: e, Owner: "b"})
		defer b.end()
		time.Sleep(time.Minute)
		a.want(t, "a minute later", true)
		b.want(t, "the standby")
		a.end()
		a.want(t, "stopped", true, false)
		time.Sleep(DefaultTerm / 4)
		b.want(t, "takes over at its next look, since a resigned", true)
	})
}

func TestElectionWithoutConfirmationEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &elector{}
		a := watch(t, Election{Elector: e, Owner: "a"})
		defer a.end()
		a.want(t, "first", true)
		e.breakDown(true)
		time.Sleep(DefaultTerm - time.Millisecond)
		a.want(t, "the last confirmation still holds", true)
		time.Sleep(time.Millisecond)
		a.want(t, "and ends with its term", true, false)
		e.breakDown(false)
		time.Sleep(DefaultTerm / 4)
		a.want(t, "back", true, false, true)
	})
}

// A server that no longer sees its backends lets one lead that does; where none
// does, they don't chase each other.
func TestElectionLetsAFitServerLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &elector{}
		var aFit, bFit atomic.Bool
		aFit.Store(true)
		bFit.Store(true)
		a := watch(t, Election{Elector: e, Owner: "a", Fit: aFit.Load})
		defer a.end()
		a.want(t, "first", true)
		b := watch(t, Election{Elector: e, Owner: "b", Fit: bFit.Load})
		defer b.end()

		aFit.Store(false)
		time.Sleep(DefaultTerm / 4)
		aFit.Store(true)
		time.Sleep(10 * DefaultTerm)
		a.want(t, "unfit for a moment", true)

		aFit.Store(false)
		time.Sleep(2 * DefaultTerm)
		a.want(t, "unfit", true, false)
		b.want(t, "the fit one", true)

		bFit.Store(false) // none is fit now
		time.Sleep(time.Hour)
		if n := a.changes() + b.changes(); n > 6 {
			t.Errorf("%d changes of roles while none is fit", n)
		}
		if e.leaderNow() == "" {
			t.Error("nobody leads")
		}
		aFit.Store(true)
		bFit.Store(true)
		before := a.changes() + b.changes()
		time.Sleep(time.Hour)
		if n := a.changes() + b.changes(); n != before {
			t.Errorf("%d changes of roles after both were fit again", n-before)
		}
	})
}
