// Package observe counts operations and traces them.
package observe

import (
	"context"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"go.opentelemetry.io/otel/attribute"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/telemetry"
)

// mostFields and mostCodes bound what metrics tell apart: more than the schema
// has, and than there are codes.
const (
	mostFields = 400
	mostCodes  = 100
)

// Metrics are figures about operations.
type Metrics struct {
	operations    *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	subscriptions prometheus.Gauge
	messages      prometheus.Counter
	fields, codes *telemetry.Labels
}

// NewMetrics registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "quorate_graphql_operations_total",
			Help: "Operations that ended, by type (query, mutation, subscription; refused before it was known what they are: invalid), by the field of the schema that they ask for (several: more than one), and by code (OK, or the first error's).",
		}, []string{"type", "field", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "quorate_graphql_operation_duration_seconds", Help: "How long queries and mutations took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30},
		}, []string{"type"}),
		subscriptions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "quorate_graphql_subscriptions", Help: "Subscriptions that are open now.",
		}),
		messages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "quorate_graphql_subscription_messages_total", Help: "Messages sent to subscriptions.",
		}),
		fields: telemetry.NewLabels(mostFields), codes: telemetry.NewLabels(mostCodes),
	}
	r.MustRegister(m.operations, m.duration, m.subscriptions, m.messages)
	return m
}

// Sent counts a message to a subscription that was not executed for it alone. A nil
// *Metrics counts nothing.
func (m *Metrics) Sent() {
	if m != nil {
		m.messages.Inc()
	}
}

// Open is a subscription that is open. Safe for concurrent use; a nil *Open counts
// nothing.
type Open struct {
	m     *Metrics
	field string
	mu    sync.Mutex
	code  string
	over  bool
}

// Open counts a subscription until it is closed. A nil *Metrics gives nil.
func (m *Metrics) Open(op *ast.OperationDefinition) *Open {
	if m == nil {
		return nil
	}
	m.subscriptions.Inc()
	return &Open{m: m, field: fieldOf(op), code: codeOf(nil)}
}

// Failed notes by what error it ends.
func (o *Open) Failed(errs gqlerror.List) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.code = codeOf(errs)
}

// Close counts it as ended. Closing twice is safe.
func (o *Open) Close() {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.over = true
		o.m.subscriptions.Dec()
		o.m.count(string(ast.Subscription), o.field, o.code)
	}
}

func (m *Metrics) count(kind, field, code string) {
	m.operations.WithLabelValues(kind, m.fields.Of(field), m.codes.Of(code)).Inc()
}

func (m *Metrics) ended(op *ast.OperationDefinition, errs gqlerror.List) {
	kind, field := "invalid", "none"
	if op != nil {
		kind, field = string(op.Operation), fieldOf(op)
	}
	m.count(kind, field, codeOf(errs))
}

// fieldOf names the one field of the schema's root that an operation asks for.
// What it calls itself its author chose.
func fieldOf(op *ast.OperationDefinition) string {
	if len(op.SelectionSet) != 1 {
		return "several"
	}
	if f, ok := op.SelectionSet[0].(*ast.Field); ok && f.Definition != nil {
		return f.Name
	}
	return "several"
}

func codeOf(errs gqlerror.List) string {
	if len(errs) == 0 {
		return "OK"
	}
	if code, ok := errs[0].Extensions["code"].(string); ok {
		return code
	}
	return string(license.CodeInternal)
}

// Extension counts operations, and makes a span of each, and of each field of the
// root, which is a use case. It is the first extension, so that it sees what the
// others refuse.
// Metrics may be nil: nobody counts then.
type Extension struct{ Metrics *Metrics }

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
	graphql.RootFieldInterceptor
} = Extension{}

// ExtensionName names the extension.
func (Extension) ExtensionName() string { return "Observe" }

// Validate has nothing to check.
func (Extension) Validate(graphql.ExecutableSchema) error { return nil }

// executedKey marks the context of an operation that is executed.
type executedKey struct{}

// InterceptOperation counts the operation when it ends. A subscription that is
// planned has no response of its own: whoever follows it counts (Metrics.Open).
func (o Extension) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx).Operation
	stream := op.Operation == ast.Subscription
	if stream && o.Metrics == nil {
		return next(context.WithValue(ctx, executedKey{}, true))
	}
	began := time.Now()
	end := func(error) {}
	if !stream {
		ctx, end = telemetry.Start(ctx, string(op.Operation)+" "+fieldOf(op), attribute.String("graphql.operation.type", string(op.Operation)))
	}
	responses := next(context.WithValue(ctx, executedKey{}, true))
	var once sync.Once
	return func(ctx context.Context) *graphql.Response {
		response := responses(ctx)
		once.Do(func() {
			var errs gqlerror.List
			if response != nil {
				errs = response.Errors
			}
			end(coded(errs))
			if o.Metrics != nil {
				o.Metrics.ended(op, errs)
				if stream {
					return
				}
				o.Metrics.duration.WithLabelValues(string(op.Operation)).Observe(time.Since(began).Seconds())
			}
		})
		return response
	}
}

// InterceptResponse counts what was refused before it was executed.
func (o Extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response := next(ctx)
	if o.Metrics != nil && response != nil && ctx.Value(executedKey{}) == nil {
		o.Metrics.ended(graphql.GetOperationContext(ctx).Operation, response.Errors)
	}
	return response
}

// InterceptRootField makes a span of a use case.
func (Extension) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	root := graphql.GetRootFieldContext(ctx)
	if root == nil || root.Field.Field == nil {
		return next(ctx)
	}
	ctx, end := telemetry.Start(ctx, root.Field.Name)
	defer end(nil)
	return next(ctx)
}

// coded is what a span tells of errors: the first one's code.
func coded(errs gqlerror.List) error {
	if len(errs) == 0 {
		return nil
	}
	return &license.Error{Code: license.Code(codeOf(errs))}
}
