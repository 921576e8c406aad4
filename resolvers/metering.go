package resolvers

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
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

// metered is the executor, which takes from the caller's bucket and his
// organization's what an operation costs before anything of it is executed. Of a
// subscription that is its beginning alone.
type metered struct {
	*executor.Executor
	persisted persisted
	limits    ratelimit.Limiter
	rates     Rates
}

var _ graphql.GraphExecutor = metered{}

// CreateOperationContext implements graphql.GraphExecutor.
func (m metered) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	op, errs := m.Executor.CreateOperationContext(ctx, params)
	cost := refusedCost
	if errs == nil {
		cost = limits.Cost(op)
	}
	charge := ratelimit.Charge{Scope: "anonymous", Cost: cost, Buckets: []ratelimit.Bucket{{Name: "caller", Rate: m.rates.Caller}}}
	if by, err := auth.From(ctx); err == nil {
		charge.Scope = by.Organization
		charge.Buckets[0].Name = "caller:" + by.ID
		charge.Buckets = append(charge.Buckets, ratelimit.Bucket{Name: "organization", Rate: m.rates.Organization})
	} else if errs == nil && !introspective(op.Operation.SelectionSet) {
		return op, nil // it is refused for want of a caller
	}
	q, err := m.limits.Take(ctx, charge)
	if err != nil { // the caller is gone
		return op, gqlerror.List{present.Final(license.Errorf(license.CodeUnavailable, "send it again", "the request was given up"))}
	}
	if note, ok := ctx.Value(quotaKey{}).(*quota); ok {
		*note = quota{q, cost}
	}
	if !q.OK {
		return op, gqlerror.List{present.Final(ratelimit.Throttled(q.RetryAfter, "wait "+strconv.Itoa(ratelimit.Seconds(q.RetryAfter))+" s, or ask for less",
			"this operation costs %d, and %d of %d within %s are left", cost, q.Remaining, q.Limit, q.Per))}
	}
	if errs == nil {
		m.persisted.keep(ctx, op)
	}
	return op, errs
}

// quotaKey leads to where what is left is noted for the answer's headers.
type quotaKey struct{}

type quota struct {
	ratelimit.Quota
	cost int
}

// tell writes the headers.
func (q quota) tell(h http.Header) {
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

// throttled says whether errors tell that nothing was executed for being too much.
func throttled(errs gqlerror.List) bool {
	return len(errs) > 0 && errs[0].Extensions["code"] == string(license.CodeThrottled)
}

// timeouts bounds how long queries and mutations may take, however they came.
type timeouts struct{ most time.Duration }

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
} = timeouts{}

// ExtensionName names the extension.
func (timeouts) ExtensionName() string { return "Timeouts" }

// Validate has nothing to check.
func (timeouts) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation gives the context of an operation its end.
func (t timeouts) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if graphql.GetOperationContext(ctx).Operation.Operation == ast.Subscription {
		return next(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, t.most)
	responses := next(ctx)
	return func(ctx context.Context) *graphql.Response {
		defer cancel() // there is one answer
		return responses(ctx)
	}
}
