package journal

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"

	"github.com/quorate/quorate/internal/license"
)

// Memory is a Journal that a restart of the process forgets: for tests, and
// what the drivers are compared with.
type Memory struct {
	mu      sync.Mutex
	state   State
	records map[Key]Record
	keys    []Key // of records, in order; nil: to be sorted anew
	events  map[uint64]Event
}

var _ Journal = (*Memory)(nil)

// NewMemory gives an empty journal, of a new incarnation.
func NewMemory() *Memory {
	m := &Memory{}
	m.begin(Term{})
	return m
}

// NewIncarnation gives a name that no journal has had.
func NewIncarnation() string { return rand.Text() }

func (m *Memory) begin(t Term) {
	m.state = State{Incarnation: NewIncarnation(), Version: 1, Promised: t}
	m.records, m.keys, m.events = make(map[Key]Record), nil, make(map[uint64]Event)
}

// Copy gives a journal of the same content and incarnation: a snapshot of its
// disk, to be put back with Restore.
func (m *Memory) Copy() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{state: m.state.clone(), records: maps.Clone(m.records), events: maps.Clone(m.events)}
}

// Restore puts the disk back to what a copy has.
func (m *Memory) Restore(copied *Memory) {
	c := copied.Copy()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state, m.records, m.keys, m.events = c.state, c.records, nil, c.events
}

// Lose loses the disk.
func (m *Memory) Lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begin(Term{})
}

func (s State) clone() State {
	s.Roster.Peers, s.Marks = slices.Clone(s.Roster.Peers), slices.Clone(s.Marks)
	return s
}

// State implements Journal.
func (m *Memory) State(ctx context.Context) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.clone(), ended(ctx)
}

// Claim implements Journal.
func (m *Memory) Claim(ctx context.Context, t Term) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ended(ctx); err != nil {
		return State{}, err
	}
	if err := m.state.Admit(t); err != nil {
		return State{}, err
	}
	m.state.Promised = t
	return m.state.clone(), nil
}

// under runs f where the promise holds.
func (m *Memory) under(ctx context.Context, p Promise, f func() error) (Pulse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ended(ctx); err != nil {
		return Pulse{}, err
	}
	if err := m.state.Allow(p); err != nil {
		return Pulse{}, err
	}
	if err := f(); err != nil {
		return Pulse{}, err
	}
	return Pulse{m.state.Version}, nil
}

// Confirm implements Journal.
func (m *Memory) Confirm(ctx context.Context, p Promise) (Pulse, error) {
	return m.under(ctx, p, func() error { return nil })
}

// Records implements Journal.
func (m *Memory) Records(ctx context.Context, p Promise, after Key, most int) (page []Record, err error) {
	_, err = m.under(ctx, p, func() error {
		if m.keys == nil {
			m.keys = slices.SortedFunc(maps.Keys(m.records), Key.Compare)
		}
		first, has := slices.BinarySearchFunc(m.keys, after, Key.Compare)
		if has {
			first++
		}
		size := 0
		for _, k := range m.keys[first:] {
			r := m.records[k]
			if size += len(r.Holder); len(page) >= min(most, MostPage) || (size > MostPageBytes && len(page) > 0) {
				break
			}
			r.Holder = slices.Clone(r.Holder)
			page = append(page, r)
		}
		return nil
	})
	return page, err
}

// Events implements Journal.
func (m *Memory) Events(ctx context.Context, p Promise, after uint64, most int) (page []Event, err error) {
	_, err = m.under(ctx, p, func() error {
		size := 0
		for _, at := range slices.Sorted(maps.Keys(m.events)) {
			if at <= after {
				continue
			}
			e := m.events[at]
			if size += len(e.Data); len(page) >= min(most, MostPage) || (size > MostPageBytes && len(page) > 0) {
				break
			}
			e.Data = slices.Clone(e.Data)
			page = append(page, e)
		}
		return nil
	})
	return page, err
}

// Write implements Journal.
func (m *Memory) Write(ctx context.Context, p Promise, b Batch) (Pulse, error) {
	if err := b.Check(); err != nil {
		return Pulse{}, err
	}
	return m.under(ctx, p, func() error {
		for _, r := range b.Records {
			r.Epoch = p.Epoch
			if err := r.Replaces(m.records[r.Key]); err != nil {
				return err
			}
		}
		for _, r := range b.Records {
			r.Epoch, r.Holder = p.Epoch, slices.Clone(r.Holder)
			if _, known := m.records[r.Key]; !known {
				m.keys = nil
			}
			m.records[r.Key] = r
		}
		for _, at := range b.Drop {
			delete(m.events, at)
		}
		if b.Trim > 0 {
			maps.DeleteFunc(m.events, func(at uint64, _ Event) bool { return at <= b.Trim })
		}
		for _, e := range b.Events {
			e.Epoch, e.Data = p.Epoch, slices.Clone(e.Data)
			m.events[e.Position] = e
		}
		m.state.Base = max(m.state.Base, b.Base)
		m.state.Marks = m.state.Roster.Merge(m.state.Marks, b.Marks)
		m.state.Version++
		return nil
	})
}

// Enrol implements Journal.
func (m *Memory) Enrol(ctx context.Context, p Promise, r Roster, vote bool) (Pulse, error) {
	if err := r.Check(); err != nil {
		return Pulse{}, err
	}
	return m.under(ctx, p, func() error {
		r.Epoch, r.Peers = p.Epoch, slices.Clone(r.Peers)
		old := m.state.Roster
		same := r.Equal(old)
		if !same && !r.Newer(old) {
			return ErrLower
		}
		if same && (m.state.Voting || !vote) {
			return nil
		}
		m.state.Roster, m.state.Marks = r, r.Merge(m.state.Marks, nil)
		m.state.Voting = m.state.Voting || vote
		m.state.Version++
		return nil
	})
}

// Reset implements Journal.
func (m *Memory) Reset(ctx context.Context, p Promise) (s State, err error) {
	_, err = m.under(ctx, p, func() error {
		m.begin(p.Term)
		s = m.state.clone()
		return nil
	})
	return s, err
}

// Seat implements Journal.
func (m *Memory) Seat(ctx context.Context, k Key) (Record, error) {
	if err := k.Check(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[k]
	if !ok {
		r.Key = k
	}
	r.Holder = slices.Clone(r.Holder)
	return r, ended(ctx)
}

func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return &license.Error{
			Code: license.CodeUnavailable, Err: err,
			Message: "the journal of seats did not answer in time", Fix: "try again",
		}
	}
	return nil
}
