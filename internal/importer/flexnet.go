package importer

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rules"
)

// FlexNet is what becomes of a FlexNet options file.
type FlexNet struct {
	// Rules are the rules, in the words of docs/rules.md; what was left out stands
	// in them as comments.
	Rules    string    `json:"rules"`
	Problems []Problem `json:"problems"`
	// Unknown are the features that no product was given for, in order.
	Unknown []string `json:"unknownFeatures"`
}

// ParseFlexNet reads an options file. products says which product each feature
// is here; letter case doesn't matter in it, as in FlexNet. Error: the file is
// too large, or makes more rules than there can be.
func ParseFlexNet(file []byte, products map[string]license.Product) (FlexNet, error) {
	s, odd, err := text(file)
	if err != nil {
		return FlexNet{}, err
	}
	f := &flexnet{products: map[string]license.Product{}, groups: map[string]*group{}, hostGroups: map[string]*group{}, said: map[string]*flexRule{}, reserved: map[string]int{}}
	for name, p := range products {
		f.products[strings.ToLower(name)] = p
	}
	if odd {
		f.problems.add(0, "the file", false, "look at names with letters beyond ASCII", "it is not UTF-8, and was read as Windows-1252")
	}
	lines, err := optionLines(s)
	if err != nil {
		return FlexNet{}, err
	}
	for _, l := range lines { // groups may be defined behind their use
		f.group(l)
	}
	for _, l := range lines {
		f.rule(l)
	}
	f.differences()
	if err := f.problems.checked(); err != nil {
		return FlexNet{}, err
	}
	slices.SortStableFunc(f.problems.all, func(a, b Problem) int { return a.Line - b.Line })
	out := FlexNet{Rules: f.write(), Problems: append([]Problem{}, f.problems.all...), Unknown: append([]string{}, f.unknown...)}
	slices.Sort(out.Unknown)
	if _, err := rules.Parse(out.Rules); err != nil {
		return FlexNet{}, err
	}
	return out, nil
}

// optionLine is one option, of one or more lines.
type optionLine struct {
	number int
	text   string
	words  []string
	fault  string // why it can't be read
}

// optionLines cuts a file: # at the beginning of a line is a comment, and \ at
// the end of one goes on with the next.
func optionLines(s string) ([]optionLine, error) {
	var all []optionLine
	number, began := 0, 0
	var open strings.Builder
	for line := range strings.Lines(s) {
		if number++; number > MostLines {
			return nil, license.Errorf(license.CodeTooLarge, "take it in parts", "the file has more than %d lines", MostLines)
		}
		line = strings.TrimRight(line, "\r\n")
		if open.Len() == 0 {
			if began = number; strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
		}
		if rest, more := strings.CutSuffix(strings.TrimRight(line, " \t"), `\`); more {
			open.WriteString(rest + " ")
			continue
		}
		open.WriteString(line)
		all = append(all, optionOf(began, open.String()))
		open.Reset()
	}
	if open.Len() > 0 {
		all = append(all, optionOf(began, open.String()))
	}
	return slices.DeleteFunc(all, func(l optionLine) bool { return len(l.words) == 0 && l.fault == "" }), nil
}

func optionOf(number int, s string) optionLine {
	l := optionLine{number: number, text: strings.TrimSpace(s)}
	var word strings.Builder
	quoted, inside := false, false
	for _, r := range s {
		switch {
		case r == '"':
			quoted, inside = !quoted, true
		case !quoted && (r == ' ' || r == '\t'):
			if inside {
				l.words = append(l.words, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if inside {
		l.words = append(l.words, word.String())
	}
	if quoted {
		l.fault = "a quotation mark is not closed"
	}
	return l
}

type flexnet struct {
	problems
	products   map[string]license.Product // by lower-case feature
	groups     map[string]*group
	hostGroups map[string]*group
	ours       []*group // in order
	rules      []*flexRule
	said       map[string]*flexRule // by what it is about
	unknown    []string
	has        map[string]int // the first line with a keyword
	reserved   map[string]int // rules by product
}

type group struct {
	name    string // ours
	line    int
	members []string // conditions
}

type flexRule struct {
	line   int
	verb   string
	number uint64 // of reserve and cap
	rest   string
}

func (r *flexRule) String() string {
	if r.verb == "reserve" || r.verb == "cap" {
		return fmt.Sprintf("%s %d %s", r.verb, r.number, r.rest)
	}
	return r.verb + " " + r.rest
}

// mostNumber is the most that a rule can count.
const mostNumber = 1_000_000

// group reads GROUP and HOST_GROUP.
func (f *flexnet) group(l optionLine) {
	if l.fault != "" || len(l.words) == 0 {
		return // rule tells
	}
	kind, known := strings.ToUpper(l.words[0]), f.groups
	switch kind {
	case "GROUP":
	case "HOST_GROUP":
		known = f.hostGroups
	default:
		return
	}
	if len(l.words) < 3 {
		f.add(l.number, l.text, true, "", "a group needs a name and members")
		return
	}
	name := l.words[1]
	g := known[name]
	if g == nil {
		g = &group{name: f.groupName(name, kind), line: l.number}
		if _, err := rules.Parse("group " + g.name + " user:x"); err != nil {
			f.add(l.number, l.text, true, "give the group a simple name in the options file", "%q can't be a group's name here", shown(name))
			return
		}
		if g.name != name {
			f.add(l.number, l.text, false, "", "the group is called %s here, since a group of users has its name", g.name)
		}
		known[name] = g
		f.ours = append(f.ours, g)
	}
	for _, m := range l.words[2:] {
		what := "USER"
		if kind == "HOST_GROUP" {
			what = "HOST"
		}
		c, why := condition(what, m)
		if why != "" {
			f.add(l.number, kind+" "+name+": "+m, true, "", "%s", why)
			continue
		}
		if !slices.Contains(g.members, c) {
			g.members = append(g.members, c)
		}
	}
}

// groupName keeps groups of hosts and of users apart, which have names of their
// own there.
func (f *flexnet) groupName(name, kind string) string {
	taken := func(n string) bool { return slices.ContainsFunc(f.ours, func(g *group) bool { return g.name == n }) }
	if !taken(name) {
		return name
	}
	suffix := "-users"
	if kind == "HOST_GROUP" {
		suffix = "-hosts"
	}
	for n := name + suffix; ; n += "-" {
		if !taken(n) {
			return n
		}
	}
}

// condition gives what a type and a name of an options file are in a rule, or
// why they can't be.
func condition(kind, name string) (c, why string) {
	prefix := ""
	switch strings.ToUpper(kind) {
	case "USER":
		prefix = "user:"
	case "HOST", "INTERNET":
		if address, is, ok := addresses(name); is && !ok {
			return "", "only whole parts at the end of an address can be left open"
		} else if is {
			return address, ""
		}
		if strings.EqualFold(kind, "INTERNET") {
			return "", fmt.Sprintf("%q is no internet address", shown(name))
		}
		prefix = "host:"
	case "DISPLAY":
		return "", "there are no rules on displays here"
	case "PROJECT":
		return "", "there are no projects here; rules on applications are the nearest"
	default:
		return "", fmt.Sprintf("%q is no type that is known here", shown(kind))
	}
	if strings.ContainsAny(name, "\"") {
		return "", "its name has a quotation mark"
	}
	if strings.ContainsAny(name, " \t#") {
		name = `"` + name + `"`
	}
	if _, err := rules.Parse("allow " + prefix + name); err != nil {
		return "", fmt.Sprintf("%q can't stand in a rule", shown(name))
	}
	return prefix + name, ""
}

// addresses reads an address, in which parts at the end may be *. is tells that
// it looks like one.
func addresses(s string) (c string, is, ok bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return "", true, false
		}
		return "host:" + a.String(), true, true
	}
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return "", false, false
	}
	fixed, open := 0, false
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		switch {
		case p == "*":
			open, parts[i] = true, "0"
		case err != nil:
			return "", false, false
		case open:
			return "", true, false
		default:
			parts[i] = strconv.FormatUint(n, 10)
			fixed++
		}
	}
	return fmt.Sprintf("subnet:%s/%d", strings.Join(parts, "."), 8*fixed), true, true
}

// who reads a type and a name as they stand at the end of an option.
func (f *flexnet) who(words []string) (c, why string) {
	if len(words) != 2 {
		return "", "a type and a name have to stand at its end"
	}
	known := f.groups
	switch strings.ToUpper(words[0]) {
	case "GROUP":
	case "HOST_GROUP":
		known = f.hostGroups
	default:
		return condition(words[0], words[1])
	}
	g := known[words[1]]
	if g == nil || len(g.members) == 0 {
		return "", fmt.Sprintf("the group %q has no members that could be taken over", shown(words[1]))
	}
	return "group:" + g.name, ""
}

// scope reads a feature.
func (f *flexnet) scope(feature string) (c, why, fix string) {
	p, ok := f.products[strings.ToLower(feature)]
	if !ok { // a colon may stand in a feature's name
		name, keyword := feature, ""
		if at := strings.IndexAny(feature, " \t"); at >= 0 && strings.Contains(feature[at:], "=") {
			name, keyword = feature[:at], strings.TrimSpace(feature[at:])
		} else if at := strings.LastIndex(feature, ":"); at >= 0 && strings.Contains(feature[at:], "=") {
			name, keyword = feature[:at], feature[at+1:]
		}
		if keyword != "" {
			return "", fmt.Sprintf("it holds for some licenses of the feature alone (%s), and rules are about a whole product", shown(keyword)),
				"give these licenses a product of their own, or write the rule for all of them"
		}
		if p, ok = f.products[strings.ToLower(name)]; !ok {
			if !slices.Contains(f.unknown, name) {
				f.unknown = append(f.unknown, name)
			}
			return "", fmt.Sprintf("it is not known which product the feature %q is", shown(name)), fmt.Sprintf("say it with --feature %s=FIRM:PRODUCT", shown(name))
		}
	}
	return "product:" + p.String(), "", ""
}

// mostComments is how many of the things that were left out stand in the rules.
const mostComments = 200

// write gives the rules as a file.
func (f *flexnet) write() string {
	var b strings.Builder
	b.WriteString("# From a FlexNet options file.\n")
	for _, g := range f.ours {
		for members := range slices.Chunk(g.members, 20) {
			fmt.Fprintf(&b, "group %s %s\n", g.name, strings.Join(members, " "))
		}
	}
	for _, r := range f.rules {
		fmt.Fprintf(&b, "%s  # line %d\n", r, r.line)
	}
	shown, more := 0, 0
	for _, p := range f.problems.all {
		switch {
		case !p.LeftOut:
		case shown == mostComments:
			more++
		default:
			shown++
			fmt.Fprintf(&b, "# %s\n", p)
		}
	}
	if more > 0 {
		fmt.Fprintf(&b, "# and %d more were left out\n", more)
	}
	return b.String()
}
