package book

import (
	"cmp"
	"slices"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// account is what a set of handles takes: each its licenses, with station share
// each station the most of them.
type account struct {
	plain    uint64
	shared   uint64
	stations map[string]sizes
}

// sizes are the licenses of the share handles of one station, ascending.
type sizes []size

type size struct{ licenses, count uint32 }

func (s sizes) most() uint64 {
	if len(s) == 0 {
		return 0
	}
	return uint64(s[len(s)-1].licenses)
}

// without is the most when one handle of so many licenses is gone.
func (s sizes) without(licenses uint32) uint64 {
	last := len(s) - 1
	if last < 0 || s[last].licenses != licenses || s[last].count > 1 {
		return s.most()
	}
	return s[:last].most()
}

func (s sizes) find(licenses uint32) (int, bool) {
	return slices.BinarySearchFunc(s, licenses, func(x size, l uint32) int { return cmp.Compare(x.licenses, l) })
}

func (a *account) total() uint64 { return a.plain + a.shared }

// cost is what makes a handle or a request count in an account.
type cost struct {
	mode     license.AccessMode
	station  string
	licenses uint32
}

func (a *account) add(c cost) {
	switch c.mode {
	case license.NoUserLimit:
	case license.StationShare:
		s := a.stations[c.station]
		a.shared -= s.most()
		at, there := s.find(c.licenses)
		if !there {
			s = slices.Insert(s, at, size{licenses: c.licenses})
		}
		s[at].count++
		a.shared += s.most()
		if a.stations == nil {
			a.stations = map[string]sizes{}
		}
		a.stations[c.station] = s
	default:
		a.plain += uint64(c.licenses)
	}
}

func (a *account) remove(c cost) {
	switch c.mode {
	case license.NoUserLimit:
	case license.StationShare:
		s := a.stations[c.station]
		a.shared -= s.most()
		at, _ := s.find(c.licenses)
		if s[at].count--; s[at].count == 0 {
			s = slices.Delete(s, at, at+1)
		}
		a.shared += s.most()
		if a.stations[c.station] = s; len(s) == 0 {
			delete(a.stations, c.station)
		}
	default:
		a.plain -= uint64(c.licenses)
	}
}

// after is the total with c added and, where own isn't nil, own taken away,
// which is of the same mode, and of the same station with station share.
func (a *account) after(c cost, own *handle) uint64 {
	if c.mode != license.StationShare {
		total := a.total() + uint64(c.licenses)
		if own != nil {
			total -= uint64(own.licenses)
		}
		return total
	}
	s := a.stations[c.station]
	rest := s.most()
	if own != nil {
		rest = s.without(own.licenses)
	}
	return a.total() - s.most() + max(rest, uint64(c.licenses))
}

// gives is by how much the total falls when a handle, or nil, is taken away.
func (a *account) gives(h *handle) uint64 {
	switch {
	case h == nil:
		return 0
	case h.mode == license.StationShare:
		s := a.stations[h.station]
		return s.most() - s.without(h.licenses)
	}
	return uint64(h.licenses)
}

// presence is who is on a station: living handles that take licenses.
type presence struct{ taking, exclusive uint32 }

// taken is what the handles with a tag take.
func (p *pool) taken(tag string) uint64 {
	if a := p.tags[tag]; a != nil {
		return a.total()
	}
	return 0
}

// takenAfter is what a tag takes with a request added and own taken away.
func (p *pool) takenAfter(tag string, c cost, tags []string, own *handle) uint64 {
	a := p.tags[tag]
	if a == nil {
		a = &account{}
	}
	if own != nil && !slices.Contains(own.tags, tag) {
		own = nil
	}
	if slices.Contains(tags, tag) {
		return a.after(c, own)
	}
	return a.total() - a.gives(own)
}

// count enters a handle into the accounts, or takes it out of them.
func (p *pool) count(h *handle, enter bool) {
	change, step := (*account).add, uint32(1)
	if !enter {
		change, step = (*account).remove, ^uint32(0)
	}
	c := h.cost()
	change(&p.all, c)
	for _, tag := range h.tags {
		a := p.tags[tag]
		if a == nil {
			a = &account{}
			p.tags[tag] = a
		}
		if change(a, c); a.total() == 0 {
			delete(p.tags, tag)
		}
	}
	if h.linger > 0 {
		return
	}
	change(&p.living, c)
	if h.borrowed {
		change(&p.borrowed, c)
	}
	if p.modes[h.mode] += step; p.modes[h.mode] == 0 {
		delete(p.modes, h.mode)
	}
	if h.mode == license.NoUserLimit {
		return
	}
	at := p.stations[h.station]
	at.taking += step
	if h.mode == license.Exclusive {
		change(&p.exclusive, c)
		at.exclusive += step
	}
	if p.stations[h.station] = at; at == (presence{}) {
		delete(p.stations, h.station)
	}
}

// usage gives the figures of the pool.
func (p *pool) usage() lease.Usage {
	u := lease.Usage{
		Taken: narrow(p.all.total()), Lingering: narrow(p.all.total() - p.living.total()),
		Borrowed: narrow(p.borrowed.total()), Waiting: uint32(len(p.queue)),
		ByMode: map[license.AccessMode]uint32{}, TakenByMode: map[license.AccessMode]uint32{}, ByTag: map[string]uint32{},
	}
	for mode, n := range p.modes {
		u.ByMode[mode] = n
	}
	for mode, n := range map[license.AccessMode]uint64{
		license.UserLimit: p.living.plain - p.exclusive.plain, license.Exclusive: p.exclusive.plain,
		license.StationShare: p.living.shared,
	} {
		if n > 0 {
			u.TakenByMode[mode] = narrow(n)
		}
	}
	for tag, a := range p.tags {
		u.ByTag[tag] = narrow(a.total())
	}
	return u
}

// narrow bounds a sum to what figures can say.
func narrow(n uint64) uint32 { return uint32(min(n, 1<<32-1)) }
