package redislease

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// block is how long one blocking read lasts: whoever stops waiting leaves its
// connection behind for so long.
const block = time.Second

// Events implements lease.Store.
func (s *Store) Events(ctx context.Context, group license.Serial, after uint64, most int) ([]lease.Event, error) {
	if most <= 0 {
		return nil, nil
	}
	for {
		if s.closed.Err() != nil {
			return nil, lease.Unavailable(errClosed)
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		messages, err := s.read(ctx, group, after, most)
		switch {
		case errors.Is(err, redis.Nil):
		case err != nil && s.closed.Err() != nil:
			return nil, lease.Unavailable(errClosed)
		case err != nil && ctx.Err() != nil:
			return nil, nil
		case err != nil:
			return nil, failure(err)
		case len(messages) > 0:
			return decodeAll(group, messages)
		}
	}
}

// read reads what there is, or waits a while for it. A blocking read on a
// connection doesn't end with its context, so it is left to end by itself.
func (s *Store) read(ctx context.Context, group license.Serial, after uint64, most int) ([]redis.XMessage, error) {
	type result struct {
		streams []redis.XStream
		err     error
	}
	done := make(chan result, 1)
	go func() {
		streams, err := s.client.XRead(context.WithoutCancel(ctx), &redis.XReadArgs{
			Streams: []string{key(group, "events"), strconv.FormatUint(after, 10) + "-0"},
			Count:   int64(most),
			Block:   block,
		}).Result()
		done <- result{streams, err}
	}()
	select {
	case r := <-done:
		if len(r.streams) == 0 {
			return nil, r.err
		}
		return r.streams[0].Messages, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.closed.Done():
		return nil, errClosed
	}
}

func decodeAll(group license.Serial, messages []redis.XMessage) ([]lease.Event, error) {
	events := make([]lease.Event, 0, len(messages))
	for _, m := range messages {
		e, err := decode(group, m)
		if err != nil {
			return nil, &license.Error{
				Code: license.CodeInternal, Message: "an event of the store of seats can't be read",
				Fix: "check that no other program uses the keys quorate:lease:*", Err: fmt.Errorf("%s: %w", m.ID, err),
			}
		}
		events = append(events, e)
	}
	return events, nil
}

func decode(group license.Serial, m redis.XMessage) (lease.Event, error) {
	field := func(name string) string {
		s, _ := m.Values[name].(string)
		return s
	}
	number := func(s string, bits int) uint64 {
		n, _ := strconv.ParseUint(s, 10, bits)
		return n
	}
	position, _, _ := strings.Cut(m.ID, "-")
	product, err := license.ParseProduct(field("product"))
	if err != nil {
		return lease.Event{}, err
	}
	station, client, err := unpack(field("client"))
	if err != nil {
		return lease.Event{}, err
	}
	if now, written := m.Values["station"].(string); written {
		station = now
	}
	return lease.Event{
		Position: number(position, 64), Kind: lease.EventKind(field("kind")),
		At: time.UnixMicro(int64(number(field("at"), 63))).UTC(), Handle: field("handle"),
		Pool: lease.Pool{Container: group, Product: product}, Mode: license.AccessMode(field("mode")),
		Station: station, Client: client, Seat: uint32(number(field("seat"), 32)), N: number(field("n"), 64),
		Reason: license.Code(field("reason")), By: field("by"), Rule: field("rule"),
		Licenses: max(uint32(number(field("licenses"), 32)), 1), Borrowed: field("borrowed") == "1", Seq: number(field("seq"), 64),
	}, nil
}
