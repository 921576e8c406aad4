package workers_test

import (
	"bytes"
	"testing"

	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/seal"
)

func TestRegisterTwice(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		s := l.single(77, nil)
		again, err := l.RegisterContainer(l.as(l.owner), provision.RegisterSpec{Request: s.request(), Customer: "Customer", Server: &provision.ServerSpec{Name: "ls"}})
		if err != nil || again.Container.ID != s.row.ID || again.Token == "" {
			t.Errorf("%+v, %v", again, err)
		}
		third, err := l.RegisterContainer(l.as(l.owner), provision.RegisterSpec{Request: s.request(), Customer: "Customer", Server: &provision.ServerSpec{Name: "ls"}})
		if err != nil || third.Token != "" || third.Server.ID != again.Server.ID {
			t.Errorf("%+v, %v", third, err)
		}
		if n := l.store.Client().AuditEntry.Query().Where(auditentry.Action("container.register")).CountX(l.system()); n != 2 {
			t.Errorf("%d audit entries", n)
		}
		for what, spec := range map[string]provision.RegisterSpec{
			"another customer": {Request: s.request(), Customer: "Other"},
			"another server":   {Request: s.request(), Customer: "Customer", Server: &provision.ServerSpec{Name: "other"}},
			"other keys":       {Request: l.forged(s, nil), Customer: "Customer"},
		} {
			_, err := l.RegisterContainer(l.as(l.owner), spec)
			l.wantRefused(what, err, license.CodeConflict)
		}
		used := l.forged(&single{serial: "130-99"}, func(f *seal.Fingerprint) {
			f.Firms = []seal.FirmState{{Firm: chart.Firm, Counter: 1, Digest: [32]byte{1}}}
		})
		_, err = l.RegisterContainer(l.as(l.owner), provision.RegisterSpec{Request: used})
		l.wantRefused("a used one", err, license.CodeManipulation)
		operator := l.owner
		operator.Role = auth.Operator
		_, err = l.RegisterContainer(l.as(operator), provision.RegisterSpec{Request: s.request()})
		l.wantRefused("an operator", err, license.CodeForbidden)
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
		_, err = l.Order(l.as(l.owner), orders.OrderRequest{Item: l.item, Container: s.serial, Quantity: 1})
		l.wantRefused("ordered for", err, license.CodeContainerBlocked)
		_, err = l.DecideContainer(l.as(l.owner), l.containers[0].Serial().String(), property.DecideBlock, "x")
		l.wantRefused("a backend blocked", err, license.CodeInvalidInput)
	})
}
