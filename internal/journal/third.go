package journal

import "time"

// mostSpared is how many changes the third journal may lack, however short the
// time is.
const mostSpared = MostBatch / 2

// patientWriting is how many times longer the third journal may lag while a new
// leader writes back: a batch is long then.
const patientWriting = 10

// spare says whether a journal need not be asked to write now: the two others
// are quicker, answer, and have what was decided or are about to. It then gets
// more with one call, at the latest after the lag, which is also how long a change
// waits where one of the others begins to hang. Which one is spared makes no
// difference to what may be answered: that takes two, whichever they are.
func (c *core) spare(i int, now moment) bool {
	s := &c.slots[i]
	if !c.spares(i, now) {
		s.spared = false
		return false
	}
	if !s.spared {
		s.spared, s.due = true, now.mono+c.lag()
	}
	if s.due = min(s.due, now.mono+c.lag()); now.mono < s.due {
		return true
	}
	s.goal = c.last() // up to there without a rest
	return false
}

func (c *core) lag() time.Duration {
	if c.phase == writing {
		return patientWriting * c.opt.lag
	}
	return c.opt.lag
}

func (c *core) spares(i int, now moment) bool {
	s := &c.slots[i]
	if c.opt.lag <= 0 || !s.voter || s.acked < s.goal || c.last()-s.acked >= mostSpared {
		return false
	}
	for j := range c.slots {
		o := &c.slots[j]
		switch {
		case j == i:
			continue
		case !o.voter, !o.follows, o.failed > 0, o.refused,
			o.busy && now.mono-o.asked >= c.lag(),
			s.took < o.took || s.took == o.took && i < j:
			return false
		}
	}
	return true
}

// timed notes how long a journal took to write.
func (c *core) timed(s *slot, k call, now moment) {
	if c.opt.lag <= 0 || k.kind != askWrite {
		return
	}
	took := max(now.mono-k.sent.mono, time.Microsecond)
	if s.took == 0 {
		s.took = took
	}
	s.took += (took - s.took) / 8
}
