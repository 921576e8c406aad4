package live

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
)

// Bounds that hold where the Config says nothing else.
const (
	defaultGap   = 250 * time.Millisecond
	defaultEvery = 10 * time.Second
	// readTimeout bounds one look at the database, with what is rendered of it.
	readTimeout = 30 * time.Second
	// logPause is how long a stream waits after its log could not be reached.
	logPause = time.Second
	// logPatience is how long a stream is silent because its log can't be reached.
	// Then it ends.
	logPatience = 15 * time.Second
)

// Config is what a Hub is made of. Bus and Log are required.
type Config struct {
	Bus    event.Bus
	Log    Log
	Logger *slog.Logger
	// Gap is the least time between two messages of a stream.
	Gap time.Duration
}

// Source is what a stream shows.
type Source struct {
	// Key names the stream: what is watched, by which filter, and in whose
	// sight. Sources of one key must show the same; who may not see the same
	// must have another key.
	Key string
	// Topics are the signals that something may have changed. An empty key
	// stands for all keys; then Concerns says which of them count, nil: all.
	Topics   []event.Signal
	Concerns func(ctx context.Context, s event.Signal) (bool, error)
	// Every is how often the stream is read without a signal: signals can be
	// lost, and some things change by time alone.
	Every time.Duration
	// Read gives what is to be shown now. A stream makes one reading at a time.
	Read func(ctx context.Context, heard Heard) (Reading, error)
	// Split makes several entries of one, to be told one by one; nil: it stays one.
	Split func(Entry) []Entry
	// Window is how many of ever more items Read gives at most. Where so many are
	// new at once, others may be that nobody has read: a snapshot tells so. 0: it
	// gives all there are.
	Window int
}

// Heard are the topics of the signals since the reading before, each once. Nil:
// anything may have changed, signals were lost or it is the first reading.
type Heard []string

// Only says whether nothing else than what these topics tell of can have changed.
func (h Heard) Only(topics ...string) bool {
	return h != nil && !slices.ContainsFunc(h, func(t string) bool { return !slices.Contains(topics, t) })
}

// Reading is what a source shows at one time.
type Reading struct {
	Items Items
	Ended bool // the stream comes to its end after that
	// Rows is what else was read, for Render, that it need not read again; nil:
	// it does. All shapes share it, and nobody writes to it.
	Rows any
}

// Change is what one message tells.
type Change struct {
	At       Position
	Since    int64 // the number that it follows on; of a snapshot: -1
	Snapshot bool
	Upserted Items    // of a snapshot: all
	Removed  []string // ids, in order
	// Rows is of the reading that the stream agrees with once all changes known
	// now are told: what has another stamp in it than here is to be read. Without
	// such a reading it is nil.
	Rows any `json:"-"`
}

// Ids are those of what is upserted, in order.
func (c Change) Ids() []string { return slices.Sorted(maps.Keys(c.Upserted)) }

// Render gives the bytes of a message, and the stamps of what it really shows, of
// what is upserted and of what else is in each message: a row may have changed
// since the stream was read. Then it is told once more, even if it is as before by
// then. It may be called for what then is not told, or not yet.
type Render func(ctx context.Context, c Change) (frame []byte, shows Items, err error)

// Hub has the streams of this process. Safe for concurrent use.
type Hub struct {
	cfg Config

	mu      sync.Mutex
	streams map[string]*stream
	ear     *event.Listener
	topics  map[string]struct{} // that ear hears
	deaf    context.CancelFunc
}

// NewHub makes a Hub. It ends with its bus.
func NewHub(cfg Config) *Hub {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Gap <= 0 {
		cfg.Gap = defaultGap
	}
	return &Hub{cfg: cfg, streams: map[string]*stream{}, topics: map[string]struct{}{}}
}

// Subscribe begins to watch. The shape names how render shows the source: equal
// shapes of one source share what is rendered. After is where the subscriber
// was before, or the zero Position. Wake is called, never twice without a Next
// in between, when there is something to take after Next gave nothing; it must
// not block, and one that was under way may still come after Close. Begin with a
// Next, and Close when done.
func (h *Hub) Subscribe(src Source, shape string, render Render, after Position, wake func()) (*Subscription, error) {
	if src.Every <= 0 {
		src.Every = defaultEvery
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.hear(src.Topics); err != nil {
		return nil, err
	}
	s := h.streams[src.Key]
	if s == nil {
		s = newStream(h, src)
		h.streams[src.Key] = s
		go s.run()
	}
	return s.subscribe(shape, render, after, wake), nil
}

// Streams says how many streams there are.
func (h *Hub) Streams() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

// hear sees to it that the topics are listened to. It needs the lock.
func (h *Hub) hear(topics []event.Signal) error {
	more := false
	for _, t := range topics {
		if _, ok := h.topics[t.Topic]; !ok {
			h.topics[t.Topic], more = struct{}{}, true
		}
	}
	if !more {
		return nil
	}
	all := make([]string, 0, len(h.topics))
	for t := range h.topics {
		all = append(all, t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ear, err := h.cfg.Bus.Listen(ctx, all...)
	if err != nil {
		cancel()
		clear(h.topics)
		return errStopping()
	}
	// The one before may still have signals: whoever watches looks anew.
	if h.deaf != nil {
		h.deaf()
	}
	h.ear, h.deaf = ear, cancel
	for _, s := range h.streams {
		s.poke(event.Signal{}, true)
	}
	go h.dispatch(ear)
	return nil
}

// dispatch hands the signals on until the listener ends.
func (h *Hub) dispatch(ear *event.Listener) {
	for range ear.C() {
		signals, all := ear.Take()
		for _, s := range h.list() {
			if all {
				s.poke(event.Signal{}, true)
				continue
			}
			for _, signal := range signals {
				if s.listens(signal) {
					s.poke(signal, false)
				}
			}
		}
	}
	h.mu.Lock()
	closed := h.ear == ear
	if closed {
		h.ear, h.deaf = nil, nil
		clear(h.topics)
	}
	h.mu.Unlock()
	if closed {
		for _, s := range h.list() {
			s.end(errStopping())
		}
	}
}

func (h *Hub) list() []*stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*stream, 0, len(h.streams))
	for _, s := range h.streams {
		all = append(all, s)
	}
	return all
}

// drop forgets a stream: who comes now begins a new one.
func (h *Hub) drop(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[s.src.Key] == s {
		delete(h.streams, s.src.Key)
	}
}

// leave takes a subscription out, and what nobody needs any more with it.
func (h *Hub) leave(sub *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := sub.shape.stream; s.remove(sub) {
		s.cancel()
		if h.streams[s.src.Key] == s {
			delete(h.streams, s.src.Key)
		}
	}
}

func errStopping() error {
	return license.Errorf(license.CodeUnavailable, "connect again", "the server is stopping")
}

func errLog(err error) error {
	return &license.Error{Code: license.CodeUnavailable, Message: "the stream can't be begun or go on now", Fix: "connect again", Err: err}
}

// forgotten says that a log does not have what was asked for.
func forgotten(err error) bool { return errors.Is(err, ErrForgotten) }
