package link

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/telemetry"
)

// kindOf names what a work item asks for, for those who watch.
func kindOf(w *quoratev1.Work) string {
	switch w.GetKind().(type) {
	case *quoratev1.Work_Collect:
		return "collect"
	case *quoratev1.Work_Stage:
		return "stage"
	case *quoratev1.Work_Guard:
		return "guard"
	case *quoratev1.Work_Activate:
		return "activate"
	case *quoratev1.Work_Verify:
		return "verify"
	case *quoratev1.Work_Remove:
		return "remove"
	case *quoratev1.Work_Ask:
		return "ask"
	}
	return "other"
}

// watched gives the context to do an item in: in the trace that asked for it,
// with the item's id as the request's. end tells what came of it.
func (a *Agent) watched(ctx context.Context, w *quoratev1.Work) (_ context.Context, end func(error)) {
	kind := kindOf(w)
	ctx = telemetry.WithRequestID(telemetry.Continue(ctx, w.GetTraceparent()), w.GetId())
	span := func(error) {}
	if telemetry.Traced(ctx) {
		ctx, span = a.conf.Tracing.Begin(ctx, "work "+kind, attribute.String("work.kind", kind))
	}
	return ctx, func(err error) {
		span(err)
		if a.conf.Did != nil {
			a.conf.Did(kind, err)
		}
	}
}

// Heard gives when the platform last answered; zero: never.
func (a *Agent) Heard() time.Time {
	if at := a.heard.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

func (a *Agent) hear() {
	now := time.Now()
	a.heard.Store(&now)
}
