package live

import (
	"context"
	"io"
	"slices"
	"sync"
)

const (
	// keptFrames is how many rendered entries a shape keeps, and keptBytes how
	// much of them.
	keptFrames = 64
	keptBytes  = 1 << 20
	// mostBehind is how many entries a subscriber may be behind. One who is
	// further behind gets a snapshot.
	mostBehind = 8
	// mostCaughtUp bounds how many renderings for returning subscribers are kept.
	mostCaughtUp = 64
)

// shape is one way to show a stream.
type shape struct {
	stream *stream
	name   string
	render Render

	mu     sync.Mutex
	head   Position // of the last frame
	frames [][]byte // that lead to head
	bytes  int
	subs   map[*Subscription]struct{}
	taken  bool  // somebody has had a first message
	err    error // why nothing comes any more

	// first is held while something is rendered for who begins or returns.
	first    sync.Mutex
	at       Position // of what is kept here
	snapshot []byte
	caughtUp map[int64][]step // by the number that they follow on
}

// step is a message with where it leads to.
type step struct {
	frame []byte
	at    Position
}

// draft is what a change was rendered as, before it was to be told.
type draft struct {
	frame []byte
	shows Items
	err   error
}

func (sh *shape) draft(ctx context.Context, c Change) (d draft) {
	defer func() {
		if p := recover(); p != nil { // other shapes of the stream go on
			d.err = sh.stream.panicked(ctx, p)
		}
	}()
	d.frame, d.shows, d.err = sh.render(ctx, c)
	return d
}

// begun says whether somebody has had a first message.
func (sh *shape) begun() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.taken
}

// deliver tells a change, and wakes who waits for it. Without a draft it renders.
func (sh *shape) deliver(ctx context.Context, c Change, d *draft) {
	if !sh.begun() { // whoever waits is to begin with a snapshot
		sh.reset(c.At)
		return
	}
	if d == nil {
		made := sh.draft(ctx, c)
		d = &made
	}
	frame, err := sh.drawn(c, *d)
	if err != nil {
		sh.finish(err)
		return
	}
	sh.mu.Lock()
	if sh.head != (Position{c.At.Epoch, c.At.Number - 1}) {
		sh.frames, sh.bytes = nil, 0
	}
	sh.frames, sh.bytes, sh.head = append(sh.frames, frame), sh.bytes+len(frame), c.At
	for len(sh.frames) > 1 && (len(sh.frames) > keptFrames || sh.bytes > keptBytes) {
		sh.bytes -= len(sh.frames[0])
		sh.frames[0] = nil
		sh.frames = sh.frames[1:]
	}
	idle := sh.idle()
	sh.mu.Unlock()
	for _, sub := range idle {
		sub.wake()
	}
}

// draw renders a change.
func (sh *shape) draw(ctx context.Context, c Change) ([]byte, error) {
	return sh.drawn(c, sh.draft(ctx, c))
}

// drawn notes what was shown in another way than the log says.
func (sh *shape) drawn(c Change, d draft) ([]byte, error) {
	if d.err == nil {
		sh.stream.doubt(c.Upserted, d.shows)
	}
	return d.frame, d.err
}

// reset forgets all frames: the log is another one.
func (sh *shape) reset(at Position) {
	sh.mu.Lock()
	sh.frames, sh.bytes, sh.head = nil, 0, at
	idle := sh.idle()
	sh.mu.Unlock()
	for _, sub := range idle {
		sub.wake()
	}
}

// finish lets the subscribers take what is there, and then the end.
func (sh *shape) finish(err error) {
	sh.mu.Lock()
	if sh.err == nil {
		sh.err = err
	}
	idle := sh.idle()
	sh.mu.Unlock()
	for _, sub := range idle {
		sub.wake()
	}
}

// idle gives the subscribers to be woken. It needs the lock.
func (sh *shape) idle() []*Subscription {
	all := make([]*Subscription, 0, len(sh.subs))
	for sub := range sh.subs {
		if sub.idle {
			sub.idle = false
			all = append(all, sub)
		}
	}
	return all
}

// begin renders a snapshot, once for all who ask for it at the same position.
func (sh *shape) begin(ctx context.Context) ([]byte, Position, error) {
	sh.first.Lock()
	defer sh.first.Unlock()
	sh.keep(sh.stream.position())
	if sh.at == (Position{}) || sh.snapshot != nil {
		return sh.snapshot, sh.at, nil
	}
	at, items := sh.stream.state()
	sh.keep(at)
	frame, err := sh.draw(ctx, Change{At: at, Since: -1, Snapshot: true, Upserted: items})
	if err == nil {
		sh.snapshot = frame
	}
	return frame, at, err
}

// keep forgets what was rendered for another position.
func (sh *shape) keep(at Position) {
	if sh.at != at {
		sh.at, sh.snapshot, sh.caughtUp = at, nil, map[int64][]step{}
	}
}

// resume renders what came after a position that somebody had before; nothing
// when that is not known any more.
func (sh *shape) resume(ctx context.Context, after Position) ([]step, error) {
	s := sh.stream
	if now := s.position(); now.Epoch == after.Epoch && now.Number < after.Number {
		s.catchUp() // another replica has told more than this one knows of yet
	}
	sh.first.Lock()
	defer sh.first.Unlock()
	at := s.position()
	if at.Epoch != after.Epoch || at.Number < after.Number {
		return nil, nil
	}
	sh.keep(at)
	if steps, ok := sh.caughtUp[after.Number]; ok {
		return steps, nil
	}
	entries, err := s.hub.cfg.Log.Since(ctx, s.src.Key, after)
	missed := at.Number - after.Number
	if err != nil || int64(len(entries)) < missed || slices.ContainsFunc(entries[:missed], s.whole) {
		return nil, nil
	}
	parts := []Entry{merge(entries[:missed])}
	if s.src.Split != nil && missed > 0 {
		// Each part was an entry of its own, so there are numbers for all.
		if parts = s.src.Split(parts[0]); int64(len(parts)) > missed {
			return nil, nil
		}
	}
	steps, since := make([]step, len(parts)), after.Number
	for i, e := range parts {
		to := Position{at.Epoch, at.Number - int64(len(parts)-1-i)}
		frame, err := sh.draw(ctx, Change{At: to, Since: since, Upserted: e.Upserted, Removed: slices.Sorted(slices.Values(e.Removed))})
		if err != nil {
			return nil, err
		}
		steps[i], since = step{frame, to}, to.Number
	}
	if len(sh.caughtUp) < mostCaughtUp {
		sh.caughtUp[after.Number] = steps
	}
	return steps, nil
}

// Subscription is one subscriber of a shape. Next is for one caller at a time.
type Subscription struct {
	shape *shape
	after Position // where it was before; zero once that was looked at
	at    Position // of what it has taken; zero: nothing yet
	idle  bool     // it waits to be woken
	wake  func()
	steps []step // that it returns by, which all who return from there share
}

// Next gives the next message; nothing when there is none now: then wake is
// called once there is. Error: io.EOF at the stream's proper end, else why it
// ended, or the context's.
func (sub *Subscription) Next(ctx context.Context) ([]byte, error) {
	sh := sub.shape
	if len(sub.steps) > 0 {
		return sub.step(), nil
	}
	if sub.at == (Position{}) { // else it is ready since long
		select {
		case <-sh.stream.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	sh.mu.Lock()
	switch ended := sh.err; {
	case ended != nil && ended != io.EOF:
		sh.mu.Unlock()
		return nil, ended
	case sub.at != Position{} && sub.at.Epoch == sh.head.Epoch && sub.at.Number >= sh.head.Number:
		defer sh.mu.Unlock()
		if ended == nil {
			sub.idle = true
		}
		return nil, ended
	case sub.at != Position{} && sub.at.Epoch == sh.head.Epoch:
		behind := sh.head.Number - sub.at.Number
		if behind <= min(mostBehind, int64(len(sh.frames))) {
			sub.at.Number++
			frame := sh.frames[int64(len(sh.frames))-behind]
			sh.mu.Unlock()
			return frame, nil
		}
	}
	sh.mu.Unlock()

	if after := sub.after; after != (Position{}) {
		sub.after = Position{}
		steps, err := sh.resume(ctx, after)
		if err != nil {
			return nil, err
		}
		if sub.steps = steps; len(steps) > 0 {
			return sub.step(), nil
		}
	}
	frame, at, err := sh.begin(ctx)
	if err != nil {
		return nil, err
	}
	if at == (Position{}) { // the log is begun anew just now
		return nil, sub.rest()
	}
	sub.take(at)
	return frame, nil
}

// step takes the next of the steps.
func (sub *Subscription) step() []byte {
	next := sub.steps[0]
	sub.steps = sub.steps[1:]
	sub.take(next.at)
	return next.frame
}

// take notes what the subscriber has.
func (sub *Subscription) take(at Position) {
	sub.shape.mu.Lock()
	defer sub.shape.mu.Unlock()
	sub.at, sub.shape.taken = at, true
}

// rest waits for the first entry of a new log.
func (sub *Subscription) rest() error {
	sh := sub.shape
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.err != nil {
		return sh.err
	}
	sub.idle = true
	if sh.head != (Position{}) { // it has come in between
		sub.idle = false
		go sub.wake()
	}
	return nil
}

// Close ends the subscription. Closing twice is safe.
func (sub *Subscription) Close() { sub.shape.stream.hub.leave(sub) }
