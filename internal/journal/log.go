package journal

import "slices"

// change is one entry of the leader's log: each journal makes all of it or
// nothing, and in order.
type change struct {
	records []Record
	events  []Event
	drop    []uint64
	trim    uint64
	base    uint64
}

func (c change) size() (entries, bytes int) {
	for _, r := range c.records {
		bytes += len(r.Holder)
	}
	for _, e := range c.events {
		bytes += len(e.Data)
	}
	return max(len(c.records), len(c.events), len(c.drop)), bytes
}

// last is the index of the log's last entry; the first has 1.
func (c *core) last() uint64 { return c.dropped + uint64(len(c.log)) }

// append decides a change and gives its index.
func (c *core) append(ch change) uint64 {
	for _, r := range ch.records {
		c.seats[r.Key] = r
	}
	c.events = append(c.events, ch.events...)
	for _, e := range ch.events {
		c.bytes += len(e.Data)
	}
	if n, b := c.opt.mostEvents, c.opt.mostBytes; len(c.events) > n+n/8 || b > 0 && c.bytes > b+b/8 {
		if c.shed() {
			ch.trim = c.trim
		}
	}
	c.log = append(c.log, ch)
	return c.last()
}

// shed lets the oldest events go until those that are left are within the bounds,
// the newest always is.
func (c *core) shed() bool {
	n := max(len(c.events)-c.opt.mostEvents, 0)
	for _, e := range c.events[:n] {
		c.bytes -= len(e.Data)
	}
	for ; c.opt.mostBytes > 0 && c.bytes > c.opt.mostBytes && n < len(c.events)-1; n++ {
		c.bytes -= len(c.events[n].Data)
	}
	if n == 0 {
		return false
	}
	c.trim = c.events[n-1].Position
	c.events = slices.Clone(c.events[n:])
	return true
}

// collect gives what a journal lacks of the log, as much as fits, and of a
// seat's records the last alone.
func (c *core) collect(s *slot) (b Batch, upto uint64) {
	var at map[Key]int
	size := 0
	for upto = s.acked; upto < c.last(); upto++ {
		ch := c.log[upto-c.dropped]
		entries, bytes := ch.size()
		full := max(len(b.Records), len(b.Events), len(b.Drop))+entries > MostBatch || size+bytes > MostBatchBytes
		// What it may have already must come along: a shorter batch is lower.
		if full && upto > s.acked && upto >= s.tried {
			break
		}
		if b.Records == nil && ascending(ch.records) {
			b.Records = ch.records // often all there is
		} else {
			if at == nil {
				b.Records, at = slices.Clone(b.Records), make(map[Key]int, len(b.Records)+len(ch.records))
				for i, r := range b.Records {
					at[r.Key] = i
				}
			}
			for _, r := range ch.records {
				if i, again := at[r.Key]; again {
					size -= len(b.Records[i].Holder)
					b.Records[i] = r
					continue
				}
				at[r.Key] = len(b.Records)
				b.Records = append(b.Records, r)
			}
		}
		b.Events = append(b.Events, ch.events...)
		b.Drop = append(b.Drop, ch.drop...)
		b.Trim, b.Base = max(b.Trim, ch.trim), max(b.Base, ch.base)
		size += bytes
	}
	return b, upto
}

// ascending says whether the records are in the order of keys, none twice.
func ascending(records []Record) bool {
	for i := 1; i < len(records); i++ {
		if records[i-1].Key.Compare(records[i].Key) >= 0 {
			return false
		}
	}
	return true
}

// rising says whether the events are in the order of positions, none twice.
func rising(events []Event) bool {
	for i := 1; i < len(events); i++ {
		if events[i-1].Position >= events[i].Position {
			return false
		}
	}
	return true
}

// count finds how much of the log two voters have.
func (c *core) count() {
	var best, second uint64
	for i := range c.slots {
		s := &c.slots[i]
		if !s.voter || !s.follows {
			continue
		}
		switch {
		case s.acked > best:
			best, second = s.acked, best
		case s.acked > second:
			second = s.acked
		}
	}
	c.committed = max(c.committed, second)
}

// compact drops the entries that nobody needs any more. A journal that is away
// for long is compared as a whole when it is back.
func (c *core) compact() {
	least := c.last()
	for i := range c.slots {
		s := &c.slots[i]
		if !s.claimed || (!s.follows && !s.ready) {
			continue
		}
		has := s.acked
		if !s.follows {
			has = s.from
		}
		if !s.busy && s.failed > 0 && has < c.committed && int(c.last()-has) > c.opt.mostBehind {
			s.forget()
			continue
		}
		least = min(least, has)
	}
	if n := least - c.dropped; least > c.dropped && (n >= 1024 || n == uint64(len(c.log))) {
		c.log = slices.Delete(c.log, 0, int(n))
		c.dropped = least
	}
}

// tells is what a journal is told of the others' versions.
func (c *core) tells(slot int) (marks []Mark) {
	for j := range c.slots {
		if o := &c.slots[j]; j != slot && o.voter {
			marks = append(marks, Mark{o.state.Incarnation, o.state.Version})
		}
	}
	return marks
}

// markDue says whether a journal is to be told of what the others have had,
// though nothing changes.
func (c *core) markDue(slot int, now moment) bool {
	s := &c.slots[slot]
	return c.opt.markTime > 0 && s.voter && now.mono-s.lastTold.mono >= c.opt.markTime && c.lacksMarks(slot)
}

func (c *core) lacksMarks(slot int) bool {
	s := &c.slots[slot]
	for j := range c.slots {
		if o := &c.slots[j]; j != slot && o.voter && o.mark > s.told[j] {
			return true
		}
	}
	return false
}

// split cuts a long change into batches that a journal takes.
func split(ch change) (parts []change) {
	var p change
	flush := func() {
		if entries, _ := p.size(); entries > 0 {
			parts = append(parts, p)
		}
		p = change{}
	}
	size := 0
	room := func(n int) {
		if entries := max(len(p.records), len(p.events), len(p.drop)); entries >= MostBatch || size+n > MostBatchBytes/2 {
			flush()
			size = 0
		}
		size += n
	}
	for _, r := range ch.records {
		room(len(r.Holder))
		p.records = append(p.records, r)
	}
	for _, e := range ch.events {
		room(len(e.Data))
		p.events = append(p.events, e)
	}
	for _, at := range ch.drop {
		room(0)
		p.drop = append(p.drop, at)
	}
	flush()
	return append(parts, change{trim: ch.trim, base: ch.base})
}

// mostPart is how many records or events one change of a leader's has.
const mostPart = MostBatch / 2
