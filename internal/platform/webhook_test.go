package platform_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/webhookdelivery"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/webhooks"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/webhook"
)

// receiver stands in for an HTTP receiver: it answers as it is told.
type receiver struct {
	mu     sync.Mutex
	got    []received
	answer func(received) webhook.Result
}

type received struct {
	url, id string
	body    string
	secrets []string
}

func (r *receiver) Check(url string) error {
	if !strings.HasPrefix(url, "https://") {
		return license.Errorf(license.CodeInvalidInput, "use https", "no https")
	}
	return nil
}

func (r *receiver) Send(_ context.Context, url, id string, body []byte, secrets ...webhook.Secret) webhook.Result {
	m := received{url: url, id: id, body: string(body)}
	for _, s := range secrets {
		m.secrets = append(m.secrets, s.Text())
	}
	r.mu.Lock()
	r.got = append(r.got, m)
	answer := r.answer
	r.mu.Unlock()
	result := webhook.Result{Status: 204}
	if answer != nil {
		result = answer(m)
	}
	result.At = time.Now()
	return result
}

func (r *receiver) messages() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// hooks is a lab with webhooks that go to a receiver.
type hooks struct {
	*lab
	*webhooks.Service
	to *receiver
}

func newHooks(l *lab) *hooks {
	to := &receiver{}
	return &hooks{lab: l, Service: webhooks.New(l.Core(), to), to: to}
}

func (h *hooks) create(s webhooks.EndpointSpec) webhooks.Made {
	h.t.Helper()
	if s.URL == "" {
		s.URL = "https://example.com/hook?token=hidden"
	}
	if s.Events == nil {
		s.Events = []string{"*"}
	}
	made, err := h.CreateWebhook(h.vendor(), s, "")
	if err != nil {
		h.t.Fatal(err)
	}
	return made
}

func (h *hooks) emit(n int) {
	h.t.Helper()
	if err := h.Store().WithTx(h.vendor(), func(tx *store.Tx) error {
		for i := range n {
			if err := h.Core().Emit(h.vendor(), tx, h.owner.Organization, core.EventOrderCreated, map[string]any{"order": fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hooks) deliver(endpoint string) {
	h.t.Helper()
	if err := h.DeliverWebhooks(h.t.Context(), endpoint); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hooks) deliveries(endpoint string) []*ent.WebhookDelivery {
	h.t.Helper()
	all, err := h.Store().Client().WebhookDelivery.Query().Where(webhookdelivery.WebhookEndpointID(endpoint)).
		Order(ent.Asc(webhookdelivery.FieldID)).All(h.system())
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

func (h *hooks) states(endpoint string) (all []property.DeliveryState) {
	for _, d := range h.deliveries(endpoint) {
		all = append(all, d.State)
	}
	return all
}

func (h *hooks) find(endpoint string) *ent.WebhookEndpoint {
	h.t.Helper()
	e, err := h.Store().Client().WebhookEndpoint.Get(h.system(), endpoint)
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

// due makes everything that waits due now.
func (h *hooks) due() {
	h.t.Helper()
	if err := h.Store().Client().WebhookDelivery.Update().Where(webhookdelivery.StateEQ(property.DeliveryPending)).
		SetDueAt(core.Now()).Exec(h.system()); err != nil {
		h.t.Fatal(err)
	}
}

func TestWebhookEndpoints(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		h := newHooks(l)
		for what, s := range map[string]webhooks.EndpointSpec{
			"url":         {URL: "http://example.com", Events: []string{"*"}},
			"events":      {URL: "https://example.com"},
			"description": {URL: "https://example.com", Events: []string{"*"}, Description: strings.Repeat("x", 201)},
		} {
			_, err := h.CreateWebhook(h.vendor(), s, "")
			wantCode(t, what, err, license.CodeInvalidInput)
			if e := err.(*license.Error); e.Details["field"] != what { //nolint:errorlint // just made
				t.Errorf("%s: %+v", what, e.Details)
			}
		}
		for _, events := range [][]string{{"order"}, {"order.created", "order.created"}, {"*", ""}} {
			_, err := h.CreateWebhook(h.vendor(), webhooks.EndpointSpec{URL: "https://example.com", Events: events}, "")
			wantCode(t, fmt.Sprint(events), err, license.CodeInvalidInput)
		}
		spec := webhooks.EndpointSpec{URL: "https://example.com/hook?token=hidden", Events: []string{"order.created", "rollout.done"}, Description: "books"}
		made, err := h.CreateWebhook(h.vendor(), spec, "key 1")
		if err != nil || !strings.HasPrefix(made.Secret, "whsec_") || strings.Contains(string(made.Endpoint.SealedSecret), made.Secret[6:20]) {
			t.Fatalf("%+v, %v", made, err)
		}
		again, err := h.CreateWebhook(h.vendor(), spec, "key 1")
		if err != nil || again.Endpoint.ID != made.Endpoint.ID || again.Secret != "" {
			t.Errorf("again: %+v, %v", again, err)
		}
		id := made.Endpoint.ID
		for _, who := range []context.Context{h.with(auth.Operator), h.with(auth.Viewer)} {
			_, err := h.CreateWebhook(who, spec, "")
			wantCode(t, "create", err, license.CodeForbidden)
			_, err = h.ReadWebhooks(who)
			wantCode(t, "read", err, license.CodeForbidden)
			_, err = h.Node(who, id)
			wantCode(t, "node", err, license.CodeForbidden)
			_, err = h.UpdateWebhook(who, id, 1, webhooks.EndpointChange{})
			wantCode(t, "update", err, license.CodeForbidden)
		}
		stranger := h.stranger()
		_, err = h.UpdateWebhook(stranger, id, 1, webhooks.EndpointChange{})
		wantCode(t, "a stranger updates", err, license.CodeNotFound)
		_, err = h.RotateWebhookSecret(stranger, id, 1)
		wantCode(t, "a stranger rotates", err, license.CodeNotFound)
		_, err = h.TestWebhook(stranger, id, "")
		wantCode(t, "a stranger tests", err, license.CodeNotFound)
		_, err = h.ReplayFailed(stranger, id, time.Now(), "")
		wantCode(t, "a stranger replays", err, license.CodeNotFound)
		wantCode(t, "a stranger deletes", h.DeleteWebhook(stranger, id), license.CodeNotFound)
		if _, err := h.Node(h.vendor(), id); err != nil {
			t.Error(err)
		}

		off := false
		changed, err := h.UpdateWebhook(h.vendor(), id, 1, webhooks.EndpointChange{Events: []string{"*"}, Enabled: &off})
		if err != nil || changed.Revision != 2 || changed.DisabledAt == nil || changed.URL != spec.URL || !slices.Equal(changed.Events, []string{"*"}) {
			t.Errorf("%+v, %v", changed, err)
		}
		_, err = h.UpdateWebhook(h.vendor(), id, 1, webhooks.EndpointChange{})
		wantCode(t, "an old revision", err, license.CodeConflict)
		_, err = h.TestWebhook(h.vendor(), id, "")
		wantCode(t, "a test of a disabled one", err, license.CodeConflict)
		on := true
		if changed, err = h.UpdateWebhook(h.vendor(), id, 2, webhooks.EndpointChange{Enabled: &on}); err != nil || changed.DisabledAt != nil {
			t.Errorf("%+v, %v", changed, err)
		}

		rotated, err := h.RotateWebhookSecret(h.vendor(), id, 3)
		if err != nil || rotated.Secret == made.Secret || rotated.Endpoint.Revision != 4 {
			t.Fatalf("%+v, %v", rotated, err)
		}
		_, err = h.RotateWebhookSecret(h.vendor(), id, 3)
		wantCode(t, "rotated twice", err, license.CodeConflict)
		first, err := h.TestWebhook(h.vendor(), id, "test 1")
		if err != nil {
			t.Fatal(err)
		}
		if second, err := h.TestWebhook(h.vendor(), id, "test 1"); err != nil || second.ID != first.ID {
			t.Errorf("the same test: %v, %v", second, err)
		}
		h.deliver(id)
		// A day later the secret before signs no more.
		if err := h.Store().Client().WebhookEndpoint.UpdateOneID(id).SetPreviousUntil(core.Now()).Exec(h.system()); err != nil {
			t.Fatal(err)
		}
		h.emit(1)
		h.deliver(id)
		got := h.to.messages()
		if len(got) != 2 || !slices.Equal(got[0].secrets, []string{rotated.Secret, made.Secret}) || !slices.Equal(got[1].secrets, []string{rotated.Secret}) ||
			!strings.Contains(got[0].body, `"type":"webhook.test"`) || got[0].url != spec.URL {
			t.Errorf("%+v", got)
		}

		for i := 1; i < 20; i++ {
			h.create(webhooks.EndpointSpec{})
		}
		_, err = h.CreateWebhook(h.vendor(), spec, "")
		wantCode(t, "one too many", err, license.CodeLimitReached)
		h.emit(1)
		if err := h.DeleteWebhook(h.vendor(), id); err != nil {
			t.Fatal(err)
		}
		h.deliver(id) // nothing is left of it
		if n := len(h.to.messages()); n != 2 {
			t.Errorf("%d messages", n)
		}
		entries, err := h.Store().Client().AuditEntry.Query().Where(auditentry.Target(id)).Order(ent.Asc(auditentry.FieldID)).All(h.system())
		if err != nil {
			t.Fatal(err)
		}
		var actions []string
		for _, e := range entries {
			actions = append(actions, e.Action)
			if text := fmt.Sprint(e.Before, e.After); strings.Contains(text, "hidden") || strings.Contains(text, "whsec_") {
				t.Errorf("%s tells a secret: %s", e.Action, text)
			}
		}
		if want := []string{"webhook.create", "webhook.update", "webhook.update", "webhook.rotate", "webhook.test", "webhook.delete"}; !slices.Equal(actions, want) {
			t.Errorf("audited: %v", actions)
		}
	})
}

func TestWebhookDeliveries(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		h := newHooks(l)
		id := h.create(webhooks.EndpointSpec{}).Endpoint.ID
		h.emit(2)
		answers := []webhook.Result{{Status: 500, Response: "oops"}, {Error: "no answer within 15 seconds"}}
		h.to.answer = func(received) (r webhook.Result) {
			if len(answers) == 0 {
				return webhook.Result{Status: 200, Response: "thanks"}
			}
			r, answers = answers[0], answers[1:]
			return r
		}
		h.deliver(id)
		if got := h.states(id); !slices.Equal(got, []property.DeliveryState{"PENDING", "PENDING"}) {
			t.Errorf("after errors: %v", got)
		}
		if h.find(id).FailingSince == nil {
			t.Error("it doesn't fail")
		}
		h.deliver(id) // nothing is due yet
		if n := len(h.to.messages()); n != 2 {
			t.Errorf("%d messages", n)
		}
		if n, err := h.WakeWebhooks(t.Context()); err != nil || n != 0 {
			t.Errorf("%d are due, %v", n, err)
		}
		h.due()
		before := h.jobs.count()
		if n, err := h.WakeWebhooks(t.Context()); err != nil || n != 1 || h.jobs.count() != before+1 {
			t.Errorf("%d are due, %v", n, err)
		}
		h.deliver(id)
		if e := h.find(id); e.FailingSince != nil || e.DisabledAt != nil {
			t.Errorf("after a success: %+v", e)
		}
		got := h.messagesByID()
		for _, d := range h.deliveries(id) {
			if d.State != property.DeliveryDelivered || d.Attempt != 2 || len(d.Attempts) != 2 || d.DueAt != nil || d.ClaimedUntil != nil {
				t.Errorf("%+v", d)
			}
			if last := d.Attempts[1]; last.Status != 200 || last.Response != "thanks" || d.Attempts[0].Status == 200 {
				t.Errorf("%+v", d.Attempts)
			}
			if got[d.WebhookEventID] != 2 {
				t.Errorf("%v", got)
			}
		}
		// 410: it is gone, and what comes later waits for a person.
		h.to.answer = func(received) webhook.Result { return webhook.Result{Status: 410} }
		h.emit(2)
		h.deliver(id)
		if e := h.find(id); e.DisabledAt == nil || !strings.Contains(e.DisabledReason, "410") {
			t.Errorf("%+v", e)
		}
		if got := h.states(id)[2:]; !slices.Equal(got, []property.DeliveryState{"FAILED", "PENDING"}) {
			t.Errorf("%v", got)
		}
		if h.audited("webhook.disable") != 1 {
			t.Error("that it was disabled is not in the audit log")
		}
		if n, err := h.WakeWebhooks(t.Context()); err != nil || n != 0 {
			t.Errorf("%d are due, %v", n, err)
		}
	})
}

// TestWebhookStops: a process that stops in the middle of an attempt gives it
// back, and says nothing of the endpoint.
func TestWebhookStops(t *testing.T) {
	h := newHooks(newLab(t, databases.SQLite(t)))
	id := h.create(webhooks.EndpointSpec{}).Endpoint.ID
	h.emit(1)
	ctx, cancel := context.WithCancel(t.Context())
	h.to.answer = func(received) webhook.Result {
		cancel()
		return webhook.Result{Error: "canceled"}
	}
	if err := h.DeliverWebhooks(ctx, id); err == nil {
		t.Error("it goes on")
	}
	h.to.answer = nil
	if h.find(id).FailingSince != nil {
		t.Error("the endpoint fails")
	}
	h.deliver(id)
	if got := h.messagesByID(); len(got) != 1 || len(h.to.messages()) != 2 || h.states(id)[0] != property.DeliveryDelivered {
		t.Errorf("%v", got)
	}
	if d := h.deliveries(id)[0]; d.Attempt != 1 || len(d.Attempts) != 1 {
		t.Errorf("what was given back counts as an attempt: %d, %+v", d.Attempt, d.Attempts)
	}
}

// TestWebhookSecretsUnderAnotherMasterKey: what receivers verify with stays.
func TestWebhookSecretsUnderAnotherMasterKey(t *testing.T) {
	h := newHooks(newLab(t, databases.SQLite(t)))
	made := h.create(webhooks.EndpointSpec{})
	rotated, err := h.RotateWebhookSecret(h.vendor(), made.Endpoint.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.RewrapKeys(h.vendor(), mustKey(t, 7)); err != nil {
		t.Fatal(err)
	}
	h.emit(1)
	for range webhook.MostAttempts() + 1 { // however often: no attempt was made
		wantCode(t, "the old master key", h.DeliverWebhooks(t.Context(), made.Endpoint.ID), license.CodeKeyRefused)
	}
	renewed, _, _ := newPlatform(t, h.Store(), 7)
	if err := webhooks.New(renewed.Core(), h.to).DeliverWebhooks(t.Context(), made.Endpoint.ID); err != nil {
		t.Fatal(err)
	}
	if got := h.to.messages(); len(got) != 1 || !slices.Equal(got[0].secrets, []string{rotated.Secret, made.Secret}) {
		t.Errorf("%+v", got)
	}
}

// TestWebhookFigures: what operators see of all organizations together.
func TestWebhookFigures(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		h := newHooks(l)
		want := func(what string, want webhooks.Figures) {
			t.Helper()
			got, err := h.WebhookFigures(t.Context())
			if err != nil || (got.Oldest > 0) != (want.Waiting > 0) || got.Oldest > time.Hour {
				t.Errorf("%s: %+v, %v", what, got, err)
			}
			if got.Oldest = 0; got != want {
				t.Errorf("%s: %+v instead of %+v", what, got, want)
			}
		}
		want("nothing", webhooks.Figures{})
		id := h.create(webhooks.EndpointSpec{}).Endpoint.ID
		h.emit(3)
		want("not sent", webhooks.Figures{Waiting: 3, Well: 1})
		h.deliver(id)
		want("delivered", webhooks.Figures{Accepted: 3, Delivered: 3, Well: 1})
		h.to.answer = func(received) webhook.Result { return webhook.Result{Status: 503} }
		h.emit(1)
		h.deliver(id)
		want("refused", webhooks.Figures{Accepted: 3, Delivered: 3, Refused: 1, Waiting: 1, Failing: 1})
		h.to.answer = func(received) webhook.Result { return webhook.Result{Error: "no answer"} }
		h.emit(1)
		h.deliver(id)
		want("unanswered", webhooks.Figures{Accepted: 3, Delivered: 3, Refused: 1, Unanswered: 1, Waiting: 2, Failing: 1})
		h.to.answer = func(received) webhook.Result { return webhook.Result{Status: 410} }
		h.emit(1)
		h.deliver(id) // it wants no more: what waits isn't waited for any more
		want("gone", webhooks.Figures{Accepted: 3, Delivered: 3, Refused: 2, Unanswered: 1, Failed: 1, Disabled: 1})
	})
}
