package resolvers_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/testenv"
	"github.com/quorate/quorate/resolvers"
	"github.com/quorate/quorate/resolvers/observe"
)

// Operations are counted by what the schema calls them and by their code, also
// those that are refused; subscriptions as long as they are open.
func TestOperationsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(c *resolvers.Config) { c.Metrics = observe.NewMetrics(registry) })
	text := func() string {
		got := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(got, httptest.NewRequest("GET", "/", nil))
		return got.Body.String()
	}
	counted := func(lines ...string) error {
		got := text()
		for _, line := range lines {
			if !strings.Contains(got, line+"\n") {
				return errors.New(line + " is missing in\n" + got)
			}
		}
		return nil
	}
	ask := func(viewer, query string) {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(`{"query": "`+query+`"}`))
		r.Header.Set("Content-Type", "application/json")
		w.serve(viewer).ServeHTTP(httptest.NewRecorder(), r)
	}
	ask("owner", `query MySecret { firms(first: 1) { totalCount } }`)
	ask("owner", `{ firms(first: 1) { totalCount } items(first: 1) { totalCount } }`)
	ask("owner", `{ firms(first: 101) { totalCount } }`)
	ask("owner", `{ nothing }`)
	ask("owner", `{ firms(`)
	ask("viewer", `mutation { createFirm(input: {code: 6000099, name: \"x\"}) { firm { id } } }`)
	if err := counted(
		`quorate_graphql_operations_total{code="OK",field="firms",type="query"} 1`,
		`quorate_graphql_operations_total{code="OK",field="several",type="query"} 1`,
		`quorate_graphql_operations_total{code="INVALID_INPUT",field="firms",type="query"} 1`,
		`quorate_graphql_operations_total{code="FORBIDDEN",field="createFirm",type="mutation"} 1`,
		`quorate_graphql_operation_duration_seconds_count{type="mutation"} 1`,
	); err != nil {
		t.Error(err)
	}
	if counted(`quorate_graphql_subscriptions 0`) != nil {
		t.Error("a subscription is open that nobody asked for")
	}
	s := dial(t, w.server(t, "viewer"), nil)
	s.init()
	s.subscribe("1", groupQuery)
	var m groupMessage
	s.data(&m)
	if err := counted(`quorate_graphql_subscriptions 1`, `quorate_graphql_subscription_messages_total 1`); err != nil {
		t.Error(err)
	}
	// With other rights it begins anew, and is still one.
	w.change("", "", func(tx *store.Tx) error {
		return tx.Member.UpdateOneID("mem_viewer").SetRole(property.RoleOperator).Exec(w.system())
	})
	if s.data(&m); !m.TmrGroupChanged.Snapshot {
		t.Errorf("with other rights: %+v", m.TmrGroupChanged)
	}
	if err := counted(`quorate_graphql_subscriptions 1`); err != nil {
		t.Error(err)
	}
	s.subscribe("2", `subscription { auditChanged { sequence } }`)
	s.want("next")
	s.want("complete")
	testenv.Eventually(t, 5*time.Second, func() error {
		return counted(`quorate_graphql_subscriptions 1`, `quorate_graphql_operations_total{code="FORBIDDEN",field="auditChanged",type="subscription"} 1`)
	})
	s.send(message{ID: "1", Type: "complete"})
	testenv.Eventually(t, 5*time.Second, func() error {
		return counted(`quorate_graphql_subscriptions 0`, `quorate_graphql_operations_total{code="OK",field="tmrGroupChanged",type="subscription"} 1`)
	})
	if strings.Contains(text(), "MySecret") {
		t.Error("what a caller calls an operation is a label")
	}
}
