package auth

import "context"

// Hold is what a principal hangs on beside what he is: a session. Whatever
// serves somebody for long, as a stream does, asks it again while it does.
type Hold struct {
	// Key names it in signals of event.Sessions.
	Key string
	// Again gives who the principal is by now. Error: license.CodeUnauthenticated
	// where it has ended. Safe for concurrent use, also after the request.
	Again func(ctx context.Context) (Principal, error)
}

type holdKey struct{}

// WithHold has ctx's principal hang on h; the zero Hold: on nothing else.
func WithHold(ctx context.Context, h Hold) context.Context {
	return context.WithValue(ctx, holdKey{}, h)
}

// HoldOf gives what the context's principal hangs on; false: on nothing but
// himself.
func HoldOf(ctx context.Context) (Hold, bool) {
	h, _ := ctx.Value(holdKey{}).(Hold)
	return h, h.Again != nil
}
