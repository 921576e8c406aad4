package lease

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
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
	// MostLicenses is how many one handle may take.
	MostLicenses = 1_000_000
	MostTags     = 16 // of one request
	MostTag      = 64 // bytes
	MostLimits   = 64 // caps, and holds, of one request
	// MostWaiting is how many requests may wait in one pool's queue.
	MostWaiting = 256
	MostWait    = 30 * 24 * time.Hour
	MostPlace   = time.Hour // that a place is kept without being asked for
)

// Check says whether a driver may take the request for a group; all drivers
// refuse the same ones.
func (r Request) Check(group license.Serial) error {
	if err := r.Pool.Check(group); err != nil {
		return err
	}
	if err := checkHandle(r.ID, r.Mode, r.Lease, r.Station, r.Client, r.Licenses, r.Limits.Tags); err != nil {
		return err
	}
	if err := r.Limits.check(); err != nil {
		return err
	}
	if w := r.Wait; w != nil && (w.Until < time.Millisecond || w.Until > MostWait || w.Place < time.Millisecond || w.Place > MostPlace) {
		return license.Errorf(license.CodeInvalidInput, "give other times",
			"a request waits 1 ms to %v, and its place is kept 1 ms to %v, not %v and %v", MostWait, MostPlace, w.Until, w.Place)
	}
	return nil
}

func (l Limits) check() error {
	if len(l.Caps) > MostLimits || len(l.Holds) > MostLimits {
		return license.Errorf(license.CodeInvalidInput, "let fewer rules apply to one request",
			"a request has up to %d caps and as many holds, not %d and %d", MostLimits, len(l.Caps), len(l.Holds))
	}
	for _, c := range l.Caps {
		if err := checkTag(c.Tag); err != nil {
			return err
		}
	}
	for _, h := range l.Holds {
		if err := checkTag(h.Tag); err != nil {
			return err
		}
	}
	return nil
}

// Wants is how many licenses the request asks for.
func (r Request) Wants() uint32 { return max(r.Licenses, 1) }

// Content is a digest of what the program asks for: two requests with one ID
// are the same when their contents are. It covers nothing that the server adds:
// neither Quantity nor Lease, nor Limits and Wait. (What is as it was before a
// request could say it, is left out, so that older digests hold.)
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
	if n := r.Wants(); n > 1 {
		field([]byte(fmt.Sprintf("licenses %d", n)))
	}
	if r.Borrowed {
		field([]byte("borrowed"))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Holder is whom the seat lingers for, once it is released.
func (r Request) Holder() Holder {
	if r.Mode == license.StationShare {
		return Holder{Mode: r.Mode, Station: r.Station}
	}
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
	if r.Idle < 0 {
		return license.Errorf(license.CodeInvalidInput, "count from the last use on",
			"a program can't be idle for %v", r.Idle)
	}
	return checkID(r.Handle)
}

// CheckLost says whether the reference carries what it takes to take a handle
// in again whose record the store lost.
func (r Ref) CheckLost() error {
	if r.N == 0 || r.Lease == 0 || r.Seat == 0 {
		return Ended(Released, r.Handle)
	}
	return checkHandle(r.Handle, r.Mode, r.Lease, r.Station, r.Client, r.Licenses, r.Tags)
}

// Request is the request that the handle came from, as far as the token tells.
func (r Ref) Request() Request {
	return Request{
		ID: r.Handle, Pool: r.Pool, Mode: r.Mode, Station: r.Station, Client: r.Client, Lease: r.Lease,
		Licenses: r.Licenses, Borrowed: r.Borrowed, Limits: Limits{Tags: r.Tags},
	}
}

// Check says whether the removal is well-formed; all drivers refuse the same
// ones.
func (r Removal) Check(p Pool, group license.Serial) error {
	if err := (Ref{Pool: p, Handle: r.Handle}).Check(group, 0); err != nil {
		return err
	}
	if r.MinAge < 0 {
		return license.Errorf(license.CodeInvalidInput, "set it to 0 or more", "the minimum age is %v", r.MinAge)
	}
	return checkBounded("name of who removes", r.By)
}

// Check says whether the notice may be left to a handle; all drivers refuse the
// same ones.
func (n Notice) Check(p Pool, group license.Serial, handle string) error {
	if err := (Ref{Pool: p, Handle: handle}).Check(group, 0); err != nil {
		return err
	}
	if err := checkID(n.ID); err != nil {
		return err
	}
	if err := checkBounded("notice", n.Text); err != nil {
		return err
	}
	return checkBounded("name of who asks", n.By)
}

// CheckLeave says whether a place in a queue can be named so.
func CheckLeave(p Pool, group license.Serial, id string) error {
	return Ref{Pool: p, Handle: id}.Check(group, 0)
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

func checkHandle(
	id string, mode license.AccessMode, lease time.Duration, station string, c Client, licenses uint32, tags []string,
) error {
	if err := checkID(id); err != nil {
		return err
	}
	if !mode.Valid() {
		return license.Errorf(license.CodeInvalidInput,
			fmt.Sprintf("ask for %s, %s, %s or %s", license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit),
			"there is no access mode %q", license.Clip(string(mode), 40))
	}
	if station == "" && (mode == license.StationShare || mode == license.Exclusive) {
		return license.Errorf(license.CodeInvalidInput, "name the program's station",
			"the access mode %s needs a station", mode)
	}
	if licenses > MostLicenses {
		return license.Errorf(license.CodeInvalidInput, "ask for fewer",
			"a handle takes up to %d licenses, not %d", MostLicenses, licenses)
	}
	if lease < time.Millisecond || lease > MostLease {
		return license.Errorf(license.CodeInvalidInput, "set the server's lease to some seconds or minutes",
			"a lease lasts 1 ms to %v, not %v", MostLease, lease)
	}
	for _, f := range []struct{ name, text string }{
		{"station", station}, {"address", c.Address}, {"user", c.User}, {"application", c.Application},
	} {
		if err := checkBounded(f.name, f.text); err != nil {
			return err
		}
	}
	return checkTags(tags)
}

func checkTags(tags []string) error {
	if len(tags) > MostTags {
		return license.Errorf(license.CodeInvalidInput, "let fewer rules apply to one request",
			"a handle has up to %d tags, not %d", MostTags, len(tags))
	}
	for i, tag := range tags {
		if err := checkTag(tag); err != nil {
			return err
		}
		if slices.Contains(tags[:i], tag) {
			return license.Errorf(license.CodeInvalidInput, "give each tag once", "the tag %q is there twice", tag)
		}
	}
	return nil
}

func checkTag(tag string) error {
	if tag == "" || len(tag) > MostTag {
		return license.Errorf(license.CodeInvalidInput, "shorten or name it",
			"a tag has 1 to %d bytes, not %d", MostTag, len(tag))
	}
	return checkText("tag", tag)
}

func checkBounded(name, text string) error {
	if len(text) > MostText {
		return license.Errorf(license.CodeInvalidInput, "shorten it",
			"the %s has %d bytes, more than %d", name, len(text), MostText)
	}
	return checkText(name, text)
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
