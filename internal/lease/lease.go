// Package lease keeps seats and the handles that take them.
//
// Invariant 1: never more valid handles than the quantity in force allows,
// under crash, failover, restart or pause. Invariant 2: a program that renews
// in time keeps its seat.
//
// Seats of a pool are numbered 1…quantity. A seat's record is (seat, epoch, n,
// holder): n counts up per seat and is never used again, not even for a grant
// that was given up; the holder is the handle of one request. Whoever decides
// about a group's seats does so under an epoch; a claim makes a higher one and
// so fences every earlier leader. The drivers are memlease (one process),
// redislease (a shared Redis) and, for TMR, a quorum of journals; leasetest is
// the one suite that all of them pass.
package lease

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Pool is what a quantity belongs to: one product in one container.
type Pool struct {
	Container license.Serial
	Product   license.Product
}

func (p Pool) String() string { return p.Container.String() + "/" + p.Product.String() }

// Client is who asks for a handle: shown in monitoring, never trusted.
type Client struct {
	Address     string // host name or address of the station
	User        string
	Process     uint32 // process id on the station
	Application string
}

// Request asks for one handle. The same ID with the same content is the same
// request, however often it is sent.
type Request struct {
	// ID is unique per access and chosen by the program (UUID): it becomes the
	// handle's id.
	ID      string
	Pool    Pool
	Mode    license.AccessMode
	Station string
	Client  Client
	// Quantity is the quantity in force as the caller sees it now. It is no
	// part of the content: a repeat may come with another one.
	Quantity uint32
	// Lease is how long the handle lives without a renewal. Like Quantity it is
	// the server's own setting: a repeat keeps that of the first request.
	Lease time.Duration
}

// Ref names a handle as its token does.
type Ref struct {
	Pool   Pool
	Handle string
	Seat   uint32
	Epoch  uint64 // of the token; an older one than the leader's is fine
	N      uint64
	// Mode, Station, Client and Lease let a store that lost the record in a
	// crash take the handle in again, where the seat is free. The caller has
	// checked the token that they come from. Lease is zero where the token's
	// lifetime is over: such a handle isn't taken in.
	Mode    license.AccessMode
	Station string
	Client  Client
	Lease   time.Duration
	// Linger is how long Release keeps the seat for the same Holder: 0 frees it
	// at once. The other methods don't look at it.
	Linger time.Duration
}

// Holder is whom a released seat lingers for. Two programs of one holder may
// run in different processes.
type Holder struct {
	Mode                                license.AccessMode
	Station, Address, User, Application string
}

// Grant is a handle as given or renewed.
type Grant struct {
	Handle string
	Pool   Pool
	Mode   license.AccessMode
	Seat   uint32
	Epoch  uint64
	N      uint64
	// Lease is the lifetime from the moment the store decided. The program
	// counts it from before it asked, so its count ends first.
	Lease time.Duration
	// Repeated: this answers a request that was granted before.
	Repeated bool
}

// Handle is a living handle as monitoring shows it.
type Handle struct {
	Grant
	Station     string
	Client      Client
	Accesses    uint32
	FirstAccess time.Time
	LastAccess  time.Time     // last access or renewal
	Remaining   time.Duration // until it expires without a renewal
}

// Usage are a pool's figures. A handle whose lease has run out doesn't count.
type Usage struct {
	Taken     uint32 // seats taken, also by no more than lingering
	Lingering uint32 // how many of Taken linger
	// ByMode are the handles of each mode; modes without any are left out.
	ByMode map[license.AccessMode]uint32
}

// EventKind is what happened to a handle.
type EventKind string

// The kinds of events. Renewals make none.
const (
	Granted  EventKind = "GRANTED"
	Released EventKind = "RELEASED"
	Expired  EventKind = "EXPIRED"
	Removed  EventKind = "REMOVED"
	Denied   EventKind = "DENIED"
)

// Event is one entry of a group's stream, written together with the change
// that it tells of. Position counts up by any steps and never repeats, not even
// in a store that lost its data; a reader that lost its place reads again and
// skips what it has.
type Event struct {
	Position uint64
	Kind     EventKind
	At       time.Time
	Handle   string
	Pool     Pool
	Mode     license.AccessMode
	Station  string
	Client   Client
	Seat     uint32       // zero for Denied
	N        uint64       // zero for Denied
	Reason   license.Code // for Denied
	By       string       // who removed it, for Removed
}

// Store holds the seats of any number of groups. A group is what one epoch
// covers: one container, real or virtual. Safe for concurrent use.
type Store interface {
	// Claim makes a new epoch for the group, higher than every earlier one, and
	// so fences whoever held one: their writes fail with license.CodeFenced.
	// Every seat held stays held and gets at least a full lease and Margin from
	// now, since nobody knows when it was last renewed; so does a lingering one,
	// with its linger time. owner is for people only.
	Claim(ctx context.Context, group license.Serial, owner string) (Seats, error)

	// Join decides under the epoch that is in force (making the first one where
	// there is none), for several processes that serve one container together.
	// Drivers for one leader at a time answer license.CodeInvalidInput.
	Join(ctx context.Context, group license.Serial, owner string) (Seats, error)

	// Events gives up to max events of the group after a position, oldest
	// first, and waits for the first until ctx ends (then: none, no error).
	// A position older than what is kept gives what is kept.
	Events(ctx context.Context, group license.Serial, after uint64, max int) ([]Event, error)

	// Close ends the store. Whoever waits in Events is let go.
	Close() error
}

// Margin is what Claim adds to each full lease: the last leader may still
// answer for so long after it was fenced.
const Margin = 2 * time.Second

// Seats is the right to decide about one group's seats under one epoch. Every
// method fails with license.CodeFenced once a newer epoch was claimed, and
// with license.CodeUnavailable when the store can't be reached; after that
// error the change may or may not have happened, and repeating it is safe.
// Once a method returned nil, its effect outlives a crash of this process (and
// of the store's, as the driver's documentation says).
type Seats interface {
	Epoch() uint64

	// Access gives a handle. Errors: CodeNoFreeSeat when Quantity seats are
	// taken (a Denied event tells of it), CodeRequestMismatch for a known ID
	// with another content, CodeHandleExpired/CodeHandleRemoved for the ID of a
	// handle that lived and ended. A repeat counts as a renewal and gives the
	// same seat and n. A lowered Quantity throws nobody out.
	//
	// Where seats of the pool linger for the request's Holder, it gets the lowest
	// of them, under a new n, though all others be taken: only the handles count
	// then, and Quantity of them are still refused. To anybody else a lingering
	// seat is taken.
	Access(ctx context.Context, r Request) (Grant, error)

	// Renew starts the handle's lease anew. Errors: CodeHandleExpired (too
	// late; never revived), CodeHandleRemoved, CodeHandleUnknown (released, or
	// an n that is not the seat's), CodeNotLeader (ref's epoch is newer than
	// ours: the caller stops leading). A handle whose record the store lost in
	// a crash is taken in again if the seat is free and its n was never used; a
	// lingering seat counts as free here, since a newer n tells that the linger
	// was over.
	Renew(ctx context.Context, ref Ref) (Grant, error)

	// Check says whether the handle is alive now, without renewing it; errors
	// as Renew, and a lost handle is taken in as by Renew. Crypto calls ask it.
	Check(ctx context.Context, ref Ref) error

	// Release ends the handle; its seat is free at once, or with a Linger once
	// that has passed. The handle is over and its Released event written at once
	// either way. Releasing twice, or with an older n, does nothing and is no
	// error: it prolongs no linger. A handle without a seat doesn't linger, nor
	// does one that expired or was removed. Error: CodeNotLeader as Renew.
	Release(ctx context.Context, ref Ref) error

	// Remove ends somebody else's handle; its program gets CodeHandleRemoved at
	// its next call. Removing twice is no error. Of a released handle whose seat
	// lingers it frees the seat at once: the handle stays released, no event is
	// written, and it is unknown then as released ones are. Error:
	// CodeHandleUnknown.
	Remove(ctx context.Context, pool Pool, handle, by string) error

	// Expire frees the seats whose lease has run out and writes their events,
	// and those whose linger has, without any: Released told of them. It returns
	// how many. Access does so itself for its own pool before it refuses, so
	// Expire only decides how soon monitoring shows it.
	Expire(ctx context.Context) (int, error)

	// Next is how long until the earliest lease or linger of the group runs out;
	// false when there is none.
	Next(ctx context.Context) (time.Duration, bool, error)

	// List gives the living handles of a pool, by first access, then id; no
	// lingering seats.
	List(ctx context.Context, pool Pool) ([]Handle, error)

	// Usage gives the figures of a pool.
	Usage(ctx context.Context, pool Pool) (Usage, error)
}

// Elector decides which of several servers leads a group, for set-ups in which
// nothing outside (keepalived) does. It says nothing about seats: only a Claim
// gives the right to decide.
type Elector interface {
	// Campaign asks to lead, or confirms that owner still does, for ttl. It
	// returns who leads now.
	Campaign(ctx context.Context, group license.Serial, owner string, ttl time.Duration) (leader string, err error)
	// Resign gives leadership up at once if owner has it.
	Resign(ctx context.Context, group license.Serial, owner string) error
}
