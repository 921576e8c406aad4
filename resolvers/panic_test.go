package resolvers_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"entgo.io/ent"
	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/resolvers"
	"github.com/quorate/quorate/resolvers/documents"
	"github.com/quorate/quorate/resolvers/observe"
)

// brokenLog is a log of streams that panics where it is asked for what was missed.
type brokenLog struct{ live.Log }

func (brokenLog) Since(context.Context, string, live.Position) ([]live.Entry, error) { panic("broken") }

// brokenDocuments panics for one digest.
type brokenDocuments struct{ documents.Cache }

func (b brokenDocuments) Get(ctx context.Context, digest string) (string, bool) {
	if digest == strings.Repeat("b", 64) {
		panic("broken")
	}
	return b.Cache.Get(ctx, digest)
}

// TestPanicsEndOneClientAlone: what panics while one client is served, by
// WebSocket or server-sent events, ends for him with INTERNAL, is logged with the
// request's id and its stack, and leaves others alone.
func TestPanicsEndOneClientAlone(t *testing.T) {
	var denials atomic.Value // which statements about them panic
	denials.Store("")
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(c *resolvers.Config) {
		c.RequestID = telemetry.RequestID
		c.Logger = slog.New(telemetry.LogHandler(c.Logger.Handler()))
		c.Streams, c.Documents = brokenLog{live.NewMemLog()}, brokenDocuments{documents.NewLocal()}
		c.Metrics = observe.NewMetrics(registry)
		known := c.Authenticate
		c.Authenticate = func(ctx context.Context, authorization string) (auth.Principal, error) {
			if authorization == "Bearer broken" {
				panic("broken")
			}
			return known(ctx, authorization)
		}
	})
	w.store.Client().Denial.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			if op := denials.Load(); op == "any" || op == ent.QueryFromContext(ctx).Op {
				panic("broken")
			}
			return next.Query(ctx, q)
		})
	}))
	web, err := httpd.New(httpd.Config{GraphQL: w.serve("owner"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/graphql"
		web.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	logged := func(what, id string) {
		t.Helper()
		stack, request := false, false
		for line := range strings.Lines(w.log.String()) {
			stack = stack || strings.Contains(line, "panic=broken") && strings.Contains(line, "stack=")
			request = request || strings.Contains(line, "broken") && strings.Contains(line, id)
		}
		if !stack || !request {
			t.Errorf("%s: log: %s", what, w.log)
		}
		w.log.Reset()
	}
	header := func(id string) *websocket.DialOptions {
		return &websocket.DialOptions{HTTPHeader: http.Header{"X-Request-Id": {id}}}
	}

	s := dial(t, server, header("r-init"))
	s.send(message{Type: "connection_init", Payload: json.RawMessage(`{"authorization":"Bearer broken"}`)})
	if _, _, err := s.conn.Read(t.Context()); websocket.CloseStatus(err) != 4500 {
		t.Errorf("sign-in: %v", err)
	}
	logged("sign-in", "r-init")

	s = dial(t, server, header("r-socket"))
	s.init()
	s.subscribe("lives", groupQuery)
	var m groupMessage
	s.data(&m)
	asked := map[string]string{
		"a document":     `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + strings.Repeat("b", 64) + `"}}}`,
		"what is missed": `{"query":"subscription { denialsChanged(after: \"EPOCH.0\") { sequence } }"}`,
		"a reading":      `{"query":"subscription { denialsChanged { sequence added { id } } }"}`,
		"a snapshot":     `{"query":"subscription { denialsChanged { position added { id } } }"}`,
		"a query":        `{"query":"{ denials(first: 1) { totalCount } }"}`,
	}
	for what, payload := range asked {
		first := "next"
		switch what {
		case "a document":
			first = "error"
		case "what is missed":
			epoch, _, _ := strings.Cut(m.TmrGroupChanged.Position, ".")
			payload = strings.ReplaceAll(`{"query":"subscription { tmrGroupChanged(id: \"131-4837572\", after: \"EPOCH.0\") { sequence } }"}`, "EPOCH", epoch)
		case "a snapshot":
			denials.Store("All")
		default:
			denials.Store("any")
		}
		s.send(message{ID: "1", Type: "subscribe", Payload: json.RawMessage(payload)})
		got := s.want(first)
		if !strings.Contains(string(got.Payload), `"code":"INTERNAL"`) || strings.Contains(string(got.Payload), "broken") {
			t.Errorf("%s: %s", what, got.Payload)
		}
		if first == "next" {
			s.want("complete")
		}
		logged(what, "r-socket")

		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/graphql", strings.NewReader(payload))
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Request-Id", "r-events")
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode == http.StatusOK {
			next := events(t, res.Body)
			if got := next(); !strings.Contains(got, `"code":"INTERNAL"`) {
				t.Errorf("%s by events: %s", what, got)
			}
			if got := next(); got != "complete" {
				t.Errorf("%s by events: then %s", what, got)
			}
		} else if res.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s by events: status %d", what, res.StatusCode)
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			logged(what+" by events", "r-events")
		}
		denials.Store("")
	}
	// One that runs already.
	s.subscribe("2", `subscription { denialsChanged { sequence added { id } } }`)
	s.want("next")
	denials.Store("any")
	if err := w.bus.Publish(t.Context(), event.Denials, ""); err != nil {
		t.Fatal(err)
	}
	if got := s.want("next"); !strings.Contains(string(got.Payload), `"code":"INTERNAL"`) {
		t.Errorf("a running one: %s", got.Payload)
	}
	s.want("complete")
	// The one that began first lives.
	s.send(message{Type: "ping"})
	s.want("pong")
}
