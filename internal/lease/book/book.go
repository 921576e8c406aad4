package book

import (
	"container/heap"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// Options are a Book's settings; zero values stand for the defaults.
type Options struct {
	// MostEvents is how many events are kept at least (50,000), unless their texts
	// have more than MostEventBytes together (32 MiB); an eighth more may be there.
	MostEvents, MostEventBytes int
	// MostEnded is how many ended handles are remembered (50,000).
	MostEnded int
	// Sure: no record is ever missing but in a grace period, so tokens bring
	// handles back in one alone.
	Sure bool
}

// WithDefaults puts the defaults in place of zero values.
func (o Options) WithDefaults() Options {
	if o.MostEvents <= 0 {
		o.MostEvents = 50_000
	}
	if o.MostEventBytes <= 0 {
		o.MostEventBytes = 32 << 20
	}
	if o.MostEnded <= 0 {
		o.MostEnded = 50_000
	}
	return o
}

// Book is the memory of one group's seats. Not safe for concurrent use.
type Book struct {
	group    license.Serial
	opt      Options
	epoch    uint64
	claimed  bool // timers run
	grace    bool
	position uint64
	seqs     map[license.FirmCode]uint64
	pools    map[license.Product]*pool
	handles  map[string]*handle
	lingers  map[string]*handle // released, their seats not free yet
	waiters  map[string]*waiter
	denials  map[denial]time.Time // on record, when
	ended    map[string]ended
	order    []string // of ended, oldest first
	events   []lease.Event
	bytes    int // of their texts
	out      Effects
}

// New makes an empty Book.
func New(group license.Serial, o Options) *Book {
	return &Book{
		group:   group,
		opt:     o.WithDefaults(),
		seqs:    map[license.FirmCode]uint64{},
		pools:   map[license.Product]*pool{},
		handles: map[string]*handle{},
		lingers: map[string]*handle{},
		waiters: map[string]*waiter{},
		denials: map[denial]time.Time{},
		ended:   map[string]ended{},
	}
}

// Epoch is the one that grants carry; zero before the first Claim.
func (b *Book) Epoch() uint64 { return b.epoch }

// SetEpoch says what the last epoch was, for a Book that is being filled.
func (b *Book) SetEpoch(epoch uint64) { b.epoch = max(b.epoch, epoch) }

// Claimed says whether timers run: whether Claim was called since the Book was
// made.
func (b *Book) Claimed() bool { return b.claimed }

// Claim starts an epoch: every handle gets at least a full lease and
// more, by lease.AfterClaim, from now, and so does every lingering seat.
// With Records the driver finds what to write under it.
func (b *Book) Claim(epoch uint64, now time.Time) {
	b.epoch, b.claimed = epoch, true
	clear(b.denials)
	for _, p := range b.pools {
		for _, h := range p.due {
			full := h.lease
			if h.linger > 0 {
				full = h.linger
			}
			if d := now.Add(lease.AfterClaim(full)); d.After(h.deadline) {
				h.deadline = d
			}
		}
		heap.Init(&p.due)
	}
}

// Inherit takes over what an earlier Book of the group knows and this one, newly
// filled with what is durable, doesn't: the epoch, whether and how timers run,
// positions, notices and the queue. Each n that was used stays used, also where
// its grant was not durable: Drain gives those seats' records.
func (b *Book) Inherit(old *Book, now time.Time) {
	b.epoch = max(b.epoch, old.epoch)
	b.SetPosition(old.position)
	for product, p := range old.pools {
		q := b.pool(product)
		for seat, n := range p.n {
			if n > q.n[seat] && seat != 0 {
				q.n[seat], q.stale = n, true
				b.out.Records = append(b.out.Records, q.record(product, seat))
			}
		}
		q.queue = p.queue
	}
	b.waiters = old.waiters
	if !old.claimed {
		return
	}
	b.Claim(b.epoch, now)
	b.denials = old.denials
	for id, h := range b.handles {
		if o := old.handles[id]; o != nil && o.n == h.n {
			h.deadline, h.last, h.idle, h.notice = o.deadline, o.last, o.idle, o.notice
		} else if e, ok := old.ended[id]; ok && e.n == h.n && !e.deadline.IsZero() {
			h.deadline = e.deadline
		}
		heap.Fix(&b.pool(h.product).due, h.index)
	}
	for id, h := range b.lingers {
		if o := old.lingers[id]; o != nil && o.n == h.n {
			h.deadline = o.deadline
		} else if e, ok := old.ended[id]; ok && e.n == h.n && !e.linger.IsZero() {
			h.deadline = e.linger
		}
		heap.Fix(&b.pool(h.product).due, h.index)
	}
}

// request is what h was asked for by.
func (b *Book) request(h *handle) lease.Request {
	return lease.Request{
		ID: h.id, Pool: lease.Pool{Container: b.group, Product: h.product}, Mode: h.mode,
		Station: h.station, Client: h.client, Lease: h.lease,
		Licenses: h.licenses, Borrowed: h.borrowed, Limits: lease.Limits{Tags: h.tags},
	}
}
