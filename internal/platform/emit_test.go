package platform_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/webhookevent"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// emitted is an event as endpoints get it.
type emitted struct {
	ID           string         `json:"id"`
	Version      int            `json:"version"`
	Type         core.EventKind `json:"type"`
	Timestamp    time.Time      `json:"timestamp"`
	Organization string         `json:"organization"`
	Data         map[string]any `json:"data"`
}

// endpoint has an organization listen to events.
func (l *lab) endpoint(organization string, events ...string) *ent.WebhookEndpoint {
	l.t.Helper()
	e, err := l.Store().Client().WebhookEndpoint.Create().SetOrganizationID(organization).SetURL("https://example.com/hook").
		SetEvents(events).SetSealedSecret([]byte{1}).Save(l.system())
	if err != nil {
		l.t.Fatal(err)
	}
	return e
}

// events are those that an organization was told of, oldest first. What they
// tell is what the table of kinds says.
func (l *lab) events(organization string) (all []emitted) {
	l.t.Helper()
	rows, err := l.Store().Client().WebhookEvent.Query().Where(webhookevent.OrganizationID(organization)).
		Order(ent.Asc(webhookevent.FieldCreatedAt, webhookevent.FieldID)).All(l.system())
	if err != nil {
		l.t.Fatal(err)
	}
	for _, row := range rows {
		var e emitted
		if err := json.Unmarshal(row.Payload, &e); err != nil {
			l.t.Fatal(err)
		}
		i := slices.IndexFunc(core.EventKinds(), func(d core.Described) bool { return d.Kind == e.Type })
		if i < 0 {
			l.t.Errorf("%s is in no table", e.Type)
			continue
		}
		for name := range e.Data {
			if !slices.Contains(core.EventKinds()[i].Data, name) {
				l.t.Errorf("%s tells %q, which the table of kinds doesn't", e.Type, name)
			}
		}
		if e.ID != row.ID || e.Organization != organization || e.Version != 1 || !e.Timestamp.Equal(row.CreatedAt) || string(e.Type) != row.Kind {
			l.t.Errorf("the event %s says %+v", row.ID, e)
		}
		all = append(all, e)
	}
	return all
}

func kindsOf(all []emitted) (kinds []core.EventKind) {
	for _, e := range all {
		kinds = append(kinds, e.Type)
	}
	return kinds
}

func TestEmit(t *testing.T) { onBoth(t, testEmit) }

func testEmit(t *testing.T, l *lab) {
	vendor := l.owner.Organization
	other, err := l.Store().Client().Organization.Create().SetName("Shipping").SetCustomer(true).SetProviderID(vendor).Save(l.system())
	if err != nil {
		t.Fatal(err)
	}
	before := l.jobs.count()
	in := func(f func(tx *store.Tx) error) error {
		return l.Store().WithTx(l.vendor(), f)
	}
	emit := func(kind core.EventKind, data any) error {
		return in(func(tx *store.Tx) error { return l.Core().EmitShared(l.vendor(), tx, vendor, &other.ID, kind, data) })
	}
	if err := emit(core.EventOrderCreated, map[string]any{"order": "ord_1"}); err != nil {
		t.Fatal(err)
	}
	if n := len(l.events(vendor)); n != 0 || l.jobs.count() != before {
		t.Errorf("%d events for nobody", n)
	}

	all, orders, off := l.endpoint(vendor, "*"), l.endpoint(vendor, "rollout.done", "order.created"), l.endpoint(vendor, "*")
	theirs := l.endpoint(other.ID, "order.created")
	if err := l.Store().Client().WebhookEndpoint.UpdateOneID(off.ID).SetDisabledAt(core.Now()).Exec(l.system()); err != nil {
		t.Fatal(err)
	}
	if err := emit(core.EventOrderCreated, map[string]any{"order": "ord_2"}); err != nil {
		t.Fatal(err)
	}
	if err := emit(core.EventRolloutHeld, map[string]any{"rollout": "rol_1"}); err != nil {
		t.Fatal(err)
	}
	// What is rolled back was never told, and neither is what can't be.
	failed := errors.New("rolled back")
	if err := in(func(tx *store.Tx) error {
		return errors.Join(l.Core().Emit(l.vendor(), tx, vendor, core.EventRolloutDone, map[string]any{}), failed)
	}); !errors.Is(err, failed) {
		t.Error(err)
	}
	for kind, data := range map[core.EventKind]any{
		"order.unknown": map[string]any{}, "*": map[string]any{}, core.EventRolloutDone: []string{"no object"},
		core.EventOrderCreated: map[string]any{"order": strings.Repeat("x", 256<<10)},
	} {
		if err := emit(kind, data); err == nil {
			t.Errorf("%s with %T was told", kind, data)
		}
	}

	if got, want := kindsOf(l.events(vendor)), []core.EventKind{core.EventOrderCreated, core.EventRolloutHeld}; !slices.Equal(got, want) {
		t.Errorf("the vendor was told %v", got)
	}
	if got, want := kindsOf(l.events(other.ID)), []core.EventKind{core.EventOrderCreated}; !slices.Equal(got, want) {
		t.Errorf("the customer was told %v", got)
	}
	rows, err := l.Store().Client().WebhookDelivery.Query().WithWebhookEvent().All(l.system())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, d := range rows {
		got[d.WebhookEndpointID] = append(got[d.WebhookEndpointID], d.Edges.WebhookEvent.Kind)
		if d.State != "PENDING" || d.DueAt == nil || d.OrganizationID != d.Edges.WebhookEvent.OrganizationID {
			t.Errorf("the delivery is %v", d)
		}
	}
	if len(got[all.ID]) != 2 || !slices.Equal(got[orders.ID], []string{"order.created"}) || !slices.Equal(got[theirs.ID], []string{"order.created"}) || len(got) != 3 {
		t.Errorf("deliveries: %v", got)
	}
}

// TestEventKinds: the table is complete and its names are in order.
func TestEventKinds(t *testing.T) {
	seen := map[core.EventKind]bool{}
	for _, d := range core.EventKinds() {
		object, verb, ok := strings.Cut(string(d.Kind), ".")
		if !ok || object == "" || verb == "" || string(d.Kind) != strings.ToLower(string(d.Kind)) || d.When == "" || len(d.Data) == 0 || seen[d.Kind] {
			t.Errorf("%+v", d)
		}
		seen[d.Kind] = true
	}
	if core.KnownEvent("order") || !core.KnownEvent("*") || !core.KnownEvent("order.created") {
		t.Error("the known kinds are others")
	}
}
