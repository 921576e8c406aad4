package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
)

// HTTP makes a span of each request that name names; it must give one of few
// names. A request that name leaves out continues its caller's trace alone.
func (t *Tracing) HTTP(name func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := FromHeader(r.Context(), r.Header)
		end := func(error) {}
		if t != nil {
			if n := name(r); n != "" {
				ctx, end = t.Begin(ctx, n, attribute.String("http.request.method", method(r.Method)), attribute.String("http.route", n))
			}
		}
		defer end(nil)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// NoteStatus adds an answer's status to the span that ctx carries.
func NoteStatus(ctx context.Context, status int) {
	Note(ctx, attribute.Int("http.response.status_code", status))
}

// method keeps a caller's words out of attributes.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions:
		return m
	}
	return "_OTHER"
}

// Detached gives a context with the request's id and trace of ctx, and nothing
// else of it: for what outlives the request.
func Detached(ctx context.Context) context.Context {
	return WithRequestID(Continue(context.Background(), Traceparent(ctx)), RequestID(ctx))
}
