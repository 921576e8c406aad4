package usage

import (
	"iter"
	"time"
)

// Point is one minute, hour or day of a series as it is shown.
type Point struct {
	Start, End time.Time
	// Until is where its sums end: at End, or now in the one that is not over.
	Until                   time.Time
	MostTaken, MostQuantity int64
	TakenMs, FullMs         int64
	Users, Stations         int64
	Counts
}

// Average is how many licenses were taken on average.
func (p Point) Average() float64 {
	ms := p.Until.Sub(p.Start).Milliseconds()
	if ms <= 0 {
		return float64(p.MostTaken)
	}
	return float64(p.TakenMs) / float64(ms)
}

// Full is how long nothing was free.
func (p Point) Full() time.Duration { return time.Duration(p.FullMs) * time.Millisecond }

// Over says whether nothing more than late events can change it.
func (p Point) Over() bool { return p.Until.Equal(p.End) }

func (b Bucket) point(r Resolution, now time.Time) Point {
	p := Point{Start: b.Start, End: b.Start.Add(time.Duration(r))}
	p.Until = p.End
	if now.Before(p.End) {
		p.Until = now
	}
	if p.Until.After(b.Until) {
		b.advance(p.Until)
	}
	p.MostTaken, p.MostQuantity, p.TakenMs, p.FullMs = b.MostTaken, b.MostQuantity, b.TakenMs, b.FullMs
	p.Users, p.Stations, p.Counts = b.Users, b.Stations, b.Counts
	return p
}

// still is a bucket in which nothing happened.
func still(start time.Time, l Level) Bucket {
	b := Bucket{Start: start, Until: start, Open: l, Users: l.Users, Stations: l.Stations}
	b.set(l)
	return b
}

// Fill gives the points of a series from the bucket that has from to that
// before to, and none that begins after now or ends before anything is known.
// rows are the series' buckets, in order, from the one that has from on, and up
// to at least one that begins at to or later, where there is one. Where there is
// no row everything was as at the end of the row before.
func Fill(r Resolution, from, to, now time.Time, s Series, rows iter.Seq2[Bucket, error]) iter.Seq2[Point, error] {
	now = now.UTC().Truncate(time.Millisecond)
	return func(yield func(Point, error) bool) {
		if s.Since.IsZero() {
			return
		}
		next, stop := iter.Pull2(rows)
		defer stop()
		row, err, more := next()
		level, known := Level{}, false
		start := r.Start(from)
		if since := r.Start(s.Since); start.Before(since) {
			start = since
		}
		for ; start.Before(to) && !start.After(now); start = start.Add(time.Duration(r)) {
			for more && err == nil && row.Start.Before(start) {
				level, known = row.Close, true
				row, err, more = next()
			}
			if err != nil {
				yield(Point{}, err)
				return
			}
			var b Bucket
			switch {
			case more && row.Start.Equal(start):
				b = row
			case known:
				b = still(start, level)
			case more:
				b = still(start, row.Open)
			default:
				b = still(start, s.Level)
			}
			if !yield(b.point(r, now), nil) {
				return
			}
		}
	}
}

// Overlay gives rows, and in place of the newest of them what a track has
// touched since they were read.
func Overlay(rows iter.Seq2[Bucket, error], touched []*Bucket) iter.Seq2[Bucket, error] {
	if len(touched) == 0 {
		return rows
	}
	return func(yield func(Bucket, error) bool) {
		for b, err := range rows {
			if err == nil && !b.Start.Before(touched[0].Start) {
				break
			}
			if !yield(b, err) {
				return
			}
		}
		for _, b := range touched {
			if !yield(*b, nil) {
				return
			}
		}
	}
}
