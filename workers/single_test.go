package workers_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/linkapi"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/testenv"
)

func TestSingleOffline(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		s := l.single(77, nil)
		s.state(property.ContainerUpToDate)
		s.order(5)
		s.state(property.ContainerUpdateDue)
		r := s.start()
		if row := l.row(r.Row.ID); row.State != property.RolloutStaging || row.TmrGroupID != nil || *row.ContainerID != s.row.ID || row.TmrID != 0 || len(row.Steps) != 1 {
			t.Errorf("handed out: %+v", row)
		}
		s.state(property.ContainerAwaitingReceipt)
		if again := s.start(); again.Row.ID != r.Row.ID {
			t.Error("the same request gives another rollout")
		}
		_, err := l.AbortRollout(l.as(l.owner), r.Row.ID)
		l.wantRefused("aborted after the file went out", err, license.CodeRolloutState)
		receipts := s.apply(r.Update, 0)
		for range 2 {
			if row := l.finish(r.Row.ID, receipts); row.State != property.RolloutDone {
				t.Errorf("finished: %s", row.State)
			}
		}
		s.holds(5)
		s.state(property.ContainerUpToDate)

		s.order(2) // the receipt is lost: the next request shows that it is installed
		second := s.start()
		s.apply(second.Update, 0)
		s.order(1)
		third := s.start()
		if l.row(second.Row.ID).State != property.RolloutDone || third.Row.ID == second.Row.ID {
			t.Errorf("the request did not serve as the receipt: %s", l.row(second.Row.ID).State)
		}
		l.finish(third.Row.ID, s.apply(third.Update, 0))
		s.holds(8)
		_, err = l.StartOfflineRollout(l.as(l.owner), s.place(), s.request())
		l.wantRefused("nothing is due", err, license.CodeRolloutUpToDate)
	})
}

// TestSingleAndGroupStayApart: nothing of one goes the other's way.
// TestOfflineUpdateAgain: while a rollout by files waits, its update file is
// given again, and it does; before and after there is none.
func TestOfflineUpdateAgain(t *testing.T) {
	l := newLab(t, migrated.SQLite(t))
	s := l.single(77, nil)
	s.order(5)
	first := s.start()
	again, err := l.OfflineUpdate(l.as(l.owner), first.Row.ID)
	if err != nil {
		t.Fatal(err)
	}
	if l.updates(again) != l.updates(first.Update) {
		t.Error("the file has other updates than the first one")
	}
	if offline, err := rollouts.RolloutOffline(first.Row); err != nil || !offline {
		t.Errorf("not by files: %v, %v", offline, err)
	}
	l.finish(first.Row.ID, s.apply(again, 0))
	s.holds(5)
	_, err = l.OfflineUpdate(l.as(l.owner), first.Row.ID)
	l.wantRefused("done", err, license.CodeRolloutState)
	s.order(1)
	linked, err := l.StartRollout(l.as(l.owner), s.place(), "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.OfflineUpdate(l.as(l.owner), linked.ID)
	l.wantRefused("over the link", err, license.CodeRolloutState)
	_, err = l.OfflineUpdate(l.as(l.owner), "rol_none")
	l.wantRefused("none", err, license.CodeNotFound)
}

func TestSingleAndGroupStayApart(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		s := l.single(77, nil)
		owner := l.as(l.owner)
		backend := l.containers[0].Serial().String()
		member, err := l.containers[0].Fingerprint(nil)
		if err != nil {
			t.Fatal(err)
		}
		l.order(20)
		s.order(5)
		group := core.Place{Group: l.group.ID}
		for what, c := range map[string]struct {
			do   func() error
			code license.Code
			says string
		}{
			"register a backend": {func() error {
				_, err := l.RegisterContainer(owner, provision.RegisterSpec{Request: l.text(armor.File{Kind: armor.Request, Messages: [][]byte{member}}), Customer: "Customer"})
				return err
			}, license.CodeConflict, "TMR group"},
			"register a group": {func() error {
				_, err := l.RegisterContainer(owner, provision.RegisterSpec{Request: l.request()})
				return err
			}, license.CodeInvalidInput, "TMR group"},
			"order for a backend": {func() error {
				_, err := l.Order(owner, orders.OrderRequest{Item: l.item, Container: backend, Quantity: 1})
				return err
			}, license.CodeInvalidInput, l.group.VirtualSerial},
			"order for the virtual container": {func() error {
				_, err := l.Order(owner, orders.OrderRequest{Item: l.item, Container: l.group.VirtualSerial, Quantity: 1})
				return err
			}, license.CodeInvalidInput, l.group.VirtualSerial},
			"order for a container as a group": {func() error {
				_, err := l.Order(owner, orders.OrderRequest{Item: l.item, Group: s.serial, Quantity: 1})
				return err
			}, license.CodeInvalidInput, "is a container"},
			"order for both": {func() error {
				_, err := l.Order(owner, orders.OrderRequest{Item: l.item, Group: l.group.ID, Container: s.serial, Quantity: 1})
				return err
			}, license.CodeInvalidInput, "either"},
			"order for neither": {func() error {
				_, err := l.Order(owner, orders.OrderRequest{Item: l.item, Quantity: 1})
				return err
			}, license.CodeInvalidInput, "either"},
			"roll out to a backend": {func() error {
				_, err := l.StartRollout(owner, core.Place{Container: backend}, "")
				return err
			}, license.CodeInvalidInput, l.group.VirtualSerial},
			"a group's request for a container": {func() error {
				_, err := l.StartOfflineRollout(owner, s.place(), l.request())
				return err
			}, license.CodeInvalidInput, "TMR group"},
			"a container's request for a group": {func() error {
				_, err := l.StartOfflineRollout(owner, group, s.request())
				return err
			}, license.CodeInvalidInput, "one container"},
			"another container's request": {func() error {
				_, err := l.StartOfflineRollout(owner, l.single(78, nil).place(), s.request())
				return err
			}, license.CodeUpdateForeign, s.serial},
		} {
			if err := c.do(); license.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", what, err)
			}
		}
		other, err := l.Store().Client().Organization.Create().SetName("Stranger").SetVendor(true).Save(l.system())
		if err != nil {
			t.Fatal(err)
		}
		stranger := l.as(auth.Principal{Kind: auth.KindMember, ID: "mem_x", Organization: other.ID, Role: auth.Owner})
		_, err = l.Order(stranger, orders.OrderRequest{Item: l.item, Container: s.serial, Quantity: 1})
		l.wantRefused("a stranger's order", err, license.CodeNotFound)
		_, err = l.StartOfflineRollout(stranger, s.place(), s.request())
		l.wantRefused("a stranger's rollout", err, license.CodeNotFound)
		_, err = l.RegisterContainer(stranger, provision.RegisterSpec{Request: s.request()})
		l.wantRefused("a stranger registers it", err, license.CodeConflict)
		l.startOffline(l.request())
		s.roll()
		s.holds(5)
	})
}

func TestSingleOnline(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.work(nil)
		s := l.single(77, &provision.ServerSpec{Name: "ls", Address: "ls:7400"})
		lost := true // the receipt of the first activation
		s.serve(func(w tasks.LinkWork) error {
			if w.Kind == property.WorkActivate && lost {
				lost = false
				return license.Errorf(license.CodeUnavailable, "try again", "the answer got lost")
			}
			return nil
		})
		s.order(5)
		r, err := l.StartRollout(l.as(l.owner), s.place(), "key")
		if err != nil {
			t.Fatal(err)
		}
		l.until(r.ID, property.RolloutHeld)
		if again, err := l.StartRollout(l.as(l.owner), s.place(), "key"); err != nil || again.ID != r.ID {
			t.Errorf("the same key: %+v, %v", again, err)
		}
		if _, err := l.RetryRollout(l.as(l.owner), r.ID); err != nil {
			t.Fatal(err)
		}
		l.until(r.ID, property.RolloutDone)
		s.holds(5)
		s.state(property.ContainerUpToDate)
		s.order(1)
		first, err := l.StartRollout(l.as(l.owner), s.place(), "")
		if err != nil {
			t.Fatal(err)
		}
		s.order(1)
		second, err := l.StartRollout(l.as(l.owner), s.place(), "")
		if err != nil && license.CodeOf(err) != license.CodeRolloutUpToDate {
			t.Fatal(err)
		}
		l.until(first.ID, property.RolloutDone)
		l.until(second.ID, property.RolloutDone)
		s.holds(7)
		if c := l.store.Client().Container.GetX(l.system(), s.row.ID); c.LinkedAt == nil {
			t.Error("its server was never heard of")
		}
	})
}

// TestSingleOverTheLink: a plain license server pulls its work, also what it
// misses after it was restored, until its container is blocked.
func TestSingleOverTheLink(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.work(nil)
		s := l.single(77, &provision.ServerSpec{Name: "office", Address: "office:7400"})
		mux := http.NewServeMux()
		mux.Handle(linkapi.Handler(l.Platform, slog.New(slog.DiscardHandler)))
		srv := httptest.NewServer(rpc.Handler(mux))
		t.Cleanup(srv.Close)
		agent := func() func() {
			held := link.NewContainer(s.Container)
			a, err := link.New(link.Config{Server: "office", URL: srv.URL, Token: s.token, Executor: held, Clock: held, Heartbeat: 50 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			return a.Stop
		}
		roll := func(want property.RolloutState) *ent.Rollout {
			t.Helper()
			r, err := l.StartRollout(l.as(l.owner), s.place(), "")
			if err != nil {
				t.Fatal(err)
			}
			return l.until(r.ID, want)
		}
		stop := agent()
		s.order(5)
		roll(property.RolloutDone)
		stop()
		old := s.copied()
		stop = agent()
		for range 2 {
			s.order(1)
			roll(property.RolloutDone)
		}
		s.holds(7)
		stop()
		s.restore(old)
		stop = agent()
		s.order(1)
		held := roll(property.RolloutHeld)
		if *held.ErrorCode != string(license.CodeManipulation) {
			t.Errorf("held by %s", *held.ErrorCode)
		}
		if _, err := l.DecideContainer(l.as(l.owner), s.serial, property.DecideAccept, "a new disk"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.RetryRollout(l.as(l.owner), held.ID); err != nil {
			t.Fatal(err)
		}
		l.until(held.ID, property.RolloutDone)
		s.holds(8)
		s.state(property.ContainerUpToDate)
		if _, err := l.ReturnLicenses(l.as(l.owner), orders.TransferRequest{From: s.place(), Product: chart.String(), Quantity: 8}); err != nil {
			t.Fatal(err)
		}
		roll(property.RolloutDone)
		s.holds(0)
		stop()
		s.order(1)
		waiting, err := l.StartRollout(l.as(l.owner), s.place(), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.DecideContainer(l.as(l.owner), s.serial, property.DecideBlock, "stolen"); err != nil {
			t.Fatal(err)
		}
		l.until(waiting.ID, property.RolloutAborted)
		t.Cleanup(agent())
		testenv.Eventually(t, 10*time.Second, func() error {
			if c := l.store.Client().Container.GetX(l.system(), s.row.ID); !c.ManipulationSuspected {
				return errors.New("nobody notes that the blocked container is there")
			}
			return nil
		})
		s.state(property.ContainerBlocked)
	})
}
