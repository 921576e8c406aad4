package platform_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
)

// TestEventsOfUseCases: what happens is told, to both who share it, and once.
func TestEventsOfUseCases(t *testing.T) { onBoth(t, testEventsOfUseCases) }

func testEventsOfUseCases(t *testing.T, l *lab) {
	vendor := l.owner.Organization
	l.endpoint(vendor, "*")
	made := l.provision()
	customer := *made.Group.CustomerID
	l.endpoint(customer, "*")
	// told gives what was told since it was last asked for, the same to both.
	seen := map[string]int{}
	told := func(what string, want ...core.EventKind) (last emitted) {
		t.Helper()
		for _, organization := range []string{vendor, customer} {
			all := l.events(organization)
			fresh := all[seen[organization]:]
			seen[organization] = len(all)
			if got := kindsOf(fresh); !slices.Equal(got, want) {
				t.Errorf("%s: %s was told %v, want %v", what, organization, got, want)
			} else if len(fresh) > 0 {
				last = fresh[len(fresh)-1]
			}
		}
		return last
	}
	seen[vendor] = len(l.events(vendor))
	if seen[vendor] != 3 {
		t.Errorf("%d containers were told of", seen[vendor])
	}
	b := l.box(77, "Shipping Company")
	if e := told("a container", core.EventContainerRegistered); e.Data["container"] != b.row.ID || e.Data["serial"] != "130-77" {
		t.Errorf("%+v", e)
	}
	l.buy(made.Item.ID, b, 5)
	if e := told("an order", core.EventOrderCreated); e.Data["container"] != b.row.ID || e.Data["quantity"] != 5.0 || e.Data["source"] != "PURCHASE" {
		t.Errorf("%+v", e)
	}
	b.roll()
	told("a rollout", core.EventRolloutStarted, core.EventRolloutDone)
	if _, err := l.ReturnLicenses(l.customer(made.Group), b.leave(2)); err != nil {
		t.Fatal(err)
	}
	told("a return that is not confirmed")
	b.roll()
	if e := told("a return", core.EventRolloutStarted, core.EventTransferConfirmed, core.EventRolloutDone); e.Data["container"] != b.row.ID {
		t.Errorf("%+v", e)
	}
	l.buy(made.Item.ID, b, 1)
	r, err := l.StartRollout(l.vendor(), b.place(), "")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := l.AbortRollout(l.vendor(), r.ID); err != nil {
			t.Fatal(err)
		}
	}
	told("a rollout that is given up", core.EventOrderCreated, core.EventRolloutStarted, core.EventRolloutAborted)

	item, err := l.UpdateItem(l.vendor(), made.Item.ID, 1, func(s *catalog.ItemSpec) { s.Options.FeatureMap = 3 })
	if err != nil {
		t.Fatal(err)
	}
	all := l.events(vendor)
	seen[vendor] = len(all)
	if e := all[len(all)-1]; e.Type != core.EventItemChanged || e.Data["revision"] != float64(item.Revision) || len(l.events(customer)) != seen[customer] {
		t.Errorf("a change of the vendor's own item: %+v", e)
	}

	link := l.link(made)
	views := stages()
	views[1].Backends[0] = license.Absent
	for i, v := range views[:3] {
		if _, err := l.ApplyView(link, made.Group.ID, push(1, 0, v)); err != nil {
			t.Fatal(err)
		}
		switch i {
		case 0:
			told("the first view")
		case 1:
			if e := told("a lost backend", core.EventBackendLost); e.Data["position"] != 1.0 || e.Data["serial"] != "130-1874829" || e.Data["present"] != 2.0 {
				t.Errorf("%+v", e)
			}
		case 2:
			told("a backend that is back", core.EventBackendRejoined)
		}
	}
	for i := range 4 {
		denied := leaseEvent(uint64(40+i), history.LeaseDenied, "")
		denied.Reason, denied.User = license.CodeNoFreeSeat, "ulla"
		again := denied
		again.Position += 100
		if _, err := l.ApplyLeaseEvents(link, made.Group.ID, []history.LeaseEvent{denied}); err != nil {
			t.Fatal(err)
		}
	}
	if e := told("four denials", core.EventAllocationDenied); e.Data["product"] != made.Product.ID || e.Data["reason"] != "NO_FREE_SEAT" {
		t.Errorf("%+v", e)
	}

	before := b.copied()
	l.buy(made.Item.ID, b, 1)
	b.roll()
	told("more", core.EventOrderCreated, core.EventRolloutStarted, core.EventRolloutDone)
	b.restore(before)
	l.buy(made.Item.ID, b, 1)
	if _, err := l.StartOfflineRollout(l.vendor(), b.place(), b.request()); license.CodeOf(err) != license.CodeManipulation {
		t.Fatalf("a restored container: %v", err)
	}
	if e := told("a restored container", core.EventOrderCreated, core.EventContainerSuspected); e.Data["reason"] == "" {
		t.Errorf("%+v", e)
	}
	for range 2 {
		if _, err := l.DecideContainer(l.vendor(), b.serial, property.DecideBlock, "it is lost"); err != nil {
			t.Fatal(err)
		}
	}
	told("a blocked container", core.EventContainerBlocked)
}

// TestEveryKindIsSent: each kind of the table is emitted by some use case, and
// described where people look for it.
func TestEveryKindIsSent(t *testing.T) {
	source, kinds := "", map[string]string{}
	for _, pattern := range []string{"*/*.go", "*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if file == "core/emit.go" {
				for line := range strings.Lines(string(b)) {
					if f := strings.Fields(line); len(f) == 4 && f[1] == "EventKind" && f[2] == "=" {
						kinds[strings.Trim(f[3], `"`)] = f[0]
					}
				}
			} else if !strings.HasSuffix(file, "_test.go") {
				source += string(b)
			}
		}
	}
	docs, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(kinds) != len(core.EventKinds()) {
		t.Errorf("%d kinds, %d in the table", len(kinds), len(core.EventKinds()))
	}
	for _, d := range core.EventKinds() {
		if name := kinds[string(d.Kind)]; name == "" || !strings.Contains(source, "core."+name) {
			t.Errorf("nobody emits %s", d.Kind)
		}
		if row := "| `" + string(d.Kind) + "` | " + d.When + " | `" + strings.Join(d.Data, "`, `") + "` |"; !strings.Contains(string(docs), row) {
			t.Errorf("docs/webhooks.md has no line\n%s", row)
		}
	}
}
