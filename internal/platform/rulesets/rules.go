package rulesets

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/apitoken"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/ruleset"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/rules"
	"github.com/quorate/quorate/internal/store"
)

// keptRuleSets is how many versions of a place's rules are kept.
const keptRuleSets = 100

// RulesChange asks for new rules of a place.
type RulesChange struct {
	At   core.Place
	Text string // as docs/rules.md has it; empty: everybody may
	// Expected is the version that the change was made from; 0: none was saved yet.
	Expected int
	// Confirm saves rules that would have refused past grants, too.
	Confirm bool
}

// SavedRules is what became of a change: the place's rules now, and what the
// change would have refused. Saved is false where that needs a confirmation.
type SavedRules struct {
	Saved  bool
	Set    *ent.RuleSet // nil: there are none
	Report RulesReport
}

// SaveRules makes new rules of who may use the licenses of a TMR group or a
// container, after they were checked against past grants. Its servers fetch them
// over the link. The text that is there already is saved again without effect,
// and without a check.
// Errors: CodeForbidden, for the vendor of a place whose customer has people of
// his own, too; CodeNotFound,
// CodeInvalidInput with line and column, CodeConflict when somebody else saved
// others meanwhile, CodeThrottled.
func (p *Service) SaveRules(ctx context.Context, change RulesChange) (SavedRules, error) {
	by, err := auth.Require(ctx, auth.EditRules)
	if err != nil {
		return SavedRules{}, err
	}
	set, err := rules.Parse(change.Text)
	if err != nil {
		return SavedRules{}, err
	}
	at, err := p.rulesPlace(ctx, change.At)
	if err != nil {
		return SavedRules{}, err
	}
	if err := p.mayRule(ctx, by, at); err != nil {
		return SavedRules{}, err
	}
	caller := ctx
	ctx = core.System(ctx, "rules")
	// What needs no check is answered before one; the transaction looks again.
	newest, err := newestRules(ctx, p.core.Store.Client().RuleSet.Query(), at)
	if err != nil {
		return SavedRules{}, err
	}
	if newest != nil && newest.Digest == set.Digest() {
		return SavedRules{Saved: true, Set: newest, Report: RulesReport{Since: core.Now().Add(-rulesPast)}}, nil
	}
	if err := change.madeFrom(newest); err != nil {
		return SavedRules{}, err
	}
	var out SavedRules
	if out.Report, err = p.checkRules(caller, by, at, set); err != nil {
		return SavedRules{}, err
	}
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if err := core.LockPlace(ctx, tx, at.ID()); err != nil {
			return err
		}
		newest, err := newestRules(ctx, tx.RuleSet.Query(), at)
		if err != nil {
			return err
		}
		version, before := 0, map[string]any(nil)
		if out.Set = newest; newest != nil {
			version, before = newest.Version, ruleFacts(newest)
			if newest.Digest == set.Digest() {
				out.Saved = true
				return nil
			}
		}
		if err := change.madeFrom(newest); err != nil {
			return err
		}
		if out.Report.RefusedCount > 0 && !change.Confirm {
			return nil
		}
		group, single := at.Columns()
		row, err := tx.RuleSet.Create().SetVendorID(at.Vendor()).SetNillableCustomerID(at.Customer()).
			SetNillableTmrGroupID(group).SetNillableContainerID(single).
			SetVersion(version + 1).SetText(set.Text()).SetDigest(set.Digest()).SetSavedBy(core.ClipText(core.DisplayName(by))).
			SetByVendor(!by.IsSystem() && by.Organization == at.Vendor()).Save(ctx)
		if err != nil {
			return err
		}
		if _, err := tx.RuleSet.Delete().Where(ruleSetsAt(at.ID()), ruleset.VersionLTE(row.Version-keptRuleSets)).Exec(ctx); err != nil {
			return err
		}
		out.Set, out.Saved = row, true
		if !at.Single() {
			p.core.Publish(ctx, tx, event.TmrGroup, at.ID())
		}
		after := ruleFacts(row)
		after["wouldHaveRefused"] = out.Report.RefusedCount
		return core.Audit(caller, tx, core.AuditOwner(by, at.Vendor()), "rules.save", at.ID(), before, after)
	})
	if err != nil {
		return SavedRules{}, err
	}
	return out, nil
}

// newestRules gives a place's rules; nil: there are none.
func newestRules(ctx context.Context, q *ent.RuleSetQuery, at core.LoadedPlace) (*ent.RuleSet, error) {
	row, err := q.Where(ruleSetsAt(at.ID())).Order(ent.Desc(ruleset.FieldVersion)).First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return row, err
}

// madeFrom refuses a change of other rules than the newest; nil: there are none.
func (c RulesChange) madeFrom(newest *ent.RuleSet) error {
	version := 0
	if newest != nil {
		version = newest.Version
	}
	if version == c.Expected {
		return nil
	}
	return license.Errorf(license.CodeConflict, "look at what is there now, then change that",
		"the rules were changed meanwhile: they have version %d, not %d", version, c.Expected)
}

// mayRule: a customer decides himself which of his people use what he bought. The
// vendor does it for him only while nobody of his can sign in.
func (p *Service) mayRule(ctx context.Context, by auth.Principal, at core.LoadedPlace) error {
	customer := at.Customer()
	switch {
	case by.IsSystem(), customer != nil && by.Organization == *customer, customer == nil && by.Organization == at.Vendor():
		return nil
	case customer != nil && by.Organization == at.Vendor():
		ctx := core.System(ctx, "rules")
		people, err := p.core.Store.Client().Member.Query().Where(member.OrganizationID(*customer)).Exist(ctx)
		if err != nil {
			return err
		}
		tokens, err := p.core.Store.Client().ApiToken.Query().Where(apitoken.OrganizationID(*customer)).Exist(ctx)
		if err != nil || !people && !tokens {
			return err
		}
	}
	return license.Errorf(license.CodeForbidden, "ask an administrator of the customer",
		"the rules of %s are made by whose licenses they are", at.Serial())
}

func (p *Service) rulesPlace(ctx context.Context, named core.Place) (at core.LoadedPlace, err error) {
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		at, err = core.FindPlace(ctx, tx, named)
		return err
	})
	return at, err
}

func ruleFacts(r *ent.RuleSet) map[string]any {
	return map[string]any{"version": r.Version, "digest": r.Digest}
}

func ruleSetsAt(id string) predicate.RuleSet {
	if core.IsGroup(id) {
		return ruleset.TmrGroupID(id)
	}
	return ruleset.ContainerID(id)
}

// RuleSet gives a version of the rules of a TMR group or a container, by its
// global id; version 0: the newest. Nil: there is none.
func (p *Service) RuleSet(ctx context.Context, placeID string, version int) (*ent.RuleSet, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	q := c.RuleSet.Query().Where(ruleSetsAt(placeID)).Order(ent.Desc(ruleset.FieldVersion))
	if version != 0 {
		q.Where(ruleset.Version(version))
	}
	row, err := q.First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return row, err
}

// RulesStatus is which rules a server of the link has.
type RulesStatus struct {
	Digest  string // of the platform's set; empty: none
	Own     bool   // a file of its own decides
	Problem string // why newer ones don't count
}

// LinkRules gives the rules for the calling server, and their version. Errors:
// CodeUnauthenticated, CodeForbidden, CodeNotFound when none were saved.
func (p *Service) LinkRules(ctx context.Context) (version uint64, text string, err error) {
	who, err := auth.Require(ctx, auth.Link)
	if err != nil {
		return 0, "", err
	}
	row, err := p.core.Store.Client().RuleSet.Query().Where(ruleSetsAt(core.LinkPlace(who))).
		Order(ent.Desc(ruleset.FieldVersion)).First(core.System(ctx, "link"))
	if err != nil {
		return 0, "", core.NotFound(err, "set of rules for", who.Name)
	}
	return uint64(row.Version), row.Text, nil
}

// RuleNews notes which rules a server has, and gives the digest of those that it
// should have; empty: none were saved, or it takes none.
func RuleNews(ctx context.Context, p *core.Core, who auth.Principal, has *RulesStatus) (string, error) {
	if has == nil {
		return "", nil
	}
	c := p.Store.Client()
	row, err := c.TmrServer.Get(ctx, who.ID)
	if err != nil {
		return "", core.NotFound(err, "server", who.ID)
	}
	digest, problem := core.ClipText(has.Digest), core.ClipNote(has.Problem)
	if len(digest) > 64 {
		digest = "" // no digest of ours
	}
	if row.RulesDigest != digest || row.RulesOwn != has.Own || row.RulesProblem != problem {
		if err := c.TmrServer.UpdateOneID(who.ID).SetRulesDigest(digest).SetRulesOwn(has.Own).SetRulesProblem(problem).Exec(ctx); err != nil {
			return "", err
		}
	}
	digests, err := c.RuleSet.Query().Where(ruleSetsAt(core.LinkPlace(who))).Order(ent.Desc(ruleset.FieldVersion)).
		Limit(1).Select(ruleset.FieldDigest).Strings(ctx)
	if err != nil || len(digests) == 0 {
		return "", err
	}
	return digests[0], nil
}

// RulesReport is what rules would have refused of past grants.
type RulesReport struct {
	Since time.Time // grants that lived then or later were checked
	// Checked is how many. Complete: these were all.
	Checked  int
	Complete bool
	// RefusedCount is how many would have been refused, Refused the first of them.
	RefusedCount int
	Refused      []RefusedGrant
	// Unsure is how many might have been, by the address that they came from.
	Unsure int
	// Unknown are products whose reservations could not be checked, since nobody
	// tells how many licenses are in force.
	Unknown []license.Product
}

// RefusedGrant is an allocation that would not have come about.
type RefusedGrant struct {
	Allocation *ent.Allocation
	Rule       string
	Reason     string
}

// RuleSetAt is RuleSet by what people call a place. Errors: CodeNotFound,
// CodeInvalidInput.
func (p *Service) RuleSetAt(ctx context.Context, named core.Place, version int) (*ent.RuleSet, error) {
	if _, err := p.core.Read(ctx); err != nil {
		return nil, err
	}
	at, err := p.rulesPlace(ctx, named)
	if err != nil {
		return nil, err
	}
	return p.RuleSet(ctx, at.ID(), version)
}

// RuleSets gives the newest rules of TMR groups and containers, by their global
// ids, as far as the client's principal may see. The number of statements doesn't
// depend on the number of places.
func RuleSets(ctx context.Context, c *ent.Client, places []string) (map[string]*ent.RuleSet, error) {
	// Texts are long, and old versions have them, too.
	versions, err := c.RuleSet.Query().Where(ruleset.Or(ruleset.TmrGroupIDIn(places...), ruleset.ContainerIDIn(places...))).
		Order(ent.Asc(ruleset.FieldVersion)).
		Select(ruleset.FieldID, ruleset.FieldTmrGroupID, ruleset.FieldContainerID, ruleset.FieldVersion).All(ctx)
	if err != nil {
		return nil, err
	}
	newest := map[string]string{}
	for _, v := range versions {
		newest[core.PlaceID(v.TmrGroupID, v.ContainerID)] = v.ID
	}
	rows, err := c.RuleSet.Query().Where(ruleset.IDIn(slices.Collect(maps.Values(newest))...)).All(ctx)
	all := make(map[string]*ent.RuleSet, len(rows))
	for _, r := range rows {
		all[core.PlaceID(r.TmrGroupID, r.ContainerID)] = r
	}
	return all, err
}
