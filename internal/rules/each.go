package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
)

// apart are the subjects whose values a cap can hold for one by one, as
// each:user. At most one such cap of each decides, beside the one for all.
const apart = 3

func apartFrom(s Subject) int { return slices.Index([]Subject{User, Application, Host}, s) }

// Limit is a cap that decides about an access, and the tag of those whom it counts
// with it.
type Limit struct {
	Rule *Rule
	Tag  string
}

// Limits are the caps that decide: the one for all together, then those that hold
// for each user, application or host apart.
func (o Outcome) Limits() []Limit {
	var all []Limit
	if o.Cap != nil {
		all = append(all, Limit{o.Cap, o.Cap.ID()})
	}
	return append(all, o.Each...)
}

// each finds the caps that hold for each one apart. Who states no name is one
// with all who don't.
func (s *Set) each(p license.Product, q *asked) (all []Limit) {
	for i, value := range [apart]string{strings.ToLower(q.user), q.application, strings.ToLower(q.host)} {
		if r := first(s.apart[i].of(p), q); r != nil {
			all = append(all, Limit{r, r.tagOf(value)})
		}
	}
	return all
}

// tagOf is the tag of those whom a cap counts with somebody, apart from others.
func (r *Rule) tagOf(value string) string { return bounded(r.ID() + " = " + value) }

// bounded makes a text one that a lease store takes as a tag, each another one.
func bounded(id string) string {
	if len(id) <= mostTag {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	end := " ~" + hex.EncodeToString(sum[:8])
	cut := mostTag - len(end)
	for !utf8.RuneStart(id[cut]) {
		cut--
	}
	return id[:cut] + end
}
