package ratelimit

import "time"

// A bucket is kept as one moment, the one at which it is full again (GCRA): how
// far that is ahead tells what was taken.

// price is how much further ahead a cost puts the moment, in microseconds.
func (r Rate) price(cost int) int64 {
	burst, per := r.micros()
	cost64 := min(max(int64(cost), 0), burst)
	return (cost64*per + burst - 1) / burst
}

// micros gives burst and period within their bounds.
func (r Rate) micros() (burst, per int64) {
	return min(int64(r.Burst), MostBurst), max(min(r.Per, MostPer).Microseconds(), 1)
}

// ahead is how far the moment full is ahead of now. A clock that was set back
// makes nobody wait longer than an empty bucket does.
func (r Rate) ahead(full, now int64) int64 {
	_, per := r.micros()
	return min(max(full-now, 0), per)
}

// quota tells of a bucket whose moment is so far ahead, after a charge of price,
// or before one that was refused.
func (r Rate) quota(ahead, price int64, ok bool) Quota {
	burst, per := r.micros()
	q := Quota{OK: ok, Limit: int(burst), Per: r.Per, Remaining: int((per - ahead) * burst / per), Reset: time.Duration(ahead) * time.Microsecond}
	if !ok {
		q.RetryAfter = time.Duration(max(ahead+price-per, 0)) * time.Microsecond
	}
	return q
}

// limiting are the buckets of a charge that have a limit.
func (c Charge) limiting() []Bucket {
	var all []Bucket
	for _, b := range c.Buckets {
		if b.Rate.Limits() {
			all = append(all, b)
		}
	}
	return all
}

// outcome tells of the bucket that matters most, by how far ahead each is.
func (c Charge) outcome(buckets []Bucket, ahead []int64, ok bool) Quota {
	out := Quota{OK: true}
	for i, b := range buckets {
		q := b.Rate.quota(ahead[i], b.Rate.price(c.Cost), ok)
		if i == 0 || q.RetryAfter > out.RetryAfter || q.RetryAfter == out.RetryAfter && q.Remaining < out.Remaining {
			out = q
		}
	}
	return out
}
