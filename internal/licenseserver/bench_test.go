package licenseserver_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/testenv"
)

// BenchmarkAccessReleaseThroughServer is one access and one release by the SDK
// over TCP on the loopback interface.
func BenchmarkAccessReleaseThroughServer(b *testing.B) {
	b.Run("memlease", func(b *testing.B) { benchmarkServer(b, openMemlease(b, "")) })
	b.Run("redislease", func(b *testing.B) { benchmarkServer(b, openRedis(b, testenv.Redis(b).Addr)) })
	b.Run("memlease-file", func(b *testing.B) { benchmarkServer(b, openMemlease(b, filepath.Join(b.TempDir(), "seats"))) })
}

func openMemlease(b *testing.B, path string) lease.Store {
	b.Helper()
	store, err := memlease.Open(path, memlease.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	return store
}

func benchmarkServer(b *testing.B, store lease.Store) {
	s, addr := serveTCP(b, "bench", store, 1<<20, time.Minute, licenseserver.Always{})
	untilLeading(b, s)
	c, err := client.Open(b.Context(), client.Config{Servers: []string{addr}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	b.SetParallelism(8) // 8 programs per processor
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h, err := c.Access(b.Context(), servertest.Product().String())
			if err != nil {
				b.Error(err)
				return
			}
			if err := h.Release(b.Context()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
