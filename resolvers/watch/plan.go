package watch

import (
	"context"
	"errors"
	"hash/fnv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/live"
)

// figures is the id of what a stream shows beside its items.
const figures = "="

// Plan is how a subscription is carried out: what is to be watched, and how a
// change of it is told. Both run in the sight of the subscriber's organization
// and role, and of no one person: all who have them share the work.
type Plan[T any] struct {
	Source live.Source
	// Value gives what is told of a change, with the stamps of what it really
	// shows.
	Value func(ctx context.Context, c live.Change) (T, live.Items, error)
}

// Call is what the resolver of a subscription is called for: to plan, or, with a
// change, to tell it as planned.
type Call struct {
	Source live.Source
	Value  any // of the plan
	Change *live.Change
	Shows  live.Items
	Err    error
}

// In gives the context in which the resolver is called.
func (c *Call) In(ctx context.Context) context.Context { return context.WithValue(ctx, callKey{}, c) }

type callKey struct{}

// Resolve is the resolver of a subscription. It gives no stream itself: it plans
// one, and tells one change at a time.
func Resolve[T any](ctx context.Context, make func(ctx context.Context) (Plan[T], error)) (<-chan T, error) {
	call, ok := ctx.Value(callKey{}).(*Call)
	if !ok {
		return nil, license.Errorf(license.CodeInvalidInput, "use WebSocket, or accept text/event-stream", "a subscription needs a stream")
	}
	if call.Change == nil {
		p, err := make(ctx)
		if err != nil {
			call.Err = err
			return nil, err
		}
		call.Source, call.Value = p.Source, p.Value
		return ended[T](), nil
	}
	value, ok := call.Value.(func(context.Context, live.Change) (T, live.Items, error))
	if !ok {
		call.Err = license.Errorf(license.CodeInternal, "", "a subscription was planned as another one")
		return nil, call.Err
	}
	var v T
	call.Err = errPanicked // unless it returns
	if v, call.Shows, call.Err = value(ctx, *call.Change); call.Err != nil {
		return nil, call.Err
	}
	return ended(v), nil
}

// errPanicked ends a stream whose change can't be told; the panic itself is logged
// where the resolver is called.
var errPanicked = errors.New("what is told of a change panicked")

func ended[T any](values ...T) <-chan T {
	out := make(chan T, len(values))
	for _, v := range values {
		out <- v
	}
	close(out)
	return out
}

// told is what every message has.
type told struct {
	Sequence int
	Since    *int
	Snapshot bool
	Position string
}

func toldOf(c live.Change) told {
	t := told{Sequence: int(c.At.Number), Snapshot: c.Snapshot, Position: c.At.String()}
	if !c.Snapshot {
		since := int(c.Since)
		t.Since = &since
	}
	return t
}

// stampOf is the same for equal texts, in all replicas.
func stampOf(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p)) // it never fails
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// without gives the ids of rows, and not of figures.
func without(c live.Change, other string) (ids []string) {
	for _, id := range c.Ids() {
		if id != other {
			ids = append(ids, id)
		}
	}
	return ids
}

// selected says whether a subscription asks for a field below a field of what it
// watches.
func selected(ctx context.Context, names ...string) bool {
	root := graphql.GetFieldContext(ctx)
	if root == nil {
		return true
	}
	op, below := graphql.GetOperationContext(ctx), root.Field.Selections
	for _, name := range names {
		var next ast.SelectionSet
		for _, f := range graphql.CollectFields(op, below, []string{"AllocationsChange", "Allocation", "Node"}) {
			if f.Name == name {
				next = append(next, f.Selections...)
			}
		}
		if below = next; below == nil {
			return false
		}
	}
	return true
}

// removed never is null.
func removed(c live.Change) []string { return append([]string{}, c.Removed...) }
