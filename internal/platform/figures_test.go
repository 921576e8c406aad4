package platform_test

import (
	"testing"

	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
)

// Figures are of all organizations, and asked for by who is no member of any.
func TestFigures(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		f, err := l.Figures(t.Context())
		if err != nil || len(f.Rollouts) != 0 || f.Linked != 0 || f.Unlinked != 2 || f.WorkPending != 0 {
			t.Fatalf("%+v, %v", f, err)
		}
		if _, err := l.Order(l.vendor(), orders.OrderRequest{Item: made.Item.ID, Group: made.Group.ID, Quantity: 3}); err != nil {
			t.Fatal(err)
		}
		r, err := l.StartRollout(l.vendor(), core.Place{Group: made.Group.ID}, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.AdvanceRollout(t.Context(), r.ID, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Pull(l.link(made), true, 0); err != nil {
			t.Fatal(err)
		}
		f, err = l.Figures(t.Context())
		if err != nil || f.Rollouts["COLLECTING"] != 1 || len(f.Rollouts) != 1 || f.Linked != 1 || f.Unlinked != 1 || f.WorkPending != 1 {
			t.Errorf("%+v, %v", f, err)
		}
		for state := range f.Rollouts {
			found := false
			for _, s := range platform.RolloutStates() {
				found = found || s == state
			}
			if !found {
				t.Errorf("%s is not shown", state)
			}
		}
	})
}
