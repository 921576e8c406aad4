package licenseserver_test

import (
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/seal"
)

// BenchmarkAccessReleaseThroughServer is one access and one release by the SDK
// over TCP on the loopback interface.
func BenchmarkAccessReleaseThroughServer(b *testing.B) {
	b.Run("memlease", func(b *testing.B) { benchmarkServer(b, openMemlease(b, "")) })
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
	s, err := licenseserver.New(licenseserver.Config{
		Name: "bench", Source: servertest.NewSource(1 << 20), Store: store, Arbiter: licenseserver.Always{},
		Signer: seal.NewSigner([]byte(strings.Repeat("s", 32))), Lease: time.Minute,
	})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(s.Handler())
	server := rpc.NewServer(mux, slog.New(slog.DiscardHandler))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = server.Serve(ln) }()
	b.Cleanup(func() { _ = server.Close() })
	if err := s.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Stop)
	for changed := s.Changed(); ; changed = s.Changed() {
		if _, leading := s.Leading(); leading {
			break
		}
		<-changed
	}
	c, err := client.Open(b.Context(), client.Config{Servers: []string{"http://" + ln.Addr().String()}})
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
