package journal

import "time"

// Grace says whether this is a grace period: the journals may not know every
// seat that is held.
func (q *Quorum) Grace() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.core.grace
}

// Prolong has a grace period take at least so long, from when serving began.
func (q *Quorum) Prolong(grace time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.core.grace && grace > q.core.opt.graceTime {
		q.core.opt.graceTime = grace
		q.pump()
	}
}
