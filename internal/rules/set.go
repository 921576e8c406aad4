package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/license"
)

// Kind is what a rule does.
type Kind string

// The kinds of rules.
const (
	Allow    Kind = "allow"    // these may; in its scope nobody else does
	Deny     Kind = "deny"     // these may not
	Reserve  Kind = "reserve"  // so many licenses are kept for these
	Cap      Kind = "cap"      // these take at most so many, together or each
	Priority Kind = "priority" // their place in the queue
)

// Subject is what a condition looks at.
type Subject string

// The subjects, the most specific first.
const (
	User        Subject = "user"        // the user's name; letter case is the same
	Group       Subject = "group"       // a group of the same file
	Application Subject = "application" // the program's name, letter by letter
	Host        Subject = "host"        // the station's name, also with *, letter case is the same; or the address that the request comes from
	Subnet      Subject = "subnet"      // of the address that the request comes from
)

// Condition is one thing that must hold for a rule to match.
type Condition struct {
	Subject Subject
	Value   string
}

func (c Condition) String() string { return string(c.Subject) + ":" + quoted(c.Value) }

// quoted writes a value so that the parser reads the same.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \t#") {
		return `"` + s + `"`
	}
	return s
}

// Level is how specific a scope is.
type Level uint8

// The levels.
const (
	Global Level = iota
	OfFirm
	OfProduct
)

// Scope is what a rule is about: all licenses, those of a firm, or one product.
type Scope struct {
	Level   Level
	Product license.Product // of OfFirm the firm alone
}

func (s Scope) String() string {
	switch s.Level {
	case OfFirm:
		return "firm:" + strconv.FormatUint(uint64(s.Product.Firm), 10)
	case OfProduct:
		return "product:" + s.Product.String()
	}
	return "all licenses"
}

// Rule is one line of a set.
type Rule struct {
	Kind   Kind
	Number int64   // of reserve, cap and priority
	Each   Subject // of a cap that holds for each user, application or host apart; empty: for all together
	Who    []Condition
	Scope  Scope
	Name   string // as given; empty: none
	Line   int

	rank  rank
	tests []test
}

// String writes the rule as the file does, without its name.
func (r *Rule) String() string {
	s := string(r.Kind)
	if r.Kind.counts() {
		s += " " + strconv.FormatInt(r.Number, 10)
	}
	return s + " " + r.target()
}

// target is whom and what the rule is about.
func (r *Rule) target() string {
	parts := make([]string, 0, len(r.Who)+2)
	if r.Each != "" {
		parts = append(parts, "each:"+string(r.Each))
	}
	for _, c := range r.Who {
		parts = append(parts, c.String())
	}
	if len(r.Who) == 0 {
		parts = append(parts, everybody)
	}
	if r.Scope.Level != Global {
		parts = append(parts, r.Scope.String())
	}
	return strings.Join(parts, " ")
}

// mostTag is what a lease store takes.
const mostTag = 64

// ID names the rule, in refusals and as the tag under which licenses are counted:
// the name that the file gives it, or else its kind, whom and what it is about. A
// changed number, place in the file or comment leaves it as it is.
func (r *Rule) ID() string {
	if r.Name != "" {
		return r.Name
	}
	return bounded(string(r.Kind) + " " + r.target())
}

func (k Kind) counts() bool { return k == Reserve || k == Cap || k == Priority }

// Bounds of a set.
const (
	MostText         = 256 << 10 // bytes
	MostRules        = 1000
	MostGroups       = 500
	MostMembers      = 10_000 // of all groups
	MostNesting      = 8      // groups in groups
	MostReservations = 64     // of one scope
	MostName         = 48     // bytes
	MostConditions   = 8      // of one rule
	MostLicenses     = 1_000_000_000
	MostPriority     = 1000
)

// GroupDef is a group of a set.
type GroupDef struct {
	Name    string
	Members []Condition
	Line    int // where it begins
}

// Set is a checked set of rules. It never changes.
type Set struct {
	text   string
	rules  []*Rule // as in the file
	groups []*group
	byName map[string]int

	access, caps, priorities, reserves layers
	apart                              [apart]layers // caps for each one apart
}

// Text is what the set was parsed from.
func (s *Set) Text() string { return s.text }

// Digest names the set's text.
func (s *Set) Digest() string {
	sum := sha256.Sum256([]byte(s.text))
	return hex.EncodeToString(sum[:])
}

// Rules are the rules in the order of the file. They are the set's: don't change
// them.
func (s *Set) Rules() []*Rule { return s.rules }

// Groups are the groups in the order of the file.
func (s *Set) Groups() []GroupDef {
	all := make([]GroupDef, len(s.groups))
	for i, g := range s.groups {
		all[i] = g.GroupDef
	}
	return all
}

// Empty says whether the set decides nothing.
func (s *Set) Empty() bool { return s == nil || len(s.rules) == 0 }

// layers are the rules of a kind by scope, each in the order in which they decide.
type layers struct {
	product map[license.Product][]*Rule
	firm    map[license.FirmCode][]*Rule
	global  []*Rule
}

// of gives the scopes that cover a product, the most specific first.
func (l *layers) of(p license.Product) [3][]*Rule {
	return [3][]*Rule{l.product[p], l.firm[p.Firm], l.global}
}

func (l *layers) add(r *Rule) {
	switch r.Scope.Level {
	case OfProduct:
		if l.product == nil {
			l.product = map[license.Product][]*Rule{}
		}
		l.product[r.Scope.Product] = append(l.product[r.Scope.Product], r)
	case OfFirm:
		if l.firm == nil {
			l.firm = map[license.FirmCode][]*Rule{}
		}
		l.firm[r.Scope.Product.Firm] = append(l.firm[r.Scope.Product.Firm], r)
	default:
		l.global = append(l.global, r)
	}
}

// NotAllowed is the refusal by a rule, or by a list of allow rules.
func NotAllowed(p license.Product, rule string) error {
	return &license.Error{
		Code:    license.CodeNotAllowed,
		Message: fmt.Sprintf("the rules of the license server do not let this user, computer or program use %s (%s)", p, rule),
		Fix:     "ask who manages the licenses here; quorate rules test tells which rule decides",
		Details: map[string]any{"rule": rule},
	}
}
