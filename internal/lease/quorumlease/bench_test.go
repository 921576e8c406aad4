package quorumlease_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/boltjournal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/quorumlease"
	"github.com/quorate/quorate/internal/license"
)

func benchGroup() license.Serial { return license.Serial{Mask: 131, Number: 1} }

func benchRequest(id, station string) lease.Request {
	return lease.Request{
		ID: id, Pool: lease.Pool{Container: benchGroup(), Product: license.Product{Firm: 6000010, Code: 14}}, Mode: license.UserLimit,
		Station: station, Client: lease.Client{Address: "192.0.2.7", User: "ada", Application: "bench"}, Quantity: 1 << 30, Lease: 6 * time.Hour,
	}
}

// benchShelf has journals in memory or in files.
func benchShelf(b *testing.B, kind string) *shelf {
	b.Helper()
	if kind == "memory" {
		return newShelf(func(license.Serial, int) journal.Journal { return journal.NewMemory() })
	}
	dir := b.TempDir()
	return newShelf(func(_ license.Serial, i int) journal.Journal {
		j, err := boltjournal.Open(filepath.Join(dir, strconv.Itoa(i)), license.Serial{Mask: 130, Number: 1 + uint64(i)})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = j.Close() })
		return j
	})
}

func benchStore(b *testing.B, s *shelf) *quorumlease.Store {
	b.Helper()
	store := quorumlease.New(quorumlease.Options{Journals: s.of, Journal: journal.Options{NewGroup: true, MostEvents: 1_000}})
	b.Cleanup(func() { _ = store.Close() })
	return store
}

func benchClaim(b *testing.B, store lease.Store) lease.Seats {
	b.Helper()
	seats, err := store.Claim(context.Background(), benchGroup(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	return seats
}

// benchHold takes n handles side by side.
func benchHold(b *testing.B, seats lease.Seats, n int) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if _, err := seats.Access(context.Background(), benchRequest(uuid.NewString(), fmt.Sprint("held-", i))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkHeld is access, renewal and release, from callers side by side, while
// handles are outstanding; cost-growth is the time by that with 10 of them.
func BenchmarkHeld(b *testing.B) {
	for _, kind := range []string{"memory", "file"} {
		var first float64
		for _, held := range []int{10, 100_000} {
			shelf := benchShelf(b, kind)
			store := benchStore(b, shelf)
			seats := benchClaim(b, store)
			before := heap()
			benchHold(b, seats, held)
			perHandle := (float64(heap()) - float64(before)) / float64(held)
			b.Run(fmt.Sprintf("%s/handles=%d", kind, held), func(b *testing.B) {
				b.SetParallelism(32)
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						r := benchRequest(uuid.NewString(), "ws-7")
						g, err := seats.Access(context.Background(), r)
						ref := lease.Ref{Pool: r.Pool, Handle: r.ID, Seat: g.Seat, Epoch: g.Epoch, N: g.N}
						if err == nil {
							_, err = seats.Renew(context.Background(), ref)
						}
						if err == nil {
							err = seats.Release(context.Background(), ref)
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
				cost := b.Elapsed().Seconds() / float64(b.N)
				if held == 10 {
					first = cost
					return
				}
				b.ReportMetric(cost/first, "cost-growth")
				if kind == "file" { // journals in memory would count too
					b.ReportMetric(perHandle, "B/handle")
				}
			})
			_ = store.Close()
		}
	}
}

// BenchmarkTakeover is the time from the beginning of a claim to the first
// answer under the new epoch, with seats held under the one before.
func BenchmarkTakeover(b *testing.B) {
	for _, kind := range []string{"memory", "file"} {
		for _, held := range []int{1_000, 100_000} {
			b.Run(fmt.Sprintf("%s/seats=%d", kind, held), func(b *testing.B) {
				shelf := benchShelf(b, kind)
				old := benchStore(b, shelf)
				benchHold(b, benchClaim(b, old), held)
				b.ResetTimer()
				for range b.N {
					b.StopTimer()
					store := benchStore(b, shelf)
					b.StartTimer()
					seats := benchClaim(b, store)
					if _, err := seats.Access(context.Background(), benchRequest(uuid.NewString(), "ws-7")); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					_ = old.Close()
					old = store
					b.StartTimer()
				}
			})
		}
	}
}
