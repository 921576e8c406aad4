// Package gcfloor keeps a process with a small heap from collecting garbage all
// the time.
package gcfloor

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// Usual is what a server needs whose answers are hundreds of kB of garbage each,
// while what lives is a few MB.
const Usual = 32 << 20

// ofGo is Go's own setting: what is alive may double.
const ofGo = 100

// Keep has garbage collected only once the heap has bytes, where that is more
// than twice of what is alive; larger heaps are collected as ever. It holds for
// the whole process until stop. Where the environment sets GOGC, that holds.
func Keep(bytes uint64) (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	f := &floor{bytes: bytes}
	f.percent.Store(ofGo)
	f.collected()
	return func() {
		if !f.stopped.Swap(true) {
			debug.SetGCPercent(ofGo)
		}
	}
}

type floor struct {
	bytes   uint64
	percent atomic.Int64
	stopped atomic.Bool
}

// visit is referred to by nobody, so that the collector finds it each time.
type visit struct{ *floor }

func (f *floor) collected() {
	if f.stopped.Load() {
		return
	}
	f.set(alive())
	runtime.SetFinalizer(&visit{f}, func(v *visit) { v.collected() })
}

// set stops the world for a moment, so it leaves small differences alone.
func (f *floor) set(heap, rest uint64) {
	want, now := percent(f.bytes, heap, rest), f.percent.Load()
	if want == now || want != ofGo && want > now*9/10 && want < now*11/10 {
		return
	}
	f.percent.Store(want)
	debug.SetGCPercent(int(want))
	if f.stopped.Load() {
		debug.SetGCPercent(ofGo)
	}
}

// percent is the setting by which a heap with so much alive is collected at
// bytes. Go adds the share to the heap that it takes of heap, stacks and globals
// (rest).
func percent(bytes, heap, rest uint64) int64 {
	if heap >= bytes || heap+rest == 0 {
		return ofGo
	}
	return max(ofGo, int64((bytes-heap)*100/(heap+rest))) //nolint:gosec // G115: far below
}

// alive is what the last collection left of the heap, and what was looked
// through beside it.
func alive() (heap, rest uint64) {
	all := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(all)
	return all[0].Value.Uint64(), all[1].Value.Uint64() + all[2].Value.Uint64()
}
