// Package admission lets operations in: documents by their digests, what they may
// cost, and how long they may take. Who may ask at all, and for what, is not its
// matter.
package admission

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/resolvers/limits"
	"github.com/quorate/quorate/resolvers/present"
)

// refusedCost is what an operation counts as that is not executed.
const refusedCost = 10

// Rates are how much operations may cost: those of one token or member, and those
// of an organization together. The zero value is no limit.
type Rates struct{ Caller, Organization ratelimit.Rate }

// Metered is the executor, which takes from the caller's bucket and his
// organization's what an operation costs before anything of it is executed. Of a
// subscription that is its beginning alone.
type Metered struct {
	*executor.Executor
	Persisted Persisted
	Limits    ratelimit.Limiter
	Rates     Rates
}

var _ graphql.GraphExecutor = Metered{}

// CreateOperationContext implements graphql.GraphExecutor.
func (m Metered) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	op, errs := m.Executor.CreateOperationContext(ctx, params)
	if errs != nil && op.Doc != nil && op.Operation == nil {
		errs[0].Message = "the document has no operation of this name"
		if params.OperationName == "" {
			errs[0].Message = fmt.Sprintf("the document has %d operations, and none is named by `operationName`", len(op.Doc.Operations))
		}
	}
	cost := refusedCost
	if errs == nil {
		cost = limits.Cost(op)
	}
	charge := ratelimit.Charge{Scope: "anonymous", Cost: cost, Buckets: []ratelimit.Bucket{{Name: "caller", Rate: m.Rates.Caller}}}
	if by, err := auth.From(ctx); err == nil {
		charge.Scope = by.Organization
		charge.Buckets[0].Name = "caller:" + by.ID
		charge.Buckets = append(charge.Buckets, ratelimit.Bucket{Name: "organization", Rate: m.Rates.Organization})
	} else if errs == nil && !Introspective(op.Operation.SelectionSet) {
		return op, nil // it is refused for want of a caller
	}
	q, err := m.Limits.Take(ctx, charge)
	if err != nil { // the caller is gone
		return op, gqlerror.List{present.Final(license.Errorf(license.CodeUnavailable, "send it again", "the request was given up"))}
	}
	if note, ok := ctx.Value(leftKey{}).(*Left); ok {
		*note = Left{q, cost}
	}
	if !q.OK {
		return op, gqlerror.List{present.Final(ratelimit.Throttled(q.RetryAfter, "wait "+strconv.Itoa(ratelimit.Seconds(q.RetryAfter))+" s, or ask for less",
			"this operation costs %d, and %d of %d within %s are left", cost, q.Remaining, q.Limit, q.Per))}
	}
	if errs == nil {
		m.Persisted.keep(ctx, op)
	}
	return op, errs
}

type leftKey struct{}

// Left is what an operation cost, and what is left.
type Left struct {
	ratelimit.Quota
	cost int
}

// Note gives a context in which Metered notes what is left, for the answer's headers.
func (q *Left) Note(ctx context.Context) context.Context { return context.WithValue(ctx, leftKey{}, q) }

// Tell writes the headers.
func (q *Left) Tell(h http.Header) {
	if q.Limit == 0 {
		return
	}
	h.Set("RateLimit-Limit", strconv.Itoa(q.Limit))
	h.Set("RateLimit-Remaining", strconv.Itoa(q.Remaining))
	h.Set("RateLimit-Reset", strconv.Itoa(int((q.Reset+time.Second-1)/time.Second)))
	h.Set("RateLimit-Cost", strconv.Itoa(q.cost))
	if !q.OK {
		h.Set("Retry-After", strconv.Itoa(ratelimit.Seconds(q.RetryAfter)))
	}
}

// Throttled says whether errors tell that nothing was executed for being too much.
func Throttled(errs gqlerror.List) bool {
	return len(errs) > 0 && errs[0].Extensions["code"] == string(license.CodeThrottled)
}
