package clienttools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

const charts = "6000010:14"

// on opens a client on a station.
func (l *protectLab) on(user, host string) *client.Client {
	l.t.Helper()
	c, err := client.Open(l.t.Context(), client.Config{
		Servers: []string{l.server}, User: user, Address: host, Station: host, Application: "charts",
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (l *protectLab) take(c *client.Client, opts ...client.Option) *client.Handle {
	l.t.Helper()
	h, err := c.Access(l.t.Context(), charts, opts...)
	if err != nil {
		l.t.Fatal(err)
	}
	return h
}

func (l *protectLab) quantity(n uint32) {
	l.source.Change(func(o *license.Options) { o.Quantity = n })
}

// Of 23 licenses six instances on one station take 4 and one exclusive elsewhere
// takes 1, so 18 are free.
func TestLsOfTheWorkedExample(t *testing.T) {
	l := newProtectLab(t)
	l.quantity(23)
	one, other := l.on("ada", "10.0.0.134"), l.on("bob", "10.0.0.33")
	for range 3 {
		l.take(one)
		l.take(one, client.WithMode(client.StationShare))
	}
	l.take(other, client.WithMode(client.Exclusive))
	third := l.on("eve", "10.0.0.7")
	for range 2 {
		l.take(third, client.WithMode(client.NoUserLimit))
	}
	out := l.must("", "ls")
	row := regexp.MustCompile(`(?m)^131-4837572 +6000010 +14 +Chart Processing +0xb +23 +18 +3 +1 +1 +2$`)
	if lines := strings.Split(out, "\n"); !row.MatchString(out) ||
		!regexp.MustCompile(`^CONTAINER +FIRM +PRODUCT +NAME +FEATURES +TOTAL +FREE +USER LIMIT +STATION SHARE +EXCLUSIVE +NO USER LIMIT$`).MatchString(lines[0]) {
		t.Errorf("%s", out)
	}
	var all []struct {
		Product, Firm, Code                     string
		Total, Free, TakenTotal, Waiting        uint32
		Taken, TakenLicenses                    map[string]uint32
		Handles                                 []struct{ ID, Client, User, Mode string }
		FeatureMap, Borrowed, HeldBack, Unknown uint32
	}
	if err := json.Unmarshal([]byte(l.must("", "ls", "--json")), &all); err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	a := all[0]
	if a.Firm != "6000010" || a.Code != "14" || a.Total != 23 || a.Free != 18 || a.TakenTotal != 5 || len(a.Handles) != 9 ||
		fmt.Sprint(a.Taken) != "map[EXCLUSIVE:1 NO_USER_LIMIT:2 STATION_SHARE:3 USER_LIMIT:3]" ||
		a.TakenLicenses["STATION_SHARE"] != 1 || a.TakenLicenses["USER_LIMIT"] != 3 || a.TakenLicenses["NO_USER_LIMIT"] != 0 {
		t.Errorf("%+v", a)
	}

	// All handles, and those that take a license.
	out = l.must("", "ls", "--handles", "--admin-token", "secret")
	if strings.Count(out, "\n") != 10 || strings.Count(out, "ada@10.0.0.134") != 6 || strings.Count(out, "station share") != 3 ||
		!strings.HasPrefix(out, "HANDLE ") {
		t.Errorf("%s", out)
	}
	out = l.must("", "ls", "--taking", "--product", charts)
	if strings.Count(out, "\n") != 6 || strings.Contains(out, "no user limit") {
		t.Errorf("%s", out)
	}
	var handles []listedHandle
	if err := json.Unmarshal([]byte(l.must("", "ls", "--taking", "--json", "--admin-token", "secret")), &handles); err != nil || len(handles) != 5 {
		t.Fatal(handles, err)
	}
	taken := uint32(0)
	for _, h := range handles {
		taken += h.Takes
		if h.Product != charts || h.Application != "charts" || h.Process == 0 || h.User == "" || h.Station != h.Client || h.Expires == nil ||
			h.FirstAccess.IsZero() || h.Accesses == 0 || h.RemainingMS <= 0 {
			t.Errorf("%+v", h)
		}
	}
	if taken != 5 {
		t.Errorf("they take %d", taken)
	}
	if out := l.must("", "ls", "--handles", "--product", "6000010:15"); out != "no handles\n" {
		t.Errorf("%q", out)
	}
	if out := l.must("", "ls", "--product", "6000010:15"); out != "no licenses here\n" {
		t.Errorf("%q", out)
	}
	if out := l.must("", "ls", "--waiting"); out != "nobody waits\n" {
		t.Errorf("%q", out)
	}
	l.refused("INVALID_INPUT", "", "ls", "--waiting", "--product", "x")
	if _, _, status := l.quorate("", "ls", "--waiting", "--handles"); status != cli.ExitUsage {
		t.Errorf("exit status %d", status)
	}
}

func TestLsShowsWhatIsBorrowedAndMore(t *testing.T) {
	var out bytes.Buffer
	err := printLicenses(&out, []client.License{
		{
			Product: "6000010:14", Container: "130-1", Name: "Charts", Total: 9, Free: 1, Usable: true, Borrowed: 3, Waiting: 2, HeldBack: 1, Lingering: 4,
			Taken: map[client.Mode]uint32{client.UserLimit: 4}, TakenLicenses: map[client.Mode]uint32{client.UserLimit: 5, client.Exclusive: 1},
		},
		{Product: "600010:7", Container: "130-1", Name: "Local", Usable: true},
	}, []client.Allocation{
		{Product: "6000010:14", Mode: client.UserLimit, Takes: 2, Borrowed: true}, {Product: "6000010:14", Mode: client.UserLimit, Takes: 3},
		{Product: "6000010:14", Mode: client.Exclusive, Takes: 1, Borrowed: true}, {Product: "600010:7", Mode: client.UserLimit, Takes: 5, Borrowed: false},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `CONTAINER  FIRM     PRODUCT  NAME    FEATURES  TOTAL       FREE  USER LIMIT  STATION SHARE  EXCLUSIVE  NO USER LIMIT
130-1      6000010  14       Charts  0x0       9           1     5 (2)       0              1 (1)      0
130-1      600010   7        Local   0x0       local only  -     0           0              0          0
6000010:14: 4 lingering, 1 held back for others, 2 waiting
`
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	now := time.Date(2026, 11, 22, 15, 4, 5, 0, time.Local)
	err = printHandles(&out, []client.Allocation{{
		Product: "6000010:14", ID: "h-1", User: "ada", Address: "pc-1", Process: 7, Application: "charts", Mode: client.UserLimit, Takes: 2, Borrowed: true,
		Accesses: 3, FirstAccess: now, LastAccess: now.Add(time.Minute), Expires: now.Add(time.Hour), Idle: 90 * time.Second,
	}})
	want = `HANDLE  PRODUCT     CLIENT    PROCESS  APPLICATION  MODE        TAKES  ACCESSES  FIRST ACCESS         LAST ACCESS          EXPIRES              IDLE
h-1     6000010:14  ada@pc-1  7        charts       user limit  (2)    3         2026-11-22 15:04:05  2026-11-22 15:05:05  2026-11-22 16:04:05  1m30s
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	err = printWaiting(&out, []client.Waiter{{Product: "6000010:14", Position: 1, Address: "pc-2", Application: "charts", Mode: client.Exclusive, Licenses: 4, Priority: 9, Since: now}})
	want = `PRODUCT     PLACE  CLIENT  PROCESS  APPLICATION  MODE       LICENSES  PRIORITY  SINCE
6000010:14  1      pc-2    0        charts       exclusive  4         9         2026-11-22 15:04:05
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// What programs say of themselves goes to an administrator's terminal.
func TestListsShowNoTricks(t *testing.T) {
	const trick = "ada\u202e\u2028\x1b[2J"
	var out bytes.Buffer
	err := printHandles(&out, []client.Allocation{{Product: "6000010:14", ID: "1", User: trick, Address: trick, Application: trick}})
	if err == nil {
		err = printWaiting(&out, []client.Waiter{{Product: "6000010:14", User: trick, Address: trick, Application: trick}})
	}
	if err == nil {
		err = printLicenses(&out, []client.License{{Product: "6000010:14", Name: trick}}, nil)
	}
	(&Run{Product: charts}).notice(&out, client.Notice{By: trick, Text: trick})
	if err == nil {
		r := lmReport{now: time.Now(), servers: []lmServer{{host: trick, port: "1", active: true}}}
		r.licenses = []client.License{{Product: "6000010:14", Name: trick, Total: 1, Usable: true}}
		r.handles = []client.Allocation{{Product: "6000010:14", User: trick, Address: trick, Station: trick, Takes: 1}}
		err = r.write(&out)
	}
	if got := out.String(); err != nil || strings.Count(got, "ada") < 12 || strings.ContainsAny(got, "\u202e\u2028\x1b") {
		t.Errorf("%v, %q", err, got)
	}
}

// safe is a buffer that a command writes while a test reads.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// started is a command under way.
type started struct {
	out, errs safe
	in        *io.PipeWriter
	status    chan int
}

func (l *protectLab) start(ctx context.Context, args ...string) *started {
	l.t.Helper()
	r, w := io.Pipe()
	s := &started{in: w, status: make(chan int, 1)}
	go func() { s.status <- run(ctx, args, cli.Streams{In: r, Out: &s.out, Err: &s.errs}) }()
	l.t.Cleanup(func() { _ = w.Close() })
	return s
}

func (s *started) says(t *testing.T, want string) {
	t.Helper()
	testenv.Eventually(t, 20*time.Second, func() error {
		if got := s.errs.String(); !strings.Contains(got, want) {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
}

// Who runs a program learns that somebody asks for its license, and can wait for
// one.
func TestRunWaitsAndIsAsked(t *testing.T) {
	l := newProtectLab(t)
	holder := l.start(t.Context(), "run", "--product", charts, "--station", "desk 7", "--", "cat")
	var id string
	testenv.Eventually(t, 10*time.Second, func() error {
		h, err := l.handles()
		if err == nil && len(h) != 1 {
			err = fmt.Errorf("%v", h)
		}
		if err == nil {
			id = h[0].ID
			if h[0].Station != "desk 7" {
				t.Errorf("%+v", h[0])
			}
		}
		return err
	})
	l.refused("NO_FREE_SEAT", "", "run", "--product", charts, "--", "true")
	l.refused("NO_FREE_SEAT", "", "run", "--product", charts, "--wait", "10ms", "--", "true")
	waiter := l.start(t.Context(), "run", "--product", charts, "--wait", "1m", "--", "true")
	testenv.Eventually(t, 10*time.Second, func() error {
		if out := l.must("", "ls", "--waiting", "--admin-token", "secret"); strings.Count(out, charts) != 1 {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	l.refused("UNAUTHENTICATED", "", "ask", id)
	if out := l.must("", "ask", id, "--text", "at ten, please", "--by", "bob", "--admin-token", "secret"); out != "asked for "+id+"\n" {
		t.Errorf("%q", out)
	}
	l.refused("HANDLE_UNKNOWN", "", "ask", "11111111-1111", "--admin-token", "secret")
	holder.says(t, "quorate: bob asks you to release 6000010:14: at ten, please\n")
	_ = waiter.in.Close()
	waiter.says(t, "quorate: waiting for 6000010:14 at place 1 of 1")
	if err := holder.in.Close(); err != nil {
		t.Fatal(err)
	}
	if a, b := <-holder.status, <-waiter.status; a != 0 || b != 0 {
		t.Errorf("exit statuses %d, %d\n%s%s", a, b, holder.errs.String(), waiter.errs.String())
	}
}

func TestRunTakesSeveralLicensesInAllModes(t *testing.T) {
	l := newProtectLab(t)
	l.quantity(5)
	for _, args := range []string{"", "--mode user-limit --licenses 5", "--mode station-share --station x", "--mode exclusive --licenses 2", "--mode no-user-limit --licenses 9"} {
		l.must("", append(append([]string{"run", "--product", charts}, strings.Fields(args)...), "--", "true")...)
	}
	l.refused("NO_FREE_SEAT", "", "run", "--product", charts, "--licenses", "6", "--", "true")
	l.take(l.on("ada", "desk"))
	l.refused("STATION_BUSY", "", "run", "--product", charts, "--mode", "exclusive", "--station", "desk", "--", "true")
	if out, _, status := l.quorate("", "why", charts, "--licenses", "5"); status != 1 || !strings.Contains(out, "NO_FREE_SEAT") {
		t.Errorf("exit status %d\n%s", status, out)
	}
	l.refused("INVALID_INPUT", "", "run", "--product", charts, "--borrow", "soon", "--", "true")
	l.refused("INVALID_INPUT", "", "run", "--product", charts, "--borrow", "0s", "--", "true")
	if _, _, status := l.quorate("", "run", "--product", charts, "--mode", "free", "--", "true"); status != cli.ExitUsage {
		t.Errorf("exit status %d", status)
	}
}

func TestReleaseCommand(t *testing.T) {
	l := newProtectLab(t)
	l.quantity(9)
	ada, bob := l.on("ada", "pc-1"), l.on("bob", "pc-1")
	first, second := l.take(ada), l.take(ada)
	for range 2 {
		l.take(bob)
	}
	left := func(want int) {
		t.Helper()
		if h, err := l.handles(); err != nil || len(h) != want {
			t.Errorf("%d handles, want %d: %v", len(h), want, err)
		}
	}
	admin := []string{"--admin-token", "secret"}
	release := func(args ...string) []string { return append(append([]string{"release"}, args...), admin...) }
	l.refused("UNAUTHENTICATED", "", "release", first.Info().ID)
	if out := l.must("", release(first.Info().ID)...); out != "removed "+first.Info().ID+"\n" {
		t.Errorf("%q", out)
	}
	l.must("", release(charts, second.Info().ID)...)
	left(2)
	<-first.Done()
	if client.CodeOf(first.Err()) != client.CodeHandleRemoved {
		t.Errorf("%v", first.Err())
	}
	l.refused("HANDLE_UNKNOWN", "", release(first.Info().ID)...)
	l.take(ada)
	if out := l.must("", release("--all-of", "BOB@pc-1")...); strings.Count(out, "removed ") != 2 || strings.Count(out, " of "+charts) != 2 {
		t.Errorf("%q", out)
	}
	left(1)
	l.refused("NOT_FOUND", "", release("--all-of", "bob@pc-1")...)
	l.refused("NOT_FOUND", "", release("--all-of=@pc-9")...)
	l.must("", release("--all-of=@pc-1", "--product", charts)...)
	left(0)
	l.take(bob)
	l.must("", release("--all-of", "bob@")...)
	left(0)
	l.take(l.on("eve@corp", "pc-3"))
	l.must("", release("--all-of", "eve@corp@pc-3")...)
	left(0)
	for _, args := range [][]string{{}, {"a", "b", "c"}, {"a", "--all-of", "x@y"}, {"--all-of=@"}, {"--all-of", "ada"}, {"a", "--product", charts}} {
		l.refused("INVALID_INPUT", "", release(args...)...)
	}
}

func TestProtoCommand(t *testing.T) {
	l := newProtectLab(t)
	text := l.must("", "proto")
	if !strings.Contains(text, "\nservice LicenseService {") || strings.Contains(text, "\nimport ") {
		t.Errorf("%.200s", text)
	}
	if out := l.must("", "proto", "--out", l.path("p")); out != l.path("p/quorate/v1/license.proto")+"\n" || l.read("p/quorate/v1/license.proto") != text {
		t.Errorf("%q", out)
	}
	l.refused("UNAVAILABLE", "", "proto", "--out", l.write("file", "x"))
}
