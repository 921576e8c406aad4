// Package present turns errors into what clients of the GraphQL API see.
package present

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
)

// Presenter turns errors into what GraphQL clients see, once for all. It never
// shows an error without a code: such a one is logged, with the request's context,
// and shown as INTERNAL.
type Presenter struct {
	Log       *slog.Logger
	RequestID func(context.Context) string
}

// Present gives what is shown of an error.
func (p Presenter) Present(ctx context.Context, err error) *gqlerror.Error {
	out := &gqlerror.Error{}
	if ge, ok := errors.AsType[*gqlerror.Error](err); ok {
		out.Path, out.Locations = ge.Path, ge.Locations
		if done(ge) {
			out.Message, out.Rule, out.Extensions = ge.Message, ge.Rule, ge.Extensions
			return p.Stamp(ctx, out)
		}
	}
	public := Known(err)
	if public == nil && ctx.Err() != nil { // drivers have words of their own for it
		public = Known(ctx.Err())
	}
	if public == nil {
		public = license.Public(err)
		p.Log.ErrorContext(ctx, "graphql", "path", out.Path.String(), "err", err)
	}
	fill(out, public)
	return p.Stamp(ctx, out)
}

// done says whether an error was made for clients already: by the parser, the
// validation or the limits.
func done(e *gqlerror.Error) bool {
	switch e.Extensions["code"] {
	case nil, "INVALID_PAGINATION":
		return false
	}
	return true
}

// Known gives the error to show for err, or nil when it is an internal one.
func Known(err error) *license.Error {
	if e, ok := errors.AsType[*license.Error](err); ok {
		if e.Code == license.CodeInternal {
			return nil
		}
		return e
	}
	if ge, ok := errors.AsType[*gqlerror.Error](err); ok && ge.Extensions["code"] == "INVALID_PAGINATION" {
		return license.Errorf(license.CodeInvalidInput, "give `first` or `last`, not both", "the page is not well defined")
	}
	if ent.IsNotFound(err) {
		return errNotFound()
	}
	if public := license.Public(err); public.Code != license.CodeInternal {
		return public
	}
	return nil
}

func errNotFound() *license.Error {
	return license.Errorf(license.CodeNotFound, "check the id; you see only what belongs to your organization", "there is no such thing")
}

// Final makes an error that a Presenter leaves as it is. The limits need it:
// over WebSocket their errors are sent without being presented.
func Final(e *license.Error) *gqlerror.Error {
	out := &gqlerror.Error{}
	fill(out, e)
	return out
}

func fill(out *gqlerror.Error, e *license.Error) {
	out.Message = e.Message
	out.Extensions = map[string]any{"code": string(e.Code)}
	if e.Fix != "" {
		out.Extensions["fix"] = e.Fix
	}
	if seconds := ratelimit.RetryAfter(e); seconds > 0 {
		out.Extensions["retryAfter"] = seconds
	}
	if len(e.Details) > 0 {
		out.Extensions["details"] = e.Details
	}
}

// Stamp adds the request's id, which leads from what a user sees to our log.
func (p Presenter) Stamp(ctx context.Context, e *gqlerror.Error) *gqlerror.Error {
	if id := p.id(ctx); id != "" {
		if e.Extensions == nil {
			e.Extensions = map[string]any{}
		}
		e.Extensions["requestId"] = id
	}
	return e
}

func (p Presenter) id(ctx context.Context) string {
	if p.RequestID == nil {
		return ""
	}
	return p.RequestID(ctx)
}

// Recovered logs a panic of a resolver with its stack; the client gets INTERNAL.
func (p Presenter) Recovered(ctx context.Context, r any) error {
	path := ""
	if fc := graphql.GetFieldContext(ctx); fc != nil {
		path = fc.Path().String()
	}
	p.Log.ErrorContext(ctx, "graphql panic", "path", path, "panic", r, "stack", string(debug.Stack()))
	return fmt.Errorf("panic: %v", r)
}
