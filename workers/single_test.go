package workers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/linkapi"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/testenv"
)

// single is a container outside of TMR groups, with its file.
type single struct {
	*container.Container
	l        *lab
	path     string
	serial   string
	row      *ent.Container
	token    string
	identity *seal.Identity
}

// single makes and registers a container of the lab's customer.
func (l *lab) single(number uint64, server *platform.ServerSpec) *single {
	l.t.Helper()
	identity, err := seal.NewIdentity()
	if err != nil {
		l.t.Fatal(err)
	}
	root, err := l.RootKey(l.as(l.owner))
	if err != nil {
		l.t.Fatal(err)
	}
	s := &single{l: l, path: filepath.Join(l.t.TempDir(), "one.qrc"), serial: fmt.Sprintf("130-%d", number), identity: identity}
	if s.Container, err = container.Create(s.path, container.Params{
		Serial: license.Serial{Mask: 130, Number: number}, Root: root, ActivationID: [16]byte{9}, Identity: identity,
	}); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { s.Container.Close() })
	made, err := l.RegisterContainer(l.as(l.owner), platform.RegisterSpec{Request: s.request(), Customer: "Customer", Server: server})
	if err != nil {
		l.t.Fatal(err)
	}
	s.row, s.token = made.Container, made.Token
	return s
}

func (s *single) place() platform.Place { return platform.Place{Container: s.serial} }

func (s *single) request() string {
	s.l.t.Helper()
	b, err := s.Fingerprint(nil)
	if err != nil {
		s.l.t.Fatal(err)
	}
	return s.l.text(armor.File{Kind: armor.Request, Messages: [][]byte{b}})
}

func (s *single) order(quantity int) {
	s.l.t.Helper()
	if _, err := s.l.Order(s.l.as(s.l.owner), platform.OrderRequest{Item: s.l.item, Container: s.serial, Quantity: quantity}); err != nil {
		s.l.t.Fatal(err)
	}
}

func (s *single) start() platform.OfflineRollout {
	s.l.t.Helper()
	r, err := s.l.StartOfflineRollout(s.l.as(s.l.owner), s.place(), s.request())
	if err != nil {
		s.l.t.Fatal(err)
	}
	return r
}

// apply installs the first updates of a file, all of them when most is 0, and
// gives the text of the receipts.
func (s *single) apply(update string, most int) string {
	s.l.t.Helper()
	f, err := armor.Parse([]byte(update))
	if err != nil {
		s.l.t.Fatal(err)
	}
	parts, err := armor.Parts(f)
	if err != nil {
		s.l.t.Fatal(err)
	}
	out := armor.File{Kind: armor.Receipt}
	for i, p := range parts {
		if p.Update == nil || (most > 0 && len(out.Messages) == most) {
			continue
		}
		b, err := s.install(p.Message)
		if license.CodeOf(err) == license.CodeUpdateReplayed && i < len(parts)-1 {
			continue // one that comes is installed
		}
		if err != nil {
			s.l.t.Fatal(err)
		}
		out.Messages = append(out.Messages, b)
	}
	return s.l.text(out)
}

func (s *single) install(update []byte) ([]byte, error) {
	staged, err := s.Stage(update)
	if err != nil || staged.Installed {
		return staged.Receipt, err
	}
	return s.Activate(staged.Digest, nil)
}

// roll brings what is due to the container by files.
func (s *single) roll() *ent.Rollout {
	s.l.t.Helper()
	r := s.start()
	return s.l.finish(r.Row.ID, s.apply(r.Update, 0))
}

// holds asserts the quantity that the container has; 0: no license at all.
func (s *single) holds(quantity uint32) {
	s.l.t.Helper()
	_, held := s.Licenses()
	switch {
	case quantity == 0 && len(held) == 0:
	case len(held) != 1 || held[0].Options.Quantity != quantity || held[0].Options.TMRID != 0 || held[0].Predecessor != nil:
		s.l.t.Errorf("%s holds %+v, want %d", s.serial, held, quantity)
	}
}

func (s *single) state(want property.ContainerState) {
	s.l.t.Helper()
	states, err := platform.ContainerStates(s.l.as(s.l.owner), s.l.store.Client(), []string{s.row.ID})
	if err != nil || states[s.row.ID] != want || len(states) != 1 {
		s.l.t.Errorf("%s is %v, %v, want %s", s.serial, states, err, want)
	}
}

// copied gives a copy of the container's file; restore puts it back.
func (s *single) copied() []byte {
	s.l.t.Helper()
	return s.l.read(s.path)
}

func (s *single) restore(file []byte) {
	s.l.t.Helper()
	s.Container.Close()
	s.l.write(s.path, file)
	var err error
	if s.Container, err = container.Open(s.path); err != nil {
		s.l.t.Fatal(err)
	}
}

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
	l := newLab(t, t.TempDir()+"/db")
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
	if offline, err := platform.RolloutOffline(first.Row); err != nil || !offline {
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
		group := platform.Place{Group: l.group.ID}
		for what, c := range map[string]struct {
			do   func() error
			code license.Code
			says string
		}{
			"register a backend": {func() error {
				_, err := l.RegisterContainer(owner, platform.RegisterSpec{Request: l.text(armor.File{Kind: armor.Request, Messages: [][]byte{member}}), Customer: "Customer"})
				return err
			}, license.CodeConflict, "TMR group"},
			"register a group": {func() error {
				_, err := l.RegisterContainer(owner, platform.RegisterSpec{Request: l.request()})
				return err
			}, license.CodeInvalidInput, "TMR group"},
			"order for a backend": {func() error {
				_, err := l.Order(owner, platform.OrderRequest{Item: l.item, Container: backend, Quantity: 1})
				return err
			}, license.CodeInvalidInput, l.group.VirtualSerial},
			"order for the virtual container": {func() error {
				_, err := l.Order(owner, platform.OrderRequest{Item: l.item, Container: l.group.VirtualSerial, Quantity: 1})
				return err
			}, license.CodeInvalidInput, l.group.VirtualSerial},
			"order for a container as a group": {func() error {
				_, err := l.Order(owner, platform.OrderRequest{Item: l.item, Group: s.serial, Quantity: 1})
				return err
			}, license.CodeInvalidInput, "is a container"},
			"order for both": {func() error {
				_, err := l.Order(owner, platform.OrderRequest{Item: l.item, Group: l.group.ID, Container: s.serial, Quantity: 1})
				return err
			}, license.CodeInvalidInput, "either"},
			"order for neither": {func() error {
				_, err := l.Order(owner, platform.OrderRequest{Item: l.item, Quantity: 1})
				return err
			}, license.CodeInvalidInput, "either"},
			"roll out to a backend": {func() error {
				_, err := l.StartRollout(owner, platform.Place{Container: backend}, "")
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
		stranger := l.as(auth.Principal{Kind: auth.KindMember, ID: "mem_x", Organization: "org_x", Role: auth.Owner})
		_, err = l.Order(stranger, platform.OrderRequest{Item: l.item, Container: s.serial, Quantity: 1})
		l.wantRefused("a stranger's order", err, license.CodeNotFound)
		_, err = l.StartOfflineRollout(stranger, s.place(), s.request())
		l.wantRefused("a stranger's rollout", err, license.CodeNotFound)
		_, err = l.RegisterContainer(stranger, platform.RegisterSpec{Request: s.request()})
		l.wantRefused("a stranger registers it", err, license.CodeConflict)
		l.startOffline(l.request())
		s.roll()
		s.holds(5)
	})
}

func TestRegisterTwice(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		s := l.single(77, nil)
		again, err := l.RegisterContainer(l.as(l.owner), platform.RegisterSpec{Request: s.request(), Customer: "Customer", Server: &platform.ServerSpec{Name: "ls"}})
		if err != nil || again.Container.ID != s.row.ID || again.Token == "" {
			t.Errorf("%+v, %v", again, err)
		}
		third, err := l.RegisterContainer(l.as(l.owner), platform.RegisterSpec{Request: s.request(), Customer: "Customer", Server: &platform.ServerSpec{Name: "ls"}})
		if err != nil || third.Token != "" || third.Server.ID != again.Server.ID {
			t.Errorf("%+v, %v", third, err)
		}
		if n := l.store.Client().AuditEntry.Query().Where(auditentry.Action("container.register")).CountX(l.system()); n != 2 {
			t.Errorf("%d audit entries", n)
		}
		for what, spec := range map[string]platform.RegisterSpec{
			"another customer": {Request: s.request(), Customer: "Other"},
			"another server":   {Request: s.request(), Customer: "Customer", Server: &platform.ServerSpec{Name: "other"}},
			"other keys":       {Request: l.forged(s, nil), Customer: "Customer"},
		} {
			_, err := l.RegisterContainer(l.as(l.owner), spec)
			l.wantRefused(what, err, license.CodeConflict)
		}
		used := l.forged(&single{serial: "130-99"}, func(f *seal.Fingerprint) {
			f.Firms = []seal.FirmState{{Firm: chart.Firm, Counter: 1, Digest: [32]byte{1}}}
		})
		_, err = l.RegisterContainer(l.as(l.owner), platform.RegisterSpec{Request: used})
		l.wantRefused("a used one", err, license.CodeManipulation)
		operator := l.owner
		operator.Role = auth.Operator
		_, err = l.RegisterContainer(l.as(operator), platform.RegisterSpec{Request: s.request()})
		l.wantRefused("an operator", err, license.CodeForbidden)
	})
}

// forged is a request of another container under a serial number.
func (l *lab) forged(s *single, change func(*seal.Fingerprint)) string {
	l.t.Helper()
	identity, err := seal.NewIdentity()
	if err != nil {
		l.t.Fatal(err)
	}
	root, err := l.RootKey(l.as(l.owner))
	if err != nil {
		l.t.Fatal(err)
	}
	serial, err := license.ParseSerial(s.serial)
	if err != nil {
		l.t.Fatal(err)
	}
	f := seal.Fingerprint{Serial: serial, Root: root, ActivationID: [16]byte{9}, At: time.Now().UTC().Truncate(time.Second)}
	if change != nil {
		change(&f)
	}
	b, err := seal.SignFingerprint(identity, f)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.text(armor.File{Kind: armor.Request, Messages: [][]byte{b}})
}

// serve runs the container's license server's side of the link.
func (s *single) serve(before func(w platform.LinkWork) error) {
	who, err := s.l.AuthenticateLink(s.l.t.Context(), s.token)
	if err != nil {
		s.l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(auth.With(context.Background(), who))
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			due, err := s.l.Pull(ctx, true, 100*time.Millisecond)
			if err != nil && ctx.Err() == nil {
				s.l.t.Errorf("pull: %v", err)
				return
			}
			for _, w := range due {
				r := s.execute(w, before)
				for range 2 {
					if err := s.l.Report(ctx, r); err != nil && ctx.Err() == nil {
						s.l.t.Errorf("report: %v", err)
					}
				}
			}
		}
	})
	s.l.t.Cleanup(func() { cancel(); all.Wait() })
}

func (s *single) execute(w platform.LinkWork, before func(w platform.LinkWork) error) platform.LinkReport {
	r := platform.LinkReport{WorkID: w.ID}
	err := s.carryOut(w, &r)
	if err == nil && before != nil {
		err = before(w)
	}
	var e *license.Error
	if err != nil {
		if !errors.As(err, &e) {
			s.l.t.Errorf("%s: %v", w.Kind, err)
			e = license.Public(err)
		}
		r = platform.LinkReport{WorkID: w.ID, Failed: e}
	}
	return r
}

func (s *single) carryOut(w platform.LinkWork, r *platform.LinkReport) error {
	switch w.Kind {
	case property.WorkCollect:
		b, err := s.Fingerprint(w.Nonce)
		r.Fingerprints = []platform.BackendBytes{{Position: 1, Data: b}}
		return err
	case property.WorkStage:
		for i, u := range w.Updates {
			if i < len(w.Updates)-1 {
				if _, err := s.install(u.Update); err != nil && license.CodeOf(err) != license.CodeUpdateReplayed {
					return err
				}
				continue
			}
			_, err := s.Stage(u.Update)
			return err
		}
	case property.WorkActivate:
		var err error
		r.Receipt, err = s.install(w.Updates[0].Update)
		return err
	case property.WorkVerify:
		return nil
	}
	if w.Kind == property.WorkGuard {
		s.l.t.Error("a single container is asked for statements")
	}
	return nil
}

func TestSingleOnline(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.work(nil)
		s := l.single(77, &platform.ServerSpec{Name: "ls", Address: "ls:7400"})
		lost := true // the receipt of the first activation
		s.serve(func(w platform.LinkWork) error {
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

// TestMissingUpdatesTravelAgain: a container that was restored is accepted by a
// person, and gets what it misses, in order, before anything new.
func TestMissingUpdatesTravelAgain(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		s := l.single(77, nil)
		owner := l.as(l.owner)
		s.order(5)
		s.roll()
		old := s.copied()
		for range 3 {
			s.order(1)
			s.roll()
		}
		s.restore(old)
		s.order(1)
		_, err := l.StartOfflineRollout(owner, s.place(), s.request())
		l.wantRefused("a restored container", err, license.CodeManipulation)
		s.state(property.ContainerSuspected)
		_, err = l.StartOfflineRollout(owner, s.place(), s.request())
		l.wantRefused("before a decision", err, license.CodeManipulation)
		customer := l.as(auth.Principal{Kind: auth.KindMember, ID: "mem_c", Organization: *l.group.CustomerID, Provider: l.group.VendorID, Role: auth.Owner})
		_, err = l.DecideContainer(customer, s.serial, property.DecideAccept, "it is fine")
		l.wantRefused("the customer decides", err, license.CodeForbidden)
		c, err := l.DecideContainer(owner, s.serial, property.DecideAccept, "restored after a disk failure")
		if err != nil || c.ManipulationSuspected {
			t.Fatalf("%+v, %v", c, err)
		}
		s.state(property.ContainerAwaitingReceipt)
		_, err = l.DecideContainer(owner, s.serial, property.DecideAccept, "again")
		l.wantRefused("decided twice", err, license.CodeConflict)

		r := s.start()
		f, err := armor.Parse([]byte(r.Update))
		if err != nil {
			t.Fatal(err)
		}
		updates := 0
		for _, m := range f.Messages {
			if _, _, err := seal.ClaimUpdate(m); err == nil {
				updates++
			}
		}
		if updates != 4 {
			t.Errorf("%d updates travel, want the three missing ones and the new one", updates)
		}
		s.apply(r.Update, 2) // interrupted
		again := s.start()
		if again.Row.ID != r.Row.ID {
			t.Errorf("another rollout: %+v", again.Row)
		}
		s.state(property.ContainerAwaitingReceipt)
		l.finish(r.Row.ID, s.apply(r.Update, 0))
		s.holds(9)
		s.state(property.ContainerUpToDate)

		// Accepted with nothing new to bring: the missing ones come all the same.
		s.restore(old)
		_, err = l.StartOfflineRollout(owner, s.place(), s.request())
		l.wantRefused("restored again", err, license.CodeManipulation)
		if _, err := l.DecideContainer(owner, s.serial, property.DecideAccept, ""); err != nil {
			t.Fatal(err)
		}
		s.roll()
		s.holds(9)
		s.state(property.ContainerUpToDate)
	})
}

// TestUnknownStateIsNotAccepted: what the platform never issued stays unknown.
func TestUnknownStateIsNotAccepted(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		s := l.single(77, nil)
		s.order(5)
		s.roll()
		b, err := seal.SignFingerprint(s.identity, func() seal.Fingerprint {
			raw, err := s.Fingerprint(nil)
			if err != nil {
				t.Fatal(err)
			}
			f, err := seal.OpenFingerprint(raw)
			if err != nil {
				t.Fatal(err)
			}
			f.Firms = []seal.FirmState{{Firm: chart.Firm, Counter: 7, Digest: [32]byte{7}}}
			return f
		}())
		if err != nil {
			t.Fatal(err)
		}
		s.order(1)
		_, err = l.StartOfflineRollout(l.as(l.owner), s.place(), l.text(armor.File{Kind: armor.Request, Messages: [][]byte{b}}))
		l.wantRefused("a state ahead", err, license.CodeManipulation)
		_, err = l.DecideContainer(l.as(l.owner), s.serial, property.DecideAccept, "")
		l.wantRefused("accepted", err, license.CodeManipulation)
		if c := l.store.Client().Container.GetX(l.system(), s.row.ID); !c.ManipulationSuspected || !bytes.Equal(c.SuspectFingerprint, b) || c.SuspectReason == "" {
			t.Errorf("%+v", c)
		}
		if _, err := l.DecideContainer(l.as(l.owner), s.serial, property.DecideBlock, "tampered"); err != nil {
			t.Fatal(err)
		}
		s.state(property.ContainerBlocked)
		_, err = l.StartOfflineRollout(l.as(l.owner), s.place(), s.request())
		l.wantRefused("blocked", err, license.CodeContainerBlocked)
		if n := l.store.Client().AuditEntry.Query().Where(auditentry.Action("container.blockedSeen")).CountX(l.system()); n != 1 {
			t.Errorf("%d audit entries that it showed up", n)
		}
		_, err = l.Order(l.as(l.owner), platform.OrderRequest{Item: l.item, Container: s.serial, Quantity: 1})
		l.wantRefused("ordered for", err, license.CodeContainerBlocked)
		_, err = l.DecideContainer(l.as(l.owner), l.containers[0].Serial().String(), property.DecideBlock, "x")
		l.wantRefused("a backend blocked", err, license.CodeInvalidInput)
	})
}

func (l *lab) read(path string) []byte {
	l.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *lab) write(path string, b []byte) {
	l.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// TestSingleOverTheLink: a plain license server pulls its work, also what it
// misses after it was restored, until its container is blocked.
func TestSingleOverTheLink(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.work(nil)
		s := l.single(77, &platform.ServerSpec{Name: "office", Address: "office:7400"})
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
		if _, err := l.ReturnLicenses(l.as(l.owner), platform.TransferRequest{From: s.place(), Product: chart.String(), Quantity: 8}); err != nil {
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
