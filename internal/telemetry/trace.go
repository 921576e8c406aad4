package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/quorate/quorate/internal/license"
)

// library names this product's spans among others'.
const library = "github.com/quorate/quorate"

// The spans of one export, and how many wait for one, are bounded by these.
const (
	mostQueued  = 4096
	mostBatch   = 512
	exportEvery = 2 * time.Second
)

// Tracing makes the first span of what happens here. Nil is off: then every
// method does nothing, and what the caller's trace says is passed on as it is.
type Tracing struct {
	provider *sdktrace.TracerProvider
}

// OpenTracing makes the Tracing that the standard environment asks for
// (OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, by HTTP);
// nil where it names no receiver, or OTEL_SDK_DISABLED is true. A receiver that
// doesn't answer costs spans, and nothing else.
func OpenTracing(ctx context.Context, service, version string) (*Tracing, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") ||
		os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, &license.Error{
			Code: license.CodeInvalidInput, Err: err, Message: "traces can't be sent to the receiver that the environment names",
			Fix: "write OTEL_EXPORTER_OTLP_ENDPOINT as http://HOST:4318, or unset it",
		}
	}
	// What the environment says comes last, so that it wins.
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe this service for traces: %w", err)
	}
	return &Tracing{sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(mostQueued), sdktrace.WithMaxExportBatchSize(mostBatch), sdktrace.WithBatchTimeout(exportEvery)),
		sdktrace.WithResource(about),
	)}, nil
}

// Close sends what has not been sent, until ctx ends. Spans that end later are
// lost. Closing twice is safe.
func (t *Tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

func (t *Tracing) tracer() trace.Tracer {
	if t == nil {
		return noop.NewTracerProvider().Tracer(library)
	}
	return t.provider.Tracer(library)
}

// Begin starts a span that may be the first of its trace here: one that ctx
// carries from somewhere else goes on. End it by calling end once with what came
// of it.
func (t *Tracing) Begin(ctx context.Context, name string, attrs ...attribute.KeyValue) (_ context.Context, end func(error)) {
	if t == nil {
		return ctx, func(error) {}
	}
	return begin(ctx, t.tracer(), name, trace.SpanKindServer, attrs)
}

// Start starts a span within the one that ctx carries; where that is none of
// this process, nothing happens.
func Start(ctx context.Context, name string, attrs ...attribute.KeyValue) (_ context.Context, end func(error)) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return ctx, func(error) {}
	}
	return begin(ctx, span.TracerProvider().Tracer(library), name, trace.SpanKindInternal, attrs)
}

func begin(ctx context.Context, t trace.Tracer, name string, kind trace.SpanKind, attrs []attribute.KeyValue) (context.Context, func(error)) {
	ctx, span := t.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	return ctx, func(err error) {
		// An error's text may hold what a user typed; its code never does.
		if code := license.CodeOf(err); code != "" {
			span.SetAttributes(attribute.String("error.type", string(code)))
			span.SetStatus(codes.Error, string(code))
		}
		span.End()
	}
}

// Note adds attributes to the span that ctx carries.
func Note(ctx context.Context, attrs ...attribute.KeyValue) {
	trace.SpanFromContext(ctx).SetAttributes(attrs...)
}

// Traced says whether ctx carries a trace, of this process or of a caller.
func Traced(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsValid() }

// Traceparent gives the trace that ctx carries as W3C writes it, or "": for what
// is done later, or somewhere else.
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// Continue gives ctx as one of the trace that Traceparent told. What is none is
// left out.
func Continue(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" || len(traceparent) > 128 {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// FromHeader gives ctx as one of the trace that a request's header names.
func FromHeader(ctx context.Context, h http.Header) context.Context {
	return Continue(ctx, h.Get("Traceparent"))
}

// ToHeader tells a request's receiver the trace and the request's id.
func ToHeader(ctx context.Context, h http.Header) {
	if p := Traceparent(ctx); p != "" {
		h.Set("Traceparent", p)
	}
	if id := RequestID(ctx); id != "" {
		h.Set(RequestIDHeader, id)
	}
}

// LogErrors has the OpenTelemetry library write to the process's log what goes
// wrong with sending traces.
func LogErrors(logger *slog.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		logger.Warn("traces", "error", err)
	}))
}
