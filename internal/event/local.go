package event

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is the error of a bus that was closed.
var ErrClosed = errors.New("the event bus is closed")

// Local is a Bus within one process, and what other drivers deliver through.
type Local struct {
	mu        sync.Mutex
	subs      map[Signal]map[*subscription]struct{}
	listeners map[*Listener]struct{}
	closed    bool
}

type subscription struct {
	signal chan struct{}
	stop   func() bool
}

// NewLocal makes a Local.
func NewLocal() *Local {
	return &Local{subs: map[Signal]map[*subscription]struct{}{}, listeners: map[*Listener]struct{}{}}
}

// Publish implements Bus.
func (l *Local) Publish(_ context.Context, topic, key string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	at := Signal{topic, key}
	for s := range l.subs[at] {
		s.poke()
	}
	for ear := range l.listeners {
		ear.hear(at)
	}
	return nil
}

// PublishAll signals every subscriber: changes may have been missed.
func (l *Local) PublishAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, subs := range l.subs {
		for s := range subs {
			s.poke()
		}
	}
	for ear := range l.listeners {
		clear(ear.pending)
		ear.all = true
		ear.poke()
	}
}

// poke needs the bus's lock, since closing does too.
func (s *subscription) poke() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// Subscribe implements Bus.
func (l *Local) Subscribe(ctx context.Context, topic, key string) (<-chan struct{}, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	at := Signal{topic, key}
	s := &subscription{signal: make(chan struct{}, 1)}
	if l.subs[at] == nil {
		l.subs[at] = make(map[*subscription]struct{})
	}
	l.subs[at][s] = struct{}{}
	s.stop = context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if _, ok := l.subs[at][s]; !ok {
			return
		}
		delete(l.subs[at], s)
		if len(l.subs[at]) == 0 {
			delete(l.subs, at)
		}
		close(s.signal)
	})
	return s.signal, nil
}

// Close implements Bus.
func (l *Local) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	for _, subs := range l.subs {
		for s := range subs {
			s.stop()
			close(s.signal)
		}
	}
	for ear := range l.listeners {
		ear.stop()
		close(ear.notify)
	}
	l.subs, l.listeners = nil, nil
	return nil
}
