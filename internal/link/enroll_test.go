package link_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Enroll takes one code, once, but for repetitions.
func (p *platform) Enroll(_ context.Context, req *connect.Request[quoratev1.EnrollRequest]) (*connect.Response[quoratev1.EnrollResponse], error) {
	if err := p.failing("Enroll", false); err != nil {
		return nil, err
	}
	p.mu.Lock()
	switch {
	case req.Msg.GetCode() != "good":
		p.mu.Unlock()
		return nil, license.Errorf(license.CodeNotFound, "make one", "there is no such code")
	case p.enrolled != nil && !bytes.Equal(p.enrolled.GetTokenDigest(), req.Msg.GetTokenDigest()):
		p.mu.Unlock()
		return nil, license.Errorf(license.CodeConflict, "make one", "it was used")
	}
	p.enrolled = req.Msg
	p.mu.Unlock()
	if err := p.failing("Enroll", true); err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.EnrollResponse{Server: req.Msg.GetServer()}), nil
}

// A platform that is away, and one whose answer gets lost, are asked again; one
// that refuses isn't.
func TestEnroll(t *testing.T) {
	p := newPlatform(t)
	calls := 0
	p.setFault(func(_ string, done bool) error {
		calls++
		if (calls == 1 && !done) || (calls == 3 && done) {
			return license.Errorf(license.CodeUnavailable, "", "the network is away")
		}
		return nil
	})
	e := link.Enrollment{
		URL: "http://platform:80", Code: "good", Server: "office", Serial: license.Serial{Mask: 130, Number: 7},
		Digest: bytes.Repeat([]byte{1}, 32), Dial: p.network.Dial, Patience: time.Minute,
	}
	if err := link.Enroll(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if p.enrolled.GetServer() != "office" || p.enrolled.GetSerial() != "130-7" || calls != 5 {
		t.Errorf("%+v after %d calls", p.enrolled, calls)
	}
	for what, c := range map[string]struct {
		change func(*link.Enrollment)
		code   license.Code
	}{
		"another token":   {func(e *link.Enrollment) { e.Digest = bytes.Repeat([]byte{2}, 32) }, license.CodeConflict},
		"an unknown code": {func(e *link.Enrollment) { e.Code = "bad" }, license.CodeNotFound},
		"no address":      {func(e *link.Enrollment) { e.URL = "platform" }, license.CodeInvalidInput},
	} {
		other := e
		c.change(&other)
		if err := link.Enroll(t.Context(), other); license.CodeOf(err) != c.code {
			t.Errorf("%s: %v", what, err)
		}
	}
	p.kill()
	e.Patience = 0
	if err := link.Enroll(t.Context(), e); license.CodeOf(err) != license.CodeUnavailable {
		t.Errorf("a platform that is away: %v", err)
	}
}
