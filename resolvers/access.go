package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/resolvers/admission"
	"github.com/quorate/quorate/resolvers/present"
)

// access lets nobody execute anything without a principal that may read; what
// else one may do is checked by each use case. A WebSocket says who asks once,
// and may live for days: there the principal is read anew for each operation.
type access struct {
	present present.Presenter
	r       *Resolver
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
} = access{}

// ExtensionName names the extension.
func (access) ExtensionName() string { return "Access" }

// Validate has nothing to check.
func (access) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation checks the principal.
func (a access) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if onSocket(ctx) {
		p, err := a.r.principal(ctx)
		if err != nil {
			return a.refuse(ctx, err)
		}
		ctx = auth.With(ctx, p)
	}
	if !admission.Introspective(graphql.GetOperationContext(ctx).Operation.SelectionSet) {
		if _, err := auth.Require(ctx, auth.Read); err != nil {
			return a.refuse(ctx, err)
		}
	}
	return next(ctx)
}

func (a access) refuse(ctx context.Context, err error) graphql.ResponseHandler {
	return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{a.present.Present(ctx, err)}})
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
