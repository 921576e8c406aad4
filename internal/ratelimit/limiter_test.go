package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/testenv"
)

// lab is one driver, and its clock that tests put forward.
type lab struct {
	*testing.T
	Limiter
	clock atomic.Int64
}

func (l *lab) pass(d time.Duration) { l.clock.Add(int64(d)) }

// slack is what may really pass between two calls of a test: clocks go on.
const slack = 5 * time.Second

func connect(t *testing.T, server *testenv.RedisServer) redis.UniversalClient {
	o, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled = true
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestContract is what every driver does.
func TestContract(t *testing.T) {
	server := testenv.Redis(t)
	drivers := map[string]func(*testing.T) *lab{
		"memory": func(t *testing.T) *lab {
			m := NewMemory()
			l := &lab{T: t, Limiter: m}
			start := time.Now()
			m.now = func() time.Time { return start.Add(time.Duration(l.clock.Load())) }
			return l
		},
		"redis": func(t *testing.T) *lab {
			client := connect(t, server)
			if err := client.FlushDB(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			s := NewShared(client, slog.New(slog.DiscardHandler))
			l := &lab{T: t, Limiter: s}
			s.redis.shift = func() time.Duration { return time.Duration(l.clock.Load()) }
			t.Cleanup(func() {
				if s.lost {
					t.Error("Redis didn't answer: this was counted in the process")
				}
			})
			return l
		},
	}
	for driver, open := range drivers {
		for name, test := range contract {
			t.Run(driver+"/"+name, func(t *testing.T) { test(open(t)) })
		}
	}
}

//nolint:gochecknoglobals // a table of tests
var contract = map[string]func(*lab){
	"a bucket empties and fills": func(l *lab) {
		r := Rate{Burst: 10, Per: 10 * time.Minute}
		q := l.take(7, r)
		l.want(q, Quota{OK: true, Limit: 10, Remaining: 3, Reset: 7 * time.Minute})
		l.want(l.take(4, r), Quota{Limit: 10, Remaining: 3, Reset: 7 * time.Minute, RetryAfter: time.Minute})
		l.want(l.take(3, r), Quota{OK: true, Limit: 10, Reset: 10 * time.Minute})
		l.want(l.take(1, r), Quota{Limit: 10, Reset: 10 * time.Minute, RetryAfter: time.Minute})
		l.pass(time.Minute - slack)
		l.want(l.take(1, r), Quota{Limit: 10, Reset: 9*time.Minute + slack, RetryAfter: slack})
		l.pass(slack)
		l.want(l.take(1, r), Quota{OK: true, Limit: 10, Reset: 10 * time.Minute})
		l.pass(time.Hour)
		l.want(l.take(0, r), Quota{OK: true, Limit: 10, Remaining: 10})
	},
	"a cost above the burst passes a full bucket": func(l *lab) {
		r := Rate{Burst: 10, Per: time.Hour}
		l.want(l.take(1000, r), Quota{OK: true, Limit: 10, Reset: time.Hour})
		l.pass(30 * time.Minute)
		l.want(l.take(1000, r), Quota{Limit: 10, Remaining: 5, Reset: 30 * time.Minute, RetryAfter: 30 * time.Minute})
		l.pass(30 * time.Minute)
		l.want(l.take(1000, r), Quota{OK: true, Limit: 10, Reset: time.Hour})
	},
	"a cost below nothing gives nothing": func(l *lab) {
		r := Rate{Burst: 2, Per: time.Hour}
		l.take(2, r)
		l.take(-2, r)
		if q := l.take(1, r); q.OK {
			l.Errorf("%+v", q)
		}
	},
	"all buckets or none": func(l *lab) {
		small, large := Bucket{"small", Rate{2, time.Hour}}, Bucket{"large", Rate{3, time.Hour}}
		other := Bucket{"other", Rate{2, time.Hour}}
		l.want(l.charge("a", 2, small, large), Quota{OK: true, Limit: 2, Reset: time.Hour})
		l.want(l.charge("a", 2, other, large), Quota{Limit: 3, Remaining: 1, Reset: 40 * time.Minute, RetryAfter: 20 * time.Minute})
		l.want(l.charge("a", 2, other), Quota{OK: true, Limit: 2, Reset: time.Hour}) // nothing was taken from it
		l.want(l.charge("b", 2, small, large), Quota{OK: true, Limit: 2, Reset: time.Hour})
	},
	"no limit": func(l *lab) {
		for range 3 {
			l.want(l.take(1_000_000, Rate{}), Quota{OK: true})
		}
		b := Bucket{"b", Rate{5, time.Hour}}
		l.want(l.charge("a", 1, Bucket{"unlimited", Rate{}}, b), Quota{OK: true, Limit: 5, Remaining: 4, Reset: 12 * time.Minute})
	},
	"the largest figures": func(l *lab) {
		r := Rate{Burst: MostBurst * 10, Per: MostPer * 10}
		l.want(l.take(MostBurst-1, r), Quota{OK: true, Limit: MostBurst, Remaining: 1, Reset: MostPer})
		l.want(l.take(MostBurst*10, r), Quota{Limit: MostBurst, Remaining: 1, Reset: MostPer, RetryAfter: MostPer})
	},
	"a clock that was set back": func(l *lab) {
		r := Rate{Burst: 2, Per: time.Hour}
		l.take(2, r)
		l.try("k", 6)
		l.pass(-100 * time.Hour)
		l.want(l.take(1, r), Quota{Limit: 2, Reset: time.Hour, RetryAfter: 30 * time.Minute})
		if wait := l.try("k", 1); wait > time.Minute {
			l.Errorf("a wait of %s", wait)
		}
	},
	"no more than the limit at once": func(l *lab) {
		var got atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 10 {
					q, err := l.Take(l.Context(), Charge{Scope: "s", Cost: 1, Buckets: []Bucket{{"b", Rate{20, time.Hour}}}})
					if err != nil {
						l.Error(err)
					}
					if q.OK {
						got.Add(1)
					}
				}
			})
		}
		all.Wait()
		if got.Load() != 20 {
			l.Errorf("%d of 20 were let through", got.Load())
		}
	},
	"pauses double": func(l *lab) {
		if wait := l.try("k", 3); wait != 0 {
			l.Fatalf("a free try has to wait %s", wait)
		}
		for _, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute} {
			l.near("at once", l.try("k", 1), pause)
			l.pass(pause - slack)
			l.near("just before", l.try("k", 1), slack)
			l.pass(slack)
			if wait := l.try("k", 1); wait != 0 {
				l.Fatalf("after %s it has to wait %s", pause, wait)
			}
		}
		if wait := l.try("another", 3); wait != 0 {
			l.Errorf("another: %s", wait)
		}
	},
	"tries are forgotten": func(l *lab) {
		l.try("k", 4)
		l.pass(50*time.Minute - slack)
		l.try("k", 1)
		l.near("what failed counts that long", l.try("k", 1), 2*time.Minute)
		l.pass(50 * time.Minute)
		if wait := l.try("k", 3); wait != 0 {
			l.Errorf("after ten times the longest pause: %s", wait)
		}
		if err := l.Forget(l.Context(), "k"); err != nil {
			l.Fatal(err)
		}
		if wait := l.try("k", 3); wait != 0 {
			l.Errorf("after a success: %s", wait)
		}
		l.near("and it counts again", l.try("k", 1), time.Minute)
	},
	"slots": func(l *lab) {
		one, two := l.hold("k", 2), l.hold("k", 2)
		if l.hold("k", 2) != nil {
			l.Error("a third one is held")
		}
		if l.hold("k", 0) != nil {
			l.Error("one of none is held")
		}
		if other := l.hold("other", 1); other == nil {
			l.Error("another key's is not")
		} else {
			other()
		}
		one()
		one() // once is enough
		three := l.hold("k", 2)
		if three == nil || l.hold("k", 2) != nil {
			l.Error("one that was given back is not one to hold")
		}
		two()
		three()
		if left := l.hold("k", 1); left == nil {
			l.Error("after their end none is free")
		} else {
			left()
		}
	},
	"who gives up does nothing": func(l *lab) {
		ctx, cancel := context.WithCancel(l.Context())
		cancel()
		r := Rate{1, time.Hour}
		if _, err := l.Take(ctx, Charge{Scope: "s", Cost: 1, Buckets: []Bucket{{"b", r}}}); err == nil {
			l.Error("it was taken")
		}
		if _, err := l.Try(ctx, "k", pauses()); err == nil {
			l.Error("it was tried")
		}
		if _, held, err := l.Hold(ctx, "k", 1); err == nil || held {
			l.Error("it is held")
		}
		l.want(l.take(1, r), Quota{OK: true, Limit: 1, Reset: time.Hour})
	},
}

func pauses() Pauses { return Pauses{Free: 3, First: time.Minute, Most: 5 * time.Minute} }

func (l *lab) take(cost int, r Rate) Quota { return l.charge("s", cost, Bucket{"b", r}) }

func (l *lab) charge(scope string, cost int, buckets ...Bucket) Quota {
	l.Helper()
	q, err := l.Take(l.Context(), Charge{Scope: scope, Cost: cost, Buckets: buckets})
	if err != nil {
		l.Fatal(err)
	}
	return q
}

// want compares what was answered; times within what may really have passed.
func (l *lab) want(got, want Quota) {
	l.Helper()
	near := func(got, want time.Duration) bool { return got <= want+time.Second && got >= want-slack }
	if got.OK != want.OK || got.Limit != want.Limit || got.Remaining < want.Remaining || got.Remaining > want.Remaining+l.drift(want) ||
		!near(got.Reset, want.Reset) || !near(got.RetryAfter, want.RetryAfter) || (got.RetryAfter == 0) != got.OK {
		l.Errorf("got %+v, want %+v", got, want)
	}
}

// drift is how many units may really have come back meanwhile.
func (l *lab) drift(q Quota) int {
	if q.Limit == MostBurst {
		return MostBurst / 1000
	}
	return 0
}

func (l *lab) near(what string, got, want time.Duration) {
	l.Helper()
	if got <= 0 || got > want+time.Second || got < want-slack {
		l.Errorf("%s: a wait of %s, want %s", what, got, want)
	}
}

// try tries a number of times and gives the last wait.
func (l *lab) try(key string, times int) (wait time.Duration) {
	l.Helper()
	for range times {
		var err error
		if wait, err = l.Try(l.Context(), key, pauses()); err != nil {
			l.Fatal(err)
		}
	}
	return wait
}

func (l *lab) hold(key string, most int) func() {
	l.Helper()
	release, held, err := l.Hold(l.Context(), key, most)
	if err != nil {
		l.Fatal(err)
	}
	if held != (release != nil) {
		l.Fatalf("held %v, but %v to give it back", held, release != nil)
	}
	if !held {
		return nil
	}
	return release
}

// TestMemoryIsBounded: what matters least is forgotten.
func TestMemoryIsBounded(t *testing.T) {
	m := NewMemory()
	now := time.Unix(1_800_000_000, 0)
	m.now = func() time.Time { return now }
	take := func(name string, cost int) Quota {
		q, err := m.Take(t.Context(), Charge{Scope: "s", Cost: cost, Buckets: []Bucket{{name, Rate{10, time.Hour}}}})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	take("empty", 10)
	for i := range mostKeys + 100 {
		take(fmt.Sprint(i), 1)
		if _, err := m.Try(t.Context(), fmt.Sprint(i), pauses()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Millisecond)
	}
	if len(m.buckets) > mostKeys || len(m.tries) > mostKeys {
		t.Errorf("%d buckets and %d tries are remembered", len(m.buckets), len(m.tries))
	}
	if take("empty", 1).OK {
		t.Error("the empty bucket was forgotten")
	}
	now = now.Add(2 * time.Hour)
	for i := range mostKeys / 5 {
		take("later"+fmt.Sprint(i), 1)
		_, _ = m.Try(t.Context(), "later"+fmt.Sprint(i), pauses())
	}
	if len(m.buckets) > mostKeys/5 || len(m.tries) > mostKeys/5 {
		t.Errorf("%d full buckets and %d old tries are remembered", len(m.buckets)-mostKeys/5, len(m.tries)-mostKeys/5)
	}
}

func TestErrors(t *testing.T) {
	for wait, seconds := range map[time.Duration]int{0: 1, time.Nanosecond: 1, time.Second: 1, time.Second + 1: 2, time.Hour: 3600} {
		if got := RetryAfter(fmt.Errorf("wrapped: %w", Throttled(wait, "wait", "too much"))); got != seconds {
			t.Errorf("%s: %d s", wait, got)
		}
	}
	if RetryAfter(context.Canceled) != 0 || RetryAfter(nil) != 0 {
		t.Error("another error tells to wait")
	}
	if got := Throttled(1, "wait", "%d at once", 3).Error(); !strings.Contains(got, "3 at once") {
		t.Error(got)
	}
}
