package platform_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/tasks"
	platformviews "github.com/quorate/quorate/internal/platform/views"
)

// waiting gives a group whose rollout waits for fingerprints.
func (l *lab) waiting() (made provision.Provisioned, rollout string) {
	l.t.Helper()
	made = l.provision()
	if _, err := l.Order(l.vendor(), orders.OrderRequest{Item: made.Item.ID, Group: made.Group.ID, Quantity: 20}); err != nil {
		l.t.Fatal(err)
	}
	r, err := l.StartRollout(l.vendor(), core.Place{Group: made.Group.ID}, "")
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.AdvanceRollout(l.t.Context(), r.ID, nil); err != nil {
		l.t.Fatal(err)
	}
	return made, r.ID
}

func (l *lab) standby(made provision.Provisioned) context.Context {
	l.t.Helper()
	p, err := l.AuthenticateLink(l.t.Context(), made.Servers[1].Token)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.as(p)
}

func TestWorkStaysDueUntilItIsReported(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made, rollout := l.waiting()
		server := l.link(made)
		var id string
		for range 2 {
			due, err := l.Pull(server, true, 0)
			if err != nil || len(due) != 1 || due[0].Kind != tasks.WorkCollect || len(due[0].Nonce) < 16 {
				t.Fatalf("due: %+v, %v", due, err)
			}
			id = due[0].ID
		}
		if err := l.AdvanceRollout(t.Context(), rollout, nil); err != nil { // asking again makes no other work
			t.Fatal(err)
		}
		before := l.jobs.count()
		report := tasks.LinkReport{WorkID: id, Failed: license.Errorf(license.CodeBackendAbsent, "fix\x00", "no %s", strings.Repeat("x", 3000))}
		for range 2 { // repeating changes nothing
			if err := l.Report(server, report); err != nil {
				t.Fatal(err)
			}
			report.Failed = license.Errorf(license.CodeConflict, "", "another")
		}
		row := l.Store().Client().Work.GetX(l.system(), id)
		if row.State != property.WorkFailed || row.ErrorCode != "BACKEND_ABSENT" || row.DoneAt == nil || len(row.ErrorMessage) > 2000 {
			t.Errorf("stored: %+v", row)
		}
		if n := l.jobs.count() - before; n != 1 || l.jobs.all[before] != (tasks.AdvanceRollout{Rollout: rollout}) {
			t.Errorf("%d jobs", n)
		}
		if due, err := l.Pull(server, true, 0); err != nil || len(due) != 0 {
			t.Errorf("due after the report: %+v, %v", due, err)
		}
	})
}

func TestRolloutTellsThatItsServerIsAway(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made, rollout := l.waiting()
		blocker := func() string {
			t.Helper()
			if err := l.AdvanceRollout(t.Context(), rollout, nil); err != nil {
				t.Fatal(err)
			}
			if b := l.Store().Client().Rollout.GetX(l.system(), rollout).Blocker; b != nil {
				return *b
			}
			return ""
		}
		if b := blocker(); b != "" {
			t.Errorf("told too early: %q", b)
		}
		old := time.Now().Add(-2 * core.LinkPatience)
		l.Store().Client().Work.Delete().ExecX(l.system())
		w := l.Store().Client().Work.Create().SetVendorID(made.Group.VendorID).SetTmrGroupID(made.Group.ID).SetRolloutID(rollout).
			SetKey(rollout + "/COLLECT/0/0").SetKind(tasks.WorkCollect).SetPayload([]byte("{}")).SetCreatedAt(old).SaveX(l.system())
		if b := blocker(); !strings.Contains(b, "does not hear") {
			t.Errorf("blocker %q", b)
		}
		if due, err := l.Pull(l.link(made), true, 0); err != nil || len(due) != 1 || due[0].ID != w.ID {
			t.Fatalf("due: %+v, %v", due, err)
		}
		if b := blocker(); b != "" {
			t.Errorf("linked again, and still %q", b)
		}
	})
}

func TestOddCodesAreInternal(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made, _ := l.waiting()
		due, err := l.Pull(l.link(made), true, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Report(l.link(made), tasks.LinkReport{WorkID: due[0].ID, Failed: &license.Error{Code: "odd\x00 code", Message: "m"}}); err != nil {
			t.Fatal(err)
		}
		if row := l.Store().Client().Work.GetX(l.system(), due[0].ID); row.ErrorCode != "INTERNAL" {
			t.Errorf("stored as %q", row.ErrorCode)
		}
	})
}

func TestOnlyTheLeaderGetsWork(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made, _ := l.waiting()
		if due, err := l.Pull(l.standby(made), false, 10*time.Millisecond); err != nil || len(due) != 0 {
			t.Errorf("the standby got %+v, %v", due, err)
		}
		if due, err := l.Pull(l.link(made), true, 0); err != nil || len(due) != 1 {
			t.Errorf("the leader got %+v, %v", due, err)
		}
		roles := func() (all []property.TmrServerRole) {
			for _, s := range made.Servers {
				all = append(all, platformviews.ServerRole(l.Store().Client().TmrServer.GetX(l.system(), s.Server.ID)))
			}
			return all
		}
		if got := roles(); !slices.Equal(got, []property.TmrServerRole{property.ServerActive, property.ServerStandby}) {
			t.Errorf("roles %v", got)
		}
		if !core.Linked(l.Store().Client().TmrGroup.GetX(l.system(), made.Group.ID)) {
			t.Error("the group is not linked")
		}
		// The standby takes over: there is never a second active one.
		if due, err := l.Pull(l.standby(made), true, 0); err != nil || len(due) != 1 {
			t.Errorf("the new leader got %+v, %v", due, err)
		}
		if got := roles(); !slices.Equal(got, []property.TmrServerRole{property.ServerStandby, property.ServerActive}) {
			t.Errorf("roles after the takeover %v", got)
		}
	})
}

func TestPullWakesWhenWorkComes(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		if _, err := l.Order(l.vendor(), orders.OrderRequest{Item: made.Item.ID, Group: made.Group.ID, Quantity: 20}); err != nil {
			t.Fatal(err)
		}
		r, err := l.StartRollout(l.vendor(), core.Place{Group: made.Group.VirtualSerial}, "")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan int, 1)
		go func() {
			due, err := l.Pull(l.link(made), true, 20*time.Second)
			if err != nil {
				t.Error(err)
			}
			got <- len(due)
		}()
		if err := l.AdvanceRollout(t.Context(), r.ID, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case n := <-got:
			if n != 1 {
				t.Errorf("%d items", n)
			}
		case <-time.After(15 * time.Second):
			t.Error("the waiting pull was not woken")
		}
	})
}

func TestPullEndsWithItsCaller(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		ctx, cancel := context.WithCancel(l.link(made))
		cancel()
		if _, err := l.Pull(ctx, true, time.Minute); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOthersWorkIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made, _ := l.waiting()
		due, err := l.Pull(l.link(made), true, 0)
		if err != nil {
			t.Fatal(err)
		}
		other := l.as(auth.Principal{Kind: auth.KindServer, ID: "srv_other", Organization: "org_other", Group: "tmr_other", Name: "x"})
		for name, c := range map[string]struct {
			ctx  context.Context
			id   string
			code license.Code
		}{
			"another group's server": {other, due[0].ID, license.CodeNotFound},
			"unknown work":           {l.link(made), "wrk_unknown", license.CodeNotFound},
			"a member":               {l.vendor(), due[0].ID, license.CodeForbidden},
			"nobody":                 {t.Context(), due[0].ID, license.CodeUnauthenticated},
		} {
			if err := l.Report(c.ctx, tasks.LinkReport{WorkID: c.id}); license.CodeOf(err) != c.code {
				t.Errorf("%s reports: %v", name, err)
			}
		}
		if row := l.Store().Client().Work.GetX(l.system(), due[0].ID); row.State != property.WorkPending {
			t.Errorf("the work is %s", row.State)
		}
		for name, ctx := range map[string]context.Context{"a member": l.vendor(), "nobody": t.Context(), "an unknown server": other} {
			if _, err := l.Pull(ctx, true, 0); err == nil {
				t.Errorf("%s pulls", name)
			}
			if _, err := l.Push(ctx, links.LinkPush{Leading: true}); err == nil {
				t.Errorf("%s pushes", name)
			}
		}
		// The standby may report what it pulled while it led.
		if err := l.Report(l.standby(made), tasks.LinkReport{WorkID: due[0].ID}); err != nil {
			t.Error(err)
		}
	})
}

func TestReportTellsSubscribers(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made, rollout := l.waiting()
		news, err := l.bus.Subscribe(t.Context(), event.WorkDone, rollout)
		if err != nil {
			t.Fatal(err)
		}
		due, err := l.Pull(l.link(made), true, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Report(l.link(made), tasks.LinkReport{WorkID: due[0].ID}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-news:
		case <-time.After(10 * time.Second):
			t.Error("nobody was told")
		}
	})
}

func TestPush(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		views := func(first, last uint64) (all []platformviews.PushedView) {
			for v := first; v <= last; v++ {
				all = append(all, platformviews.PushedView{View: license.View{Version: v}, At: time.Now()})
			}
			return all
		}
		leader := links.LinkPush{Leading: true, ViewPush: platformviews.ViewPush{Epoch: 2, Views: views(1, 3), Clients: 5},
			Events: []history.LeaseEvent{{Position: 7, Kind: history.LeaseGranted, At: time.Now(), Handle: "h", Product: product, Mode: license.UserLimit, Seat: 1, N: 1}}}
		for range 2 {
			at, err := l.Push(l.link(made), leader)
			if err != nil || at != (links.LinkPosition{ViewVersion: 3, EventPosition: 7}) {
				t.Fatalf("%+v, %v", at, err)
			}
		}
		count := l.Store().Client().Allocation.Query().CountX(l.system())
		if count != 1 {
			t.Errorf("%d allocations", count)
		}
		// One that leads under an older epoch, and one that does not lead, change nothing.
		stale := links.LinkPush{Leading: true, ViewPush: platformviews.ViewPush{Epoch: 1, Views: views(4, 4), Clients: 99},
			Events: []history.LeaseEvent{{Position: 8, Kind: history.LeaseGranted, At: time.Now(), Handle: "i", Product: product, Mode: license.UserLimit}}}
		standby := stale
		standby.Leading, standby.Epoch = false, 0
		for name, push := range map[string]links.LinkPush{"stale": stale, "standby": standby} {
			at, err := l.Push(l.standby(made), push)
			if err != nil || at != (links.LinkPosition{EventPosition: 7}) {
				t.Errorf("%s: %+v, %v", name, at, err)
			}
			g := l.Store().Client().TmrGroup.GetX(l.system(), made.Group.ID)
			s := l.Store().Client().TmrServer.GetX(l.system(), made.Servers[1].Server.ID)
			if g.Clients != 5 || g.ViewVersion != 3 || g.EventPosition != 7 || s.Leading || s.SeenAt == nil {
				t.Errorf("%s: group %+v, server %+v", name, g, s)
			}
		}
	})
}
