package quorumlease_test

import (
	"path/filepath"
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
			j, err := boltjournal.Open(filepath.Join(t.TempDir(), "journal"))
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
