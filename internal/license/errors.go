package license

import (
	"context"
	"errors"
	"fmt"
)

// Code is a stable error code. Codes never change their meaning; the CLI, the
// SDK, GraphQL (`extensions.code`) and the RPC protocols report the same ones.
type Code string

// The codes. Anything without a code is CodeInternal to the outside.
const (
	CodeInternal        Code = "INTERNAL"
	CodeInvalidInput    Code = "INVALID_INPUT"
	CodeUnauthenticated Code = "UNAUTHENTICATED"
	CodeForbidden       Code = "FORBIDDEN"
	CodeNotFound        Code = "NOT_FOUND"
	CodeConflict        Code = "CONFLICT"
	CodeUnavailable     Code = "UNAVAILABLE"
	CodeTooLarge        Code = "TOO_LARGE"
	CodeThrottled       Code = "THROTTLED"

	// Handing out.
	CodeNoLicense       Code = "NO_LICENSE"            // no license for this product is here
	CodeNoMajority      Code = "NO_MAJORITY"           // fewer than two of three backends have it
	CodeNoFreeSeat      Code = "NO_FREE_SEAT"          // all licenses are taken
	CodeQueued          Code = "QUEUED"                // all licenses are taken, and the request waits for one
	CodeStationBusy     Code = "STATION_BUSY"          // an exclusive use of the station stands in the way
	CodeNotAllowed      Code = "NOT_ALLOWED"           // the server's rules don't let the client in
	CodeExpired         Code = "LICENSE_EXPIRED"       // the license's expiration time has passed
	CodeNotYetValid     Code = "LICENSE_NOT_YET_VALID" // its activation time has not come
	CodeUsageOver       Code = "USAGE_PERIOD_OVER"     // its usage period, from the first use, is over
	CodeNoUnits         Code = "NO_UNITS"              // the unit counter has fewer units than wanted
	CodeWrongVersion    Code = "WRONG_VERSION"         // outside the maintenance period, or below the minimum version
	CodeNotOnAccessList Code = "NOT_ON_ACCESS_LIST"    // the license's access list doesn't let the client in
	CodeLocalOnly       Code = "LOCAL_ONLY"            // no license quantity: not for the network
	CodeClockSetBack    Code = "CLOCK_SET_BACK"        // the time must be certified first
	CodeFeatureMissing  Code = "FEATURE_MISSING"       // the feature map lacks a bit the program asked for
	CodeTMROnly         Code = "TMR_ONLY"              // has a TMR-ID and was asked for past the TMR server
	CodeNotLeader       Code = "NOT_LEADER"            // another TMR server is active
	CodeHandleUnknown   Code = "HANDLE_UNKNOWN"        // no such handle here
	CodeHandleExpired   Code = "HANDLE_EXPIRED"        // renewed too late
	CodeHandleRemoved   Code = "HANDLE_REMOVED"        // an administrator removed it
	CodeTooYoung        Code = "TOO_YOUNG"             // not old enough to be removed
	CodeBorrowed        Code = "BORROWED"              // borrowed, so it must be returned and can't be removed
	CodeRequestMismatch Code = "REQUEST_MISMATCH"      // same request id, other content
	CodeTokenInvalid    Code = "TOKEN_INVALID"         // handle token forged, damaged or foreign
	CodeFenced          Code = "FENCED"                // a newer epoch leads
	CodeKeyRefused      Code = "KEY_REFUSED"           // the wrapped key does not open
	CodeDataDamaged     Code = "DATA_DAMAGED"          // a protected file was changed or cut off

	CodeJournalCorrupt Code = "JOURNAL_CORRUPT" // the file that seats are kept in is damaged
	CodeJournalInUse   Code = "JOURNAL_IN_USE"  // another process has it open

	// Containers and updates.
	CodeContainerCorrupt  Code = "CONTAINER_CORRUPT"  // the container file is damaged
	CodeContainerExists   Code = "CONTAINER_EXISTS"   // create would overwrite
	CodeContainerInUse    Code = "CONTAINER_IN_USE"   // another process has it open
	CodeContainerForeign  Code = "CONTAINER_FOREIGN"  // bound to another machine, or to another key file
	CodeUpdateTampered    Code = "UPDATE_TAMPERED"    // a signature or the seal does not hold
	CodeUpdateForeign     Code = "UPDATE_FOREIGN"     // for another container
	CodeUpdateUntrusted   Code = "UPDATE_UNTRUSTED"   // the firm is not vouched for by this container's root
	CodeUpdateReplayed    Code = "UPDATE_REPLAYED"    // a lower number than installed
	CodeUpdateGap         Code = "UPDATE_GAP"         // a number is missing before it
	CodeUpdateConflict    Code = "UPDATE_CONFLICT"    // same number, other content: an alarm
	CodeUpdateNotStaged   Code = "UPDATE_NOT_STAGED"  // activate before stage
	CodeFormatUnknown     Code = "FORMAT_UNKNOWN"     // another version or kind of file
	CodeFingerprintForged Code = "FINGERPRINT_FORGED" // a fingerprint's signature does not hold
	CodeReceiptForged     Code = "RECEIPT_FORGED"     // a receipt's signature does not hold
	CodeTimeForged        Code = "TIME_FORGED"        // a time certificate's signature does not hold, or it is another container's
	CodeTimeStale         Code = "TIME_STALE"         // a time certificate that answers no open request
	CodeRequestStale      Code = "REQUEST_STALE"      // a fingerprint made before an update that is installed
	CodeManipulation      Code = "MANIPULATION_SUSPECTED"
	CodeContainerBlocked  Code = "CONTAINER_BLOCKED" // it was replaced or blocked: nothing that it says counts
	CodeLimitReached      Code = "LIMIT_REACHED"     // a rule of the vendor or of the server allows no more for now

	// Tickets.
	CodeTicketExpired Code = "TICKET_EXPIRED" // its time to be activated has passed
	CodeTicketRevoked Code = "TICKET_REVOKED" // the vendor has taken back what was not activated
	CodeTicketUsedUp  Code = "TICKET_USED_UP" // fewer licenses are left on it than were asked for

	// Rollouts.
	CodeGuardRefused      Code = "GUARD_REFUSED"      // the other two alone would not carry the license
	CodeRolloutState      Code = "ROLLOUT_STATE"      // not possible in the rollout's state
	CodeRolloutUpToDate   Code = "ROLLOUT_UP_TO_DATE" // nothing ordered that is not rolled out
	CodeBackendAbsent     Code = "BACKEND_ABSENT"     // a backend does not answer
	CodeRolloutSuperseded Code = "ROLLOUT_SUPERSEDED" // another worker took it over
)

// Error is an error with a stable code. Message says what is wrong, Fix what
// to do about it; both are shown to users, so neither may carry a secret.
type Error struct {
	Code    Code
	Message string
	Fix     string
	// Details are figures a program may want (string keys, JSON values).
	Details map[string]any
	// Err is the cause: for logs only, never shown to users.
	Err error
}

// Errorf makes an Error without a cause.
func Errorf(code Code, fix, format string, args ...any) *Error {
	return &Error{Code: code, Fix: fix, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	if e.Fix == "" {
		return e.Message
	}
	return e.Message + ": " + e.Fix
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, &Error{Code: c}) match on the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == "" && t.Fix == ""
}

// CodeOf gives err's code: "" for nil, CodeInternal for an error without one.
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

// Public gives what may be shown of err: err itself where it has a code; that
// there was no time left, as a CodeUnavailable; else a CodeInternal error that
// hides the cause.
func Public(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeUnavailable, Message: "the request took too long", Fix: "try again, or ask for less", Err: err}
	case errors.Is(err, context.Canceled):
		return &Error{Code: CodeUnavailable, Message: "the request was given up", Fix: "connect again", Err: err}
	}
	return &Error{
		Code:    CodeInternal,
		Message: "something went wrong on the server",
		Fix:     "try again; if it persists, give the request id to the operator",
		Err:     err,
	}
}
