package history

import (
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// span is the longest that a handle can have lived, and its seat been taken.
type span struct {
	*life
	from, to, taken time.Time
}

// span gives what a handle can have blocked at most. later are the grants of the
// pool's seats.
func (c *checker) span(l *life, later map[uint32][]*life) span {
	to := time.Time{}
	for _, o := range l.ops {
		if o.Kind != Access && o.Kind != Confirm {
			continue
		}
		if o.open() {
			to = never
		} else if o.Code == "" {
			if t := o.End.Add(o.Lease); t.After(to) {
				to = t
			}
		}
	}
	to = c.extended(to, Op{Pool: l.pool, Handle: l.handle, End: never}, l.first.Lease)
	if l.gone.Before(to) {
		to = l.gone
	}
	return span{l, l.asked, to, c.lingerMost(l, to, later[l.seat])}
}

// lingerMost gives until when a handle's seat can have been taken, with its
// linger.
func (c *checker) lingerMost(l *life, lived time.Time, later []*life) time.Time {
	till := lived
	for _, o := range l.ops {
		if o.Kind != Release || o.Linger == 0 || o.Code != "" && !o.open() {
			continue
		}
		t := never
		if !o.open() {
			t = c.extended(o.End.Add(o.Linger), Op{Pool: l.pool, End: never}, o.Linger)
		}
		if t.After(till) {
			till = t
		}
	}
	for _, o := range l.ops {
		if o.Kind == Remove && o.Code == "" && o.End.Before(till) {
			till = o.End
		}
	}
	if l.seat == 0 {
		return till
	}
	for _, x := range later {
		if x.n > l.n && x.first.End.Before(till) {
			till = x.first.End
		}
	}
	return till
}

// stay is a stretch of time in which a seat certainly lingers, unless its own
// client takes it.
type stay struct {
	*life
	from, to time.Time
}

// stay gives a handle's certain linger: one release ended it for certain, and it
// took licenses.
func (l *life) stay() (stay, bool) {
	if l.request.Mode == license.NoUserLimit {
		return stay{}, false
	}
	var first *Op
	for i, o := range l.ops { // by start
		if (o.Kind == Release || o.Kind == Remove) && (o.Code == "" || o.open()) {
			first = &l.ops[i]
			break
		}
	}
	if first == nil || first.Kind != Release || first.Code != "" || first.Linger == 0 || l.seat == 0 || !l.granted {
		return stay{}, false
	}
	s := stay{l, first.End, first.Start.Add(first.Linger)}
	alive := false
	for i := range l.ops {
		o := &l.ops[i]
		switch {
		case o == first:
		case o.Kind == Access || o.Kind == Confirm:
			alive = alive || o.Code == "" && o.Lease > 0 && !o.End.After(first.Start) && o.Start.Add(o.Lease).After(first.End)
		case o.Code != "" && !o.open():
		case !o.Start.After(first.End): // which of them ended it?
			return stay{}, false
		case o.Kind == Remove && o.Start.Before(s.to):
			s.to = o.Start
		}
	}
	return s, alive && s.from.Before(s.to)
}

// lingers gives the certain lingers by client, and looks for those that others
// were given the seat of.
func (c *checker) lingers(lives map[string]*life, bySeat map[uint32][]*life) map[lease.Holder][]stay {
	stays := map[lease.Holder][]stay{}
	for _, l := range lives {
		s, ok := l.stay()
		if !ok {
			continue
		}
		stays[l.holder] = append(stays[l.holder], s)
		for _, next := range bySeat[l.seat] {
			if next.n == l.n+1 && next.holder != l.holder && next.first.End.Before(s.to) {
				c.fault(RuleLinger, next.first.End, "seat %d lingers for %s for another %v and was given to %s",
					l.seat, l.handle, s.to.Sub(next.first.End), next.handle)
			}
		}
	}
	return stays
}

// returns looks for clients that were refused though a seat lingered for them.
func (c *checker) returns(lives map[string]*life, spans []span, stays map[lease.Holder][]stay, bySeat map[uint32][]*life) {
	unsure := map[lease.Holder][]*life{} // accesses that may have got a seat
	for _, l := range lives {
		if l.maybe && !l.granted {
			unsure[l.holder] = append(unsure[l.holder], l)
		}
	}
	// possible says whether one of them can have come between.
	possible := func(among []*life, above uint64, o Op) bool {
		return slices.ContainsFunc(among, func(l *life) bool {
			return (above == 0 || l.n > above) && !l.asked.After(o.End)
		})
	}
	for _, l := range lives {
		for _, o := range l.ops {
			if o.Kind != Access || !o.wanting() || len(stays[o.Holder]) == 0 || possible(unsure[o.Holder], 0, o) {
				continue
			}
			least, _ := c.quantity(o, o.Start)
			if living := during(spans, o, func(s span) time.Time { return s.to }); cost(append(living, o.asker())) > least {
				continue
			}
			for _, s := range stays[o.Holder] {
				if s.request.Wants() >= o.Request.Wants() && !s.from.After(o.Start) && o.End.Before(s.to) && !possible(bySeat[s.seat], s.n, o) {
					c.fault(RuleReturn, o.End, "%s was refused while seat %d lingered for its client, after %s", o.Handle, s.seat, s.handle)
				}
			}
		}
	}
}
