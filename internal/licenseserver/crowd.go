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
type crowd struct {
	mu    sync.Mutex
	by    map[string]map[string]time.Time // by computer and id: until when
	swept time.Time
}

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

// room says whether an id is counted, or may be.
func (c *crowd) room(of, id string, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := c.by[of]
	if _, counted := ids[id]; counted || len(ids) < most {
		return true
	}
	forget(ids, time.Now())
	return len(ids) < most
}

// count counts an id for a time.
func (c *crowd) count(of, id string, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.swept) > time.Minute {
		c.swept = now
		for of, ids := range c.by {
			if forget(ids, now); len(ids) == 0 {
				delete(c.by, of)
			}
		}
	}
	if c.by == nil {
		c.by = make(map[string]map[string]time.Time)
	}
	if c.by[of] == nil {
		c.by[of] = make(map[string]time.Time)
	}
	c.by[of][id] = now.Add(d)
}

// leave counts an id no longer.
func (c *crowd) leave(of, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if delete(c.by[of], id); len(c.by[of]) == 0 {
		delete(c.by, of)
	}
}

func forget(ids map[string]time.Time, now time.Time) {
	for id, until := range ids {
		if !now.Before(until) {
			delete(ids, id)
		}
	}
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
