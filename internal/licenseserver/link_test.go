package licenseserver_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// crowded is a store that says of each product how many handles it has.
type crowded struct {
	lease.Store
	handles, lists *int
}

type crowdedSeats struct {
	lease.Seats
	crowded
}

func (s crowded) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	seats, err := s.Store.Claim(ctx, group, owner)
	return crowdedSeats{seats, s}, err
}

func (s crowdedSeats) Usage(ctx context.Context, p lease.Pool) (lease.Usage, error) {
	u, err := s.Seats.Usage(ctx, p)
	u.ByMode = map[license.AccessMode]uint32{license.UserLimit: uint32(*s.handles)}
	return u, err
}

func (s crowdedSeats) List(ctx context.Context, p lease.Pool) ([]lease.Handle, error) {
	*s.lists++
	return s.Seats.List(ctx, p)
}

// TestLivingHandlesForTheLink: those that live, of who leads; a crowd isn't listed.
func TestLivingHandlesForTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 30)
		many, lists := 3, 0
		s := l.start(t, "a", func(c *licenseserver.Config) { c.Store, c.Lease = crowded{c.Store, &many, &lists}, time.Hour })
		a := l.api(t, "a")
		for i := range 3 {
			take(t, a, access(i))
			time.Sleep(time.Second)
		}
		living := func() []lease.Handle {
			t.Helper()
			all, err := s.Living(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if all := living(); len(all) != 3 || all[0].Handle != access(0).GetRequestId() || all[0].Remaining != time.Hour-3*time.Second || all[0].Accesses != 1 {
			t.Errorf("%+v", all)
		}
		many = 20_001
		if all := living(); len(all) != 0 || lists != 1 {
			t.Errorf("%d handles, listed %d times", len(all), lists)
		}
		many = 0
		if all := living(); len(all) != 0 || lists != 1 {
			t.Errorf("%d handles, listed %d times", len(all), lists)
		}
		s.Stop()
		if all := living(); len(all) != 0 {
			t.Errorf("one that leads no more lists %+v", all)
		}
	})
}

// Of products that have too many handles together, each is listed in its turn.
func TestProductsTakeTurnsOnTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 9)
		many, lists := 8_000, 0
		s := l.start(t, "a", func(c *licenseserver.Config) { c.Store, c.Lease = crowded{c.Store, &many, &lists}, time.Hour })
		for i := range license.ProductCode(5) {
			p := license.Product{Firm: 6000010, Code: 14 + i}
			if i > 0 {
				l.source.Add(license.License{Product: p, Options: license.Options{Quantity: 9, TMRID: 7, FeatureMap: 1}})
			}
			r := access(int(i))
			r.Product = rpc.ProductProto(p)
			take(t, l.api(t, "a"), r)
		}
		for _, want := range [][]license.ProductCode{{14, 15}, {16, 17}, {18, 14}, {15, 16}} {
			all, err := s.Living(t.Context())
			var got []license.ProductCode
			for _, h := range all {
				got = append(got, h.Pool.Product.Code)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%v, %v; want %v", got, err, want)
			}
		}
		many = 1
		if all, err := s.Living(t.Context()); err != nil || len(all) != 5 {
			t.Errorf("%d, %v; want all", len(all), err)
		}
	})
}

// TestAskForTheLink: the program gets the notice with its next renewal.
func TestAskForTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 5)
		s := l.start(t, "a", nil)
		a := l.api(t, "a")
		h := take(t, a, access(0))
		id := access(0).GetRequestId()
		notice := lease.Notice{ID: "wrk_1", Text: "please", By: "Olga Owner"}
		for range 2 { // the link may do it twice
			if err := s.Ask(t.Context(), servertest.Product(), id, notice); err != nil {
				t.Fatal(err)
			}
		}
		got, err := a.Renew(t.Context(), connect.NewRequest(&quoratev1.RenewRequest{Token: h.GetToken()}))
		if err != nil || got.Msg.GetNotice().GetId() != "wrk_1" || got.Msg.GetNotice().GetText() != "please" || got.Msg.GetNotice().GetBy() != "Olga Owner" {
			t.Errorf("%v, %v", got, err)
		}
		for name, c := range map[string]struct {
			handle string
			notice lease.Notice
			code   license.Code
		}{
			"unknown":       {access(9).GetRequestId(), notice, license.CodeHandleUnknown},
			"no handle":     {"", notice, license.CodeInvalidInput},
			"a long text":   {id, lease.Notice{ID: "x", Text: strings.Repeat("x", 501)}, license.CodeInvalidInput},
			"turned around": {id, lease.Notice{ID: "x", By: "a\u202eb"}, license.CodeInvalidInput},
		} {
			if err := s.Ask(t.Context(), servertest.Product(), c.handle, c.notice); license.CodeOf(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.Stop()
		if err := s.Ask(t.Context(), servertest.Product(), id, notice); license.CodeOf(err) != license.CodeNotLeader {
			t.Errorf("one that leads no more: %v", err)
		}
	})
}
