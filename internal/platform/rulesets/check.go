package rulesets

import (
	"context"
	"net/netip"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/rules"
)

const (
	// rulesPast is how far back rules are checked.
	rulesPast = 30 * 24 * time.Hour
	// mostPast bounds how many grants a check replays: the newest.
	mostPast = 50_000
	// mostRefused is how many a report names.
	mostRefused = 100
	// mostChecks is how many checks run at once in one process, each of another
	// organization's: each holds its grants in memory.
	mostChecks = 2
	// checkAgain is when to try again while other rules are checked.
	checkAgain = 5 * time.Second
	// CheckTime bounds how long one may compute.
	CheckTime = 20 * time.Second
)

// CheckRules tells which grants of the last 30 days rules would have refused at a
// TMR group or a container, without saving anything. Errors: as SaveRules;
// CodeTooLarge for rules whose check takes too long; CodeThrottled while other
// rules of the organization, or of many, are checked.
func (p *Service) CheckRules(ctx context.Context, named core.Place, text string) (RulesReport, error) {
	by, err := auth.Require(ctx, auth.EditRules)
	if err != nil {
		return RulesReport{}, err
	}
	set, err := rules.Parse(text)
	if err != nil {
		return RulesReport{}, err
	}
	at, err := p.rulesPlace(ctx, named)
	if err != nil {
		return RulesReport{}, err
	}
	return p.checkRules(ctx, by, at, set)
}

func (p *Service) checkRules(ctx context.Context, by auth.Principal, at core.LoadedPlace, set *rules.Set) (RulesReport, error) {
	if set.Empty() { // everybody may
		return p.uncheckedRules(ctx, at)
	}
	end, ok, err := p.beginCheck(ctx, by.Organization)
	if err != nil {
		return RulesReport{}, err
	}
	if !ok {
		return RulesReport{}, ratelimit.Throttled(checkAgain, "try again in a moment", "other rules are being checked")
	}
	defer end()
	since := core.Now().Add(-rulesPast)
	rows, err := p.pastGrants(ctx, at, since)
	if err != nil {
		return RulesReport{}, err
	}
	out := RulesReport{Since: since, Complete: len(rows) <= mostPast}
	rows = rows[:min(len(rows), mostPast)]
	past := make([]rules.Past, len(rows))
	for i, a := range rows {
		past[i] = pastGrant(a)
	}
	bounded, cancel := context.WithTimeout(ctx, p.checkTime)
	defer cancel()
	found, err := rules.Check(bounded, set, past, inForce(at))
	switch {
	case ctx.Err() != nil:
		return RulesReport{}, ctx.Err()
	case err != nil:
		return RulesReport{}, license.Errorf(license.CodeTooLarge, "name users, groups and subnets in place of hosts by patterns with *",
			"checking these rules against %d grants takes longer than %s", len(past), p.checkTime)
	}
	out.Checked, out.RefusedCount = found.Checked, len(found.Refused)
	out.Unsure, out.Unknown = found.Unsure, found.Unknown
	shown := found.Refused[:min(len(found.Refused), mostRefused)]
	ids := make([]string, len(shown))
	for i, r := range shown {
		ids[i] = rows[r.Grant].ID
	}
	full, err := p.core.Store.Client().Allocation.Query().Where(allocation.IDIn(ids...)).
		WithContainer(func(q *ent.ContainerQuery) { q.WithTmrGroup() }).WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }).All(ctx)
	if err != nil {
		return RulesReport{}, err
	}
	byID := make(map[string]*ent.Allocation, len(full))
	for _, a := range full {
		byID[a.ID] = a
	}
	for i, r := range shown {
		if a := byID[ids[i]]; a != nil { // else it was removed just now
			out.Refused = append(out.Refused, RefusedGrant{a, r.Rule, r.Reason})
		}
	}
	return out, nil
}

// uncheckedRules is the report of rules that refuse nothing.
func (p *Service) uncheckedRules(ctx context.Context, at core.LoadedPlace) (RulesReport, error) {
	since := core.Now().Add(-rulesPast)
	q, err := p.pastQuery(ctx, at, since)
	if err != nil {
		return RulesReport{}, err
	}
	n, err := q.Count(ctx)
	return RulesReport{Since: since, Checked: min(n, mostPast), Complete: n <= mostPast}, err
}

// pastGrants gives the newest allocations of a place that lived after a time: at
// most one more than a check replays, and of each what it needs.
func (p *Service) pastGrants(ctx context.Context, at core.LoadedPlace, since time.Time) ([]*ent.Allocation, error) {
	q, err := p.pastQuery(ctx, at, since)
	if err != nil {
		return nil, err
	}
	q.Order(ent.Desc(allocation.FieldID)).Limit(mostPast + 1).WithProduct(func(q *ent.ProductQuery) { q.WithFirm() })
	q.Select(allocation.FieldID, allocation.FieldProductID, allocation.FieldMode, allocation.FieldAsked, allocation.FieldClient,
		allocation.FieldUser, allocation.FieldStation, allocation.FieldApplication, allocation.FieldFirstAccess, allocation.FieldEndedAt)
	return q.All(ctx)
}

func (p *Service) pastQuery(ctx context.Context, at core.LoadedPlace, since time.Time) (*ent.AllocationQuery, error) {
	c := p.core.Store.Client()
	id := at.ID()
	if !at.Single() { // its handles are of the virtual container
		var err error
		if id, err = c.Container.Query().Where(container.Serial(at.Group.VirtualSerial)).OnlyID(ctx); err != nil {
			return nil, err
		}
	}
	return c.Allocation.Query().
		Where(allocation.ContainerID(id), allocation.Or(allocation.EndedAtIsNil(), allocation.EndedAtGTE(since))), nil
}

func pastGrant(a *ent.Allocation) rules.Past {
	g := rules.Past{
		ID: a.ID, Mode: a.Mode, Station: a.Station, Licenses: uint32(a.Asked), Start: a.FirstAccess,
		Ask: license.Ask{User: a.User, Host: a.Client, Application: a.Application},
	}
	if addr, err := netip.ParseAddr(a.Client); err == nil {
		g.Ask.Address = addr
	}
	if p := a.Edges.Product; p != nil && p.Edges.Firm != nil {
		g.Product = license.Product{Firm: license.FirmCode(p.Edges.Firm.Code), Code: license.ProductCode(p.Code)}
	}
	if a.EndedAt != nil {
		g.End = *a.EndedAt
	}
	return g
}

// inForce is how many licenses of each product a place's servers say they have.
func inForce(at core.LoadedPlace) map[license.Product]uint32 {
	all := map[license.Product]uint32{}
	put := func(product string, n int, is bool) {
		if p, err := license.ParseProduct(product); err == nil && is && n > 0 {
			all[p] = uint32(n)
		}
	}
	if !at.Single() {
		for _, l := range at.Group.Licenses {
			put(l.Product, l.Quantity, l.InForce)
		}
		return all
	}
	for _, l := range at.Containers[0].Served {
		put(l.Product, l.Quantity, l.Reason == "")
	}
	return all
}
