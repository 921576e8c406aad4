package book

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// List collects what lease.Seats.List gives; Arrange completes it, and needs the
// Book no longer.
func (b *Book) List(now time.Time, pool lease.Pool) ([]lease.Handle, error) {
	if err := pool.Check(b.group); err != nil {
		return nil, err
	}
	p := b.pools[pool.Product]
	if p == nil {
		return nil, nil
	}
	b.lapse(p, now)
	all := make([]lease.Handle, 0, len(p.due))
	for _, h := range p.due {
		if h.linger > 0 {
			continue
		}
		takes := h.licenses
		switch h.mode {
		case license.NoUserLimit:
			takes = 0
		case license.StationShare:
			takes = narrow(p.living.stations[h.station].most())
		}
		all = append(all, lease.Handle{
			Grant: b.grant(h), Station: h.station, Client: h.client, Accesses: h.accesses,
			FirstAccess: h.first, LastAccess: h.last, Remaining: h.deadline.Sub(now),
			Idle: h.idle, Tags: h.tags, Borrowed: h.borrowed, Takes: takes,
		})
	}
	return all, nil
}

// Arrange puts what List collected in order. What a station's share handles take,
// and how many they are, is shown by the first of them.
func Arrange(all []lease.Handle) {
	slices.SortFunc(all, func(a, b lease.Handle) int {
		return cmp.Or(a.FirstAccess.Compare(b.FirstAccess), cmp.Compare(a.Handle, b.Handle))
	})
	first := map[string]*lease.Handle{}
	for i := range all {
		h := &all[i]
		h.Tags = slices.Clone(h.Tags)
		if h.Mode == license.StationShare {
			if f := first[h.Station]; f != nil {
				h.Takes = 0
				f.Accesses++
			} else {
				first[h.Station] = h
			}
		}
	}
}
