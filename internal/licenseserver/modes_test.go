package licenseserver_test

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

const (
	userLimit    = quoratev1.AccessMode_ACCESS_MODE_USER_LIMIT
	stationShare = quoratev1.AccessMode_ACCESS_MODE_STATION_SHARE
	exclusive    = quoratev1.AccessMode_ACCESS_MODE_EXCLUSIVE
	noUserLimit  = quoratev1.AccessMode_ACCESS_MODE_NO_USER_LIMIT
)

// on is an access by a station in a mode.
func on(id int, station string, mode quoratev1.AccessMode) *quoratev1.AccessRequest {
	r := access(id)
	r.Client.Address, r.Client.Station, r.Mode = station, station, mode
	return r
}

// want is an access that takes several licenses.
func want(id int, station string, n uint32) *quoratev1.AccessRequest {
	r := on(id, station, userLimit)
	r.Licenses = n
	return r
}

// The worked example: 23 licenses; station .134 runs 6 instances and takes 4;
// station .33 runs one exclusively: 5 taken, 18 free.
func TestWorkedExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 23)
		l.start(t, "a", nil)
		a := l.api(t, "a")
		for i, mode := range []quoratev1.AccessMode{userLimit, userLimit, userLimit, stationShare, stationShare, stationShare} {
			take(t, a, on(i, "192.168.1.134", mode))
		}
		take(t, a, on(10, "192.168.1.33", exclusive))
		refused(t, "a second start on an exclusive station", a, on(11, "192.168.1.33", exclusive), license.CodeStationBusy)
		refused(t, "another mode there", a, on(12, "192.168.1.33", userLimit), license.CodeStationBusy)
		refused(t, "an exclusive start on a station in use", a, on(13, "192.168.1.134", exclusive), license.CodeStationBusy)
		take(t, a, on(14, "192.168.1.33", noUserLimit))
		u := list(t, a)
		if u.GetTotal() != 23 || u.GetTakenTotal() != 5 || u.GetFree() != 18 {
			t.Errorf("use %v", u)
		}
		if got := u.GetTaken(); !maps.Equal(got, map[string]uint32{"USER_LIMIT": 3, "STATION_SHARE": 3, "EXCLUSIVE": 1, "NO_USER_LIMIT": 1}) {
			t.Errorf("handles %v", got)
		}
		if got := u.GetTakenLicenses(); !maps.Equal(got, map[string]uint32{"USER_LIMIT": 3, "STATION_SHARE": 1, "EXCLUSIVE": 1}) {
			t.Errorf("licenses %v", got)
		}
	})
}

func TestModesThatNeedAStation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 23)
		l.start(t, "a", nil)
		a := l.api(t, "a")
		for _, mode := range []quoratev1.AccessMode{stationShare, exclusive} {
			refused(t, "no station", a, on(1, "", mode), license.CodeInvalidInput)
			q := question()
			q.Mode, q.Client.Station = mode, ""
			_, err := a.Explain(t.Context(), connect.NewRequest(q))
			wantCode(t, "no station explained", err, license.CodeInvalidInput)
		}
		l.start(t, "b", func(c *licenseserver.Config) { c.Modes = []license.AccessMode{license.StationShare} })
		refused(t, "a mode that isn't offered", l.api(t, "b"), on(1, "pc", userLimit), license.CodeInvalidInput)
	})
}

func TestSeveralLicenses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 6)
		l.start(t, "a", nil)
		a := l.api(t, "a")
		if h := take(t, a, access(1)); h.GetLicenses() != 1 {
			t.Errorf("handle %v", h)
		}
		h := take(t, a, want(2, "pc-2", 4))
		if h.GetLicenses() != 4 {
			t.Errorf("handle %v", h)
		}
		if again := take(t, a, want(2, "pc-2", 4)); again.GetId() != h.GetId() || list(t, a).GetTakenTotal() != 5 {
			t.Errorf("a repeat gave %v", again)
		}
		refused(t, "the same id for another number", a, want(2, "pc-2", 3), license.CodeRequestMismatch)
		_, err := a.Access(t.Context(), connect.NewRequest(want(3, "pc-3", 2)))
		wantCode(t, "two of one left", err, license.CodeNoFreeSeat)
		if d := detailsOf(err); d["taken"] != 5.0 || d["quantity"] != 6.0 {
			t.Errorf("details %v", d)
		}
		refused(t, "more than can be", a, want(4, "pc-4", lease.MostLicenses+1), license.CodeInvalidInput)
		for range 3 {
			time.Sleep(20 * time.Second)
			if h, err = renew(t.Context(), a, h.GetToken()); err != nil || h.GetLicenses() != 4 {
				t.Fatalf("renewed: %v, %v", h, err)
			}
		}
		take(t, a, want(5, "pc-5", 2)) // the first one's lease ran out
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		take(t, a, want(6, "pc-6", 4))
	})
}

// A handle whose record was lost comes back in full: what it takes, its tags, and
// that it is borrowed.
func TestLostHandleComesBackInFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 9)
		plain := plainSource{l.source}
		limits := func(_ license.Product, a license.Ask) (lease.Limits, int32, error) {
			return lease.Limits{Tags: []string{"of " + a.User}}, 0, nil
		}
		lending := func(store lease.Store) func(*licenseserver.Config) {
			return func(c *licenseserver.Config) {
				c.Source, c.Store, c.BorrowMost, c.Limits = plain, store, 240*time.Hour, limits
			}
		}
		first := l.start(t, "a", lending(l.store))
		r := on(1, "pc-1", stationShare)
		r.Licenses = 4
		shared := take(t, l.api(t, "a"), r)
		r = on(2, "pc-2", userLimit)
		r.BorrowMs = (48 * time.Hour).Milliseconds()
		lent := take(t, l.api(t, "a"), r)
		first.Stop()

		empty, err := memlease.Open("", memlease.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer empty.Close()
		second := l.start(t, "b", lending(empty))
		defer second.Stop()
		l.net.From = "127.0.0.1:40000"
		b := l.api(t, "b")
		for _, h := range []*quoratev1.Handle{shared, lent} {
			again, err := renew(t.Context(), b, h.GetToken())
			if err != nil || again.GetLicenses() != h.GetLicenses() || again.GetBorrowed() != h.GetBorrowed() || again.GetLeaseMs() != h.GetLeaseMs() {
				t.Errorf("%v came back as %v, %v", h, again, err)
			}
		}
		u := list(t, b)
		if u.GetTakenTotal() != 5 || u.GetBorrowed() != 1 || u.GetTakenByTag()["of ada"] != 5 || u.GetTakenLicenses()["STATION_SHARE"] != 4 {
			t.Errorf("use %v", u)
		}
		wantCode(t, "removing what is borrowed", remove(t, b, lent.GetId()), license.CodeBorrowed)
		// A share of the same station doubles nothing up.
		r = on(3, "pc-1", stationShare)
		take(t, b, r)
		if n := list(t, b).GetTakenTotal(); n != 5 {
			t.Errorf("%d taken", n)
		}
	})
}

// plainSource is a source of a container that isn't virtual.
type plainSource struct{ *servertest.Source }

func (plainSource) Serial() license.Serial {
	return license.Serial{Mask: license.MaskUniversal, Number: 1874829}
}

func remove(t testing.TB, a api, id string) error {
	t.Helper()
	_, err := a.RemoveHandle(t.Context(), connect.NewRequest(&quoratev1.RemoveHandleRequest{Product: access(0).GetProduct(), Id: id}))
	return err
}

func TestBorrowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.net.From = "127.0.0.1:40000"
		borrow := func(id int, d time.Duration) *quoratev1.AccessRequest {
			r := on(id, fmt.Sprint("pc-", id), userLimit)
			r.BorrowMs = d.Milliseconds()
			return r
		}
		l.start(t, "tmr", nil)
		refused(t, "of a TMR server", l.api(t, "tmr"), borrow(1, time.Hour), license.CodeInvalidInput)
		for _, mask := range []uint16{license.MaskVirtual, license.MaskCloud} {
			_, err := licenseserver.New(licenseserver.Config{
				Source: maskedSource{l.source, mask}, Store: l.store, Arbiter: licenseserver.Always{}, Signer: l.signer, BorrowMost: time.Hour,
			})
			wantCode(t, "a server that can't lend", err, license.CodeInvalidInput)
		}
		l.start(t, "miser", func(c *licenseserver.Config) { c.Source = plainSource{l.source} })
		refused(t, "of one that lends nothing", l.api(t, "miser"), borrow(1, time.Hour), license.CodeInvalidInput)

		store, err := memlease.Open("", memlease.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		l.start(t, "a", func(c *licenseserver.Config) {
			c.Source, c.Store, c.BorrowMost = plainSource{l.source}, store, 5*time.Hour
		})
		a := l.api(t, "a")
		refused(t, "for too long", a, borrow(1, 5*time.Hour+time.Second), license.CodeInvalidInput)
		refused(t, "for no time", a, borrow(1, time.Millisecond), license.CodeInvalidInput)
		h := take(t, a, borrow(1, 5*time.Hour))
		if !h.GetBorrowed() || h.GetLeaseMs() != (5*time.Hour).Milliseconds() {
			t.Errorf("handle %v", h)
		}
		refused(t, "the same id, not borrowed", a, on(1, "pc-1", userLimit), license.CodeRequestMismatch)
		time.Sleep(4 * time.Hour) // without a word
		if _, err := openKey(t.Context(), a, h.GetToken(), servertest.Wrap(nil)); err != nil {
			t.Errorf("while it is borrowed: %v", err)
		}
		wantCode(t, "removing it", remove(t, a, h.GetId()), license.CodeBorrowed)
		if u := list(t, a); u.GetBorrowed() != 1 || u.GetFree() != 1 {
			t.Errorf("use %v", u)
		}
		if hs := handles(t, a, &quoratev1.ListHandlesRequest{}); len(hs) != 1 || !hs[0].GetBorrowed() || hs[0].GetRemainingMs() != time.Hour.Milliseconds() {
			t.Errorf("handles %v", hs)
		}
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		if u := list(t, a); u.GetBorrowed() != 0 || u.GetFree() != 2 {
			t.Errorf("after it was returned: %v", u)
		}
		h = take(t, a, borrow(2, time.Hour))
		time.Sleep(time.Hour)
		_, err = openKey(t.Context(), a, h.GetToken(), servertest.Wrap(nil))
		wantCode(t, "after its time", err, license.CodeHandleExpired)

		// No longer than the license.
		l.source.Change(func(o *license.Options) { o.Expiration = time.Now().Add(3 * time.Hour) })
		if h = take(t, a, borrow(3, 5*time.Hour)); h.GetLeaseMs() != (3 * time.Hour).Milliseconds() {
			t.Errorf("beyond the license: %v", h)
		}
		time.Sleep(time.Hour)
		if h, err = renew(t.Context(), a, h.GetToken()); err != nil || h.GetLeaseMs() != (2*time.Hour).Milliseconds() {
			t.Errorf("renewed beyond the license: %v, %v", h, err)
		}
	})
}

type maskedSource struct {
	*servertest.Source
	mask uint16
}

func (s maskedSource) Serial() license.Serial { return license.Serial{Mask: s.mask, Number: 5} }

func TestMinimumAgeOfRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.net.From = "127.0.0.1:40000"
		s := l.start(t, "a", func(c *licenseserver.Config) { c.Lease, c.MinRemoveAge = time.Hour, 10*time.Minute })
		a := l.api(t, "a")
		h := take(t, a, access(1))
		time.Sleep(10*time.Minute - time.Second)
		err := remove(t, a, h.GetId())
		wantCode(t, "removing a young one", err, license.CodeTooYoung)
		if d := detailsOf(err); d["ageMs"] != 599_000.0 {
			t.Errorf("details %v", d)
		}
		wantCode(t, "by the link", s.Remove(t.Context(), servertest.Product(), h.GetId(), "x"), license.CodeTooYoung)
		time.Sleep(time.Second)
		if err := remove(t, a, h.GetId()); err != nil {
			t.Error(err)
		}
		_, err = renew(t.Context(), a, h.GetToken())
		wantCode(t, "after the removal", err, license.CodeHandleRemoved)
	})
}

// A share that costs nothing stays when the quantity was lowered between its
// lookup and its grant.
func TestShareStaysWhereTheQuantityWasLowered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 3)
		lowered := false
		l.start(t, "a", func(c *licenseserver.Config) {
			c.Store = lowering{l.store, func() {
				if lowered {
					l.source.Change(func(o *license.Options) { o.Quantity = 1 })
				}
			}}
		})
		a := l.api(t, "a")
		take(t, a, on(1, "pc-1", stationShare))
		take(t, a, on(2, "pc-2", stationShare))
		lowered = true
		take(t, a, on(3, "pc-2", stationShare))
		l.source.Change(func(o *license.Options) { o.Quantity = 4 })
		bigger := on(4, "pc-2", stationShare)
		bigger.Licenses = 2
		refused(t, "what takes one more", a, bigger, license.CodeNoFreeSeat)
		if u := list(t, a); u.GetTakenTotal() != 2 {
			t.Errorf("use %v", u)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	l := newLab(t, 1)
	for name, change := range map[string]func(*licenseserver.Config){
		"disclosure":       func(c *licenseserver.Config) { c.Disclose = "all" },
		"negative age":     func(c *licenseserver.Config) { c.MinRemoveAge = -1 },
		"negative lending": func(c *licenseserver.Config) { c.BorrowMost = -1 },
		"endless lending":  func(c *licenseserver.Config) { c.BorrowMost = 2 * lease.MostLease },
	} {
		cfg := licenseserver.Config{Source: plainSource{l.source}, Store: l.store, Arbiter: licenseserver.Always{}, Signer: l.signer}
		change(&cfg)
		_, err := licenseserver.New(cfg)
		wantCode(t, name, err, license.CodeInvalidInput)
	}
}
