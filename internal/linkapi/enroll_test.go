package linkapi_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/enrollments"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

func (f *fake) Enroll(ctx context.Context, e enrollments.Enrolling) (*ent.TmrServer, error) {
	f.called(ctx)
	f.enrolling = e
	return &ent.TmrServer{Name: e.Name}, f.err
}

// A server that enrolls has no token.
func TestEnroll(t *testing.T) {
	f := &fake{}
	api := client(t, f, "")
	res, err := api.Enroll(t.Context(), connect.NewRequest(&quoratev1.EnrollRequest{
		Code: "7KQ4M", Server: "office", Serial: "130-7", TokenDigest: bytes.Repeat([]byte{1}, 32),
	}))
	if err != nil || res.Msg.GetServer() != "office" {
		t.Fatalf("%+v, %v", res, err)
	}
	e := f.enrolling
	if e.Code != "7KQ4M" || e.Name != "office" || e.Serial != "130-7" || len(e.Digest) != 32 || e.From != "127.0.0.1" || f.who.ID != "" {
		t.Errorf("%+v by %+v", e, f.who)
	}
	f.err = license.Errorf(license.CodeConflict, "make another one", "the code was used")
	if _, err := api.Enroll(t.Context(), connect.NewRequest(&quoratev1.EnrollRequest{})); license.CodeOf(err) != license.CodeConflict {
		t.Errorf("a used code: %v", err)
	}
}

func TestPushTellsOfTheProcess(t *testing.T) {
	f := &fake{}
	api := client(t, f, "Bearer good")
	push := func(p *quoratev1.ProcessStatus) *links.ProcessStatus {
		t.Helper()
		if _, err := api.Push(t.Context(), connect.NewRequest(&quoratev1.PushRequest{Server: "a", Process: p})); err != nil {
			t.Fatal(err)
		}
		return f.push.Process
	}
	if p := push(nil); p != nil {
		t.Errorf("nothing is told as %+v", p)
	}
	if p := push(&quoratev1.ProcessStatus{Version: "1.2", RunningMs: 1500, RoundTripMs: 7}); *p != (links.ProcessStatus{Version: "1.2", Running: 1500 * time.Millisecond, RoundTrip: 7 * time.Millisecond}) {
		t.Errorf("%+v", p)
	}
	if p := push(&quoratev1.ProcessStatus{RunningMs: -1 << 63}); p.Running != 0 {
		t.Errorf("%+v", p)
	}
}
