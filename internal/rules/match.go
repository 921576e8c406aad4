package rules

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/quorate/quorate/internal/license"
)

// truth is what is known of a condition.
type truth uint8

const (
	no truth = iota
	unknown
	yes
)

// asked is an ask, made ready to be compared.
type asked struct {
	user, host, application string
	address                 netip.Addr
	set                     *Set
	lenient                 bool    // what is not known counts for who asks, not against him
	groups                  []truth // plus one; 0: not looked at yet
}

func (s *Set) asked(a license.Ask) *asked {
	q := &asked{user: fold(a.User), host: fold(a.Host), application: a.Application, set: s}
	if a.Address.IsValid() {
		q.address = a.Address.Unmap().WithZone("")
	}
	if len(s.groups) > 0 {
		q.groups = make([]truth, len(s.groups))
	}
	return q
}

// matches says whether a rule is about who asks.
func (q *asked) matches(r *Rule) bool {
	known := yes
	for _, t := range r.tests {
		known = min(known, q.holds(t))
	}
	if takes := r.Kind == Deny || r.Kind == Cap; takes != q.lenient {
		return known != no
	}
	return known == yes
}

// test is a condition, made ready to be compared.
type test struct {
	subject Subject
	text    string
	prefix  netip.Prefix // of subnets, and of hosts by address
	group   int
}

func (s *Set) test(c Condition) test {
	t := test{subject: c.Subject, text: c.Value}
	switch c.Subject {
	case User:
		t.text = fold(c.Value)
	case Host:
		t.text = fold(c.Value)
		if a, err := netip.ParseAddr(c.Value); err == nil {
			t.subject, t.prefix = Subnet, netip.PrefixFrom(a, a.BitLen())
		}
	case Subnet:
		t.prefix, _ = license.ParseSubnet(c.Value)
	case Group:
		t.group = s.byName[c.Value]
	}
	return t
}

func (q *asked) holds(t test) truth {
	switch t.subject {
	case User:
		return truthOf(q.user == t.text)
	case Application:
		return truthOf(q.application == t.text)
	case Host:
		return truthOf(glob(t.text, q.host))
	case Subnet:
		return q.within(t.prefix)
	case Group:
		return q.in(t.group)
	}
	return no
}

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (q *asked) within(p netip.Prefix) truth {
	if !q.address.IsValid() {
		return unknown
	}
	return truthOf(p.Contains(q.address))
}

// group is a group, made ready to be looked in. Groups in groups have no cycles.
type group struct {
	GroupDef
	users, hosts, applications map[string]bool
	patterns                   []string
	prefixes                   []netip.Prefix
	groups                     []int
}

func (g *group) add(t test) {
	put := func(m *map[string]bool) {
		if *m == nil {
			*m = map[string]bool{}
		}
		(*m)[t.text] = true
	}
	switch t.subject {
	case User:
		put(&g.users)
	case Application:
		put(&g.applications)
	case Subnet:
		g.prefixes = append(g.prefixes, t.prefix)
	case Group:
		g.groups = append(g.groups, t.group)
	case Host:
		if strings.Contains(t.text, "*") {
			g.patterns = append(g.patterns, t.text)
		} else {
			put(&g.hosts)
		}
	}
}

// in says whether who asks is a member: of a group in a group, too.
func (q *asked) in(i int) truth {
	if q.groups[i] != 0 {
		return q.groups[i] - 1
	}
	g := q.set.groups[i]
	known := truthOf(g.users[q.user] || g.hosts[q.host] || g.applications[q.application] ||
		slices.ContainsFunc(g.patterns, func(p string) bool { return glob(p, q.host) }))
	for _, p := range g.prefixes {
		if known == yes {
			break
		}
		known = max(known, q.within(p))
	}
	for _, sub := range g.groups {
		if known == yes {
			break
		}
		known = max(known, q.in(sub))
	}
	q.groups[i] = known + 1
	return known
}

// fold makes texts the same that strings.EqualFold calls equal.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 'A' {
			return r
		}
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}

// glob says whether all of s is as the pattern says: * stands for any text, also
// none.
func glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p, i = p+1, i+1
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// rank is how specific a rule is by whom it names: users, groups, applications,
// hosts, subnets; the first that differ decide.
type rank [5]int

// exactHost is above every pattern, which counts by its letters.
const exactHost = 1 << 10

func rankOf(who []Condition) (r rank) {
	for _, c := range who {
		switch c.Subject {
		case User:
			r[0]++
		case Group:
			r[1]++
		case Application:
			r[2]++
		case Host:
			r[3] = exactHost
			if stars := strings.Count(c.Value, "*"); stars > 0 {
				r[3] = 1 + len(c.Value) - stars
			}
		case Subnet:
			p, _ := license.ParseSubnet(c.Value)
			r[4] = 1 + p.Bits()
			if p.Addr().Is4() {
				r[4] += 96 // as part of IPv6
			}
		}
	}
	return r
}

// compare orders rules of one scope: the one that decides first.
func compare(a, b *Rule) int {
	if n := slices.Compare(b.rank[:], a.rank[:]); n != 0 {
		return n
	}
	switch {
	case a.Kind != b.Kind: // access: deny first
		return -cmp.Compare(a.Kind, b.Kind)
	case a.Kind == Cap:
		if n := cmp.Compare(a.Number, b.Number); n != 0 {
			return n
		}
	case a.Kind == Priority:
		if n := cmp.Compare(b.Number, a.Number); n != 0 {
			return n
		}
	}
	return cmp.Compare(a.Line, b.Line)
}
