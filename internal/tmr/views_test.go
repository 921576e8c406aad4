package tmr_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/quorate/quorate/internal/license"
)

func TestEachWatcherSeesEachView(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		first := g.View().Version
		const changes = 200
		var watchers sync.WaitGroup
		for range 20 {
			watchers.Go(func() {
				next := first
				for v, err := range watch(context.Background(), g) {
					if err != nil || v.Version != next {
						t.Errorf("version %d, %v instead of %d", v.Version, err, next)
						return
					}
					if next++; v.Version == first+changes {
						return
					}
				}
			})
		}
		synctest.Wait()
		for i := range uint32(changes) {
			l.containers[i%3].Set(held(20, 8+i/3))
			l.await(func(v license.View) bool { return v.Version >= first+uint64(i)+1 })
		}
		watchers.Wait()
	})
}

func TestTooSlowIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		first := g.View().Version
		watcher, gone := watch(t.Context(), g), false
		for v, err := range watcher {
			if err != nil {
				if license.CodeOf(err) != license.CodeConflict {
					t.Errorf("got %v", err)
				}
				gone = true
				continue
			}
			if gone {
				t.Error("a view after the gap")
			}
			if v.Version == first {
				for i := range uint32(2100) {
					l.containers[0].Set(held(20, 8+i%2))
					synctest.Wait()
				}
			}
		}
		if !gone {
			t.Error("views were missed in silence")
		}
		if views, err := g.Views(t.Context(), g.View().Version-5, 3); err != nil || len(views) != 3 || views[0].Version != g.View().Version-4 {
			t.Errorf("the newest: %d, %v", len(views), err)
		}
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for v, err := range watch(ctx, g) {
			if err != nil {
				t.Error(err)
			}
			if v.Version == g.View().Version {
				cancel()
			}
		}
		if views, err := g.Views(ctx, g.View().Version, 1); len(views) != 0 || err != nil {
			t.Errorf("after the end: %v, %v", views, err)
		}
	})
}
