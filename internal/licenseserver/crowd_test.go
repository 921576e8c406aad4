package licenseserver_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

func TestOneComputerFillsNoQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", func(c *licenseserver.Config) { c.Lease, c.MostWaiting = time.Hour, 2 })
		a := l.api(t, "a")
		h := take(t, a, access(1))
		first, second := later(t.Context(), a, waits(2, time.Hour)), later(t.Context(), a, waits(3, time.Hour))
		// It is refused at once, with the reason.
		_, err := a.Access(t.Context(), connect.NewRequest(waits(4, time.Hour)))
		wantCode(t, "a third that waits", err, license.CodeThrottled)
		if d := license.Public(err).Details; d["most"] == nil {
			t.Errorf("details %v", d)
		}
		time.Sleep(time.Minute) // those who wait keep their places
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		got := <-first
		if got.err != nil {
			t.Fatal(got.err)
		}
		// A place is there again: who has a license doesn't wait.
		third := later(t.Context(), a, waits(5, time.Hour))
		if err := release(t.Context(), a, got.handle.GetToken()); err != nil {
			t.Fatal(err)
		}
		for _, c := range []<-chan outcome{second, third} {
			select {
			case o := <-c:
				if o.err != nil {
					t.Error(o.err)
				} else if err := release(t.Context(), a, o.handle.GetToken()); err != nil {
					t.Error(err)
				}
			case <-time.After(time.Minute):
				t.Error("nobody was served")
			}
		}
		// Who died while it waited counts for as long as its place is kept.
		take(t, a, access(6))
		for id := 7; id < 9; id++ {
			_, err := a.Access(t.Context(), connect.NewRequest(waits(id, time.Hour)))
			wantCode(t, "Access", err, license.CodeQueued)
		}
		_, err = a.Access(t.Context(), connect.NewRequest(waits(9, time.Hour)))
		wantCode(t, "a third", err, license.CodeThrottled)
		time.Sleep(11 * time.Second)
		_, err = a.Access(t.Context(), connect.NewRequest(waits(9, time.Hour)))
		wantCode(t, "after the others' places were lost", err, license.CodeQueued)
		_, err = a.Access(t.Context(), connect.NewRequest(waits(10, time.Hour)))
		wantCode(t, "a second", err, license.CodeQueued)
		_, err = a.LeaveQueue(t.Context(), connect.NewRequest(&quoratev1.LeaveQueueRequest{
			Product: access(9).GetProduct(), RequestId: access(9).GetRequestId(),
		}))
		wantCode(t, "LeaveQueue", err, "")
		_, err = a.Access(t.Context(), connect.NewRequest(waits(11, time.Hour)))
		wantCode(t, "after one has left", err, license.CodeQueued)
	})
}

func TestOneComputerHasNoHandlesWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.start(t, "a", func(c *licenseserver.Config) { c.Lease, c.MostHandles = time.Minute, 3 })
		a := l.api(t, "a")
		of := func(id int, mode license.AccessMode) *quoratev1.AccessRequest {
			r := access(id)
			r.Mode = rpc.ModeProto(mode)
			return r
		}
		first := take(t, a, of(1, license.NoUserLimit))
		take(t, a, of(2, license.StationShare))
		third := take(t, a, of(3, license.StationShare))
		for i, mode := range []license.AccessMode{license.NoUserLimit, license.StationShare} {
			_, err := a.Access(t.Context(), connect.NewRequest(of(4+i, mode)))
			wantCode(t, string(mode), err, license.CodeThrottled)
		}
		take(t, a, of(3, license.StationShare)) // a repeat is no other handle
		take(t, a, of(6, license.UserLimit))    // that one costs a license
		if err := release(t.Context(), a, third.GetToken()); err != nil {
			t.Fatal(err)
		}
		take(t, a, of(7, license.NoUserLimit))
		_, err := a.Access(t.Context(), connect.NewRequest(of(8, license.NoUserLimit)))
		wantCode(t, "a fourth", err, license.CodeThrottled)
		// Those that are renewed count on, the others are forgotten in time.
		time.Sleep(59 * time.Second)
		if _, err := renew(t.Context(), a, first.GetToken()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		take(t, a, of(9, license.NoUserLimit))
		take(t, a, of(10, license.NoUserLimit))
		_, err = a.Access(t.Context(), connect.NewRequest(of(11, license.NoUserLimit)))
		wantCode(t, "a fourth again", err, license.CodeThrottled)
	})
}

// cut is a store whose answers don't come through while lost is set, and which
// takes a second for each.
type cut struct {
	lease.Store
	lost *bool
}

type cutSeats struct {
	lease.Seats
	lost *bool
}

func (s cut) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	seats, err := s.Store.Claim(ctx, group, owner)
	return cutSeats{seats, s.lost}, err
}

func (s cutSeats) Access(ctx context.Context, r lease.Request) (lease.Grant, error) {
	g, err := s.Seats.Access(ctx, r)
	time.Sleep(time.Second)
	if *s.lost {
		return lease.Grant{}, license.Errorf(license.CodeUnavailable, "try again", "the answer is lost")
	}
	return g, err
}

func without(id int, mode license.AccessMode) *quoratev1.AccessRequest {
	r := access(id)
	r.Mode = rpc.ModeProto(mode)
	return r
}

// What a computer may have is bounded whatever comes of its calls.
func TestLostAnswersCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		lost := false
		l.start(t, "a", func(c *licenseserver.Config) {
			c.Store, c.Lease, c.MostWaiting, c.MostHandles = cut{c.Store, &lost}, time.Minute, 2, 2
		})
		a := l.api(t, "a")
		ask := func(what string, r *quoratev1.AccessRequest, want license.Code) {
			t.Helper()
			_, err := a.Access(t.Context(), connect.NewRequest(r))
			wantCode(t, what, err, want)
		}
		take(t, a, access(1))
		lost = true
		ask("a first", waits(2, time.Hour), license.CodeUnavailable)
		ask("a second", waits(3, time.Hour), license.CodeUnavailable)
		ask("a handle", without(4, license.NoUserLimit), license.CodeUnavailable)
		ask("a second handle", without(5, license.NoUserLimit), license.CodeUnavailable)
		lost = false
		ask("a third that waits", waits(6, time.Hour), license.CodeThrottled)
		ask("a third handle", without(7, license.NoUserLimit), license.CodeThrottled)
		// Of another product, an id names nothing here.
		other := rpc.ProductProto(license.Product{Firm: 6000010, Code: 99})
		if _, err := a.LeaveQueue(t.Context(), connect.NewRequest(&quoratev1.LeaveQueueRequest{
			Product: other, RequestId: access(2).GetRequestId(),
		})); err != nil {
			t.Fatal(err)
		}
		ask("still a third", waits(6, time.Hour), license.CodeThrottled)
		// A repeat finds what is there, and a refused one takes nothing back.
		ask("the first again", waits(2, time.Hour), license.CodeQueued)
		twisted := without(4, license.StationShare)
		if _, err := a.Access(t.Context(), connect.NewRequest(twisted)); err == nil {
			t.Error("one id, two requests")
		}
		take(t, a, without(4, license.NoUserLimit))
		ask("still a third handle", without(7, license.NoUserLimit), license.CodeThrottled)
		time.Sleep(time.Minute)
		take(t, a, without(8, license.NoUserLimit))
	})
}

// Calls at once have no more room than one after the other.
func TestCallsAtOnceShareTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		lost := false
		l.start(t, "a", func(c *licenseserver.Config) {
			c.Store, c.Lease, c.MostWaiting, c.MostHandles = cut{c.Store, &lost}, time.Hour, 2, 2
		})
		a := l.api(t, "a")
		take(t, a, access(1))
		atOnce := func(from int, r func(id int) *quoratev1.AccessRequest) (codes []license.Code) {
			all := make(chan license.Code)
			for i := range 5 {
				go func() {
					_, err := a.Access(t.Context(), connect.NewRequest(r(from+i)))
					all <- license.CodeOf(err)
				}()
			}
			for range 5 {
				codes = append(codes, <-all)
			}
			slices.Sort(codes)
			return codes
		}
		throttled := license.CodeThrottled
		got := atOnce(10, func(id int) *quoratev1.AccessRequest { return without(id, license.NoUserLimit) })
		if want := []license.Code{"", "", throttled, throttled, throttled}; !slices.Equal(got, want) {
			t.Errorf("handles: %v", got)
		}
		got = atOnce(20, func(id int) *quoratev1.AccessRequest { return waits(id, time.Hour) })
		if want := []license.Code{license.CodeQueued, license.CodeQueued, throttled, throttled, throttled}; !slices.Equal(got, want) {
			t.Errorf("waiting: %v", got)
		}
	})
}

// A handle that ends counts no more, whoever ends it and from wherever.
func TestEndedHandlesDontCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.net.From = "127.0.0.1:40000" // who may remove
		l.start(t, "a", func(c *licenseserver.Config) { c.Lease, c.MostHandles = time.Hour, 1 })
		a := l.api(t, "a")
		take(t, a, without(1, license.NoUserLimit))
		if err := remove(t, a, access(1).GetRequestId()); err != nil {
			t.Fatal(err)
		}
		h := take(t, a, without(2, license.NoUserLimit))
		l.net.From = "192.0.2.7:40000"
		if err := release(t.Context(), l.api(t, "a"), h.GetToken()); err != nil {
			t.Fatal(err)
		}
		l.net.From = "127.0.0.1:40000"
		take(t, l.api(t, "a"), without(3, license.NoUserLimit))
	})
}
