package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/client"
)

// Programs of one station share a license whichever address they reach the
// servers by, and those of another station don't.
func TestOneStationByTwoAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.start(t, "a", 30*time.Second)
		l.start(t, "b", 30*time.Second)
		local := l.open(t, func(c *client.Config) { c.Address, c.Station = "127.0.0.1", "" }, "a", "b")
		network := l.open(t, func(c *client.Config) { c.Address, c.Station = "10.0.0.7", "" }, "b", "a")
		other := l.open(t, func(c *client.Config) { c.Address, c.Station = "127.0.0.1", "session-2" }, "a", "b")
		for _, c := range []*client.Client{local, network, local, other} {
			access(t, c, client.WithMode(client.StationShare))
		}
		all, err := local.Licenses(t.Context())
		if err != nil || all[0].TakenLicenses[client.StationShare] != 2 || all[0].Taken[client.StationShare] != 4 || all[0].Free != 0 {
			t.Errorf("%+v, %v", all, err)
		}
		taking, err := local.Handles(t.Context(), client.Filter{Taking: true})
		if err != nil || len(taking) != 2 || max(taking[0].Accesses, taking[1].Accesses) != 3 || taking[0].Accesses+taking[1].Accesses != 4 {
			t.Errorf("%+v, %v", taking, err)
		}
		_, err = local.Access(t.Context(), product, client.WithMode(client.Exclusive))
		wantCode(t, "an exclusive one beside others", err, client.CodeStationBusy)
	})
}

// A queue on a real server: in order, with the place told, and the notice to the
// holder; a freed license goes to who waits.
func TestQueueOnAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", 30*time.Second)
		ada, bob, eve := l.open(t, nil, "a"), l.open(t, nil, "a"), l.open(t, nil, "a")
		h := access(t, ada)
		h.Touch()
		time.Sleep(5 * time.Minute)
		_, err := bob.Access(t.Context(), product)
		var short *client.Shortage
		if !errors.As(err, &short) || short.Taken != 1 || short.Quantity != 1 || short.NextFree <= 0 || short.HoldersInAll != 1 ||
			len(short.Holders) != 1 || short.Holders[0].Handle != h.Info().ID || short.Holders[0].Idle < 4*time.Minute {
			t.Errorf("%+v, %v", short, err)
		}
		type got struct {
			h   *client.Handle
			err error
		}
		wait := func(c *client.Client, d time.Duration) (<-chan got, *[]client.Place) {
			out, places := make(chan got, 1), new([]client.Place)
			go func() {
				h, err := c.Access(t.Context(), product, client.WithWait(d, func(p client.Place) { *places = append(*places, p) }))
				out <- got{h, err}
			}()
			synctest.Wait()
			return out, places
		}
		first, _ := wait(bob, time.Hour)
		second, places := wait(eve, 20*time.Second)
		waiting, err := ada.Waiting(t.Context(), product)
		if err != nil || len(waiting) != 2 || waiting[0].Position != 1 || waiting[1].Position != 2 {
			t.Errorf("%+v, %v", waiting, err)
		}
		if err := eve.Ask(t.Context(), product, short.Holders[0].Handle, "please", "eve"); err != nil {
			t.Fatal(err)
		}
		if n := <-h.Notices(); n.Text != "please" || n.By != "eve" {
			t.Errorf("%+v", n)
		}
		g := <-second
		if !errors.As(g.err, &short) || short.Refusal.Code != client.CodeNoFreeSeat {
			t.Errorf("after its time: %v", g.err)
		}
		if n := len(*places); n < 2 || (*places)[0].Position != 2 || (*places)[0].Waiting != 2 {
			t.Errorf("%v", *places)
		}
		freed := time.Now()
		if err := h.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if g := <-first; g.err != nil || time.Since(freed) > 100*time.Millisecond {
			t.Errorf("%v after %s", g.err, time.Since(freed))
		}
		// Who goes away leaves his place.
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := eve.Access(ctx, product, client.WithWait(0, nil))
			left <- err
		}()
		time.Sleep(7 * time.Second)
		cancel()
		if err := <-left; !errors.Is(err, client.CodeQueued) || !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Second)
		if waiting, err := ada.Waiting(t.Context(), product); err != nil || len(waiting) != 0 {
			t.Errorf("%+v, %v", waiting, err)
		}
	})
}
