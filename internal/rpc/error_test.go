package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
)

func TestErrorRoundTrip(t *testing.T) {
	in := &license.Error{
		Code: license.CodeNoFreeSeat, Message: "all 20 licenses are taken", Fix: "release one",
		Details: map[string]any{"quantity": 20.0}, Err: errors.New("secret cause"),
	}
	wire := rpc.Error(fmt.Errorf("wrapped by something internal: %w", in))
	if wire.Code() != connect.CodeResourceExhausted || strings.Contains(wire.Error(), "internal") || strings.Contains(wire.Error(), "secret") {
		t.Errorf("on the wire: %v", wire)
	}
	var out *license.Error
	if !errors.As(rpc.FromError(wire), &out) {
		t.Fatal("no license.Error came back")
	}
	if out.Code != in.Code || out.Message != in.Message || out.Fix != in.Fix || out.Details["quantity"] != 20.0 {
		t.Errorf("came back as %+v", out)
	}
	if again := rpc.Error(wire); again != wire {
		t.Error("an error that is mapped already is mapped again")
	}
}

func TestUnknownErrorsTellNothing(t *testing.T) {
	wire := rpc.Error(errors.New("pq: password authentication failed for user quorate"))
	if wire.Code() != connect.CodeInternal || strings.Contains(wire.Error(), "pq") {
		t.Errorf("on the wire: %v", wire)
	}
	out := rpc.FromError(wire)
	if license.CodeOf(out) != license.CodeInternal || strings.Contains(out.Error(), "pq") {
		t.Errorf("came back as %v", out)
	}
	if info := rpc.ErrorInfo(errors.New("pq: x")); info.GetCode() != "INTERNAL" || strings.Contains(info.GetMessage(), "pq") {
		t.Errorf("in a report: %v", info)
	}
}

func TestErrorsWithoutDetail(t *testing.T) {
	for _, c := range []struct {
		in   error
		want license.Code
	}{
		{connect.NewError(connect.CodeUnavailable, errors.New("dial tcp: refused")), license.CodeUnavailable},
		{connect.NewError(connect.CodeDeadlineExceeded, context.DeadlineExceeded), license.CodeUnavailable},
		{connect.NewError(connect.CodeUnknown, errors.New("x")), license.CodeUnavailable},
		{connect.NewError(connect.CodeUnimplemented, errors.New("404")), license.CodeUnavailable},
		{connect.NewError(connect.CodeUnauthenticated, errors.New("401")), license.CodeUnauthenticated},
		{connect.NewError(connect.CodePermissionDenied, errors.New("403")), license.CodeForbidden},
		{connect.NewError(connect.CodeResourceExhausted, errors.New("big")), license.CodeTooLarge},
		{connect.NewError(connect.CodeInvalidArgument, errors.New("bad")), license.CodeInvalidInput},
		{connect.NewError(connect.CodeInternal, errors.New("boom")), license.CodeInternal},
		{errors.New("broken pipe"), license.CodeUnavailable},
	} {
		got := rpc.FromError(c.in)
		if license.CodeOf(got) != c.want {
			t.Errorf("%v: got code %s, want %s", c.in, license.CodeOf(got), c.want)
		}
		if !errors.Is(got, c.in) {
			t.Errorf("%v: the cause is lost", c.in)
		}
	}
	if !errors.Is(rpc.FromError(connect.NewError(connect.CodeCanceled, context.Canceled)), context.Canceled) {
		t.Error("a cancellation can't be recognised")
	}
}

// Why a server can't be reached is said, and nothing of where it is: the error
// goes on to programs.
func TestWhyUnreached(t *testing.T) {
	_, refused := (&net.Dialer{}).DialContext(t.Context(), "tcp", "127.0.0.1:1")
	for _, c := range []struct {
		cause error
		want  string
	}{
		{refused, "the server can't be reached (connection refused)"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "inside.example", IsNotFound: true}}, "the server can't be reached (no such host)"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "read udp 10.0.0.5:6->10.0.0.53:53: odd", Name: "inside.example"}}, "the server can't be reached"},
		{errors.New("dial tcp 10.0.0.5:7400: odd"), "the server can't be reached"},
		{context.DeadlineExceeded, "the server didn't answer in time"},
	} {
		err := rpc.FromError(connect.NewError(connect.CodeUnavailable, c.cause))
		if got := (*license.Error)(nil); !errors.As(err, &got) || got.Message != c.want {
			t.Errorf("%v: %v", c.cause, err)
		}
	}
}

func TestNilErrors(t *testing.T) {
	if rpc.Error(nil) != nil || rpc.FromError(nil) != nil || rpc.ErrorInfo(nil) != nil || rpc.FromErrorInfo(nil) != nil {
		t.Error("nil did not stay nil")
	}
}

func TestErrorsOfTheContext(t *testing.T) {
	for _, in := range []error{context.DeadlineExceeded, context.Canceled} {
		if got := license.CodeOf(rpc.FromError(rpc.Error(in))); got != license.CodeUnavailable {
			t.Errorf("%v became %s", in, got)
		}
	}
}

func TestErrorTextsAreBounded(t *testing.T) {
	in := &license.Error{Code: license.CodeConflict, Message: strings.Repeat("ä", 1<<16), Fix: "\xff"}
	var out *license.Error
	if !errors.As(rpc.FromError(rpc.Error(in)), &out) || len(out.Message) > 2048 || out.Code != license.CodeConflict {
		t.Errorf("got %d bytes, code %s", len(out.Message), out.Code)
	}
}

func TestErrorInfoRoundTrip(t *testing.T) {
	in := license.Errorf(license.CodeBackendAbsent, "start it", "backend 2 does not answer")
	var out *license.Error
	if !errors.As(rpc.FromErrorInfo(rpc.ErrorInfo(in)), &out) || out.Code != in.Code || out.Error() != in.Error() {
		t.Errorf("came back as %v", out)
	}
}
