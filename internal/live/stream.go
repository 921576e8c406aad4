package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/event"
)

// tries bounds how often a stream is read anew because other replicas wrote.
const tries = 8

// stream is one source with all its shapes.
type stream struct {
	hub    *Hub
	src    Source
	ctx    context.Context
	cancel context.CancelFunc
	ready  chan struct{} // closed when there is something to show, or an end
	poked  chan struct{}

	// syncing is held while the stream is brought up to date; items and at
	// change only then.
	syncing sync.Mutex
	loaded  bool
	last    time.Time // when entries were last told

	mu      sync.Mutex
	items   Items
	at      Position
	shapes  map[string]*shape
	subs    int
	pending map[event.Signal]struct{}
	all     bool                // anything may have changed
	doubts  map[string]struct{} // ids that some were shown in another way than the log says
	over    bool
	err     error // why it is over; io.EOF: its proper end
}

func newStream(h *Hub, src Source) *stream {
	s := &stream{hub: h, src: src, ready: make(chan struct{}), poked: make(chan struct{}, 1),
		items: Items{}, shapes: map[string]*shape{}, pending: map[event.Signal]struct{}{}, doubts: map[string]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// subscribe needs the hub's lock: the stream is not left meanwhile.
func (s *stream) subscribe(name string, render Render, after Position, wake func()) *Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shapes[name]
	if sh == nil {
		sh = &shape{stream: s, name: name, render: render, head: s.at, subs: map[*Subscription]struct{}{}}
		if s.over {
			sh.err = s.err
		}
		s.shapes[name] = sh
	}
	sub := &Subscription{shape: sh, after: after, wake: wake}
	sh.mu.Lock()
	sh.subs[sub] = struct{}{}
	sh.mu.Unlock()
	s.subs++
	return sub
}

// remove needs the hub's lock. It says whether that was the last one.
func (s *stream) remove(sub *Subscription) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := sub.shape
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, ok := sh.subs[sub]; !ok {
		return false
	}
	delete(sh.subs, sub)
	s.subs--
	if len(sh.subs) == 0 && s.shapes[sh.name] == sh {
		delete(s.shapes, sh.name)
	}
	return s.subs == 0
}

// run keeps the stream up to date until it is left or over.
func (s *stream) run() {
	defer func() {
		if p := recover(); p != nil {
			s.end(s.panicked(s.ctx, p))
		}
	}()
	var unreachable *logError
	if err := s.sync(nil, false); err != nil {
		if errors.As(err, &unreachable) {
			err = errLog(unreachable.err)
		}
		s.end(err)
		return
	}
	s.readied()
	tick := time.NewTimer(rand.N(s.src.Every)) // streams that began together don't read together
	defer tick.Stop()
	pause := time.NewTimer(0)
	<-pause.C
	defer pause.Stop()
	var away time.Time // since when the log can't be used; zero: it can
	for {
		var heard Heard
		follow := false
		select {
		case <-s.ctx.Done():
			return
		case <-s.poked:
			of, counts, err := s.concerned()
			if err != nil {
				s.end(err)
				return
			}
			if !counts {
				continue
			}
			heard = of
		case <-tick.C:
			tick.Reset(s.src.Every)
			follow = true
		}
		for wait := s.hub.cfg.Gap - time.Since(s.lastTold()); wait > 0; wait = s.hub.cfg.Gap - time.Since(s.lastTold()) {
			pause.Reset(wait)
			select {
			case <-s.ctx.Done():
				return
			case <-pause.C:
			}
		}
		err := s.sync(heard, follow)
		switch {
		case errors.As(err, &unreachable):
			if away.IsZero() {
				away = time.Now()
			}
			if time.Since(away) > logPatience { // what subscribers have isn't what there is
				s.end(errLog(unreachable.err))
				return
			}
			s.hub.cfg.Logger.Warn("the log of a stream can't be used", "stream", s.src.Key, "err", unreachable.err)
			pause.Reset(logPause)
			select {
			case <-s.ctx.Done():
				return
			case <-pause.C:
				s.poke(event.Signal{}, true)
			}
		case err != nil:
			s.end(err)
			return
		default:
			away = time.Time{}
		}
	}
}

func (s *stream) panicked(ctx context.Context, p any) error {
	s.hub.cfg.Logger.ErrorContext(ctx, "a stream panicked", "stream", s.src.Key, "panic", p, "stack", string(debug.Stack()))
	return fmt.Errorf("panic: %v", p)
}

func (s *stream) lastTold() time.Time {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	return s.last
}

func (s *stream) readied() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.ready:
	default:
		close(s.ready)
	}
}

// logError is a failure to reach the log, which passes.
type logError struct{ err error }

func (e *logError) Error() string { return e.err.Error() }

// sync brings the log, and all shapes with it, to what the database shows, of
// which something was heard. With follow set it first takes over what other
// replicas wrote.
func (s *stream) sync(heard Heard, follow bool) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, readTimeout)
	defer cancel()
	if !s.loaded {
		if err := s.reload(ctx); err != nil {
			return errLog(err)
		}
		s.loaded = true
	} else if follow {
		if err := s.follow(ctx, Reading{}, nil, nil); err != nil {
			return err
		}
	}
	s.mu.Lock()
	if more := s.heard(); heard != nil && more != nil {
		heard = append(heard, more...)
		slices.Sort(heard)
		heard = slices.Compact(heard)
	} else {
		heard = nil
	}
	clear(s.pending)
	s.all = false
	s.mu.Unlock()
	now, err := s.src.Read(ctx, heard)
	for range tries {
		if err != nil {
			if s.ctx.Err() != nil {
				return nil
			}
			return err
		}
		e := Diff(s.items, now.Items)
		s.settle(&e, now.Items)
		if e.empty() && s.at != (Position{}) {
			break
		}
		entries := []Entry{e}
		if s.src.Split != nil && !s.whole(e) {
			entries = s.src.Split(e)
		}
		made, failed := s.append(ctx, entries, now.Rows)
		if failed == nil {
			break
		}
		if !errors.Is(failed, ErrMoved) {
			return &logError{failed}
		}
		if err := s.follow(ctx, now, entries, made); err != nil {
			return err
		}
		// What was read may be older than what another replica wrote by now.
		left := Diff(s.items, now.Items)
		s.settle(&left, now.Items)
		if s.at != (Position{}) && !left.empty() && !now.Ended {
			s.poke(event.Signal{}, true) // the other's was told just now: ours is due after the gap
			break
		}
		if s.at == (Position{}) || !left.empty() {
			now, err = s.src.Read(ctx, nil)
		}
	}
	if now.Ended {
		s.end(io.EOF)
	}
	return nil
}

// drafts are what entries were rendered as, by shape, in order.
type drafts map[*shape][]draft

// append has the log take entries, and tells them. They are rendered meanwhile, as
// what they become if the log takes them.
func (s *stream) append(ctx context.Context, entries []Entry, rows any) (drafts, error) {
	if s.at == (Position{}) {
		at, err := s.hub.cfg.Log.Append(ctx, s.src.Key, s.at, entries)
		if err == nil {
			s.tell(ctx, entries, at, rows, nil)
		}
		return nil, err
	}
	var at Position
	var err error
	var panicked any // in the stream's goroutine it ends the stream alone
	before, taken := s.at, make(chan struct{})
	go func() {
		defer close(taken)
		defer func() { panicked = recover() }()
		at, err = s.hub.cfg.Log.Append(ctx, s.src.Key, before, entries)
	}()
	s.mu.Lock()
	shapes := s.list()
	s.mu.Unlock()
	made := drafts{}
	for _, sh := range shapes {
		if sh.begun() { // who begins from now on has no drafts
			made[sh] = make([]draft, len(entries))
		}
	}
	for i, e := range entries {
		c := s.change(e, Position{before.Epoch, before.Number + int64(i) + 1}, rows)
		for sh, of := range made {
			of[i] = sh.draft(ctx, c)
		}
	}
	<-taken
	if panicked != nil {
		panic(panicked)
	}
	if err == nil {
		s.tell(ctx, entries, at, rows, made)
	}
	return made, err
}

// settle adds to e what was in doubt, as it is now.
func (s *stream) settle(e *Entry, now Items) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.doubts {
		if stamp, ok := now[id]; ok { // else the difference has it
			e.Upserted[id] = stamp
		}
	}
}

// certain forgets the doubts about what is told anew, by whichever replica. It
// needs the lock.
func (s *stream) certain(e Entry) {
	for id := range e.Upserted {
		delete(s.doubts, id)
	}
	for _, id := range e.Removed {
		delete(s.doubts, id)
	}
}

// doubt notes what was shown in another way than it was to be, what nobody asked
// for included.
func (s *stream) doubt(wanted, shown Items) {
	s.mu.Lock()
	doubted := false
	for id, stamp := range wanted {
		got, ok := shown[id]
		now, there := s.items[id]
		if (!ok || got != stamp) && there && now == stamp { // else a later entry tells it anew
			s.doubts[id], doubted = struct{}{}, true
		}
	}
	for id, got := range shown {
		_, asked := wanted[id]
		if now, there := s.items[id]; !asked && there && now != got {
			s.doubts[id], doubted = struct{}{}, true
		}
	}
	s.mu.Unlock()
	if doubted {
		s.poke(event.Signal{}, true)
	}
}

// catchUp takes over what other replicas wrote, as far as the log can be read.
func (s *stream) catchUp() {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, readTimeout)
	defer cancel()
	if s.loaded {
		_ = s.follow(ctx, Reading{}, nil, nil) // what is not known to be resumable begins with a snapshot
	}
}

// follow takes over what other replicas wrote. It needs the lock for syncing. Now
// is what was read last, refused what the log did not take of it, and made what
// that was rendered as: where others wrote the same, it is not rendered again.
func (s *stream) follow(ctx context.Context, now Reading, refused []Entry, made drafts) error {
	if s.at == (Position{}) {
		return s.reloadFor(ctx)
	}
	entries, err := s.hub.cfg.Log.Since(ctx, s.src.Key, s.at)
	switch {
	case forgotten(err):
		return s.reloadFor(ctx)
	case err != nil:
		return &logError{err}
	case len(entries) > 0:
		after := maps.Clone(s.items)
		for _, e := range entries {
			after.apply(e)
		}
		if !maps.Equal(after, now.Items) {
			now.Rows = nil
		}
		if !slices.EqualFunc(entries, refused, Entry.equal) {
			made = nil
		}
		s.tell(ctx, entries, Position{s.at.Epoch, s.at.Number + int64(len(entries))}, now.Rows, made)
	}
	return nil
}

func (s *stream) reloadFor(ctx context.Context) error {
	if err := s.reload(ctx); err != nil {
		return &logError{err}
	}
	return nil
}

// reload begins anew with what the log comes to; subscribers get a snapshot.
func (s *stream) reload(ctx context.Context) error {
	state, err := s.hub.cfg.Log.Load(ctx, s.src.Key)
	if err != nil {
		return err
	}
	if state.Items == nil {
		state.Items = Items{}
	}
	s.mu.Lock()
	s.items, s.at = state.Items, state.At
	shapes := s.list()
	s.mu.Unlock()
	for _, sh := range shapes {
		sh.reset(state.At)
	}
	return nil
}

// list needs the lock.
func (s *stream) list() []*shape {
	all := make([]*shape, 0, len(s.shapes))
	for _, sh := range s.shapes {
		all = append(all, sh)
	}
	return all
}

// tell hands entries to all shapes; the last one has the number of at. Rows is
// what was read, and made what was rendered of them already.
func (s *stream) tell(ctx context.Context, entries []Entry, at Position, rows any, made drafts) {
	for i, e := range entries {
		c := s.change(e, Position{at.Epoch, at.Number - int64(len(entries)-1-i)}, rows)
		s.mu.Lock()
		s.certain(e)
		s.items.apply(e)
		s.at = c.At
		shapes := s.list()
		s.mu.Unlock()
		for _, sh := range shapes {
			var d *draft
			if of := made[sh]; of != nil {
				d = &of[i]
			}
			sh.deliver(ctx, c, d)
		}
	}
	s.last = time.Now()
}

// change is what an entry tells at a position.
func (s *stream) change(e Entry, at Position, rows any) Change {
	c := Change{At: at, Since: at.Number - 1, Upserted: e.Upserted, Removed: slices.Sorted(slices.Values(e.Removed)), Rows: rows}
	if s.whole(e) {
		c.Since, c.Snapshot = -1, true
	}
	return c
}

// whole says whether there may be more than what an entry has.
func (s *stream) whole(e Entry) bool { return s.src.Window > 0 && len(e.Upserted) >= s.src.Window }

// end lets all subscribers know that nothing comes any more, and why.
func (s *stream) end(err error) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.over, s.err = true, err
	shapes := s.list()
	s.mu.Unlock()
	s.hub.drop(s)
	for _, sh := range shapes {
		sh.finish(err)
	}
	s.readied()
	s.cancel()
}

// state gives where the stream is, and all that it shows.
func (s *stream) state() (Position, Items) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at, maps.Clone(s.items)
}

func (s *stream) position() Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}
