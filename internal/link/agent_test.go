package link_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/tmr"
)

// The live group is what the link is made for.
var (
	_ link.Executor = (*tmr.Group)(nil)
	_ link.Views    = (*tmr.Group)(nil)
)

var product = license.Product{Firm: 6000010, Code: 14}

type executor struct {
	mu     sync.Mutex
	calls  map[string]int
	before func(call string) error // may block
}

func (e *executor) called(call string) error {
	e.mu.Lock()
	if e.calls == nil {
		e.calls = make(map[string]int)
	}
	e.calls[call]++
	f := e.before
	e.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(call)
}

func (e *executor) count(call string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[call]
}

func (e *executor) Collect(_ context.Context, nonce []byte) (out [3][]byte, err error) {
	for i := range out {
		out[i] = append([]byte{byte(i + 1)}, nonce...)
	}
	return out, e.called("Collect")
}

func (e *executor) Stage(context.Context, []*quoratev1.BackendUpdate) error { return e.called("Stage") }

func (e *executor) Statements(_ context.Context, position int, nonce []byte) (out [3][]byte, err error) {
	for i := range out {
		if i != position-1 {
			out[i] = append([]byte{byte(i + 1)}, nonce...)
		}
	}
	return out, e.called("Statements")
}

func (e *executor) Activate(_ context.Context, position int, _ *quoratev1.BackendUpdate) ([]byte, error) {
	return []byte{byte(position)}, e.called("Activate")
}

func (e *executor) Verify(ctx context.Context, position int, expect map[license.Product]uint32, settle time.Duration) error {
	if position != 2 || expect[product] != 8 || settle != 300*time.Millisecond {
		return license.Errorf(license.CodeInvalidInput, "x", "verify %d %v %v", position, expect, settle)
	}
	return e.called("Verify")
}

func (e *executor) Remove(_ context.Context, p license.Product, handle, by string) error {
	if p != product || handle == "" || by != "admin" {
		return license.Errorf(license.CodeInvalidInput, "x", "remove %v %s %s", p, handle, by)
	}
	return e.called("Remove " + handle)
}

func (e *executor) Ask(_ context.Context, p license.Product, handle string, n lease.Notice) error {
	if p != product || handle == "" || n != (lease.Notice{ID: "ask", Text: "please", By: "admin"}) {
		return license.Errorf(license.CodeInvalidInput, "x", "ask %v %s %v", p, handle, n)
	}
	return e.called("Ask " + handle)
}

type leadership struct{ leading, epoch atomic.Uint64 }

func (l *leadership) get() (bool, uint64) { return l.leading.Load() == 1, l.epoch.Load() }

// lab is an agent with its platform, in a synctest bubble.
type lab struct {
	t        *testing.T
	platform *platform
	executor *executor
	history  *history
	leads    *leadership
	conf     link.Config
	log      *lockedBuffer
	agent    *link.Agent
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func bubble(t *testing.T, f func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, platform: newPlatform(t), executor: new(executor), history: newHistory(), leads: new(leadership), log: new(lockedBuffer)}
		l.leads.leading.Store(1)
		l.leads.epoch.Store(7)
		l.conf = link.Config{
			Server: "tmr-a", URL: "http://platform", Token: token, Leading: l.leads.get,
			Executor: l.executor, Remove: l.executor.Remove, Ask: l.executor.Ask, Views: l.history, Events: l.history.Events,
			Clients: func() uint32 { return 12 }, Logger: slog.New(slog.NewTextHandler(l.log, nil)),
			Dial: l.platform.network.Dial,
		}
		defer func() {
			if l.agent != nil {
				l.agent.Stop()
			}
			if strings.Contains(l.log.String(), token) {
				t.Error("the token is in the log")
			}
		}()
		f(t, l)
	})
}

func (l *lab) start() {
	l.t.Helper()
	a, err := link.New(l.conf)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := a.Start(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	l.agent = a
}

func removal(id, handle string) *quoratev1.Work {
	return &quoratev1.Work{Id: id, Kind: &quoratev1.Work_Remove{Remove: &quoratev1.RemoveWork{
		Product: rpc.ProductProto(product), Handle: handle, By: "admin",
	}}}
}

func asking(id, handle string) *quoratev1.Work {
	return &quoratev1.Work{Id: id, Kind: &quoratev1.Work_Ask{Ask: &quoratev1.AskWork{
		Product: rpc.ProductProto(product), Handle: handle, By: "admin", Text: "please",
	}}}
}

func verification(id string) *quoratev1.Work {
	return &quoratev1.Work{Id: id, Kind: &quoratev1.Work_Verify{Verify: &quoratev1.VerifyWork{
		Position: 2, SettleMs: 300, Expect: []*quoratev1.ProductTMRID{{Product: rpc.ProductProto(product), TmrId: 8}},
	}}}
}

func collection(id string) *quoratev1.Work {
	return &quoratev1.Work{Id: id, Kind: &quoratev1.Work_Collect{Collect: &quoratev1.CollectWork{Nonce: []byte("n")}}}
}

func activation(id string) *quoratev1.Work {
	return &quoratev1.Work{Id: id, Kind: &quoratev1.Work_Activate{Activate: &quoratev1.ActivateWork{Position: 3, Update: &quoratev1.BackendUpdate{Position: 3}}}}
}

func (l *lab) reported(within time.Duration, ids ...string) {
	l.t.Helper()
	for _, id := range ids {
		eventually(l.t, within, "report of "+id, func() bool { return l.platform.report(id) != nil })
	}
}

func TestEachKindOfWork(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.start()
		l.platform.add(
			collection("collect"),
			&quoratev1.Work{Id: "stage", Kind: &quoratev1.Work_Stage{Stage: &quoratev1.StageWork{}}},
			&quoratev1.Work{Id: "guard", Kind: &quoratev1.Work_Guard{Guard: &quoratev1.GuardWork{Position: 2, Nonce: []byte("n")}}},
			activation("activate"), verification("verify"), removal("remove", "h"), asking("ask", "h"),
			&quoratev1.Work{Id: "unknown"},
		)
		l.reported(time.Second, "collect", "stage", "guard", "activate", "verify", "remove", "ask", "unknown")
		for _, id := range []string{"collect", "stage", "guard", "activate", "verify", "remove", "ask"} {
			if e := l.platform.report(id).GetError(); e != nil {
				t.Errorf("%s failed: %v", id, e)
			}
		}
		if f := l.platform.report("collect").GetFingerprints(); len(f) != 3 || f[2].GetPosition() != 3 || string(f[2].GetData()) != "\x03n" {
			t.Errorf("fingerprints %v", f)
		}
		if s := l.platform.report("guard").GetStatements(); len(s) != 2 || s[1].GetPosition() != 3 || string(s[1].GetData()) != "\x03n" {
			t.Errorf("statements %v", s)
		}
		if r := l.platform.report("activate").GetReceipt(); string(r) != "\x03" {
			t.Errorf("receipt %v", r)
		}
		if e := l.platform.report("unknown").GetError(); e.GetCode() != string(license.CodeFormatUnknown) {
			t.Errorf("unknown work: %v", e)
		}
	})
}

func TestFailedWorkIsReported(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.executor.before = func(call string) error {
			switch call {
			case "Collect":
				return license.Errorf(license.CodeBackendAbsent, "start it", "backend 2 does not answer")
			case "Remove gone", "Ask gone":
				return license.Errorf(license.CodeHandleUnknown, "x", "no such handle")
			case "Remove odd":
				return context.DeadlineExceeded
			}
			return nil
		}
		l.start()
		l.platform.add(collection("collect"), removal("gone", "gone"), removal("odd", "odd"), asking("ask", "gone"))
		l.reported(time.Second, "gone", "odd", "ask")
		if e := l.platform.report("ask").GetError(); e.GetCode() != "HANDLE_UNKNOWN" {
			t.Errorf("a holder that is gone was asked: %v", e)
		}
		l.reported(15*time.Second, "collect")
		if e := l.platform.report("collect").GetError(); e.GetCode() != "BACKEND_ABSENT" || e.GetMessage() != "backend 2 does not answer" || e.GetFix() != "start it" {
			t.Errorf("collect: %v", e)
		}
		if e := l.platform.report("gone").GetError(); e != nil {
			t.Errorf("a handle that is gone already: %v", e)
		}
		if e := l.platform.report("odd").GetError(); e.GetCode() != "UNAVAILABLE" {
			t.Errorf("odd: %v", e)
		}
	})
}

func TestABackendThatIsAwayForAMomentFailsNoWork(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		var mu sync.Mutex
		tries := 0
		l.executor.before = func(string) error {
			mu.Lock()
			defer mu.Unlock()
			if tries++; tries < 4 {
				return license.Errorf(license.CodeBackendAbsent, "start it", "backend 2 does not answer")
			}
			return nil
		}
		l.start()
		l.platform.add(collection("collect"))
		l.reported(5*time.Second, "collect")
		if e := l.platform.report("collect").GetError(); e != nil {
			t.Errorf("collect: %v", e)
		}
	})
}

func TestServerWithoutBackendsRefusesTheirWork(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.conf.Executor, l.conf.Remove, l.conf.Ask, l.conf.Views, l.conf.Events, l.conf.Leading = nil, nil, nil, nil, nil, nil
		l.start()
		l.platform.add(collection("collect"), removal("remove", "h"), asking("ask", "h"))
		l.reported(time.Second, "collect", "remove", "ask")
		for _, id := range []string{"collect", "remove", "ask"} {
			if e := l.platform.report(id).GetError(); e.GetCode() != "INVALID_INPUT" {
				t.Errorf("%s: %v", id, e)
			}
		}
	})
}

func TestSlowWorkHoldsNothingUp(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		verified := make(chan struct{})
		verify := sync.OnceFunc(func() { close(verified) })
		defer verify() // else the agent would wait for it for ever after a failure
		l.executor.before = func(call string) error {
			if call == "Verify" {
				<-verified
			}
			return nil
		}
		l.start()
		l.platform.add(verification("verify"))
		time.Sleep(5 * time.Second)
		l.platform.add(removal("remove", "h"))
		l.reported(300*time.Millisecond, "remove")
		time.Sleep(5 * time.Second)
		if n := l.executor.count("Verify"); n != 1 {
			t.Errorf("the slow work was started %d times", n)
		}
		l.platform.mu.Lock()
		pulls := l.platform.pulls
		l.platform.mu.Unlock()
		if pulls > 100 {
			t.Errorf("%d pulls in 10 s", pulls)
		}
		verify()
		l.reported(300*time.Millisecond, "verify")
		if n := l.executor.count("Verify"); n != 1 {
			t.Errorf("the slow work was done %d times", n)
		}
	})
}

func TestReportsSurviveErrors(t *testing.T) {
	for name, done := range map[string]bool{"failed": false, "failed but persisted": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				var left atomic.Int64
				left.Store(5)
				l.platform.setFault(func(call string, d bool) error {
					if call == "Report" && d == done && left.Load() > 0 {
						left.Add(-1)
						return license.Errorf(license.CodeUnavailable, "x", "told to fail")
					}
					return nil
				})
				l.start()
				l.platform.add(activation("activate"))
				eventually(t, 30*time.Second, "the row of failures", func() bool { return left.Load() == 0 })
				l.reported(10*time.Second, "activate")
				time.Sleep(10 * time.Second)
				if n := l.executor.count("Activate"); n != 1 {
					t.Errorf("done %d times", n)
				}
			})
		})
	}
}

// However long the platform is away, what is due is done and reported in the end.
func TestWorkSurvivesALongOutage(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.executor.before = func(string) error {
			if l.executor.count("Activate") == 1 {
				l.platform.kill() // between the work and its report
			}
			return nil
		}
		l.start()
		l.platform.add(activation("activate"))
		time.Sleep(10 * time.Minute)
		l.platform.start()
		l.reported(30*time.Second, "activate")
		if r := l.platform.report("activate"); r.GetError() != nil || string(r.GetReceipt()) != "\x03" {
			t.Errorf("report %v", r)
		}
	})
}

func TestRefusedReportsAreNotHammered(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		var reports atomic.Int64
		l.platform.setFault(func(call string, d bool) error {
			if call == "Report" && !d {
				reports.Add(1)
				return license.Errorf(license.CodeNotFound, "x", "no such work")
			}
			return nil
		})
		l.start()
		l.platform.add(removal("remove", "h"))
		time.Sleep(20 * time.Second)
		l.agent.Stop()
		if n := reports.Load(); n < 2 || n > 12 {
			t.Errorf("%d reports in 20 s", n)
		}
	})
}

func TestStandbyDoesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.leads.leading.Store(0)
		l.start()
		l.platform.add(removal("remove", "h"))
		for range 20 {
			l.history.view()
			l.history.event()
			time.Sleep(time.Second)
		}
		if p := l.platform.lastPush(); p.GetLeading() || p.GetEpoch() != 0 || len(p.GetHealth()) != 3 || p.GetServer() != "tmr-a" {
			t.Errorf("pushed %v", p)
		}
		if l.executor.count("Remove h") != 0 || len(l.platform.allEvents()) != 0 || len(l.platform.viewsOf(0))+len(l.platform.viewsOf(7)) != 0 {
			t.Error("a standby works or reports")
		}
		// It takes over: work, the present view and all events come at once.
		l.leads.epoch.Store(8)
		l.leads.leading.Store(1)
		l.reported(300*time.Millisecond, "remove")
		eventually(t, 300*time.Millisecond, "the view and the events", func() bool {
			return len(l.platform.viewsOf(8)) == 1 && len(l.platform.allEvents()) == 20
		})
		if v := l.platform.viewsOf(8); v[0] != 25 {
			t.Errorf("the first view is %d", v[0])
		}
		// It loses and wins again, under a newer epoch.
		l.leads.leading.Store(0)
		time.Sleep(2 * time.Second)
		l.history.view()
		l.leads.epoch.Store(9)
		l.leads.leading.Store(1)
		eventually(t, 300*time.Millisecond, "the view of the next term", func() bool { return len(l.platform.viewsOf(9)) == 1 })
		if v := l.platform.viewsOf(8); len(v) != 1 {
			t.Errorf("the old epoch has %v", v)
		}
	})
}

func TestStopAndRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		hold := make(chan struct{})
		l.executor.before = func(string) error { <-hold; return nil }
		time.AfterFunc(2*time.Second, func() { close(hold) })
		l.start()
		l.platform.add(activation("activate"))
		time.Sleep(time.Second)
		l.agent.Stop()
		l.agent.Stop()
		if l.platform.report("activate") != nil {
			t.Error("work that was given up is reported")
		}
		if err := l.agent.Start(t.Context()); err == nil {
			t.Error("a stopped link starts")
		}
		for name, spoil := range map[string]func(*link.Config){
			"address": func(c *link.Config) { c.URL = "platform" },
			"scheme":  func(c *link.Config) { c.URL = "ftp://platform" },
			"server":  func(c *link.Config) { c.Server = "" },
			"token":   func(c *link.Config) { c.Token = "" },
		} {
			c := l.conf
			spoil(&c)
			if _, err := link.New(c); license.CodeOf(err) != license.CodeInvalidInput {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestWrongToken(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.conf.Token = "another"
		l.start()
		time.Sleep(time.Minute)
		if log := l.log.String(); !strings.Contains(log, "UNAUTHENTICATED") || strings.Count(log, "\n") > 4 {
			t.Errorf("logged:\n%s", log)
		}
	})
}

func TestEventProto(t *testing.T) {
	at := time.UnixMilli(1234567890123)
	m := link.EventProto(lease.Event{
		Position: 9, Kind: lease.Denied, At: at, Handle: "h", Pool: lease.Pool{Product: product}, Mode: license.UserLimit, Station: "s",
		Client: lease.Client{Address: "a", User: "u", Process: 4, Application: "app"}, Seat: 3, N: 2, Reason: license.CodeNoFreeSeat, By: "b",
		Licenses: 4, Rule: "cap 3", Seq: 77, Borrowed: true,
	})
	c := m.GetClient()
	if m.GetPosition() != 9 || m.GetKind() != "DENIED" || m.GetAtMs() != at.UnixMilli() || m.GetHandle() != "h" || m.GetProduct().GetCode() != 14 ||
		m.GetMode() != quoratev1.AccessMode_ACCESS_MODE_USER_LIMIT || m.GetSeat() != 3 || m.GetN() != 2 || m.GetReason() != "NO_FREE_SEAT" ||
		m.GetBy() != "b" || m.GetLicenses() != 4 || m.GetRule() != "cap 3" || m.GetSeq() != 77 || !m.GetBorrowed() || c.GetAddress() != "a" || c.GetUser() != "u" || c.GetProcess() != 4 || c.GetApplication() != "app" || c.GetStation() != "s" {
		t.Errorf("got %v", m)
	}
}
