package lease

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// The errors below are the same for every driver.

// Shortage is why a request can't be granted for want of licenses.
type Shortage struct {
	Taken, Quantity uint32
	// Licenses is how many were asked for; 0 counts as 1.
	Licenses uint32
	// HeldBack is how many are kept back for others by the request's holds.
	HeldBack uint32
	// Waiting is how many requests are in the pool's queue, the asking one
	// among them where it is.
	Waiting uint32
	// Next is how long until the earliest lease or linger in the pool would run
	// out; zero if not known.
	Next time.Duration
}

func (s Shortage) details() map[string]any {
	d := map[string]any{"taken": s.Taken, "quantity": s.Quantity, "waiting": s.Waiting, "heldBack": s.HeldBack}
	if s.Next > 0 {
		d["nextExpiryMs"] = s.Next.Milliseconds()
	}
	return d
}

func (s Shortage) text(p Pool) string {
	text := fmt.Sprintf("all licenses for %s are taken (%d of %d)", p.Product, s.Taken, s.Quantity)
	if s.Licenses > 1 || s.Taken < s.Quantity {
		text = fmt.Sprintf("too few licenses for %s are free: %d asked for, %d of %d taken",
			p.Product, max(s.Licenses, 1), s.Taken, s.Quantity)
	}
	if s.HeldBack > 0 {
		text += fmt.Sprintf(", %d kept back for others", s.HeldBack)
	}
	return text
}

// NoFreeSeat refuses a request for want of licenses. Details: taken, quantity,
// waiting, heldBack, and nextExpiryMs where it is known.
func NoFreeSeat(p Pool, s Shortage) error {
	return &license.Error{
		Code:    license.CodeNoFreeSeat,
		Message: s.text(p),
		Fix:     "close a program that uses one, have an allocation released, or order more",
		Details: s.details(),
	}
}

// Queued is the answer to a request that waits, at a position counted from 1.
// Details: position, and those of NoFreeSeat.
func Queued(p Pool, s Shortage, position uint32) error {
	d := s.details()
	d["position"] = position
	return &license.Error{
		Code:    license.CodeQueued,
		Message: fmt.Sprintf("%s; the request waits at place %d of %d", s.text(p), position, s.Waiting),
		Fix:     "ask again with the same request to keep the place",
		Details: d,
	}
}

// StationBusy refuses a request that can't share its station, because either it
// or a handle there is exclusive.
func StationBusy(p Pool, station string, mode license.AccessMode) error {
	message := fmt.Sprintf("%s is in exclusive use on the station %q", p.Product, station)
	if mode == license.Exclusive {
		message = fmt.Sprintf("%s is in use on the station %q, so it can't be used exclusively there", p.Product, station)
	}
	return license.Errorf(license.CodeStationBusy, "close the program that uses it on this station", "%s", message)
}

// LimitReached refuses a request by a cap, of whose licenses so many are taken.
// Details: limit (the cap's tag), most, taken.
func LimitReached(p Pool, c Cap, taken uint32) error {
	return &license.Error{
		Code:    license.CodeLimitReached,
		Message: fmt.Sprintf("the limit %s allows %d licenses for %s together, and %d are taken", c.Tag, c.Most, p.Product, taken),
		Fix:     "close a program that is under the same limit, or have the rule changed",
		Details: map[string]any{"limit": c.Tag, "most": c.Most, "taken": taken},
	}
}

// TooYoung refuses to remove a handle of an age. Details: ageMs.
func TooYoung(handle string, age, least time.Duration) error {
	return &license.Error{
		Code:    license.CodeTooYoung,
		Message: fmt.Sprintf("the handle %s is %v old, and is removed from %v on", handle, age.Round(time.Second), least),
		Fix:     "try again later, or ask its user to close the program",
		Details: map[string]any{"ageMs": age.Milliseconds()},
	}
}

// Borrowed refuses to remove a borrowed handle, or to ask its program for it.
func Borrowed(handle string) error {
	return license.Errorf(license.CodeBorrowed, "have it returned by who borrowed it, or wait until its time is over",
		"the handle %s is borrowed", handle)
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
