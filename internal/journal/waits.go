package journal

import "context"

// waits are who waits for a lead: each for one of three things, so that whoever
// lets some of them go looks at nobody else.
type waits struct {
	serving, fresh chan struct{}            // nil: nobody waits for it
	upTo           map[uint64]chan struct{} // by index of the log
	let            uint64                   // who waited for an index up to here is gone
}

// wait is for the log up to index, or with index zero for a confirmation, or
// for serving to begin.
type wait struct {
	index   uint64
	serving bool
}

// join gives the channel that is closed when w is met.
func (s *waits) join(w wait) <-chan struct{} {
	made := func(c chan struct{}) chan struct{} {
		if c == nil {
			c = make(chan struct{})
		}
		return c
	}
	switch {
	case w.serving:
		s.serving = made(s.serving)
		return s.serving
	case w.index == 0:
		s.fresh = made(s.fresh)
		return s.fresh
	}
	if s.upTo == nil {
		s.upTo = make(map[uint64]chan struct{})
	}
	c := made(s.upTo[w.index])
	if w.index <= s.let {
		close(c)
		return c
	}
	s.upTo[w.index] = c
	return c
}

// commit lets go who waits for an index up to one.
func (s *waits) commit(index uint64) {
	for ; s.let < index; s.let++ {
		if len(s.upTo) == 0 {
			s.let = index
			return
		}
		if c := s.upTo[s.let+1]; c != nil {
			close(c)
			delete(s.upTo, s.let+1)
		}
	}
}

func let(c *chan struct{}) {
	if *c != nil {
		close(*c)
		*c = nil
	}
}

// all lets everybody go.
func (s *waits) all() {
	let(&s.serving)
	let(&s.fresh)
	for _, c := range s.upTo {
		close(c)
	}
	clear(s.upTo)
}

// release lets go who waited for what is there now. mu is held.
func (q *Quorum) release(now moment) {
	if q.core.phase == over {
		q.waits.all()
		return
	}
	if q.core.phase == serving {
		let(&q.waits.serving)
	}
	if q.waits.fresh != nil && q.core.fresh(now) {
		let(&q.waits.fresh)
	}
	q.waits.commit(q.core.committed)
}

// await waits, and says why it was in vain.
func (q *Quorum) await(ctx context.Context, w wait) error {
	q.mu.Lock()
	done := q.waits.join(w)
	q.release(q.now())
	q.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-done:
		return q.over()
	default:
	}
	return noMajority(ctx.Err())
}
