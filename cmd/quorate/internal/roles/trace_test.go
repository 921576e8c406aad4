package roles

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/testenv"
)

// receiver takes traces as an OpenTelemetry collector does, by HTTP.
type receiver struct {
	url   string
	mu    sync.Mutex
	spans []span
	texts []string // whatever was received, as text
}

type span struct{ service, name, trace, id, parent string }

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var body io.Reader = q.Body
		if q.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(q.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			body = z
		}
		b, err := io.ReadAll(body)
		var m collector.ExportTraceServiceRequest
		if err != nil || q.URL.Path != "/v1/traces" || proto.Unmarshal(b, &m) != nil {
			http.Error(w, "no traces", http.StatusBadRequest)
			return
		}
		r.take(&m)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

func (r *receiver) take(m *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, m.String())
	for _, of := range m.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				r.spans = append(r.spans, span{service, s.GetName(), hex.EncodeToString(s.GetTraceId()), hex.EncodeToString(s.GetSpanId()), hex.EncodeToString(s.GetParentSpanId())})
			}
		}
	}
}

// traces checks that the order and its rollout are one trace, from the request
// to the backends, and that it tells nothing of anybody.
func (l *watchedLab) traces(t *testing.T, r *receiver, trace string) {
	wanted := []span{
		{service: "quorate-platform", name: "/graphql"},
		{service: "quorate-platform", name: "mutation several"},
		{service: "quorate-platform", name: "order"},
		{service: "quorate-platform", name: "startRollout"},
		{service: "quorate-platform", name: "transaction"},
		{service: "quorate-platform", name: "sql SELECT"},
		{service: "quorate-platform", name: "sql INSERT"},
		{service: "quorate-platform", name: "job advance_rollout"},
		{service: "quorate-platform", name: "/quorate.v1.LinkService/Report"},
		{service: "quorate-tmr", name: "work collect"},
		{service: "quorate-tmr", name: "work stage"},
		{service: "quorate-tmr", name: "work guard"},
		{service: "quorate-tmr", name: "work activate"},
		{service: "quorate-tmr", name: "work verify"},
		{service: "quorate-backend", name: "/quorate.v1.BackendService/Stage"},
		{service: "quorate-backend", name: "/quorate.v1.BackendService/Activate"},
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, w := range wanted {
			found := false
			for _, s := range r.spans {
				found = found || s.service == w.service && s.name == w.name && s.trace == trace
			}
			if !found {
				return fmt.Errorf("no span %s of %s in the trace; there are %d in all", w.name, w.service, len(r.spans))
			}
		}
		ids := map[string]bool{"b7ad6b7169203331": true} // the caller's own
		for _, s := range r.spans {
			ids[s.id] = true
		}
		for _, s := range r.spans { // spans are told when they end, so parents come later
			if s.trace == trace && !ids[s.parent] {
				return fmt.Errorf("%s of %s has a parent that was not told", s.name, s.service)
			}
		}
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if strings.HasPrefix(s.name, "/quorate.v1.LinkService/Pull") {
			t.Error("a call that only waits is traced")
		}
	}
	for _, text := range r.texts {
		for _, secret := range []string{"Secret4711", "owner@example.com", "Acme", l.secrets.Token, l.secrets.LinkTokens["tmr-a"], l.secrets.Password} {
			if strings.Contains(text, secret) {
				t.Errorf("a trace shows %s", secret)
			}
		}
	}
}
