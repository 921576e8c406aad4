package tmr

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

const (
	firstBackoff = 20 * time.Millisecond
	mostBackoff  = 250 * time.Millisecond
	// connectTime bounds the way to the first message.
	connectTime = time.Second
)

var errSilent = errors.New("it is silent")

// follow watches a backend until ctx ends.
func (g *Group) follow(ctx context.Context, m *member) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		seen, err := g.stream(ctx, m)
		if ctx.Err() != nil {
			break
		}
		g.absent(m, err)
		m.client.Reset()
		if seen {
			backoff = firstBackoff
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		}
		backoff = min(2*backoff, mostBackoff)
	}
	m.client.Close()
}

// ticksOfPatience is how many ticks a backend may be silent. Silence is counted
// in ticks, not read off a clock: where this server itself was held up, missed
// ticks count as one, and the messages that wait are read first. A busy TMR
// server must not take its backends for dead.
const ticksOfPatience = 8

func (g *Group) tick() time.Duration { return max(g.conf.Patience/ticksOfPatience, time.Millisecond) }

// stream follows one stream to its end and says whether the backend was
// present in between.
func (g *Group) stream(ctx context.Context, m *member) (seen bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var quiet, most atomic.Int64 // ticks without a message, and how many may be
	most.Store(int64(connectTime / g.tick()))
	go func() {
		tick := time.NewTicker(g.tick())
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if quiet.Add(1) > most.Load() {
				cancel(errSilent)
				m.client.Reset() // a dead connection must not hold the stream, nor any call
				return
			}
		}
	}()
	why := func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err == nil {
			return errors.New("it ended the stream")
		}
		return err
	}
	stream, err := m.api.Watch(ctx, connect.NewRequest(&quoratev1.WatchRequest{
		BeatMs: uint32(g.conf.Beat.Milliseconds()), Server: g.conf.Name,
	}))
	if err != nil {
		return false, why(err)
	}
	defer func() { _ = stream.Close() }()
	for stream.Receive() {
		if ctx.Err() != nil {
			break // given up meanwhile
		}
		quiet.Store(0)
		most.Store(ticksOfPatience)
		state := stream.Msg().GetState()
		if state == nil && !seen {
			return false, errors.New("it sent a beat before its licenses")
		}
		now, err := readClock(stream.Msg().GetMoment())
		if err != nil {
			return seen, err
		}
		if state == nil {
			g.beat(m, now)
			continue
		}
		held, err := g.read(m, state)
		if err != nil {
			return seen, err
		}
		g.present(m, held, now)
		if !seen {
			seen = true
			g.meters.Back(m.conf.Position - 1)
		}
	}
	return seen, why(stream.Err())
}

// read refuses the state of a container that isn't the group's.
func (g *Group) read(m *member, s *quoratev1.ContainerState) ([]license.Held, error) {
	if s.GetSerial() != m.conf.Serial.String() {
		return nil, license.Errorf(license.CodeForbidden, "correct the TMR server's configuration, or move the container back",
			"it serves container %q instead of %s", license.Clip(s.GetSerial(), 64), m.conf.Serial)
	}
	if want := g.conf.ActivationID; want != [16]byte{} && !bytes.Equal(s.GetActivationId(), want[:]) {
		return nil, license.Errorf(license.CodeForbidden, "correct the TMR server's configuration, or move the container back",
			"the activation id of %s is not the group's", m.conf.Serial)
	}
	return rpc.HeldsFrom(s.GetLicenses())
}

func (g *Group) present(m *member, held []license.Held, now clock) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.seen = time.Now()
	g.heard(m, now)
	if !m.present {
		g.conf.Logger.Info("backend is present", "position", m.conf.Position, "serial", m.conf.Serial.String())
	}
	// A backend that comes back mostly has what it had: views that are kept share
	// its texts then.
	if !slices.EqualFunc(held, m.last, equalHeld) {
		m.last = held
	}
	m.present, m.held, m.reason = true, m.last, ""
	g.refresh()
}

func equalHeld(a, b license.Held) bool {
	same := a.Product == b.Product && a.Name == b.Name && a.Options.Equal(b.Options)
	if a.Predecessor == nil || b.Predecessor == nil {
		return same && a.Predecessor == b.Predecessor
	}
	return same && a.Predecessor.Equal(*b.Predecessor)
}

func (g *Group) beat(m *member, now clock) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.seen = time.Now()
	g.heard(m, now)
}

func (g *Group) absent(m *member, err error) {
	reason := reasonOf(err)
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.reason != reason {
		g.conf.Logger.Warn("backend is absent", "position", m.conf.Position,
			"serial", m.conf.Serial.String(), "reason", reason)
	}
	m.reason = reason
	if m.present {
		m.present, m.held = false, nil
		g.refresh()
	}
}

// reasonOf is what people are told; a transport's own words help them most.
func reasonOf(err error) string {
	var le *license.Error
	if errors.As(rpc.FromError(err), &le) && le.Code != license.CodeUnavailable {
		return le.Error()
	}
	var ce *connect.Error
	if errors.As(err, &ce) {
		return ce.Message()
	}
	return err.Error()
}
