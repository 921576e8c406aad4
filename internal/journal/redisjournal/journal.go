package redisjournal

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
)

// State implements journal.Journal.
func (j *Journal) State(ctx context.Context) (journal.State, error) {
	_, s, err := j.read(ctx)
	return s, err
}

// Claim implements journal.Journal.
func (j *Journal) Claim(ctx context.Context, t journal.Term) (journal.State, error) {
	return j.change(ctx, func(s journal.State) (*journal.State, journal.Batch, error) {
		if err := s.Admit(t); err != nil {
			return nil, journal.Batch{}, err
		}
		now, changed := s.Claimed(t)
		if !changed {
			return nil, journal.Batch{}, nil
		}
		return &now, journal.Batch{}, nil
	})
}

// change runs the writing script; decide gives the new state, nil where it stays,
// and what else is written.
func (j *Journal) change(
	ctx context.Context, decide func(s journal.State) (*journal.State, journal.Batch, error),
) (journal.State, error) {
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	case <-ctx.Done():
		return journal.State{}, unavailable(ctx.Err())
	}
	s, _, err := j.agree(ctx, writeScript, j.keys, func(s journal.State) (*journal.State, []any, error) {
		now, b, err := decide(s)
		if err != nil {
			return nil, nil, err
		}
		empty := ""
		if now != nil && now.Incarnation != s.Incarnation {
			empty = "1"
		}
		return now, batchArgs(empty, s.Promised.Epoch, b), nil
	})
	return s, err
}

func batchArgs(empty string, epoch uint64, b journal.Batch) []any {
	trim := ""
	if b.Trim > 0 {
		trim = digits(b.Trim)
	}
	argv := make([]any, 0, 5+2*len(b.Records)+len(b.Drop)+2*len(b.Events))
	argv = append(argv, empty, len(b.Records), 0, len(b.Events), trim)
	for _, r := range b.Records {
		argv = append(argv, seatField(r.Key), append([]byte(digits(epoch)+digits(r.N)), r.Holder...))
	}
	drops := 0
	for _, at := range b.Drop {
		if at <= journal.MostEpoch { // no event is higher
			argv, drops = append(argv, digits(at)), drops+1
		}
	}
	argv[2] = drops
	for _, e := range b.Events {
		argv = append(argv, digits(e.Position), append([]byte(digits(epoch)), e.Data...))
	}
	return argv
}

// Confirm implements journal.Journal.
func (j *Journal) Confirm(ctx context.Context, p journal.Promise) (journal.Pulse, error) {
	s, err := j.change(ctx, func(s journal.State) (*journal.State, journal.Batch, error) {
		return nil, journal.Batch{}, s.Allow(p)
	})
	return journal.Pulse{Version: s.Version}, err
}

// Write implements journal.Journal.
func (j *Journal) Write(ctx context.Context, p journal.Promise, b journal.Batch) (journal.Pulse, error) {
	if err := b.Check(); err != nil {
		return journal.Pulse{}, err
	}
	s, err := j.change(ctx, func(s journal.State) (*journal.State, journal.Batch, error) {
		if err := s.Allow(p); err != nil {
			return nil, journal.Batch{}, err
		}
		now := s.Written(b)
		return &now, b, nil
	})
	return journal.Pulse{Version: s.Version}, err
}

// Enrol implements journal.Journal.
func (j *Journal) Enrol(ctx context.Context, p journal.Promise, r journal.Roster, vote bool) (journal.Pulse, error) {
	if err := r.Check(); err != nil {
		return journal.Pulse{}, err
	}
	s, err := j.change(ctx, func(s journal.State) (*journal.State, journal.Batch, error) {
		if err := s.Allow(p); err != nil {
			return nil, journal.Batch{}, err
		}
		now, changed, err := s.Enrolled(p.Term, r, vote)
		if err != nil || !changed {
			return nil, journal.Batch{}, err
		}
		return &now, journal.Batch{}, nil
	})
	return journal.Pulse{Version: s.Version}, err
}

// Reset implements journal.Journal.
func (j *Journal) Reset(ctx context.Context, p journal.Promise) (journal.State, error) {
	return j.change(ctx, func(s journal.State) (*journal.State, journal.Batch, error) {
		if err := s.Allow(p); err != nil {
			return nil, journal.Batch{}, err
		}
		now := journal.Begin(p.Term)
		return &now, journal.Batch{}, nil
	})
}

// page gives fields and values of a hash, in the order of the fields.
func (j *Journal) page(ctx context.Context, p journal.Promise, hash, order int, after string, most, head int) ([]string, error) {
	_, rest, err := j.agree(ctx, pageScript, []string{j.keys[0], j.keys[hash], j.keys[order]}, func(s journal.State) (*journal.State, []any, error) {
		return nil, []any{after, min(max(most, 0), journal.MostPage), journal.MostPageBytes, head}, s.Allow(p)
	})
	return rest, err
}

// Records implements journal.Journal.
func (j *Journal) Records(ctx context.Context, p journal.Promise, after journal.Key, most int) ([]journal.Record, error) {
	rows, err := j.page(ctx, p, 1, 2, seatField(after), most, 2*digitsLong)
	if err != nil {
		return nil, err
	}
	var page []journal.Record
	for i := 0; i+1 < len(rows); i += 2 {
		r, err := parseRecord(rows[i], rows[i+1])
		if err != nil {
			return nil, corrupt(err)
		}
		page = append(page, r)
	}
	return page, nil
}

// Events implements journal.Journal.
func (j *Journal) Events(ctx context.Context, p journal.Promise, after uint64, most int) ([]journal.Event, error) {
	rows, err := j.page(ctx, p, 3, 4, digits(min(after, math.MaxInt64)), most, digitsLong)
	if err != nil {
		return nil, err
	}
	var page []journal.Event
	for i := 0; i+1 < len(rows); i += 2 {
		e, err := parseEvent(rows[i], rows[i+1])
		if err != nil {
			return nil, corrupt(err)
		}
		page = append(page, e)
	}
	return page, nil
}

// Seat implements journal.Journal.
func (j *Journal) Seat(ctx context.Context, k journal.Key) (journal.Record, error) {
	if err := k.Check(); err != nil {
		return journal.Record{}, err
	}
	field := seatField(k)
	got, err := j.client.HMGet(ctx, j.keys[1], field).Result()
	if err != nil {
		return journal.Record{}, failure(err)
	}
	value, ok := got[0].(string)
	if !ok {
		return journal.Record{Key: k}, nil
	}
	r, err := parseRecord(field, value)
	if err != nil {
		return journal.Record{}, corrupt(err)
	}
	return r, nil
}

func parseState(text string) (s journal.State, err error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return journal.State{}, corrupt(err)
	}
	if s.Incarnation == "" || s.Version == 0 {
		return journal.State{}, corrupt(errors.New("the state has no incarnation"))
	}
	return s, nil
}

// digitsLong is how long numbers are, so that texts compare as they do.
const digitsLong = 19

func digits(n uint64) string { return fmt.Sprintf("%0*d", digitsLong, n) }

func parseDigits(s string) (n uint64, rest string, err error) {
	if len(s) < digitsLong {
		return 0, "", errors.New("a number is cut off")
	}
	n, err = strconv.ParseUint(s[:digitsLong], 10, 63)
	return n, s[digitsLong:], err
}

func seatField(k journal.Key) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(k.Product.Firm))
	b = binary.BigEndian.AppendUint32(b, uint32(k.Product.Code))
	return string(binary.BigEndian.AppendUint32(b, k.Seat))
}

func parseRecord(field, value string) (r journal.Record, err error) {
	if len(field) != 12 {
		return r, errors.New("a seat has the wrong length")
	}
	b := []byte(field)
	r.Product = license.Product{Firm: license.FirmCode(binary.BigEndian.Uint32(b)), Code: license.ProductCode(binary.BigEndian.Uint32(b[4:]))}
	r.Seat = binary.BigEndian.Uint32(b[8:])
	epoch, rest, err := parseDigits(value)
	if err != nil {
		return journal.Record{}, err
	}
	n, rest, err := parseDigits(rest)
	if err != nil {
		return journal.Record{}, err
	}
	r.Epoch, r.N, r.Holder = epoch, n, []byte(rest)
	return r, nil
}

func parseEvent(field, value string) (e journal.Event, err error) {
	at, more, err := parseDigits(field)
	if err == nil && more != "" {
		err = errors.New("a position is too long")
	}
	if err != nil {
		return e, err
	}
	epoch, rest, err := parseDigits(value)
	if err != nil {
		return e, err
	}
	return journal.Event{Position: at, Epoch: epoch, Data: []byte(rest)}, nil
}
