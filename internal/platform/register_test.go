package platform_test

import (
	"testing"

	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/provision"
)

// TestCustomerRecoversByHimself: from a ticket over the loss of the machine to
// the licenses on a new one, nobody is asked.
func TestCustomerRecoversByHimself(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		s := newSale(l)
		_, code := s.ticket(5)
		lost, fresh := s.fresh(920), s.fresh(921)
		register := func(b *box, spec provision.RegisterSpec) {
			t.Helper()
			spec.Request = b.request()
			for again := range 2 {
				out, err := s.RegisterContainer(s.buyer, spec)
				if err != nil || out.Container.VendorID != l.owner.Organization || *out.Container.CustomerID != *s.made.Group.CustomerID {
					t.Fatalf("%+v, %v", out, err)
				}
				if spec.Server != nil && (out.Server == nil || (out.Token == "") != (again > 0)) {
					t.Errorf("its server: %+v", out)
				}
				b.row = out.Container
			}
		}
		register(lost, provision.RegisterSpec{})
		s.activate(s.buyer, s.part(code, lost.place(), 5))
		lost.roll()
		register(fresh, provision.RegisterSpec{Customer: "Shipping Company", Server: &provision.ServerSpec{Name: "office"}})
		if _, err := s.RehostContainer(s.buyer, lost.serial, fresh.serial, "stolen", ""); err != nil {
			t.Fatal(err)
		}
		fresh.roll()
		if fresh.quantity() != 5 {
			t.Errorf("the new one holds %d", fresh.quantity())
		}
		entries := l.Store().Client().AuditEntry.Query().Where(auditentry.Action("container.register"), auditentry.OrganizationID(*s.made.Group.CustomerID)).AllX(l.system())
		if len(entries) != 2 {
			t.Errorf("%d entries in the customer's audit log", len(entries))
		}

		_, err := s.RegisterContainer(s.rest, provision.RegisterSpec{Request: s.two.request()})
		wantCode(t, "another customer's", err, license.CodeConflict)
		_, err = s.RegisterContainer(s.rest, provision.RegisterSpec{Request: fresh.request()})
		wantCode(t, "another customer's that holds licenses", err, license.CodeManipulation)
		_, err = s.RegisterContainer(s.rest, provision.RegisterSpec{Request: s.box(922, "").request()})
		wantCode(t, "the vendor's own", err, license.CodeConflict)
		_, err = s.RegisterContainer(s.buyer, provision.RegisterSpec{Request: s.fresh(923).request(), Customer: "Ferry Company"})
		wantCode(t, "for another customer", err, license.CodeForbidden)
		_, err = s.RegisterContainer(s.buyer, provision.RegisterSpec{Request: s.fresh(923).request(), Customer: "Nobody"})
		wantCode(t, "for a customer of his own", err, license.CodeForbidden)
		_, err = s.RegisterContainer(s.buyer, provision.RegisterSpec{Request: lost.request()})
		wantCode(t, "the lost one", err, license.CodeContainerBlocked)
		operator := auth.Principal{Kind: auth.KindMember, ID: "mem_o", Organization: *s.made.Group.CustomerID, Provider: l.owner.Organization, Role: auth.Operator}
		_, err = s.RegisterContainer(s.as(operator), provision.RegisterSpec{Request: s.fresh(924).request()})
		wantCode(t, "an operator", err, license.CodeForbidden)
	})
}

// TestCustomerRegistersSoMany: what customers make without being asked for is
// bounded.
func TestCustomerRegistersSoMany(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	s := newSale(l)
	c := l.Store().Client()
	for n := c.Container.Query().CountX(s.buyer); n < provision.MostContainers; n++ {
		c.Container.Create().SetVendorID(l.owner.Organization).SetCustomerID(*s.made.Group.CustomerID).SetSerial(license.Serial{Mask: 130, Number: uint64(5000 + n)}.String()).
			SetKind(s.one.row.Kind).SaveX(l.system())
	}
	_, err := s.RegisterContainer(s.buyer, provision.RegisterSpec{Request: s.fresh(930).request()})
	wantCode(t, "one too many", err, license.CodeLimitReached)
	if _, err := s.RegisterContainer(s.buyer, provision.RegisterSpec{Request: s.one.request()}); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if _, err := s.RegisterContainer(s.vendor(), provision.RegisterSpec{Request: s.fresh(931).request(), Customer: "Shipping Company"}); err != nil {
		t.Errorf("by the vendor: %v", err)
	}
	for what, spec := range map[string]provision.RegisterSpec{
		"a customer's name that turns around": {Customer: "\u202eynapmoC"},
		"a server's name of two lines":        {Server: &provision.ServerSpec{Name: "off\nice"}},
		"a server's address with a bell":      {Server: &provision.ServerSpec{Name: "office", Address: "192.0.2.1\a"}},
	} {
		spec.Request = s.fresh(932).request()
		_, err := s.RegisterContainer(s.vendor(), spec)
		wantCode(t, what, err, license.CodeInvalidInput)
	}
}
