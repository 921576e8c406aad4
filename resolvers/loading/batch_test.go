package loading

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
)

func TestBatchLoadsAnnouncedKeysAtOnce(t *testing.T) {
	var fetched [][]string
	b := newBatch(func(_ context.Context, keys []string) (map[string]int, error) {
		slices.Sort(keys)
		fetched = append(fetched, keys)
		return map[string]int{"a": 1, "b": 2}, nil
	})
	b.Announce("a")
	b.Announce("b")
	b.Announce("b")
	var all sync.WaitGroup
	for _, key := range []string{"a", "b", "none", "a"} {
		all.Go(func() {
			v, found, err := b.Load(t.Context(), key)
			if err != nil || found != (key != "none") || (key == "b" && v != 2) {
				t.Errorf("%s: %d %v %v", key, v, found, err)
			}
		})
	}
	all.Wait()
	b.Announce("a") // known already
	if _, _, err := b.Load(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	n := 0
	for _, keys := range fetched {
		n += len(keys)
	}
	if n != 3 || len(fetched) > 2 {
		t.Errorf("fetched %v", fetched)
	}
}

func TestBatchTellsAnErrorToAll(t *testing.T) {
	failure, calls := errors.New("down"), 0
	b := newBatch(func(context.Context, []string) (map[string]int, error) {
		calls++
		return nil, failure
	})
	b.Announce("a")
	b.Announce("b")
	for _, key := range []string{"a", "b"} {
		if _, _, err := b.Load(t.Context(), key); !errors.Is(err, failure) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if calls != 1 {
		t.Errorf("asked %d times", calls)
	}
}
