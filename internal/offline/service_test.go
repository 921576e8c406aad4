package offline_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/offline"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// serve gives a client of the service, whose peer has another address where
// from is given.
func (l *lab) serve(token, from string) quoratev1connect.AdminServiceClient {
	path, handler := offline.Handler(offline.Config{
		Group: l, Virtual: l.virtual, Leading: func() bool { return l.leads }, AdminToken: token, Settle: time.Millisecond,
	})
	mux := http.NewServeMux()
	mux.Handle(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from != "" {
			r.RemoteAddr = from
		}
		handler.ServeHTTP(w, r)
	}))
	server := httptest.NewServer(mux)
	l.t.Cleanup(server.Close)
	return quoratev1connect.NewAdminServiceClient(server.Client(), server.URL, rpc.ClientOptions())
}

func (l *lab) stream(ctx context.Context, api quoratev1connect.AdminServiceClient, updates [][]byte, until string) ([][]byte, error) {
	s, err := api.OfflineApply(ctx, connect.NewRequest(&quoratev1.OfflineApplyRequest{Virtual: l.virtual.String(), Updates: updates}))
	if err != nil {
		return nil, rpc.FromError(err)
	}
	defer s.Close()
	for s.Receive() {
		if s.Msg().GetStatus() == "" {
			l.t.Error("a step without the group's status")
		}
		if s.Msg().GetStep() == until {
			return s.Msg().GetReceipts(), nil
		}
	}
	return nil, rpc.FromError(s.Err())
}

func TestService(t *testing.T) {
	l := newLab(t)
	api := l.serve("", "")
	res, err := api.OfflineRequest(t.Context(), connect.NewRequest(&quoratev1.OfflineRequestRequest{}))
	if err != nil || res.Msg.GetVirtual() != l.virtual.String() || len(res.Msg.GetFingerprints()) != 3 {
		t.Fatalf("request: %+v, %v", res, err)
	}
	receipts, err := l.stream(t.Context(), api, l.issue(30, 8), string(offline.Done))
	if err != nil || len(receipts) != 3 {
		t.Fatalf("%d receipts, %v", len(receipts), err)
	}
	again, err := api.OfflineReceipt(t.Context(), connect.NewRequest(&quoratev1.OfflineReceiptRequest{}))
	if err != nil || !slices.EqualFunc(again.Msg.GetReceipts(), receipts, bytes.Equal) {
		t.Errorf("the receipts again: %v", err)
	}
	_, err = l.stream(t.Context(), api, [][]byte{[]byte("update")}, string(offline.Done))
	wantCode(t, "what is no update", err, license.CodeFormatUnknown)
}

// Who asked may go away: the group is not left half updated.
func TestApplyOutlivesItsCaller(t *testing.T) {
	l := newLab(t)
	api := l.serve("", "")
	ctx, cancel := context.WithCancel(t.Context())
	updates := l.issue(30, 8)
	if _, err := l.stream(ctx, api, updates, string(offline.Checked)); err != nil {
		t.Fatal(err)
	}
	cancel()
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, err := l.stream(t.Context(), api, updates, string(offline.Done))
		if err == nil {
			break
		}
		if license.CodeOf(err) != license.CodeConflict || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	l.holds(30, 8)
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, c := range l.calls {
		if c == "stage 1" {
			n++
		}
	}
	if n != 2 { // the lab's first update, and this one: the second apply found all installed
		t.Errorf("staged %d times", n)
	}
}

func TestOnlyAdministratorsAreAnswered(t *testing.T) {
	l := newLab(t)
	updates := l.issue(30, 8)
	l.calls = nil
	for what, c := range map[string]struct {
		token, from, bearer string
		code                license.Code
	}{
		"from elsewhere":                 {"", "10.0.0.7:1234", "", license.CodeForbidden},
		"from elsewhere with some token": {"", "10.0.0.7:1234", "Bearer x", license.CodeForbidden},
		"from here without the token":    {"secret", "", "", license.CodeUnauthenticated},
		"with a wrong token":             {"secret", "", "Bearer secreT", license.CodeForbidden},
	} {
		api := l.serve(c.token, c.from)
		request := connect.NewRequest(&quoratev1.OfflineRequestRequest{})
		apply := connect.NewRequest(&quoratev1.OfflineApplyRequest{Virtual: l.virtual.String(), Updates: updates})
		receipt := connect.NewRequest(&quoratev1.OfflineReceiptRequest{})
		for _, h := range []http.Header{request.Header(), apply.Header(), receipt.Header()} {
			if c.bearer != "" {
				h.Set("Authorization", c.bearer)
			}
		}
		_, err := api.OfflineRequest(t.Context(), request)
		wantCode(t, "request "+what, err, c.code)
		_, err = api.OfflineReceipt(t.Context(), receipt)
		wantCode(t, "receipt "+what, err, c.code)
		s, err := api.OfflineApply(t.Context(), apply)
		if err == nil {
			for s.Receive() {
				t.Errorf("apply %s: %v", what, s.Msg())
			}
			err = s.Err()
			s.Close()
		}
		wantCode(t, "apply "+what, rpc.FromError(err), c.code)
	}
	if len(l.calls) != 0 {
		t.Errorf("somebody who may not had an effect: %v", l.calls)
	}
	req := connect.NewRequest(&quoratev1.OfflineRequestRequest{})
	req.Header().Set("Authorization", "Bearer secret")
	if _, err := l.serve("secret", "10.0.0.7:1234").OfflineRequest(t.Context(), req); err != nil {
		t.Errorf("with the token: %v", err)
	}
}
