package quorumlease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

// Options are a store's settings.
type Options struct {
	// Journals gives the three journals of a group. It is called by each Claim.
	Journals func(group license.Serial) ([license.Backends]journal.Backend, error)
	// Skew is how far apart the clocks of a group's servers may be. A grace period
	// lasts so much beyond the longest lease that a token may have, as far as the
	// journals that are left and the tokens that come tell; Journal.Grace is the
	// least.
	Skew time.Duration
	// Journal are the settings of the lead. Its Owner is that of each Claim, its
	// MostEvents also how many ended handles are remembered.
	Journal journal.Options
	Logger  *slog.Logger
}

// Store is a lease.Store over the journals of TMR groups.
type Store struct {
	opt Options

	mu     sync.Mutex
	closed bool
	claims map[license.Serial]*sync.Mutex
	leads  map[license.Serial]*seats
	news   map[license.Serial]chan struct{} // closed when a lead begins
}

var (
	_ lease.Store = (*Store)(nil)

	errClosed = errors.New("quorumlease: the store is closed")
)

// New makes a store.
func New(o Options) *Store {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Journal.Logger == nil {
		o.Journal.Logger = o.Logger
	}
	if o.Journal.MostEvents <= 0 {
		o.Journal.MostEvents = 10_000
	}
	return &Store{
		opt: o, claims: map[license.Serial]*sync.Mutex{}, leads: map[license.Serial]*seats{},
		news: map[license.Serial]chan struct{}{},
	}
}

// Claim implements lease.Store. An earlier lead of this store's over the group
// ends when the claim begins.
func (s *Store) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	if group.IsZero() {
		return nil, license.Errorf(license.CodeInvalidInput, "name a container", "a group needs a serial")
	}
	if err := ctx.Err(); err != nil {
		return nil, lease.Unavailable(err)
	}
	s.mu.Lock()
	one := s.claims[group]
	if one == nil {
		one = &sync.Mutex{}
		s.claims[group] = one
	}
	s.mu.Unlock()
	one.Lock()
	defer one.Unlock()
	s.mu.Lock()
	before, closed := s.leads[group], s.closed
	s.mu.Unlock()
	if closed {
		return nil, lease.Unavailable(errClosed)
	}
	if before != nil {
		before.end(lease.Fenced(group, before.Epoch()))
	}
	journals, err := s.opt.Journals(group)
	if err != nil {
		return nil, err
	}
	o := s.opt.Journal
	o.Owner = owner
	if before != nil {
		o.Known = before.q.Known()
	}
	q, err := journal.Claim(ctx, journals, o)
	if err != nil {
		return nil, err
	}
	t, err := s.begin(group, q)
	if err != nil {
		q.Close()
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		t.end(lease.Unavailable(errClosed))
		return nil, lease.Unavailable(errClosed)
	}
	s.leads[group] = t
	if news := s.news[group]; news != nil {
		close(news)
		delete(s.news, group)
	}
	return t, nil
}

// begin fills a book with what the journals have, and starts its timers.
func (s *Store) begin(group license.Serial, q *journal.Quorum) (*seats, error) {
	b := book.New(group, book.Options{MostEvents: s.opt.Journal.MostEvents, MostEnded: s.opt.Journal.MostEvents, Sure: true})
	records, events := q.Content()
	var longest time.Duration
	for _, r := range records {
		rec, seat, seq, err := parseRecord(r)
		switch {
		case err != nil:
			return nil, corrupt(group, fmt.Errorf("seat %d of %s: %w", r.Seat, r.Product, err))
		case !seat:
			b.LoadSeq(r.Product.Firm, seq)
		case rec.N > 0:
			if err := b.Load(rec); err != nil {
				return nil, corrupt(group, err)
			}
			if rec.Handle != nil {
				longest = max(longest, rec.Handle.Lease)
			}
		}
	}
	var last uint64
	for _, e := range events {
		event, err := parseEvent(e, group)
		if err != nil {
			return nil, corrupt(group, fmt.Errorf("event %d: %w", e.Position, err))
		}
		b.LoadEvent(event)
		last = e.Position
	}
	b.Claim(q.Epoch(), time.Now())
	t := &seats{
		store: s, group: group, q: q, book: b, written: map[string]uint64{}, shown: last,
		changed: make(chan struct{}), more: make(chan struct{}, 1),
	}
	t.prolong(longest)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.running.Go(t.show)
	return t, nil
}

func corrupt(group license.Serial, err error) error {
	return &license.Error{
		Code: license.CodeJournalCorrupt, Err: err,
		Message: fmt.Sprintf("the journals of seats of %s can't be read", group),
		Fix:     "install the version that wrote them, or tell the vendor",
	}
}

// Join implements lease.Store: there is one leader.
func (s *Store) Join(context.Context, license.Serial, string) (lease.Seats, error) {
	return nil, license.Errorf(license.CodeInvalidInput, "claim the lead", "a TMR group has one leader at a time")
}

// Events implements lease.Store. A server that has not led the group since it
// was started has none.
func (s *Store) Events(ctx context.Context, group license.Serial, after uint64, most int) ([]lease.Event, error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, lease.Unavailable(errClosed)
		}
		t := s.leads[group]
		news := s.news[group]
		if news == nil {
			news = make(chan struct{})
			s.news[group] = news
		}
		s.mu.Unlock()
		var changed <-chan struct{}
		if t != nil {
			events, next := t.events(after, most)
			if len(events) > 0 {
				return events, nil
			}
			changed = next
		}
		if most <= 0 {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-changed:
		case <-news:
		}
	}
}

// Status tells how the journals of a group stand with this server's lead; false
// where it doesn't lead.
func (s *Store) Status(group license.Serial) ([license.Backends]journal.Status, bool) {
	s.mu.Lock()
	t := s.leads[group]
	s.mu.Unlock()
	if t == nil {
		return [license.Backends]journal.Status{}, false
	}
	select {
	case <-t.q.Ended():
		return [license.Backends]journal.Status{}, false
	default:
		return t.q.Status(), true
	}
}

// Close implements lease.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	var all []*seats
	for _, t := range s.leads {
		all = append(all, t)
	}
	for _, news := range s.news {
		close(news)
	}
	clear(s.news)
	s.mu.Unlock()
	for _, t := range all {
		t.end(lease.Unavailable(errClosed))
	}
	return nil
}
