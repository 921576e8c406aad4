package lease

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
)

// Bounds of what a request may carry; more is refused with CodeInvalidInput.
const (
	MostID    = 128 // bytes of a request id
	MostText  = 512 // bytes of a station, address, user or application
	MostLease = 366 * 24 * time.Hour
	// MostLinger is how long a released seat may linger.
	MostLinger = MostLease
)

// Check says whether a driver may take the request for a group; all drivers
// refuse the same ones.
func (r Request) Check(group license.Serial) error {
	if err := r.Pool.Check(group); err != nil {
		return err
	}
	return checkHandle(r.ID, r.Mode, r.Lease, r.Station, r.Client)
}

// Content is a digest of what the program asks for: two requests with one ID
// are the same when their contents are. It covers neither Quantity nor Lease,
// which the server adds.
func (r Request) Content() string {
	h := sha256.New()
	field := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	var process [4]byte
	binary.BigEndian.PutUint32(process[:], r.Client.Process)
	field([]byte(r.Pool.String()))
	field([]byte(r.Mode))
	field([]byte(r.Station))
	field([]byte(r.Client.Address))
	field([]byte(r.Client.User))
	field(process[:])
	field([]byte(r.Client.Application))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Holder is whom the seat lingers for, once it is released.
func (r Request) Holder() Holder {
	return Holder{r.Mode, r.Station, r.Client.Address, r.Client.User, r.Client.Application}
}

// Check says whether the reference can be answered by the leader of a group
// under an epoch; all drivers refuse the same ones. A newer epoch than ours is
// never a refusal of the handle: the caller doesn't lead.
func (r Ref) Check(group license.Serial, epoch uint64) error {
	if err := r.Pool.Check(group); err != nil {
		return err
	}
	if r.Epoch > epoch {
		return &license.Error{
			Code:    license.CodeNotLeader,
			Message: fmt.Sprintf("the handle %s was confirmed by a newer leader of %s", r.Handle, group),
			Fix:     "ask the active server",
			Details: map[string]any{"epoch": epoch, "tokenEpoch": r.Epoch},
		}
	}
	if r.Linger < 0 || r.Linger > MostLinger {
		return license.Errorf(license.CodeInvalidInput, "set the license's linger time to some seconds or minutes",
			"a seat lingers for 0 to %v, not %v", MostLinger, r.Linger)
	}
	return checkID(r.Handle)
}

// CheckLost says whether the reference carries what it takes to take a handle
// in again whose record the store lost.
func (r Ref) CheckLost() error {
	if r.N == 0 || r.Lease == 0 || (r.Seat == 0) != (r.Mode == license.NoUserLimit) {
		return Ended(Released, r.Handle)
	}
	return checkHandle(r.Handle, r.Mode, r.Lease, r.Station, r.Client)
}

// Request is the request that the handle came from, as far as the token tells.
func (r Ref) Request() Request {
	return Request{ID: r.Handle, Pool: r.Pool, Mode: r.Mode, Station: r.Station, Client: r.Client, Lease: r.Lease}
}

// CheckBy says whether by may name who removes a handle.
func CheckBy(by string) error {
	if len(by) > MostText {
		return license.Errorf(license.CodeInvalidInput, "shorten it",
			"the name of who removes has %d bytes, more than %d", len(by), MostText)
	}
	return checkText("name of who removes", by)
}

// Check says whether the pool is one of the group's.
func (p Pool) Check(group license.Serial) error {
	if p.Container != group || group.IsZero() {
		return license.Errorf(license.CodeInvalidInput, "ask the server that holds the container",
			"the pool %s is not of container %s", p, group)
	}
	if p.Product.Firm == 0 {
		return license.Errorf(license.CodeInvalidInput, "name a product as FIRM:PRODUCT",
			"the pool %s has no firm code", p)
	}
	return nil
}

func checkID(id string) error {
	if id == "" || len(id) > MostID {
		return license.Errorf(license.CodeInvalidInput, "use a UUID, new for each access",
			"a request id has 1 to %d bytes, not %d", MostID, len(id))
	}
	return checkText("request id", id)
}

func checkHandle(id string, mode license.AccessMode, lease time.Duration, station string, c Client) error {
	if err := checkID(id); err != nil {
		return err
	}
	if mode != license.UserLimit && mode != license.NoUserLimit {
		return license.Errorf(license.CodeInvalidInput,
			fmt.Sprintf("ask for %s or %s", license.UserLimit, license.NoUserLimit),
			"the access mode %q is not offered here", clip(string(mode)))
	}
	if lease < time.Millisecond || lease > MostLease {
		return license.Errorf(license.CodeInvalidInput, "set the server's lease to some seconds or minutes",
			"a lease lasts 1 ms to %v, not %v", MostLease, lease)
	}
	for _, f := range []struct{ name, text string }{
		{"station", station}, {"address", c.Address}, {"user", c.User}, {"application", c.Application},
	} {
		if len(f.text) > MostText {
			return license.Errorf(license.CodeInvalidInput, "shorten it",
				"the %s has %d bytes, more than %d", f.name, len(f.text), MostText)
		}
		if err := checkText(f.name, f.text); err != nil {
			return err
		}
	}
	return nil
}

func checkText(name, text string) error {
	if !utf8.ValidString(text) {
		return license.Errorf(license.CodeInvalidInput, "send text as UTF-8", "the %s is no valid text", name)
	}
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			return license.Errorf(license.CodeInvalidInput, "leave control characters out",
				"the %s has the control character %#02x", name, r)
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
