package rules

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Past is a license that was granted.
type Past struct {
	ID       string
	Product  license.Product
	Mode     license.AccessMode
	Station  string
	Ask      license.Ask // user, host, application and address
	Licenses uint32      // 0 counts as 1
	Start    time.Time
	End      time.Time // zero: not ended
}

// Refusal is a grant that would not have been given.
type Refusal struct {
	Grant  int    // its place in what was checked
	Kind   Kind   // of the rule; Allow: nobody allows
	Rule   string // its ID
	Taken  uint32 // by those that the rule counts, for cap and reserve
	Reason string // a sentence
}

// Report tells what a set would have changed.
type Report struct {
	Checked int
	// Refused are in the order of their start.
	Refused []Refusal
	// Unsure is how many grants were not refused, for want of the address that the
	// request came from: a rule would have looked at it.
	Unsure int
	// Unknown are products with reservations whose quantity isn't known, so
	// reservations refused nothing there.
	Unknown []license.Product
}

// Check replays grants against a set and tells which of them it would have
// refused. quantity is what is in force of each product, for reservations. What
// would have been refused takes nothing afterwards. A grant that the quantity
// alone would refuse is not held against the rules: there was more then. Programs
// that would have waited, and lingering licenses, are not told apart. Where the
// address of a grant is not known, rules that look at it refuse nothing. Many
// patterns and many grants take long; the only error is that ctx has ended.
func Check(ctx context.Context, s *Set, past []Past, quantity map[license.Product]uint32) (Report, error) {
	c := check{set: s, past: past, quantity: quantity, products: map[license.Product]*ledger{}, outcomes: map[outcomeKey]told{}}
	report := Report{Checked: len(past)}
	if s.Empty() {
		return report, nil
	}
	steps := make([]step, 0, 2*len(past))
	for i, g := range past {
		steps = append(steps, step{g.Start, i, true})
		if !g.End.IsZero() && g.End.After(g.Start) {
			steps = append(steps, step{g.End, i, false})
		}
	}
	slices.SortFunc(steps, func(a, b step) int {
		if n := a.at.Compare(b.at); n != 0 {
			return n
		}
		if a.start != b.start { // what ends makes room for what starts
			if b.start {
				return -1
			}
			return 1
		}
		if n := strings.Compare(past[a.grant].ID, past[b.grant].ID); n != 0 {
			return n
		}
		return a.grant - b.grant
	})
	given := make([]bool, len(past))
	for _, st := range steps {
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
		if !st.start {
			if given[st.grant] {
				c.move(st.grant, false)
			}
			continue
		}
		if refusal := c.refuse(st.grant); refusal != nil {
			report.Refused = append(report.Refused, *refusal)
			continue
		}
		if c.outcome(past[st.grant]).unsure {
			report.Unsure++
		}
		if g := past[st.grant]; g.End.IsZero() || g.End.After(g.Start) {
			given[st.grant] = true
			c.move(st.grant, true)
		}
	}
	for p, l := range c.products {
		if l.unknown {
			report.Unknown = append(report.Unknown, p)
		}
	}
	slices.SortFunc(report.Unknown, license.Product.Compare)
	return report, nil
}

// step is a start or an end of a grant.
type step struct {
	at    time.Time
	grant int
	start bool
}

type check struct {
	set      *Set
	past     []Past
	quantity map[license.Product]uint32
	products map[license.Product]*ledger
	outcomes map[outcomeKey]told
}

// ledger is what is taken of a product.
type ledger struct {
	all     account
	tags    map[string]*account
	unknown bool
}

type outcomeKey struct {
	product                 license.Product
	user, host, application string
	address                 netip.Addr
}

// told is an outcome, and whether the address might have changed it.
type told struct {
	Outcome
	unsure bool
}

func (c *check) outcome(g Past) told {
	key := outcomeKey{g.Product, g.Ask.User, g.Ask.Host, g.Ask.Application, g.Ask.Address}
	out, ok := c.outcomes[key]
	if !ok {
		out.Outcome = c.set.evaluate(g.Product, g.Ask, true)
		out.unsure = !g.Ask.Address.IsValid() && !out.same(c.set.Evaluate(g.Product, g.Ask))
		c.outcomes[key] = out
	}
	return out
}

func (c *check) ledger(p license.Product) *ledger {
	l, ok := c.products[p]
	if !ok {
		l = &ledger{tags: map[string]*account{}}
		c.products[p] = l
	}
	return l
}

func (l *ledger) tag(t string) *account {
	a, ok := l.tags[t]
	if !ok {
		a = &account{}
		l.tags[t] = a
	}
	return a
}

func (c *check) refuse(i int) *Refusal {
	g := c.past[i]
	out := c.outcome(g)
	refusal := func(k Kind, rule string, taken uint64, format string, args ...any) *Refusal {
		who := fmt.Sprintf("%s of %s at %s: ", who(g.Ask), g.Product, g.Start.UTC().Format(time.RFC3339))
		return &Refusal{i, k, rule, uint32(min(taken, 1<<32-1)), who + fmt.Sprintf(format, args...)}
	}
	switch {
	case out.Access != nil && !out.Allowed:
		return refusal(Deny, out.RefusedBy(), 0, "%s (line %d)", out.Access, out.Access.Line)
	case !out.Allowed:
		return refusal(Allow, out.RefusedBy(), 0, "not on the allow list of %s", out.List)
	case g.Mode == license.NoUserLimit:
		return nil
	}
	l := c.ledger(g.Product)
	for _, limit := range out.Limits() {
		a, r := l.tag(limit.Tag), limit.Rule
		if more := a.more(g); more > 0 && a.total+more > uint64(r.Number) {
			return refusal(Cap, limit.Tag, a.total, "%s (line %d), and %d were taken", r, r.Line, a.total)
		}
	}
	var held uint64
	var by *Rule // the first, as a store tells it
	for _, r := range out.Others {
		if n, taken := uint64(r.Number), l.tag(r.ID()).total; n > taken {
			held += n - taken
			by = cmp.Or(by, r)
		}
	}
	if held == 0 {
		return nil
	}
	quantity, known := c.quantity[g.Product]
	if !known {
		l.unknown = true
		return nil
	}
	more := l.all.more(g)
	after := l.all.total + more
	if more == 0 || after > uint64(quantity) || after+held <= uint64(quantity) {
		return nil
	}
	return refusal(Reserve, by.ID(), l.tag(by.ID()).total, "%s (line %d): %d of %d were taken, and %d kept back", by, by.Line, l.all.total, quantity, held)
}

func who(a license.Ask) string {
	var parts []string
	for _, s := range []string{a.User, a.Host, a.Application} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if a.Address.IsValid() && a.Address.String() != a.Host {
		parts = append(parts, a.Address.String())
	}
	if len(parts) == 0 {
		return "somebody"
	}
	return strings.Join(parts, ", ")
}

// move books a grant in, or out again.
func (c *check) move(i int, in bool) {
	g := c.past[i]
	if g.Mode == license.NoUserLimit {
		return
	}
	l := c.ledger(g.Product)
	l.all.move(g, in)
	for _, t := range c.outcome(g).Tags() {
		l.tag(t).move(g, in)
	}
}

// account counts licenses: each handle its own, of a station's sharing handles
// the most that one of them takes.
type account struct {
	total    uint64
	stations map[string]*shares
}

func licenses(g Past) uint64 { return uint64(max(g.Licenses, 1)) }

// more is what the grant would add.
func (a *account) more(g Past) uint64 {
	n := licenses(g)
	if g.Mode != license.StationShare {
		return n
	}
	if s := a.stations[g.Station]; s != nil {
		return n - min(n, s.most())
	}
	return n
}

func (a *account) move(g Past, in bool) {
	n := licenses(g)
	switch {
	case g.Mode == license.StationShare:
		s := a.stations[g.Station]
		if s == nil {
			s = &shares{count: map[uint64]int{}}
			if a.stations == nil {
				a.stations = map[string]*shares{}
			}
			a.stations[g.Station] = s
		}
		before := s.most()
		s.move(n, in)
		a.total += s.most() - before
	case in:
		a.total += n
	default:
		a.total -= n
	}
}

// shares are the sizes of a station's sharing handles, with the largest on top.
type shares struct {
	count map[uint64]int
	sizes sizes
}

func (s *shares) most() uint64 {
	for len(s.sizes) > 0 && s.count[s.sizes[0]] == 0 {
		delete(s.count, heap.Pop(&s.sizes).(uint64))
	}
	if len(s.sizes) == 0 {
		return 0
	}
	return s.sizes[0]
}

func (s *shares) move(n uint64, in bool) {
	if !in {
		s.count[n]--
		return
	}
	if _, there := s.count[n]; !there {
		heap.Push(&s.sizes, n)
	}
	s.count[n]++
}

type sizes []uint64

func (s sizes) Len() int           { return len(s) }
func (s sizes) Less(i, j int) bool { return s[i] > s[j] }
func (s sizes) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *sizes) Push(v any)        { *s = append(*s, v.(uint64)) }
func (s *sizes) Pop() any {
	old := *s
	v := old[len(old)-1]
	*s = old[:len(old)-1]
	return v
}
