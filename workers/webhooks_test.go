package workers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/webhookdelivery"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/outbound"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/platform/webhooks"
	"github.com/quorate/quorate/internal/webhook"
)

// stopSent has a child stop when a message was sent, before it is written down.
const stopSent = "sent"

// testSender may call this machine.
func testSender() webhooks.Sender {
	s := webhook.New(webhook.Config{Allow: outbound.Networks{netip.MustParsePrefix("127.0.0.0/8")}})
	if os.Getenv(childStop) == stopSent {
		return stopping{s}
	}
	return s
}

type stopping struct{ webhooks.Sender }

func (s stopping) Send(ctx context.Context, url, id string, body []byte, secrets ...webhook.Secret) webhook.Result {
	s.Sender.Send(ctx, url, id, body, secrets...)
	fmt.Println(stopSent)
	select {}
}

// hook is a real receiver, which verifies what it gets by the specification's
// own library.
type hook struct {
	t   *testing.T
	url string

	mu   sync.Mutex
	keys *standardwebhooks.Webhook
	got  map[string]int // messages by their webhook-id
	fail int            // so many are refused
	all  chan string
}

func newHook(t *testing.T) *hook {
	h := &hook{t: t, got: map[string]int{}, all: make(chan string, 1000)}
	s := httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(s.Close)
	h.url = s.URL
	return h
}

// expect says by which secret messages are signed.
func (h *hook) expect(secret string) {
	h.t.Helper()
	keys, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys = keys
}

func (h *hook) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		err = h.keys.Verify(body, r.Header)
	}
	var event struct{ ID, Type string }
	if err != nil || json.Unmarshal(body, &event) != nil || event.ID != r.Header.Get("webhook-id") {
		h.t.Errorf("a bad message: %v %s", err, body)
	}
	if h.fail > 0 {
		h.fail--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	h.got[event.ID]++
	h.all <- event.ID
}

func (h *hook) next() string {
	h.t.Helper()
	select {
	case id := <-h.all:
		return id
	case <-time.After(30 * time.Second):
		h.t.Fatal("no message came")
		return ""
	}
}

// listen makes an endpoint of the vendor.
func (l *lab) listen(h *hook) string {
	l.t.Helper()
	made, err := l.CreateWebhook(l.as(l.owner), webhooks.EndpointSpec{URL: h.url, Events: []string{string(core.EventOrderCreated)}}, "")
	if err != nil {
		l.t.Fatal(err)
	}
	h.expect(made.Secret)
	return made.Endpoint.ID
}

func (l *lab) buy(n int) {
	l.t.Helper()
	for range n {
		if _, err := l.Order(l.as(l.owner), orders.OrderRequest{Item: l.item, Group: l.group.ID, Quantity: 1}); err != nil {
			l.t.Fatal(err)
		}
	}
}

// settled waits until every delivery has arrived, by the database.
func (l *lab) settled(endpoint string) {
	l.t.Helper()
	limit, tick := time.After(30*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		left, err := l.store.Client().WebhookDelivery.Query().Where(webhookdelivery.WebhookEndpointID(endpoint),
			webhookdelivery.StateNEQ(property.DeliveryDelivered)).Count(l.system())
		if err != nil {
			l.t.Fatal(err)
		}
		if left == 0 {
			return
		}
		select {
		case <-limit:
			l.t.Fatalf("%d deliveries are left", left)
		case <-tick.C:
		}
	}
}

// TestWebhookOfKilledWorker: a worker that is killed when the message was sent,
// before that is written down, has it sent again, with the same id.
func TestWebhookOfKilledWorker(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		h := newHook(t)
		endpoint := l.listen(h)
		l.buy(1)
		c := l.child(stopSent)
		c.expect(stopSent)
		first := h.next()
		c.kill()
		// Its claim is respected; here it ends early.
		if err := l.store.Client().WebhookDelivery.Update().Where(webhookdelivery.WebhookEndpointID(endpoint)).
			SetClaimedUntil(core.Now()).Exec(l.system()); err != nil {
			t.Fatal(err)
		}
		l.queue.RegisterWebhooks(l.Platform)
		l.work(nil)
		if again := h.next(); again != first {
			t.Errorf("%s came instead of %s", again, first)
		}
		l.settled(endpoint)
		d := l.store.Client().WebhookDelivery.Query().Where(webhookdelivery.WebhookEndpointID(endpoint)).OnlyX(l.system())
		if d.Attempt != 2 || len(d.Attempts) != 1 || d.Attempts[0].Status != 200 {
			t.Errorf("%d attempts: %+v", d.Attempt, d.Attempts)
		}
	})
}

// TestWebhooksOfReplicas: each delivery is made by one of two replicas, and what
// was refused is sent again.
func TestWebhooksOfReplicas(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		h := newHook(t)
		endpoint := l.listen(h)
		h.fail = 2
		l.queue.RegisterWebhooks(l.Platform)
		l.child("")
		l.work(nil)
		l.buy(20)
		due := time.NewTicker(200 * time.Millisecond)
		defer due.Stop()
		for range 20 {
			for got := false; !got; {
				select {
				case <-h.all:
					got = true
				case <-due.C: // nobody waits five seconds
					if err := l.store.Client().WebhookDelivery.Update().Where(webhookdelivery.WebhookEndpointID(endpoint),
						webhookdelivery.StateEQ(property.DeliveryPending), webhookdelivery.DueAtGT(core.Now())).SetDueAt(core.Now()).Exec(l.system()); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		l.settled(endpoint)
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.got) != 20 {
			t.Errorf("%d events came", len(h.got))
		}
		for id, n := range h.got {
			if n != 1 {
				t.Errorf("%s came %d times", id, n)
			}
		}
	})
}

// TestWebhooksOfHeldRollout: it is told when a rollout begins, stops at an error
// and is done.
func TestWebhooksOfHeldRollout(t *testing.T) {
	l := newLab(t, migrated.SQLite(t))
	h := newHook(t)
	made, err := l.CreateWebhook(l.as(l.owner), webhooks.EndpointSpec{URL: h.url, Events: []string{
		string(core.EventRolloutStarted), string(core.EventRolloutHeld), string(core.EventRolloutDone), string(core.EventRolloutAborted),
	}}, "")
	if err != nil {
		t.Fatal(err)
	}
	h.expect(made.Secret)
	l.setFail(func(w tasks.LinkWork) error {
		if w.Kind != property.WorkStage {
			return nil
		}
		return license.Errorf(license.CodeBackendAbsent, "switch it on", "backend 2 does not answer")
	})
	l.queue.RegisterWebhooks(l.Platform)
	l.link()
	l.work(nil)
	l.order(10)
	r := l.start()
	l.until(r.ID, property.RolloutHeld)
	l.setFail(nil)
	if _, err := l.RetryRollout(l.as(l.owner), r.ID); err != nil {
		t.Fatal(err)
	}
	l.until(r.ID, property.RolloutDone)
	want := map[string]int{string(core.EventRolloutStarted): 1, string(core.EventRolloutHeld): 1, string(core.EventRolloutDone): 1}
	got := map[string]int{}
	for range want {
		e := l.store.Client().WebhookEvent.GetX(l.system(), h.next())
		got[e.Kind]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	l.settled(made.Endpoint.ID)
	if n := len(h.all); n != 0 {
		t.Errorf("%d more came", n)
	}
}
