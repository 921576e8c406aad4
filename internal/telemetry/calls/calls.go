// Package calls watches RPC: it counts calls, carries traces and request ids over
// them, and counts what license servers grant and deny.
package calls

import (
	"context"
	"log/slog"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/telemetry"
)

// mostCodes bounds the codes that a metric tells apart: some come from other
// servers.
const mostCodes = 100

// modeLabel names an access mode in a label.
func modeLabel(m quoratev1.AccessMode) string {
	mode, err := rpc.ModeFrom(m)
	if err != nil {
		return "OTHER"
	}
	return string(mode)
}

// Watch watches the calls that a server answers: it counts them, continues their
// traces, and logs them for who debugs. The zero value counts nothing.
type Watch struct {
	Tracing *telemetry.Tracing
	Metrics *Metrics
	Logger  *slog.Logger
}

// Metrics are figures about calls.
type Metrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	running  *prometheus.GaugeVec
	codes    *telemetry.Labels
}

// NewMetrics registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "quorate_rpc_calls_total", Help: "Calls answered, by procedure and code (OK, or the error's).",
		}, []string{"procedure", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "quorate_rpc_call_duration_seconds", Help: "How long calls took, those that wait included; streams are left out.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30},
		}, []string{"procedure"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "quorate_rpc_calls_in_flight", Help: "Calls and streams running now. On the platform those of LinkService/Pull are the connected servers of the link.",
		}, []string{"procedure"}),
		codes: telemetry.NewLabels(mostCodes),
	}
	r.MustRegister(m.calls, m.duration, m.running)
	return m
}

// Option has a handler's calls watched.
func (o Watch) Option() connect.HandlerOption { return connect.WithInterceptors(o) }

// begin begins a call's span where its caller traces.
func (o Watch) begin(ctx context.Context, traceparent, procedure string) (context.Context, func(error)) {
	if o.Metrics != nil {
		o.Metrics.running.WithLabelValues(procedure).Inc()
	}
	ctx = telemetry.Continue(ctx, traceparent)
	if !telemetry.Traced(ctx) {
		return ctx, func(error) {}
	}
	return o.Tracing.Begin(ctx, procedure, attribute.String("rpc.system", "connect_rpc"))
}

// left takes a call back that began, however it ended.
func (o Watch) left(procedure string) {
	if o.Metrics != nil {
		o.Metrics.running.WithLabelValues(procedure).Dec()
	}
}

// ended counts a call, and logs it.
func (o Watch) ended(ctx context.Context, procedure string, began time.Time, err error, stream bool) {
	took := time.Since(began)
	code := codeLabel(err)
	if o.Metrics != nil {
		o.Metrics.calls.WithLabelValues(procedure, o.Metrics.codes.Of(code)).Inc()
		if !stream {
			o.Metrics.duration.WithLabelValues(procedure).Observe(took.Seconds())
		}
	}
	if o.Logger != nil && o.Logger.Enabled(ctx, slog.LevelDebug) {
		o.Logger.LogAttrs(ctx, slog.LevelDebug, "call", slog.String("procedure", procedure), slog.String("code", code), slog.Duration("took", took))
	}
}

// WrapUnary implements connect.Interceptor.
func (o Watch) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		began, procedure := time.Now(), req.Spec().Procedure
		ctx, end := o.begin(ctx, req.Header().Get("Traceparent"), procedure)
		defer o.left(procedure)
		res, err := next(ctx, req)
		end(err)
		o.ended(ctx, procedure, began, err, false)
		return res, err
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (o Watch) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		began, procedure := time.Now(), conn.Spec().Procedure
		ctx, end := o.begin(ctx, conn.RequestHeader().Get("Traceparent"), procedure)
		defer o.left(procedure)
		err := next(ctx, conn)
		end(err)
		o.ended(ctx, procedure, began, err, true)
		return err
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (Watch) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// ClientOption has calls carry the trace and the request's id of their contexts.
func ClientOption() connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			telemetry.ToHeader(ctx, req.Header())
			return next(ctx, req)
		}
	}))
}

// codeLabel is what a label shows of an error.
func codeLabel(err error) string {
	if err == nil {
		return "OK"
	}
	return string(license.CodeOf(err))
}

// LicenseMetrics are figures about what programs ask a license server for.
type LicenseMetrics struct {
	grants  *prometheus.CounterVec
	denials *prometheus.CounterVec
	renewal *prometheus.HistogramVec
	codes   *telemetry.Labels
}

// NewLicenseMetrics registers them.
func NewLicenseMetrics(r prometheus.Registerer) *LicenseMetrics {
	m := &LicenseMetrics{
		grants: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "quorate_license_grants_total", Help: "Requests for a license that were answered with a handle, repeats included, by access mode.",
		}, []string{"mode"}),
		denials: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "quorate_license_denials_total", Help: "Requests for a license that were refused, by code; who waits in the queue counts as QUEUED each time he asks again.",
		}, []string{"code"}),
		renewal: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "quorate_license_renew_duration_seconds", Help: "How long renewals of handles took, by whether they were granted.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2},
		}, []string{"granted"}),
		codes: telemetry.NewLabels(mostCodes),
	}
	r.MustRegister(m.grants, m.denials, m.renewal)
	return m
}

// Option has a license server's calls counted.
func (m *LicenseMetrics) Option() connect.HandlerOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			began := time.Now()
			res, err := next(ctx, req)
			switch q := req.Any().(type) {
			case *quoratev1.AccessRequest:
				if err != nil {
					m.denials.WithLabelValues(m.codes.Of(codeLabel(err))).Inc()
				} else {
					m.grants.WithLabelValues(modeLabel(q.GetMode())).Inc()
				}
			case *quoratev1.RenewRequest:
				granted := "true"
				if err != nil {
					granted = "false"
				}
				m.renewal.WithLabelValues(granted).Observe(time.Since(began).Seconds())
			}
			return res, err
		}
	}))
}
