package licenseserver_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// waits is an access that queues for up to d.
func waits(id int, d time.Duration) *quoratev1.AccessRequest {
	r := access(id)
	r.WaitMs = d.Milliseconds()
	return r
}

// queueing asks as the SDK does: again at once with the same id while the answer
// is QUEUED.
func queueing(ctx context.Context, a api, r *quoratev1.AccessRequest) (*quoratev1.Handle, error) {
	for {
		answer, err := a.Access(ctx, connect.NewRequest(r))
		if err == nil {
			return answer.Msg.GetHandle(), nil
		}
		if license.CodeOf(err) != license.CodeQueued {
			return nil, err
		}
	}
}

// later runs a request that queues, and gives what became of it, and when.
func later(ctx context.Context, a api, r *quoratev1.AccessRequest) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		h, err := queueing(ctx, a, r)
		out <- outcome{h, err, time.Now()}
	}()
	synctest.Wait()
	return out
}

type outcome struct {
	handle *quoratev1.Handle
	err    error
	at     time.Time
}

func TestQueueHoldsTheCallAndServesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", func(c *licenseserver.Config) { c.Lease = time.Hour })
		a := l.api(t, "a")
		h := take(t, a, access(1))
		began := time.Now()
		_, err := a.Access(t.Context(), connect.NewRequest(waits(2, time.Minute)))
		wantCode(t, "a place in the queue", err, license.CodeQueued)
		if took := time.Since(began); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("the call was held for %s", took)
		}
		if d := detailsOf(err); d["position"] != 1.0 || d["waiting"] != 1.0 || d["nextExpiryMs"] == nil {
			t.Errorf("details %v", d)
		}
		first := later(t.Context(), a, waits(2, time.Minute))
		second := later(t.Context(), a, waits(3, time.Minute))
		time.Sleep(7*time.Second + 300*time.Millisecond)
		freed := time.Now()
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		got := <-first
		if got.err != nil || got.at.Sub(freed) > 10*time.Millisecond {
			t.Errorf("the first: %v, after %s", got.err, got.at.Sub(freed))
		}
		synctest.Wait()
		select {
		case got := <-second:
			t.Errorf("the second got %v, %v", got.handle, got.err)
		default:
		}
		if err := release(t.Context(), a, got.handle.GetToken()); err != nil {
			t.Fatal(err)
		}
		if got := <-second; got.err != nil {
			t.Error(got.err)
		}
	})
}

// What frees a license, however, serves the queue.
func TestQueueIsServedByWhateverFrees(t *testing.T) {
	for name, free := range map[string]func(t *testing.T, l *lab, a api, h *quoratev1.Handle){
		"removal": func(t *testing.T, _ *lab, a api, h *quoratev1.Handle) {
			if err := remove(t, a, h.GetId()); err != nil {
				t.Error(err)
			}
		},
		"the end of a lease": func(*testing.T, *lab, api, *quoratev1.Handle) { time.Sleep(30 * time.Second) },
		"a raised quantity": func(_ *testing.T, l *lab, _ api, _ *quoratev1.Handle) {
			l.source.Change(func(o *license.Options) { o.Quantity = 2 })
		},
		"who leaves before": func(t *testing.T, l *lab, a api, _ *quoratev1.Handle) {
			l.source.Change(func(o *license.Options) { o.Quantity = 3 }) // the one before wants 4
			if _, err := a.LeaveQueue(t.Context(), connect.NewRequest(&quoratev1.LeaveQueueRequest{
				Product: access(0).GetProduct(), RequestId: access(5).GetRequestId(),
			})); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, 1)
				l.net.From = "127.0.0.1:40000"
				l.start(t, "a", nil)
				a := l.api(t, "a")
				h := take(t, a, access(1))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if name == "who leaves before" {
					l.source.Change(func(o *license.Options) { o.Quantity = 4 })
					before := waits(5, time.Hour)
					before.Licenses = 4
					later(ctx, a, before)
				}
				waiting := later(ctx, a, waits(2, time.Hour))
				began := time.Now()
				free(t, l, a, h)
				if got := <-waiting; got.err != nil || got.at.Sub(began) > 31*time.Second {
					t.Errorf("%v after %s", got.err, got.at.Sub(began))
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}

func TestQueueGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", func(c *licenseserver.Config) { c.Lease = time.Hour })
		a := l.api(t, "a")
		take(t, a, access(1))
		began := time.Now()
		_, err := queueing(t.Context(), a, waits(2, 12*time.Second))
		wantCode(t, "after its deadline", err, license.CodeNoFreeSeat)
		if took := time.Since(began); took < 12*time.Second || took > 14*time.Second {
			t.Errorf("it took %s", took)
		}
		events, err := l.store.Events(t.Context(), servertest.Virtual(), 0, 10)
		if err != nil || len(events) != 2 || events[1].Kind != lease.Denied || events[1].Reason != license.CodeNoFreeSeat {
			t.Errorf("events %+v, %v", events, err)
		}
		for name, ms := range map[string]int64{"negative": -1, "endless": lease.MostWait.Milliseconds() + 1} {
			r := access(3)
			r.WaitMs = ms
			refused(t, name, a, r, license.CodeInvalidInput)
		}
	})
}

func TestLeavingTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", func(c *licenseserver.Config) { c.Lease = time.Hour })
		a := l.api(t, "a")
		h := take(t, a, access(1))
		_, err := a.Access(t.Context(), connect.NewRequest(waits(2, time.Minute)))
		wantCode(t, "a place", err, license.CodeQueued)
		leave := &quoratev1.LeaveQueueRequest{Product: access(0).GetProduct(), RequestId: access(2).GetRequestId()}
		for range 2 {
			if _, err := a.LeaveQueue(t.Context(), connect.NewRequest(leave)); err != nil {
				t.Fatal(err)
			}
		}
		if n := list(t, a).GetWaiting(); n != 0 {
			t.Errorf("%d wait", n)
		}
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		h = take(t, a, access(3)) // nobody stands before

		// A place that isn't asked for is lost.
		_, err = a.Access(t.Context(), connect.NewRequest(waits(4, time.Minute)))
		wantCode(t, "a place", err, license.CodeQueued)
		time.Sleep(11 * time.Second)
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		take(t, a, access(5))
		for name, bad := range map[string]*quoratev1.LeaveQueueRequest{
			"no product": {RequestId: leave.GetRequestId()}, "no id": {Product: leave.GetProduct()},
		} {
			_, err := a.LeaveQueue(t.Context(), connect.NewRequest(bad))
			wantCode(t, name, err, license.CodeInvalidInput)
		}
	})
}

// A call that is held ends with its server, and with its caller.
func TestHeldCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		s := l.start(t, "a", func(c *licenseserver.Config) { c.Lease = time.Hour })
		a := l.api(t, "a")
		take(t, a, access(1))
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := a.Access(ctx, connect.NewRequest(waits(2, time.Minute)))
		if took := time.Since(began); err == nil || took > 1600*time.Millisecond {
			t.Errorf("the caller has given up: %v after %s", err, took)
		}
		waiting := later(t.Context(), a, waits(2, time.Minute))
		began = time.Now()
		s.Stop()
		if got := <-waiting; license.CodeOf(got.err) != license.CodeNotLeader || got.at.Sub(began) > 1100*time.Millisecond {
			t.Errorf("the server has stopped: %v after %s", got.err, got.at.Sub(began))
		}
	})
}

func TestQueueByPriorityAndWhoSeesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", func(c *licenseserver.Config) {
			c.Lease, c.AdminToken = time.Hour, "secret"
			c.Limits = func(_ license.Product, a license.Ask) (lease.Limits, int32, error) {
				if a.User == "boss" {
					return lease.Limits{}, 5, nil
				}
				return lease.Limits{}, 0, nil
			}
		})
		a := l.api(t, "a")
		h := take(t, a, access(1))
		first := later(t.Context(), a, waits(2, time.Hour))
		r := waits(3, time.Hour)
		r.Client.User, r.Client.Address = "boss", "pc-9"
		boss := later(t.Context(), a, r)
		waiting := func(token string) []*quoratev1.Waiter {
			req := connect.NewRequest(&quoratev1.ListWaitingRequest{})
			if token != "" {
				req.Header().Set("Authorization", "Bearer "+token)
			}
			answer, err := a.ListWaiting(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			return answer.Msg.GetWaiting()
		}
		for token, want := range map[string]string{"secret": "boss", "": ""} {
			w := waiting(token)
			if len(w) != 2 || w[0].GetPosition() != 1 || w[0].GetPriority() != 5 || w[0].GetClient().GetAddress() != "pc-9" ||
				w[0].GetClient().GetUser() != want || (w[0].GetId() != "") != (want != "") || w[1].GetPosition() != 2 || w[1].GetSinceMs() == 0 || w[1].GetLicenses() != 1 {
				t.Errorf("with the token %q: %v", token, w)
			}
		}
		if u := list(t, a); u.GetWaiting() != 2 {
			t.Errorf("use %v", u)
		}
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		got := <-boss
		if got.err != nil {
			t.Fatal(got.err)
		}
		if err := release(t.Context(), a, got.handle.GetToken()); err != nil {
			t.Fatal(err)
		}
		if got := <-first; got.err != nil {
			t.Error(got.err)
		}
	})
}
