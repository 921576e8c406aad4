package resolvers

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
)

// watch runs a subscription. run emits until its context ends or it returns:
// nil is the stream's proper end, an error is sent to the client as the last
// message. An emission waits until the client has taken the one before, so
// nothing is gathered for a slow one; run reads the state anew each time. Each
// emission checks again that the principal may still read.
func watch[T any](ctx context.Context, r *Resolver, run func(ctx context.Context, emit func(T) error) error) (<-chan T, error) {
	end, ok := ctx.Value(endingKey{}).(*ending)
	if !ok {
		end = &ending{}
	}
	out := make(chan T)
	emit := func(v T) error {
		if err := r.stillAllowed(ctx); err != nil {
			return err
		}
		select {
		case out <- v:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	go func() {
		defer close(out)
		defer func() {
			if p := recover(); p != nil {
				r.log.ErrorContext(ctx, "a subscription panicked", "panic", p, "stack", string(debug.Stack()))
				end.set(fmt.Errorf("panic: %v", p))
			}
		}()
		if err := run(ctx, emit); err != nil && ctx.Err() == nil {
			end.set(err)
		}
	}()
	return out, nil
}

// stillAllowed says whether who began to watch may go on: the member or token
// must still be there, with a role that may read.
func (r *Resolver) stillAllowed(ctx context.Context) error {
	p, err := r.principal(ctx)
	if err != nil {
		return err
	}
	_, err = auth.Require(auth.With(ctx, p), auth.Read)
	return err
}

// principal is who asks, as he is now: with the role that he has now. The error
// is license.CodeUnauthenticated when he isn't there any more.
func (r *Resolver) principal(ctx context.Context) (auth.Principal, error) {
	p, err := auth.From(ctx)
	if err != nil {
		return p, err
	}
	switch p.Kind {
	case auth.KindMember:
		return r.platform.MemberPrincipal(ctx, p.ID)
	case auth.KindToken:
		row, err := r.client.ApiToken.Get(ctx, p.ID)
		if ent.IsNotFound(err) {
			err = license.Errorf(license.CodeUnauthenticated, "use another token", "the API token was taken back")
		}
		if err != nil {
			return auth.Principal{}, err
		}
		p.Role = auth.Role(row.Role)
	}
	return p, nil
}

// errBusClosed ends streams when the process can't tell them of changes any more.
func errBusClosed() error {
	return license.Errorf(license.CodeUnavailable, "connect again", "the server is stopping")
}
