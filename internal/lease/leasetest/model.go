package leasetest

import (
	"slices"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// modelled is a handle as the model of machine has it.
type modelled struct {
	request lease.Request
	ref     lease.Ref
	end     lease.EventKind // empty: alive
	lingers bool            // released, its seat not free yet
}

// standing is a request in the model's queue.
type standing struct {
	request  lease.Request
	priority int32
}

// denial is what an event tells of one.
type denial struct {
	id   string
	code license.Code
	rule string
}

// requests are those of the handles that living says, without one of them.
func (m *machine) requests(lingering bool, without *modelled) (all []lease.Request) {
	for _, l := range m.lives {
		if l != without && (l.end == "" || lingering && l.lingers) {
			all = append(all, l.request)
		}
	}
	return all
}

// together is what requests take, counted from scratch.
func together(all []lease.Request) (n uint32) {
	stations := map[string]uint32{}
	for _, r := range all {
		switch r.Mode {
		case license.UserLimit, license.Exclusive:
			n += r.Wants()
		case license.StationShare:
			stations[r.Station] = max(stations[r.Station], r.Wants())
		}
	}
	for _, most := range stations {
		n += most
	}
	return n
}

func withTag(all []lease.Request, tag string) (some []lease.Request) {
	for _, r := range all {
		if slices.Contains(r.Limits.Tags, tag) {
			some = append(some, r)
		}
	}
	return some
}

// own gives the lowest seat that lingers for the client of a request.
func (m *machine) own(r lease.Request) (own *modelled) {
	for _, l := range m.lives {
		if l.lingers && l.request.Holder() == r.Holder() && (own == nil || l.ref.Seat < own.ref.Seat) {
			own = l
		}
	}
	return own
}

// with are all requests with r among them, and what lingers for it not.
func (m *machine) with(r lease.Request) []lease.Request {
	return append(m.requests(true, m.own(r)), r)
}

// barred says whether a station or a cap refuses a request.
func (m *machine) barred(r lease.Request) (license.Code, string) {
	for _, x := range m.requests(false, nil) {
		if x.Station == r.Station && x.Mode != license.NoUserLimit && (x.Mode == license.Exclusive || r.Mode == license.Exclusive) {
			return license.CodeStationBusy, ""
		}
	}
	for _, c := range r.Limits.Caps {
		after, before := together(withTag(m.with(r), c.Tag)), together(withTag(m.requests(true, nil), c.Tag))
		if after > c.Most && after > before {
			return license.CodeLimitReached, c.Tag
		}
	}
	return "", ""
}

// kept is what the holds of a request keep back while so much is taken, and the
// first tag that it is kept for.
func kept(r lease.Request, taken []lease.Request) (n uint32, rule string) {
	for _, h := range r.Limits.Holds {
		if has := together(withTag(taken, h.Tag)); has < h.Least {
			if n == 0 {
				rule = h.Tag
			}
			n += h.Least - has
		}
	}
	return n, rule
}

// decide says why a request is refused by those rules that have nothing to do
// with waiting, with ahead standing before it.
func (m *machine) decide(r lease.Request, ahead []standing) (license.Code, string) {
	if r.Mode == license.NoUserLimit {
		return "", ""
	}
	if code, rule := m.barred(r); code != "" {
		return code, rule
	}
	livingBefore, before := together(m.requests(false, nil)), together(m.requests(true, nil))
	living, all := together(append(m.requests(false, nil), r)), together(m.with(r))
	if living > livingBefore && living > r.Quantity {
		return license.CodeNoFreeSeat, ""
	}
	if all <= before {
		return "", ""
	}
	back, rule := kept(r, m.with(r))
	var wanted uint32
	for _, w := range ahead {
		wanted += m.owed(w.request, r, all-before)
	}
	switch {
	case all+back+wanted <= r.Quantity:
		return "", ""
	case all+wanted <= r.Quantity:
		return license.CodeNoFreeSeat, rule
	}
	return license.CodeNoFreeSeat, ""
}

// owed is what somebody who waits would add, and a request must leave him.
func (m *machine) owed(w, r lease.Request, adds uint32) uint32 {
	if code, _ := m.barred(w); code != "" || w.Wants() > r.Quantity || w.Mode == license.NoUserLimit {
		return 0
	}
	now, _ := kept(w, m.requests(true, nil))
	then, _ := kept(w, m.with(r))
	if then+adds <= now {
		return 0 // nothing that he could have
	}
	before, after := together(m.requests(true, nil)), together(m.with(w))
	return max(after, before) - before
}

// lowest is the lowest seat that nobody has.
func (m *machine) lowest() uint32 {
	for seat := uint32(1); ; seat++ {
		if m.holder(seat) == nil {
			return seat
		}
	}
}

// holder gives the handle that has a seat, living or lingering.
func (m *machine) holder(seat uint32) *modelled {
	for _, l := range m.lives {
		if (l.end == "" || l.lingers) && l.ref.Seat == seat {
			return l
		}
	}
	return nil
}

// behind is the place of who comes with a priority.
func (m *machine) behind(priority int32) int {
	i := slices.IndexFunc(m.queue, func(w standing) bool { return w.priority < priority })
	if i < 0 {
		return len(m.queue)
	}
	return i
}
