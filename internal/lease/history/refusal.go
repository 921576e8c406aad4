package history

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// spans gives the longest that each handle can have lived, and the granted
// handles of each seat.
func (c *checker) spans(lives map[string]*life) ([]span, map[uint32][]*life) {
	bySeat := map[uint32][]*life{}
	for _, l := range lives {
		if l.granted {
			bySeat[l.seat] = append(bySeat[l.seat], l)
		}
	}
	var spans []span
	for _, l := range lives {
		if l.maybe {
			spans = append(spans, c.span(l, bySeat))
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	return spans, bySeat
}

// during are those that there can have been during a call, at most.
func during(spans []span, o Op, until func(span) time.Time) (lives []*life) {
	for _, s := range spans { // by from
		if s.from.After(o.End) {
			break
		}
		if !until(s).Before(o.Start) && s.handle != o.Handle {
			lives = append(lives, s.life)
		}
	}
	return lives
}

// refusals looks for programs that were refused though nothing can have stood in
// the way, and after lingering seats.
func (c *checker) refusals(lives map[string]*life, spans []span, bySeat map[uint32][]*life) {
	c.returns(lives, spans, c.lingers(lives, bySeat), bySeat)
	waits := possibleWaits(lives)
	for _, l := range lives {
		for _, o := range l.ops {
			if o.Kind != Access {
				continue
			}
			asker := o.asker()
			switch {
			case o.wanting():
				least, _ := c.quantity(o, o.Start)
				taken := cost(append(during(spans, o, func(s span) time.Time { return s.taken }), asker))
				for _, h := range o.Request.Limits.Holds {
					taken += h.Least
				}
				taken += waiting(waits, o)
				if taken <= least {
					c.fault(RuleRefused, o.End, "%s was refused with at most %d of %d taken, its own among them", o.Handle, taken, least)
				}
			case o.Code == license.CodeStationBusy:
				if !slices.ContainsFunc(during(spans, o, func(s span) time.Time { return s.to }), asker.excludes) {
					c.fault(RuleRefused, o.End, "%s was refused with nobody in its way on its station", o.Handle)
				}
			case o.Code == license.CodeLimitReached:
				c.capped(o, asker, spans)
			}
		}
	}
}

func (l *life) excludes(o *life) bool {
	return l.request.Station == o.request.Station && o.request.Mode != license.NoUserLimit &&
		(l.request.Mode == license.Exclusive || o.request.Mode == license.Exclusive)
}

func (c *checker) capped(o Op, asker *life, spans []span) {
	for _, limit := range o.Request.Limits.Caps {
		with := during(spans, o, func(s span) time.Time { return s.taken })
		with = slices.DeleteFunc(with, func(l *life) bool { return !l.has(limit.Tag) })
		if asker.has(limit.Tag) && cost(append(with, asker)) > limit.Most {
			return
		}
	}
	c.fault(RuleRefused, o.End, "%s was refused by a cap that was not reached", o.Handle)
}

// stand is a stretch of time in which a request was in the queue, possibly or
// certainly.
type stand struct {
	*life
	request  lease.Request
	waits    lease.Holder // who
	from, to time.Time
}

// answered says whether a call certainly ended a place in the queue, and gave
// none.
func (o Op) answered() bool {
	return (o.Kind == Access || o.Kind == Leave) && !o.open() && o.Code != license.CodeQueued && o.Code != license.CodeFenced
}

// possibleWaits gives the longest that requests can have been in the queue.
func possibleWaits(lives map[string]*life) (stands []stand) {
	for _, l := range lives {
		for i, o := range l.ops {
			if o.Kind != Access || o.Request.Wait == nil || o.Code != license.CodeQueued && !o.open() {
				continue
			}
			to := never
			if !o.open() {
				to = o.End.Add(o.Request.Wait.Place)
			}
			for _, x := range l.ops[i+1:] {
				if x.answered() && x.Start.After(o.End) && x.End.Before(to) {
					to = x.End
				}
			}
			stands = append(stands, stand{l, o.Request, o.Holder, o.Start, to})
		}
	}
	slices.SortFunc(stands, func(a, b stand) int { return a.from.Compare(b.from) })
	return stands
}

// waiting is how many licenses others can have waited for during a call.
func waiting(stands []stand, o Op) (n uint32) {
	seen := map[string]bool{o.Handle: true}
	for _, s := range stands { // by from
		if s.from.After(o.End) {
			break
		}
		if !s.to.Before(o.Start) && !seen[s.handle] {
			seen[s.handle] = true
			n += s.request.Wants()
		}
	}
	return n
}

// certainWaits gives the stretches in which requests were certainly in the
// queue, since the asking that first was; a takeover may end them.
func (c *checker) certainWaits(lives map[string]*life) (stands []stand) {
	for _, l := range lives {
		var current *stand
		for i, o := range l.ops {
			if o.Kind != Access || o.Code != license.CodeQueued || o.Request.Wait == nil {
				current = nil
				continue
			}
			to := o.Start.Add(o.Request.Wait.Place)
			if i+1 < len(l.ops) && l.ops[i+1].Start.Before(to) {
				to = l.ops[i+1].Start
			}
			if current != nil && o.End.Before(l.ops[i-1].Start.Add(o.Request.Wait.Place)) {
				current.to = to
				continue
			}
			if o.End.Before(to) {
				stands = append(stands, stand{l, o.asker().request, o.Holder, o.End, to})
				current = &stands[len(stands)-1]
			}
		}
	}
	return slices.DeleteFunc(stands, func(s stand) bool {
		return slices.ContainsFunc(c.claims, func(o Op) bool { return !o.Start.After(s.to) && !o.End.Before(s.from) })
	})
}

// queue looks for grants past requests that certainly stood before them, and
// that there was no license left for. It looks at those alone that the rules
// certainly don't leave out: with user limit, on a station that no exclusive
// handle was on, without caps or lingering seats.
func (c *checker) queue(lives map[string]*life, holds []hold, spans []span) {
	stands := slices.DeleteFunc(c.certainWaits(lives), func(s stand) bool {
		return s.request.Mode != license.UserLimit || len(s.request.Limits.Caps) > 0 ||
			slices.ContainsFunc(spans, func(x span) bool {
				return x.request.Mode == license.Exclusive && x.request.Station == s.request.Station
			})
	})
	lingers := map[lease.Holder]bool{} // who may come back to a lingering seat
	for _, l := range lives {
		for _, o := range l.ops {
			if o.Kind == Release && o.Linger > 0 {
				lingers[l.holder] = true
			}
		}
	}
	stands = slices.DeleteFunc(stands, func(s stand) bool { return lingers[s.waits] })
	for _, l := range lives {
		mode := l.request.Mode
		if !l.granted || len(l.request.Limits.Tags) > 0 || mode != license.UserLimit && mode != license.Exclusive {
			continue
		}
		least, most := c.quantity(l.first, l.first.Start)
		taken := []*life{l}
		for _, h := range holds {
			if h.life != l && !h.from.After(l.first.Start) && !h.to.Before(l.first.End) {
				taken = append(taken, h.life)
			}
		}
		var ahead uint32
		for _, s := range stands {
			if s.before(l) && s.request.Wants() <= least {
				ahead += s.request.Wants()
			}
		}
		if n := cost(taken); ahead > 0 && n+ahead > most && !lingers[l.holder] {
			c.fault(RuleQueue, l.first.End, "%s was granted with %d of %d taken, and %d wanted by those before it",
				l.handle, n, most, ahead)
		}
	}
}

// before says whether who waits stood certainly before a granted request.
func (s stand) before(l *life) bool {
	if s.life == l || s.from.After(l.first.Start) || s.to.Before(l.first.End) {
		return false
	}
	his, mine := s.request.Wait.Priority, int32(0)
	if w := l.request.Wait; w != nil {
		mine = w.Priority
	}
	return his > mine || his == mine && s.from.Before(l.ops[0].Start)
}
