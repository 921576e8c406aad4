package clienttools

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

func TestLmstatReport(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2021, 11, 22, hour, 4, 0, 0, time.Local) }
	r := lmReport{
		now:     at(15),
		servers: []lmServer{{"licenses-a", "7400", true, true}, {"licenses-b", "7400", true, false}, {"licenses-c", "7400", false, false}},
		licenses: []client.License{
			{Product: "6000010:14", Name: "Chart Processing", Total: 23, TakenTotal: 5, Usable: true},
			{Product: "6000010:15", Name: "Viewer", Total: 1, Usable: true},
			{Product: "600010:1", Name: "Local", Usable: true},
			{Product: "600010:2", Name: "Viewer", Total: 3, WhyNot: client.CodeLicenseExpired},
			{Product: "600010:3", Total: 2, TakenTotal: 1, Usable: true, Until: time.Date(2027, 1, 2, 0, 0, 0, 0, time.Local)},
		},
		handles: []client.Allocation{
			{Product: "6000010:14", User: "ada", Address: "pc 1", Station: "seat-1", Seat: 7, Takes: 4, FirstAccess: at(9)},
			{Product: "6000010:14", User: "ada", Address: "pc 1", Station: "seat-1", Seat: 8, FirstAccess: at(9)},
			{Product: "6000010:14", Address: "10.0.0.33", Station: "computer-2", Seat: 9, Takes: 1, FirstAccess: at(15), Borrowed: true, Remaining: time.Hour},
			{Product: "600010:3", User: "bob", Address: "pc-2", Station: "s", Seat: 1, Takes: 1, FirstAccess: at(0)},
		},
		waiting: []client.Waiter{{Product: "6000010:14", User: "eve", Address: "pc-3", Station: "s", Position: 1, Licenses: 2}},
	}
	const want = `lmstat - Quorate
Flexible License Manager status on Mon 11/22/2021 15:04

License server status: 7400@licenses-a,7400@licenses-b,7400@licenses-c

licenses-a: license server UP (MASTER) v1.0

licenses-b: license server UP v1.0

licenses-c: license server DOWN

Vendor daemon status (on licenses-a):

   6000010: UP v1.0
    600010: UP v1.0

Feature usage info:

Users of Chart_Processing:  (Total of 23 licenses issued;  Total of 5 licenses in use)

  "Chart_Processing" v1.0, vendor: 6000010, expiry: permanent(no expiration date)
  floating license

    ada pc_1 seat-1 (v1.0) (licenses-a/7400 7), start Mon 11/22 9:04, 4 licenses
    - 10.0.0.33 computer-2 (v1.0) (licenses-a/7400 9), start Mon 11/22 15:04 (linger: 3600)
    eve pc-3 s (v1.0) (licenses-a/7400 1) queued for 2 licenses

Users of Viewer_15:  (Total of 1 license issued;  Total of 0 licenses in use)

Users of Local:  (Uncounted, node-locked)

Users of Viewer_2:  (Error: 3 licenses, LICENSE_EXPIRED)

Users of -_3:  (Total of 2 licenses issued;  Total of 1 license in use)

  "-_3" v1.0, vendor: 600010, expiry: 02-jan-2027
  floating license

    bob pc-2 s (v1.0) (licenses-a/7400 1), start Mon 11/22 0:04

`
	var out bytes.Buffer
	if err := r.write(&out); err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
	r.feature = "Local"
	out.Reset()
	if err := r.write(&out); err != nil || strings.Count(out.String(), "Users of") != 1 {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := r.write(broken{}); err == nil {
		t.Error("a write that failed isn't told")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) {
	return 0, license.Errorf(license.CodeUnavailable, "x", "the pipe is closed")
}

// What scripts look for, as they look for it.
func TestLmstatForScripts(t *testing.T) {
	l := newProtectLab(t)
	l.quantity(23)
	c := l.on("ada", "pc-1")
	l.take(c)
	l.take(c, client.WithMode(client.NoUserLimit))
	l.take(c, client.WithLicenses(4))
	out := l.must("", "lmstat", "-a", "--admin-token", "secret")
	for _, pattern := range []string{
		`(?m)^Users of (\S+):  \(Total of (\d+) licenses? issued;  Total of (\d+) licenses? in use\)$`,
		`(?m)^ +(\S+) (\S+) (\S+) \(v([\d.]+)\) \((\S+)/(\d+) (\d+)\), start (\w{3} \d+/\d+ \d+:\d{2})$`,
		`(?m)^ +(\S+) (\S+) (\S+) \(v([\d.]+)\) \((\S+)/(\d+) (\d+)\), start (\w{3} \d+/\d+ \d+:\d{2}), (\d+) licenses$`,
		`license server UP`, `(?m)^ +\S+: UP v`,
	} {
		if !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("%s finds nothing in\n%s", pattern, out)
		}
	}
	if !strings.Contains(out, "Users of Chart_Processing:  (Total of 23 licenses issued;  Total of 5 licenses in use)") || strings.Count(out, "ada pc-1") != 2 {
		t.Errorf("%s", out)
	}
	// One that is down beside it, and all down.
	out = l.must("", "lmstat", "-a", "--server", "http://127.0.0.1:1", "--server", l.server, "--wait", "300ms")
	if !strings.Contains(out, "127.0.0.1: license server DOWN\n") || !strings.Contains(out, "license server UP (MASTER)") {
		t.Errorf("%s", out)
	}
	out, errs, status := l.quorate("", "lmstat", "--server", "http://127.0.0.1:1", "--wait", "100ms")
	if status != 1 || errs != "" || !strings.Contains(out, "license server DOWN") || strings.Contains(out, "Users of") {
		t.Errorf("exit status %d\n%s%s", status, out, errs)
	}
}

// standby is the other server of a pair.
type standby struct {
	quoratev1connect.UnimplementedLicenseServiceHandler
	asked atomic.Int32
}

func (s *standby) ListLicenses(context.Context, *connect.Request[quoratev1.ListLicensesRequest]) (*connect.Response[quoratev1.ListLicensesResponse], error) {
	s.asked.Add(1)
	return nil, license.Errorf(license.CodeNotLeader, "ask the other one", "this server is not the active one")
}

// A healthy pair is told of at once: its standby is asked once.
func TestLmstatOfAPair(t *testing.T) {
	l := newProtectLab(t)
	s, mux := new(standby), http.NewServeMux()
	mux.Handle(quoratev1connect.NewLicenseServiceHandler(s, rpc.HandlerOptions(slog.New(slog.DiscardHandler))))
	web := httptest.NewServer(mux)
	defer web.Close()
	out := l.must("", "lmstat", "--server", web.URL, "--server", l.server)
	if !strings.Contains(out, "license server UP v1.0\n") || !strings.Contains(out, "license server UP (MASTER) v1.0\n") {
		t.Errorf("%s", out)
	}
	if n := s.asked.Load(); n > 2 { // once for its state, once for the lists
		t.Errorf("the standby was asked %d times", n)
	}
	// With no active one it is waited for.
	out, _, status := l.quorate("", "lmstat", "--server", web.URL, "--wait", "500ms")
	if status != 1 || !strings.Contains(out, "license server UP v1.0\n") || s.asked.Load() < 4 {
		t.Errorf("exit status %d, asked %d times\n%s", status, s.asked.Load(), out)
	}
}
