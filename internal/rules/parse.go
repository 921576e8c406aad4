package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
)

const everybody = "everybody"

// word is a piece of a line, and where it begins.
type word struct {
	text   string
	column int // in characters, from 1
}

// parser holds what was read so far.
type parser struct {
	set     *Set
	line    int
	members int
	names   map[string]int // line of each rule's name or id
	refs    []reference
}

// reference is a group that is named before it may be known.
type reference struct {
	name         string
	line, column int
}

// Parse reads a set. Error: CodeInvalidInput with the line and the column, as
// Details "line" and "column", too.
func Parse(text string) (*Set, error) {
	p := &parser{set: &Set{text: text, byName: map[string]int{}}, names: map[string]int{}}
	if len(text) > MostText {
		return nil, license.Errorf(license.CodeInvalidInput, "use groups, subnets and patterns in place of single names",
			"the rules have %d bytes, and %d are the most", len(text), MostText)
	}
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		p.line++
		if err := p.read(strings.TrimRight(line, "\r\n")); err != nil {
			return nil, err
		}
	}
	return p.finish()
}

func (p *parser) fail(column int, fix, format string, args ...any) error {
	return failAt(p.line, column, fix, format, args...)
}

func failAt(line, column int, fix, format string, args ...any) error {
	return &license.Error{
		Code:    license.CodeInvalidInput,
		Message: fmt.Sprintf("line %d, column %d: ", line, column) + fmt.Sprintf(format, args...),
		Fix:     fix,
		Details: map[string]any{"line": line, "column": column},
	}
}

func (p *parser) read(line string) error {
	words, err := p.split(line)
	if err != nil || len(words) == 0 {
		return err
	}
	verb, rest := words[0], words[1:]
	switch k := Kind(verb.text); k {
	case Allow, Deny, Reserve, Cap, Priority:
		return p.rule(k, verb.column, rest)
	case "group":
		return p.group(verb.column, rest)
	}
	fix := "begin the line with allow, deny, reserve, cap, priority or group, or with # for a comment"
	if ours := foreign(verb.text); ours != "" {
		fix = fmt.Sprintf("write %s in place of %s (docs/rules.md has the words of options files beside ours)", ours, license.Clip(verb.text, 80))
	}
	return p.fail(verb.column, fix, "%q is not a kind of rule", license.Clip(verb.text, 80))
}

// foreign is our word for one of FlexNet's options files.
func foreign(w string) string {
	switch strings.ToUpper(w) {
	case "INCLUDE", "INCLUDEALL", "ALLOW":
		return "allow"
	case "EXCLUDE", "EXCLUDEALL", "DENY":
		return "deny"
	case "RESERVE":
		return "reserve"
	case "MAX", "CAP":
		return "cap"
	case "GROUP", "HOST_GROUP":
		return "group"
	case "PRIORITY":
		return "priority"
	}
	return ""
}

// split cuts a line into words: blanks separate, a value may be in quotation
// marks, and # begins a comment where a word could begin.
func (p *parser) split(line string) (words []word, err error) {
	column := 0
	var text strings.Builder
	began, open, inside, closed := 0, 0, false, false
	end := func() {
		if inside {
			words = append(words, word{text.String(), began})
		}
		text.Reset()
		inside, closed = false, false
	}
	for i, r := range line {
		column++
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(line[i:]); n == 1 {
				return nil, p.fail(column, "save the file as UTF-8", "this is no UTF-8 text")
			}
		}
		blank := r == ' ' || r == '\t'
		switch {
		case (r < ' ' && r != '\t') || r == 0x7f:
			return nil, p.fail(column, "leave it out", "control characters don't belong here")
		case r == '"' && open > 0:
			open, closed = 0, true
		case open > 0:
			text.WriteRune(r)
		case blank:
			end()
		case closed:
			return nil, p.fail(column, "put a blank behind the quotation mark", "a value goes on behind its quotation mark")
		case r == '#' && !inside:
			return words, nil
		case r == '"' && !strings.HasSuffix(text.String(), ":"):
			return nil, p.fail(column, `quote the value alone: user:"Anna Diaz"`, "a quotation mark stands in the middle of a word")
		default:
			if !inside {
				inside, began = true, column
			}
			if r == '"' {
				open = column
				continue
			}
			text.WriteRune(r)
		}
	}
	if open > 0 {
		return nil, p.fail(open, "close it", "the quotation mark is not closed")
	}
	end()
	return words, nil
}

func (p *parser) group(column int, words []word) error {
	if len(words) == 0 {
		return p.fail(column, "write group NAME user:ANNA user:BEN", "the group has no name")
	}
	name := words[0]
	if !validName(name.text) {
		return p.fail(name.column, badName, "%q is no name for a group", license.Clip(name.text, 80))
	}
	i, ok := p.set.byName[name.text]
	if !ok {
		if len(p.set.groups) == MostGroups {
			return p.fail(column, "put groups together", "more than %d groups", MostGroups)
		}
		i = len(p.set.groups)
		p.set.byName[name.text] = i
		p.set.groups = append(p.set.groups, &group{GroupDef: GroupDef{Name: name.text, Line: p.line}})
	}
	if len(words) == 1 {
		return p.fail(name.column, "name its members on the same line: user:ANNA host:PC-1 subnet:10.1.0.0/16 application:NAME group:OTHER",
			"the group %s has no members", name.text)
	}
	g := p.set.groups[i]
	for _, w := range words[1:] {
		c, err := p.condition(w)
		if err != nil {
			return err
		}
		if p.members++; p.members > MostMembers {
			return p.fail(w.column, "use subnets and patterns in place of single names", "more than %d members in all groups", MostMembers)
		}
		g.Members = append(g.Members, c)
	}
	return nil
}

const badName = "use 1 to 48 letters, digits, dots, hyphens or underscores"

func validName(s string) bool {
	return s != "" && len(s) <= MostName && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '.' && r != '-' && r != '_'
	})
}

// condition reads SUBJECT:VALUE.
func (p *parser) condition(w word) (Condition, error) {
	subject, value, _ := strings.Cut(w.text, ":")
	c := Condition{Subject(subject), value}
	switch c.Subject {
	case User, Host, Subnet, Application:
	case Group:
		if !validName(value) {
			return c, p.fail(w.column, badName, "%q is no name of a group", license.Clip(value, 80))
		}
		p.refs = append(p.refs, reference{value, p.line, w.column})
		return c, nil
	default:
		return c, p.fail(w.column, "write user:NAME, group:NAME, application:NAME, host:NAME, subnet:10.1.0.0/16, firm:NUMBER, product:FIRM:PRODUCT or name:NAME",
			"%q is not known here", license.Clip(w.text, 80))
	}
	kind := license.AccessKind(c.Subject)
	if (license.AccessRule{Kind: kind, Value: value}).Validate() != nil {
		fix := "give 1 to 255 bytes without blanks at the ends"
		if c.Subject == Subnet {
			fix = "write the first address of the net: 10.1.0.0/16, or one address"
		}
		return c, p.fail(w.column, fix, "%q is no %s", license.Clip(value, 80), c.Subject)
	}
	if c.Subject == Host {
		return c, p.host(w, value)
	}
	if strings.Contains(value, "*") && c.Subject == User {
		return c, p.fail(w.column, "name the users, or make a group of them; * stands in names of hosts alone", "%q is a pattern", license.Clip(value, 80))
	}
	return c, nil
}

func (p *parser) host(w word, value string) error {
	if strings.Trim(value, "*") == "" {
		return p.fail(w.column, "write everybody, or leave the host out", "the host %q is every host", license.Clip(value, 80))
	}
	if a, err := netip.ParseAddr(value); err == nil && (a.Zone() != "" || a.Is4In6()) {
		return p.fail(w.column, "write the address without a zone, and IPv4 as 10.1.2.3", "%q is no address of a host", license.Clip(value, 80))
	}
	if strings.Contains(value, "/") {
		return p.fail(w.column, "write subnet:"+license.Clip(value, 80), "%q is no host", license.Clip(value, 80))
	}
	return nil
}

func (p *parser) rule(k Kind, column int, words []word) error {
	if len(p.set.rules) == MostRules {
		return p.fail(column, "use groups, subnets and patterns", "more than %d rules", MostRules)
	}
	r := &Rule{Kind: k, Line: p.line}
	if k.counts() {
		if len(words) == 0 {
			return p.fail(column, "write "+string(k)+" NUMBER and for whom", "the number is missing")
		}
		n, err := p.number(k, words[0])
		if err != nil {
			return err
		}
		r.Number, words = n, words[1:]
	}
	all := false
	for _, w := range words {
		if err := p.part(r, w, &all); err != nil {
			return err
		}
	}
	if !all && len(r.Who) == 0 {
		return p.fail(column, "name a user, group, application, host or subnet, or write everybody", "the rule says not for whom")
	}
	slices.SortStableFunc(r.Who, func(a, b Condition) int { return slices.Compare(order(a), order(b)) })
	r.rank = rankOf(r.Who)
	if err := p.unique(r, column); err != nil {
		return err
	}
	p.set.rules = append(p.set.rules, r)
	return nil
}

// order sorts the conditions of a rule, so that their order in the file does not
// matter.
func order(c Condition) []string {
	at := slices.Index([]Subject{User, Group, Application, Host, Subnet}, c.Subject)
	return []string{strconv.Itoa(at), c.Value}
}

func (p *parser) number(k Kind, w word) (int64, error) {
	n, err := strconv.ParseInt(w.text, 10, 64)
	least, most := int64(0), int64(MostLicenses)
	if k == Priority {
		least, most = -MostPriority, MostPriority
	}
	if err != nil || n < least || n > most || strconv.FormatInt(n, 10) != w.text {
		return 0, p.fail(w.column, fmt.Sprintf("give a whole number from %d to %d", least, most), "%q is not a number for %s", license.Clip(w.text, 80), k)
	}
	return n, nil
}

// part reads what follows a rule's kind: conditions, scope, name.
func (p *parser) part(r *Rule, w word, all *bool) error {
	subject, value, _ := strings.Cut(w.text, ":")
	switch subject {
	case everybody:
		if w.text != everybody || *all || len(r.Who) > 0 {
			return p.fail(w.column, "leave the one or the other out", "everybody stands alone")
		}
		*all = true
		return nil
	case "firm", "product":
		if r.Scope.Level != Global {
			return p.fail(w.column, "write a rule for each", "a rule has one scope")
		}
		if subject == "product" {
			product, err := license.ParseProduct(value)
			if err != nil {
				return p.fail(w.column, "write it as product:6000010:14", "%q is not a product", license.Clip(value, 80))
			}
			r.Scope = Scope{OfProduct, product}
			return nil
		}
		product, err := license.ParseProduct(value + ":0")
		if err != nil || strings.Contains(value, ":") {
			return p.fail(w.column, "write it as firm:6000010", "%q is not a firm code", license.Clip(value, 80))
		}
		r.Scope = Scope{OfFirm, license.Product{Firm: product.Firm}}
		return nil
	case "each":
		switch {
		case r.Kind != Cap:
			return p.fail(w.column, "leave it out; each:user stands in caps alone", "%s holds for all together", r.Kind)
		case r.Each != "" || apartFrom(Subject(value)) < 0:
			return p.fail(w.column, "write each:user, each:application or each:host, once", "%q is not whom a cap can hold for apart", license.Clip(w.text, 80))
		}
		r.Each = Subject(value)
		return nil
	case "name":
		if r.Name != "" || !validName(value) {
			return p.fail(w.column, badName+", once", "%q is no name for a rule", license.Clip(value, 80))
		}
		r.Name = value
		return nil
	}
	c, err := p.condition(w)
	if err != nil {
		return err
	}
	switch {
	case *all:
		return p.fail(w.column, "leave the one or the other out", "everybody stands alone")
	case len(r.Who) == MostConditions:
		return p.fail(w.column, "make a group", "more than %d conditions", MostConditions)
	case slices.Contains(r.Who, c):
		return p.fail(w.column, "leave one out", "%s is there twice", c)
	case c.Subject != Group && slices.ContainsFunc(r.Who, func(o Condition) bool { return o.Subject == c.Subject }):
		return p.fail(w.column, fmt.Sprintf("write a rule for each, or make a group: group NAME %s:… %s:…", c.Subject, c.Subject),
			"all conditions of a rule must hold, and nobody has two of the kind %s", c.Subject)
	}
	r.Who = append(r.Who, c)
	return nil
}

// unique refuses a rule whose name is taken, and one that says again, or
// otherwise, what another one of its kind says for the same.
func (p *parser) unique(r *Rule, column int) error {
	same := *r
	same.Who = slices.Clone(r.Who)
	for i, c := range r.Who {
		if c.Subject == User || c.Subject == Host {
			same.Who[i].Value = fold(c.Value)
		}
	}
	key := string(r.Kind) + " " + same.target()
	if line, ok := p.names[key]; ok {
		return p.fail(column, "leave one of them out", "line %d has a rule of this kind for the same", line)
	}
	p.names[key] = r.Line
	if r.Name == "" {
		return nil
	}
	if line, ok := p.names[r.Name]; ok {
		return p.fail(column, "choose another name", "the rule of line %d has the name %s too", line, r.Name)
	}
	p.names[r.Name] = r.Line
	return nil
}

func (p *parser) finish() (*Set, error) {
	s := p.set
	for _, ref := range p.refs {
		if _, ok := s.byName[ref.name]; !ok {
			return nil, failAt(ref.line, ref.column, "define it: group "+ref.name+" user:… (letter case matters)", "there is no group %s", ref.name)
		}
	}
	for _, g := range s.groups {
		for _, c := range g.Members {
			g.add(s.test(c))
		}
	}
	if err := s.nesting(); err != nil {
		return nil, err
	}
	reserves := map[Scope]int{}
	for _, r := range s.rules {
		for _, c := range r.Who {
			r.tests = append(r.tests, s.test(c))
		}
		switch r.Kind {
		case Allow, Deny:
			s.access.add(r)
		case Cap:
			if i := apartFrom(r.Each); i >= 0 {
				s.apart[i].add(r)
			} else {
				s.caps.add(r)
			}
		case Priority:
			s.priorities.add(r)
		case Reserve:
			if reserves[r.Scope]++; reserves[r.Scope] > MostReservations {
				return nil, failAt(r.Line, 1, "put some together in a group", "more than %d reservations for %s", MostReservations, r.Scope)
			}
			s.reserves.add(r)
		}
	}
	for _, l := range append(s.deciding(), &s.reserves) {
		slices.SortFunc(l.global, compare)
		for _, rules := range l.firm {
			slices.SortFunc(rules, compare)
		}
		for _, rules := range l.product {
			slices.SortFunc(rules, compare)
		}
	}
	return s, nil
}

// nesting refuses groups that contain themselves, and groups too deep in groups.
func (s *Set) nesting() error {
	depth := make([]int, len(s.groups)) // 0: not looked at; -1: on the way
	var visit func(i int) error
	visit = func(i int) error {
		g := s.groups[i]
		depth[i] = -1
		deepest := 0
		for _, sub := range g.groups {
			switch depth[sub] {
			case -1:
				return failAt(g.Line, 1, "take one out of the other", "the group %s contains itself, through %s", s.groups[sub].Name, g.Name)
			case 0:
				if err := visit(sub); err != nil {
					return err
				}
			}
			deepest = max(deepest, depth[sub])
		}
		if depth[i] = deepest + 1; depth[i] > MostNesting {
			return failAt(g.Line, 1, "name the members themselves", "the group %s has groups in groups more than %d deep", g.Name, MostNesting)
		}
		return nil
	}
	for i := range s.groups {
		if depth[i] == 0 {
			if err := visit(i); err != nil {
				return err
			}
		}
	}
	return nil
}
