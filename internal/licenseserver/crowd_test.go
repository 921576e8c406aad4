package licenseserver_test

import (
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

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
