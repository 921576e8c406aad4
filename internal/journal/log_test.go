package journal

import (
	"slices"
	"testing"
)

// A batch has each seat and each position once, in whatever order.
func TestBatchHasNothingTwice(t *testing.T) {
	record := func(seats ...uint32) (all []Record) {
		for _, s := range seats {
			all = append(all, Record{Key: Key{anyProduct, s}, N: 2})
		}
		return all
	}
	event := func(positions ...uint64) (all []Event) {
		for _, p := range positions {
			all = append(all, Event{Position: p})
		}
		return all
	}
	for _, b := range []Batch{
		{Records: record(1, 1)}, {Records: record(1, 2, 2)}, {Records: record(2, 1, 2)},
		{Events: event(1, 1)}, {Events: event(1, 2, 2)}, {Events: event(2, 1, 2)},
	} {
		if b.Check() == nil {
			t.Errorf("%+v is taken", b)
		}
	}
	for _, b := range []Batch{
		{Records: record(1, 2, 3), Events: event(1, 2, 3)}, {Records: record(3, 1, 2), Events: event(3, 1, 2)},
	} {
		if err := b.Check(); err != nil {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

// Of a seat that changes several times, also within one change, a journal gets
// the last record alone, and what is decided stays as it was.
func TestCollectedRecords(t *testing.T) {
	r := func(seat uint32, n uint64) Record { return Record{Key: Key{anyProduct, seat}, N: n} }
	for name, changes := range map[string][][]Record{
		"one":                  {{r(1, 2), r(2, 2)}},
		"one after none":       {nil, {r(1, 2), r(2, 2)}},
		"again in one":         {{r(1, 1), r(2, 2), r(1, 2)}},
		"again in the next":    {{r(1, 1)}, {r(1, 2), r(2, 2)}},
		"again and again":      {{r(1, 1), r(2, 1)}, nil, {r(2, 2)}, {r(1, 2)}},
		"again in a later one": {nil, {r(2, 1), r(1, 1)}, {r(1, 2)}, {r(2, 2)}},
	} {
		c := newCore(settings{mostEvents: 10}, Term{1, "a"}, Known{}, moment{})
		for _, records := range changes {
			c.append(change{records: slices.Clone(records)})
		}
		b, upto := c.collect(&slot{})
		slices.SortFunc(b.Records, func(a, b Record) int { return a.Key.Compare(b.Key) })
		if upto != uint64(len(changes)) || len(b.Records) != 2 || b.Records[0].N != 2 || b.Records[1].N != 2 || b.Check() != nil {
			t.Errorf("%s: up to %d: %+v, %v", name, upto, b.Records, b.Check())
		}
		for i, ch := range c.log {
			if len(changes) > 1 && !slices.EqualFunc(ch.records, changes[i], func(a, b Record) bool { return a.Key == b.Key && a.N == b.N }) {
				t.Errorf("%s: change %d became %+v", name, i, ch.records)
			}
		}
	}
}

func TestEventsAreBoundedByBytes(t *testing.T) {
	c := newCore(settings{mostEvents: 100, mostBytes: 1000}, Term{1, "a"}, Known{}, moment{})
	for at := uint64(1); at <= 200; at++ {
		c.append(change{events: []Event{{Position: at, Data: make([]byte, 100)}}})
		if c.bytes > 1125 || c.bytes != 100*len(c.events) || c.events[len(c.events)-1].Position != at {
			t.Fatalf("%d events of %d bytes after %d", len(c.events), c.bytes, at)
		}
	}
	if c.trim == 0 || c.trim+1 != c.events[0].Position {
		t.Errorf("trimmed to %d, the first is %d", c.trim, c.events[0].Position)
	}
	// The newest stays, however long it is.
	c.append(change{events: []Event{{Position: 201, Data: make([]byte, 5000)}}})
	if len(c.events) != 1 || c.events[0].Position != 201 {
		t.Errorf("%d events", len(c.events))
	}
	// And many short ones are bounded by their number.
	for at := uint64(202); at <= 500; at++ {
		c.append(change{events: []Event{{Position: at}}})
	}
	if len(c.events) > 112 {
		t.Errorf("%d events", len(c.events))
	}
}
