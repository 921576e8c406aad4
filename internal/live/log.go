package live

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Errors of a Log.
var (
	// ErrMoved: the log is not where the writer thought. Read on, and try again.
	ErrMoved = errors.New("the stream's log has moved on")
	// ErrForgotten: what follows on the position is not kept any more, or the
	// position is of another log.
	ErrForgotten = errors.New("the stream's log does not have that position")
)

// Position is a place in a stream's log: after entry Number. The epoch tells
// one log from another: a log that was lost and begun anew has another one. The
// zero Position is before any log.
type Position struct {
	Epoch  string
	Number int64
}

// mostPosition bounds the text of a position.
const mostPosition = 64

// String gives what ParsePosition reads.
func (p Position) String() string { return p.Epoch + "." + strconv.FormatInt(p.Number, 10) }

// ParsePosition reads a position that a client gives back; false for what none
// was ever written as.
func ParsePosition(s string) (Position, bool) {
	epoch, number, ok := strings.Cut(s, ".")
	if !ok || epoch == "" || len(s) > mostPosition {
		return Position{}, false
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != number {
		return Position{}, false
	}
	return Position{epoch, n}, true
}

// Items are what a stream shows: a stamp by id. An item whose stamp is another
// one is shown in another way.
type Items map[string]uint64

// Entry is what changed from one number to the next.
type Entry struct {
	Upserted Items
	Removed  []string
}

// empty says whether nothing changed.
func (e Entry) empty() bool { return len(e.Upserted) == 0 && len(e.Removed) == 0 }

// equal says whether two entries say the same.
func (e Entry) equal(other Entry) bool {
	return maps.Equal(e.Upserted, other.Upserted) &&
		slices.Equal(slices.Sorted(slices.Values(e.Removed)), slices.Sorted(slices.Values(other.Removed)))
}

// State is what a stream's log comes to.
type State struct {
	At    Position
	Items Items
}

// Log keeps the newest entries of each stream, and what all of them come to. It
// forgets streams that nobody has touched for some minutes. Safe for concurrent
// use, and by several processes where the driver says so.
type Log interface {
	// Load gives a stream's present state; the zero State when there is no log.
	// It keeps the log from being forgotten.
	Load(ctx context.Context, stream string) (State, error)
	// Append adds entries after at, with the numbers that follow on it. After
	// the zero Position it begins a log. Error: ErrMoved, then nothing was added.
	Append(ctx context.Context, stream string, at Position, entries []Entry) (Position, error)
	// Since gives the entries after a position, in order; none when it is the
	// last one. Error: ErrForgotten.
	Since(ctx context.Context, stream string, after Position) ([]Entry, error)
}

// Diff gives what changes was into now.
func Diff(was, now Items) Entry {
	e := Entry{Upserted: Items{}}
	for id, stamp := range now {
		if old, ok := was[id]; !ok || old != stamp {
			e.Upserted[id] = stamp
		}
	}
	for id := range was {
		if _, ok := now[id]; !ok {
			e.Removed = append(e.Removed, id)
		}
	}
	return e
}

// apply changes items by an entry.
func (items Items) apply(e Entry) {
	for id, stamp := range e.Upserted {
		items[id] = stamp
	}
	for _, id := range e.Removed {
		delete(items, id)
	}
}

// merge makes one entry of several.
func merge(entries []Entry) Entry {
	all, gone := Entry{Upserted: Items{}}, map[string]struct{}{}
	for _, e := range entries {
		for id, stamp := range e.Upserted {
			all.Upserted[id] = stamp
			delete(gone, id)
		}
		for _, id := range e.Removed {
			delete(all.Upserted, id)
			gone[id] = struct{}{}
		}
	}
	for id := range gone {
		all.Removed = append(all.Removed, id)
	}
	return all
}
