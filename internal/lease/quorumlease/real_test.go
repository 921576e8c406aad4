package quorumlease_test

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/boltjournal"
	"github.com/quorate/quorate/internal/journal/redisjournal"
	"github.com/quorate/quorate/internal/lease/leasetest"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

func TestContractOnFiles(t *testing.T) {
	leasetest.Run(t, leasetest.Driver{OneLeader: true, Open: func(t *testing.T) leasetest.Harness {
		return open(t, newShelf(func(license.Serial, int) journal.Journal {
			j, err := boltjournal.Open(filepath.Join(t.TempDir(), "journal"), license.Serial{Mask: 130, Number: 1})
			if err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { _ = j.Close() })
			return j
		}))
	}})
}

func TestContractOnRedis(t *testing.T) {
	var servers [license.Backends]*testenv.RedisServer
	for i := range servers {
		servers[i] = testenv.Redis(t, append(testenv.Durable(), "--maxmemory-policy", "noeviction")...)
	}
	var tests atomic.Uint32 // each has journals of its own
	leasetest.Run(t, leasetest.Driver{OneLeader: true, Open: func(t *testing.T) leasetest.Harness {
		return open(t, newShelf(func(_ license.Serial, i int) journal.Journal {
			group := license.Serial{Mask: 131, Number: 1000 + uint64(tests.Add(1))}
			j, err := redisjournal.Open(t.Context(), redisjournal.Config{URL: servers[i].URL(), Group: group})
			if err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { _ = j.Close() })
			return j
		}))
	}})
}

// runs is how many are played; QUORATE_RUNS asks for more.
func runs(t *testing.T, n int) uint64 {
	if s := os.Getenv("QUORATE_RUNS"); s != "" {
		v, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		n *= v
	}
	if testing.Short() {
		n /= 10
	}
	return uint64(n)
}

func playRivals(t *testing.T, n int, open func(path string) (journal.Journal, func(), error)) {
	seen := map[string]int{}
	count := max(runs(t, n), 1)
	first, _ := strconv.ParseUint(os.Getenv("QUORATE_SEED"), 10, 64)
	for seed := first; seed < first+count; seed++ {
		if wrong := rivals(t, seed, seen, open); wrong != "" {
			t.Fatalf("run %d: %s", seed, wrong)
		}
	}
	t.Logf("%d runs: %v", count, seen)
	for _, what := range []string{
		"answered", "takeovers", "renewals by a leader that was replaced", "servers killed", "backends restarted", "disks lost",
		"late calls done", "answers FENCED", "answers UNAVAILABLE", "answers NO_FREE_SEAT",
	} {
		if count >= 10 && seen[what] == 0 {
			t.Errorf("%s: seen %d times in %d runs", what, seen[what], count)
		}
	}
}

func TestRivalsInMemory(t *testing.T) {
	var mu sync.Mutex
	disks := map[string]*journal.Memory{}
	playRivals(t, 200, func(path string) (journal.Journal, func(), error) {
		mu.Lock()
		defer mu.Unlock()
		_, err := os.Stat(path)
		if disks[path] == nil || err != nil {
			disks[path] = journal.NewMemory()
		}
		return disks[path], func() {}, os.WriteFile(path, nil, 0o600)
	})
}

func TestRivalsOnFiles(t *testing.T) {
	playRivals(t, 5, func(path string) (journal.Journal, func(), error) {
		j, err := boltjournal.Open(path, license.Serial{Mask: 130, Number: 1})
		if err != nil {
			return nil, nil, err
		}
		return j, func() { _ = j.Close() }, nil
	})
}
