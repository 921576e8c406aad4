package platform_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/rulesets"
	"github.com/quorate/quorate/internal/platform/views"
)

// granted is the event of an access by a user, so long ago.
func granted(position uint64, user string, ago time.Duration) history.LeaseEvent {
	e := leaseEvent(position, history.LeaseGranted, fmt.Sprintf("h%d", position))
	e.User, e.At = user, time.Now().Add(-ago)
	return e
}

func ended(position uint64, of history.LeaseEvent, ago time.Duration) history.LeaseEvent {
	of.Position, of.Kind, of.At = position, history.LeaseReleased, time.Now().Add(-ago)
	return of
}

// used is a group with a history: Ada's of two months ago, and of last week one
// access of Ben and two of Carl at once.
func (l *lab) used() provision.Provisioned {
	l.t.Helper()
	made := l.provision()
	if _, err := l.ApplyView(l.link(made), made.Group.ID, views.ViewPush{Epoch: 1,
		Views: []views.PushedView{{View: viewOf(1, [3]uint32{3, 3, 3}, [3]uint32{7, 7, 7}), At: time.Now()}}}); err != nil {
		l.t.Fatal(err)
	}
	const day = 24 * time.Hour
	ada, ben, c1, c2 := granted(1, "ada", 60*day), granted(3, "ben", 7*day), granted(4, "carl", 7*day-time.Hour), granted(5, "carl", 7*day-2*time.Hour)
	if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, []history.LeaseEvent{
		ada, ended(2, ada, 59*day), ben, c1, c2, ended(6, c1, 6*day), ended(7, ben, 6*day), ended(8, c2, 5*day),
	}); err != nil {
		l.t.Fatal(err)
	}
	return made
}

func refusedUsers(r rulesets.RulesReport) string {
	var all []string
	for _, f := range r.Refused {
		all = append(all, f.Allocation.User+": "+f.Rule)
	}
	return strings.Join(all, ", ")
}

func TestRulesAreCheckedBeforeTheyAreSaved(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.used()
		ctx, at := l.customer(made.Group), core.Place{Group: made.Group.ID}
		told := l.watch(event.TmrGroup, made.Group.ID)
		change := rulesets.RulesChange{At: at, Text: "cap 1 user:carl\ndeny user:ada\n"}

		got, err := l.SaveRules(ctx, change)
		if err != nil || got.Saved || got.Set != nil {
			t.Fatalf("saved %v, %v", got, err)
		}
		if r := got.Report; r.Checked != 3 || !r.Complete || r.RefusedCount != 1 || refusedUsers(r) != "carl: cap user:carl" ||
			!strings.Contains(r.Refused[0].Reason, "carl") || time.Since(r.Since).Round(time.Hour) != 30*24*time.Hour {
			t.Errorf("the report: %+v", r)
		}
		if row, err := l.RuleSet(ctx, made.Group.ID, 0); err != nil || row != nil || l.audited("rules.save") != 0 {
			t.Errorf("saved without a confirmation: %v, %v", row, err)
		}
		wantQuiet(t, "no confirmation", told)

		change.Confirm = true
		if got, err = l.SaveRules(ctx, change); err != nil || !got.Saved || got.Set.Version != 1 || got.Set.SavedBy != "Carl Customer" || got.Report.RefusedCount != 1 {
			t.Fatalf("confirmed: %+v, %v", got, err)
		}
		wantSignal(t, "saved", told)
		// A lost answer: the same again.
		if got, err = l.SaveRules(ctx, change); err != nil || !got.Saved || got.Set.Version != 1 || l.audited("rules.save") != 1 {
			t.Errorf("again: %+v, %v", got, err)
		}
		// Somebody who has not seen them.
		_, err = l.SaveRules(ctx, rulesets.RulesChange{At: at, Text: "deny user:zoe"})
		wantCode(t, "an old version", err, license.CodeConflict)
		if got, err = l.SaveRules(ctx, rulesets.RulesChange{At: at, Text: "deny user:zoe", Expected: 1}); err != nil || !got.Saved || got.Set.Version != 2 {
			t.Errorf("what refuses nothing needs no confirmation: %+v, %v", got, err)
		}
		if old, err := l.RuleSet(ctx, made.Group.ID, 1); err != nil || old == nil || old.Text != change.Text {
			t.Errorf("the first version: %v, %v", old, err)
		}
		entry := l.Store().Client().AuditEntry.Query().Where(auditentry.Action("rules.save")).Order(auditentry.ByID()).FirstX(l.system())
		if entry.OrganizationID != *made.Group.CustomerID || entry.Target != made.Group.ID || entry.After["version"] != 1.0 || entry.After["wouldHaveRefused"] != 1.0 ||
			strings.Contains(fmt.Sprint(entry.Before, entry.After), "carl") {
			t.Errorf("audited: %+v", entry)
		}
		// The virtual container is the group's.
		_, err = l.CheckRules(ctx, core.Place{Container: made.Virtual.ID}, "")
		wantCode(t, "a container of a group", err, license.CodeInvalidInput)
	})
}

func TestCheckRules(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.used()
		ctx, at := l.customer(made.Group), core.Place{Group: made.Group.ID}
		for text, want := range map[string]string{
			"":                                      "",
			"allow user:ben":                        "carl: allow list of all licenses, carl: allow list of all licenses",
			"deny host:WS-1 product:6000010:15":     "",
			"deny host:WS-1 product:6000010:14":     "ben: deny host:WS-1 product:6000010:14, carl: deny host:WS-1 product:6000010:14, carl: deny host:WS-1 product:6000010:14",
			"reserve 1 user:ada name:for-ada":       "carl: for-ada",
			"reserve 1 user:ada product:6000010:15": "",
			"group crew user:ben user:carl\ncap 2 group:crew": "carl: cap group:crew",
			"deny subnet:10.0.0.0/8":                          "",
		} {
			r, err := l.CheckRules(ctx, at, text)
			if err != nil || refusedUsers(r) != want || r.Checked != 3 {
				t.Errorf("%q: %q, want %q: %+v, %v", text, refusedUsers(r), want, r, err)
			}
			if unsure := strings.Contains(text, "subnet"); (r.Unsure == 3) != unsure {
				t.Errorf("%q: %d of unknown address", text, r.Unsure)
			}
		}
		if n := l.Store().Client().RuleSet.Query().CountX(l.system()); n != 0 {
			t.Errorf("a check saved %d", n)
		}
		_, err := l.CheckRules(ctx, at, "deny user:ada\nnonsense")
		wantCode(t, "bad rules", err, license.CodeInvalidInput)
		if err == nil || !strings.Contains(err.Error(), "line 2, column 1") {
			t.Errorf("where: %v", err)
		}
		_, err = l.CheckRules(ctx, core.Place{}, "")
		wantCode(t, "no place", err, license.CodeInvalidInput)
		// Thousands of patterns against thousands of grants keep nobody's processor.
		l.QuickChecks()
		_, err = l.CheckRules(ctx, at, "deny host:*x")
		wantCode(t, "a check that takes too long", err, license.CodeTooLarge)
		_, err = l.SaveRules(ctx, rulesets.RulesChange{At: at, Text: "deny host:*x", Confirm: true})
		wantCode(t, "saving what can't be checked", err, license.CodeTooLarge)
	})
}

// Who may make rules, and for whom.
func TestRulesAreTheCustomers(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.used()
		at := core.Place{Group: made.Group.ID}
		in := func(role auth.Role) context.Context {
			p, err := auth.From(l.customer(made.Group))
			if err != nil {
				t.Fatal(err)
			}
			p.Role = role
			return l.as(p)
		}
		// Nobody of the customer can sign in yet: the vendor does it for him.
		if got, err := l.SaveRules(l.vendor(), rulesets.RulesChange{At: at, Text: "deny user:zoe"}); err != nil || !got.Saved {
			t.Fatalf("for a customer without accounts: %v, %v", got, err)
		}
		if err := l.Store().Client().ApiToken.Create().SetOrganizationID(*made.Group.CustomerID).SetName("x").SetRole(property.RoleViewer).
			SetHash([]byte("x")).Exec(l.system()); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			ctx         context.Context
			save, check license.Code
			reads       bool
		}{
			"nobody":           {t.Context(), license.CodeUnauthenticated, license.CodeUnauthenticated, false},
			"the vendor":       {l.vendor(), license.CodeForbidden, "", true},
			"a stranger":       {l.stranger(), license.CodeNotFound, license.CodeNotFound, false},
			"a viewer":         {in(auth.Viewer), license.CodeForbidden, license.CodeForbidden, true},
			"an operator":      {in(auth.Operator), "", "", true},
			"an administrator": {in(auth.Administrator), "", "", true},
			"a server":         {l.link(made), license.CodeForbidden, license.CodeForbidden, false},
		} {
			_, err := l.SaveRules(c.ctx, rulesets.RulesChange{At: at, Text: "deny user:zoe"})
			wantCode(t, name+" saves", err, c.save)
			_, err = l.CheckRules(c.ctx, at, "deny user:zoe")
			wantCode(t, name+" checks", err, c.check)
		}
		if _, err := l.SaveRules(in(auth.Owner), rulesets.RulesChange{At: at, Text: "deny user:zoe"}); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			ctx  context.Context
			sees bool
		}{"the vendor": {l.vendor(), true}, "a stranger": {l.stranger(), false}, "a viewer": {in(auth.Viewer), true}} {
			if row, err := l.RuleSet(c.ctx, made.Group.ID, 0); err != nil || (row != nil) != c.sees {
				t.Errorf("%s reads %v, %v", name, row, err)
			}
		}
	})
}

func TestOldRulesAreRemoved(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		ctx := l.customer(made.Group)
		for i := range 102 {
			if err := l.Store().Client().RuleSet.Create().SetVendorID(made.Group.VendorID).SetTmrGroupID(made.Group.ID).SetNillableCustomerID(made.Group.CustomerID).
				SetVersion(i + 1).SetText("").SetDigest("x").SetSavedBy("me").Exec(l.system()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.SaveRules(ctx, rulesets.RulesChange{At: core.Place{Group: made.Group.VirtualSerial}, Text: "deny user:u", Expected: 102}); err != nil {
			t.Fatal(err)
		}
		for version, there := range map[int]bool{0: true, 1: false, 3: false, 4: true, 103: true, 104: false} {
			if row, err := l.RuleSet(ctx, made.Group.ID, version); err != nil || (row != nil) != there {
				t.Errorf("version %d: %v, %v", version, row, err)
			}
		}
	})
}

// Two at once: one of them is told of the other.
func TestRulesSavedAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		ctx := l.customer(made.Group)
		results := make(chan license.Code)
		for i := range 2 {
			go func() {
				for { // while the other one's are checked, it is to come again
					_, err := l.SaveRules(ctx, rulesets.RulesChange{At: core.Place{Group: made.Group.ID}, Text: fmt.Sprintf("deny user:u%d", i)})
					if code := license.CodeOf(err); code != license.CodeThrottled {
						results <- code
						return
					}
				}
			}()
		}
		codes := []license.Code{<-results, <-results}
		slices.Sort(codes)
		if !slices.Equal(codes, []license.Code{"", license.CodeConflict}) {
			t.Errorf("%v", codes)
		}
	})
}

func TestServersGetTheirRules(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(5)
		made := o.made
		_, _, err := l.LinkRules(l.link(made))
		wantCode(t, "no rules", err, license.CodeNotFound)
		push := func(ctx context.Context, leading bool, has *rulesets.RulesStatus) string {
			t.Helper()
			at, err := l.Push(ctx, links.LinkPush{Leading: leading, ViewPush: views.ViewPush{Epoch: 1}, Rules: has})
			if err != nil {
				t.Fatal(err)
			}
			return at.RulesDigest
		}
		if d := push(l.link(made), true, &rulesets.RulesStatus{}); d != "" {
			t.Errorf("no rules have the digest %q", d)
		}
		group, err := l.SaveRules(l.customer(made.Group), rulesets.RulesChange{At: core.Place{Group: made.Group.ID}, Text: "deny user:ada"})
		if err != nil {
			t.Fatal(err)
		}
		single, err := l.SaveRules(l.customer(made.Group), rulesets.RulesChange{At: core.Place{Container: o.row.ID}, Text: "deny user:ben"})
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			ctx     context.Context
			leading bool
			digest  string
			text    string
		}{
			"the active TMR server":  {l.link(made), true, group.Set.Digest, "deny user:ada"},
			"the standby":            {l.standby(made), false, group.Set.Digest, "deny user:ada"},
			"a license server":       {l.as(o.server), true, single.Set.Digest, "deny user:ben"},
			"one beside another one": {l.as(o.server), false, single.Set.Digest, "deny user:ben"},
		} {
			if d := push(c.ctx, c.leading, &rulesets.RulesStatus{}); d != c.digest {
				t.Errorf("%s is told %q", name, d)
			}
			if d := push(c.ctx, c.leading, nil); d != "" {
				t.Errorf("%s takes no rules, and is told %q", name, d)
			}
			if version, text, err := l.LinkRules(c.ctx); err != nil || version != 1 || text != c.text {
				t.Errorf("%s gets %d %q, %v", name, version, text, err)
			}
		}
		_, _, err = l.LinkRules(l.customer(made.Group))
		wantCode(t, "a person", err, license.CodeForbidden)

		push(l.as(o.server), true, &rulesets.RulesStatus{Digest: single.Set.Digest, Own: true, Problem: strings.Repeat("ä\x00", 3000)})
		row := l.Store().Client().TmrServer.GetX(l.system(), o.server.ID)
		if row.RulesDigest != single.Set.Digest || !row.RulesOwn || row.RulesProblem == "" || len(row.RulesProblem) > 2000 {
			t.Errorf("noted: %+v", row)
		}
		push(l.as(o.server), true, &rulesets.RulesStatus{Digest: strings.Repeat("x", 5000)})
		if row := l.Store().Client().TmrServer.GetX(l.system(), o.server.ID); row.RulesDigest != "" || row.RulesOwn || row.RulesProblem != "" {
			t.Errorf("noted: %+v", row)
		}
	})
}

// What needs no check isn't refused because none can be made.
func TestRulesThatNeedNoCheck(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.used()
		ctx, at := l.customer(made.Group), core.Place{Group: made.Group.ID}
		if got, err := l.SaveRules(ctx, rulesets.RulesChange{At: at, Text: "deny host:*x"}); err != nil || !got.Saved {
			t.Fatalf("%+v, %v", got, err)
		}
		l.QuickChecks()
		if got, err := l.SaveRules(ctx, rulesets.RulesChange{At: at, Text: "deny host:*x"}); err != nil || !got.Saved || got.Set.Version != 1 || got.Report.Checked != 0 || got.Report.Complete {
			t.Errorf("the same again: %+v, %v", got, err)
		}
		_, err := l.SaveRules(ctx, rulesets.RulesChange{At: at, Text: "deny host:*y"})
		wantCode(t, "an old version", err, license.CodeConflict)
		if r, err := l.CheckRules(ctx, at, "# none\n"); err != nil || r.Checked != 3 || !r.Complete || r.RefusedCount != 0 {
			t.Errorf("no rules: %+v, %v", r, err)
		}
		if got, err := l.SaveRules(ctx, rulesets.RulesChange{At: at, Text: "", Expected: 1}); err != nil || !got.Saved || got.Set.Version != 2 {
			t.Errorf("no rules: %+v, %v", got, err)
		}
	})
}
