package roles

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/ticket"
)

// enroller is a platform that takes one code.
type enroller struct {
	quoratev1connect.UnimplementedLinkServiceHandler
	code   string
	digest []byte
	calls  int
	lost   int // answers that get lost on their way
}

func (e *enroller) Enroll(_ context.Context, req *connect.Request[quoratev1.EnrollRequest]) (*connect.Response[quoratev1.EnrollResponse], error) {
	e.calls++
	switch {
	case req.Msg.GetCode() != e.code || req.Msg.GetServer() != "office" || req.Msg.GetSerial() != "130-7":
		return nil, license.Errorf(license.CodeNotFound, "make one", "there is no such code")
	case e.digest != nil && !auth.SameHash(e.digest, req.Msg.GetTokenDigest()):
		return nil, license.Errorf(license.CodeConflict, "make another one", "the code was used already")
	}
	e.digest = req.Msg.GetTokenDigest()
	if e.lost > 0 {
		e.lost--
		return nil, license.Errorf(license.CodeForbidden, "", "the answer is lost, and the server is killed")
	}
	return connect.NewResponse(&quoratev1.EnrollResponse{Server: "office"}), nil
}

// TestEnroll: a server makes a token of its own with the code, keeps it where
// nobody else may read it, and needs no code any more; one that was killed
// between goes on with the same token.
func TestEnroll(t *testing.T) {
	e := &enroller{code: string(ticket.New()), lost: 1}
	mux := http.NewServeMux()
	mux.Handle(quoratev1connect.NewLinkServiceHandler(e, rpc.HandlerOptions(slog.New(slog.DiscardHandler))))
	web := httptest.NewServer(mux)
	defer web.Close()
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	file := filepath.Join(t.TempDir(), "link.token")
	flags := linkFlags{Platform: web.URL, Link: file, Enroll: e.code}
	office := license.Serial{Mask: 130, Number: 7}

	if token, err := flags.token(); token != "" || err != nil {
		t.Fatalf("before: %q, %v", token, err)
	}
	if _, err := flags.enroll(t.Context(), "office", office, logger); license.CodeOf(err) != license.CodeForbidden {
		t.Fatalf("a lost answer: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Fatal("the token counts before the platform has taken it")
	}
	token, err := flags.enroll(t.Context(), "office", office, logger)
	if err != nil {
		t.Fatal(err)
	}
	digest, ok := auth.TokenHash(auth.LinkToken, token)
	info, err := os.Stat(file)
	if !ok || !auth.SameHash(digest, e.digest) || err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%q, %v, %v", token, info, err)
	}
	if _, err := os.Stat(file + ".new"); err == nil {
		t.Error("the token is there twice")
	}
	calls := e.calls
	for _, again := range []linkFlags{flags, {Platform: web.URL, Link: file}} {
		if got, err := again.token(); got != token || err != nil || e.calls != calls {
			t.Errorf("the next start: %q, %v", got, err)
		}
	}
	if strings.Contains(log.String(), token) || strings.Contains(log.String(), e.code) {
		t.Errorf("a secret is in the log: %s", log.String())
	}

	// Another machine with the same code.
	other := flags
	other.Link = filepath.Join(t.TempDir(), "link.token")
	_, err = other.enroll(t.Context(), "office", office, logger)
	if license.CodeOf(err) != license.CodeConflict || strings.Contains(err.Error(), e.code) {
		t.Errorf("a code that was used: %v", err)
	}
	for what, f := range map[string]linkFlags{
		"no platform":     {Enroll: e.code},
		"a mistyped code": {Platform: web.URL, Link: other.Link, Enroll: "7KQ4M"},
		"in the clear":    {Platform: "http://licenses.example.com", Link: other.Link, Enroll: e.code},
	} {
		if _, err := f.token(); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: %v", what, err)
		}
	}
}
