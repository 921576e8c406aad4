package redisjournal

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/journaltest"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

func coded(t *testing.T, what string, err error, want license.Code) {
	t.Helper()
	if license.CodeOf(err) != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

func claim(t *testing.T, j *Journal, epoch uint64) journal.Promise {
	t.Helper()
	s, err := j.Claim(t.Context(), journal.Term{Epoch: epoch, Owner: "a"})
	if err != nil {
		t.Fatal(err)
	}
	return journal.Promise{Term: s.Promised, Incarnation: s.Incarnation}
}

// teller gives each line to the test.
type teller func(line string)

func (f teller) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		f(strings.TrimSpace(line))
	}
	return len(b), nil
}

// TestKilledRedis kills Redis while it is written to, again and again: what it
// had answered is there afterwards, and what was under way is whole.
func TestKilledRedis(t *testing.T) {
	server := testenv.Redis(t, settings()...)
	j := open(t, server.URL())
	var mu sync.Mutex
	var told journaltest.Told
	for round := range 6 {
		reached, ended := make(chan struct{}), make(chan error, 1)
		n, most := 0, 150+61*round
		go func() {
			ended <- journaltest.Victim(t.Context(), j, teller(func(line string) {
				mu.Lock()
				defer mu.Unlock()
				told.Line(line)
				if n++; n == most {
					close(reached)
				}
			}))
		}()
		select {
		case <-reached:
		case err := <-ended:
			t.Fatalf("round %d: %v", round, err)
		}
		server.Kill()
		coded(t, "killed", <-ended, license.CodeUnavailable)
		server.Restart()
		if err := told.Check(t.Context(), j); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	if told.Did < 400 {
		t.Errorf("%d steps were answered", told.Did)
	}
}

// TestLostData: a Redis that comes back empty is another incarnation, for this
// process and for the next.
func TestLostData(t *testing.T) {
	server := testenv.Redis(t, settings()...)
	j := open(t, server.URL())
	p := claim(t, j, 7)
	batch := journal.Batch{
		Records: []journal.Record{{Key: journal.Key{Product: license.Product{Firm: 1, Code: 2}, Seat: 3}, N: 1}},
		Events:  []journal.Event{{Position: 1}},
	}
	if _, err := j.Write(t.Context(), p, batch); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	// Also where just the state is lost.
	for _, lose := range []func() error{
		func() error { return client.FlushAll(t.Context()).Err() },
		func() error { return client.Del(t.Context(), j.keys[0]).Err() },
	} {
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		_, err := j.Write(t.Context(), p, batch)
		coded(t, "the old promise", err, license.CodeConflict)
		s, err := j.State(t.Context())
		if err != nil || s.Incarnation == p.Incarnation || s.Version != 1 || s.Voting {
			t.Fatalf("the new journal says %+v, %v", s, err)
		}
		if again, err := open(t, server.URL()).State(t.Context()); err != nil || again.Incarnation != s.Incarnation {
			t.Errorf("another process sees %+v, %v", again, err)
		}
		p = claim(t, j, 8)
		if all, err := j.Records(t.Context(), p, journal.Key{}, 10); err != nil || len(all) != 0 {
			t.Errorf("it has %v, %v", all, err)
		}
		if _, err := j.Write(t.Context(), p, batch); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTwoProcesses: another process on the same Redis is seen at once.
func TestTwoProcesses(t *testing.T) {
	server := testenv.Redis(t, settings()...)
	a, b := open(t, server.URL()), open(t, server.URL())
	p := claim(t, a, 7)
	if _, err := b.Confirm(t.Context(), p); err != nil {
		t.Errorf("the other doesn't know of the claim: %v", err)
	}
	claim(t, b, 8)
	_, err := a.Confirm(t.Context(), p)
	coded(t, "confirmed", err, license.CodeFenced)
	_, err = a.Write(t.Context(), p, journal.Batch{})
	coded(t, "written", err, license.CodeFenced)
}

// TestSettings: a Redis that may lose what it answered is refused, also one that
// becomes so while it is used.
func TestSettings(t *testing.T) {
	for name, args := range map[string][]string{
		"no file":    {},
		"everysec":   {"--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"},
		"on rewrite": append(settings(), "--no-appendfsync-on-rewrite", "yes"),
		"evicts":     append(testenv.Durable(), "--maxmemory-policy", "allkeys-lru"),
		"a replica":  append(settings(), "--replicaof", "127.0.0.1 1"),
		"unreadable": append(settings(), "--rename-command", "CONFIG", "none"),
	} {
		server := testenv.Redis(t, args...)
		_, err := Open(t.Context(), Config{URL: server.URL(), Group: group})
		coded(t, name, err, license.CodeInvalidInput)
		if license.Public(err).Fix == "" {
			t.Errorf("%s: no word on what to do", name)
		}
		if name == "a replica" {
			continue
		}
		j, err := Open(t.Context(), Config{URL: server.URL(), Group: group, Unsafe: true})
		if err != nil {
			t.Errorf("%s, though told to: %v", name, err)
			continue
		}
		_ = j.Close()
	}
	for _, url := range []string{"", "127.0.0.1:6379", "http://127.0.0.1"} {
		_, err := Open(t.Context(), Config{URL: url, Group: group})
		coded(t, url, err, license.CodeInvalidInput)
	}
	_, err := Open(t.Context(), Config{URL: "redis://127.0.0.1:6379"})
	coded(t, "no group", err, license.CodeInvalidInput)
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	testenv.Redis(t, append(settings(), "--unixsocket", path)...)
	j := open(t, "unix://"+path)
	p := claim(t, j, 7)
	if _, err := j.Write(t.Context(), p, journal.Batch{Events: []journal.Event{{Position: 1}}}); err != nil {
		t.Fatal(err)
	}
}

func TestAbsentRedis(t *testing.T) {
	server := testenv.Redis(t, settings()...)
	j := open(t, server.URL())
	p := claim(t, j, 7)
	server.Pause()
	began := time.Now()
	_, err := j.Confirm(t.Context(), p)
	coded(t, "paused", err, license.CodeUnavailable)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	server.Resume()
	testenv.Eventually(t, 20*time.Second, func() error {
		_, err := j.Confirm(t.Context(), p)
		return err
	})
	server.Stop()
	_, err = Open(t.Context(), Config{URL: server.URL(), Group: group})
	coded(t, "stopped", err, license.CodeUnavailable)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = j.State(t.Context())
	coded(t, "closed", err, license.CodeUnavailable)
	if err := j.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// FuzzValues gives the readers of values anything: another program may have
// written it.
func FuzzValues(f *testing.F) {
	f.Add(seatField(journal.Key{Product: license.Product{Firm: 6000010, Code: 14}, Seat: 3}), digits(7)+digits(9)+"holder")
	f.Add(digits(12), digits(7)+"event")
	f.Add("", encodeState(journal.Begin(journal.Term{Epoch: 1, Owner: "a"})))
	f.Fuzz(func(t *testing.T, field, value string) {
		if r, err := parseRecord(field, value); err == nil {
			if seatField(r.Key) != field || digits(r.Epoch)+digits(r.N)+string(r.Holder) != value {
				t.Errorf("%q, %q was read as %+v", field, value, r)
			}
		}
		if e, err := parseEvent(field, value); err == nil {
			if digits(e.Position) != field || digits(e.Epoch)+string(e.Data) != value {
				t.Errorf("%q, %q was read as %+v", field, value, e)
			}
		}
		if s, err := parseState(value); err == nil {
			again, err := parseState(encodeState(s))
			if err != nil || encodeState(again) != encodeState(s) {
				t.Errorf("%q was read as %+v, then %+v, %v", value, s, again, err)
			}
		}
	})
}
