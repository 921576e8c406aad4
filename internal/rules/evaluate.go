package rules

import (
	"slices"

	"github.com/quorate/quorate/internal/license"
)

// Outcome is what a set says of one access. The rules in it are the set's.
type Outcome struct {
	Product license.Product
	// Allowed is false where Access denies, or where nothing allows and List
	// lets in only those whom it names.
	Allowed bool
	Access  *Rule  // that allowed or denied; nil: none named who asks
	List    *Scope // whose allow rules do not name who asks
	Cap     *Rule  // that limits who asks, together with all others; nil: none
	// Each are the caps that limit who asks apart from others.
	Each []Limit
	// Queue is the priority rule; nil: none.
	Queue *Rule
	// Member are the reservations that the access belongs to, Others those kept
	// from it.
	Member, Others []*Rule
}

// Quota is a number of licenses for those whose handles carry a tag.
type Quota struct {
	Tag      string
	Licenses uint32
}

// mostTags is what a handle carries: those of its caps, and of its reservations.
const mostTags = 16

// Evaluate says which rules decide about an access to a product. A nil set allows
// everything.
func (s *Set) Evaluate(p license.Product, a license.Ask) Outcome { return s.evaluate(p, a, false) }

func (s *Set) evaluate(p license.Product, a license.Ask, lenient bool) Outcome {
	out := Outcome{Product: p, Allowed: true}
	if s.Empty() {
		return out
	}
	q := s.asked(a)
	q.lenient = lenient
	out.access(s.access.of(p), q)
	out.Cap = first(s.caps.of(p), q)
	out.Each = s.each(p, q)
	out.Queue = first(s.priorities.of(p), q)
	for _, layer := range s.reserves.of(p) {
		for _, r := range layer {
			if q.matches(r) {
				out.Member = append(out.Member, r)
			} else {
				out.Others = append(out.Others, r)
			}
		}
		if len(layer) > 0 {
			break
		}
	}
	return out
}

func (o *Outcome) access(scopes [3][]*Rule, q *asked) {
	for _, layer := range scopes {
		if r := deciding(layer, q); r != nil {
			o.Access, o.Allowed = r, r.Kind == Allow
			return
		}
		if i := slices.IndexFunc(layer, func(r *Rule) bool { return r.Kind == Allow }); i >= 0 {
			o.List, o.Allowed = &layer[i].Scope, false
			return
		}
	}
}

func deciding(layer []*Rule, q *asked) *Rule {
	for _, r := range layer {
		if q.matches(r) {
			return r
		}
	}
	return nil
}

func first(scopes [3][]*Rule, q *asked) *Rule {
	for _, layer := range scopes {
		if r := deciding(layer, q); r != nil {
			return r
		}
	}
	return nil
}

// deciding are the layers of which the first rule that matches decides.
func (s *Set) deciding() []*layers {
	all := []*layers{&s.access, &s.caps}
	for i := range s.apart {
		all = append(all, &s.apart[i])
	}
	return append(all, &s.priorities)
}

// Matching are the rules for access, cap and priority that are about an access,
// those that decide nothing too: of each kind in the order in which they decide.
func (s *Set) Matching(p license.Product, a license.Ask) []*Rule {
	if s.Empty() {
		return nil
	}
	q := s.asked(a)
	var all []*Rule
	for _, l := range s.deciding() {
		for _, layer := range l.of(p) {
			for _, r := range layer {
				if q.matches(r) {
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// InForce are the rules that are about a product, of each kind in the order in
// which they decide.
func (s *Set) InForce(p license.Product) []*Rule {
	if s.Empty() {
		return nil
	}
	var all []*Rule
	for _, l := range s.deciding() {
		for _, layer := range l.of(p) {
			all = append(all, layer...)
		}
	}
	for _, layer := range s.reserves.of(p) {
		if len(layer) > 0 {
			return append(all, layer...)
		}
	}
	return all
}

// same says whether two outcomes decide alike.
func (o Outcome) same(p Outcome) bool {
	return o.Allowed == p.Allowed && o.Cap == p.Cap && slices.Equal(o.Each, p.Each) && slices.Equal(o.Member, p.Member)
}

// Err is the refusal; nil where the access is allowed.
func (o Outcome) Err() error {
	if o.Allowed {
		return nil
	}
	return NotAllowed(o.Product, o.RefusedBy())
}

// RefusedBy names the rule that refuses, or the list that does not name who asks;
// empty where none does.
func (o Outcome) RefusedBy() string {
	switch {
	case o.Allowed:
		return ""
	case o.Access != nil:
		return o.Access.ID()
	}
	return "allow list of " + o.List.String()
}

// Tags are what a handle that is granted carries: those of the caps and of the
// reservations that count it, the most specific first.
func (o Outcome) Tags() []string {
	var tags []string
	for _, l := range o.Limits() {
		tags = append(tags, l.Tag)
	}
	for _, r := range o.Member {
		if len(tags) == mostTags {
			break
		}
		tags = append(tags, r.ID())
	}
	return tags
}

// Caps are what the handles of a tag may take together.
func (o Outcome) Caps() []Quota {
	var all []Quota
	for _, l := range o.Limits() {
		all = append(all, Quota{l.Tag, uint32(l.Rule.Number)})
	}
	return all
}

// Holds are what is kept back from this access for handles of other tags.
func (o Outcome) Holds() []Quota {
	var all []Quota
	for _, r := range o.Others {
		if r.Number > 0 {
			all = append(all, Quota{r.ID(), uint32(r.Number)})
		}
	}
	return all
}

// Priority is the place in the queue: who has a higher one comes first.
func (o Outcome) Priority() int32 {
	if o.Queue == nil {
		return 0
	}
	return int32(o.Queue.Number)
}
