package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
)

const (
	// MostMessage bounds one message, in bytes: three updates and some.
	MostMessage = 4 << 20
	// MostCall bounds a handler's time for a call that is not a stream.
	MostCall = 40 * time.Second
	// leastCompressed is from which size on an answer is compressed. Smaller ones,
	// of which a good part is keys and signatures, cost more than they save.
	leastCompressed = 2 << 10
)

// HandlerOptions are what every handler is made with: errors are mapped by
// Error and internal ones logged, a panic is an internal error, messages are
// bounded by MostMessage, calls by MostCall, and large answers compressed.
func HandlerOptions(logger *slog.Logger) connect.HandlerOption {
	return connect.WithHandlerOptions(
		connect.WithInterceptors(&handlerErrors{logger}),
		connect.WithReadMaxBytes(MostMessage),
		connect.WithCompressMinBytes(leastCompressed),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, p any) error {
			return fmt.Errorf("panic in %s: %v", spec.Procedure, p)
		}),
	)
}

// ClientOptions are what every client is made with: errors come as
// *license.Error, messages are bounded by MostMessage.
func ClientOptions() connect.ClientOption {
	return connect.WithClientOptions(
		connect.WithInterceptors(clientErrors{}),
		connect.WithReadMaxBytes(MostMessage),
	)
}

type handlerErrors struct{ logger *slog.Logger }

func (h *handlerErrors) mapped(ctx context.Context, procedure string, err error) error {
	if err == nil {
		return nil
	}
	out := Error(err)
	if out.Code() == connect.CodeInternal && ctx.Err() == nil {
		h.logger.ErrorContext(ctx, "call failed", "procedure", procedure, "error", cause(err))
	}
	return out
}

// cause is what the log is told: the public text hides it.
func cause(err error) string {
	if le, ok := err.(*license.Error); ok && le.Err != nil {
		return le.Error() + ": " + le.Err.Error()
	}
	return err.Error()
}

func (h *handlerErrors) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		ctx, cancel := context.WithTimeout(ctx, MostCall)
		defer cancel()
		res, err := next(ctx, req)
		if err != nil {
			return nil, h.mapped(ctx, req.Spec().Procedure, err)
		}
		return res, nil
	}
}

func (h *handlerErrors) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (h *handlerErrors) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return h.mapped(ctx, conn.Spec().Procedure, stream(ctx, conn, next))
	}
}

type clientErrors struct{}

func (clientErrors) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		res, err := next(ctx, req)
		if err != nil {
			return nil, FromError(err)
		}
		return res, nil
	}
}

// WrapStreamingClient leaves streams alone: the end of one is an error value
// that callers compare, so they map errors by FromError themselves.
func (clientErrors) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (clientErrors) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
