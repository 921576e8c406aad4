package rules

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
)

var (
	chart = license.Product{Firm: 6000010, Code: 14}
	other = license.Product{Firm: 6000010, Code: 15}
	alien = license.Product{Firm: 7, Code: 14}
)

func parsed(t testing.TB, lines ...string) *Set {
	t.Helper()
	s, err := Parse(strings.Join(lines, "\n") + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(user, host, application, address string) license.Ask {
	a := license.Ask{User: user, Host: host, Application: application}
	if address != "" {
		a.Address = netip.MustParseAddr(address)
	}
	return a
}

// TestMostSpecific is the table of docs/rules.md, line by line.
func TestMostSpecific(t *testing.T) {
	anna := ask("anna", "pc-1.example.com", "chart", "10.1.2.3")
	for name, tt := range map[string]struct {
		rules   string
		product license.Product
		ask     license.Ask
		refused string // by which rule; empty: allowed
	}{
		"no rule allows":                          {"", chart, anna, ""},
		"a deny rule leaves others alone":         {"deny user:ben", chart, anna, ""},
		"a deny rule":                             {"deny user:ANNA", chart, anna, "deny user:ANNA"},
		"letter case of users is the same":        {"deny user:straße", chart, ask("STRAßE", "", "", ""), "deny user:straße"},
		"letter case of applications counts":      {"deny application:Chart", chart, anna, ""},
		"allow shuts out everybody else":          {"allow user:ben", chart, anna, "allow list of all licenses"},
		"allow lets in":                           {"allow user:ben\nallow user:anna", chart, anna, ""},
		"allow of another product":                {"allow user:ben product:6000010:15", chart, anna, ""},
		"allow of another firm":                   {"allow user:ben firm:6000010", alien, anna, ""},
		"allow of the firm":                       {"allow user:ben firm:6000010", chart, anna, "allow list of firm:6000010"},
		"product before firm":                     {"deny user:anna firm:6000010\nallow user:anna product:6000010:14", chart, anna, ""},
		"product before firm, other product":      {"deny user:anna firm:6000010\nallow user:anna product:6000010:14", other, anna, "deny user:anna firm:6000010"},
		"firm before all":                         {"deny user:anna\nallow user:anna firm:6000010", chart, anna, ""},
		"a general deny reaches whom none names":  {"deny user:anna\nallow user:ben firm:7", chart, anna, "deny user:anna"},
		"an allow list ends the search":           {"allow user:anna\nallow user:ben product:6000010:14", chart, anna, "allow list of product:6000010:14"},
		"a deny rule alone does not":              {"allow user:ben\ndeny user:carl product:6000010:14", chart, anna, "allow list of all licenses"},
		"user before group":                       {"group g user:anna\ndeny group:g\nallow user:anna", chart, anna, ""},
		"group before application":                {"group g user:anna\nallow group:g\ndeny application:chart", chart, anna, ""},
		"application before host":                 {"allow application:chart\ndeny host:pc-1.example.com", chart, anna, ""},
		"host before subnet":                      {"allow host:pc-1.example.com\ndeny subnet:10.1.2.3", chart, anna, ""},
		"a host's name before a pattern":          {"allow host:pc-1.example.com\ndeny host:*.example.com", chart, anna, ""},
		"a longer pattern before a shorter":       {"allow host:pc-*.example.com\ndeny host:*.example.com", chart, anna, ""},
		"a longer prefix before a shorter":        {"allow subnet:10.1.2.0/24\ndeny subnet:10.1.0.0/16", chart, anna, ""},
		"subnet before everybody":                 {"allow subnet:10.1.0.0/16\ndeny everybody", chart, anna, ""},
		"everybody":                               {"deny everybody", chart, anna, "deny everybody"},
		"two conditions before one":               {"deny user:anna\nallow user:anna host:pc-1.example.com", chart, anna, ""},
		"two groups before one":                   {"group a user:anna\ngroup b host:pc-*\ndeny group:a\nallow group:a group:b", chart, anna, ""},
		"deny before allow at a tie":              {"group a user:anna\ngroup b user:anna\nallow group:a\ndeny group:b", chart, anna, "deny group:b"},
		"all conditions must hold":                {"deny user:anna host:pc-2", chart, anna, ""},
		"a group of hosts":                        {"group lab host:*.example.com\ndeny group:lab", chart, anna, "deny group:lab"},
		"a group of subnets":                      {"group lab subnet:10.9.0.0/16 subnet:10.1.0.0/16\ndeny group:lab", chart, anna, "deny group:lab"},
		"a group of programs":                     {"group tools application:chart\ndeny group:tools", chart, anna, "deny group:tools"},
		"a group in a group":                      {"group all group:eng\ngroup eng user:Anna\ndeny group:all", chart, anna, "deny group:all"},
		"a group over several lines":              {"group g user:ben\ngroup g user:anna\ndeny group:g", chart, anna, "deny group:g"},
		"a host by its address":                   {"deny host:10.1.2.3", chart, anna, "deny host:10.1.2.3"},
		"a stated address is no address":          {"deny host:10.1.2.4", chart, ask("", "10.1.2.4", "", "10.1.2.3"), ""},
		"IPv4 in IPv6 is IPv4":                    {"deny subnet:10.1.0.0/16", chart, ask("", "", "", "::ffff:10.1.2.3"), "deny subnet:10.1.0.0/16"},
		"an address with a zone":                  {"deny subnet:fe80::/10", chart, ask("", "", "", "fe80::1%eth0"), "deny subnet:fe80::/10"},
		"no address, deny":                        {"deny subnet:10.9.0.0/16", chart, ask("anna", "", "", ""), "deny subnet:10.9.0.0/16"},
		"no address, deny, another condition":     {"deny subnet:10.9.0.0/16 user:ben", chart, ask("anna", "", "", ""), ""},
		"no address, allow":                       {"allow subnet:10.9.0.0/16", chart, ask("anna", "", "", ""), "allow list of all licenses"},
		"no address, a group that matches anyway": {"group g subnet:10.9.0.0/16 user:anna\nallow group:g", chart, ask("anna", "", "", ""), ""},
		"no user stated":                          {"deny user:anna", chart, ask("", "", "", ""), ""},
		"the name of a rule":                      {"deny user:anna name:no-anna", chart, anna, "no-anna"},
	} {
		t.Run(name, func(t *testing.T) {
			s := parsed(t, tt.rules)
			out := s.Evaluate(tt.product, tt.ask)
			if by := out.RefusedBy(); by != tt.refused || out.Allowed != (tt.refused == "") {
				t.Errorf("refused by %q, want %q", by, tt.refused)
			}
			err := out.Err()
			if (err == nil) != (tt.refused == "") || (err != nil && (license.CodeOf(err) != license.CodeNotAllowed || !strings.Contains(err.Error(), tt.refused))) {
				t.Errorf("error: %v", err)
			}
			lines := strings.Split(tt.rules, "\n")
			slices.Reverse(lines)
			if by := parsed(t, lines...).Evaluate(tt.product, tt.ask).RefusedBy(); by != tt.refused {
				t.Errorf("the order of the lines matters: refused by %q, want %q", by, tt.refused)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	s := parsed(t,
		"group eng user:anna user:ben",
		"group interns user:carl",
		"cap 10 everybody",
		"cap 5 group:eng name:eng",
		"cap 2 user:anna",
		"cap 3 subnet:10.0.0.0/8 product:6000010:14",
		"reserve 7 group:interns firm:6000010",
		"reserve 4 group:eng product:6000010:14",
		"reserve 1 user:anna product:6000010:14",
		"reserve 0 everybody product:6000010:15",
		"priority 5 group:eng",
		"priority -3 group:interns",
	)
	for name, tt := range map[string]struct {
		product     license.Product
		ask         license.Ask
		tags        string
		caps, holds []Quota
		priority    int32
	}{
		"the cap of a user, not of the group": {alien, ask("anna", "", "", "192.0.2.1"), "cap user:anna", []Quota{{"cap user:anna", 2}}, nil, 5},
		"the cap of the group":                {alien, ask("ben", "", "", "192.0.2.1"), "eng", []Quota{{"eng", 5}}, nil, 5},
		"the cap of everybody":                {alien, ask("carl", "", "", "192.0.2.1"), "cap everybody", []Quota{{"cap everybody", 10}}, nil, -3},
		"the product's cap before a user's": {
			chart, ask("anna", "", "", "10.1.2.3"), "cap subnet:10.0.0.0/8 product:6000010:14|reserve user:anna product:6000010:14|reserve group:eng product:6000010:14",
			[]Quota{{"cap subnet:10.0.0.0/8 product:6000010:14", 3}}, nil, 5,
		},
		"reservations of the product alone": {
			chart, ask("carl", "", "", "192.0.2.1"), "cap everybody", []Quota{{"cap everybody", 10}},
			[]Quota{{"reserve user:anna product:6000010:14", 1}, {"reserve group:eng product:6000010:14", 4}}, -3,
		},
		"a reservation of others": {
			chart, ask("ben", "", "", "192.0.2.1"), "eng|reserve group:eng product:6000010:14", []Quota{{"eng", 5}},
			[]Quota{{"reserve user:anna product:6000010:14", 1}}, 5,
		},
		"the firm's reservations": {
			license.Product{Firm: 6000010, Code: 1}, ask("dora", "", "", "192.0.2.1"), "cap everybody", []Quota{{"cap everybody", 10}},
			[]Quota{{"reserve group:interns firm:6000010", 7}}, 0,
		},
		"a reservation of 0 lifts those of the firm": {
			other, ask("dora", "", "", "192.0.2.1"), "cap everybody|reserve everybody product:6000010:15", []Quota{{"cap everybody", 10}}, nil, 0,
		},
		"a cap binds where the address is not known": {
			chart, ask("ben", "", "", ""), "cap subnet:10.0.0.0/8 product:6000010:14|reserve group:eng product:6000010:14",
			[]Quota{{"cap subnet:10.0.0.0/8 product:6000010:14", 3}}, []Quota{{"reserve user:anna product:6000010:14", 1}}, 5,
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := s.Evaluate(tt.product, tt.ask)
			if tags := strings.Join(out.Tags(), "|"); tags != tt.tags {
				t.Errorf("tags %s, want %s", tags, tt.tags)
			}
			if !slices.Equal(out.Caps(), tt.caps) || !slices.Equal(out.Holds(), tt.holds) {
				t.Errorf("caps %v, holds %v, want %v, %v", out.Caps(), out.Holds(), tt.caps, tt.holds)
			}
			if out.Priority() != tt.priority {
				t.Errorf("priority %d, want %d", out.Priority(), tt.priority)
			}
		})
	}
}

func TestEachApart(t *testing.T) {
	s := parsed(t,
		"group interns user:anna user:ben",
		"cap 5 group:interns name:interns",
		"cap 2 each:user everybody",
		"cap 1 each:user group:interns name:each-intern",
		"cap 3 each:host host:pc-*",
		"cap 4 each:application everybody product:6000010:14",
	)
	for name, tt := range map[string]struct {
		ask  license.Ask
		caps []Quota
	}{
		"the group's cap, and the most specific of each": {
			ask("anna", "pc-1", "chart", "10.1.2.3"),
			[]Quota{{"interns", 5}, {"each-intern = anna", 1}, {"cap each:application everybody product:6000010:14 = chart", 4}, {"cap each:host host:pc-* = pc-1", 3}},
		},
		"letter case of users and hosts is the same": {
			ask("ANNA", "PC-1", "", "10.1.2.3"),
			[]Quota{{"interns", 5}, {"each-intern = anna", 1}, {"cap each:application everybody product:6000010:14 = ", 4}, {"cap each:host host:pc-* = pc-1", 3}},
		},
		"another user": {
			ask("dora", "mac", "chart", "10.1.2.3"),
			[]Quota{{"cap each:user everybody = dora", 2}, {"cap each:application everybody product:6000010:14 = chart", 4}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := s.Evaluate(chart, tt.ask)
			if !slices.Equal(out.Caps(), tt.caps) {
				t.Errorf("caps %v, want %v", out.Caps(), tt.caps)
			}
			for i, tag := range out.Tags() {
				if tag != tt.caps[i].Tag {
					t.Errorf("tag %q", tag)
				}
			}
		})
	}
	long := strings.Repeat("x", 200)
	a, b := s.Evaluate(other, ask(long+"a", "", "", "10.1.2.3")).Tags(), s.Evaluate(other, ask(long+"b", "", "", "10.1.2.3")).Tags()
	if len(a) != 1 || len(a[0]) > mostTag || a[0] == b[0] {
		t.Errorf("tags %q, %q", a, b)
	}
	if all := s.InForce(chart); len(all) != 5 {
		t.Errorf("in force: %v", all)
	}
	if all := s.Matching(chart, ask("anna", "pc-1", "", "10.1.2.3")); len(all) != 5 {
		t.Errorf("matching: %v", all)
	}
}

func TestMatchingAndInForce(t *testing.T) {
	s := parsed(t,
		"allow everybody", "deny user:ben", "allow user:anna firm:6000010", "deny user:anna product:6000010:15",
		"cap 3 everybody", "cap 1 user:anna", "priority 1 user:anna", "reserve 1 user:ben", "reserve 2 user:carl firm:6000010", "reserve 3 user:dora firm:7",
	)
	text := func(all []*Rule) string {
		var lines []string
		for _, r := range all {
			lines = append(lines, r.String())
		}
		return strings.Join(lines, "|")
	}
	if got, want := text(s.Matching(chart, ask("anna", "", "", ""))),
		"allow user:anna firm:6000010|allow everybody|cap 1 user:anna|cap 3 everybody|priority 1 user:anna"; got != want {
		t.Errorf("matching %s, want %s", got, want)
	}
	if got, want := text(s.InForce(chart)),
		"allow user:anna firm:6000010|deny user:ben|allow everybody|cap 1 user:anna|cap 3 everybody|priority 1 user:anna|reserve 2 user:carl firm:6000010"; got != want {
		t.Errorf("in force %s, want %s", got, want)
	}
	if none := parsed(t, "# nothing"); none.Matching(chart, license.Ask{}) != nil || none.InForce(chart) != nil || none.Rules() != nil {
		t.Error("rules of an empty set")
	}
}

func TestTies(t *testing.T) {
	s := parsed(t, "group a user:anna", "group b user:anna", "cap 5 group:a", "cap 2 group:b", "priority 1 group:a", "priority 9 group:b")
	out := s.Evaluate(chart, ask("anna", "", "", ""))
	if out.Cap.Number != 2 || out.Priority() != 9 {
		t.Errorf("cap %d, priority %d; want the lower cap and the higher priority", out.Cap.Number, out.Priority())
	}
}

func TestNilSet(t *testing.T) {
	var s *Set
	if out := s.Evaluate(chart, license.Ask{}); !out.Allowed || out.Tags() != nil || out.Holds() != nil || out.Caps() != nil || out.Priority() != 0 {
		t.Errorf("no rules: %+v", out)
	}
}

// A handle carries no more tags than a store takes, and none of them twice.
func TestTagsAreBounded(t *testing.T) {
	lines := []string{"cap 1 user:anna"}
	for i := range 40 {
		g := "g" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		lines = append(lines, "group "+g+" user:anna", "reserve 1 group:"+g)
	}
	out := parsed(t, lines...).Evaluate(chart, ask("anna", "", "", ""))
	tags := out.Tags()
	if len(tags) != mostTags || len(out.Holds()) != 0 {
		t.Errorf("%d tags, %d holds", len(tags), len(out.Holds()))
	}
	slices.Sort(tags)
	if len(slices.Compact(tags)) != mostTags {
		t.Error("a tag is there twice")
	}
}

func TestIDs(t *testing.T) {
	long := strings.Repeat("ö", 100)
	for _, tt := range []struct{ a, b string }{
		{"cap 3 group:g", "cap 9   group:g # more"},
		{"cap 3 user:anna host:pc", "cap 3 host:pc user:anna"},
		{"cap 3 user:" + long, "cap 4 user:" + long},
		{`cap 3 user:"Anna Diaz"`, `cap 3 user:"Anna Diaz"`},
		{"cap 3 group:g name:n", "cap 4 user:anna name:n"},
	} {
		a, b := parsed(t, "group g user:x", tt.a).Rules()[0].ID(), parsed(t, "group g user:x", "# a comment", "", tt.b).Rules()[0].ID()
		if a != b || len(a) > mostTag || !utf8.ValidString(a) {
			t.Errorf("%q and %q differ, or are too long", a, b)
		}
	}
	if a, b := parsed(t, "cap 3 user:"+long+"a").Rules()[0].ID(), parsed(t, "cap 3 user:"+long+"b").Rules()[0].ID(); a == b {
		t.Errorf("two long rules have the id %q", a)
	}
}

func TestParseErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		text         string
		line, column int
		says         string
	}{
		"unknown verb":          {"permit user:anna", 1, 1, "not a kind of rule"},
		"a word of others":      {"\n  INCLUDE chart USER anna", 2, 3, "write allow in place of INCLUDE"},
		"MAX":                   {"MAX 3 chart USER anna", 1, 1, "write cap in place of MAX"},
		"unknown field":         {"deny user:anna colour:red", 1, 16, "not known here"},
		"a word without colon":  {"deny anna", 1, 6, "not known here"},
		"for whom":              {"cap 3 product:6000010:14", 1, 1, "not for whom"},
		"number missing":        {"cap", 1, 1, "number is missing"},
		"no number":             {"cap group:g", 1, 5, "not a number"},
		"negative":              {"cap -1 everybody", 1, 5, "not a number"},
		"not plain":             {"cap 007 everybody", 1, 5, "not a number"},
		"too much":              {"reserve 1000000001 everybody", 1, 9, "not a number"},
		"priority out of range": {"priority 1001 everybody", 1, 10, "not a number"},
		"everybody and more":    {"deny everybody user:anna", 1, 16, "stands alone"},
		"more and everybody":    {"deny user:anna everybody", 1, 16, "stands alone"},
		"two users":             {"deny user:anna user:ben", 1, 16, "nobody has two"},
		"twice":                 {"group g user:a\ndeny group:g group:g", 2, 14, "there twice"},
		"two scopes":            {"deny user:anna firm:7 product:7:1", 1, 23, "one scope"},
		"bad product":           {"deny user:anna product:chart", 1, 16, "not a product"},
		"bad firm":              {"deny user:anna firm:7:1", 1, 16, "not a firm code"},
		"bad name":              {"deny user:anna name:a/b", 1, 16, "no name for a rule"},
		"two names":             {"deny user:anna name:a name:b", 1, 23, "no name for a rule"},
		"each of what":          {"cap 2 each:group everybody", 1, 7, "apart"},
		"each twice":            {"cap 2 each:user each:host everybody", 1, 17, "apart"},
		"each elsewhere":        {"reserve 2 each:user everybody", 1, 11, "together"},
		"each for nobody":       {"cap 2 each:user", 1, 1, "not for whom"},
		"each again":            {"cap 2 each:user everybody\ncap 3 each:user everybody", 2, 1, "for the same"},
		"name taken":            {"deny user:anna name:a\ndeny user:ben name:a", 2, 1, "has the name a too"},
		"the same again":        {"cap 1 user:anna host:pc\ncap 2 host:PC user:ANNA", 2, 1, "for the same"},
		"no user":               {"deny user:", 1, 6, "no user"},
		"blanks at the end":     {`deny user:"anna "`, 1, 6, "no user"},
		"pattern of users":      {"deny user:a*", 1, 6, "is a pattern"},
		"every host":            {"deny host:**", 1, 6, "is every host"},
		"subnet as host":        {"deny host:10.0.0.0/8", 1, 6, "is no host"},
		"zone":                  {"deny host:fe80::1%eth0", 1, 6, "no address of a host"},
		"bits beyond the mask":  {"deny subnet:10.1.2.3/8", 1, 6, "no subnet"},
		"no group":              {"# x\ndeny group:g", 2, 6, "no group g"},
		"groups are exact":      {"group Lab user:a\ndeny group:lab", 2, 6, "no group lab"},
		"group without members": {"group g", 1, 7, "no members"},
		"group without name":    {"group", 1, 1, "no name"},
		"a group in itself":     {"group g group:g", 1, 1, "contains itself"},
		"a circle":              {"group a group:b\ngroup b group:c\ngroup c group:a", 3, 1, "contains itself"},
		"scope in a group":      {"group g firm:7", 1, 9, "not known here"},
		"quote open":            {`deny user:"anna`, 1, 11, "not closed"},
		"quote in a word":       {`deny us"er:anna`, 1, 8, "middle of a word"},
		"quote goes on":         {`deny user:"anna"x`, 1, 17, "behind its quotation mark"},
		"control character":     {"deny user:\x00", 1, 11, "control characters"},
		"no UTF-8":              {"deny user:ä\xff", 1, 12, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tt.text)
			var e *license.Error
			if !errors.As(err, &e) || e.Code != license.CodeInvalidInput || e.Fix == "" || !strings.Contains(e.Error(), tt.says) {
				t.Fatalf("error: %v, want one that says %q", err, tt.says)
			}
			if e.Details["line"] != tt.line || e.Details["column"] != tt.column {
				t.Errorf("at %v:%v, want %d:%d (%v)", e.Details["line"], e.Details["column"], tt.line, tt.column, err)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	many := func(n int, line func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(line(i) + "\n")
		}
		return b.String()
	}
	number := func(i int) string { return strings.Repeat("x", 1+i%20) + strings.Repeat("y", i/20) }
	for name, text := range map[string]string{
		"text":         "#" + strings.Repeat("x", MostText),
		"rules":        many(MostRules+1, func(i int) string { return "deny user:" + number(i) }),
		"groups":       many(MostGroups+1, func(i int) string { return "group g" + number(i) + " user:a" }),
		"members":      "group g" + strings.Repeat(" user:a", MostMembers+1),
		"reservations": many(MostReservations+1, func(i int) string { return "reserve 1 user:" + number(i) }),
		"nesting":      "group gx user:a\n" + many(MostNesting, func(i int) string { return "group g" + number(i+1) + " group:g" + number(i) }),
	} {
		if _, err := Parse(text); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestText(t *testing.T) {
	text := "\ufeff# who may\r\nallow user:\"Anna Diaz\" name:a # her\r\n\r\nreserve 2 application:x\thost:*.Example.com product:7:1\r\n"
	s := parsed(t, text)
	got := []string{s.Rules()[0].String(), s.Rules()[1].String()}
	want := []string{`allow user:"Anna Diaz"`, "reserve 2 application:x host:*.Example.com product:7:1"}
	if !slices.Equal(got, want) || s.Rules()[1].Line != 4 {
		t.Errorf("%q, line %d", got, s.Rules()[1].Line)
	}
	if !strings.HasPrefix(s.Text(), text) || len(s.Digest()) != 64 {
		t.Error("the text is not kept")
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"*.example.com", "a.example.com", true}, {"*.example.com", "a.b.example.com", true}, {"*.example.com", "example.com", false},
		{"pc-*", "pc-", true}, {"a*b*c", "aXbYbc", true}, {"a*b*c", "aXbYb", false}, {"*a", "", false}, {"abc", "abc", true}, {"ab", "abc", false},
	} {
		if glob(tt.pattern, tt.s) != tt.want {
			t.Errorf("%s matches %s: %v", tt.pattern, tt.s, !tt.want)
		}
	}
}

// fold is strings.EqualFold, as a key.
func TestFold(t *testing.T) {
	all := []string{"k", "K", "\u212a", "s", "ſ", "S", "ß", "ẞ", "ss", "İ", "i", "ı", "I", "Σ", "σ", "ς", "é", "É", "", "@", "[", "a1", "A1"}
	for _, a := range all {
		for _, b := range all {
			if (fold(a) == fold(b)) != strings.EqualFold(a, b) {
				t.Errorf("%q and %q", a, b)
			}
		}
	}
}

// FuzzParse: what is accepted says itself again, is bounded, and can be asked
// anything.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "# only a comment", "group g user:anna group:h\ngroup h host:*.example.com subnet:10.0.0.0/8\nallow group:g product:6000010:14 name:staff",
		"cap 3 user:\"Anna Diaz\" host:10.1.2.3\nreserve 2 group:x", "priority -5 everybody firm:7\ndeny application:a#b", "group a group:b\ngroup b group:a",
		"\ufeffdeny user:x\r\n", "INCLUDE f USER x", "cap 1 subnet:fe80::/10 application:\"\"", "deny user:\xff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if license.CodeOf(err) != license.CodeInvalidInput {
				t.Fatal(err)
			}
			return
		}
		var again strings.Builder
		for _, g := range s.Groups() {
			again.WriteString("group " + g.Name)
			for _, c := range g.Members {
				again.WriteString(" " + c.String())
			}
			again.WriteString("\n")
		}
		for _, r := range s.Rules() {
			again.WriteString(r.String() + "\n")
			if id := r.ID(); id == "" || len(id) > mostTag {
				t.Fatalf("the id %q", id)
			}
		}
		if again.Len() > MostText {
			return
		}
		s2, err := Parse(again.String())
		if err != nil || len(s2.Rules()) != len(s.Rules()) {
			t.Fatalf("%v, of\n%s", err, again.String())
		}
		for _, a := range []license.Ask{{}, ask("anna", "pc.example.com", "a", "10.1.2.3"), {User: text, Host: text, Application: text}} {
			for _, p := range []license.Product{chart, alien} {
				o1, o2 := s.Evaluate(p, a), s2.Evaluate(p, a)
				if o1.Allowed != o2.Allowed || o1.Priority() != o2.Priority() || len(o1.Tags()) > mostTags || len(o1.Holds()) > MostReservations {
					t.Fatalf("%+v and %+v", o1, o2)
				}
			}
		}
	})
}
