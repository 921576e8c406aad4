package resolvers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/resolvers"
)

// rated lets a caller ask for a cost within an hour, and an organization.
func rated(caller, organization int) func(*resolvers.Config) {
	return func(c *resolvers.Config) {
		c.Rates = resolvers.Rates{Caller: ratelimit.Rate{Burst: caller, Per: time.Hour}, Organization: ratelimit.Rate{Burst: organization, Per: time.Hour}}
	}
}

// refusal is the first error of an answer.
func refusal(t *testing.T, body []byte) (code string, retryAfter int) {
	t.Helper()
	var b struct {
		Errors []struct {
			Extensions struct {
				Code       string
				RetryAfter int
			}
		}
	}
	if err := json.Unmarshal(body, &b); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if len(b.Errors) == 0 {
		return "", 0
	}
	return b.Errors[0].Extensions.Code, b.Errors[0].Extensions.RetryAfter
}

// TestRates: what operations cost is taken from the caller and his organization,
// and what is too much is not executed.
func TestRates(t *testing.T) {
	w := newWorld(t, rated(100, 150))
	const about20 = `{ firms(first: 9) { edges { __typename } __typename } }` // 1 + 9 × 3
	first := ask(w.serve("owner"), request{Query: about20})
	h := first.Header()
	cost, _ := strconv.Atoi(h.Get("RateLimit-Cost"))
	if first.Code != 200 || h.Get("RateLimit-Limit") != "100" || cost < 19 || h.Get("RateLimit-Remaining") != strconv.Itoa(100-cost) || h.Get("Retry-After") != "" {
		t.Fatalf("%d %v", first.Code, h)
	}
	if reset, _ := strconv.Atoi(h.Get("RateLimit-Reset")); reset < 3600*cost/100-10 || reset > 3600*cost/100+1 {
		t.Errorf("full again in %d s", reset)
	}
	for range 100/cost - 1 {
		ask(w.serve("owner"), request{Query: about20})
	}
	for _, accept := range []string{asJSON, asGraphQL} {
		over := ask(w.serve("owner"), request{Query: about20}, "Accept", accept)
		code, retry := refusal(t, over.Body.Bytes())
		if over.Code != http.StatusTooManyRequests || code != string(license.CodeThrottled) || retry < 1 || over.Header().Get("Retry-After") != strconv.Itoa(retry) ||
			strings.Contains(over.Body.String(), `"data"`) {
			t.Errorf("over the caller's limit: %d %v %s", over.Code, over.Header(), over.Body)
		}
	}
	if little := ask(w.serve("owner"), request{Query: `{ __typename }`}); little.Code != 200 {
		t.Errorf("what is left is refused: %d %s", little.Code, little.Body)
	}
	// Another of the organization has a limit of his own, and their common one.
	if other := ask(w.serve("viewer"), request{Query: about20}); other.Code != 200 || other.Header().Get("RateLimit-Limit") != "150" {
		t.Errorf("another member: %d %v", other.Code, other.Header())
	}
	for range 150 / cost {
		ask(w.serve("viewer"), request{Query: about20})
	}
	if over := ask(w.serve("viewer"), request{Query: about20}); over.Code != http.StatusTooManyRequests || over.Header().Get("RateLimit-Limit") != "150" {
		t.Errorf("over the organization's limit: %d %v", over.Code, over.Header())
	}
	if stranger := ask(w.serve("stranger"), request{Query: about20}); stranger.Code != 200 {
		t.Errorf("another organization: %d %s", stranger.Code, stranger.Body)
	}
}

// What is refused is not executed, and counts itself.
func TestWhatIsRefusedCounts(t *testing.T) {
	w := newWorld(t, rated(20, 1000))
	const invalid, order = `{ nothing }`, `mutation { order(input: {item: "itm_1", tmrGroup: "tmr_1", quantity: 10}) { order { quantity item { id } } } }`
	for i, code := range []string{"GRAPHQL_VALIDATION_FAILED", "GRAPHQL_VALIDATION_FAILED", "THROTTLED"} {
		if got, _ := refusal(t, ask(w.serve("owner"), request{Query: invalid}).Body.Bytes()); got != code {
			t.Errorf("the %d. invalid one: %s", i+1, got)
		}
	}
	if over := ask(w.serve("owner"), request{Query: order}); over.Code != http.StatusTooManyRequests {
		t.Errorf("a mutation: %d %s", over.Code, over.Body)
	}
	if n, err := w.store.Client().Order.Query().Count(w.as(t.Context(), "owner")); err != nil || n != 1 {
		t.Errorf("%d orders, %v", n, err)
	}
	// Who isn't known is told so, whatever others who aren't known do.
	for range 5 {
		ask(w.serve("nobody"), request{Query: invalid})
	}
	if got, _ := refusal(t, ask(w.serve("nobody"), request{Query: `{ __schema { queryType { name } } }`}).Body.Bytes()); got != "THROTTLED" {
		t.Errorf("introspection without end: %q", got)
	}
	if got, _ := refusal(t, ask(w.serve("nobody"), request{Query: `{ viewer { name } }`}).Body.Bytes()); got != "UNAUTHENTICATED" {
		t.Errorf("nobody: %q", got)
	}
}

// Streams cost when they begin.
func TestRatesOfStreams(t *testing.T) {
	w := newWorld(t, rated(40, 1000))
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	s.subscribe("1", `subscription { tmrGroupChanged(id: "tmr_1") { sequence } }`)
	s.want("next")
	code := ""
	for i := 2; i < 60 && code == ""; i++ {
		s.subscribe(fmt.Sprint(i), `{ firms(first: 5) { __typename } }`)
		m := s.next()
		for m.ID != fmt.Sprint(i) || m.Type == "complete" { // the stream's, or the end of one before
			m = s.next()
		}
		if m.Type == "error" {
			var errs []struct{ Extensions struct{ Code string } }
			if err := json.Unmarshal(m.Payload, &errs); err != nil {
				t.Fatal(err)
			}
			if code = errs[0].Extensions.Code; !strings.Contains(string(m.Payload), `"retryAfter"`) {
				t.Errorf("when to try again is not told: %s", m.Payload)
			}
		}
	}
	if code != "THROTTLED" {
		t.Errorf("a socket asks without end: %q", code)
	}
	r := httptest.NewRequest("GET", `http://quorate.test/graphql?query=subscription+%7B+tmrGroupChanged(id:+%22tmr_1%22)+%7B+sequence+%7D+%7D`, nil)
	r.Header.Set("Accept", "text/event-stream")
	rec := httptest.NewRecorder()
	for range 20 { // the last units
		if rec = httptest.NewRecorder(); ask(w.serve("owner"), request{Query: `{ __typename }`}).Code == http.StatusTooManyRequests {
			break
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // from now on: without it a stream that is let in never ends
	defer cancel()
	w.serve("owner").ServeHTTP(rec, r.WithContext(ctx))
	if code, _ := refusal(t, rec.Body.Bytes()); rec.Code != http.StatusTooManyRequests || code != "THROTTLED" {
		t.Errorf("an event stream: %d %s", rec.Code, rec.Body)
	}
}

// TestOperationsTakeNoLongerThanTheyMay: over HTTP and WebSocket, a mutation that
// waits for another's transaction ends in time.
func TestOperationsTakeNoLongerThanTheyMay(t *testing.T) {
	w := newWorld(t, func(c *resolvers.Config) { c.Timeout = 50 * time.Millisecond })
	const order = `mutation { order(input: {item: "itm_1", tmrGroup: "tmr_1", quantity: 10}) { order { quantity } } }`
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	err := w.store.WithTx(w.system(), func(*store.Tx) error {
		start := time.Now()
		if code, _ := refusal(t, ask(w.serve("owner"), request{Query: order}).Body.Bytes()); code != "UNAVAILABLE" {
			t.Errorf("over HTTP: %q", code)
		}
		s.subscribe("1", order)
		if code := s.code(s.want("next").Payload); code != "UNAVAILABLE" {
			t.Errorf("over WebSocket: %q", code)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.as(t.Context(), "owner"))
	cancel()
	r := httptest.NewRequest("GET", "http://quorate.test/graphql?query=%7B__typename%7D", nil)
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r.WithContext(ctx))
	if code, _ := refusal(t, rec.Body.Bytes()); code != "UNAVAILABLE" {
		t.Errorf("over before it began: %d %s", rec.Code, rec.Body)
	}
}

// byToken serves the API for a token of Charts.
func (w *world) byToken() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		p := auth.Principal{Kind: auth.KindToken, ID: "tok_1", Organization: "org_charts", Role: auth.Owner, Name: "integration"}
		w.handler.ServeHTTP(rw, r.WithContext(auth.With(r.Context(), p)))
	})
}
