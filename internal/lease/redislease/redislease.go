package redislease

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// Options are a store's settings; zero values stand for the defaults.
type Options struct {
	// MostEvents is about how many events of a group are kept (50,000).
	MostEvents int
	// MostEnded is how many ended handles of a group are remembered at most
	// (50,000), and EndedFor for how long at most (an hour).
	MostEnded int
	EndedFor  time.Duration
	// Replicas is how many replicas must have a change before it is answered. Where
	// they don't within ReplicaWait (1 s), the answer is CodeUnavailable, and the
	// change stands: repeating the call finds it, and is answered once they have it.
	Replicas    int
	ReplicaWait time.Duration
}

func (o Options) withDefaults() Options {
	if o.MostEvents <= 0 {
		o.MostEvents = 50_000
	}
	if o.MostEnded <= 0 {
		o.MostEnded = 50_000
	}
	if o.EndedFor <= 0 {
		o.EndedFor = time.Hour
	}
	if o.ReplicaWait <= 0 {
		o.ReplicaWait = time.Second
	}
	return o
}

// Store is a lease.Store on a shared Redis.
type Store struct {
	client redis.UniversalClient
	opt    Options
	closed context.Context // ended by Close
	close  context.CancelFunc
	once   sync.Once

	mu     sync.Mutex
	groups map[license.Serial]*batches
}

var (
	_ lease.Store = (*Store)(nil)

	errClosed = errors.New("redislease: the store is closed")
)

// New makes a store on a client, which stays the caller's: Close doesn't close
// it. Without its option ContextTimeoutEnabled calls may outlast their context's
// deadline. Each caller that waits in Events takes one of the client's connections.
func New(client redis.UniversalClient, o Options) *Store {
	s := &Store{client: client, opt: o.withDefaults(), groups: make(map[license.Serial]*batches)}
	s.closed, s.close = context.WithCancel(context.Background())
	return s
}

// Durable says whether Redis writes its append-only file. A server logs a
// warning where it doesn't.
func (s *Store) Durable(ctx context.Context) (bool, error) {
	info, err := s.client.InfoMap(ctx, "persistence").Result()
	if err != nil {
		return false, lease.Unavailable(err)
	}
	return info["Persistence"]["aof_enabled"] == "1", nil
}

// Close implements lease.Store.
func (s *Store) Close() error {
	s.once.Do(s.close)
	return nil
}

func (s *Store) batches(group license.Serial) *batches {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.groups[group]
	if b == nil {
		b = &batches{store: s}
		s.groups[group] = b
	}
	return b
}

// key gives a key of a group.
func key(group license.Serial, name string) string {
	return "quorate:lease:{" + group.String() + "}:" + name
}

// keys are what a script is called with: one key, from which it makes the others,
// which all have the same hash tag.
func keys(group license.Serial) []string { return []string{key(group, "group")} }

// answer is what a script gave: a word and fields.
type answer []any

func (a answer) word() string { return a.text(0) }

func (a answer) text(i int) string {
	if i >= len(a) {
		return ""
	}
	s, _ := a[i].(string)
	return s
}

func (a answer) number(i int) uint64 {
	n, _ := strconv.ParseUint(a.text(i), 10, 64)
	return n
}

func (a answer) signed(i int) int64 {
	n, _ := strconv.ParseInt(a.text(i), 10, 64)
	return n
}

func (a answer) micros(i int) time.Duration { return time.Duration(a.signed(i)) * time.Microsecond }

// run runs a script of a group, again as long as it says that there is more to
// do before. epoch 0 stands for none.
func (s *Store) run(ctx context.Context, script *redis.Script, group license.Serial, epoch uint64, product string, args ...any) (answer, error) {
	argv := append([]any{
		under(epoch), product, s.opt.MostEvents, s.opt.MostEnded, s.opt.EndedFor.Microseconds(),
	}, args...)
	for {
		a, err := s.call(ctx, script, group, epoch, argv)
		if err != nil || a.word() != "AGAIN" {
			return a, err
		}
	}
}

func under(epoch uint64) string {
	if epoch == 0 {
		return ""
	}
	return strconv.FormatUint(epoch, 10)
}

func (s *Store) call(ctx context.Context, script *redis.Script, group license.Serial, epoch uint64, argv []any) (answer, error) {
	if s.closed.Err() != nil {
		return nil, lease.Unavailable(errClosed)
	}
	if err := ctx.Err(); err != nil {
		return nil, lease.Unavailable(err)
	}
	result, err := s.batches(group).do(ctx, script, keys(group), argv)
	if err != nil {
		return nil, failure(err)
	}
	a := answer(result)
	if a.word() == "FENCED" {
		return nil, lease.Fenced(group, epoch)
	}
	return a, nil
}

// failure tells a fault of ours, which repeating can't help, from all others.
func failure(err error) error {
	var told *license.Error
	if errors.As(err, &told) {
		return told
	}
	ours := redis.HasErrorPrefix(err, "WRONGTYPE") ||
		redis.HasErrorPrefix(err, "ERR") && strings.Contains(err.Error(), "script")
	if ours {
		return &license.Error{
			Code:    license.CodeInternal,
			Message: "the store of seats refused a script",
			Fix:     "check that Redis is version 7.0 or newer and that no other program uses the keys quorate:lease:*",
			Err:     err,
		}
	}
	return lease.Unavailable(err)
}

// Claim implements lease.Store.
func (s *Store) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	return s.lead(ctx, group, owner, "1")
}

// Join implements lease.Store.
func (s *Store) Join(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	return s.lead(ctx, group, owner, "0")
}

func (s *Store) lead(ctx context.Context, group license.Serial, owner, claim string) (lease.Seats, error) {
	if group.IsZero() {
		return nil, license.Errorf(license.CodeInvalidInput, "name a container", "a group needs a serial")
	}
	a, err := s.run(ctx, claimScript, group, 0, "", owner, lease.Margin.Microseconds(), claim)
	if err != nil {
		return nil, err
	}
	return &seats{store: s, group: group, epoch: a.number(1)}, nil
}
