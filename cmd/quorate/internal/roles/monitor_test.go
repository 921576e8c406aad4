package roles

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/cmd/quorate/internal/roles/monitoring"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/internal/testenv"
)

var write = flag.Bool("write", false, "write docs/metrics.md anew")

// noted is a registry that remembers what was registered.
type noted struct {
	*prometheus.Registry
	mu  sync.Mutex
	all []prometheus.Collector
}

func (n *noted) Register(c prometheus.Collector) error {
	n.mu.Lock()
	n.all = append(n.all, c)
	n.mu.Unlock()
	return n.Registry.Register(c)
}

func (n *noted) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := n.Register(c); err != nil {
			panic(err)
		}
	}
}

// watchedLab is a platform, three backends, two TMR servers and a license
// server, all of them with metrics and traces.
type watchedLab struct {
	*demo
	monitors map[string]*monitoring.Monitoring // by name
	roles    map[string]string
	noted    map[string]*noted
}

func newWatchedLab(t *testing.T) *watchedLab {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	l := &watchedLab{monitors: map[string]*monitoring.Monitoring{}, roles: map[string]string{}, noted: map[string]*noted{}}
	watched := func(role, name string) *monitoring.Monitoring {
		tracing, err := telemetry.OpenTracing(t.Context(), "quorate-"+role, "test")
		if err != nil {
			t.Fatal(err)
		}
		n := &noted{Registry: telemetry.NewRegistry("test")}
		m := monitoring.New(n, tracing, log, func(ready func(context.Context) error) http.Handler { return telemetry.Monitor(n.Registry, log, ready) })
		l.monitors[name], l.roles[name], l.noted[name] = m, role, n
		t.Cleanup(m.Close)
		return m
	}
	l.demo = &demo{
		cfg: Demo{Listen: "127.0.0.1:0", Programs: "127.0.0.1:0", Data: t.TempDir(), Settle: time.Millisecond, Patience: time.Second, Quiet: true},
		log: log, monitoring: watched,
	}
	t.Cleanup(l.Stop)
	if err := l.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A license server of its own, which holds nothing.
	signer := seal.NewSigner(bytes.Repeat([]byte("k"), 32))
	held, err := container.Create(filepath.Join(t.TempDir(), "c.qrc"), container.Params{Serial: license.Serial{Mask: license.MaskUniversal, Number: 5}, Root: signer.Public()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() })
	store, err := memlease.Open("", memlease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	m := watched("server", "office")
	s, err := startServer(serverConfig{
		Name: "office", Container: held, Store: store, Token: signer, Listen: "127.0.0.1:0", Plain: true, Logger: log, Monitoring: m,
		Platform: l.served.URL(), LinkToken: "none",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	ready := func(context.Context) error { return nil }
	for name, m := range l.monitors {
		f := ready
		if name == "office" {
			f = s.canServe
		}
		if err := (monitorFlags{MetricsListen: "127.0.0.1:0"}).show(m, f); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func (l *watchedLab) get(t *testing.T, name, path string) []byte {
	t.Helper()
	res, err := http.Get("http://" + l.monitors[name].Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s %s: %s %v\n%s", name, path, res.Status, err, b)
	}
	return b
}

// ask sends a GraphQL request as the owner's token.
func (l *watchedLab) ask(t *testing.T, query string, into any, header ...string) *http.Response {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", l.served.URL()+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+l.secrets.Token)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
	return res
}

// rollOut orders licenses and rolls them out in one request, and waits until they are.
func (l *watchedLab) rollOut(t *testing.T, header ...string) {
	t.Helper()
	var items struct {
		Data struct {
			Items struct {
				Edges []struct{ Node struct{ ID string } }
			}
		}
	}
	l.ask(t, `{ items(first: 1) { edges { node { id } } } }`, &items)
	var made struct {
		Data struct {
			StartRollout struct{ Rollout struct{ ID string } }
		}
		Errors []struct{ Message string }
	}
	l.ask(t, fmt.Sprintf(`mutation Secret4711 { order(input: {item: %q, tmrGroup: "131-4837572", quantity: 1}) { order { id } }
		startRollout(input: {tmrGroup: "131-4837572"}) { rollout { id } } }`, items.Data.Items.Edges[0].Node.ID), &made, header...)
	if len(made.Errors) > 0 {
		t.Fatal(made.Errors)
	}
	testenv.Eventually(t, 30*time.Second, func() error {
		var state struct {
			Data struct{ Node struct{ State string } }
		}
		l.ask(t, fmt.Sprintf(`{ node(id: %q) { ... on Rollout { state } } }`, made.Data.StartRollout.Rollout.ID), &state)
		if state.Data.Node.State != "DONE" {
			return errors.New(state.Data.Node.State)
		}
		return nil
	})
}

func TestServersAreWatched(t *testing.T) {
	receiver := newReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	l := newWatchedLab(t)
	var hook struct{ Errors []struct{ Message string } }
	l.ask(t, `mutation { createWebhook(input: {url: "https://receiver.invalid/Secret4711", events: ["*"]}) { webhookEndpoint { id } } }`, &hook)
	if len(hook.Errors) > 0 {
		t.Fatal(hook.Errors)
	}
	const trace = "0af7651916cd43dd8448eb211c80319c"
	l.rollOut(t, "traceparent", "00-"+trace+"-b7ad6b7169203331-01", "X-Request-Id", "order-17")
	t.Run("traces", func(t *testing.T) { l.traces(t, receiver, trace) })
	t.Run("prometheus", l.prometheus)
	t.Run("documented", l.documented)
	t.Run("health", func(t *testing.T) {
		for name := range l.monitors {
			l.get(t, name, "/healthz")
			l.get(t, name, "/readyz")
		}
	})
	t.Run("request ids", func(t *testing.T) {
		var answer struct {
			Errors []struct{ Extensions map[string]any }
		}
		res := l.ask(t, `{ node(id: "rol_none") { id } nothing }`, &answer, "X-Request-Id", "mine-1")
		if res.Header.Get("X-Request-Id") != "mine-1" || len(answer.Errors) == 0 || answer.Errors[0].Extensions["requestId"] != "mine-1" {
			t.Errorf("%v %v", res.Header, answer)
		}
	})
}

// prometheus asks the real one for figures of all roles.
func (l *watchedLab) prometheus(t *testing.T) {
	targets := map[string]string{}
	for name, m := range l.monitors {
		targets[name] = m.Addr()
		if said := testenv.Promtool(t, l.get(t, name, "/metrics")); said != "" {
			t.Errorf("promtool about %s: %s", name, said)
		}
	}
	p := testenv.Prometheus(t, targets)
	sum := func(expr string, least, most float64) {
		t.Helper()
		testenv.Eventually(t, 30*time.Second, func() error {
			found, err := p.Query(expr)
			if err != nil {
				return err
			}
			if len(found) != 1 {
				return fmt.Errorf("%s: %v", expr, found)
			}
			for _, v := range found {
				if v < least || v > most {
					return fmt.Errorf("%s is %v, not %v to %v", expr, v, least, most)
				}
			}
			return nil
		})
	}
	all := float64(len(targets))
	const any = 1e12
	sum(`sum(up)`, all, all)
	sum(`sum(quorate_build_info{version="test"})`, all, all)
	sum(`count(go_goroutines)`, all, all)
	sum(`sum(quorate_graphql_operations_total{type="mutation",field="several",code="OK"})`, 1, 1)
	sum(`sum(quorate_graphql_operations_total{type="query",field="node"})`, 1, any)
	sum(`sum(quorate_graphql_operation_duration_seconds_count{type="mutation"})`, 2, 2) // a webhook, and the order with its rollout
	sum(`sum(quorate_jobs_total{kind="advance_rollout",outcome="done"})`, 2, any)
	sum(`sum(quorate_jobs_oldest_seconds)`, 0, 60)
	sum(`sum(quorate_rollouts)`, 0, 0)
	sum(`sum(quorate_link_servers{state="linked"})`, 2, 2)
	sum(`sum(quorate_rpc_calls_in_flight{job="platform",procedure="/quorate.v1.LinkService/Pull"})`, 1, 2)
	sum(`sum(quorate_link_work_total{kind="activate",code="OK"})`, 6, any) // two rollouts on three backends
	sum(`max(quorate_link_silence_seconds{job=~"tmr-.*"})`, 0, 60)
	sum(`sum(quorate_license_leading{job=~"tmr-.*"})`, 1, 1)
	sum(`sum(quorate_license_takeovers_total{job="office"})`, 1, 1)
	sum(`sum(quorate_license_quantity{job=~"tmr-.*"})`, demoQuantity+1, demoQuantity+1)
	sum(`sum(quorate_license_free{job=~"tmr-.*"})`, demoQuantity+1, demoQuantity+1)
	sum(`min(quorate_tmr_backends_present)`, 3, 3)
	sum(`sum(quorate_tmr_backend_present{job="tmr-a"})`, 3, 3)
	sum(`sum(quorate_journal_counts)`, 3, 3)
	sum(`max(quorate_journal_behind)`, 0, 10)
	sum(fmt.Sprintf(`min(quorate_container_updates_total{firm="%d"})`, demoFirm), 2, 2)
	sum(`sum(go_sql_open_connections{db_name="platform"})`, 1, any)
	sum(`sum(quorate_webhook_attempts_total{outcome="unanswered"})`, 1, any) // there is no such receiver
	sum(`sum(quorate_webhook_deliveries_total)`, 0, 0)
	sum(`sum(quorate_webhook_deliveries_waiting)`, 1, any)
	sum(`sum(quorate_webhook_oldest_seconds) > 0`, 0, 600)
	sum(`sum(quorate_webhook_endpoints{state="failing"})`, 1, 1)
	sum(`sum(quorate_webhook_endpoints{state="disabled"})`, 0, 0)
	sum(`sum(quorate_lookup_failures_total)`, 0, 0)
	// Nothing that anybody typed is a label.
	for name := range l.monitors {
		text := string(l.get(t, name, "/metrics"))
		for _, secret := range []string{"Secret4711", "owner@example.com", "Acme", "order-17", l.secrets.Token, "131-4837572"} {
			if strings.Contains(text, secret) {
				t.Errorf("the metrics of %s show %s", name, secret)
			}
		}
	}
}

// metricDoc is a line of the table in docs/metrics.md.
type metricDoc struct {
	kind, labels, help string
	roles              map[string]bool
}

var descText = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(.*?)", (?:unit: "[^"]*", )?constLabels: \{(.*?)\}, variableLabels: \{(.*)\}\}$`)

// documented checks that docs/metrics.md has every metric of every role.
func (l *watchedLab) documented(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer rdb.Close()
	l.monitors["platform"].WatchRedis(rdb)
	all := map[string]*metricDoc{}
	note := func(name, help, labels, role string) *metricDoc {
		if all[name] == nil {
			all[name] = &metricDoc{labels: labels, help: help, roles: map[string]bool{}}
		}
		all[name].roles[role] = true
		return all[name]
	}
	for name, n := range l.noted {
		role := l.roles[name]
		families, err := n.Gather()
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]string{}
		for _, f := range families {
			kinds[f.GetName()] = strings.ToLower(f.GetType().String())
			if f.GetName() == "quorate_build_info" {
				note(f.GetName(), f.GetHelp(), "version, revision, goversion", role).kind = "gauge"
			}
		}
		for _, c := range n.all {
			descs := make(chan *prometheus.Desc, 100)
			c.Describe(descs)
			close(descs)
			for d := range descs {
				m := descText.FindStringSubmatch(d.String())
				if m == nil {
					t.Fatalf("%s", d)
				}
				if !strings.HasPrefix(m[1], "quorate_") {
					continue
				}
				labels := slices.DeleteFunc(strings.Split(m[4], ","), func(s string) bool { return s == "" })
				if m[3] != "" {
					labels = append(labels, strings.Split(m[3], "=")[0])
				}
				kind := kinds[m[1]]
				switch c.(type) {
				case *prometheus.HistogramVec:
					kind = "histogram"
				case *prometheus.CounterVec:
					kind = "counter"
				}
				if kind == "" && strings.HasSuffix(m[1], "_total") {
					kind = "counter"
				} else if kind == "" {
					kind = "gauge"
				}
				note(m[1], strings.ReplaceAll(m[2], `\"`, `"`), strings.Join(labels, ", "), role).kind = kind
			}
		}
	}
	var table strings.Builder
	table.WriteString("| metric | type | labels | served by | what it tells |\n| --- | --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d := all[name]
		roles := strings.Join(slices.Sorted(maps.Keys(d.roles)), ", ")
		if len(d.roles) == 4 {
			roles = "all"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", name, d.kind, d.labels, roles, d.help)
	}
	const file, begin, end = "../../../../docs/metrics.md", "<!-- metrics -->\n", "<!-- end of metrics -->\n"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s lacks its marks", file)
	}
	want := before + begin + table.String() + end + after
	if want == string(b) {
		return
	}
	if !*write {
		t.Fatalf("docs/metrics.md is not of this program; go test ./cmd/quorate/internal/roles -run TestServersAreWatched -write makes it:\n%s", table.String())
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
