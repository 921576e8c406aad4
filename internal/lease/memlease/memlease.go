package memlease

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

// Options are a store's settings; zero values stand for the defaults.
type Options struct {
	// MostEvents is how many events of a group are kept at least (50,000); an
	// eighth more may be there.
	MostEvents int
	// MostEnded is how many ended handles of a group are remembered (50,000).
	MostEnded int
	Logger    *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store is a lease.Store within one process.
type Store struct {
	opt     Options
	journal *journal      // nil: memory only
	wake    chan struct{} // tells the committer of a batch
	ended   chan struct{} // closed when the committer has ended

	mu      sync.Mutex
	closed  bool
	broken  error // why the last batch was not written; memory is void
	groups  map[license.Serial]*group
	filling *batch // collects what the next transaction writes; nil: none
}

var (
	_ lease.Store = (*Store)(nil)

	errClosed = errors.New("memlease: the store is closed")
)

// Open opens the journal, or makes it where there is none. An empty path keeps
// everything in memory. Errors: CodeJournalCorrupt (the file is left as it
// is), CodeJournalInUse, CodeFormatUnknown.
func Open(path string, o Options) (*Store, error) {
	s := &Store{
		opt:    o.withDefaults(),
		wake:   make(chan struct{}, 1),
		ended:  make(chan struct{}),
		groups: map[license.Serial]*group{},
	}
	if path == "" {
		close(s.ended)
		return s, nil
	}
	j, err := openJournal(path)
	if err != nil {
		return nil, err
	}
	s.journal = j
	if s.groups, err = j.load(s.opt); err != nil {
		return nil, errors.Join(err, j.close())
	}
	go s.commit()
	return s, nil
}

// Close writes what was begun and ends the store.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.ended
		return nil
	}
	s.closed = true
	for _, g := range s.groups {
		g.tell()
	}
	s.mu.Unlock()
	close(s.wake)
	<-s.ended
	if s.journal == nil {
		return nil
	}
	return s.journal.close()
}

// enter locks the store and readies its memory; the caller unlocks after nil.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return lease.Unavailable(err)
	}
	s.mu.Lock()
	err := s.ready()
	if err != nil {
		s.mu.Unlock()
	}
	return err
}

func (s *Store) ready() error {
	if s.closed {
		return lease.Unavailable(errClosed)
	}
	if s.broken != nil {
		if err := s.heal(); err != nil {
			return lease.Unavailable(err)
		}
	}
	return nil
}

func (s *Store) group(serial license.Serial) *group {
	g := s.groups[serial]
	if g == nil {
		g = newGroup(serial, s.opt)
		s.groups[serial] = g
	}
	return g
}

// Claim implements lease.Store.
func (s *Store) Claim(ctx context.Context, serial license.Serial, owner string) (lease.Seats, error) {
	return s.lead(ctx, serial, owner, true)
}

// Join implements lease.Store: several parts of one process may decide
// together.
func (s *Store) Join(ctx context.Context, serial license.Serial, owner string) (lease.Seats, error) {
	return s.lead(ctx, serial, owner, false)
}

func (s *Store) lead(ctx context.Context, serial license.Serial, owner string, claim bool) (lease.Seats, error) {
	if serial.IsZero() {
		return nil, license.Errorf(license.CodeInvalidInput, "name a container", "a group needs a serial")
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	g := s.group(serial)
	epoch, now := g.book.Epoch(), time.Now()
	fresh := claim || epoch == 0
	if fresh {
		epoch = book.After(epoch, now)
	}
	if fresh || !g.book.Claimed() {
		g.book.Claim(epoch, now)
	}
	if fresh && s.journal != nil {
		s.write(g, epochWrite(g, owner))
	}
	t := &seats{store: s, group: serial, epoch: epoch}
	last := g.last
	s.mu.Unlock()
	if err := last.wait(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// Events implements lease.Store.
func (s *Store) Events(ctx context.Context, serial license.Serial, position uint64, most int) ([]lease.Event, error) {
	for {
		s.mu.Lock()
		if err := s.ready(); err != nil {
			s.mu.Unlock()
			return nil, err
		}
		g := s.group(serial)
		events, changed := g.eventsAfter(position, most), g.changed
		s.mu.Unlock()
		if len(events) > 0 || most <= 0 {
			return events, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-changed:
		}
	}
}
