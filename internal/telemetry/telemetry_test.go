package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestRequestIDsAreTakenOrMade(t *testing.T) {
	var seen string
	h := Identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = RequestID(r.Context()) }))
	for given, taken := range map[string]bool{
		"proxy-17": true, "": false, "with blank": false, "a\nb": false, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "ünicode": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(RequestIDHeader, given)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		told := w.Header().Get(RequestIDHeader)
		if told == "" || told != seen || (told == given) != taken {
			t.Errorf("%q: told %q, seen %q", given, told, seen)
		}
	}
}

func TestLogsHaveTheRequestsID(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(LogHandler(LogHandler(slog.NewTextHandler(&out, nil)))).With("a", 1).WithGroup("g")
	log.InfoContext(WithRequestID(t.Context(), "r1"), "x")
	if got := out.String(); strings.Count(got, "requestId=r1") != 1 {
		t.Errorf("%s", got)
	}
	out.Reset()
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	log.InfoContext(Continue(t.Context(), trace), "x")
	if got := out.String(); !strings.Contains(got, "traceId=0af7651916cd43dd8448eb211c80319c") || !strings.Contains(got, "spanId=b7ad6b7169203331") {
		t.Errorf("%s", got)
	}
	out.Reset()
	log.InfoContext(t.Context(), "x")
	if got := out.String(); strings.Contains(got, "requestId") || strings.Contains(got, "traceId") {
		t.Errorf("%s", got)
	}
}

// Off, a caller's trace goes through as it came.
func TestTracingOffPassesTracesOn(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	off, err := OpenTracing(t.Context(), "test", "1")
	if err != nil || off != nil {
		t.Fatal(off, err)
	}
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	h := off.HTTP(func(*http.Request) string { return "x" }, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, end := off.Begin(r.Context(), "a")
		ctx, inner := Start(ctx, "b")
		inner(nil)
		end(errors.New("x"))
		if got := Traceparent(ctx); got != trace {
			t.Errorf("%q", got)
		}
		header := http.Header{}
		ToHeader(WithRequestID(ctx, "r1"), header)
		if header.Get("traceparent") != trace || header.Get(RequestIDHeader) != "r1" {
			t.Errorf("%v", header)
		}
		if d := Detached(WithRequestID(ctx, "r1")); Traceparent(d) != trace || RequestID(d) != "r1" || d.Done() != nil {
			t.Error("what goes on later lost something, or ends with the request")
		}
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("traceparent", trace)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if err := off.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "x", strings.Repeat("0", 200), "00-00000000000000000000000000000000-b7ad6b7169203331-01"} {
		if Traced(Continue(t.Context(), bad)) {
			t.Errorf("%q is no trace", bad)
		}
	}
}

func TestLabelsAreBounded(t *testing.T) {
	l := NewLabels(3)
	for i := range 10 {
		want := fmt.Sprint("CODE_", i)
		if i >= 3 {
			want = "OTHER"
		}
		if got := l.Of(fmt.Sprint("CODE_", i)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, v := range []string{"", "a b", "é", strings.Repeat("x", 65)} {
		if got := NewLabels(3).Of(v); got != "OTHER" {
			t.Errorf("%q is a label: %q", v, got)
		}
	}
	if l.Of("CODE_1") != "CODE_1" {
		t.Error("a label that was seen is another one now")
	}
}

// What can't be looked up is missing, and told; it is looked up once in a while.
func TestFiguresAreLookedUp(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	asked, fail := 0, error(nil)
	var out bytes.Buffer
	l := NewLooked(r, "test", slog.New(slog.NewTextHandler(&out, nil)), []Metric{{Name: "quorate_x", Help: "X.", Labels: []string{"a"}}, {Name: "quorate_y_total", Help: "Y.", Counter: true}},
		func(context.Context) (map[string][]Figure, error) {
			asked++
			return map[string][]Figure{"quorate_x": {{[]string{"1"}, 4}}, "quorate_y_total": {{nil, 5}}, "quorate_z": {{nil, 6}}}, fail
		})
	text := func() string {
		w := httptest.NewRecorder()
		Monitor(r, slog.New(slog.DiscardHandler), func(context.Context) error { return nil }).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
	for range 3 {
		if got := text(); !strings.Contains(got, `quorate_x{a="1"} 4`) || !strings.Contains(got, "quorate_y_total 5") || strings.Contains(got, "quorate_z") {
			t.Fatal(got)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	l.at, fail = l.at.Add(-fresh), errors.New("no database")

	if got := text(); strings.Contains(got, "quorate_x{") || !strings.Contains(got, `quorate_lookup_failures_total{source="test"} 1`) || !strings.Contains(out.String(), "no database") {
		t.Errorf("%s\n%s", got, out.String())
	}
}

func TestMonitorTellsHealth(t *testing.T) {
	var fail error
	var out bytes.Buffer
	h := Monitor(NewRegistry("1.2"), slog.New(slog.NewTextHandler(&out, nil)), func(context.Context) error { return fail })
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	for path, has := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": `version="1.2"`} {
		if w := get(path); w.Code != 200 || !strings.Contains(w.Body.String(), has) || w.Header().Get(RequestIDHeader) == "" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	fail = errors.New("the password is x")
	if w := get("/readyz"); w.Code != 503 || strings.Contains(w.Body.String(), "password") || !strings.Contains(out.String(), "the password is x") {
		t.Errorf("%d %s; %s", w.Code, w.Body, out.String())
	}
	if w := get("/healthz"); w.Code != 200 {
		t.Error("who isn't ready lives all the same")
	}
}

// TestHangingIsNotWaitedFor: a database that is cut off hangs whatever it is told;
// then the process isn't ready, its figures are missing, and it is not asked by
// ever more who wait.
func TestHangingIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := prometheus.NewPedanticRegistry()
		back, asked := make(chan bool), atomic.Int32{}
		hang := func() error {
			asked.Add(1)
			<-back
			return nil
		}
		NewLooked(r, "test", slog.New(slog.DiscardHandler), []Metric{{Name: "quorate_x", Help: "X."}}, func(context.Context) (map[string][]Figure, error) {
			return map[string][]Figure{"quorate_x": {{nil, 4}}}, hang()
		})
		h := Monitor(r, slog.New(slog.DiscardHandler), func(context.Context) error { return hang() })
		get := func(path string) (int, string) {
			began, w := time.Now(), httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if took := time.Since(began); took > patience {
				t.Errorf("%s took %s", path, took)
			}
			return w.Code, w.Body.String()
		}
		for range 3 {
			if code, _ := get("/readyz"); code != 503 {
				t.Errorf("it is ready: %d", code)
			}
			if code, text := get("/metrics"); code != 200 || strings.Contains(text, "quorate_x 4") {
				t.Errorf("%d %s", code, text)
			}
			time.Sleep(fresh)
		}
		if n := asked.Load(); n != 2 {
			t.Errorf("%d are waiting", n)
		}
		close(back)
		synctest.Wait()
		if code, _ := get("/readyz"); code != 200 {
			t.Errorf("it is not ready again: %d", code)
		}
		if _, text := get("/metrics"); !strings.Contains(text, "quorate_x 4") || !strings.Contains(text, `{source="test"} 3`) {
			t.Error(text)
		}
	})
}
