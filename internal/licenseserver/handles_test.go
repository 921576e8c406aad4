package licenseserver_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// counting is a store that counts how often pools are read as a whole.
type counting struct {
	lease.Store
	lists *int
}

type countingSeats struct {
	lease.Seats
	lists *int
}

func (s counting) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	seats, err := s.Store.Claim(ctx, group, owner)
	return countingSeats{seats, s.lists}, err
}

func (s countingSeats) List(ctx context.Context, p lease.Pool) ([]lease.Handle, error) {
	*s.lists++
	return s.Seats.List(ctx, p)
}

// handles gives all pages of a list, one after the other.
func handles(t testing.TB, a api, r *quoratev1.ListHandlesRequest) (all []*quoratev1.HandleInfo) {
	t.Helper()
	for {
		answer, err := a.ListHandles(t.Context(), connect.NewRequest(r))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, answer.Msg.GetHandles()...)
		if r.PageToken = answer.Msg.GetNextPageToken(); r.GetPageToken() == "" {
			return all
		}
		if n := len(answer.Msg.GetHandles()); n != int(r.GetPageSize()) {
			t.Fatalf("a page of %d is followed by another one", n)
		}
	}
}

// A list is read once for all its pages, where they are asked for at once.
func TestPagesOfOneList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 30)
		lists := 0
		l.start(t, "a", func(c *licenseserver.Config) {
			c.Lease, c.Store = time.Hour, counting{c.Store, &lists}
		})
		a := l.api(t, "a")
		for i := range 20 {
			take(t, a, access(i))
		}
		for round := 1; round < 3; round++ {
			if all := handles(t, a, &quoratev1.ListHandlesRequest{PageSize: 3}); len(all) != 20 || lists != round {
				t.Fatalf("%d handles by %d lists", len(all), lists)
			}
		}
		page, err := a.ListHandles(t.Context(), connect.NewRequest(&quoratev1.ListHandlesRequest{PageSize: 3}))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		page, err = a.ListHandles(t.Context(), connect.NewRequest(&quoratev1.ListHandlesRequest{PageSize: 3, PageToken: page.Msg.GetNextPageToken()}))
		if err != nil || lists != 3 {
			t.Fatalf("%d lists, %v", lists, err)
		}
		if left := page.Msg.GetHandles()[0].GetRemainingMs(); left != time.Hour.Milliseconds()-1000 {
			t.Errorf("%d ms remaining", left)
		}
		time.Sleep(2 * time.Second)
		if all := handles(t, a, &quoratev1.ListHandlesRequest{PageSize: 30, PageToken: page.Msg.GetNextPageToken()}); len(all) != 14 || lists != 4 {
			t.Errorf("%d handles by %d lists", len(all), lists)
		}
	})
}

func TestHandlesByPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 30)
		l.start(t, "a", func(c *licenseserver.Config) { c.Lease = time.Hour })
		a := l.api(t, "a")
		for i := range 20 {
			if i%3 == 0 {
				time.Sleep(time.Second)
			}
			take(t, a, access(i))
		}
		for size := range uint32(23) {
			all := handles(t, a, &quoratev1.ListHandlesRequest{PageSize: size})
			if len(all) != 20 {
				t.Fatalf("by %d: %d handles", size, len(all))
			}
			for i, h := range all {
				if h.GetId() != access(i).GetRequestId() {
					t.Fatalf("by %d: handle %d is %s", size, i, h.GetId())
				}
			}
		}
		// What ends between two pages moves nothing.
		page, err := a.ListHandles(t.Context(), connect.NewRequest(&quoratev1.ListHandlesRequest{PageSize: 5}))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, 4, 5} {
			if err := release(t.Context(), a, take(t, a, access(i)).GetToken()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second) // the list was kept for a moment
		rest := handles(t, a, &quoratev1.ListHandlesRequest{PageToken: page.Msg.GetNextPageToken()})
		if len(rest) != 14 || rest[0].GetId() != access(6).GetRequestId() {
			t.Errorf("the rest: %v", rest)
		}
		for _, bad := range []*quoratev1.ListHandlesRequest{
			{PageSize: 1001}, {PageToken: "x"}, {PageToken: "6000010:14"}, {PageToken: "6000010:14/1"}, {PageToken: "6000010:14/x/y"},
			{PageToken: "6000010:014/1/y"}, {PageToken: "6000010:14/1/" + strings.Repeat("y", 200)},
		} {
			_, err := a.ListHandles(t.Context(), connect.NewRequest(bad))
			wantCode(t, fmt.Sprint(bad), err, license.CodeInvalidInput)
		}
	})
}

func TestHandlesTellWhatTheyTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 30)
		l.net.From = "127.0.0.1:40000"
		l.start(t, "a", nil)
		a := l.api(t, "a")
		r := want(1, "pc-1", 4)
		h := take(t, a, r)
		take(t, a, on(2, "pc-2", stationShare))
		take(t, a, on(3, "pc-2", stationShare))
		take(t, a, on(4, "pc-4", noUserLimit))
		time.Sleep(10 * time.Second)
		renewIdle(t, a, h.GetToken(), 5*time.Minute)
		time.Sleep(5 * time.Second)
		all := handles(t, a, &quoratev1.ListHandlesRequest{})
		if len(all) != 4 {
			t.Fatalf("handles %v", all)
		}
		var takes []uint32
		for _, h := range all {
			takes = append(takes, h.GetTakes())
		}
		if fmt.Sprint(takes) != "[4 1 0 0]" {
			t.Errorf("they take %v", takes)
		}
		if h := all[0]; h.GetLicenses() != 4 || h.GetIdleMs() != 305_000 || h.GetLeaseMs() != 30_000 || h.GetRemainingMs() != 25_000 ||
			h.GetExpiresMs() != time.Now().Add(25*time.Second).UnixMilli() || h.GetClient().GetProcess() != 1 {
			t.Errorf("handle %v", h)
		}
		if taking := handles(t, a, &quoratev1.ListHandlesRequest{TakesLicense: true}); len(taking) != 2 {
			t.Errorf("those that take a license: %v", taking)
		}
		for _, idle := range []int64{-1, lease.MostLease.Milliseconds() + 1} {
			_, err := a.Renew(t.Context(), connect.NewRequest(&quoratev1.RenewRequest{Token: h.GetToken(), IdleMs: idle}))
			wantCode(t, "an idle time", err, license.CodeInvalidInput)
		}
	})
}

// Lists tell those who don't administer what denials do.
func TestHandlesAsFarAsTheAskerMayKnow(t *testing.T) {
	for disclose, want := range map[licenseserver.Disclosure]string{
		licenseserver.DiscloseNone:  "",
		licenseserver.DiscloseHosts: `address:"pc-1"`,
		licenseserver.DiscloseUsers: `address:"pc-1" user:"ada" application:"charts" station:"pc-1"`,
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 30)
			l.start(t, "a", func(c *licenseserver.Config) { c.Disclose = disclose })
			a := l.api(t, "a")
			take(t, a, access(1))
			got := handles(t, a, &quoratev1.ListHandlesRequest{})[0].GetClient()
			if strings.Join(strings.Fields(got.String()), " ") != want {
				t.Errorf("%s: %v", disclose, got)
			}
		})
	}
}

// Counting the handles, as the link does all the time, reads no pool.
func TestCountingHandlesReadsNoPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 30)
		lists := 0
		s := l.start(t, "a", func(c *licenseserver.Config) { c.Store = counting{l.store, &lists} })
		a := l.api(t, "a")
		for i := range 9 {
			take(t, a, access(i))
		}
		take(t, a, on(20, "pc", noUserLimit))
		if n, err := s.Handles(t.Context()); n != 10 || err != nil || lists != 0 {
			t.Errorf("%d handles, %v, the pool was read %d times", n, err, lists)
		}
	})
}

func ask(t testing.TB, a api, id, text, by string) (string, error) {
	t.Helper()
	answer, err := a.AskRelease(t.Context(), connect.NewRequest(&quoratev1.AskReleaseRequest{
		Product: access(0).GetProduct(), Id: id, Text: text, By: by,
	}))
	if err != nil {
		return "", err
	}
	return answer.Msg.GetNoticeId(), nil
}

func TestAskingForRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 30)
		l.start(t, "a", nil)
		a := l.api(t, "a")
		h := take(t, a, access(1))
		_, err := ask(t, a, h.GetId(), "please", "bob")
		wantCode(t, "of one who doesn't administer", err, license.CodeForbidden)
		if n := renewIdle(t, a, h.GetToken(), 0).GetNotice(); n != nil {
			t.Errorf("notice %v", n)
		}

		l.net.From = "127.0.0.1:40000"
		admin := l.api(t, "a")
		first, err := ask(t, admin, h.GetId(), "We need it for the review at 3.", "")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if n := renewIdle(t, a, h.GetToken(), 0).GetNotice(); n.GetId() != first || n.GetText() != "We need it for the review at 3." || n.GetBy() != "administrator" {
				t.Errorf("notice %v", n)
			}
		}
		// Its answer may have been lost.
		if again, err := ask(t, admin, h.GetId(), "We need it for the review at 3.", ""); again != first || err != nil {
			t.Errorf("repeated: notice %q, %v, and %q before", again, err, first)
		}
		_, err = ask(t, admin, h.GetId(), "again", "ops")
		wantCode(t, "at once again", err, license.CodeThrottled)
		time.Sleep(10 * time.Second)
		second, err := ask(t, admin, h.GetId(), "", "ops")
		if n := renewIdle(t, a, h.GetToken(), 0).GetNotice(); err != nil || n.GetId() != second || second == first || n.GetBy() != "ops" {
			t.Errorf("notice %v, %v", n, err)
		}
		_, err = ask(t, admin, "request-7777", "", "ops")
		wantCode(t, "of nobody", err, license.CodeHandleUnknown)
		for name, c := range map[string][2]string{
			"a long text":       {strings.Repeat("x", 501), ""},
			"a control":         {"a\x1b[31m", ""},
			"a new line":        {"a\nb", ""},
			"another direction": {"a\u202eb", ""},
			"a long name":       {"", strings.Repeat("x", 256)},
			"a name's control":  {"", "a\x07"},
		} {
			_, err := ask(t, admin, h.GetId(), c[0], c[1])
			wantCode(t, name, err, license.CodeInvalidInput)
		}
		_, err = ask(t, admin, "x", "", "")
		wantCode(t, "no id", err, license.CodeInvalidInput)
	})
}

func TestAskingByEverybodyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 30)
		l.start(t, "a", func(c *licenseserver.Config) { c.AskEveryone, c.Lease = true, time.Hour })
		a := l.api(t, "a")
		var tokens [][]byte
		for i := range 12 {
			tokens = append(tokens, take(t, a, access(i)).GetToken())
		}
		for i := range 10 {
			if _, err := ask(t, a, access(i).GetRequestId(), "please", "bob"); err != nil {
				t.Fatal(err)
			}
		}
		if n := renewIdle(t, a, tokens[3], 0).GetNotice(); n.GetBy() != "bob (192.0.2.1)" {
			t.Errorf("notice %v", n)
		}
		_, err := ask(t, a, access(10).GetRequestId(), "please", "bob")
		wantCode(t, "the 11th in a minute", err, license.CodeThrottled)
		l.net.From = "192.0.2.9:40000"
		if _, err := ask(t, l.api(t, "a"), access(11).GetRequestId(), "", ""); err != nil {
			t.Errorf("of another computer: %v", err)
		}
		if n := renewIdle(t, a, tokens[11], 0).GetNotice(); n.GetBy() != "192.0.2.9" {
			t.Errorf("notice %v", n)
		}
		time.Sleep(time.Minute)
		if _, err := ask(t, a, access(10).GetRequestId(), "please", "bob"); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// failing is a store whose seats fail some questions.
type failing struct {
	lease.Store
	left *int
}

type failingSeats struct {
	lease.Seats
	left *int
}

func (s failing) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	seats, err := s.Store.Claim(ctx, group, owner)
	return failingSeats{seats, s.left}, err
}

func (s failingSeats) Ask(ctx context.Context, pool lease.Pool, handle string, n lease.Notice) error {
	if *s.left--; *s.left >= 0 {
		return license.Errorf(license.CodeNoMajority, "try again", "no majority")
	}
	return s.Seats.Ask(ctx, pool, handle, n)
}

// What didn't reach anybody doesn't count: programs try it again by themselves.
func TestAskingThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 30)
		left := 20 // more than one may ask in a minute
		l.start(t, "a", func(c *licenseserver.Config) {
			c.Store, c.AskEveryone, c.Lease = failing{c.Store, &left}, true, time.Hour
		})
		a := l.api(t, "a")
		h := take(t, a, access(1))
		for left > 0 {
			_, err := ask(t, a, h.GetId(), "please", "bob")
			wantCode(t, "without a majority", err, license.CodeNoMajority)
		}
		if id, err := ask(t, a, h.GetId(), "please", "bob"); err != nil || renewIdle(t, a, h.GetToken(), 0).GetNotice().GetId() != id {
			t.Errorf("then: %q, %v", id, err)
		}
		for range 9 {
			_, err := ask(t, a, "request-7777", "please", "bob")
			wantCode(t, "of nobody", err, license.CodeHandleUnknown)
		}
		_, err := ask(t, a, "request-7777", "please", "bob")
		wantCode(t, "guesses are counted", err, license.CodeThrottled)
	})
}
