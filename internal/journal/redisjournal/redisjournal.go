package redisjournal

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
)

//go:embed lua/begin.lua
var beginLua string

//go:embed lua/write.lua
var writeLua string

//go:embed lua/page.lua
var pageLua string

var (
	beginScript = redis.NewScript(beginLua)
	writeScript = redis.NewScript(writeLua)
	pageScript  = redis.NewScript(pageLua)
)

// Config says where the journal is.
type Config struct {
	// URL of the Redis: unix:///run/quorate/journal.sock or redis://127.0.0.1:6379/0.
	URL string
	// Group is the container whose journal it is.
	Group license.Serial
	// Unsafe takes a Redis that may lose what it has answered.
	Unsafe bool
}

// Journal is a journal.Journal in a Redis.
type Journal struct {
	client *redis.Client
	keys   []string

	turn chan struct{} // of who writes: two at a time would get in each other's way

	mu    sync.Mutex
	known string // the state as it was last seen
}

var _ journal.Journal = (*Journal)(nil)

// Open begins a journal in the Redis, or goes on with the one that is there.
// Errors: license.CodeInvalidInput for a URL or a Redis that won't do,
// CodeUnavailable, CodeJournalCorrupt.
func Open(ctx context.Context, c Config) (*Journal, error) {
	o, err := redis.ParseURL(c.URL)
	if err != nil || c.Group.IsZero() {
		return nil, license.Errorf(license.CodeInvalidInput, "write it as unix:///PATH or redis://HOST:PORT/0",
			"the journal of seats has no usable address, or no container")
	}
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = time.Second, 5*time.Second, 5*time.Second
	o.MaxRetries = -1 // whether a call is repeated is the leader's matter
	if !c.Unsafe {
		o.OnConnect = durable
	}
	j := &Journal{client: redis.NewClient(o), turn: make(chan struct{}, 1)}
	for _, name := range []string{"state", "records", "seats", "events", "positions"} {
		j.keys = append(j.keys, "quorate:journal:{"+c.Group.String()+"}:"+name)
	}
	if _, err := j.State(ctx); err != nil {
		return nil, errors.Join(err, j.client.Close())
	}
	return j, nil
}

// Close ends the journal. Closing twice is safe.
func (j *Journal) Close() error {
	if err := j.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return unavailable(err)
	}
	return nil
}

// durable checks the server of a new connection.
func durable(ctx context.Context, conn *redis.Conn) error {
	want := map[string]string{
		"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no", "maxmemory-policy": "noeviction",
	}
	for name, value := range want {
		got, err := conn.ConfigGet(ctx, name).Result()
		var refusal redis.Error
		switch {
		case errors.As(err, &refusal):
			return unsafe("its settings can't be read: %v", err)
		case err != nil:
			return err
		case got[name] != value:
			return unsafe("its setting %s is %q, not %q", name, got[name], value)
		}
	}
	info, err := conn.Info(ctx, "replication").Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, "\r\nrole:master\r\n") || !strings.Contains(info, "\r\nconnected_slaves:0\r\n") {
		return unsafe("it has a replica or is one")
	}
	return nil
}

func unsafe(format string, args ...any) error {
	return license.Errorf(license.CodeInvalidInput,
		"start it alone, with: --appendonly yes --appendfsync always --no-appendfsync-on-rewrite no --maxmemory-policy noeviction",
		"the Redis of the journal of seats may lose what it has answered: "+format, args...)
}

// failure says what an error of Redis means.
func failure(err error) error {
	var known *license.Error
	switch {
	case errors.As(err, &known):
		return known
	case redis.HasErrorPrefix(err, "WRONGTYPE"), redis.HasErrorPrefix(err, "ERR") && strings.Contains(err.Error(), "script"):
		return corrupt(err)
	}
	return unavailable(err)
}

func unavailable(err error) error {
	return &license.Error{
		Code: license.CodeUnavailable, Err: err,
		Message: "the Redis of the journal of seats does not answer", Fix: "try again; if it persists, look at its log",
	}
}

func corrupt(err error) error {
	return &license.Error{
		Code: license.CodeJournalCorrupt, Err: err,
		Message: "the journal of seats in Redis can't be read",
		Fix: "check that Redis is version 7.0 or newer and that no other program uses the keys quorate:journal:*; " +
			"or empty it: the group's leader then fills it from the other two",
	}
}

// run runs a script and gives its word and the rest.
func (j *Journal) run(ctx context.Context, script *redis.Script, keys []string, argv ...any) (word string, rest []string, err error) {
	if err := ctx.Err(); err != nil {
		return "", nil, unavailable(err)
	}
	all, err := script.Run(ctx, j.client, keys, argv...).StringSlice()
	if err != nil {
		return "", nil, failure(err)
	}
	if len(all) == 0 {
		return "", nil, corrupt(errors.New("a script gave nothing"))
	}
	return all[0], all[1:], nil
}

// seen keeps the state that a script showed; "" makes it begin anew.
func (j *Journal) seen(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.known = text
}

// state gives the state as it was last seen, or reads it where it never was. It
// begins a new journal where there is none.
func (j *Journal) state(ctx context.Context) (text string, s journal.State, err error) {
	j.mu.Lock()
	text = j.known
	j.mu.Unlock()
	if text == "" {
		return j.read(ctx)
	}
	s, err = parseState(text)
	return text, s, err
}

func (j *Journal) read(ctx context.Context) (text string, s journal.State, err error) {
	_, rest, err := j.run(ctx, beginScript, j.keys, encodeState(journal.Begin(journal.Term{})))
	if err != nil {
		return "", journal.State{}, err
	}
	if len(rest) == 1 {
		text = rest[0]
	}
	if s, err = parseState(text); err != nil {
		return "", journal.State{}, err
	}
	j.seen(text)
	return text, s, nil
}

func encodeState(s journal.State) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // texts and numbers can always be marshalled
	}
	return string(b)
}

// mostTurns bounds how often a call begins anew because others changed the state
// in between.
const mostTurns = 1000

// agree runs a script on the state that it finds. decide gives what the script is
// called with; it is called again where the state was another one.
func (j *Journal) agree(
	ctx context.Context, script *redis.Script, keys []string, decide func(s journal.State) (now *journal.State, argv []any, err error),
) (journal.State, []string, error) {
	for range mostTurns {
		text, s, err := j.state(ctx)
		if err != nil {
			return journal.State{}, nil, err
		}
		now, argv, refusal := decide(s)
		if refusal != nil && license.CodeOf(refusal) == license.CodeInvalidInput {
			return journal.State{}, nil, refusal
		}
		if refusal != nil {
			// It rests on what may be out of date.
			again, _, err := j.read(ctx)
			if err != nil {
				return journal.State{}, nil, err
			}
			if again == text {
				return journal.State{}, nil, refusal
			}
			continue
		}
		next := ""
		if now != nil {
			next, s = encodeState(*now), *now
		}
		if script == writeScript {
			argv = append([]any{text, next}, argv...)
		} else {
			argv = append([]any{text}, argv...)
		}
		word, rest, err := j.run(ctx, script, keys, argv...)
		switch {
		case err != nil:
			j.seen("") // whether it is changed shows when it is read again
			return journal.State{}, nil, err
		case word == "CHANGED":
			j.seen("")
		case word == "LOWER":
			return journal.State{}, nil, journal.ErrLower
		case word == "OK":
			if next != "" {
				j.seen(next)
			}
			return s, rest, nil
		default:
			return journal.State{}, nil, corrupt(fmt.Errorf("a script answered %.20q", word))
		}
	}
	return journal.State{}, nil, unavailable(errors.New("others change the state all the time"))
}
