package leasetest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/lease/leasetest/granttest"
	"github.com/quorate/quorate/internal/lease/leasetest/kit"
	"github.com/quorate/quorate/internal/license"
)

// Harness is one fresh store of a driver, ended by its test's Cleanup.
type Harness = kit.Harness

// Driver is what the suite runs on.
type Driver struct {
	// Open makes a fresh store.
	Open func(t *testing.T) Harness
	// Bubble runs each test in a synctest bubble, where time is exact and
	// passes at once. Only for drivers whose time is the process's own.
	Bubble bool
	// OneLeader: Join is refused with CodeInvalidInput.
	OneLeader bool
}

func (d Driver) run(t *testing.T, name string, f func(t *testing.T, h Harness)) {
	t.Run(name, func(t *testing.T) {
		if d.Bubble {
			synctest.Test(t, func(t *testing.T) { f(t, d.Open(t)) })
			return
		}
		t.Parallel()
		f(t, d.Open(t))
	})
}

// Run runs the whole suite.
func Run(t *testing.T, d Driver) {
	for name, f := range map[string]func(*testing.T, Harness){
		"claim makes a higher epoch and fences every earlier one":       claimFences,
		"claim keeps every held seat for a full lease and the margin":   claimKeepsSeats,
		"claim concerns its own group only":                             claimIsPerGroup,
		"seats are numbered from one and given once":                    seatsNumbered,
		"a denied access tells why and writes an event":                 denied,
		"a repeat gives the same answer":                                repeats,
		"an id with another content is a mismatch":                      mismatches,
		"the id of an ended handle gives no new one":                    endedIDs,
		"a lowered quantity throws nobody out and lets nobody in":       loweredQuantity,
		"a raised quantity lets in exactly that many more":              raisedQuantity,
		"access frees lapsed seats of its pool before it refuses":       accessExpires,
		"n counts up per seat and is never used again":                  nCountsUp,
		"products have seats of their own":                              poolsAreApart,
		"no user limit takes no license":                                noUserLimit,
		"malformed requests are refused":                                malformed,
		"a renewal starts the lease anew":                               renewalExtends,
		"a repeat counts as a renewal":                                  repeatExtends,
		"a late renewal is refused and never revived":                   lateRenewal,
		"a wrong n or seat is unknown":                                  wrongN,
		"a token of a newer epoch is never refused":                     newerEpoch,
		"a token of an older epoch is fine":                             olderEpoch,
		"a lost handle is taken in where its seat is free":              lostTakenIn,
		"a lost handle is refused where its seat or n was used":         lostRefused,
		"check does not renew":                                          checkDoesNotRenew,
		"a released seat is free at once":                               released,
		"releasing twice or with an older n does nothing":               releasedTwice,
		"a removed handle's program gets an error, its seat is free":    removed,
		"a seat lingers from the release on, its handle is over":        lingersAtRelease,
		"a lingering seat comes back to its client, all others taken":   lingersForItsClient,
		"a lingering seat is taken for everybody else":                  lingersForNobodyElse,
		"a lingering seat's client may have any name":                   lingersForOddNames,
		"a lingering seat is free when its time is over":                lingersInTime,
		"expire and next count lingers, no event tells of their end":    lingerEnds,
		"releasing again does not prolong a linger":                     lingerNotProlonged,
		"removing a lingering handle frees its seat":                    lingerRemoved,
		"without a seat and after its end a handle does not linger":     lingersNotWithout,
		"lingering seats make no more handles than the quantity":        lingerQuantity,
		"of several lingering seats the lowest comes back":              lingersManyOfOne,
		"claim keeps lingering seats for a full time and the margin":    lingerClaimed,
		"a lost handle's newer n ends a linger":                         lingerLost,
		"expire frees what has run out and next says when that will be": expires,
		"list gives the living handles by first access":                 lists,
		"usage counts seats and handles":                                usage,
		"events come in order with everything that happened":            events,
		"events waits for the first and ends with its context":          eventsWait,
		"events go on after any position":                               eventsResume,
		"close lets go who waits":                                       closes,
		"concurrent accesses never exceed the quantity":                 concurrentAccesses,
		"concurrent repeats are one access":                             concurrentRepeats,
		"a cancelled call says that the outcome is open":                cancelled,
	} {
		d.run(t, name, f)
	}
	for name, f := range granttest.Sentences() {
		d.run(t, name, f)
	}
	if d.OneLeader {
		d.run(t, "join is refused", func(t *testing.T, h Harness) {
			_, err := h.Store.Join(t.Context(), kit.Group, "a")
			kit.WantCode(t, err, license.CodeInvalidInput)
		})
	} else {
		d.run(t, "those who joined decide together until a claim", joins)
	}
	d.run(t, "concurrent calls happen one after the other", linearizable)
	d.machine(t)
	for name, w := range map[string]Workload{
		"":                      {Clients: 24, Steady: true},
		" with lingering seats": {Clients: 24, Steady: true, Linger: d.shortLease() / 2},
		" in all modes":         {Clients: 64, Steady: true, Mixed: true},
		" with takeovers, removals and another quantity":                       {Clients: 24},
		" with lingering seats, takeovers, removals and another quantity":      {Clients: 24, Linger: d.shortLease() / 2},
		" in all modes with lingers, takeovers, removals and another quantity": {Clients: 64, Mixed: true, Linger: d.shortLease() / 2},
	} {
		w.For, w.Lease = d.workTime(), d.shortLease()
		d.run(t, "history of concurrent programs"+name, func(t *testing.T, h Harness) { w.Run(t, h.Store) })
	}
}

func (d Driver) shortLease() time.Duration {
	if d.Bubble {
		return 10 * time.Second
	}
	return 400 * time.Millisecond
}

func (d Driver) workTime() time.Duration {
	if d.Bubble {
		return 100 * time.Second
	}
	return 4 * time.Second
}
