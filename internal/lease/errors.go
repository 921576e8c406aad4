package lease

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// The errors below are the same for every driver.

// NoFreeSeat refuses a request: taken seats of a quantity are taken. next is
// how long until the earliest lease or linger in the pool would run out, if known.
func NoFreeSeat(p Pool, taken, quantity uint32, next time.Duration) error {
	details := map[string]any{"taken": taken, "quantity": quantity}
	if next > 0 {
		details["nextExpiryMs"] = next.Milliseconds()
	}
	return &license.Error{
		Code:    license.CodeNoFreeSeat,
		Message: fmt.Sprintf("all licenses for %s are taken (%d of %d)", p.Product, taken, quantity),
		Fix:     "close a program that uses one, have an allocation released, or order more",
		Details: details,
	}
}

// Mismatch refuses a request whose ID is known with another content.
func Mismatch(id string) error {
	return license.Errorf(license.CodeRequestMismatch, "use a new id for each access",
		"the request id %s was used for another request", id)
}

// Ended is the answer about a handle that ended by an event of a kind;
// Released stands for unknown too.
func Ended(kind EventKind, handle string) error {
	switch kind {
	case Expired:
		return license.Errorf(license.CodeHandleExpired, "access the license again",
			"the handle %s was not renewed in time", handle)
	case Removed:
		return license.Errorf(license.CodeHandleRemoved, "ask the administrator, then access the license again",
			"the handle %s was removed by an administrator", handle)
	}
	return license.Errorf(license.CodeHandleUnknown, "access the license again",
		"there is no handle %s here", handle)
}

// Fenced is the answer to a leader under an epoch that is over.
func Fenced(group license.Serial, epoch uint64) error {
	return &license.Error{
		Code:    license.CodeFenced,
		Message: fmt.Sprintf("a newer leader decides about the seats of %s", group),
		Fix:     "ask the active server",
		Details: map[string]any{"epoch": epoch},
	}
}

// Unavailable says that the store can't be reached or can't write: the change
// may or may not have happened, and repeating it is safe.
func Unavailable(cause error) error {
	return &license.Error{
		Code:    license.CodeUnavailable,
		Message: "the store of seats does not answer",
		Fix:     "try again; if it persists, look at the server's log",
		Err:     cause,
	}
}
