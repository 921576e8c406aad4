package platform_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/tasks"
	platformviews "github.com/quorate/quorate/internal/platform/views"
)

func push(epoch uint64, clients int, views ...license.View) platformviews.ViewPush {
	p := platformviews.ViewPush{Epoch: epoch, Clients: clients}
	for _, v := range views {
		p.Views = append(p.Views, platformviews.PushedView{View: v, At: time.Unix(1_800_000_000, int64(v.Version))})
	}
	for i, serial := range []string{"130-1874829", "130-27845973", "130-3879234"} {
		p.Health = append(p.Health, platformviews.BackendHealth{Position: i + 1, Serial: serial, Address: fmt.Sprintf("10.0.1.%d:7071", i+1),
			Presence: license.Present, SeenAt: time.Unix(1_800_000_000, 0)})
	}
	return p
}

// stages are the seven of the update from 20 to 30.
func stages() []license.View {
	activating := func(version uint64, at int, q, id [3]uint32) license.View {
		v := viewOf(version, q, id)
		v.Backends[at] = license.Activating
		for i := range v.Licenses {
			v.Licenses[i].Cells[at].Presence = license.Activating
		}
		return v
	}
	return []license.View{
		viewOf(1, [3]uint32{20, 20, 20}, [3]uint32{7, 7, 7}),
		activating(2, 0, [3]uint32{0, 20, 20}, [3]uint32{0, 7, 7}),
		viewOf(3, [3]uint32{30, 20, 20}, [3]uint32{8, 7, 7}),
		activating(4, 1, [3]uint32{30, 0, 20}, [3]uint32{8, 0, 7}),
		viewOf(5, [3]uint32{30, 30, 20}, [3]uint32{8, 8, 7}),
		activating(6, 2, [3]uint32{30, 30, 0}, [3]uint32{8, 8, 0}),
		viewOf(7, [3]uint32{30, 30, 30}, [3]uint32{8, 8, 8}),
	}
}

func cells(g *ent.TmrGroup) string {
	out := ""
	for _, b := range g.Backends {
		if b.TmrID == nil {
			out += "- "
			continue
		}
		out += fmt.Sprintf("%d/#%d ", *b.Quantity, *b.TmrID)
	}
	return out + fmt.Sprint(g.Quantity)
}

// TestEveryStageIsStored: the table of the update from 20 to 30, stage by
// stage, though all views came in one push and were pushed again.
func TestEveryStageIsStored(t *testing.T) {
	want := []string{
		"1:#7 2:#7 3:#7 20/#7 20/#7 20/#7 20",
		"1:- 2:#7 3:#7 - 20/#7 20/#7 20",
		"1:(#8) 2:#7 3:#7 30/#8 20/#7 20/#7 20",
		"1:(#8) 2:- 3:#7 30/#8 - 20/#7 20",
		"1:#8 2:#8 3:(#7) 30/#8 30/#8 20/#7 30",
		"1:#8 2:#8 3:- 30/#8 30/#8 - 30",
		"1:#8 2:#8 3:#8 30/#8 30/#8 30/#8 30",
	}
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		seen := l.watch(event.TmrGroup, id)
		all := stages()
		for range 2 {
			if v, err := l.ApplyView(link, id, push(1, 12, all[:3]...)); err != nil || v != 3 {
				t.Fatalf("version %d, %v", v, err)
			}
		}
		wantSignal(t, "views", seen)
		if v, err := l.ApplyView(link, id, push(1, 12, all[1:]...)); err != nil || v != 7 {
			t.Fatalf("version %d, %v", v, err)
		}
		g, err := l.Group(l.customer(made.Group), id)
		if err != nil {
			t.Fatal(err)
		}
		views, err := l.ViewsAfter(l.customer(made.Group), id, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, v := range views {
			at := platformviews.GroupAt(g, v)
			if at.Sequence != i+1 {
				t.Errorf("sequence %d at %d", at.Sequence, i)
			}
			got = append(got, at.Status+" "+cells(at))
		}
		if !slices.Equal(got, want) {
			t.Errorf("stages\n%q instead of\n%q", got, want)
		}
		if g.Status != "1:#8 2:#8 3:#8" || *g.TmrID != 8 || g.Clients != 12 || g.Sequence != 7 || !core.Linked(g) ||
			platformviews.Health(g) != property.HealthFullyRedundant || g.Backends[0].Address != "10.0.1.1:7071" ||
			g.Backends[2].Serial != "130-3879234" || g.Licenses[0].Product != "6000010:14" {
			t.Errorf("%+v", g)
		}
		if more, err := l.ViewsAfter(l.vendor(), id, 5, 1); err != nil || len(more) != 1 || more[0].Sequence != 6 {
			t.Errorf("%v, %v", more, err)
		}
		if hidden, err := l.ViewsAfter(l.stranger(), id, 0, 100); err != nil || len(hidden) != 0 {
			t.Errorf("a stranger sees %d views, %v", len(hidden), err)
		}
	})
}

func TestViewsOfOtherEpochsAndGaps(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		all := stages()
		apply := func(what string, p platformviews.ViewPush, want uint64, sequence int, status string) {
			t.Helper()
			v, err := l.ApplyView(link, id, p)
			g, errGroup := l.Group(l.vendor(), id)
			if err != nil || errGroup != nil || v != want || g.Sequence != sequence || g.Status != status {
				t.Errorf("%s: version %d, sequence %d, %s, %v %v", what, v, g.Sequence, g.Status, err, errGroup)
			}
		}
		apply("the first view of a leader may have any version", push(5, 0, all[2]), 3, 1, "1:(#8) 2:#7 3:#7")
		apply("after a gap nothing is taken", push(5, 0, all[4]), 3, 1, "1:(#8) 2:#7 3:#7")
		apply("up to the gap it is", push(5, 0, all[3], all[5]), 4, 2, "1:(#8) 2:- 3:#7")
		apply("an older epoch is ignored", push(4, 0, all[6]), 0, 2, "1:(#8) 2:- 3:#7")
		apply("a newer epoch begins anew", push(6, 0, all[0]), 1, 3, "1:#7 2:#7 3:#7")
		apply("the fenced one stays so", push(5, 0, all[4]), 0, 3, "1:#7 2:#7 3:#7")

		for what, p := range map[string]platformviews.ViewPush{
			"not in order":     push(6, 0, all[2], all[1]),
			"the same twice":   push(6, 0, all[2], all[2]),
			"a fourth backend": {Epoch: 6, Health: []platformviews.BackendHealth{{Position: 4}}},
			"a zeroth backend": {Epoch: 6, Health: []platformviews.BackendHealth{{Position: 0}}},
		} {
			_, err := l.ApplyView(link, id, p)
			wantCode(t, what, err, license.CodeInvalidInput)
		}
		_, err := l.ApplyView(link, id, platformviews.ViewPush{Views: make([]platformviews.PushedView, platformviews.MostViews+1)})
		wantCode(t, "too many", err, license.CodeTooLarge)
		_, err = l.ApplyView(link, "tmr_other", push(9, 0, all[0]))
		wantCode(t, "another group", err, license.CodeForbidden)
		_, err = l.ApplyView(l.vendor(), id, push(9, 0, all[0]))
		wantCode(t, "a member", err, license.CodeForbidden)
		_, err = l.ApplyView(t.Context(), id, push(9, 0, all[0]))
		wantCode(t, "nobody", err, license.CodeUnauthenticated)
	})
}

// TestNothingNewIsNotWritten: pushes that change nothing cost no write and
// wake nobody; living handles do.
func TestNothingNewIsNotWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		if _, err := l.ApplyView(link, id, push(1, 3, stages()[0])); err != nil {
			t.Fatal(err)
		}
		seen := l.watch(event.TmrGroup, id)
		before := l.Store().Client().TmrGroup.GetX(l.system(), id)
		if _, err := l.ApplyView(link, id, push(1, 3)); err != nil {
			t.Fatal(err)
		}
		wantQuiet(t, "nothing", seen)
		if after := l.Store().Client().TmrGroup.GetX(l.system(), id); !after.LinkedAt.Equal(*before.LinkedAt) {
			t.Error("written though nothing changed")
		}
		if _, err := l.ApplyView(link, id, push(1, 4)); err != nil {
			t.Fatal(err)
		}
		wantSignal(t, "clients", seen)
		after := l.Store().Client().TmrGroup.GetX(l.system(), id)
		if after.Clients != 4 || after.Sequence != before.Sequence || after.Status != before.Status {
			t.Errorf("%+v", after)
		}
	})
}

// TestAViewWakesTheRolloutThatWaitsForIt.
func TestAViewWakesTheRolloutThatWaitsForIt(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		r := l.Store().Client().Rollout.Create().SetVendorID(made.Group.VendorID).SetTmrGroupID(id).SetNumber(1).
			SetState(property.RolloutActivating).SetRunning(true).SetStartedBy("me").SaveX(l.system())
		if _, err := l.ApplyView(link, id, push(1, 0, stages()[0])); err != nil {
			t.Fatal(err)
		}
		if n := l.jobs.count(); n != 0 {
			t.Errorf("%d jobs for a rollout that doesn't wait", n)
		}
		r.Update().SetState(property.RolloutConfirming).ExecX(l.system())
		if _, err := l.ApplyView(link, id, push(1, 0, stages()[1])); err != nil {
			t.Fatal(err)
		}
		if n := l.jobs.count(); n != 1 || l.jobs.all[0] != (tasks.AdvanceRollout{Rollout: r.ID}) {
			t.Errorf("jobs %v", l.jobs.all)
		}
	})
}

func TestHealth(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		if h := platformviews.Health(made.Group); h != property.HealthUnknown {
			t.Errorf("never heard of: %s", h)
		}
		all := stages()
		for i, c := range []struct {
			view license.View
			want property.TmrHealth
		}{
			{license.Merge(license.View{}, [3]license.Observation{{Presence: license.Present}, {Presence: license.Present}, {Presence: license.Present}}), property.HealthEmpty},
			{all[0], property.HealthFullyRedundant},
			{all[1], property.HealthNoSpare},
			{all[2], property.HealthNoSpare},
			{viewOf(1, [3]uint32{20, 20, 0}, [3]uint32{7, 7, 0}), property.HealthNoSpare},
			{viewOf(1, [3]uint32{20, 0, 0}, [3]uint32{7, 0, 0}), property.HealthNoMajority},
			{viewOf(1, [3]uint32{}, [3]uint32{}), property.HealthNoMajority},
			{viewOf(1, [3]uint32{20, 30, 0}, [3]uint32{7, 7, 0}), property.HealthNoMajority},
		} {
			v := c.view
			v.Version = uint64(i + 1)
			if _, err := l.ApplyView(link, id, push(1, 0, v)); err != nil {
				t.Fatal(err)
			}
			g, err := l.Group(l.vendor(), id)
			if err != nil || platformviews.Health(g) != c.want {
				t.Errorf("%s: %s instead of %s, %v", g.Status, platformviews.Health(g), c.want, err)
			}
			if c.want == property.HealthNoMajority && (g.Quantity != 0 || g.TmrID != nil) {
				t.Errorf("%s: %d licenses without a majority", g.Status, g.Quantity)
			}
			long := g.LinkedAt.Add(-core.LinkPatience)
			g.LinkedAt = &long
			if platformviews.Health(g) != property.HealthUnknown {
				t.Error("a lost link is not seen")
			}
		}
	})
}

func TestServerRoles(t *testing.T) {
	now, long := time.Now(), time.Now().Add(-2*core.LinkPatience)
	for _, c := range []struct {
		s    ent.TmrServer
		want property.TmrServerRole
	}{
		{ent.TmrServer{SeenAt: &now, Leading: true}, property.ServerActive},
		{ent.TmrServer{SeenAt: &now}, property.ServerStandby},
		{ent.TmrServer{SeenAt: &long, Leading: true}, property.ServerDown},
		{ent.TmrServer{Leading: true}, property.ServerDown},
	} {
		if got := platformviews.ServerRole(&c.s); got != c.want {
			t.Errorf("%+v is %s instead of %s", c.s, got, c.want)
		}
	}
}

// TestOldViewsAreRemoved: a group that flaps for years fills no disk, and each
// group keeps its own.
func TestOldViewsAreRemoved(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		other, err := l.Store().Client().TmrGroup.Create().SetVendorID(l.owner.Organization).SetName("Other").SetVirtualSerial("131-1").
			SetActivationID(make([]byte, 16)).SetTokenKey([]byte("k")).SetNextTmrID(1).Save(l.system())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.ApplyView(l.system(), other.ID, push(1, 0, viewOf(1, [3]uint32{20, 20, 20}, [3]uint32{7, 7, 7}))); err != nil {
			t.Fatal(err)
		}
		version := uint64(0)
		some := func(n int) {
			t.Helper()
			var views []license.View
			for range n {
				version++
				views = append(views, viewOf(version, [3]uint32{20, 20, 20}, [3]uint32{7, 7, 7}))
			}
			if v, err := l.ApplyView(link, id, push(1, 0, views...)); err != nil || v != version {
				t.Fatalf("version %d, %v", v, err)
			}
		}
		some(platformviews.MostViews)
		some(3)
		rows, err := l.ViewsAfter(l.vendor(), id, 0, 2000)
		if err != nil || len(rows) != 1000 || rows[0].Sequence != 4 || rows[999].Sequence != 1003 {
			t.Errorf("%d views are left, %v", len(rows), err)
		}
		if rows, err := l.ViewsAfter(l.vendor(), other.ID, 0, 2000); err != nil || len(rows) != 1 {
			t.Errorf("%d views of the other group are left, %v", len(rows), err)
		}
	})
}

// TestHostileNumbers: what no database can store is refused, or put right, and
// is no internal error.
func TestHostileNumbers(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		_, err := l.ApplyView(link, id, push(1<<63, 0))
		wantCode(t, "an epoch", err, license.CodeInvalidInput)
		_, err = l.ApplyView(link, id, push(1, 0, viewOf(1<<63, [3]uint32{20, 20, 20}, [3]uint32{7, 7, 7})))
		wantCode(t, "a version", err, license.CodeInvalidInput)
		_, err = l.ApplyLeaseEvents(link, id, []history.LeaseEvent{leaseEvent(1<<63, history.LeaseGranted, "a")})
		wantCode(t, "a position", err, license.CodeInvalidInput)

		odd := push(1, 0, viewOf(1, [3]uint32{20, 20, 20}, [3]uint32{7, 7, 7}))
		odd.Views[0].At = time.UnixMilli(1<<63 - 1)
		if _, err := l.ApplyView(link, id, odd); err != nil {
			t.Error(err)
		}
		rows, err := l.ViewsAfter(l.vendor(), id, 0, 10)
		if err != nil || len(rows) != 1 || time.Since(rows[0].At) > time.Minute {
			t.Errorf("%+v, %v", rows, err)
		}
	})
}
