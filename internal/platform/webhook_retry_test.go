package platform_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/webhooks"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/webhook"
)

func (h *hooks) messagesByID() map[string]int {
	all := map[string]int{}
	for _, m := range h.to.messages() {
		all[m.id]++
	}
	return all
}

// TestWebhooksInFlight: an endpoint gets so many at a time over all workers, one
// that fails a single one; and a worker that died keeps nothing for good.
func TestWebhooksInFlight(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		h := newHooks(l)
		id := h.create(webhooks.EndpointSpec{}).Endpoint.ID
		other := h.create(webhooks.EndpointSpec{URL: "https://example.com/other"}).Endpoint.ID
		h.emit(6)
		entered, leave := make(chan string), make(chan webhook.Result)
		h.to.answer = func(m received) webhook.Result {
			if strings.HasSuffix(m.url, "other") {
				return webhook.Result{Status: 200}
			}
			entered <- m.id
			return <-leave
		}
		var running sync.WaitGroup
		work := func() { running.Go(func() { h.deliver(id) }) }
		seen := map[string]bool{}
		for range 4 {
			work()
			seen[<-entered] = true
		}
		h.deliver(id) // a fifth worker finds nothing to do
		h.deliver(other)
		if got := h.messagesByID(); len(seen) != 4 || len(got) != 6 {
			t.Errorf("%d at a time, %d events", len(seen), len(got))
		}
		// One fails: the others end, and from then on there is one at a time.
		leave <- webhook.Result{Status: 500}
		for range 3 {
			leave <- webhook.Result{Status: 500}
		}
		last := <-entered // one of the four went on
		work()
		work()
		h.deliver(id)
		if seen[last] {
			t.Errorf("%s was sent again", last)
		}
		h.to.set(nil)
		leave <- webhook.Result{Status: 200}
		running.Wait()
		h.due()
		h.deliver(id)
		for _, d := range h.deliveries(id) {
			if d.State != property.DeliveryDelivered || d.ClaimedUntil != nil {
				t.Errorf("%+v", d)
			}
		}
	})
}

func (r *receiver) set(answer func(received) webhook.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// TestWebhookWorkerDies: its claim is respected for a while; then the event is
// sent again, and what the dead one says after all counts for nothing.
func TestWebhookWorkerDies(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		h := newHooks(l)
		id := h.create(webhooks.EndpointSpec{}).Endpoint.ID
		h.emit(1)
		entered, leave := make(chan string), make(chan webhook.Result)
		h.to.set(func(m received) webhook.Result {
			entered <- m.id
			return <-leave
		})
		done := make(chan error)
		go func() { done <- h.DeliverWebhooks(t.Context(), id) }()
		event := <-entered
		h.to.set(func(received) webhook.Result { return webhook.Result{Status: 200} })
		h.deliver(id)
		if n := len(h.to.messages()); n != 1 {
			t.Errorf("%d messages while another worker is at it", n)
		}
		if err := h.Store().Client().WebhookDelivery.Update().SetClaimedUntil(core.Now()).Exec(h.system()); err != nil {
			t.Fatal(err)
		}
		h.deliver(id)
		leave <- webhook.Result{Status: 500}
		if err := <-done; err != nil {
			t.Error(err)
		}
		d := h.deliveries(id)[0]
		if d.State != property.DeliveryDelivered || d.Attempt != 2 || len(d.Attempts) != 1 || h.messagesByID()[event] != 2 || h.find(id).FailingSince != nil {
			t.Errorf("%+v", d)
		}
	})
}

// TestWebhookPatienceOfQuietEndpoints: what failed long ago, and had nothing to
// be told since, is tried for five days again.
func TestWebhookPatienceOfQuietEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHooks(newLab(t, databases.SQLite(t)))
		id := h.create(webhooks.EndpointSpec{}).Endpoint.ID
		h.to.answer = func(received) webhook.Result { return webhook.Result{Status: 503} }
		tryAll := func() {
			for {
				var due *time.Time
				for _, d := range h.deliveries(id) {
					if d.DueAt != nil {
						due = d.DueAt
					}
				}
				if due == nil {
					return
				}
				time.Sleep(time.Until(*due) + time.Second)
				h.deliver(id)
			}
		}
		h.emit(1)
		tryAll()
		time.Sleep(20 * 24 * time.Hour)
		h.emit(1)
		h.deliver(id)
		if e := h.find(id); e.DisabledAt != nil || e.FailingSince == nil || time.Since(*e.FailingSince) > time.Minute {
			t.Errorf("after one failure: %+v", e)
		}
		time.Sleep(2 * 24 * time.Hour)
		h.emit(1)
		time.Sleep(3 * 24 * time.Hour)
		h.deliver(id)
		if h.find(id).DisabledAt == nil {
			t.Error("five days of failures later it isn't disabled")
		}
	})
}

// TestWebhookPatience: ten attempts in about three days, then the delivery has
// failed; five days of failures, then the endpoint is disabled.
func TestWebhookPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHooks(newLab(t, databases.SQLite(t)))
		id := h.create(webhooks.EndpointSpec{}).Endpoint.ID
		h.to.answer = func(received) webhook.Result { return webhook.Result{Status: 503} }
		began := time.Now()
		h.emit(1)
		h.deliver(id)
		for range 9 {
			d := h.deliveries(id)[0]
			time.Sleep(time.Until(*d.DueAt) - time.Second)
			h.deliver(id)
			if now := h.deliveries(id)[0]; now.Attempt != d.Attempt {
				t.Fatalf("attempt %d was made too early", now.Attempt)
			}
			time.Sleep(2 * time.Second)
			h.deliver(id)
		}
		d := h.deliveries(id)[0]
		if d.State != property.DeliveryFailed || d.DueAt != nil || len(d.Attempts) != 10 {
			t.Errorf("%+v", d)
		}
		if took := time.Since(began); took < 65*time.Hour || took > 85*time.Hour {
			t.Errorf("it took %s", took)
		}
		time.Sleep(time.Until(began.Add(5*24*time.Hour - time.Minute)))
		h.emit(1)
		h.deliver(id)
		if h.find(id).DisabledAt != nil {
			t.Error("it is disabled already")
		}
		time.Sleep(2 * time.Minute)
		h.emit(1)
		h.deliver(id)
		if e := h.find(id); e.DisabledAt == nil || !strings.Contains(e.DisabledReason, "nothing has arrived since") {
			t.Errorf("%+v", e)
		}
		if h.audited("webhook.disable") != 1 {
			t.Error("that it was disabled is not in the audit log")
		}
		n := len(h.deliveries(id))
		h.emit(1)
		if len(h.deliveries(id)) != n {
			t.Error("a disabled endpoint is to be told")
		}
		// A month later nothing is left.
		time.Sleep(31 * 24 * time.Hour)
		if removed, err := h.PruneWebhooks(t.Context()); err != nil || removed != 2*n {
			t.Errorf("%d removed of %d, %v", removed, n, err)
		}
		if len(h.deliveries(id)) != 0 || len(h.events(h.owner.Organization)) != 0 {
			t.Error("something is left")
		}
	})
}

func TestWebhookReplay(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		h := newHooks(l)
		id := h.create(webhooks.EndpointSpec{}).Endpoint.ID
		since := time.Now().Add(-time.Minute)
		h.emit(3)
		h.deliver(id)
		all := h.deliveries(id)
		for _, d := range all[:2] {
			if err := h.Store().Client().WebhookDelivery.UpdateOneID(d.ID).SetState(property.DeliveryFailed).Exec(h.system()); err != nil {
				t.Fatal(err)
			}
		}
		one, err := h.ReplayDelivery(h.vendor(), all[0].ID, "again")
		if err != nil || !one.Replay || one.WebhookEventID != all[0].WebhookEventID {
			t.Fatalf("%+v, %v", one, err)
		}
		if same, err := h.ReplayDelivery(h.vendor(), all[0].ID, "again"); err != nil || same.ID != one.ID {
			t.Errorf("%+v, %v", same, err)
		}
		_, err = h.ReplayDelivery(h.vendor(), all[1].ID, "again")
		wantCode(t, "the key of another", err, license.CodeConflict)
		_, err = h.ReplayDelivery(h.stranger(), all[0].ID, "")
		wantCode(t, "a stranger", err, license.CodeNotFound)
		for _, want := range []int{1, 0} { // the other one, once
			if r, err := h.ReplayFailed(h.vendor(), id, since, ""); err != nil || r.Count != want || r.More {
				t.Errorf("%+v, %v", r, err)
			}
		}
		if r, err := h.ReplayFailed(h.vendor(), id, time.Now().Add(time.Minute), "k"); err != nil || r.Count != 0 {
			t.Errorf("%+v, %v", r, err)
		}
		_, err = h.ReplayFailed(h.vendor(), id, time.Now().Add(-40*24*time.Hour), "")
		wantCode(t, "long ago", err, license.CodeInvalidInput)
		h.deliver(id)
		if got := h.messagesByID(); got[all[0].WebhookEventID] != 2 || got[all[1].WebhookEventID] != 2 || got[all[2].WebhookEventID] != 1 {
			t.Errorf("%v", got)
		}
		if got := h.states(id); !slices.Equal(got, []property.DeliveryState{"FAILED", "FAILED", "DELIVERED", "DELIVERED", "DELIVERED"}) {
			t.Errorf("%v", got)
		}
	})
}

// TestWebhookBacklog: what waits for one endpoint costs the others nothing, nor
// itself when it is reached again.
func TestWebhookBacklog(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		h := newHooks(l)
		down, up := h.create(webhooks.EndpointSpec{Events: []string{"order.created"}}).Endpoint.ID, h.create(webhooks.EndpointSpec{Events: []string{"ticket.created"}}).Endpoint.ID
		h.emit(1)
		fastest := func(endpoint string) time.Duration {
			least := time.Hour
			for range 5 {
				began := time.Now()
				h.deliver(endpoint)
				least = min(least, time.Since(began))
			}
			return least
		}
		before := fastest(up)
		if err := h.Store().WithTx(h.system(), func(tx *store.Tx) error {
			for _, statement := range []string{
				fmt.Sprintf(`INSERT INTO webhook_deliveries (id, created_at, state, attempt, due_at, replay, replayed, organization_id, webhook_endpoint_id, webhook_event_id)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
SELECT 'whd_' || n.i, d.created_at, CASE WHEN i %% 2 = 0 THEN 'PENDING' ELSE 'DELIVERED' END, 1, CASE WHEN i %% 2 = 0 THEN d.due_at END, d.replay, d.replayed,
d.organization_id, CASE WHEN i %% 2 = 0 THEN d.webhook_endpoint_id ELSE '%s' END, d.webhook_event_id FROM webhook_deliveries d, n`, up),
				`ANALYZE webhook_deliveries`,
			} {
				if _, err := tx.SQL().ExecContext(h.system(), statement); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if after := fastest(up); after > 5*before+2*time.Millisecond {
			t.Errorf("with a backlog of another endpoint it takes %s instead of %s", after, before)
		}
		stop, cancel := context.WithCancel(t.Context())
		began, sent := time.Now(), 0
		h.to.set(func(received) webhook.Result {
			if sent++; sent == 20 {
				cancel()
			}
			return webhook.Result{Status: 200}
		})
		_ = h.DeliverWebhooks(stop, down)
		if each := time.Since(began) / 20; sent != 20 || each > 20*before+10*time.Millisecond {
			t.Errorf("%d messages of a backlog, each took %s where looking for one takes %s", sent, each, before)
		}
	})
}
