package store_test

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/store"
)

// Each statement is a child of the span that its context has, with its text and
// no value; without a span there is none.
func TestStatementsAreTraced(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s, err := store.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		told := tracetest.NewInMemoryExporter()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(told)).Tracer("test")
		ctx := auth.With(t.Context(), auth.System("test"))
		work := func(ctx context.Context) {
			t.Helper()
			if err := s.WithTx(ctx, func(tx *store.Tx) error {
				if err := tx.Organization.Create().SetName("Secret4711").SetVendor(true).Exec(ctx); err != nil {
					return err
				}
				_, err := tx.SQL().ExecContext(ctx, "UPDATE organizations SET name = 'Secret4712' WHERE name = 'Secret4711'")
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if n, err := s.Client().Organization.Query().Where(organization.Name("Secret4712")).Count(ctx); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if _, err := s.Client().Organization.Delete().Where(organization.Name("Secret4712")).Exec(ctx); err != nil {
				t.Fatal(err)
			}
		}
		work(ctx)
		if n := len(told.GetSpans()); n != 0 {
			t.Errorf("%d spans outside of any", n)
		}
		under, span := tracer.Start(ctx, "request")
		work(under)
		if _, err := s.DB().ExecContext(under, "nonsense 'Secret4711'"); err == nil {
			t.Error("nonsense was executed")
		}
		span.End()
		seen, ids := map[string]int{}, map[string]bool{}
		for _, sp := range told.GetSpans() {
			ids[sp.SpanContext.SpanID().String()] = true
		}
		for _, sp := range told.GetSpans() {
			seen[sp.Name]++
			if sp.Name != "request" && !ids[sp.Parent.SpanID().String()] {
				t.Errorf("%s has a parent that was not told", sp.Name)
			}
			set := attribute.NewSet(sp.Attributes...)
			text, _ := set.Value("db.query.text")
			if strings.HasPrefix(sp.Name, "sql ") && text.AsString() == "" || strings.Contains(set.Encoded(attribute.DefaultEncoder())+sp.Status.Description, "Secret47") {
				t.Errorf("%s has %v", sp.Name, sp.Attributes)
			}
		}
		if seen["sql INSERT"] != 1 || seen["sql UPDATE"] != 1 || seen["sql SELECT"] < 1 || seen["sql DELETE"] != 1 || seen["sql NONSENSE"] != 1 {
			t.Errorf("spans: %v", seen)
		}
	})
}
