package rulesets

import (
	"context"
	"errors"
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
	// Key: the same one gives the same rules, without another check; empty is no
	// key. A change that needs a confirmation uses none up.
	Key string `json:"-"`
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
// his own, too; CodeNotFound, CodeInvalidInput with line and column, CodeConflict
// when somebody else saved others meanwhile and for a key of another change,
// CodeThrottled.
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
	w := &saving{p: p, by: by, at: at, change: change, set: set}
	if err := w.run(ctx); err != nil {
		return SavedRules{}, err
	}
	return w.out, nil
}

// saving is one change of a place's rules.
type saving struct {
	p      *Service
	by     auth.Principal
	at     core.LoadedPlace
	change RulesChange
	set    *rules.Set

	checked bool
	out     SavedRules
}

// run answers what needs no check before one; the transaction looks again.
func (w *saving) run(caller context.Context) error {
	ctx := core.System(caller, "rules")
	w.out.Report.Since = core.Now().Add(-rulesPast)
	newest, err := newestRules(ctx, w.p.core.Store.Client().RuleSet.Query(), w.at)
	if err != nil {
		return err
	}
	if same := newest != nil && newest.Digest == w.set.Digest(); !same {
		known := false
		err := w.p.core.Store.WithTx(ctx, func(tx *store.Tx) (err error) {
			_, known, err = core.Made(ctx, tx, w.by.Organization, saveRules, w.change.Key, w.change)
			return err
		})
		if err != nil {
			return err
		}
		if !known {
			if err := w.change.madeFrom(newest); err != nil {
				return err
			}
			if w.out.Report, err = w.p.checkRules(caller, w.by, w.at, w.set); err != nil {
				return err
			}
			w.checked = true
		}
	}
	return w.p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		w.out.Set, w.out.Saved = nil, false
		ids, again, err := core.Once(ctx, tx, w.by.Organization, saveRules, w.change.Key, w.change, func() ([]string, error) {
			if err := w.save(caller, tx); err != nil {
				return nil, err
			}
			if !w.out.Saved {
				return nil, errUnconfirmed
			}
			return []string{w.out.Set.ID}, nil
		})
		if errors.Is(err, errUnconfirmed) {
			return nil // nothing was written
		}
		if err != nil || !again {
			return err
		}
		w.out.Saved = true
		w.out.Set, err = tx.RuleSet.Get(ctx, ids[0])
		return core.NotFound(err, "version of the rules", ids[0])
	})
}

// saveRules is the operation of idempotency keys.
const saveRules = "saveRules"

// errUnconfirmed keeps a key free.
var errUnconfirmed = errors.New("the change needs a confirmation")

// save writes the rules, if they are others and need no confirmation.
func (w *saving) save(caller context.Context, tx *store.Tx) error {
	ctx := core.System(caller, "rules")
	if err := core.LockPlace(ctx, tx, w.at.ID()); err != nil {
		return err
	}
	newest, err := newestRules(ctx, tx.RuleSet.Query(), w.at)
	if err != nil {
		return err
	}
	version, before := 0, map[string]any(nil)
	if w.out.Set = newest; newest != nil {
		version, before = newest.Version, ruleFacts(newest)
		if newest.Digest == w.set.Digest() {
			w.out.Saved = true
			return nil
		}
	}
	if err := w.change.madeFrom(newest); err != nil {
		return err
	}
	if !w.checked {
		return license.Errorf(license.CodeConflict, "look at what is there now, then change that", "the rules were changed this moment")
	}
	if w.out.Report.RefusedCount > 0 && !w.change.Confirm {
		return nil
	}
	group, single := w.at.Columns()
	row, err := tx.RuleSet.Create().SetVendorID(w.at.Vendor()).SetNillableCustomerID(w.at.Customer()).
		SetNillableTmrGroupID(group).SetNillableContainerID(single).
		SetVersion(version + 1).SetText(w.set.Text()).SetDigest(w.set.Digest()).SetSavedBy(core.ClipText(core.DisplayName(w.by))).
		SetByVendor(!w.by.IsSystem() && w.by.Organization == w.at.Vendor()).Save(ctx)
	if err != nil {
		return err
	}
	if _, err := tx.RuleSet.Delete().Where(ruleSetsAt(w.at.ID()), ruleset.VersionLTE(row.Version-keptRuleSets)).Exec(ctx); err != nil {
		return err
	}
	w.out.Set, w.out.Saved = row, true
	if !w.at.Single() {
		w.p.core.Publish(ctx, tx, event.TmrGroup, w.at.ID())
	}
	after := ruleFacts(row)
	after["wouldHaveRefused"] = w.out.Report.RefusedCount
	return core.Audit(caller, tx, core.AuditOwner(w.by, w.at.Vendor()), "rules.save", w.at.ID(), before, after)
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
