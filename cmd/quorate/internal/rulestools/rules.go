// Package rulestools holds quorate rules: files of rules of who may use which
// license, checked, shown and tried out, and the rules at the platform.
package rulestools

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rules"
)

// Rules are the commands.
type Rules struct {
	Check Check `cmd:"" help:"Check a file of rules, and tell which past or present programs it would have refused."`
	Test  Test  `cmd:"" help:"Tell which rule decides about somebody, and why."`
	Show  Show  `cmd:"" help:"Show the rules of a file or of the platform, in the order in which they decide."`
	Save  Save  `cmd:"" help:"Make a file the rules of a TMR group or a container, at the platform."`
}

// Help says what rules are.
func (Rules) Help() string {
	return `Rules say who may use which license: allow, deny, reserve N, cap N, priority P.
docs/rules.md has the words and what wins.

Examples:
  quorate rules check rules.txt --usage grants.csv
  quorate rules test rules.txt --user anna --product 6000010:14`
}

// read parses a file; - is standard input.
func read(std cli.Streams, path string) (*rules.Set, error) {
	in := std.In
	if path != "-" {
		f, err := os.Open(path)
		if os.IsNotExist(err) {
			return nil, license.Errorf(license.CodeNotFound, "check its name and its path", "there is no file %s", path)
		}
		if err != nil {
			return nil, unreadable(path, err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, rules.MostText+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	set, err := rules.Parse(string(b))
	if err != nil {
		return nil, prefixed(path, err)
	}
	return set, nil
}

func unreadable(path string, err error) error {
	return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("%s can't be read: %v", path, cli.Cause(err)), Fix: "check its permissions", Err: err}
}

// prefixed names the file before what is wrong in it.
func prefixed(path string, err error) error {
	e, ok := err.(*license.Error) //nolint:errorlint // made by the parser
	if !ok {
		return err
	}
	out := *e
	out.Message = path + ": " + e.Message
	return &out
}

// ruleView is a rule as JSON.
type ruleView struct {
	Line   int      `json:"line"`
	Rule   string   `json:"rule"`
	Name   string   `json:"name"`
	Kind   string   `json:"kind"`
	Number *int64   `json:"number,omitempty"`
	Each   string   `json:"each,omitempty"`
	Who    []string `json:"who"`
	Scope  string   `json:"scope"`
}

func viewOf(r *rules.Rule) *ruleView {
	if r == nil {
		return nil
	}
	v := &ruleView{Line: r.Line, Rule: r.String(), Name: r.ID(), Kind: string(r.Kind), Each: string(r.Each), Who: []string{}, Scope: r.Scope.String()}
	if r.Kind == rules.Reserve || r.Kind == rules.Cap || r.Kind == rules.Priority {
		v.Number = &r.Number
	}
	for _, c := range r.Who {
		v.Who = append(v.Who, c.String())
	}
	return v
}

func viewsOf(all []*rules.Rule) []*ruleView {
	views := make([]*ruleView, len(all))
	for i, r := range all {
		views[i] = viewOf(r)
	}
	return views
}

// inWords names a rule to people.
func inWords(r *rules.Rule) string {
	s := cli.Printable(r.String())
	if r.Name != "" {
		s += " name:" + r.Name
	}
	return s + " (line " + strconv.Itoa(r.Line) + ")"
}

// Test tries rules out.
type Test struct {
	File        string `arg:"" help:"The file of rules; - for standard input."`
	Product     string `required:"" help:"FIRM:PRODUCT, for example 6000010:14."`
	User        string `help:"The user."`
	Host        string `help:"The computer's name."`
	Application string `help:"The program's name."`
	Address     string `help:"The address that the request comes from; without it, deny and cap on addresses match and allow, reserve and priority don't." placeholder:"IP"`
	JSON        bool   `help:"Write JSON." name:"json"`
}

// Help has the examples.
func (Test) Help() string {
	return `Exit status 0 when they let him in, 1 when they don't. Whether licenses are free
only a license server knows (quorate why).

Examples:
  quorate rules test rules.txt --user anna --product 6000010:14
  quorate rules test rules.txt --host pc-7.example.com --address 10.1.2.3 --application chart --product 6000010:14 --json`
}

// Run tells what the rules say.
func (c *Test) Run(std cli.Streams) error {
	set, err := read(std, c.File)
	if err != nil {
		return err
	}
	p, err := license.ParseProduct(c.Product)
	if err != nil {
		return err
	}
	ask := license.Ask{User: c.User, Host: c.Host, Application: c.Application}
	if c.Address != "" {
		if ask.Address, err = netip.ParseAddr(c.Address); err != nil {
			return license.Errorf(license.CodeInvalidInput, "write it as 10.1.2.3 or fe80::1", "%q is not an address", c.Address)
		}
	}
	out := set.Evaluate(p, ask)
	var lost, each []*rules.Rule
	for _, l := range out.Each {
		each = append(each, l.Rule)
	}
	for _, r := range set.Matching(p, ask) {
		if r != out.Access && r != out.Cap && r != out.Queue && !slices.Contains(each, r) {
			lost = append(lost, r)
		}
	}
	if c.JSON {
		err = cli.WriteJSON(std.Out, struct {
			Product     string      `json:"product"`
			Allowed     bool        `json:"allowed"`
			RefusedBy   string      `json:"refusedBy,omitempty"`
			Access      *ruleView   `json:"access,omitempty"`
			Cap         *ruleView   `json:"cap,omitempty"`
			Each        []*ruleView `json:"each,omitempty"`
			Priority    int32       `json:"priority"`
			PriorityBy  *ruleView   `json:"priorityBy,omitempty"`
			Reserved    []*ruleView `json:"reserved"`
			KeptBack    []*ruleView `json:"keptBack"`
			NotDeciding []*ruleView `json:"notDeciding"`
		}{
			p.String(), out.Allowed, out.RefusedBy(), viewOf(out.Access), viewOf(out.Cap), viewsOf(each), out.Priority(), viewOf(out.Queue),
			viewsOf(out.Member), viewsOf(out.Others), viewsOf(lost),
		})
	} else {
		err = tell(std.Out, out, lost)
	}
	if err == nil && !out.Allowed {
		err = cli.ExitStatus(1)
	}
	return err
}

func tell(w io.Writer, out rules.Outcome, lost []*rules.Rule) error {
	verdict := "allowed"
	if !out.Allowed {
		verdict = "refused"
	}
	t := cli.NewTable(w)
	row := func(what, text string) { fmt.Fprintf(t, "  %s\t%s\n", what, text) }
	fmt.Fprintf(t, "%s: %s\n", out.Product, verdict)
	switch {
	case out.Access != nil:
		row("by", inWords(out.Access))
	case out.List != nil:
		row("by", "no allow rule matches, and there are some for "+out.List.String())
	default:
		row("by", "no rule for access is about this")
	}
	if out.Cap != nil {
		row("at most", fmt.Sprintf("%d, together with all whom it decides about: %s", out.Cap.Number, inWords(out.Cap)))
	}
	for _, l := range out.Each {
		row("at most", fmt.Sprintf("%d for each %s apart: %s", l.Rule.Number, l.Rule.Each, inWords(l.Rule)))
	}
	for _, r := range out.Member {
		row("reserved for", fmt.Sprintf("%d: %s", r.Number, inWords(r)))
	}
	for _, r := range out.Others {
		row("kept back", fmt.Sprintf("%d for others: %s", r.Number, inWords(r)))
	}
	if out.Queue != nil {
		row("priority", fmt.Sprintf("%d: %s", out.Queue.Number, inWords(out.Queue)))
	}
	for _, r := range lost {
		row("less specific", inWords(r))
	}
	return t.Flush()
}

// Show lists rules.
type Show struct {
	cli.APIFlags
	File     string `arg:"" optional:"" help:"The file of rules; - for standard input."`
	Place    string `help:"Show the rules of this TMR group (131-4837572) or container (130-1874829) at the platform." placeholder:"SERIAL"`
	Revision int    `help:"With --place: this version; otherwise the newest."`
	Text     bool   `help:"Write the text alone, as it was saved."`
	Product  string `help:"Only what is about this product, in the order in which it decides." placeholder:"FIRM:PRODUCT"`
}

// Help has the examples.
func (Show) Help() string {
	return `Examples:
  quorate rules show rules.txt --product 6000010:14
  quorate rules show --place 131-4837572 --text > rules.txt`
}

// Run shows them.
func (c *Show) Run(ctx context.Context, std cli.Streams) error {
	if (c.File == "") == (c.Place == "") {
		return license.Errorf(license.CodeInvalidInput, "name a file, or a place by --place", "either a file or a place is wanted")
	}
	var set *rules.Set
	var saved *savedSet
	var err error
	if c.Place != "" {
		set, saved, err = c.fromPlatform(ctx)
	} else {
		set, err = read(std, c.File)
	}
	if err != nil {
		return err
	}
	if c.Text {
		_, err := io.WriteString(std.Out, set.Text())
		return err
	}
	all := set.Rules()
	if c.Product != "" {
		p, err := license.ParseProduct(c.Product)
		if err != nil {
			return err
		}
		all = set.InForce(p)
	}
	if c.JSON {
		return c.json(std.Out, set, saved, all)
	}
	if saved != nil {
		fmt.Fprintf(std.Out, "version %d, saved by %s at %s\n", saved.Version, cli.Printable(saved.SavedBy), saved.CreatedAt)
	}
	t := cli.NewTable(std.Out)
	for _, g := range set.Groups() {
		fmt.Fprintf(t, "%d\tgroup %s\t%s\n", g.Line, g.Name, members(g, 6))
	}
	for _, r := range all {
		fmt.Fprintf(t, "%d\t%s\t%s\n", r.Line, cli.Printable(r.String()), r.Name)
	}
	return t.Flush()
}

func members(g rules.GroupDef, most int) string {
	parts := make([]string, 0, most+1)
	for _, m := range g.Members[:min(len(g.Members), most)] {
		parts = append(parts, cli.Printable(m.String()))
	}
	if more := len(g.Members) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, " ")
}

func (c *Show) json(w io.Writer, set *rules.Set, saved *savedSet, all []*rules.Rule) error {
	type groupView struct {
		Name    string   `json:"name"`
		Line    int      `json:"line"`
		Members []string `json:"members"`
	}
	groups := []groupView{}
	for _, g := range set.Groups() {
		v := groupView{g.Name, g.Line, make([]string, len(g.Members))}
		for i, m := range g.Members {
			v.Members[i] = m.String()
		}
		groups = append(groups, v)
	}
	return cli.WriteJSON(w, struct {
		Saved  *savedSet   `json:"saved,omitempty"`
		Digest string      `json:"digest"`
		Groups []groupView `json:"groups"`
		Rules  []*ruleView `json:"rules"`
	}{saved, set.Digest(), groups, viewsOf(slices.Clone(all))})
}
