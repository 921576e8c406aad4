package rpc

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"os"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// mostErrorText bounds each text of an error that came over the network.
const mostErrorText = 2048

// mostDetails bounds the figures of an error, as JSON.
const mostDetails = 32 << 10

// Error makes the error that goes over the network: the public part of err
// alone. Nil stays nil; a handler that may have no error compares first, since
// a nil *connect.Error is not a nil error.
func Error(err error) *connect.Error {
	if err == nil {
		return nil
	}
	var ready *connect.Error
	if errors.As(err, &ready) && license.CodeOf(err) == license.CodeInternal && len(ready.Details()) > 0 {
		return ready // mapped before
	}
	pub := public(err)
	out := connect.NewError(connectCode(err, pub.Code), errors.New(license.Clip(pub.Message, mostErrorText)))
	info := infoOf(pub)
	if d, err := connect.NewErrorDetail(info); err == nil {
		out.AddDetail(d)
	}
	return out
}

// public adds to license.Public what a server can say of its own transport.
func public(err error) *license.Error {
	if license.CodeOf(err) != license.CodeInternal {
		return license.Public(err)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &license.Error{
			Code:    license.CodeUnavailable,
			Message: "the call took too long",
			Fix:     "try again",
		}
	case errors.Is(err, context.Canceled):
		return &license.Error{
			Code:    license.CodeUnavailable,
			Message: "the call was given up",
			Fix:     "try again",
		}
	}
	var ce *connect.Error
	if errors.As(err, &ce) {
		// Made by the Connect library before a handler ran: a message that
		// doesn't decode, a body that is too large.
		switch ce.Code() {
		case connect.CodeInvalidArgument, connect.CodeResourceExhausted, connect.CodeUnimplemented,
			connect.CodeUnauthenticated, connect.CodePermissionDenied:
			return fromCode(ce)
		}
	}
	return license.Public(err)
}

func connectCode(err error, c license.Code) connect.Code {
	switch c {
	case license.CodeInvalidInput, license.CodeFormatUnknown, license.CodeRequestMismatch:
		return connect.CodeInvalidArgument
	case license.CodeUnauthenticated:
		return connect.CodeUnauthenticated
	case license.CodeForbidden, license.CodeTokenInvalid, license.CodeTMROnly, license.CodeKeyRefused, license.CodeNotAllowed:
		return connect.CodePermissionDenied
	case license.CodeNotFound, license.CodeNoLicense, license.CodeHandleUnknown:
		return connect.CodeNotFound
	case license.CodeUnavailable, license.CodeNoMajority, license.CodeNotLeader, license.CodeBackendAbsent:
		if errors.Is(err, context.DeadlineExceeded) {
			return connect.CodeDeadlineExceeded
		}
		return connect.CodeUnavailable
	case license.CodeTooLarge, license.CodeThrottled, license.CodeNoFreeSeat, license.CodeQueued, license.CodeStationBusy, license.CodeLimitReached:
		return connect.CodeResourceExhausted
	case license.CodeConflict, license.CodeFenced:
		return connect.CodeAborted
	case license.CodeInternal:
		return connect.CodeInternal
	}
	return connect.CodeFailedPrecondition
}

// FromError makes a *license.Error of what a call gave: the one that the
// server sent, or CodeUnavailable where the transport failed. The cause stays
// reachable for errors.Is. Nil stays nil, and a *license.Error stays as it is.
func FromError(err error) error {
	if err == nil {
		return nil
	}
	var le *license.Error
	if errors.As(err, &le) {
		return err
	}
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return unavailable(err)
	}
	for _, d := range ce.Details() {
		v, derr := d.Value()
		if derr != nil {
			continue
		}
		if info, ok := v.(*quoratev1.ErrorInfo); ok && info.GetCode() != "" {
			return &license.Error{
				Code:    license.Code(license.Clip(info.GetCode(), 64)),
				Message: license.Clip(info.GetMessage(), mostErrorText),
				Fix:     license.Clip(info.GetFix(), mostErrorText),
				Details: details(info.GetDetailsJson()),
				Err:     err,
			}
		}
	}
	return fromCode(ce)
}

// fromCode serves errors without our detail: made by the Connect library, by
// a proxy in between, or by something that isn't ours.
func fromCode(ce *connect.Error) *license.Error {
	switch ce.Code() {
	case connect.CodeInvalidArgument:
		return &license.Error{
			Code: license.CodeInvalidInput, Err: ce,
			Message: "the message can't be read",
			Fix:     "use the same version of Quorate on both sides",
		}
	case connect.CodeUnauthenticated:
		return &license.Error{
			Code: license.CodeUnauthenticated, Err: ce,
			Message: "the server wants to know who is calling",
			Fix:     "check the token or the credentials",
		}
	case connect.CodePermissionDenied:
		return &license.Error{
			Code: license.CodeForbidden, Err: ce,
			Message: "the server doesn't allow the call",
			Fix:     "check the token or the credentials",
		}
	case connect.CodeResourceExhausted:
		return &license.Error{
			Code: license.CodeTooLarge, Err: ce,
			Message: "the message is too large",
			Fix:     "send less at once",
		}
	case connect.CodeUnimplemented:
		return &license.Error{
			Code: license.CodeUnavailable, Err: ce,
			Message: "the service is not at this address",
			Fix:     "check the address and the server's version",
		}
	case connect.CodeInternal:
		if ce.Message() == "400 Bad Request" { // what a TLS server says to a call in the clear
			return &license.Error{
				Code: license.CodeUnavailable, Err: ce,
				Message: "the server doesn't understand the call",
				Fix:     "check the address: it starts with https:// unless the server was started with --plain",
			}
		}
		return &license.Error{
			Code: license.CodeInternal, Err: ce,
			Message: "something went wrong on the server",
			Fix:     "try again; if it persists, look into the server's log",
		}
	}
	return unavailable(ce)
}

func unavailable(err error) *license.Error {
	message := "the server can't be reached"
	// The cause alone: addresses are not for whom the error goes on to.
	var system *os.SyscallError
	var name *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		message = "the server didn't answer in time"
	case errors.As(err, &system):
		message += " (" + system.Err.Error() + ")"
	case errors.As(err, &name) && name.IsNotFound:
		message += " (no such host)"
	}
	fix := "check the address, the network and that the server runs"
	if untrusted := new(tls.CertificateVerificationError); errors.Is(err, errPin) || errors.As(err, &untrusted) {
		message = "the server's key is not the expected one"
		fix = "give the pin of that server with its address: ?pin=sha256:…, as quorate key tls prints it there"
	}
	return &license.Error{Code: license.CodeUnavailable, Err: err, Message: message, Fix: fix}
}

func details(s string) map[string]any {
	if s == "" || len(s) > mostDetails {
		return nil
	}
	var m map[string]any
	if json.Unmarshal([]byte(s), &m) != nil {
		return nil
	}
	return m
}

// ErrorInfo makes the message for an error that is part of a request rather
// than the answer to one. Nil stays nil.
func ErrorInfo(err error) *quoratev1.ErrorInfo {
	if err == nil {
		return nil
	}
	return infoOf(public(err))
}

func infoOf(pub *license.Error) *quoratev1.ErrorInfo {
	info := &quoratev1.ErrorInfo{
		Code: string(pub.Code), Message: license.Clip(pub.Message, mostErrorText), Fix: license.Clip(pub.Fix, mostErrorText),
	}
	if len(pub.Details) > 0 {
		if b, err := json.Marshal(pub.Details); err == nil && len(b) <= mostDetails {
			info.DetailsJson = string(b)
		}
	}
	return info
}

// FromErrorInfo is the way back. Nil stays nil.
func FromErrorInfo(info *quoratev1.ErrorInfo) error {
	if info == nil {
		return nil
	}
	code := license.Code(license.Clip(info.GetCode(), 64))
	if code == "" {
		code = license.CodeInternal
	}
	return &license.Error{
		Code:    code,
		Message: license.Clip(info.GetMessage(), mostErrorText),
		Fix:     license.Clip(info.GetFix(), mostErrorText),
		Details: details(info.GetDetailsJson()),
	}
}
