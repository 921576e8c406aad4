package tmr

import (
	"context"
	"errors"
	"slices"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// clock is what a backend said last of its time.
type clock struct {
	moment license.Moment
	nonce  [16]byte
	heard  time.Time // when, by this server's monotonic clock; zero: it said nothing
}

func (c clock) now() time.Time { return c.moment.At.Add(time.Since(c.heard)) }

// TimeNonce is what a time certificate for one backend's container has to
// answer.
type TimeNonce struct {
	Serial license.Serial
	Nonce  [16]byte
}

// readClock reads what a backend says of its time. It may say nothing, while its
// container is slow.
func readClock(said *quoratev1.Moment) (c clock, err error) {
	if said == nil {
		return clock{}, nil
	}
	if c.moment, c.nonce, err = rpc.MomentFrom(said); err != nil {
		return clock{}, err
	}
	c.heard = time.Now()
	return c, nil
}

// heard notes a backend's time. Where it says nothing, what it said before goes
// on while it stays present. The caller holds the lock.
func (g *Group) heard(m *member, now clock) {
	before := m.clock
	switch {
	case now.heard.IsZero() && m.present:
		return
	case now.heard.IsZero():
		m.clock.heard = time.Time{}
		return
	}
	m.clock = now
	if before.nonce != [16]byte{} && !now.moment.Certified.Equal(before.moment.Certified) {
		g.floor = time.Time{}
	}
}

// Moment is the group's time: the second highest of those present backends whose
// clock isn't set back, each carried on by this server's monotonic clock since it
// was heard. So of three one wrong clock, ahead or behind, decides nothing, and
// of two none that is ahead. With fewer than two such backends it is SetBack, and
// At the second highest of all present ones; with fewer than two present, what it
// was last.
//
// It never goes back, also where backends come and go, until one of them has its
// time certified anew: a certificate is the one thing that may lower the time,
// and then what the backends say counts alone.
//
// Clocks of machines are compared here about dates alone. Seats never depend on
// it: there the leader's own monotonic time decides.
func (g *Group) Moment() license.Moment {
	g.mu.Lock()
	defer g.mu.Unlock()
	var good, all, certified []time.Time
	for _, m := range g.members {
		if !m.present || m.clock.heard.IsZero() {
			continue
		}
		all = append(all, m.clock.now())
		certified = append(certified, m.clock.moment.Certified)
		if !m.clock.moment.SetBack {
			good = append(good, m.clock.now())
		}
	}
	var out license.Moment
	var ok bool
	if out.At, ok = second(good); !ok {
		out.SetBack = true
		out.At, _ = second(all)
	}
	out.Certified, _ = second(certified)
	if out.At.Before(g.floor) {
		out.At = g.floor
	}
	g.floor = out.At
	return out
}

// second gives the second highest.
func second(all []time.Time) (time.Time, bool) {
	if len(all) < license.Majority {
		return time.Time{}, false
	}
	slices.SortFunc(all, time.Time.Compare)
	return all[len(all)-license.Majority].UTC(), true
}

// TimeNonces gives what time certificates have to answer, for each present
// backend in order.
func (g *Group) TimeNonces() []TimeNonce {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []TimeNonce
	for _, m := range g.members {
		if m.present && !m.clock.heard.IsZero() {
			all = append(all, TimeNonce{m.conf.Serial, m.clock.nonce})
		}
	}
	return all
}

// Certify hands time certificates to the backends that they are for. Whose one
// is, and whether it holds, each backend finds out for itself. All are tried,
// and the errors of those that nobody took are joined: CodeTimeForged,
// CodeTimeStale, and CodeBackendAbsent where one may be for a backend that does
// not answer.
func (g *Group) Certify(ctx context.Context, certificates [][]byte) error {
	errs := make([]error, len(certificates))
	for i, c := range certificates {
		errs[i] = g.certify(ctx, c)
	}
	return errors.Join(errs...)
}

func (g *Group) certify(ctx context.Context, certificate []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var refused error
	for i := range g.members {
		m, err := g.at(i + 1)
		if err == nil {
			req := connect.NewRequest(&quoratev1.CertifyTimeRequest{Certificate: certificate})
			if _, err = m.api.CertifyTime(ctx, req); err == nil {
				return nil
			}
			err = m.named(err)
		}
		// That it isn't his own says least.
		if refused == nil || license.CodeOf(refused) == license.CodeTimeForged {
			refused = err
		}
	}
	return refused
}
