package platform_test

import (
	"sync"
	"testing"

	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/links"
	platformorders "github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/platform/views"
)

func TestOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		seen := l.watch(event.TmrGroup, made.Group.ID)
		req := platformorders.OrderRequest{Item: made.Item.ID, Group: made.Group.VirtualSerial, Quantity: 20, IdempotencyKey: "a"}
		first, err := l.Order(l.vendor(), req)
		if err != nil {
			t.Fatal(err)
		}
		wantSignal(t, "order", seen)
		if first.Number != 1 || first.Quantity != 20 || *first.TmrGroupID != made.Group.ID || first.CustomerID == nil || first.RolloutID != nil {
			t.Errorf("%+v", first)
		}
		again, err := l.Order(l.vendor(), req)
		if err != nil || again.ID != first.ID {
			t.Errorf("the same key: %+v, %v", again, err)
		}
		wantQuiet(t, "repeated order", seen)
		other := req
		other.Quantity = 10
		_, err = l.Order(l.vendor(), other)
		wantCode(t, "the key for another order", err, license.CodeConflict)
		other.IdempotencyKey, other.Group = "", made.Group.ID
		second, err := l.Order(l.with(auth.Operator), other)
		if err != nil || second.Number != 2 {
			t.Errorf("%+v, %v", second, err)
		}
		if n := l.audited("order"); n != 2 {
			t.Errorf("%d audit entries", n)
		}
		for what, c := range map[string]struct {
			code   license.Code
			change func(*platformorders.OrderRequest)
		}{
			"none":          {license.CodeInvalidInput, func(r *platformorders.OrderRequest) { r.Quantity = 0 }},
			"less":          {license.CodeInvalidInput, func(r *platformorders.OrderRequest) { r.Quantity = -1 }},
			"too many":      {license.CodeInvalidInput, func(r *platformorders.OrderRequest) { r.Quantity = platformorders.MostOrdered + 1 }},
			"long key":      {license.CodeInvalidInput, func(r *platformorders.OrderRequest) { r.IdempotencyKey = string(make([]byte, 201)) }},
			"unknown item":  {license.CodeNotFound, func(r *platformorders.OrderRequest) { r.Item = "itm_x" }},
			"unknown group": {license.CodeNotFound, func(r *platformorders.OrderRequest) { r.Group = "131-1" }},
		} {
			r := platformorders.OrderRequest{Item: made.Item.ID, Group: made.Group.ID, Quantity: 1}
			c.change(&r)
			_, err := l.Order(l.vendor(), r)
			wantCode(t, what, err, c.code)
		}
		r := platformorders.OrderRequest{Item: made.Item.ID, Group: made.Group.ID, Quantity: 1}
		_, err = l.Order(l.with(auth.Viewer), r)
		wantCode(t, "a viewer", err, license.CodeForbidden)
		_, err = l.Order(l.link(made), r)
		wantCode(t, "a server", err, license.CodeForbidden)
		_, err = l.Order(l.customer(made.Group), r)
		wantCode(t, "the customer", err, license.CodeForbidden)
		_, err = l.Order(l.stranger(), r)
		wantCode(t, "a stranger", err, license.CodeNotFound)
		_, err = l.Order(t.Context(), r)
		wantCode(t, "nobody", err, license.CodeUnauthenticated)
		l.Store().Client().Item.UpdateOneID(made.Item.ID).SetTmr(false).ExecX(l.system())
		_, err = l.Order(l.vendor(), r)
		wantCode(t, "an item without TMR", err, license.CodeInvalidInput)
	})
}

// TestOrdersAtOnce: numbers have no gap and one key makes one order, however
// many ask at the same time.
func TestOrdersAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				for _, key := range []string{"", "same"} {
					if _, err := l.Order(l.vendor(), platformorders.OrderRequest{Item: made.Item.ID, Group: made.Group.ID, Quantity: 1, IdempotencyKey: key}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		numbers := l.Store().Client().Order.Query().Order(order.ByNumber()).Select(order.FieldNumber).IntsX(l.system())
		if len(numbers) != 7 {
			t.Fatalf("orders %v", numbers)
		}
		for i, n := range numbers {
			if n != i+1 {
				t.Errorf("orders %v", numbers)
			}
		}
	})
}

func TestReads(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		for _, id := range []string{made.Group.ID, made.Item.ID, made.Product.ID, made.Firm.ID, made.Virtual.ID, l.owner.Organization, l.owner.ID} {
			if n, err := l.Node(l.vendor(), id); err != nil || n == nil {
				t.Errorf("%s: %v", id, err)
			}
			_, err := l.Node(l.link(made), id)
			wantCode(t, "a server reads", err, license.CodeForbidden)
		}
		stranger := l.stranger()
		for _, id := range []string{made.Group.ID, made.Servers[0].Server.ID, "", "x", "tmr_", "xxx_1"} {
			_, err := l.Node(stranger, id)
			wantCode(t, "a stranger reads "+id, err, license.CodeNotFound)
		}
		_, err := l.Node(l.vendor(), l.keys(made.Firm)[0].ID) // not in the public API
		wantCode(t, "an internal row", err, license.CodeNotFound)
		for _, ref := range []string{made.Group.ID, made.Group.VirtualSerial} {
			if g, err := l.Group(l.customer(made.Group), ref); err != nil || g.ID != made.Group.ID {
				t.Errorf("%v", err)
			}
			_, err := l.Group(stranger, ref)
			wantCode(t, "a stranger's group", err, license.CodeNotFound)
		}
		for _, ref := range []string{made.Virtual.ID, made.Virtual.Serial} {
			if c, err := l.Container(l.vendor(), ref); err != nil || c.ID != made.Virtual.ID {
				t.Errorf("%v", err)
			}
			_, err := l.Container(stranger, ref)
			wantCode(t, "a stranger's container", err, license.CodeNotFound)
		}
	})
}

// A group's servers push views while its vendor orders: both touch the group
// and the vendor, in different order.
func TestOrdersDoNotBlockViews(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		all := stages()
		var both sync.WaitGroup
		for range 4 {
			both.Go(func() {
				for range 10 {
					if _, err := l.Order(l.vendor(), platformorders.OrderRequest{Item: made.Item.ID, Group: id, Quantity: 1}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		both.Go(func() {
			for i := range 40 {
				v := all[i%len(all)]
				v.Version = uint64(i + 1)
				if _, err := l.ApplyView(link, id, push(1, i, v)); err != nil {
					t.Error(err)
				}
			}
		})
		both.Wait()
	})
}

// TestUseCasesTakeTurns: whatever is done to a group at once, nobody waits for
// somebody who waits for him.
func TestUseCasesTakeTurns(t *testing.T) {
	const rounds = 15
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		second, err := l.AuthenticateLink(t.Context(), made.Servers[1].Token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.ApplyLeaseEvents(link, id, []history.LeaseEvent{leaseEvent(1, history.LeaseGranted, "a")}); err != nil {
			t.Fatal(err)
		}
		allocation := l.Store().Client().Allocation.Query().OnlyX(l.system()).ID
		var all sync.WaitGroup
		do := func(what string, f func(i int) error) {
			all.Go(func() {
				for i := range rounds {
					if err := f(i); err != nil && license.CodeOf(err) == license.CodeInternal {
						t.Errorf("%s: %v", what, err)
						return
					}
				}
			})
		}
		orders := func(int) error {
			_, err := l.Order(l.vendor(), platformorders.OrderRequest{Item: made.Item.ID, Group: id, Quantity: 1})
			return err
		}
		rollouts := func(int) error {
			r, err := l.StartRollout(l.vendor(), core.Place{Group: id}, "")
			if err != nil {
				return err
			}
			if err := l.AdvanceRollout(l.system(), r.ID, nil); err != nil {
				return err
			}
			_, err = l.AbortRollout(l.vendor(), r.ID)
			return err
		}
		for range 2 {
			do("order", orders)
			do("rollout", rollouts)
			do("release", func(int) error { _, err := l.ReleaseAllocation(l.vendor(), allocation); return err })
		}
		do("push", func(i int) error {
			v := push(1, i, viewOf(uint64(i+1), [3]uint32{20, 20, 20}, [3]uint32{7, 7, 7}))
			_, err := l.Push(link, links.LinkPush{Leading: true, ViewPush: v,
				Events: []history.LeaseEvent{leaseEvent(uint64(i+2), history.LeaseGranted, "a")}})
			return err
		})
		do("push of the other server", func(i int) error {
			_, err := l.Push(l.as(second), links.LinkPush{Leading: i%2 == 0, ViewPush: views.ViewPush{Epoch: 1}})
			return err
		})
		do("pull and report", func(int) error {
			due, err := l.Pull(link, true, 0)
			for _, w := range due {
				if err == nil {
					err = l.Report(link, tasks.LinkReport{WorkID: w.ID, Failed: license.Errorf(license.CodeUnavailable, "", "away")})
				}
			}
			return err
		})
		all.Wait()
	})
}
