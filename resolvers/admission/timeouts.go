package admission

import (
	"context"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Timeouts bounds how long queries and mutations may take, however they came.
type Timeouts struct{ Most time.Duration }

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
} = Timeouts{}

// ExtensionName names the extension.
func (Timeouts) ExtensionName() string { return "Timeouts" }

// Validate has nothing to check.
func (Timeouts) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation gives the context of an operation its end.
func (t Timeouts) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if graphql.GetOperationContext(ctx).Operation.Operation == ast.Subscription {
		return next(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, t.Most)
	responses := next(ctx)
	return func(ctx context.Context) *graphql.Response {
		defer cancel() // there is one answer
		return responses(ctx)
	}
}

// Introspective says whether a selection reads the schema only.
func Introspective(set ast.SelectionSet) bool {
	for _, s := range set {
		if f, ok := s.(*ast.Field); !ok || !strings.HasPrefix(f.Name, "__") {
			return false
		}
	}
	return true
}
