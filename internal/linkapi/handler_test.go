package linkapi_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/linkapi"
	"github.com/quorate/quorate/internal/platform/clocks"
	"github.com/quorate/quorate/internal/platform/enrollments"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/platform/views"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

var chart = license.Product{Firm: 6000010, Code: 14}

// fake records what reaches the use cases.
type fake struct {
	due       []tasks.LinkWork
	err       error
	leading   bool
	wait      time.Duration
	report    tasks.LinkReport
	push      links.LinkPush
	who       auth.Principal
	calls     int
	questions []clocks.TimeQuestion
	enrolling enrollments.Enrolling
}

func (f *fake) AuthenticateLink(_ context.Context, token string) (auth.Principal, error) {
	if token != "good" {
		return auth.Principal{}, license.Errorf(license.CodeUnauthenticated, "give the server a new one", "the link token is not known")
	}
	return auth.Principal{Kind: auth.KindServer, ID: "srv_1", Organization: "org_1", Name: "a", Group: "tmr_1"}, nil
}

func (f *fake) called(ctx context.Context) {
	f.who, _ = auth.From(ctx)
	f.calls++
}

func (f *fake) Pull(ctx context.Context, leading bool, wait time.Duration) ([]tasks.LinkWork, error) {
	f.called(ctx)
	f.leading, f.wait = leading, wait
	return f.due, f.err
}

func (f *fake) Report(ctx context.Context, r tasks.LinkReport) error {
	f.called(ctx)
	f.report = r
	return f.err
}

func (f *fake) Push(ctx context.Context, push links.LinkPush) (links.LinkPosition, error) {
	f.called(ctx)
	f.push = push
	return links.LinkPosition{ViewVersion: 4, EventPosition: 9, RulesDigest: "digest"}, f.err
}

type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b != "" {
		r.Header.Set("Authorization", string(b))
	}
	return http.DefaultTransport.RoundTrip(r)
}

func client(t *testing.T, f *fake, authorization string) quoratev1connect.LinkServiceClient {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(linkapi.Handler(f, slog.New(slog.DiscardHandler)))
	s := httptest.NewServer(rpc.Handler(mux))
	t.Cleanup(s.Close)
	return quoratev1connect.NewLinkServiceClient(&http.Client{Transport: bearer(authorization)}, s.URL, rpc.ClientOptions())
}

func TestWhoMayCall(t *testing.T) {
	for name, c := range map[string]struct {
		authorization, server string
		code                  license.Code
	}{
		"good":         {"Bearer good", "a", ""},
		"other case":   {"bearer good", "a", ""},
		"no token":     {"", "a", license.CodeUnauthenticated},
		"empty":        {"Bearer ", "a", license.CodeUnauthenticated},
		"other scheme": {"Basic good", "a", license.CodeUnauthenticated},
		"bad token":    {"Bearer bad", "a", license.CodeUnauthenticated},
		"other server": {"Bearer good", "b", license.CodeForbidden},
		"no server":    {"Bearer good", "", license.CodeForbidden},
	} {
		f := &fake{}
		api := client(t, f, c.authorization)
		_, err := api.Pull(t.Context(), connect.NewRequest(&quoratev1.PullRequest{Server: c.server}))
		if license.CodeOf(err) != c.code {
			t.Errorf("%s: pull: %v", name, err)
		}
		_, err = api.Push(t.Context(), connect.NewRequest(&quoratev1.PushRequest{Server: c.server}))
		if license.CodeOf(err) != c.code {
			t.Errorf("%s: push: %v", name, err)
		}
		_, err = api.Report(t.Context(), connect.NewRequest(&quoratev1.ReportRequest{WorkId: "wrk_1"}))
		if want := c.code; want != license.CodeForbidden && license.CodeOf(err) != want {
			t.Errorf("%s: report: %v", name, err)
		}
		if c.code == "" && (f.calls != 3 || f.who.Group != "tmr_1") {
			t.Errorf("%s: %d calls by %+v", name, f.calls, f.who)
		}
		if c.code == license.CodeUnauthenticated && f.calls != 0 {
			t.Errorf("%s: a use case was reached", name)
		}
	}
}

func TestPull(t *testing.T) {
	update := tasks.BackendUpdate{Position: 2, Update: []byte("update"), Digest: []byte("digest")}
	updateProto := &quoratev1.BackendUpdate{Position: 2, Update: []byte("update"), Digest: []byte("digest")}
	f := &fake{due: []tasks.LinkWork{
		{ID: "1", Kind: tasks.WorkCollect, Nonce: []byte("n")},
		{ID: "2", Kind: tasks.WorkStage, Updates: []tasks.BackendUpdate{update, update}},
		{ID: "3", Kind: tasks.WorkGuard, Position: 2, Nonce: []byte("m")},
		{ID: "4", Kind: tasks.WorkActivate, Position: 2, Updates: []tasks.BackendUpdate{update}},
		{ID: "5", Kind: tasks.WorkVerify, Position: 2, Settle: 1500 * time.Millisecond, Expect: []tasks.Expected{{Product: chart, TMRID: 8}}},
		{ID: "6", Kind: tasks.WorkRemove, Product: chart, Handle: "h", By: "Olga"},
		{ID: "7", Kind: tasks.WorkAsk, Product: chart, Handle: "h", By: "Olga", Text: "please"},
	}}
	res, err := client(t, f, "Bearer good").Pull(t.Context(), connect.NewRequest(&quoratev1.PullRequest{Server: "a", Leading: true, WaitMs: 250}))
	if err != nil {
		t.Fatal(err)
	}
	if !f.leading || f.wait != 250*time.Millisecond {
		t.Errorf("leading %t, wait %s", f.leading, f.wait)
	}
	product := &quoratev1.Product{Firm: 6000010, Code: 14}
	want := []*quoratev1.Work{
		{Id: "1", Kind: &quoratev1.Work_Collect{Collect: &quoratev1.CollectWork{Nonce: []byte("n")}}},
		{Id: "2", Kind: &quoratev1.Work_Stage{Stage: &quoratev1.StageWork{Updates: []*quoratev1.BackendUpdate{updateProto, updateProto}}}},
		{Id: "3", Kind: &quoratev1.Work_Guard{Guard: &quoratev1.GuardWork{Position: 2, Nonce: []byte("m")}}},
		{Id: "4", Kind: &quoratev1.Work_Activate{Activate: &quoratev1.ActivateWork{Position: 2, Update: updateProto}}},
		{Id: "5", Kind: &quoratev1.Work_Verify{Verify: &quoratev1.VerifyWork{Position: 2, SettleMs: 1500, Expect: []*quoratev1.ProductTMRID{{Product: product, TmrId: 8}}}}},
		{Id: "6", Kind: &quoratev1.Work_Remove{Remove: &quoratev1.RemoveWork{Product: product, Handle: "h", By: "Olga"}}},
		{Id: "7", Kind: &quoratev1.Work_Ask{Ask: &quoratev1.AskWork{Product: product, Handle: "h", By: "Olga", Text: "please"}}},
	}
	if len(res.Msg.GetWork()) != len(want) {
		t.Fatalf("%d items", len(res.Msg.GetWork()))
	}
	for i, w := range want {
		if res.Msg.GetWork()[i].String() != w.String() {
			t.Errorf("item %d is %v, want %v", i+1, res.Msg.GetWork()[i], w)
		}
	}
}

func TestPullGivesNoMoreThanOneMessageTakes(t *testing.T) {
	big := tasks.BackendUpdate{Position: 1, Update: make([]byte, rpc.MostMessage/3), Digest: make([]byte, 32)}
	f := &fake{}
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		f.due = append(f.due, tasks.LinkWork{ID: id, Kind: tasks.WorkStage, Updates: []tasks.BackendUpdate{big}})
	}
	res, err := client(t, f, "Bearer good").Pull(t.Context(), connect.NewRequest(&quoratev1.PullRequest{Server: "a", Leading: true}))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(res.Msg.GetWork()); n != 2 {
		t.Errorf("%d items in one message", n)
	}
}

func TestReport(t *testing.T) {
	f := &fake{}
	api := client(t, f, "Bearer good")
	for name, c := range map[string]struct {
		m    *quoratev1.ReportRequest
		want tasks.LinkReport
		code license.Code
	}{
		"fingerprints": {m: &quoratev1.ReportRequest{WorkId: "w", Fingerprints: []*quoratev1.BackendBytes{{Position: 1, Data: []byte("f")}}},
			want: tasks.LinkReport{WorkID: "w", Fingerprints: []tasks.BackendBytes{{Position: 1, Data: []byte("f")}}}},
		"statements": {m: &quoratev1.ReportRequest{WorkId: "w", Statements: []*quoratev1.BackendBytes{{Position: 3, Data: []byte("s")}}},
			want: tasks.LinkReport{WorkID: "w", Statements: []tasks.BackendBytes{{Position: 3, Data: []byte("s")}}}},
		"receipt": {m: &quoratev1.ReportRequest{WorkId: "w", Receipt: []byte("r")}, want: tasks.LinkReport{WorkID: "w", Receipt: []byte("r")}},
		"failed": {m: &quoratev1.ReportRequest{WorkId: "w", Receipt: []byte("ignored"), Error: &quoratev1.ErrorInfo{Code: "BACKEND_ABSENT", Message: "m", Fix: "f"}},
			want: tasks.LinkReport{WorkID: "w", Failed: &license.Error{Code: license.CodeBackendAbsent, Message: "m", Fix: "f"}}},
		"no work":        {m: &quoratev1.ReportRequest{}, code: license.CodeInvalidInput},
		"long id":        {m: &quoratev1.ReportRequest{WorkId: strings.Repeat("w", 65)}, code: license.CodeInvalidInput},
		"backend 0":      {m: &quoratev1.ReportRequest{WorkId: "w", Statements: []*quoratev1.BackendBytes{{}}}, code: license.CodeInvalidInput},
		"backend 4":      {m: &quoratev1.ReportRequest{WorkId: "w", Fingerprints: []*quoratev1.BackendBytes{{Position: 4}}}, code: license.CodeInvalidInput},
		"four backends":  {m: &quoratev1.ReportRequest{WorkId: "w", Fingerprints: make4()}, code: license.CodeInvalidInput},
		"large receipt":  {m: &quoratev1.ReportRequest{WorkId: "w", Receipt: make([]byte, 1<<20+1)}, code: license.CodeInvalidInput},
		"large message":  {m: &quoratev1.ReportRequest{WorkId: "w", Receipt: make([]byte, rpc.MostMessage)}, code: license.CodeTooLarge},
		"large evidence": {m: &quoratev1.ReportRequest{WorkId: "w", Statements: []*quoratev1.BackendBytes{{Position: 1, Data: make([]byte, 1<<20+1)}}}, code: license.CodeInvalidInput},
	} {
		f.report = tasks.LinkReport{}
		_, err := api.Report(t.Context(), connect.NewRequest(c.m))
		if license.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(f.report, c.want) {
			t.Errorf("%s: %+v", name, f.report)
		}
	}
}

func make4() (all []*quoratev1.BackendBytes) {
	for range 4 {
		all = append(all, &quoratev1.BackendBytes{Position: 1})
	}
	return all
}

func TestPush(t *testing.T) {
	f := &fake{}
	api := client(t, f, "Bearer good")
	at := time.UnixMilli(1_700_000_000_000).UTC()
	view := license.Merge(license.View{}, [3]license.Observation{{Presence: license.Present, Licenses: []license.Held{
		{License: license.License{Product: chart, Name: "Chart", Options: license.Options{Quantity: 20, TMRID: 7}}},
	}}})
	res, err := api.Push(t.Context(), connect.NewRequest(&quoratev1.PushRequest{
		Server: "a", Leading: true, Epoch: 3, Clients: 12, EventsAfter: 4, Views: []*quoratev1.GroupView{rpc.ViewProto(view, at)},
		Events: []*quoratev1.LeaseEvent{
			{Position: 5, Kind: "DENIED", AtMs: at.UnixMilli(), Handle: "h", Product: &quoratev1.Product{Firm: 6000010, Code: 14},
				Mode: quoratev1.AccessMode_ACCESS_MODE_EXCLUSIVE, Seat: 2, N: 3, Reason: "NO_FREE_SEAT", By: "Olga",
				Licenses: 4, Rule: "cap 3", Seq: 77, Borrowed: true,
				Client: &quoratev1.Client{Address: "ws1", User: "u", Process: 42, Application: "app", Station: "st"}},
			{Position: 6, Kind: "ODD", Mode: 99},
		},
		Health: []*quoratev1.BackendHealth{{Position: 2, Serial: "130-1", Address: "b2", Presence: "PRESENT", SeenMs: -1}},
		Served: &quoratev1.ServedLicenses{Licenses: []*quoratev1.ServedLicense{
			{Product: &quoratev1.Product{Firm: 6000010, Code: 14}, Name: "Chart", Quantity: 20, FeatureMap: 5, Reason: "LICENSE_EXPIRED"},
		}},
		Activity: []*quoratev1.HandleActivity{{Handle: "h", Accesses: 2, LastAccessMs: 1500, IdleMs: 90_000, ExpiresMs: 30_000},
			{Handle: "odd", LastAccessMs: -1, IdleMs: math.MinInt64, ExpiresMs: math.MaxInt64}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if res.Msg.GetViewVersion() != 4 || res.Msg.GetEventPosition() != 9 {
		t.Errorf("answer: %v", res.Msg)
	}
	want := links.LinkPush{Leading: true, EventsAfter: 4, ViewPush: views.ViewPush{
		Epoch: 3, Clients: 12, Views: []views.PushedView{{View: view, At: at}},
		Health: []views.BackendHealth{{Position: 2, Serial: "130-1", Address: "b2", Presence: license.Present}},
	}, Events: []history.LeaseEvent{
		{Position: 5, Kind: history.LeaseDenied, At: at, Handle: "h", Product: chart, Mode: license.Exclusive, Seat: 2, N: 3,
			Reason: license.CodeNoFreeSeat, By: "Olga", Client: "ws1", User: "u", Process: 42, Application: "app", Station: "st",
			Licenses: 4, Rule: "cap 3", Seq: 77, Borrowed: true},
		{Position: 6, Kind: "ODD", At: time.UnixMilli(0).UTC(), Licenses: 1}, // handed on: it must not stop the stream
	}, Served: []links.ServedLicense{{Product: chart, Name: "Chart", Quantity: 20, FeatureMap: 5, Reason: license.CodeExpired}}, Activity: []history.HandleActivity{
		{Handle: "h", Accesses: 2, LastAccess: 1500 * time.Millisecond, Idle: 90 * time.Second, Expires: 30 * time.Second},
		{Handle: "odd", Expires: math.MaxInt64 / time.Millisecond * time.Millisecond},
	}}
	if !reflect.DeepEqual(f.push, want) {
		t.Errorf("got\n%+v, want\n%+v", f.push, want)
	}
	// To tell that nothing is served is something else than to tell nothing.
	for _, served := range []*quoratev1.ServedLicenses{nil, {}} {
		if _, err := api.Push(t.Context(), connect.NewRequest(&quoratev1.PushRequest{Server: "a", Served: served})); err != nil {
			t.Fatal(err)
		}
		if (f.push.Served == nil) != (served == nil) || len(f.push.Served) != 0 {
			t.Errorf("%v: %+v", served, f.push.Served)
		}
	}
	for name, m := range map[string]*quoratev1.PushRequest{
		"licenses": {Server: "a", Served: &quoratev1.ServedLicenses{Licenses: make([]*quoratev1.ServedLicense, links.MostServed+1)}},
		"views":    {Server: "a", Views: make([]*quoratev1.GroupView, views.MostViews+1)},
		"events":   {Server: "a", Events: make([]*quoratev1.LeaseEvent, history.MostLeaseEvents+1)},
		"backends": {Server: "a", Health: make([]*quoratev1.BackendHealth, 4)},
		"handles":  {Server: "a", Activity: make([]*quoratev1.HandleActivity, history.MostActivity+1)},
	} {
		if _, err := api.Push(t.Context(), connect.NewRequest(m)); license.CodeOf(err) != license.CodeTooLarge {
			t.Errorf("too many %s: %v", name, err)
		}
	}
	for name, m := range map[string]*quoratev1.PushRequest{
		"view":    {Server: "a", Views: []*quoratev1.GroupView{{}}},
		"license": {Server: "a", Served: &quoratev1.ServedLicenses{Licenses: []*quoratev1.ServedLicense{{}}}},
		"backend": {Server: "a", Health: []*quoratev1.BackendHealth{{Position: 4}}},
	} {
		if _, err := api.Push(t.Context(), connect.NewRequest(m)); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("bad %s: %v", name, err)
		}
	}
}

func TestInternalErrorsStayInternal(t *testing.T) {
	f := &fake{err: errors.New("the database says: secret")}
	_, err := client(t, f, "Bearer good").Pull(t.Context(), connect.NewRequest(&quoratev1.PullRequest{Server: "a"}))
	if license.CodeOf(err) != license.CodeInternal || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}
