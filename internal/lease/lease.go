// Package lease keeps seats and the handles that take them.
//
// Invariant 1: never more valid handles than the quantity in force allows,
// under crash, failover, restart or pause. Invariant 2: a program that renews
// in time keeps its seat.
//
// Each handle has a seat: a number from 1, in every access mode unique among
// the living and the lingering handles of its pool. A seat's record is (seat,
// epoch, n, holder): n counts up per seat and is never used again, not even for
// a grant that was given up; the holder is the handle of one request. Whoever
// decides about a group's seats does so under an epoch; a claim makes a higher
// one and so fences every earlier leader. The drivers are memlease (one
// process), redislease (a shared Redis) and, for TMR, a quorum of journals;
// leasetest is the one suite that all of them pass.
//
// # What handles take
//
// The number of a seat says nothing about the quantity: what handles take of it
// is computed. With user limit and exclusive each handle takes its Licenses;
// with station share a station takes the most Licenses among its share handles,
// however many there are; with no user limit nothing is taken. A sum by this
// rule is an account. A pool has the accounts living (of its living handles),
// all (of the living and the lingering ones), and one per tag (of those with the
// tag, living and lingering).
//
// # Whether a request is granted
//
// Lapsed leases and lingers of the pool, and lost places in its queue, are ended
// first. Own is the lowest lingering seat for the request's Holder, if any;
// after(account) is what the account would be with the request added and own
// taken away, and what a request adds to it is the difference, if positive. The
// first rule that refuses answers:
//
//  1. An exclusive request is refused with CodeStationBusy while another living
//     handle that takes licenses is on its station, and every request that takes
//     licenses while a living exclusive one is there.
//  2. A Cap refuses with CodeLimitReached, unless after(its tag) is within Most
//     or no more than before.
//  3. The quantity refuses with CodeNoFreeSeat or CodeQueued, unless living grows
//     not at all or stays within Quantity, and all grows not at all or stays, with
//     what is held back and what is ahead, within Quantity. Held back is, over the
//     request's Holds, what is left of Least beyond after(tag). Ahead is what
//     those who wait before the request would add, each on its own.
//
// Ahead leaves out who waits but is refused by rule 1 or 2 now, who wants more
// than Quantity, and whom the request takes nothing from: all that it adds, that
// one's own Holds kept back from him, and would no more.
//
// A request with no user limit skips the rules: it is always granted. Local and
// network accesses are the same here: who comes first on a station is shared.
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
	// Licenses is how many the handle takes (cores, tokens); 0 counts as 1.
	Licenses uint32
	// Borrowed: the handle is used without the server for a time, so it can't be
	// removed.
	Borrowed bool
	// Limits are what the server's rules say about the request now. They are no
	// part of the content; a repeat of a granted one keeps the tags of the first.
	Limits Limits
	// Wait lets the request queue where licenses are wanting. Nil: it doesn't,
	// and gives a place up that it has.
	Wait *Wait
}

// Limits are bounds on the licenses of handles with a tag. The store knows no
// rules but these.
type Limits struct {
	// Tags are kept with the handle.
	Tags  []string
	Caps  []Cap
	Holds []Hold
}

// Cap is how many licenses the handles with a tag may take together.
type Cap struct {
	Tag  string
	Most uint32
}

// Hold is how many licenses are kept back for handles with a tag, which the
// request that carries it has not.
type Hold struct {
	Tag   string
	Least uint32
}

// Wait is how a request queues. That of the first asking counts until the
// request is granted, refused, or has lost its place.
type Wait struct {
	// Priority: higher ones come first, then who asked first. Requests that
	// don't wait have priority 0, and stand behind all who wait with 0 or more.
	Priority int32
	// Until is how long the request waits, counted by the store from the first
	// asking: then it is refused.
	Until time.Duration
	// Place is how long the place is kept without being asked for.
	Place time.Duration
}

// Ref names a handle as its token does.
type Ref struct {
	Pool   Pool
	Handle string
	Seat   uint32
	Epoch  uint64 // of the token; an older one than the leader's is fine
	N      uint64
	// Mode, Station, Client, Lease, Licenses, Tags and Borrowed let a store that
	// lost the record in a crash take the handle in again, where the seat is free.
	// The caller has checked the token that they come from. Lease is zero where
	// the token's lifetime is over: such a handle isn't taken in.
	Mode     license.AccessMode
	Station  string
	Client   Client
	Lease    time.Duration
	Licenses uint32
	Tags     []string
	Borrowed bool
	// Idle is how long the program has not used the license, noted by Renew; 0:
	// it is in use, or not told. The other methods don't look at it.
	Idle time.Duration
	// Linger is how long Release keeps the seat for the same Holder: 0 frees it
	// at once. The other methods don't look at it.
	Linger time.Duration
}

// Holder is whom a released seat lingers for. Two programs of one holder may
// run in different processes. With station share it is the mode and the station
// alone.
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
	// Licenses is how many were asked for, at least 1.
	Licenses uint32
	// Notice is the last one asked of this handle, told by Renew and by a repeat
	// of the request each time until the handle ends; else nil.
	Notice *Notice
}

// Notice is what somebody asks a handle's program, mostly to release it.
type Notice struct {
	ID, Text, By string
}

// Removal is an order to end somebody else's handle.
type Removal struct {
	Handle string
	By     string // who removes, for people
	// MinAge keeps younger handles from being removed.
	MinAge time.Duration
}

// Waiter is a request in a pool's queue.
type Waiter struct {
	ID       string
	Mode     license.AccessMode
	Station  string
	Client   Client
	Licenses uint32
	Priority int32
	Since    time.Time // when it asked first
}

// Handle is a living handle as monitoring shows it.
type Handle struct {
	Grant
	Station string
	Client  Client
	// Accesses is how many use what it Takes: where that shows what a station's share
	// handles take, all of them; else 1, the handle's own.
	Accesses    uint32
	FirstAccess time.Time
	LastAccess  time.Time     // last access or renewal
	Remaining   time.Duration // until it expires without a renewal
	// Takes is what the handle takes now. What a station takes with station share
	// is shown by the first of its share handles by first access, then id.
	Takes    uint32
	Idle     time.Duration // as last told by Renew
	Tags     []string
	Borrowed bool
}

// Usage are a pool's figures, of licenses but for ByMode and Waiting. A handle
// whose lease has run out doesn't count.
type Usage struct {
	Taken     uint32 // by living and lingering handles: the account all
	Lingering uint32 // how much of Taken the living ones don't take
	// ByMode are the living handles of each mode, TakenByMode what they take, and
	// ByTag the accounts of the tags. What is zero is left out.
	ByMode      map[license.AccessMode]uint32
	TakenByMode map[license.AccessMode]uint32
	ByTag       map[string]uint32
	Borrowed    uint32 // what the living borrowed handles take by themselves
	Waiting     uint32 // requests in the queue
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
	// Licenses is how many the request asked for, at least 1.
	Licenses uint32
	Borrowed bool
	// Rule is the tag that refused, for Denied: the cap's, or that of the first
	// Hold which still keeps licenses back where without any there was room.
	Rule string
	// Seq counts the events of one firm in the group by one from 1, so that a
	// missing number is a gap. Zero: written before events were counted.
	Seq uint64
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

// AfterClaim is the most that a full time becomes by a claim: Margin, and a
// thousandth, by which a program's clock may be slower than the store's.
func AfterClaim(full time.Duration) time.Duration { return full + Margin + full/1000 }

// Seats is the right to decide about one group's seats under one epoch. Every
// method fails with license.CodeFenced once a newer epoch was claimed, and
// with license.CodeUnavailable when the store can't be reached. After the latter,
// and after the former where the claim was made meanwhile, the change may or may
// not have happened, and repeating it, there or with the next leader, is safe.
// Once a method returned nil, its effect outlives a crash of this process (and
// of the store's, as the driver's documentation says).
type Seats interface {
	Epoch() uint64

	// Access gives a handle where the package's rules grant it. Errors:
	// CodeNoFreeSeat, CodeStationBusy and CodeLimitReached (a Denied event tells of
	// each, see DenialPause), CodeQueued for a request that waits (no event), CodeRequestMismatch
	// for a known ID with another content, CodeHandleExpired/CodeHandleRemoved for
	// the ID of a handle that lived and ended. A repeat counts as a renewal and
	// gives the same seat and n. A lowered Quantity throws nobody out.
	//
	// Where a seat of the pool lingers for the request's Holder, the handle gets
	// the lowest of them, under a new n, else the lowest free number.
	//
	// A request with Wait that is refused for want of licenses gets a place in
	// the queue, unless MostWaiting are there or it wants more than Quantity. It is
	// asked again with the same request; the place is lost when it isn't asked for
	// within Wait.Place, when any other answer than CodeQueued is given, and by
	// Leave. A free license is given to who stands first, once that one asks. Asked
	// after Wait.Until the answer is CodeNoFreeSeat, unless it is granted. Places
	// need not outlive a crash or a takeover.
	Access(ctx context.Context, r Request) (Grant, error)

	// Leave gives a place in the pool's queue up. An unknown id is no error.
	Leave(ctx context.Context, pool Pool, id string) error

	// Waiting gives the pool's queue in its order.
	Waiting(ctx context.Context, pool Pool) ([]Waiter, error)

	// Ask leaves a notice to a living handle's program, in place of an earlier
	// one. It need not outlive a crash or a takeover. Errors: CodeHandleUnknown;
	// CodeBorrowed of a borrowed one, whose program need not renew it.
	Ask(ctx context.Context, pool Pool, handle string, n Notice) error

	// Renew starts the handle's lease anew. Errors: CodeHandleExpired (too
	// late; never revived), CodeHandleRemoved, CodeHandleUnknown (released, or
	// an n that is not the seat's), CodeNotLeader (ref's epoch is newer than
	// ours: the caller stops leading). A handle whose record the store lost in
	// a crash is taken in again if the seat is free and its n was never used; a
	// lingering seat counts as free here, since a newer n tells that the linger
	// was over. Where a driver can't lose a record without knowing, it takes
	// handles in only when it knows.
	Renew(ctx context.Context, ref Ref) (Grant, error)

	// Check says whether the handle is alive now, without renewing it; errors
	// as Renew, and a lost handle is taken in as by Renew. Crypto calls ask it.
	Check(ctx context.Context, ref Ref) error

	// Release ends the handle; its seat is free at once, or with a Linger once
	// that has passed. The handle is over and its Released event written at once
	// either way. Releasing twice, or with an older n, does nothing and is no
	// error: it prolongs no linger. A handle that takes no license doesn't linger,
	// nor does one that expired or was removed. Error: CodeNotLeader as Renew.
	Release(ctx context.Context, ref Ref) error

	// Remove ends somebody else's handle; its program gets CodeHandleRemoved at
	// its next call. Removing twice is no error. Of a released handle whose seat
	// lingers it frees the seat at once: the handle stays released, no event is
	// written, and it is unknown then as released ones are. Errors:
	// CodeHandleUnknown; of a living handle CodeBorrowed, and CodeTooYoung when its
	// first access was less than MinAge ago.
	Remove(ctx context.Context, pool Pool, r Removal) error

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
