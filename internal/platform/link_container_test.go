package platform_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/platform/views"
)

// office is a container outside of groups whose license server has a link.
type office struct {
	*box
	made   provision.Provisioned // a group of the same customer
	server auth.Principal
}

func (l *lab) office(number uint64) *office {
	l.t.Helper()
	o := &office{made: l.provision()}
	o.box = l.box(number, "Shipping Company")
	made, err := l.RegisterContainer(l.vendor(), provision.RegisterSpec{Request: o.request(), Customer: "Shipping Company", Server: &provision.ServerSpec{Name: "office"}})
	if err != nil {
		l.t.Fatal(err)
	}
	if o.server, err = l.AuthenticateLink(l.t.Context(), made.Token); err != nil {
		l.t.Fatal(err)
	}
	return o
}

func (o *office) push(p links.LinkPush) links.LinkPosition {
	o.l.t.Helper()
	at, err := o.l.Push(o.l.as(o.server), p)
	if err != nil {
		o.l.t.Fatal(err)
	}
	return at
}

// leads is a push of the only server there is.
func leads(clients int, events ...history.LeaseEvent) links.LinkPush {
	return links.LinkPush{Leading: true, ViewPush: views.ViewPush{Epoch: 1, Clients: clients}, Events: events}
}

func (o *office) usage() history.Usage {
	o.l.t.Helper()
	u, err := o.l.ContainerUsage(o.l.customer(o.made.Group), o.row.ID)
	if err != nil {
		o.l.t.Fatal(err)
	}
	return u
}

// TestSingleShowsItsUse: handles, denials and what is free, as of a group.
func TestSingleShowsItsUse(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(77)
		seen, servedNow := l.watch(event.Allocations, o.row.ID), l.watch(event.Served, o.row.ID)
		denied := leaseEvent(40, history.LeaseDenied, "")
		denied.Reason, denied.At = license.CodeNoFreeSeat, time.Now()
		events := []history.LeaseEvent{
			leaseEvent(10, history.LeaseGranted, "a"), leaseEvent(20, history.LeaseGranted, "b"),
			leaseEvent(30, history.LeaseReleased, "a"), denied,
		}
		for i := range events { // in pieces, each one with what came before it
			if at := o.push(leads(1, events[:i+1]...)); at != (links.LinkPosition{EventPosition: events[i].Position}) {
				t.Fatalf("%+v", at)
			}
		}
		wantSignal(t, "events", seen)
		if at := o.push(leads(1, events...)); at.EventPosition != 40 {
			t.Errorf("%+v", at)
		}
		wantQuiet(t, "repeated events", seen)
		all := l.Store().Client().Allocation.Query().Order(allocation.ByHandle()).AllX(l.customer(o.made.Group))
		if len(all) != 2 || all[0].State != property.AllocationReleased || all[1].State != property.AllocationActive || all[1].ContainerID != o.row.ID ||
			all[1].User != "ada" || all[1].VendorID != o.row.VendorID || *all[1].CustomerID != *o.made.Group.CustomerID {
			t.Errorf("allocations %+v", all)
		}
		if n := l.Store().Client().Denial.Query().CountX(l.system()); n != 1 {
			t.Errorf("%d denials", n)
		}
		if u := o.usage(); u != (history.Usage{Taken: 1, Denials: 1}) {
			t.Errorf("before anything is told: %+v", u)
		}

		serves := leads(1)
		serves.Served = []links.ServedLicense{{Product: product, Name: "Chart\x00 Processing", Quantity: 5},
			{Product: license.Product{Firm: 7, Code: 1}, Quantity: 100, Reason: license.CodeExpired}, {Product: license.Product{Firm: 7, Code: 2}, Reason: "odd\x00"}}
		o.push(serves)
		wantSignal(t, "what is served", servedNow)
		if u := o.usage(); u != (history.Usage{Total: 5, Taken: 1, Free: 4, Denials: 1}) {
			t.Errorf("%+v", u)
		}
		o.push(serves)
		wantQuiet(t, "the same again", servedNow)
		o.push(leads(3)) // nothing is told: it stays
		c := l.Store().Client().Container.GetX(l.system(), o.row.ID)
		if want := []property.ServedLicense{{Product: "6000010:14", Name: "Chart Processing", Quantity: 5},
			{Product: "7:1", Quantity: 100, Reason: "LICENSE_EXPIRED"}, {Product: "7:2", Reason: "INTERNAL"}}; c.Clients != 3 || c.EventPosition != 40 ||
			!containers.ContainerLinked(c) || !slices.Equal(c.Served, want) {
			t.Errorf("%+v", c)
		}
		serves.Served = []links.ServedLicense{}
		o.push(serves)
		if u := o.usage(); u.Total != 0 || u.Free != 0 || u.Taken != 1 {
			t.Errorf("nothing is served: %+v", u)
		}
		server := l.Store().Client().TmrServer.GetX(l.system(), o.server.ID)
		if views.ServerRole(server) != property.ServerActive {
			t.Errorf("%+v", server)
		}

		standby := links.LinkPush{ViewPush: views.ViewPush{Clients: 99}, Events: []history.LeaseEvent{leaseEvent(50, history.LeaseGranted, "x")},
			Served: []links.ServedLicense{{Product: product, Quantity: 9}}}
		if at := o.push(standby); at.EventPosition != 40 || o.usage().Total != 0 {
			t.Errorf("one that does not lead: %+v", at)
		}
		_, err := l.ContainerUsage(l.stranger(), o.row.ID)
		wantCode(t, "a stranger's figures", err, license.CodeNotFound)
	})
}

// TestSingleRefusals: bad pushes change nothing, and nobody pushes for others.
func TestSingleRefusals(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(77)
		granted := leaseEvent(1, history.LeaseGranted, "a")
		many := leads(1)
		many.Served = make([]links.ServedLicense, links.MostServed+1)
		for name, c := range map[string]struct {
			push links.LinkPush
			code license.Code
		}{
			"not in order":      {leads(0, leaseEvent(2, history.LeaseGranted, "x"), granted), license.CodeInvalidInput},
			"too many events":   {leads(0, make([]history.LeaseEvent, history.MostLeaseEvents+1)...), license.CodeTooLarge},
			"a large position":  {leads(0, leaseEvent(1<<63, history.LeaseGranted, "x")), license.CodeInvalidInput},
			"too many licenses": {many, license.CodeTooLarge},
		} {
			_, err := l.Push(l.as(o.server), c.push)
			wantCode(t, name, err, c.code)
		}
		// What a program says of itself doesn't stop the stream.
		odd := granted
		odd.User, odd.Client = "a\x00\xff", strings.Repeat("é", 500)
		if at := o.push(leads(1, odd, leaseEvent(2, "DANCED", "b"), leaseEvent(3, history.LeaseGranted, strings.Repeat("h", 201)))); at.EventPosition != 3 {
			t.Errorf("%+v", at)
		}
		if n := l.Store().Client().Allocation.Query().CountX(l.system()); n != 1 {
			t.Errorf("%d allocations", n)
		}
		for name, place := range map[string]string{"a group": o.made.Group.ID, "its virtual container": o.made.Virtual.ID, "none": "con_none"} {
			_, err := l.ApplyLeaseEvents(l.as(o.server), place, []history.LeaseEvent{granted})
			wantCode(t, name, err, license.CodeForbidden)
		}
		_, err := l.ApplyLeaseEvents(l.link(o.made), o.row.ID, []history.LeaseEvent{granted})
		wantCode(t, "a group's server", err, license.CodeForbidden)
		_, err = l.ApplyLeaseEvents(l.system(), "con_none", nil)
		wantCode(t, "no such container", err, license.CodeNotFound)
	})
}

// TestServersOverTheSameSeats: several processes push the same stream at once,
// in other pieces; everything counts once and the position never falls.
func TestServersOverTheSameSeats(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(77)
		const n = 60
		var events []history.LeaseEvent
		for i := range n {
			e := leaseEvent(uint64(3*i+1), history.LeaseGranted, fmt.Sprint("h", i))
			if i%3 == 1 {
				e = leaseEvent(e.Position, history.LeaseReleased, fmt.Sprint("h", i-1))
			} else if i%3 == 2 {
				e = leaseEvent(e.Position, history.LeaseDenied, "")
			}
			events = append(events, e)
		}
		var all sync.WaitGroup
		for size := 1; size <= 4; size++ {
			all.Go(func() {
				last := uint64(0)
				for i := 0; i < n; i += size {
					push := leads(size, events[i:min(i+size, n)]...)
					push.EventsAfter = last
					at, err := l.Push(l.as(o.server), push)
					if want := events[min(i+size, n)-1].Position; err != nil || at.EventPosition < want {
						t.Errorf("%d at once: %+v, %v, want %d", size, at, err, want)
						return
					}
					last = events[min(i+size, n)-1].Position
				}
			})
		}
		all.Wait()
		c := l.Store().Client()
		if row := c.Container.GetX(l.system(), o.row.ID); row.EventPosition != events[n-1].Position {
			t.Errorf("position %d", row.EventPosition)
		}
		if a, d := c.Allocation.Query().Where(allocation.StateEQ(property.AllocationReleased)).CountX(l.system()), c.Denial.Query().CountX(l.system()); a != n/3 || d != n/3 {
			t.Errorf("%d allocations and %d denials of %d each", a, d, n/3)
		}
	})
}

// TestNoGapInTheEvents: a platform that was restored takes nothing that follows
// what it lost, of a container and of a group.
func TestNoGapInTheEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(77)
		group := func(p links.LinkPush) links.LinkPosition {
			at, err := l.Push(l.link(o.made), p)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		for name, push := range map[string]func(links.LinkPush) links.LinkPosition{"container": o.push, "group": group} {
			push(leads(0, leaseEvent(5, history.LeaseGranted, name+"1")))
			late := leads(0, leaseEvent(20, history.LeaseGranted, name+"3"))
			late.EventsAfter = 10
			if at := push(late); at.EventPosition != 5 {
				t.Errorf("%s: after a gap: %+v", name, at)
			}
			all := leads(0, leaseEvent(10, history.LeaseGranted, name+"2"), leaseEvent(20, history.LeaseGranted, name+"3"))
			all.EventsAfter = 5
			if at := push(all); at.EventPosition != 20 {
				t.Errorf("%s: from where it was: %+v", name, at)
			}
		}
		if n := l.Store().Client().Allocation.Query().CountX(l.system()); n != 6 {
			t.Errorf("%d allocations", n)
		}
	})
}

func TestReleaseAtASingleServer(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(77)
		o.push(leads(2, leaseEvent(1, history.LeaseGranted, "a"), leaseEvent(2, history.LeaseGranted, "b")))
		id := func(handle string) string {
			return l.Store().Client().Allocation.Query().Where(allocation.Handle(handle)).OnlyIDX(l.system())
		}
		due := l.watch(event.Work, o.row.ID)
		for range 2 {
			if got, err := l.ReleaseAllocation(l.customer(o.made.Group), id("a")); err != nil || got.State != property.AllocationActive {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		wantSignal(t, "release", due)
		if pulled, err := l.Pull(l.link(o.made), true, 0); err != nil || len(pulled) != 0 {
			t.Errorf("the group's server gets %+v, %v", pulled, err)
		}
		pulled, err := l.Pull(l.as(o.server), true, 0)
		if err != nil || len(pulled) != 1 || pulled[0].Kind != tasks.WorkRemove || pulled[0].Handle != "a" || pulled[0].Product != product || pulled[0].By != "Carl Customer" {
			t.Fatalf("%+v, %v", pulled, err)
		}
		if err := l.Report(l.as(o.server), tasks.LinkReport{WorkID: pulled[0].ID}); err != nil {
			t.Fatal(err)
		}
		removed := leaseEvent(3, history.LeaseRemoved, "a")
		removed.By = "Carl Customer"
		o.push(leads(1, removed))
		if a := l.Store().Client().Allocation.GetX(l.system(), id("a")); a.State != property.AllocationRemoved || a.EndedBy != "Carl Customer" {
			t.Errorf("%+v", a)
		}
		_, err = l.ReleaseAllocation(l.vendor(), id("a"))
		wantCode(t, "one that has ended", err, license.CodeConflict)
		_, err = l.ReleaseAllocation(l.with(auth.Viewer), id("b"))
		wantCode(t, "a viewer", err, license.CodeForbidden)
		_, err = l.ReleaseAllocation(l.stranger(), id("b"))
		wantCode(t, "a stranger", err, license.CodeNotFound)

		if _, err := l.DecideContainer(l.vendor(), o.serial, property.DecideBlock, "stolen"); err != nil {
			t.Fatal(err)
		}
		_, err = l.ReleaseAllocation(l.vendor(), id("b"))
		wantCode(t, "of a blocked container", err, license.CodeContainerBlocked)
		if n := l.Store().Client().Work.Query().Where(work.StateEQ(property.WorkPending)).CountX(l.system()); n != 0 {
			t.Errorf("%d work items that nobody gets", n)
		}

		lone := l.box(78, "Shipping Company") // no server has a link for it
		if _, err := l.ApplyLeaseEvents(l.system(), lone.row.ID, []history.LeaseEvent{leaseEvent(1, history.LeaseGranted, "c")}); err != nil {
			t.Fatal(err)
		}
		_, err = l.ReleaseAllocation(l.vendor(), id("c"))
		wantCode(t, "without a link", err, license.CodeConflict)
	})
}
