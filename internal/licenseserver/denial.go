package licenseserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Disclosure is how much of the other programs those may know who are not
// administrators.
type Disclosure string

// The disclosures, from the least. Who administers is told all.
const (
	DiscloseNone  Disclosure = "none"  // figures alone
	DiscloseHosts Disclosure = "hosts" // also the computers, and which of them are idle
	DiscloseUsers Disclosure = "users" // also users, applications and stations
	discloseAll   Disclosure = "all"   // also process ids, rules, and who waits
)

func (d Disclosure) users() bool { return d == DiscloseUsers || d == discloseAll }

// mostHolders is how many of those who have a license a denial names.
const mostHolders = 10

// teller says how much whoever asks may know of the others.
func (s *Server) teller(header http.Header, peer connect.Peer) Disclosure {
	if rpc.Administrator(s.cfg.AdminToken, header, peer, "") == nil {
		return discloseAll
	}
	return s.cfg.Disclose
}

// clientProto tells of who has or wants a handle what may be known.
func clientProto(c lease.Client, station string, may Disclosure) *quoratev1.Client {
	m := &quoratev1.Client{}
	if may == DiscloseNone {
		return m
	}
	m.Address = c.Address
	if may.users() {
		m.User, m.Application, m.Station = c.User, c.Application, station
	}
	if may == discloseAll {
		m.Process = c.Process
	}
	return m
}

// recorded gives a refusal by the license or by the server's rules back, once it
// is on record; those by the store it records itself.
func (s *Server) recorded(ctx context.Context, t *term, r lease.Request, err error) error {
	d, can := t.seats.(lease.Denier)
	var refusal *license.Error
	if !can || !errors.As(err, &refusal) {
		return err
	}
	rule, _ := refusal.Details["rule"].(string)
	if unrecorded := d.Deny(ctx, r, refusal.Code, rule); unrecorded != nil {
		s.log.Warn("a denial is not on record", "product", r.Pool.Product.String(), "code", string(refusal.Code), "error", unrecorded)
	}
	return err
}

// explained adds to a refusal of the store who stands in the way, as far as the
// asker may know; any other error it gives back as it is. Where that can't be
// found out, the refusal is told without.
func (s *Server) explained(ctx context.Context, may Disclosure, r lease.Request, err error) error {
	var refusal *license.Error
	if !errors.As(err, &refusal) {
		return err
	}
	key := holdersKey{product: r.Pool.Product}
	switch refusal.Code {
	case license.CodeNoFreeSeat, license.CodeQueued:
	case license.CodeStationBusy:
		key.station = r.Station
	case license.CodeLimitReached:
		key.tag, _ = refusal.Details["limit"].(string)
	default:
		return err
	}
	var found foundHolders
	if may != DiscloseNone || refusal.Details["nextExpiryMs"] == nil {
		unread := s.under(ctx, func(ctx context.Context, t *term) (err error) {
			found, err = s.holders.of(ctx, t, r.Pool, key)
			return err
		})
		if unread != nil {
			s.log.Debug("a denial is told without the holders", "error", unread)
			return err
		}
	}
	out := *refusal
	out.Details = maps.Clone(out.Details)
	if out.Details == nil {
		out.Details = make(map[string]any)
	}
	if out.Details["nextExpiryMs"] == nil && found.next > 0 {
		out.Details["nextExpiryMs"] = found.next.Milliseconds()
	}
	if may != DiscloseNone {
		holders := make([]any, len(found.first))
		for i, h := range found.first {
			holders[i] = holderDetails(h, may)
		}
		out.Details["holders"], out.Details["holdersInAll"] = holders, found.all
	}
	out.Message += inWords(found.first, may, out.Details)
	return &out
}

func holderDetails(h lease.Handle, may Disclosure) map[string]any {
	d := map[string]any{"handle": h.Handle, "host": h.Client.Address, "licenses": h.Takes}
	if idle := idleFor(h); idle > 0 {
		d["idleMs"] = idle.Milliseconds()
	}
	if h.Borrowed {
		d["borrowed"] = true
		d["remainingMs"] = max(0, h.Remaining.Milliseconds())
	}
	if may.users() {
		d["user"], d["application"], d["station"] = h.Client.User, h.Client.Application, h.Station
	}
	return d
}

// tellingIdle is from when on it is worth saying that a program is idle.
const tellingIdle = time.Minute

// inWords is what a person wants to know who could ask somebody to stop.
func inWords(holders []lease.Handle, may Disclosure, details map[string]any) string {
	var b strings.Builder
	if len(holders) > 0 && may != DiscloseNone {
		h := holders[0]
		of, by := "", ""
		if may.users() && h.Client.User != "" {
			of, by = "of "+h.Client.User+" ", "by "+h.Client.User+" "
		}
		if idle := idleFor(h); idle >= tellingIdle {
			fmt.Fprintf(&b, "; the one %son host %s has been idle for %s", of, h.Client.Address, roughly(idle))
		} else if len(holders) == 1 {
			fmt.Fprintf(&b, "; it is in use %son host %s", by, h.Client.Address)
		}
	}
	if ms, ok := details["nextExpiryMs"].(int64); ok {
		fmt.Fprintf(&b, "; the next is free in %s unless its program renews it", roughly(time.Duration(ms)*time.Millisecond))
	}
	if n, ok := details["waiting"].(uint32); ok && n > 0 && details["position"] == nil {
		fmt.Fprintf(&b, "; waiting: %d", n)
	}
	return b.String()
}

// roughly rounds up to what a person reads.
func roughly(d time.Duration) string {
	up := func(unit time.Duration) int64 { return int64((d + unit - 1) / unit) }
	switch {
	case d <= 2*time.Minute:
		return fmt.Sprintf("%d s", up(time.Second))
	case d <= 2*time.Hour:
		return fmt.Sprintf("%d min", up(time.Minute))
	case d <= 48*time.Hour:
		return fmt.Sprintf("%d h", up(time.Hour))
	}
	return fmt.Sprintf("%d days", up(24*time.Hour))
}

// idleFor is how long the program of a handle has not used it, as it told with
// its last renewal; zero: in use then, or not told.
func idleFor(h lease.Handle) time.Duration {
	if h.Idle <= 0 {
		return 0
	}
	return h.Idle + max(0, time.Since(h.LastAccess))
}

// holdersKey is whose licenses stand in the way: all of a product, those of a
// station, or those under a tag.
type holdersKey struct {
	product      license.Product
	station, tag string
}

type foundHolders struct {
	first []lease.Handle // mostHolders of them, the longest idle first
	all   int
	next  time.Duration // until the first of them ends without a renewal
	until time.Time
}

// Bounds of what is remembered of holders. A list of a large pool takes time that
// programs wait for, so it is used again for as long as it took twenty times.
const (
	holdersKept  = 128
	holdersLast  = time.Second
	holdersShare = 20
)

// holdersCache remembers for a moment who holds licenses: denials come in
// crowds, and each would go through the whole pool.
type holdersCache struct {
	mu    sync.Mutex
	found map[holdersKey]foundHolders
}

func (c *holdersCache) of(ctx context.Context, t *term, pool lease.Pool, key holdersKey) (foundHolders, error) {
	began := time.Now()
	c.mu.Lock()
	known, ok := c.found[key]
	c.mu.Unlock()
	if ok && began.Before(known.until) {
		return known, nil
	}
	all, err := t.seats.List(ctx, pool)
	if err != nil {
		return foundHolders{}, err
	}
	all = slices.DeleteFunc(all, func(h lease.Handle) bool {
		return h.Takes == 0 || key.station != "" && h.Station != key.station || key.tag != "" && !slices.Contains(h.Tags, key.tag)
	})
	slices.SortStableFunc(all, func(a, b lease.Handle) int { return cmp.Compare(idleFor(b), idleFor(a)) })
	now := time.Now()
	var next time.Duration
	for _, h := range all {
		if next == 0 || h.Remaining < next {
			next = h.Remaining
		}
	}
	known = foundHolders{
		next:  next,
		first: slices.Clone(all[:min(mostHolders, len(all))]), all: len(all),
		until: now.Add(max(holdersLast, holdersShare*now.Sub(began))),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found == nil || len(c.found) >= holdersKept {
		c.found = make(map[holdersKey]foundHolders)
	}
	c.found[key] = known
	return known, nil
}
