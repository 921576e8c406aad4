// Package redislog keeps the logs of streams in a Redis that all replicas share.
//
// A stream has three keys with one hash tag, which live and end together: what
// the log is (its epoch, the number of its last entry, how many items there
// are), what its entries come to, and the newest entries. Each operation is one
// script. There are ids and stamps in it, and nothing that is secret. What Redis
// loses costs subscribers a snapshot.
package redislog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/live"
)

// prefix keeps our keys apart from others'. Its number changes with what stamps
// mean: versions that differ in that have logs of their own.
const prefix = "quorate:live:1:"

// script is what all operations share: `about` gives the log's epoch and number,
// or "" when there is none, or one that Redis has evicted a part of.
const script = `
local function about()
  local a = redis.call('HMGET', KEYS[1], 'epoch', 'number', 'items')
  if not a[1] or redis.call('HLEN', KEYS[2]) ~= tonumber(a[3]) then return '', 0 end
  return a[1], tonumber(a[2])
end
local function touch()
  for _, k in ipairs(KEYS) do redis.call('EXPIRE', k, ARGV[1]) end
end
`

func scriptOf(body string) *redis.Script { return redis.NewScript(script + body) }

// Log is a live.Log in Redis.
type Log struct {
	client              redis.UniversalClient
	load, append, since *redis.Script
}

// New makes a Log. The client stays the caller's.
func New(client redis.UniversalClient) *Log {
	return &Log{
		client: client,
		load: scriptOf(`
local epoch, number = about()
if epoch == '' then return {'', '0', {}} end
touch()
return {epoch, tostring(number), redis.call('HGETALL', KEYS[2])}`),
		append: scriptOf(`
local epoch, number = about()
if epoch ~= ARGV[2] or number ~= tonumber(ARGV[3]) then return {'', '0'} end
if epoch == '' then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  epoch = ARGV[4]
end
for i = 6, #ARGV do
  local entry = cjson.decode(ARGV[i])
  for id, stamp in pairs(entry.u) do redis.call('HSET', KEYS[2], id, stamp) end
  for _, id in ipairs(entry.r) do redis.call('HDEL', KEYS[2], id) end
  redis.call('RPUSH', KEYS[3], ARGV[i])
  number = number + 1
end
redis.call('LTRIM', KEYS[3], -tonumber(ARGV[5]), -1)
redis.call('HSET', KEYS[1], 'epoch', epoch, 'number', string.format('%.0f', number), 'items', redis.call('HLEN', KEYS[2]))
touch()
return {epoch, string.format('%.0f', number)}`),
		since: scriptOf(`
local epoch, number = about()
local missing = number - tonumber(ARGV[3])
if epoch ~= ARGV[2] or epoch == '' or missing < 0 or missing > redis.call('LLEN', KEYS[3]) then return {'', {}} end
touch()
if missing == 0 then return {epoch, {}} end
return {epoch, redis.call('LRANGE', KEYS[3], -missing, -1)}`),
	}
}

func keys(stream string) []string {
	at := prefix + "{" + stream + "}"
	return []string{at, at + ":items", at + ":entries"}
}

// seconds is how long keys live.
func seconds() int { return int(live.KeptFor.Seconds()) }

// Load implements live.Log.
func (l *Log) Load(ctx context.Context, stream string) (live.State, error) {
	got, err := l.load.Run(ctx, l.client, keys(stream), seconds()).Slice()
	if err != nil {
		return live.State{}, err
	}
	if len(got) != 3 {
		return live.State{}, errAnswer()
	}
	at, err := positionOf(got[0], got[1])
	if err != nil || at.Epoch == "" {
		return live.State{}, err
	}
	pairs, ok := got[2].([]any)
	if !ok || len(pairs)%2 != 0 {
		return live.State{}, errAnswer()
	}
	items := make(live.Items, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		id, stamp, err := itemOf(pairs[i], pairs[i+1])
		if err != nil {
			return live.State{}, err
		}
		items[id] = stamp
	}
	return live.State{At: at, Items: items}, nil
}

// Append implements live.Log.
func (l *Log) Append(ctx context.Context, stream string, at live.Position, entries []live.Entry) (live.Position, error) {
	args := []any{seconds(), at.Epoch, strconv.FormatInt(at.Number, 10), live.NewEpoch(), live.KeptEntries}
	for _, e := range entries {
		text, err := json.Marshal(entryAs(e))
		if err != nil {
			return live.Position{}, err
		}
		args = append(args, text)
	}
	got, err := l.append.Run(ctx, l.client, keys(stream), args...).Slice()
	if err != nil {
		return live.Position{}, err
	}
	if len(got) != 2 {
		return live.Position{}, errAnswer()
	}
	now, err := positionOf(got[0], got[1])
	if err == nil && now.Epoch == "" {
		err = live.ErrMoved
	}
	return now, err
}

// Since implements live.Log.
func (l *Log) Since(ctx context.Context, stream string, after live.Position) ([]live.Entry, error) {
	got, err := l.since.Run(ctx, l.client, keys(stream), seconds(), after.Epoch, strconv.FormatInt(after.Number, 10)).Slice()
	if err != nil {
		return nil, err
	}
	if len(got) != 2 {
		return nil, errAnswer()
	}
	texts, ok := got[1].([]any)
	if !ok {
		return nil, errAnswer()
	}
	if got[0] == "" {
		return nil, live.ErrForgotten
	}
	entries := make([]live.Entry, len(texts))
	for i, t := range texts {
		text, ok := t.(string)
		if !ok {
			return nil, errAnswer()
		}
		if entries[i], err = entryOf(text); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// wire is an entry as Redis has it. Stamps are texts: a number of Lua has only
// 53 bits.
type wire struct {
	Upserted map[string]string `json:"u"`
	Removed  []string          `json:"r"`
}

func entryAs(e live.Entry) wire {
	w := wire{Upserted: make(map[string]string, len(e.Upserted)), Removed: append([]string{}, e.Removed...)}
	for id, stamp := range e.Upserted {
		w.Upserted[id] = strconv.FormatUint(stamp, 36)
	}
	return w
}

func entryOf(text string) (live.Entry, error) {
	var w wire
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return live.Entry{}, fmt.Errorf("an entry of a stream's log can't be read: %w", err)
	}
	e := live.Entry{Upserted: make(live.Items, len(w.Upserted)), Removed: w.Removed}
	for id, s := range w.Upserted {
		stamp, err := strconv.ParseUint(s, 36, 64)
		if err != nil {
			return live.Entry{}, fmt.Errorf("an entry of a stream's log can't be read: %w", err)
		}
		e.Upserted[id] = stamp
	}
	return e, nil
}

func positionOf(epoch, number any) (live.Position, error) {
	e, ok := epoch.(string)
	text, isText := number.(string)
	if !ok || !isText {
		return live.Position{}, errAnswer()
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return live.Position{Epoch: e, Number: n}, err
}

func itemOf(id, stamp any) (string, uint64, error) {
	i, ok := id.(string)
	text, isText := stamp.(string)
	if !ok || !isText {
		return "", 0, errAnswer()
	}
	n, err := strconv.ParseUint(text, 36, 64)
	return i, n, err
}

func errAnswer() error { return errors.New("a stream's script was answered in another form") }
