package boltjournal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/boltfile"
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
)

// Journal is a journal.Journal in a file.
type Journal struct {
	path string
	of   license.Serial
	// commit makes a transaction. A field, so that tests can make it fail.
	commit func(db *bbolt.DB, f func(*bbolt.Tx) error) error

	mu     sync.RWMutex
	db     *bbolt.DB // nil: to be opened again, or closed
	state  journal.State
	closed bool
}

var _ journal.Journal = (*Journal)(nil)

var errClosed = errors.New("the journal is closed")

// Open opens the file at path, or makes it, for a backend's container: another
// one's journal would be believed. Errors: license.CodeInvalidInput for such a
// journal, CodeJournalInUse, CodeJournalCorrupt (the file stays as it is),
// CodeFormatUnknown, CodeUnavailable.
func Open(path string, of license.Serial) (*Journal, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := boltfile.Create(path, func(tx *bbolt.Tx) error { return begin(tx, of) }); err != nil {
			return nil, unavailable(fmt.Errorf("making %s: %w", path, err))
		}
	}
	j := &Journal{path: path, of: of, commit: (*bbolt.DB).Update}
	if err := j.open(); err != nil {
		return nil, err
	}
	return j, nil
}

// Close ends the journal. Closing twice is safe.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	return j.drop()
}

func (j *Journal) drop() error {
	db := j.db
	j.db = nil
	if db == nil {
		return nil
	}
	return db.Close()
}

func (j *Journal) open() error {
	var s journal.State
	db, err := boltfile.Open(j.path, func(tx *bbolt.Tx) error {
		err := verify(tx)
		if err == nil {
			s, err = readState(tx)
		}
		if err != nil && license.CodeOf(err) != license.CodeFormatUnknown {
			err = &boltfile.Damaged{Err: err}
		}
		if err == nil {
			err = belongs(tx, j.path, j.of)
		}
		return err
	})
	var damaged *boltfile.Damaged
	switch {
	case err == nil:
		j.db, j.state = db, s
		return nil
	case errors.Is(err, boltfile.ErrInUse):
		return &license.Error{
			Code: license.CodeJournalInUse, Err: err,
			Message: fmt.Sprintf("the journal of seats %s is open in another process", j.path),
			Fix:     "stop the other server, or give this one a folder of its own",
		}
	case license.CodeOf(err) == license.CodeFormatUnknown, license.CodeOf(err) == license.CodeInvalidInput:
		return err
	case errors.As(err, &damaged):
		return corrupt(j.path, err)
	}
	return unavailable(err)
}

func corrupt(path string, err error) error {
	return &license.Error{
		Code: license.CodeJournalCorrupt, Err: err,
		Message: fmt.Sprintf("the journal of seats %s is damaged", path),
		Fix:     "keep the file for inspection, move it away and start again: the group's leader then fills a new one from the other two",
	}
}

func unavailable(err error) error {
	return &license.Error{
		Code: license.CodeUnavailable, Err: err,
		Message: "the journal of seats can't be used", Fix: "try again; if it persists, look at the backend's log and disk",
	}
}

// ready makes sure that the file is open. mu is held.
func (j *Journal) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	if j.closed {
		return unavailable(errClosed)
	}
	if j.db == nil {
		return j.open()
	}
	return nil
}

// view reads, where allow lets it.
func (j *Journal) view(ctx context.Context, allow func(journal.State) error, f func(tx *bbolt.Tx) error) (err error) {
	j.mu.RLock()
	for j.db == nil && !j.closed {
		j.mu.RUnlock()
		j.mu.Lock()
		err := j.ready(ctx)
		j.mu.Unlock()
		if err != nil {
			return err
		}
		j.mu.RLock()
	}
	defer j.mu.RUnlock()
	if err := j.ready(ctx); err != nil {
		return err
	}
	if err := allow(j.state); err != nil || f == nil {
		return err
	}
	defer boltfile.Guard(&err, func(cause error) error { return corrupt(j.path, cause) })()
	if err := j.db.View(f); err != nil {
		return corrupt(j.path, err)
	}
	return nil
}

// change makes a change of the state, and of what else f does, or nothing; f
// says whether there is one. Refusals of f are given back as they are.
func (j *Journal) change(
	ctx context.Context, allow func(journal.State) error, f func(tx *bbolt.Tx, s *journal.State) (bool, error),
) (journal.State, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.ready(ctx); err != nil {
		return journal.State{}, err
	}
	if err := allow(j.state); err != nil {
		return journal.State{}, err
	}
	var refused error
	s, changed := j.state.Clone(), false
	err := j.update(func(tx *bbolt.Tx) error {
		if changed, refused = f(tx, &s); refused != nil || !changed {
			return errNothing
		}
		return putState(tx, s)
	})
	switch {
	case errors.Is(err, errNothing) && refused == nil:
		return j.state.Clone(), nil
	case errors.Is(err, errNothing) && license.CodeOf(refused) == license.CodeConflict:
		return journal.State{}, refused
	case err != nil:
		// Whether it is in the file shows when it is read again.
		return journal.State{}, unavailable(errors.Join(err, refused, j.drop()))
	}
	j.state = s
	return s.Clone(), nil
}

// errNothing undoes a transaction that changes nothing.
var errNothing = errors.New("nothing is changed")

func (j *Journal) update(f func(tx *bbolt.Tx) error) (err error) {
	defer boltfile.Guard(&err, func(cause error) error { return cause })()
	return j.commit(j.db, f)
}

func anyone(journal.State) error { return nil }

func under(p journal.Promise) func(journal.State) error {
	return func(s journal.State) error { return s.Allow(p) }
}

// State implements journal.Journal.
func (j *Journal) State(ctx context.Context) (s journal.State, err error) {
	err = j.view(ctx, func(now journal.State) error {
		s = now.Clone()
		return nil
	}, nil)
	return s, err
}

// Claim implements journal.Journal.
func (j *Journal) Claim(ctx context.Context, t journal.Term) (journal.State, error) {
	admit := func(s journal.State) error { return s.Admit(t) }
	return j.change(ctx, admit, func(_ *bbolt.Tx, s *journal.State) (changed bool, _ error) {
		*s, changed = s.Claimed(t)
		return changed, nil
	})
}

// Confirm implements journal.Journal.
func (j *Journal) Confirm(ctx context.Context, p journal.Promise) (pulse journal.Pulse, err error) {
	err = j.view(ctx, func(s journal.State) error {
		pulse.Version = s.Version
		return s.Allow(p)
	}, nil)
	if err != nil {
		return journal.Pulse{}, err
	}
	return pulse, nil
}

// Records implements journal.Journal.
func (j *Journal) Records(ctx context.Context, p journal.Promise, after journal.Key, most int) (page []journal.Record, err error) {
	err = j.view(ctx, under(p), func(tx *bbolt.Tx) error {
		return walk(tx.Bucket(bucketRecords), recordKey(after), most, func(k, v []byte) (int, error) {
			r, err := decodeRecord(k, v)
			page = append(page, r)
			return len(r.Holder), err
		}, func() { page = page[:len(page)-1] })
	})
	return page, err
}

// Events implements journal.Journal.
func (j *Journal) Events(ctx context.Context, p journal.Promise, after uint64, most int) (page []journal.Event, err error) {
	err = j.view(ctx, under(p), func(tx *bbolt.Tx) error {
		return walk(tx.Bucket(bucketEvents), eventKey(after), most, func(k, v []byte) (int, error) {
			e, err := decodeEvent(k, v)
			page = append(page, e)
			return len(e.Data), err
		}, func() { page = page[:len(page)-1] })
	})
	return page, err
}

// walk takes what comes after a key, within the bounds of a page; undo takes the
// last one back, which is one too many.
func walk(b *bbolt.Bucket, after []byte, most int, take func(k, v []byte) (int, error), undo func()) error {
	c := b.Cursor()
	k, v := c.Seek(after)
	if k != nil && bytes.Equal(k, after) {
		k, v = c.Next()
	}
	for n, size := 0, 0; k != nil && n < min(most, journal.MostPage); n++ {
		bytes, err := take(k, v)
		if err != nil {
			return err
		}
		if size += bytes; size > journal.MostPageBytes && n > 0 {
			undo()
			return nil
		}
		k, v = c.Next()
	}
	return nil
}

// Write implements journal.Journal.
func (j *Journal) Write(ctx context.Context, p journal.Promise, b journal.Batch) (journal.Pulse, error) {
	if err := b.Check(); err != nil {
		return journal.Pulse{}, err
	}
	s, err := j.change(ctx, under(p), func(tx *bbolt.Tx, s *journal.State) (bool, error) {
		*s = s.Written(b)
		return true, writeBatch(tx, p.Epoch, b)
	})
	return journal.Pulse{Version: s.Version}, err
}

func writeBatch(tx *bbolt.Tx, epoch uint64, b journal.Batch) error {
	records, events := tx.Bucket(bucketRecords), tx.Bucket(bucketEvents)
	for _, r := range b.Records {
		r.Epoch = epoch
		k, v := encodeRecord(r)
		var old journal.Record
		if has := records.Get(k); has != nil {
			var err error
			if old, err = sharedRecord(k, has); err != nil {
				return err
			}
		}
		if err := r.Replaces(old); err != nil {
			return err
		}
		if err := records.Put(k, v); err != nil {
			return err
		}
	}
	for _, at := range b.Drop {
		if err := events.Delete(eventKey(at)); err != nil {
			return err
		}
	}
	if b.Trim > 0 {
		if err := trim(events, b.Trim); err != nil {
			return err
		}
	}
	for _, e := range b.Events {
		e.Epoch = epoch
		k, v := encodeEvent(e)
		if err := events.Put(k, v); err != nil {
			return err
		}
	}
	return nil
}

func trim(events *bbolt.Bucket, to uint64) error {
	last := eventKey(to)
	c := events.Cursor()
	for k, _ := c.First(); k != nil && bytes.Compare(k, last) <= 0; k, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// Enrol implements journal.Journal.
func (j *Journal) Enrol(ctx context.Context, p journal.Promise, r journal.Roster, vote bool) (journal.Pulse, error) {
	if err := r.Check(); err != nil {
		return journal.Pulse{}, err
	}
	s, err := j.change(ctx, under(p), func(_ *bbolt.Tx, s *journal.State) (changed bool, err error) {
		*s, changed, err = s.Enrolled(p.Term, r, vote)
		return changed, err
	})
	return journal.Pulse{Version: s.Version}, err
}

// Reset implements journal.Journal.
func (j *Journal) Reset(ctx context.Context, p journal.Promise) (journal.State, error) {
	return j.change(ctx, under(p), func(tx *bbolt.Tx, s *journal.State) (bool, error) {
		for _, name := range [][]byte{bucketRecords, bucketEvents} {
			if err := tx.DeleteBucket(name); err != nil {
				return false, err
			}
			if _, err := tx.CreateBucket(name); err != nil {
				return false, err
			}
		}
		*s = journal.Begin(p.Term)
		return true, nil
	})
}

// Seat implements journal.Journal.
func (j *Journal) Seat(ctx context.Context, k journal.Key) (r journal.Record, err error) {
	if err := k.Check(); err != nil {
		return journal.Record{}, err
	}
	r.Key = k
	err = j.view(ctx, anyone, func(tx *bbolt.Tx) error {
		key := recordKey(k)
		has := tx.Bucket(bucketRecords).Get(key)
		if has == nil {
			return nil
		}
		var err error
		r, err = decodeRecord(key, has)
		return err
	})
	return r, err
}
