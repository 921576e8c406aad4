package platform_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/ent/idempotencykey"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

type request struct{ Name string }

// once makes a firm-like thing under a key: here just an id.
func (l *lab) once(key string, input any, make func() ([]string, error)) (ids []string, again bool, err error) {
	ctx := l.vendor()
	err = l.Store().WithTx(ctx, func(tx *store.Tx) error {
		ids, again, err = core.Once(ctx, tx, l.owner.Organization, "createThing", key, input, make)
		return err
	})
	return ids, again, err
}

// TestOnce: the same request is done once, another one under its key is
// refused, and what failed is as if it never was.
func TestOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := 0
		two := func() ([]string, error) { made++; return []string{fmt.Sprint("a", made), "b"}, nil }
		for i := range 3 {
			ids, again, err := l.once("k1", request{"x"}, two)
			if err != nil || again != (i > 0) || !slices.Equal(ids, []string{"a1", "b"}) {
				t.Fatalf("request %d: %v, again %v, %v", i+1, ids, again, err)
			}
		}
		if made != 1 {
			t.Errorf("it was made %d times", made)
		}
		_, _, err := l.once("k1", request{"y"}, two)
		wantCode(t, "another input", err, license.CodeConflict)
		for range 2 {
			if ids, again, err := l.once("", request{"x"}, two); err != nil || again || len(ids) != 2 {
				t.Errorf("without a key: %v, again %v, %v", ids, again, err)
			}
		}
		if made != 3 {
			t.Errorf("without a key it was made %d times", made-1)
		}

		broken := errors.New("the disk is full")
		if _, _, err := l.once("k2", request{"x"}, func() ([]string, error) { return nil, broken }); !errors.Is(err, broken) {
			t.Errorf("a failure: %v", err)
		}
		if ids, again, err := l.once("k2", request{"z"}, two); err != nil || again || ids[0] != "a4" {
			t.Errorf("after a failure: %v, again %v, %v", ids, again, err)
		}
		for _, key := range []string{strings.Repeat("k", 201), "a\x00b", "\xff"} {
			_, _, err := l.once(key, request{"x"}, two)
			wantCode(t, "a bad key", err, license.CodeInvalidInput)
		}
		_, _, err = l.once("k3", request{"x"}, func() ([]string, error) { return []string{strings.Repeat("x", 2001)}, nil })
		wantCode(t, "too much at once", err, license.CodeInvalidInput)

		// Another organization has keys of its own.
		other := l.stranger()
		err = l.Store().WithTx(other, func(tx *store.Tx) error {
			_, again, err := core.Once(other, tx, l.owner.Organization, "createThing", "k1", request{"x"}, two)
			if again {
				t.Error("another organization's key is known")
			}
			return err
		})
		wantCode(t, "for another organization", err, license.CodeForbidden)
	})
}

// TestOnceAtTheSameTime: of many requests with one key one makes, and all get
// the same.
func TestOnceAtTheSameTime(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		var made atomic.Int32
		var wg sync.WaitGroup
		var mu sync.Mutex
		answers := map[string]int{}
		for range 8 {
			wg.Go(func() {
				ids, _, err := l.once("k", request{"x"}, func() ([]string, error) {
					return []string{fmt.Sprint("id", made.Add(1))}, nil
				})
				mu.Lock()
				defer mu.Unlock()
				answers[fmt.Sprint(ids, err)]++
			})
		}
		wg.Wait()
		if made.Load() != 1 || answers["[id1] <nil>"] != 8 {
			t.Errorf("made %d times: %v", made.Load(), answers)
		}
	})
}

// TestOnceIsAMap: any sequence of requests does what a map of keys would say.
func TestOnceIsAMap(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		walk := 0
		rapid.Check(t, func(r *rapid.T) {
			walk++
			type kept struct{ input, id string }
			model := map[string]kept{}
			for i := range rapid.IntRange(1, 6).Draw(r, "requests") {
				key := rapid.SampledFrom([]string{"", "a", "b", "a b"}).Draw(r, "key")
				input := rapid.SampledFrom([]string{"x", "y"}).Draw(r, "input")
				fails := rapid.Bool().Draw(r, "fails")
				if key != "" {
					key = fmt.Sprint(walk, key)
				}
				id, ran := fmt.Sprintf("id%d-%d", walk, i), false
				ids, again, err := l.once(key, request{input}, func() ([]string, error) {
					ran = true
					if fails {
						return nil, errors.New("no")
					}
					return []string{id}, nil
				})
				was, known := model[key]
				switch {
				case known && was.input != input:
					if license.CodeOf(err) != license.CodeConflict || ran {
						r.Fatalf("another input: %v, ran %v", err, ran)
					}
				case known:
					if err != nil || !again || ran || len(ids) != 1 || ids[0] != was.id {
						r.Fatalf("again: %v %v %v, ran %v", ids, again, err, ran)
					}
				case fails:
					if err == nil || !ran {
						r.Fatalf("a failure: %v, ran %v", err, ran)
					}
				default:
					if err != nil || again || !ran || ids[0] != id {
						r.Fatalf("first: %v %v %v, ran %v", ids, again, err, ran)
					}
					if key != "" {
						model[key] = kept{input, id}
					}
				}
			}
		})
	})
}

// TestKeysAreForgotten after 30 days, and no sooner.
func TestKeysAreForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		ctx := l.system()
		err := l.Store().WithTx(ctx, func(tx *store.Tx) error {
			for i := range 1010 {
				at := core.Now().Add(-core.KeyAge)
				if i < 1005 {
					at = at.Add(-1)
				} else {
					at = at.Add(1e10)
				}
				if err := tx.IdempotencyKey.Create().SetOrganizationID(l.owner.Organization).SetOperation("o").SetKey(fmt.Sprint(i)).
					SetDigest([]byte{1}).SetResult("").SetCreatedAt(at).Exec(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n, err := l.PruneKeys(t.Context())
		if err != nil || n != 1005 {
			t.Errorf("%d keys were removed, %v", n, err)
		}
		if left := l.Store().Client().IdempotencyKey.Query().Where(idempotencykey.Operation("o")).CountX(ctx); left != 5 {
			t.Errorf("%d keys are left", left)
		}
	})
}
