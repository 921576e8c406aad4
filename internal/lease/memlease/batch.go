package memlease

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// batch is what one transaction writes. Its fields are guarded by Store.mu
// until the committer takes it; err is set before done is closed.
type batch struct {
	writes  []write
	visible map[license.Serial]uint64 // newest event of each group
	grants  []grant                   // that rest on the batch
	done    chan struct{}
	err     error
}

type grant struct {
	group *group
	id    string
}

// wait returns when the batch is written; a nil batch is.
func (b *batch) wait(ctx context.Context) error {
	if b == nil {
		return nil
	}
	select {
	case <-b.done:
		return b.err
	default:
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return lease.Unavailable(ctx.Err())
	}
}

// write adds to the batch that is filling and makes it the group's last. It
// is called with a journal only.
func (s *Store) write(g *group, writes ...write) {
	if s.filling == nil {
		s.filling = &batch{visible: map[license.Serial]uint64{}, done: make(chan struct{})}
		select {
		case s.wake <- struct{}{}:
		default: // the committer has been told and looks again
		}
	}
	s.filling.writes = append(s.filling.writes, writes...)
	s.filling.visible[g.serial] = g.book.Position()
	g.last = s.filling
}

// commit writes one batch after the other until the store is closed.
func (s *Store) commit() {
	defer close(s.ended)
	for range s.wake {
		s.commitFilled()
	}
	s.commitFilled()
}

func (s *Store) commitFilled() {
	s.mu.Lock()
	b := s.filling
	s.filling = nil
	broken := s.broken
	s.mu.Unlock()
	if b == nil {
		return
	}
	// What was decided after a failed batch rests on changes that are void.
	err := broken
	if err == nil {
		err = s.journal.commit(b.writes)
	}
	b.writes = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range b.grants {
		if x.group.written[x.id] == b {
			delete(x.group.written, x.id)
		}
	}
	b.grants = nil
	if err != nil {
		b.err = lease.Unavailable(err)
		if broken == nil {
			s.broken = err
			s.opt.Logger.Error("the seat journal can't be written", "err", err)
		}
		close(b.done)
		return
	}
	for serial, position := range b.visible {
		g := s.groups[serial]
		g.visible = max(g.visible, position)
		g.tell()
	}
	close(b.done)
}

// heal rebuilds the memory from the file after a failed batch. Whatever n and
// epoch had been given stays used: the failed batch may be in the file or not,
// and what it granted must not be mistaken for what comes next.
func (s *Store) heal() error {
	if s.filling != nil {
		// Rests on void changes, and its operations still wait for an answer:
		// the committer fails it first.
		return s.broken
	}
	loaded, err := s.journal.load(s.opt)
	if err != nil {
		return err
	}
	now := time.Now()
	var writes []write
	for serial, old := range s.groups {
		g := loaded[serial]
		if g == nil {
			g = newGroup(serial, s.opt)
			loaded[serial] = g
		}
		g.book.Inherit(old.book, now)
		writes = append(writes, epochWrite(g, "healed"))
		writes = append(writes, effectWrites(serial, g.book.Drain())...)
	}
	if err := s.journal.commit(writes); err != nil {
		return err
	}
	old := s.groups
	s.groups, s.broken = loaded, nil
	for _, g := range old {
		g.tell()
	}
	s.opt.Logger.Info("the seat journal can be written again")
	return nil
}
