package resolvers_test

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
)

// TestStreamShowsHowAllocationsAreUsed: what a license server tells of living
// handles, and of notices to their holders, is a change as any other; much of it
// comes in few messages.
func TestStreamShowsHowAllocationsAreUsed(t *testing.T) {
	w := newWorld(t)
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	s.subscribe("1", `subscription { allocationsChanged(container: "131-4837572") {
		sequence snapshot upserted { id accesses lastAccessAt idleSince expiresAt notice { text takenAt code } } } }`)
	type shown struct {
		ID                                 string
		Accesses                           int
		LastAccessAt, IdleSince, ExpiresAt *time.Time
		Notice                             *struct {
			Text, Code string
			TakenAt    *time.Time
		}
	}
	var m struct {
		AllocationsChanged struct {
			Sequence int
			Snapshot bool
			Upserted []shown
		}
	}
	c := &m.AllocationsChanged
	s.data(&m)
	if len(c.Upserted) != 3 || c.Upserted[0].Accesses != 0 || c.Upserted[0].LastAccessAt != nil || c.Upserted[0].Notice != nil {
		t.Fatalf("snapshot: %+v", c)
	}
	at := time.Now().UTC().Truncate(time.Second)
	w.change(event.Allocations, "con_0", func(tx *store.Tx) error {
		return tx.Allocation.UpdateOneID("alc_001").SetAccesses(2).SetLastAccessAt(at).SetIdleSince(at.Add(-time.Hour)).SetExpiresAt(at.Add(time.Minute)).Exec(w.system())
	})
	next := func() shown {
		t.Helper()
		c.Upserted = nil
		s.data(&m)
		if c.Snapshot || len(c.Upserted) != 1 || c.Upserted[0].ID != "alc_001" {
			t.Fatalf("a change: %+v", c)
		}
		return c.Upserted[0]
	}
	if a := next(); a.Accesses != 2 || !a.LastAccessAt.Equal(at) || !a.IdleSince.Equal(at.Add(-time.Hour)) || !a.ExpiresAt.Equal(at.Add(time.Minute)) {
		t.Errorf("its use: %+v", a)
	}
	w.change(event.Allocations, "con_0", func(tx *store.Tx) error {
		return tx.Allocation.UpdateOneID("alc_001").ClearIdleSince().Exec(w.system())
	})
	if a := next(); a.IdleSince != nil {
		t.Errorf("in use again: %+v", a)
	}
	// One that its license server never took is given up.
	w.change(event.Allocations, "con_0", func(tx *store.Tx) error {
		return tx.Allocation.UpdateOneID("alc_001").SetNoticeAt(at.Add(-time.Hour)).SetNoticeText("please").Exec(w.system())
	})
	if a := next(); a.Notice == nil || a.Notice.Text != "please" || a.Notice.Code != "UNAVAILABLE" || a.Notice.TakenAt != nil {
		t.Errorf("a notice that waits too long: %+v", a.Notice)
	}
	w.change(event.Allocations, "con_0", func(tx *store.Tx) error {
		return tx.Allocation.UpdateOneID("alc_001").SetNoticeTakenAt(at).Exec(w.system())
	})
	if a := next(); a.Notice.Code != "" || !a.Notice.TakenAt.Equal(at) {
		t.Errorf("a notice that is taken: %+v", a.Notice)
	}
	// Much at once is few messages.
	sequence, began := c.Sequence, time.Now()
	const burst = 30
	for i := range burst {
		w.change(event.Allocations, "con_0", func(tx *store.Tx) error {
			return tx.Allocation.UpdateOneID("alc_001").SetLastAccessAt(at.Add(time.Duration(i+1) * time.Second)).Exec(w.system())
		})
	}
	for a := next(); !a.LastAccessAt.Equal(at.Add(burst * time.Second)); a = next() {
	}
	if n, most := c.Sequence-sequence, int(time.Since(began)/(250*time.Millisecond))+1; n > most {
		t.Errorf("%d messages within %v", n, time.Since(began))
	}
}

// TestAChangeOfAllocationsIsReadOnce: what a stream has read it tells without
// reading again, and figures that only a denial or the license server changes
// are read when those tell. Fields of other rows are read with it.
func TestAChangeOfAllocationsIsReadOnce(t *testing.T) {
	w := newWorld(t)
	var statements atomic.Int64
	w.store.Client().Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			statements.Add(1)
			return next.Query(ctx, q)
		})
	}))
	for name, c := range map[string]struct {
		fields string
		most   int64
	}{
		"alone":        {"id accesses user", 2},                       // the rows, and what their customer shows of its users
		"with product": {"id accesses user product { reference }", 6}, // once more for the message, with products and firms
	} {
		t.Run(name, func(t *testing.T) {
			s := dial(t, w.server(t, "owner"), nil)
			s.init()
			s.subscribe("1", `subscription { allocationsChanged(container: "131-4837572") { taken denials upserted { `+c.fields+` } removed } }`)
			var m struct {
				AllocationsChanged struct {
					Taken, Denials int
					Upserted       []struct {
						ID       string
						Accesses int
						User     string
					}
				}
			}
			got := &m.AllocationsChanged
			s.data(&m)
			if len(got.Upserted) != 3 {
				t.Fatalf("snapshot: %+v", got)
			}
			before, least := got.Denials, int64(math.MaxInt64)
			for i := range 3 {
				statements.Store(0)
				w.change(event.Allocations, "con_0", func(tx *store.Tx) error {
					return tx.Allocation.UpdateOneID("alc_002").SetAccesses(10 + i).SetLicenses(1 + i).Exec(w.system())
				})
				got.Upserted = nil
				s.data(&m)
				if len(got.Upserted) != 1 || got.Upserted[0].Accesses != 10+i || got.Upserted[0].User != "ada" || got.Taken != 3+i {
					t.Errorf("a change: %+v", got)
				}
				least = min(least, statements.Load())
			}
			if least == 0 || least > c.most { // of one of the changes the stream may look by the clock, too
				t.Errorf("%d statements", least)
			}
			w.change(event.Denials, "con_0", func(tx *store.Tx) error {
				port := "org_port"
				return tx.Denial.Create().SetVendorID("org_charts").SetCustomerID(port).SetContainerID("con_0").SetProductID("prd_1").
					SetPosition(1000 + uint64(c.most)).SetAt(w.now).SetReason("NO_FREE_SEAT").SetClient("10.0.0.9").SetUser("ada").SetApplication("charts").
					SetMode(license.UserLimit).Exec(w.system())
			})
			s.data(&m)
			if got.Denials != before+1 || got.Taken != 5 {
				t.Errorf("a denial: %+v", got)
			}
		})
	}
}

// TestPlanningIsLetGoOf: what was begun to plan a subscription ends with it, while
// the subscription lives: else each subscriber keeps what it read.
func TestPlanningIsLetGoOf(t *testing.T) {
	w := newWorld(t)
	planning := make(chan context.Context, 100)
	w.store.Client().Container.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			select {
			case planning <- ctx:
			default:
			}
			return next.Query(ctx, q)
		})
	}))
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	s.subscribe("1", `subscription { allocationsChanged(container: "131-4837572") { taken upserted { id } } }`)
	var m struct{ AllocationsChanged struct{ Taken int } }
	s.data(&m)
	select {
	case <-(<-planning).Done():
	case <-time.After(5 * time.Second):
		t.Error("the context of planning lives on")
	}
	w.addAllocation(100)
	if s.data(&m); m.AllocationsChanged.Taken != 4 {
		t.Errorf("after it: %+v", m)
	}
}
