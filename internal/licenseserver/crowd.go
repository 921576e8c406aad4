package licenseserver

import (
	"net/netip"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
)

// Bounds of what one computer may have at once, where the configuration says
// nothing else.
const (
	DefaultMostWaiting = 64
	DefaultMostHandles = 10_000
)

// crowd counts what each computer has of what no quantity bounds: places in
// queues, and handles of the modes in which they cost nothing. It knows what this
// server gave, or renewed since its start; what is not heard of again is forgotten.
// What is counted stays with the computer it was first counted for.
type crowd struct {
	mu    sync.Mutex
	all   map[member]*counted
	by    map[string]map[member]*counted // the same, by computer
	swept time.Time
}

// member is a request or a handle: another product's may have the same id.
type member struct {
	product license.Product
	id      string
}

type counted struct {
	of    string
	asked int // calls under way that may make it
	until time.Time
}

func (m *counted) over(now time.Time) bool { return m.asked == 0 && !now.Before(m.until) }

// outcome is what became of what was reserved.
type outcome int

const (
	refused outcome = iota // this call made nothing; what was there before stays
	there                  // it is there, or may be
	gone
)

// computer is who a call came from: an address, of those with many a network.
func computer(peer connect.Peer) string {
	at, err := netip.ParseAddrPort(peer.Addr)
	if err != nil {
		return peerHost(peer)
	}
	a := at.Addr().Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// reserve counts k before the call that may make it, where the computer may have
// one more or k is counted already. Whoever reserved must settle.
func (c *crowd) reserve(of string, k member, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if m := c.all[k]; m != nil && !m.over(now) {
		m.asked++
		return true
	}
	if len(c.by[of]) >= most {
		if c.forget(of, now); len(c.by[of]) >= most {
			return false
		}
	}
	c.add(of, k, now).asked = 1
	return true
}

// settle says what became of what was reserved; where it is there, for how long.
func (c *crowd) settle(k member, o outcome, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	m := c.all[k]
	if m == nil {
		return
	}
	m.asked--
	switch o {
	case there:
		m.until = now.Add(d)
	case gone:
		m.until = now
	}
	if m.over(now) {
		c.drop(k)
	}
}

// count counts k for a time, whatever the bound: it is there.
func (c *crowd) count(of string, k member, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	m := c.all[k]
	if m == nil || m.over(now) {
		m = c.add(of, k, now)
	}
	m.until = now.Add(d)
}

// leave counts k no longer, but for calls that may make it anew.
func (c *crowd) leave(k member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.all[k]
	if m == nil {
		return
	}
	m.until = time.Time{}
	if m.asked == 0 {
		c.drop(k)
	}
}

// add makes a new entry; from time to time it forgets the old ones.
func (c *crowd) add(of string, k member, now time.Time) *counted {
	c.drop(k)
	if now.Sub(c.swept) > time.Minute {
		c.swept = now
		for of := range c.by {
			c.forget(of, now)
		}
	}
	if c.all == nil {
		c.all, c.by = make(map[member]*counted), make(map[string]map[member]*counted)
	}
	if c.by[of] == nil {
		c.by[of] = make(map[member]*counted)
	}
	m := &counted{of: of}
	c.all[k], c.by[of][k] = m, m
	return m
}

func (c *crowd) drop(k member) {
	m := c.all[k]
	if m == nil {
		return
	}
	delete(c.all, k)
	if delete(c.by[m.of], k); len(c.by[m.of]) == 0 {
		delete(c.by, m.of)
	}
}

func (c *crowd) forget(of string, now time.Time) {
	for k, m := range c.by[of] {
		if m.over(now) {
			c.drop(k)
		}
	}
}

// inDoubt says whether the store may have done what it answers with an error: it
// didn't say, or its answer was lost.
func inDoubt(err error) bool {
	switch license.CodeOf(err) {
	case license.CodeUnavailable, license.CodeNoMajority, license.CodeNotLeader, license.CodeFenced, license.CodeInternal:
		return true
	}
	return false
}

// placeAfter is what the store's answer makes of a place in a queue. A refusal for
// another reason than its time doesn't tell of the place.
func placeAfter(before outcome, err error) outcome {
	switch code := license.CodeOf(err); {
	case code == license.CodeQueued || err != nil && inDoubt(err):
		return there
	case err == nil || code == license.CodeNoFreeSeat:
		return gone
	}
	return before
}

// costsNothing: as many handles as a computer likes take no more than one.
func costsNothing(m license.AccessMode) bool {
	return m == license.NoUserLimit || m == license.StationShare
}

func tooManyHandles(most int) error {
	return &license.Error{
		Code: license.CodeThrottled, Message: "this computer has " + strconv.Itoa(most) + " handles that cost nothing, which is the most",
		Fix: "end programs there, or have the operator raise --most-handles", Details: map[string]any{"most": most},
	}
}

func tooManyWait(most int) error {
	return &license.Error{
		Code: license.CodeThrottled, Message: "no license is free, and " + strconv.Itoa(most) + " requests of this computer wait already, which is the most",
		Fix: "try again later, or have the operator raise --most-waiting", Details: map[string]any{"most": most},
	}
}
