package resolvers

import (
	"context"
	"hash/fnv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/live"
)

// figures is the id of what a stream shows beside its items.
const figures = "="

// plan is how a subscription is carried out: what is to be watched, and how a
// change of it is told. Both run in the sight of the subscriber's organization
// and role, and of no one person: all who have them share the work.
type plan[T any] struct {
	source live.Source
	// value gives what is told of a change, with the stamps of what it really
	// shows.
	value func(ctx context.Context, c live.Change) (T, live.Items, error)
}

// liveKey leads to what a subscription's resolver is called for.
type liveKey struct{}

// liveCall is that: to plan, or, with a change, to tell it as planned.
type liveCall struct {
	source live.Source
	value  any
	change *live.Change
	shows  live.Items
	err    error
}

// watch is the resolver of a subscription. It gives no stream itself: it plans
// one, and tells one change at a time.
func watch[T any](ctx context.Context, make func(ctx context.Context) (plan[T], error)) (<-chan T, error) {
	call, ok := ctx.Value(liveKey{}).(*liveCall)
	if !ok {
		return nil, license.Errorf(license.CodeInvalidInput, "use WebSocket, or accept "+typeStream, "a subscription needs a stream")
	}
	if call.change == nil {
		p, err := make(ctx)
		if err != nil {
			call.err = err
			return nil, err
		}
		call.source, call.value = p.source, p.value
		return ended[T](), nil
	}
	value, ok := call.value.(func(context.Context, live.Change) (T, live.Items, error))
	if !ok {
		call.err = license.Errorf(license.CodeInternal, "", "a subscription was planned as another one")
		return nil, call.err
	}
	var v T
	if v, call.shows, call.err = value(ctx, *call.change); call.err != nil {
		return nil, call.err
	}
	out := ended(v)
	return out, nil
}

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

// sharedWith is who all subscribers with a principal's rights are: none of them.
func sharedWith(p auth.Principal) auth.Principal {
	p.ID, p.Name, p.Email = "everybody with the same rights", "", ""
	return p
}

// principal is who asks, as he is now: with the role that he has now. The error
// is license.CodeUnauthenticated when he isn't there any more.
func (r *Resolver) principal(ctx context.Context) (auth.Principal, error) {
	p, err := auth.From(ctx)
	if err != nil {
		return p, err
	}
	if h, ok := auth.HoldOf(ctx); ok {
		return h.Again(ctx)
	}
	switch p.Kind {
	case auth.KindMember, auth.KindToken:
		return r.platform.Current(ctx, p)
	}
	return p, nil
}
