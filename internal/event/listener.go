package event

import "context"

// mostPending bounds how many different signals wait for a listener. Beyond, it
// is told that anything may have changed.
const mostPending = 4096

// Signal is what was published: that something about Key has changed.
type Signal struct{ Topic, Key string }

// Listener hears all signals of some topics, whatever their keys. Equal signals
// that were not yet taken fall together into one, so a slow one costs little.
type Listener struct {
	local   *Local
	topics  map[string]struct{}
	notify  chan struct{}
	pending map[Signal]struct{}
	all     bool
	stop    func() bool
}

// C gets a value when there is something to take. It is closed with the
// listener's context, or with the bus.
func (l *Listener) C() <-chan struct{} { return l.notify }

// Take gives the signals since the last call, in no order. With all set,
// anything may have changed: some were not heard, or were too many.
func (l *Listener) Take() (signals []Signal, all bool) {
	l.local.mu.Lock()
	defer l.local.mu.Unlock()
	signals, all = make([]Signal, 0, len(l.pending)), l.all
	for s := range l.pending {
		signals = append(signals, s)
	}
	clear(l.pending)
	l.all = false
	return signals, all
}

// hear needs the bus's lock.
func (l *Listener) hear(s Signal) {
	if _, ok := l.topics[s.Topic]; !ok {
		return
	}
	if len(l.pending) >= mostPending {
		clear(l.pending)
		l.all = true
	}
	if !l.all {
		l.pending[s] = struct{}{}
	}
	l.poke()
}

func (l *Listener) poke() {
	select {
	case l.notify <- struct{}{}:
	default:
	}
}

// Listen implements Bus.
func (l *Local) Listen(ctx context.Context, topics ...string) (*Listener, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	ear := &Listener{local: l, topics: map[string]struct{}{}, notify: make(chan struct{}, 1), pending: map[Signal]struct{}{}}
	for _, t := range topics {
		ear.topics[t] = struct{}{}
	}
	l.listeners[ear] = struct{}{}
	ear.stop = context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if _, ok := l.listeners[ear]; ok {
			delete(l.listeners, ear)
			close(ear.notify)
		}
	})
	return ear, nil
}
