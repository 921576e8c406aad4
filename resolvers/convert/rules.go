package convert

import (
	"strings"

	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/platform/rulesets"
	"github.com/quorate/quorate/internal/rules"
)

// RulesReport is what rules would have refused.
func RulesReport(r rulesets.RulesReport) *graph.RulesReport {
	out := &graph.RulesReport{
		Since: r.Since, Checked: r.Checked, Complete: r.Complete, RefusedCount: r.RefusedCount, Unsure: r.Unsure,
		Refused: []*graph.RefusedGrant{}, UnknownQuantities: []string{},
	}
	for _, g := range r.Refused {
		out.Refused = append(out.Refused, &graph.RefusedGrant{Allocation: g.Allocation, Rule: g.Rule, Reason: g.Reason})
	}
	for _, p := range r.Unknown {
		out.UnknownQuantities = append(out.UnknownQuantities, p.String())
	}
	return out
}

// Rules tells what a stored text says.
func Rules(text string) ([]*graph.Rule, error) {
	set, err := rules.Parse(text)
	if err != nil {
		return nil, err
	}
	all := make([]*graph.Rule, 0, len(set.Rules()))
	for _, r := range set.Rules() {
		m := &graph.Rule{Kind: graph.RuleKind(strings.ToUpper(string(r.Kind))), Who: []string{}, Scope: r.Scope.String(), Name: r.ID(), Line: r.Line}
		for _, c := range r.Who {
			m.Who = append(m.Who, c.String())
		}
		if each := string(r.Each); each != "" {
			m.Each = &each
		}
		if r.Kind == rules.Reserve || r.Kind == rules.Cap || r.Kind == rules.Priority {
			n := int(r.Number)
			m.Number = &n
		}
		all = append(all, m)
	}
	return all, nil
}
