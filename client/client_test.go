package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
)

func TestHandleLivesUntilReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 20)
		l.start(t, "a", 30*time.Second)
		c := l.open(t, nil, "a")
		h := access(t, c, client.WithFeatures(0b1010), client.WithMode(client.UserLimit))
		info := h.Info()
		if info.Seat != 1 || info.Product != product || info.Container != servertest.Virtual().String() ||
			info.Mode != client.UserLimit || info.FeatureMap != 0b1011 || info.ID == "" || info.Remaining < 28*time.Second {
			t.Errorf("info %+v", info)
		}
		time.Sleep(time.Hour)
		alive(t, "an hour later", h)
		if key, err := h.OpenKey(t.Context(), servertest.Wrap([]byte("k"))); err != nil || string(key) != "k" {
			t.Errorf("key %q, %v", key, err)
		}
		if got := h.Info(); got.Seat != 1 || got.ID != info.ID || got.Remaining < 15*time.Second {
			t.Errorf("info %+v", got)
		}
		for range 2 {
			if err := h.Release(t.Context()); err != nil {
				t.Error(err)
			}
		}
		<-h.Done()
		wantCode(t, "a released handle", h.Err(), client.CodeHandleUnknown)
		_, err := h.OpenKey(t.Context(), servertest.Wrap(nil))
		wantCode(t, "its key", err, client.CodeHandleUnknown)
		if n := l.taken(t); n != 0 {
			t.Errorf("%d handles after the release", n)
		}
	})
}

func TestRenewsAtAThirdOfTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", 60*time.Second)
		h := access(t, l.open(t, nil, "a"))
		lowest := time.Duration(1 << 62)
		for range 600 {
			time.Sleep(time.Second)
			lowest = min(lowest, h.Info().Remaining)
		}
		// Two thirds and a quarter of a third for the jitter, less the margin.
		if lowest < 30*time.Second {
			t.Errorf("the handle came as near to its end as %s of 60s", lowest)
		}
	})
}

func TestTMRServerSwitchPassesUnnoticed(t *testing.T) {
	for name, fail := range map[string]func(l *lab, a *server){
		"stopped":       func(_ *lab, a *server) { a.Stop() },
		"killed":        func(l *lab, a *server) { l.net.Down("a"); a.Stop() },
		"without power": func(l *lab, a *server) { l.net.Gone("a"); a.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, 2)
				a := l.start(t, "a", 6*time.Second)
				b := l.start(t, "b", 6*time.Second)
				c := l.open(t, nil, "a", "b")
				h, other := access(t, c), access(t, c)
				seat := h.Info().Seat
				time.Sleep(time.Minute)
				fail(l, a)
				key, err := h.OpenKey(t.Context(), servertest.Wrap([]byte("k")))
				if err != nil || string(key) != "k" {
					t.Errorf("key during the switch: %q, %v", key, err)
				}
				time.Sleep(time.Minute)
				if _, leading := b.Leading(); !leading {
					t.Error("the standby doesn't lead")
				}
				alive(t, "after the switch", h)
				alive(t, "after the switch", other)
				if got := h.Info().Seat; got != seat {
					t.Errorf("seat %d after the switch, %d before", got, seat)
				}
				_, err = c.Access(t.Context(), product)
				wantCode(t, "a third of two after the switch", err, client.CodeNoFreeSeat)
				if err := h.Release(t.Context()); err != nil {
					t.Error(err)
				}
				third := access(t, c)
				alive(t, "a new one", third)
				l.net.Up("a")
			})
		})
	}
}

func TestSingleAddressIsEnoughForAVirtualIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.start(t, "a", 6*time.Second)
		h := access(t, l.open(t, nil, "a"))
		for range 5 {
			l.net.Down("a")
			time.Sleep(3 * time.Second)
			l.net.Up("a")
			time.Sleep(time.Second + time.Second/2)
			alive(t, "after a short outage", h)
			l.net.Down("a")
			l.net.Up("a")
			if _, err := h.OpenKey(t.Context(), servertest.Wrap(nil)); err != nil {
				t.Errorf("over a connection that was cut: %v", err)
			}
		}
	})
}

func TestHandleDiesWithItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", 30*time.Second)
		c := l.open(t, nil, "a")
		h := access(t, c)
		began := time.Now()
		l.net.Gone("a")
		<-h.Done()
		if lived := time.Since(began); lived < 28*time.Second || lived >= 30*time.Second {
			t.Errorf("it lived for %s of 30s", lived)
		}
		wantCode(t, "the reason", h.Err(), client.CodeHandleExpired)
		if !errors.Is(h.Err(), &client.Error{Code: client.CodeUnavailable}) {
			t.Errorf("the last refusal is not told: %v", h.Err())
		}
		l.net.Up("a")
		time.Sleep(time.Second)
		_, err := h.OpenKey(t.Context(), servertest.Wrap(nil))
		wantCode(t, "a dead handle", err, client.CodeHandleExpired)
		if err := h.Release(t.Context()); err != nil {
			t.Error(err)
		}
		// Its seat is somebody else's afterwards, and not before.
		time.Sleep(2 * time.Second)
		alive(t, "the next one", access(t, c))
	})
}

func TestRemovedHandleEndsAtItsNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.start(t, "a", 30*time.Second)
		c := l.open(t, nil, "a")
		asked, idle := access(t, c), access(t, c)
		handles, err := c.Handles(t.Context())
		if err != nil || len(handles) != 2 {
			t.Fatalf("handles %+v, %v", handles, err)
		}
		if a := handles[0]; a.User != "ada" || a.Application != "charts" || a.Station != "pc-1" || a.Product != product ||
			a.Mode != client.UserLimit || a.Process == 0 || a.Remaining <= 0 || a.FirstAccess.IsZero() {
			t.Errorf("handle %+v", a)
		}
		stranger := l.open(t, func(cfg *client.Config) { cfg.AdminToken = "guess" }, "a")
		wantCode(t, "a stranger", stranger.Remove(t.Context(), product, handles[0].ID, "x"), client.CodeForbidden)
		for _, a := range handles {
			if err := c.Remove(t.Context(), product, a.ID, "ada"); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, "nobody's handle", c.Remove(t.Context(), product, "request-9999", "ada"), client.CodeHandleUnknown)
		_, err = asked.OpenKey(t.Context(), servertest.Wrap(nil))
		wantCode(t, "the next call", err, client.CodeHandleRemoved)
		<-asked.Done()
		began := time.Now()
		<-idle.Done()
		wantCode(t, "one that makes no call", idle.Err(), client.CodeHandleRemoved)
		if waited := time.Since(began); waited > 15*time.Second {
			t.Errorf("noticed after %s", waited)
		}
	})
}

func TestLostAnswerCostsNoSecondLicense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		a := l.start(t, "a", 30*time.Second)
		c := l.open(t, nil, "a")
		lose := func(procedure string) { a.lose.Store(&procedure) }
		lose("Access")
		h := access(t, c)
		if a.lose.Load() != nil || l.taken(t) != 1 {
			t.Errorf("%d handles after a lost answer", l.taken(t))
		}
		lose("Renew")
		time.Sleep(time.Minute)
		alive(t, "after a lost renewal", h)
		lose("OpenKey")
		if _, err := h.OpenKey(t.Context(), servertest.Wrap(nil)); err != nil || l.source.Opened() != 2 {
			t.Errorf("after a lost key: %v, opened %d times", err, l.source.Opened())
		}
		lose("Release")
		if err := h.Release(t.Context()); err != nil {
			t.Errorf("after a lost release: %v", err)
		}
	})
}

// An access that ended before the answer was there leaves no license behind.
func TestAbandonedAccessIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		a := l.start(t, "a", time.Minute)
		first, second := l.open(t, nil, "a"), l.open(t, nil, "a")
		procedure := "Access"
		a.lose.Store(&procedure)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if h, err := first.Access(ctx, product); client.CodeOf(err) != client.CodeUnavailable || a.lose.Load() != nil {
			t.Fatalf("%v, %v", h, err)
		}
		time.Sleep(time.Second)
		h := access(t, second)
		if n, err := a.Handles(t.Context()); n != 1 || err != nil {
			t.Errorf("%d handles, %v", n, err)
		}

		// What was refused for certain isn't asked for again.
		if _, err := first.Access(t.Context(), product); client.CodeOf(err) != client.CodeNoFreeSeat {
			t.Fatal(err)
		}
		if err := h.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		events, err := l.store.Events(t.Context(), servertest.Virtual(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []lease.EventKind
		for _, e := range events {
			kinds = append(kinds, e.Kind)
		}
		want := []lease.EventKind{lease.Granted, lease.Released, lease.Granted, lease.Denied, lease.Released}
		if !slices.Equal(kinds, want) {
			t.Errorf("events %v, want %v", kinds, want)
		}
	})
}

// Close waits for what an access left, but not long for servers that are gone.
func TestCloseAfterAnAbandonedAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		a := l.start(t, "a", time.Minute)
		for _, gone := range []bool{false, true} {
			c := l.open(t, nil, "a")
			procedure := "Access"
			a.lose.Store(&procedure)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if gone {
				l.net.Gone("a")
			}
			if h, err := c.Access(ctx, product); err == nil {
				t.Fatal(h)
			}
			began := time.Now()
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			took := time.Since(began)
			if n, err := a.Handles(t.Context()); took > time.Second || !gone && (n != 0 || err != nil) {
				t.Errorf("gone %t: %s, %d handles, %v", gone, took, n, err)
			}
		}
	})
}

func TestTheNextProgramGetsInWhenTheQuantityRises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 20)
		l.start(t, "a", 30*time.Second)
		c := l.open(t, nil, "a")
		for range 20 {
			access(t, c)
		}
		_, err := c.Access(t.Context(), product)
		wantCode(t, "the 21st of 20", err, client.CodeNoFreeSeat)
		var e *client.Error
		if !errors.As(err, &e) || e.Details["taken"] != 20.0 || e.Fix == "" || !strings.Contains(e.Message, "20 of 20") {
			t.Errorf("the refusal is %+v", e)
		}
		l.source.Change(func(o *license.Options) { o.Quantity, o.TMRID = 30, 8 })
		access(t, c)
		licenses, err := c.Licenses(t.Context())
		if err != nil || len(licenses) != 1 {
			t.Fatalf("licenses %+v, %v", licenses, err)
		}
		if got := licenses[0]; got.Total != 30 || got.Free != 9 || got.Taken[client.UserLimit] != 21 || got.TMRID != 8 ||
			got.Product != product || got.Name != "Chart Processing" || !got.Usable || !got.Expiration.IsZero() {
			t.Errorf("license %+v", got)
		}
	})
}

func TestRefusalsThatPassAreWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.start(t, "a", 30*time.Second)
		c := l.open(t, nil, "a")
		h := access(t, c)
		l.source.Refuse(license.Errorf(license.CodeNoMajority, "wait", "too few backends"))
		began := time.Now()
		_, err := c.Access(t.Context(), product)
		wantCode(t, "access without a majority", err, client.CodeNoMajority)
		if spent := time.Since(began); spent > 4*time.Second {
			t.Errorf("told after %s", spent)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = h.OpenKey(ctx, servertest.Wrap(nil))
		wantCode(t, "key without a majority", err, client.CodeNoMajority)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the end of the context is not told: %v", err)
		}
		time.Sleep(15 * time.Second)
		alive(t, "within its lease", h)
		l.source.Refuse(nil)
		time.Sleep(time.Minute)
		alive(t, "after the outage", h)
	})
}

func TestAccessGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		c := l.open(t, nil, "nowhere", "neither")
		began := time.Now()
		_, err := c.Access(t.Context(), product)
		wantCode(t, "no server", err, client.CodeUnavailable)
		if spent := time.Since(began); spent != 10*time.Second {
			t.Errorf("gave up after %s", spent)
		}
		if err != nil && !strings.Contains(err.Error(), "2 license servers") {
			t.Errorf("the error says %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = c.Access(ctx, product)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		for _, bad := range []string{"", "14", "6000010:", "x:y", "0:14"} {
			_, err := c.Access(t.Context(), bad)
			wantCode(t, fmt.Sprintf("product %q", bad), err, client.CodeInvalidInput)
		}
		l.start(t, "a", 30*time.Second)
		_, err = l.open(t, nil, "a").Access(t.Context(), product, client.WithMode("FREE"))
		wantCode(t, "an unknown mode", err, client.CodeInvalidInput)
		_, err = l.open(t, nil, "a").Access(t.Context(), "6000010:99")
		wantCode(t, "an unknown product", err, client.CodeNoLicense)
	})
}

func TestCloseReleasesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 20)
		l.start(t, "a", 30*time.Second)
		c := l.open(t, nil, "a")
		var handles []*client.Handle
		for range 20 {
			handles = append(handles, access(t, c))
		}
		for range 2 {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, h := range handles {
			<-h.Done()
		}
		if n := l.taken(t); n != 0 {
			t.Errorf("%d handles after the end", n)
		}
		_, err := c.Access(t.Context(), product)
		wantCode(t, "a closed client", err, client.CodeUnavailable)
		_, err = c.Licenses(t.Context())
		wantCode(t, "a closed client", err, client.CodeUnavailable)
	})
}

func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 8)
		a := l.start(t, "a", 3*time.Second)
		l.start(t, "b", 3*time.Second)
		c := l.open(t, nil, "a", "b")
		var (
			all  sync.WaitGroup
			held atomic.Int32
		)
		for range 8 {
			all.Go(func() {
				for range 10 {
					h, err := c.Access(t.Context(), product)
					if err != nil {
						t.Error(err)
						return
					}
					if n := held.Add(1); n > 8 {
						t.Errorf("%d handles of 8", n)
					}
					for range 4 {
						time.Sleep(500 * time.Millisecond)
						if _, err := h.OpenKey(t.Context(), servertest.Wrap(nil)); err != nil {
							t.Error(err)
						}
						_ = h.Info()
						alive(t, "in use", h)
					}
					held.Add(-1)
					var twice sync.WaitGroup
					for range 2 {
						twice.Go(func() {
							if err := h.Release(t.Context()); err != nil {
								t.Error(err)
							}
						})
					}
					twice.Wait()
				}
			})
		}
		time.Sleep(5 * time.Second)
		a.Stop()
		all.Wait()
	})
}
