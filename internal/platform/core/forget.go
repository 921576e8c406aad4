package core

import (
	"maps"
	"slices"
	"time"
)

// MostTracked bounds such memories; when one is full the longest forgotten are
// dropped first.
const MostTracked = 10_000

// Forget removes what was last used before the time given, and of the rest as
// many of the oldest as make room for a tenth: who fills the map pays for one
// look through it only once in a thousand calls.
func Forget[V any](all map[string]V, last func(V) time.Time, before time.Time) {
	maps.DeleteFunc(all, func(_ string, v V) bool { return last(v).Before(before) })
	if len(all) < MostTracked {
		return
	}
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return last(all[a]).Compare(last(all[b])) })
	for _, name := range names[:MostTracked/10] {
		delete(all, name)
	}
}
