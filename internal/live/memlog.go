package live

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"
)

// What logs keep.
const (
	// KeptEntries is how many entries of a stream are kept.
	KeptEntries = 256
	// KeptFor is how long a stream's log is kept that nobody touches.
	KeptFor = 10 * time.Minute
)

// NewEpoch gives a name for a log that no other has.
func NewEpoch() string { return rand.Text()[:12] }

// MemLog is a Log within one process.
type MemLog struct {
	mu      sync.Mutex
	streams map[string]*memStream
	swept   time.Time
}

type memStream struct {
	at      Position
	items   Items
	entries []Entry // the last one has the number at.Number
	touched time.Time
}

// NewMemLog makes a MemLog.
func NewMemLog() *MemLog { return &MemLog{streams: map[string]*memStream{}, swept: time.Now()} }

// find needs the lock. It gives nil when there is no log.
func (l *MemLog) find(stream string) *memStream {
	now := time.Now()
	if now.Sub(l.swept) > KeptFor/4 {
		maps.DeleteFunc(l.streams, func(_ string, s *memStream) bool { return now.Sub(s.touched) > KeptFor })
		l.swept = now
	}
	s := l.streams[stream]
	if s != nil {
		s.touched = now
	}
	return s
}

// Load implements Log.
func (l *MemLog) Load(_ context.Context, stream string) (State, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(stream)
	if s == nil {
		return State{}, nil
	}
	return State{At: s.at, Items: maps.Clone(s.items)}, nil
}

// Append implements Log.
func (l *MemLog) Append(_ context.Context, stream string, at Position, entries []Entry) (Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(stream)
	switch {
	case s == nil && at == Position{}:
		s = &memStream{at: Position{Epoch: NewEpoch()}, items: Items{}, touched: time.Now()}
		l.streams[stream] = s
	case s == nil || s.at != at:
		return Position{}, ErrMoved
	}
	for _, e := range entries {
		s.items.apply(e)
	}
	s.entries = append(s.entries, entries...)
	s.entries = slices.Clone(s.entries[max(0, len(s.entries)-KeptEntries):])
	s.at.Number += int64(len(entries))
	return s.at, nil
}

// Since implements Log.
func (l *MemLog) Since(_ context.Context, stream string, after Position) ([]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(stream)
	if s == nil || s.at.Epoch != after.Epoch {
		return nil, ErrForgotten
	}
	n := s.at.Number - after.Number
	if n < 0 || n > int64(len(s.entries)) {
		return nil, ErrForgotten
	}
	return slices.Clone(s.entries[int64(len(s.entries))-n:]), nil
}
