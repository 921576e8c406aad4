package usage_test

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/usage"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// told is one thing that a server tells: an event, or a quantity.
type told struct {
	at       time.Time
	kind     usage.Kind // empty: a quantity
	handle   usage.Handle
	quantity int64
}

// shelf is the owner of one series, as a database is: everything that outlives
// a restart.
type shelf struct {
	series  usage.Series
	buckets map[usage.Resolution]map[time.Time]usage.Bucket
	handles map[string]usage.Handle
	done    int // how many of the stream
}

func newShelf() *shelf {
	s := &shelf{buckets: map[usage.Resolution]map[time.Time]usage.Bucket{}, handles: map[string]usage.Handle{}}
	for _, r := range usage.Resolutions() {
		s.buckets[r] = map[time.Time]usage.Bucket{}
	}
	return s
}

func (s *shelf) track() *usage.Track {
	newest := map[usage.Resolution]usage.Bucket{}
	for _, r := range usage.Resolutions() {
		if b, ok := s.buckets[r][r.Start(s.series.At)]; ok {
			newest[r] = b
		}
	}
	return usage.NewTrack(s.series, newest)
}

func (s *shelf) pool() *usage.Pool {
	p := usage.NewPool()
	users, stations := map[string]usage.Presence{}, map[string]usage.Presence{}
	note := func(all map[string]usage.Presence, name string, h usage.Handle) {
		at := all[name]
		if h.Living {
			at.Living++
		} else if h.Ended.After(at.Last) {
			at.Last = h.Ended
		}
		all[name] = at
	}
	for _, h := range s.handles {
		p.Put(h)
		note(users, h.User, h)
		note(stations, h.Station, h)
	}
	for name, at := range users {
		p.PutUser(name, at)
	}
	for name, at := range stations {
		p.PutStation(name, at)
	}
	return p
}

// take reads the stream up to a position, in one go, and keeps what came of it.
func (s *shelf) take(stream []told, upTo int, now time.Time) {
	t, p := s.track(), s.pool()
	for i := s.done; i < upTo; i++ {
		e := stream[i]
		if e.kind == "" {
			t.SetQuantity(min2(e.at, now), e.quantity)
			continue
		}
		at := t.Time(e.at, now)
		var effect usage.Effect
		switch e.kind {
		case usage.Granted:
			h := e.handle
			h.First = at
			effect = p.Grant(h)
		case usage.Denied:
		default:
			effect = p.End(e.handle, at)
		}
		t.Event(usage.Event{At: at, Kind: e.kind, Effect: effect})
	}
	s.done = max(s.done, upTo)
	s.series = t.Series
	for _, r := range usage.Resolutions() {
		for _, b := range t.Touched(r) {
			s.buckets[r][b.Start] = *b
		}
	}
	for _, e := range stream {
		if h := p.Handle(e.handle.ID); h != nil {
			s.handles[h.ID] = *h
		}
	}
}

func min2(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (s *shelf) points(r usage.Resolution, from, to, now time.Time) (all []usage.Point) {
	t := s.track()
	t.Settle(now)
	rows := func(yield func(usage.Bucket, error) bool) {
		for _, at := range slices.SortedFunc(maps.Keys(s.buckets[r]), time.Time.Compare) {
			if !at.Before(r.Start(from)) && !yield(s.buckets[r][at], nil) {
				return
			}
		}
	}
	for p := range usage.Fill(r, from, to, now, t.Series, usage.Overlay(iter.Seq2[usage.Bucket, error](rows), t.Touched(r))) {
		all = append(all, p)
	}
	return all
}

// moment is what is so from a time on, by the plainest reckoning.
type moment struct {
	at              time.Time
	kind            usage.Kind
	taken, quantity int64
	users, stations map[string]bool
	user, station   string // of a handle that ends and was not known to live
}

// reckon goes through the stream once, without buckets, batches or databases.
func reckon(stream []told, now time.Time) (all []moment) {
	type living struct {
		usage.Handle
		order int
	}
	handles, users := map[string]living{}, map[string]usage.Handle{}
	last := time.Time{}
	var changes []told
	quantity := int64(0)
	state := func(at time.Time, kind usage.Kind) {
		m := moment{at: at, kind: kind, quantity: quantity, users: map[string]bool{}, stations: map[string]bool{}}
		shared := map[string]int{}
		for _, h := range handles {
			if h.User != "" {
				m.users[h.User] = true
			}
			if h.Station != "" {
				m.stations[h.Station] = true
			}
			switch h.Mode {
			case license.StationShare:
				shared[h.Station] = max(shared[h.Station], h.Asked)
			case license.NoUserLimit:
			default:
				m.taken += int64(h.Asked)
			}
		}
		for _, n := range shared {
			m.taken += int64(n)
		}
		all = append(all, m)
	}
	settle := func(to time.Time) {
		for len(changes) > 0 && !changes[0].at.After(to) {
			quantity = changes[0].quantity
			last = changes[0].at
			state(last, "")
			changes = changes[1:]
		}
	}
	told := int64(0)
	for i, e := range stream {
		at := min2(e.at, now).UTC().Truncate(time.Millisecond)
		if e.kind == "" {
			if e.quantity == told {
				continue
			}
			told = e.quantity
			if n := len(changes); n > 0 && at.Before(changes[n-1].at) {
				at = changes[n-1].at
			}
			if at.Before(last) {
				at = last
			}
			e.at = at
			changes = append(changes, e)
			continue
		}
		if at.Before(last) {
			at = last
		}
		settle(at)
		last = at
		h := e.handle
		switch e.kind {
		case usage.Granted:
			if was, ok := users[h.ID]; ok { // who has it is told once
				h.User, h.Station, h.Mode = was.User, was.Station, was.Mode
			}
			users[h.ID] = h
			h.Asked = max(h.Asked, 1)
			handles[h.ID] = living{h, i}
		case usage.Denied:
		default:
			if _, known := users[h.ID]; !known {
				users[h.ID] = h
				state(at, e.kind)
				all[len(all)-1].user, all[len(all)-1].station = h.User, h.Station
				continue
			}
			delete(handles, h.ID)
		}
		state(at, e.kind)
	}
	settle(now)
	return all
}

// direct computes one bucket from all moments.
func direct(all []moment, start, end, now time.Time) (p usage.Point, ok bool) {
	if len(all) == 0 || !end.After(all[0].at) {
		return p, false
	}
	p = usage.Point{Start: start, End: end, Until: min2(end, now)}
	users, stations := map[string]bool{}, map[string]bool{}
	before := moment{}
	at := start
	count := func(to time.Time) {
		ms := to.Sub(at).Milliseconds()
		p.TakenMs += before.taken * ms
		if before.quantity > 0 && before.taken >= before.quantity {
			p.FullMs += ms
		}
		at = to
	}
	see := func(m moment) {
		p.MostTaken, p.MostQuantity = max(p.MostTaken, m.taken), max(p.MostQuantity, m.quantity)
		maps.Copy(users, m.users)
		maps.Copy(stations, m.stations)
	}
	for i, m := range all {
		if !m.at.Before(end) {
			break
		}
		if m.at.Before(start) {
			before = m
			continue
		}
		if i == 0 || all[i-1].at.Before(start) {
			see(before)
		}
		count(m.at)
		see(m)
		if m.user != "" {
			users[m.user] = true
		}
		if m.station != "" {
			stations[m.station] = true
		}
		before = m
		switch m.kind {
		case usage.Granted:
			p.Granted++
		case usage.Released:
			p.Released++
		case usage.Expired:
			p.Expired++
		case usage.Removed:
			p.Removed++
		case usage.Denied:
			p.Denied++
		}
	}
	see(before)
	count(p.Until)
	p.Users, p.Stations = int64(len(users)), int64(len(stations))
	return p, true
}

func drawStream(t *rapid.T) (stream []told, now time.Time) {
	at := noon
	modes := []license.AccessMode{license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit}
	quantities := 0
	for range rapid.IntRange(1, 40).Draw(t, "events") {
		step := rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, 59 * time.Second, time.Minute, 17 * time.Minute,
			time.Hour, 5 * time.Hour, -time.Second, -time.Hour}).Draw(t, "step")
		at = at.Add(step)
		e := told{at: at, kind: rapid.SampledFrom([]usage.Kind{usage.Granted, usage.Granted, usage.Granted, usage.Released, usage.Expired,
			usage.Removed, usage.Denied, ""}).Draw(t, "kind")}
		if e.kind == "" {
			if quantities++; quantities > 10 { // more don't wait for late events
				continue
			}
			e.quantity = int64(rapid.IntRange(0, 6).Draw(t, "quantity"))
			e.at = at.Add(rapid.SampledFrom([]time.Duration{0, time.Second, 10 * time.Minute}).Draw(t, "ahead"))
		} else {
			n := rapid.IntRange(1, 6).Draw(t, "handle")
			e.handle = usage.Handle{ID: fmt.Sprint("h", n), User: rapid.SampledFrom([]string{"", "ada", "bob"}).Draw(t, "user"),
				Station: rapid.SampledFrom([]string{"", "s1", "s2"}).Draw(t, "station"), Mode: modes[n%len(modes)],
				Asked: rapid.IntRange(0, 3).Draw(t, "asked")}
		}
		stream = append(stream, e)
	}
	latest := noon
	for _, e := range stream {
		if e.at.After(latest) {
			latest = e.at
		}
	}
	return stream, latest.Add(rapid.SampledFrom([]time.Duration{-30 * time.Minute, 0, 90 * time.Second, 26 * time.Hour}).Draw(t, "now"))
}

// TestSeriesAreExact: however the stream comes in pieces, with restarts between
// them and repeats, each point of each resolution is what the stream says by the
// plainest reckoning, and the minutes add up to the hours, and those to the days.
func TestSeriesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream, now := drawStream(t)
		s := newShelf()
		for s.done < len(stream) {
			upTo := min(s.done+rapid.IntRange(1, 15).Draw(t, "piece"), len(stream))
			s.take(stream, upTo, now)
			s.take(stream, s.done, now) // it was pushed again
		}
		all := reckon(stream, now)
		if len(all) == 0 {
			return
		}
		from, to := usage.Day.Start(all[0].at), now.Add(time.Hour)
		sums := map[usage.Resolution]usage.Point{}
		for _, r := range usage.Resolutions() {
			got := s.points(r, from, to, now)
			i := 0
			for start := from; start.Before(to) && !start.After(now); start = start.Add(time.Duration(r)) {
				want, known := direct(all, start, start.Add(time.Duration(r)), now)
				if !known {
					continue
				}
				if i >= len(got) {
					t.Fatalf("%d points, and %v is missing", len(got), want)
				}
				if got[i] != want {
					t.Fatalf("%s:\ngot  %+v\nwant %+v", time.Duration(r), got[i], want)
				}
				sum := sums[r]
				sum.TakenMs += want.TakenMs
				sum.FullMs += want.FullMs
				sum.Granted += want.Granted
				sum.Denied += want.Denied
				sum.MostTaken = max(sum.MostTaken, want.MostTaken)
				sums[r] = sum
				i++
			}
			if i != len(got) {
				t.Fatalf("%s: %d points instead of %d", time.Duration(r), len(got), i)
			}
			// From the middle on they are the same, whatever rows are before.
			skip := rapid.IntRange(0, len(got)-1).Draw(t, "skip")
			if part := s.points(r, got[skip].Start.Add(time.Second), to, now); !slices.Equal(part, got[skip:]) {
				t.Fatalf("%s: from %s on\ngot  %+v\nwant %+v", time.Duration(r), got[skip].Start, part, got[skip:])
			}
		}
		if sums[usage.Minute] != sums[usage.Hour] || sums[usage.Hour] != sums[usage.Day] {
			t.Fatalf("minutes, hours and days: %+v", sums)
		}
	})
}

// TestSomebodyWhoLeftAtTheBeginning of a bucket was there, once.
func TestSomebodyWhoLeftAtTheBeginning(t *testing.T) {
	ada := usage.Handle{ID: "a", User: "ada", Station: "s1", Mode: license.UserLimit}
	stream := []told{{at: noon, kind: usage.Granted, handle: ada}, {at: noon.Add(time.Hour), kind: usage.Released, handle: ada},
		{at: noon.Add(time.Hour + time.Second), kind: usage.Granted, handle: ada}}
	for _, pieces := range [][]int{{3}, {1, 2, 3}} {
		s := newShelf()
		for _, upTo := range pieces {
			s.take(stream, upTo, noon.Add(2*time.Hour))
		}
		for _, p := range s.points(usage.Hour, noon, noon.Add(3*time.Hour), noon.Add(2*time.Hour)) {
			if p.Users != 1 || p.Stations != 1 || p.MostTaken != 1 {
				t.Errorf("%+v", p)
			}
		}
	}
}

// TestManyChangesOfTheQuantity: the oldest stop waiting for late events.
func TestManyChangesOfTheQuantity(t *testing.T) {
	track := usage.NewTrack(usage.Series{}, nil)
	for i := range 40 {
		track.SetQuantity(noon.Add(time.Duration(i)*time.Minute), int64(i+1))
	}
	if len(track.Pending) != 16 || track.Quantity != 24 || track.Latest() != 40 || !track.Since.Equal(noon) {
		t.Errorf("%+v", track.Series)
	}
	if at := track.Time(noon, noon.Add(time.Hour)); !at.Equal(noon.Add(23 * time.Minute)) {
		t.Errorf("an event counts at %s", at)
	}
}

// TestNoServerMakesSumsOverflow whatever it tells.
func TestNoServerMakesSumsOverflow(t *testing.T) {
	track, pool := usage.NewTrack(usage.Series{}, nil), usage.NewPool()
	for i := range 100 {
		effect := pool.Grant(usage.Handle{ID: fmt.Sprint(i), Mode: license.UserLimit, Asked: 1<<32 - 1})
		track.Event(usage.Event{At: noon, Kind: usage.Granted, Effect: effect})
	}
	track.Event(usage.Event{At: noon.Add(12*time.Hour - time.Millisecond), Kind: usage.Denied})
	for _, b := range track.Touched(usage.Day) {
		if b.TakenMs <= 0 || b.MostTaken <= 0 {
			t.Errorf("%+v", b)
		}
	}
}
