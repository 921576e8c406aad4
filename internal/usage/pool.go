package usage

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// MostAsked bounds what one handle is counted with.
const MostAsked = 1<<31 - 1

// Handle is one access by one program.
type Handle struct {
	ID, User, Station string
	Mode              license.AccessMode
	Asked             int // licenses that the program asked for, at least 1
	Takes             int // licenses that it takes now, if it lives
	First             time.Time
	Living            bool
	Ended             time.Time // if it doesn't live
	Changed           bool      // since it was put in
}

// Pool is what a batch of events is about in one product of one container: the
// handles that they name, all that live on the stations of those with station
// share, and when who was last there.
type Pool struct {
	handles  map[string]*Handle
	users    map[string]Presence
	stations map[string]Presence
}

// NewPool makes an empty one.
func NewPool() *Pool {
	return &Pool{handles: map[string]*Handle{}, users: map[string]Presence{}, stations: map[string]Presence{}}
}

// Put adds a handle as it is known.
func (p *Pool) Put(h Handle) {
	if _, ok := p.handles[h.ID]; !ok {
		p.handles[h.ID] = &h
	}
}

// PutUser and PutStation say how many handles somebody has now, and when he had
// the last one that has ended.
func (p *Pool) PutUser(name string, at Presence)    { p.users[name] = at }
func (p *Pool) PutStation(name string, at Presence) { p.stations[name] = at }

// Handle gives one, or nil.
func (p *Pool) Handle(id string) *Handle { return p.handles[id] }

// Effect is what an event changes in a pool.
type Effect struct {
	Taken, Users, Stations int64     // more than before, or less
	User, Station          *Presence // who is seen by it, as before; nil: nobody with a name
}

// Grant has a handle live. Of one that lives already only what it asks for may
// change, and it counts once.
func (p *Pool) Grant(h Handle) (e Effect) {
	h.Asked = min(max(h.Asked, 1), MostAsked)
	known := p.handles[h.ID]
	if known == nil {
		h.Living = false
		known = &h
		p.handles[h.ID] = known
	}
	known.Asked, known.Changed = h.Asked, true
	if !known.Living {
		known.Living, known.Ended, known.Takes = true, time.Time{}, 0
		e.User, e.Users = come(p.users, known.User)
		e.Station, e.Stations = come(p.stations, known.Station)
	}
	e.Taken = p.cost(known)
	return e
}

// End has a handle live no more. It is nothing for one that doesn't live; of one
// that is not known it tells at least who was there.
func (p *Pool) End(h Handle, at time.Time) (e Effect) {
	known := p.handles[h.ID]
	if known == nil {
		h.Living, h.Ended, h.Changed = false, at, true
		p.handles[h.ID] = &h
		e.User, e.Station = pass(p.users, h.User, at), pass(p.stations, h.Station, at)
		return e
	}
	if !known.Living {
		return e
	}
	known.Living, known.Ended, known.Changed = false, at, true
	e.Users, e.Stations = leave(p.users, known.User, at), leave(p.stations, known.Station, at)
	e.Taken = p.cost(known)
	return e
}

func pass(all map[string]Presence, name string, at time.Time) *Presence {
	if name == "" {
		return nil
	}
	was := all[name]
	all[name] = Presence{was.Living, at}
	return &was
}

func come(all map[string]Presence, name string) (*Presence, int64) {
	if name == "" {
		return nil, 0
	}
	was := all[name]
	all[name] = Presence{was.Living + 1, was.Last}
	if was.Living > 0 {
		return &was, 0
	}
	return &was, 1
}

func leave(all map[string]Presence, name string, at time.Time) int64 {
	if name == "" || all[name].Living == 0 {
		return 0
	}
	all[name] = Presence{all[name].Living - 1, at}
	if all[name].Living > 0 {
		return 0
	}
	return -1
}

// cost gives how much more is taken by a handle, or by the handles that share
// its station's license, than before. Of those the first by first access, then
// id, shows what the station takes: the most that one of them asked for.
func (p *Pool) cost(h *Handle) (more int64) {
	set := func(h *Handle, takes int) {
		if h.Takes != takes {
			more += int64(takes - h.Takes)
			h.Takes, h.Changed = takes, true
		}
	}
	if h.Mode != license.StationShare {
		takes := h.Asked
		if h.Mode == license.NoUserLimit {
			takes = 0
		}
		if !h.Living {
			more -= int64(h.Takes)
			return more // an ended one keeps showing what it took
		}
		set(h, takes)
		return more
	}
	var there []*Handle
	most := 0
	for _, o := range p.handles {
		if o.Living && o.Mode == license.StationShare && o.Station == h.Station {
			there = append(there, o)
			most = max(most, o.Asked)
		}
	}
	slices.SortFunc(there, func(a, b *Handle) int {
		return cmp.Or(a.First.Compare(b.First), strings.Compare(a.ID, b.ID))
	})
	if !h.Living {
		more -= int64(h.Takes)
	}
	for i, o := range there {
		if i == 0 {
			set(o, most)
		} else {
			set(o, 0)
		}
	}
	return more
}
