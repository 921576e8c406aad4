package client

import (
	"context"
	"errors"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
)

// Code is a stable error code. As an error it is what errors.Is looks for:
//
//	if errors.Is(err, client.CodeNoFreeSeat) { … }
type Code string

// Error gives the code.
func (c Code) Error() string { return string(c) }

// The codes that a program may meet. Codes never change their meaning; later
// versions may add some.
const (
	CodeInternal        Code = "INTERNAL"              // a fault of the server
	CodeInvalidInput    Code = "INVALID_INPUT"         // the request makes no sense
	CodeUnauthenticated Code = "UNAUTHENTICATED"       // credentials are missing
	CodeForbidden       Code = "FORBIDDEN"             // not allowed
	CodeUnavailable     Code = "UNAVAILABLE"           // no server answered in time
	CodeNoLicense       Code = "NO_LICENSE"            // no license for this product is here
	CodeNoMajority      Code = "NO_MAJORITY"           // too few backends of the TMR group are up
	CodeNoFreeSeat      Code = "NO_FREE_SEAT"          // too few licenses are free: see Shortage
	CodeQueued          Code = "QUEUED"                // the access has a place in the queue: see Shortage
	CodeLimitReached    Code = "LIMIT_REACHED"         // a rule allows no more to those it names: see Shortage
	CodeStationBusy     Code = "STATION_BUSY"          // the station has an exclusive license, or an exclusive one can't be had there: see Shortage
	CodeNotAllowed      Code = "NOT_ALLOWED"           // a rule of the license server denies it
	CodeLicenseExpired  Code = "LICENSE_EXPIRED"       // the license's expiration time has passed
	CodeNotYetValid     Code = "LICENSE_NOT_YET_VALID" // its activation time has not come
	CodeUsageOver       Code = "USAGE_PERIOD_OVER"     // its usage period, from the first use, is over
	CodeNoUnits         Code = "NO_UNITS"              // it has fewer units than wanted, or counts none
	CodeWrongVersion    Code = "WRONG_VERSION"         // the program's version or release date isn't covered
	CodeNotOnAccessList Code = "NOT_ON_ACCESS_LIST"    // the license doesn't let the user, computer or program in
	CodeLocalOnly       Code = "LOCAL_ONLY"            // it serves programs on the license server's own machine alone
	CodeClockSetBack    Code = "CLOCK_SET_BACK"        // the license server's time must be certified first
	CodeNotFound        Code = "NOT_FOUND"             // the license has no such data
	CodeFeatureMissing  Code = "FEATURE_MISSING"       // the license lacks a feature asked for
	CodeTMROnly         Code = "TMR_ONLY"              // ask the group's TMR server instead
	CodeBlocked         Code = "CONTAINER_BLOCKED"     // the container was blocked, or replaced: another one has its licenses
	CodeNotLeader       Code = "NOT_LEADER"            // none of the servers is the active one
	CodeHandleUnknown   Code = "HANDLE_UNKNOWN"        // released before
	CodeHandleExpired   Code = "HANDLE_EXPIRED"        // not renewed in time
	CodeHandleRemoved   Code = "HANDLE_REMOVED"        // an administrator removed it
	CodeTooYoung        Code = "TOO_YOUNG"             // the handle can't be removed yet
	CodeBorrowed        Code = "BORROWED"              // a borrowed handle can't be removed
	CodeRequestMismatch Code = "REQUEST_MISMATCH"      // same request id, other content
	CodeTokenInvalid    Code = "TOKEN_INVALID"         // the server doesn't know the handle's signature
	CodeKeyRefused      Code = "KEY_REFUSED"           // the wrapped key does not open
	CodeFormatUnknown   Code = "FORMAT_UNKNOWN"        // this is not a protected file, or one of a later version
	CodeDataDamaged     Code = "DATA_DAMAGED"          // the protected file was changed or cut off
	CodeThrottled       Code = "THROTTLED"             // too many at once; try again later
	CodeTooLarge        Code = "TOO_LARGE"             // the request is too large
)

// Error is what every method of this package fails with.
type Error struct {
	Code    Code
	Message string // what is wrong
	Fix     string // what to do about it
	// Details are figures, by name, as JSON has them: for CodeNoUnits
	// "unitsLeft". Those about licenses that are taken are in Shortage.
	Details map[string]any

	cause error
}

func (e *Error) Error() string {
	if e.Fix == "" {
		return e.Message
	}
	return e.Message + ": " + e.Fix
}

// Unwrap gives the cause: of an expired handle the last refusal, of a call that
// ended with its context the context's error.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is(err, c) match on a Code alone, as does
// &client.Error{Code: c}.
func (e *Error) Is(target error) bool {
	switch t := target.(type) {
	case Code:
		return t == e.Code
	case *Error:
		return t.Code == e.Code && t.Message == "" && t.Fix == ""
	}
	return false
}

// CodeOf gives err's code: "" for nil, CodeInternal for an error that is not of
// this package.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// failure makes an *Error of what a call gave.
func failure(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var l *license.Error
	if !errors.As(rpc.FromError(err), &l) {
		l = license.Public(err)
	}
	return &Error{Code: Code(l.Code), Message: l.Message, Fix: l.Fix, Details: l.Details, cause: contextCause(l)}
}

// contextCause keeps of a cause only what a program may ask for: the chain
// below is made of internal types.
func contextCause(err error) error {
	for _, c := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, c) {
			return c
		}
	}
	return nil
}
