package resolvers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/resolvers/observe"
	"github.com/quorate/quorate/resolvers/present"
	"github.com/quorate/quorate/resolvers/rights"
	"github.com/quorate/quorate/resolvers/socket"
	"github.com/quorate/quorate/resolvers/watch"
)

// start begins an operation of a WebSocket.
func (h *Handler) start(ctx context.Context, params *graphql.RawParams, wake func()) (socket.Operation, gqlerror.List) {
	ctx = graphql.StartOperationTrace(ctx)
	now := graphql.Now()
	params.ReadTime = graphql.TraceTiming{Start: now, End: now}
	op, errs := h.exec.CreateOperationContext(ctx, params)
	if errs != nil {
		return nil, h.exec.DispatchError(graphql.WithOperationContext(ctx, op), errs).Errors
	}
	if op.Operation.Operation == ast.Subscription {
		return h.follow(ctx, params, op, wake), nil
	}
	responses, ctx := h.exec.DispatchOperation(ctx, op)
	response := responses(ctx)
	if response == nil { // its time was over
		return nil, gqlerror.List{h.present.Stamp(ctx, present.Final(present.Known(context.DeadlineExceeded)))}
	}
	return &single{payload: encoded(response)}, nil
}

// panicked logs what panicked while one client was served, and gives what he is
// told of it.
func (h *Handler) panicked(ctx context.Context, p any) gqlerror.List {
	return gqlerror.List{h.present.Present(ctx, h.present.Recovered(ctx, p))}
}

// encoded gives the bytes of a response.
func encoded(response *graphql.Response) []byte {
	b, err := json.Marshal(response)
	if err != nil {
		panic(err) // the executor's own output
	}
	return b
}

// single is an operation with one answer.
type single struct{ payload []byte }

// Next gives the answer, then the end.
func (s *single) Next(context.Context) ([]byte, error) {
	if s.payload == nil {
		return nil, io.EOF
	}
	payload := s.payload
	s.payload = nil
	return payload, nil
}

// Close has nothing to do.
func (s *single) Close() {}

// following is a subscription of one subscriber.
type following struct {
	h      *Handler
	ctx    context.Context
	params *graphql.RawParams
	op     *graphql.OperationContext // while it begins
	wake   func()
	told   *rights.Watcher // of changed rights

	sub    *live.Subscription
	open   *observe.Open
	key    string // the rights that sub is shared by
	looked rights.Looked
	last   []byte // the message before the end
	ended  bool
	out    bool // what it hangs on has ended
}

// follow begins a subscription. That it can't be is told by its first message.
func (h *Handler) follow(ctx context.Context, params *graphql.RawParams, op *graphql.OperationContext, wake func()) *following {
	f := &following{h: h, ctx: ctx, params: params, op: op, wake: wake}
	hold, _ := auth.HoldOf(ctx)
	f.told = h.r.rights.Join(wake, hold.Key)
	begun := false
	defer func() {
		if !begun { // it panicked
			f.Close()
		}
	}()
	var after live.Position
	if text, ok := f.after().(string); ok {
		after, _ = live.ParsePosition(text) // what is none begins with a snapshot
	}
	if response := f.begin(after); response != nil {
		f.last = encoded(response)
	}
	f.op = nil // it may live for days: it is made anew in the rare case
	begun = true
	return f
}

// after is the value of the root field's argument of that name.
func (f *following) after() any {
	for _, s := range f.op.Operation.SelectionSet {
		if field, ok := s.(*ast.Field); ok {
			return field.ArgumentMap(f.op.Variables)["after"]
		}
	}
	return nil
}

// begin watches with the rights that the subscriber has now; else the answer
// says why it can't be.
func (f *following) begin(after live.Position) *graphql.Response {
	h := f.h
	by, err := h.r.principal(f.ctx)
	if err != nil {
		return f.failed(err)
	}
	call := &watch.Call{}
	// What was begun for planning is let go of with it, and not with the connection.
	ctx, planned := context.WithCancel(call.In(auth.With(f.ctx, by)))
	defer planned()
	responses, ctx := h.exec.DispatchOperation(ctx, f.op)
	if call.Value == nil {
		if response := responses(ctx); response != nil {
			return response
		}
		return f.failed(license.Errorf(license.CodeInvalidInput, "ask for one field of Subscription", "there is nothing to subscribe to"))
	}
	if f.key, f.looked, err = h.r.rights.Key(f.ctx, by); err != nil {
		return f.failed(err)
	}
	shared := rights.Shared(by)
	src := call.Source
	src.Key += "|" + f.key
	read, concerns := src.Read, src.Concerns
	src.Read = func(ctx context.Context, heard live.Heard) (live.Reading, error) {
		return read(auth.With(ctx, shared), heard)
	}
	if concerns != nil {
		src.Concerns = func(ctx context.Context, s event.Signal) (bool, error) { return concerns(auth.With(ctx, shared), s) }
	}
	if f.sub, err = h.r.hub.Subscribe(src, f.shape(), h.rendering(f.params, shared, call.Value), after, f.wake); err != nil {
		return f.failed(err)
	}
	if f.open == nil {
		f.open = h.cfg.Metrics.Open(f.op.Operation)
	}
	return nil
}

// shape names the operation and its variables, but for where its subscribers were
// before.
func (f *following) shape() string {
	variables := make(map[string]any, len(f.op.Variables))
	for name, v := range f.op.Variables {
		if d := f.op.Operation.VariableDefinitions.ForName(name); d == nil || d.Type.Name() != "StreamPosition" {
			variables[name] = v
		}
	}
	b, err := json.Marshal([]any{f.op.RawQuery, f.op.Operation.Name, variables})
	if err != nil {
		panic(err) // they came as JSON
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (f *following) failed(err error) *graphql.Response {
	if _, held := auth.HoldOf(f.ctx); held && license.CodeOf(err) == license.CodeUnauthenticated {
		f.out = true
	}
	return &graphql.Response{Errors: gqlerror.List{f.h.present.Present(f.ctx, err)}}
}

// Next gives the next message, to whom may still have it.
func (f *following) Next(ctx context.Context) (payload []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			payload, err = f.end(&graphql.Response{Errors: f.h.panicked(ctx, p)}), nil
		}
	}()
	switch {
	case f.out && onSocket(f.ctx): // the browser may have another session by now
		return nil, socket.ErrSignedOut
	case f.ended:
		return nil, io.EOF
	case f.last != nil:
		f.ended = true
		f.h.cfg.Metrics.Sent()
		return f.last, nil
	}
	if response := f.recheck(); response != nil {
		if f.out && onSocket(f.ctx) {
			return nil, socket.ErrSignedOut
		}
		return f.end(response), nil
	}
	payload, err = f.sub.Next(ctx)
	switch {
	case err == io.EOF || (err != nil && ctx.Err() != nil):
		return nil, io.EOF
	case err != nil:
		return f.end(f.failed(err)), nil
	}
	if payload != nil {
		f.h.cfg.Metrics.Sent()
	}
	return payload, nil
}

// end gives the last message: why there is no other.
func (f *following) end(response *graphql.Response) []byte {
	f.ended = true
	f.h.cfg.Metrics.Sent()
	f.open.Failed(response.Errors)
	return encoded(response)
}

// recheck looks whether the subscriber still has the rights that he watches
// with. With others he begins anew; without any the answer says so.
func (f *following) recheck() *graphql.Response {
	r := f.h.r
	if r.rights.FreshFor(f.told, f.looked) {
		return nil
	}
	by, err := r.principal(f.ctx)
	if err == nil {
		_, err = auth.Require(auth.With(f.ctx, by), auth.Read)
	}
	if err != nil {
		return f.failed(err)
	}
	key, looked, err := r.rights.Key(f.ctx, by)
	if err != nil {
		return f.failed(err)
	}
	if key == f.key {
		f.looked = looked
		return nil
	}
	f.sub.Close()
	op, errs := f.h.exec.CreateOperationContext(graphql.StartOperationTrace(f.ctx), f.params)
	if errs != nil {
		return &graphql.Response{Errors: errs}
	}
	f.op = op
	defer func() { f.op = nil }()
	return f.begin(live.Position{})
}

// Close ends the subscription.
func (f *following) Close() {
	f.h.r.rights.Leave(f.told)
	f.open.Close()
	if f.sub != nil {
		f.sub.Close()
	}
}

// rendering executes an operation for one change after the other, in the sight of
// all who share it.
func (h *Handler) rendering(params *graphql.RawParams, shared auth.Principal, value any) live.Render {
	return func(ctx context.Context, c live.Change) ([]byte, live.Items, error) {
		call := &watch.Call{Value: value, Change: &c}
		ctx = call.In(graphql.StartOperationTrace(auth.With(ctx, shared)))
		again := &graphql.RawParams{Query: params.Query, OperationName: params.OperationName, Variables: params.Variables}
		op, errs := h.render.CreateOperationContext(ctx, again)
		if errs != nil {
			return nil, nil, fmt.Errorf("a subscription that was valid is not any more: %w", errs)
		}
		responses, ctx := h.render.DispatchOperation(ctx, op)
		response := responses(ctx)
		switch {
		case call.Err != nil:
			return nil, nil, call.Err
		case response == nil:
			return nil, nil, fmt.Errorf("nothing was told of %d changes: %w", len(c.Upserted), context.Cause(ctx))
		}
		return encoded(response), call.Shows, nil
	}
}
