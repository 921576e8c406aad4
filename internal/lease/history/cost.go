package history

import (
	"math"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// wanting says whether a call was refused for want of licenses.
func (o Op) wanting() bool {
	return o.Code == license.CodeNoFreeSeat || o.Code == license.CodeQueued
}

// asker is the request of a call as a handle of its own.
func (o Op) asker() *life {
	l := &life{pool: o.Pool, handle: o.Handle, request: o.Request}
	if l.request.Mode == "" {
		l.request.Mode = license.UserLimit
	}
	return l
}

func (l *life) has(tag string) bool { return slices.Contains(l.request.Limits.Tags, tag) }

// raisers leaves out who takes nothing beside others: of each station's share
// handles the one with the most licenses stays, the earliest answered of them.
func raisers(lives []*life) []*life {
	var kept []*life
	stations := map[string]int{}
	for _, l := range lives {
		switch l.request.Mode {
		case license.NoUserLimit:
		case license.StationShare:
			at, there := stations[l.request.Station]
			if !there {
				stations[l.request.Station] = len(kept)
				kept = append(kept, l)
				continue
			}
			k := kept[at]
			if n, m := l.request.Wants(), k.request.Wants(); n > m || n == m && l.first.End.Before(k.first.End) {
				kept[at] = l
			}
		default:
			kept = append(kept, l)
		}
	}
	return kept
}

// cost is what handles take together.
func cost(lives []*life) (n uint32) {
	for _, l := range raisers(lives) {
		n += l.request.Wants()
	}
	return n
}

// chain lets a share handle that joined others inherit the quantity that these
// were granted by: joining them it took nothing, but what the station takes may
// be its own, once they are gone.
func (c *checker) chain(spans []span) {
	stations := map[string][]span{}
	for _, s := range spans {
		if s.request.Mode == license.StationShare {
			stations[s.request.Station] = append(stations[s.request.Station], s)
		}
	}
	for _, all := range stations {
		slices.SortFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
		var bounds []uint32
		var raised []time.Time
		var end time.Time
		first := 0
		for i, s := range all {
			if s.from.After(end) {
				first = i
			}
			if s.taken.After(end) {
				end = s.taken
			}
			bound, since := uint32(0), s.asked
			for _, o := range all[first:] {
				if !o.from.After(s.lastPossible()) {
					bound = max(bound, o.bound)
					if o.asked.Before(since) {
						since = o.asked
					}
				}
			}
			bounds, raised = append(bounds, bound), append(raised, since)
		}
		for i, s := range all {
			s.bound, s.raised = bounds[i], raised[i]
		}
	}
}

// lastPossible is when the handle was granted at the latest.
func (s span) lastPossible() time.Time {
	if s.granted {
		return s.first.End
	}
	return never
}

// instants calls f at each instant at which somebody certainly got a handle,
// with all that are certainly held then.
func instants(holds []hold, f func(h hold, active []*life)) {
	slices.SortFunc(holds, func(a, b hold) int { return a.from.Compare(b.from) })
	var active []hold
	for _, h := range holds {
		active = slices.DeleteFunc(active, func(a hold) bool { return !a.to.After(h.from) })
		active = append(active, h)
		lives := make([]*life, len(active))
		for i, a := range active {
			lives[i] = a.life
		}
		f(h, lives)
	}
}

// sweep goes through all instants at which somebody certainly got a handle:
// those certainly held then that take licenses were decided one after the other,
// the last of them with all others held, so they are within the quantity that it
// was judged by.
func (c *checker) sweep(holds []hold) {
	instants(holds, func(h hold, active []*life) {
		active = raisers(active)
		if len(active) == 0 {
			return
		}
		lastAsked, taken := active[0].raised, uint32(0)
		for _, a := range active {
			taken += a.request.Wants()
			if a.raised.After(lastAsked) {
				lastAsked = a.raised
			}
		}
		var most uint32
		for _, a := range active {
			if !a.first.End.Before(lastAsked) {
				most = max(most, a.bound)
			}
		}
		if taken > most {
			c.fault(RuleQuantity, h.from, "%d licenses are taken by %d handles, %s is the last of them, the quantity is %d",
				taken, len(active), h.handle, most)
		}
	})
}

// stations looks for exclusive handles that share their station.
func (c *checker) stations(holds []hold) {
	instants(holds, func(h hold, active []*life) {
		for _, a := range active {
			if a.handle != h.handle && a.request.Station == h.request.Station &&
				a.request.Mode != license.NoUserLimit && h.request.Mode != license.NoUserLimit &&
				(a.request.Mode == license.Exclusive || h.request.Mode == license.Exclusive) {
				c.fault(RuleStation, h.from, "%s (%s) and %s (%s) are on %q",
					a.handle, a.request.Mode, h.handle, h.request.Mode, h.request.Station)
			}
		}
	})
}

// limits looks after caps and holds that all requests of the history carried.
func (c *checker) limits(lives map[string]*life, holds []hold) {
	caps, kept, tags := map[string]uint32{}, map[string]uint32{}, map[string]bool{}
	var quantity uint32
	for _, l := range lives {
		quantity = max(quantity, l.bound)
		for _, tag := range l.request.Limits.Tags {
			tags[tag] = true
		}
	}
	for tag := range tags {
		caps[tag], kept[tag] = 0, math.MaxUint32
		for _, l := range lives {
			if l.request.Mode == license.NoUserLimit || !l.maybe {
				continue
			}
			if l.has(tag) {
				caps[tag] = max(caps[tag], capOf(l.request, tag))
			} else {
				kept[tag] = min(kept[tag], holdOf(l.request, tag))
			}
		}
	}
	instants(holds, func(h hold, active []*life) {
		for tag := range tags {
			with := slices.DeleteFunc(slices.Clone(active), func(l *life) bool { return !l.has(tag) })
			if n := cost(with); n > caps[tag] {
				c.fault(RuleCap, h.from, "%d licenses are taken with the tag %s, the cap is %d", n, tag, caps[tag])
			}
			if kept[tag] == 0 || kept[tag] == math.MaxUint32 {
				continue
			}
			others := slices.DeleteFunc(slices.Clone(active), func(l *life) bool { return l.has(tag) })
			if n := cost(others); n+kept[tag] > quantity {
				c.fault(RuleHold, h.from, "%d of %d licenses are taken, and %d are kept back for %s", n, quantity, kept[tag], tag)
			}
		}
	})
}

func capOf(r lease.Request, tag string) uint32 {
	for _, c := range r.Limits.Caps {
		if c.Tag == tag {
			return c.Most
		}
	}
	return math.MaxUint32
}

func holdOf(r lease.Request, tag string) uint32 {
	for _, h := range r.Limits.Holds {
		if h.Tag == tag {
			return h.Least
		}
	}
	return 0
}
