package resolvers_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	entgo "entgo.io/ent"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/store"
)

// How many statements a list takes depends on what is asked for, not on how
// many rows there are.
func TestListsTakeNoMoreStatementsForMoreRows(t *testing.T) {
	queries := map[string]string{
		"firms":       `{ firms(first: 20) { totalCount edges { node { name keys { serial publicKey } products(first: 20) { totalCount edges { node { reference items(first: 20) { edges { node { name } } } } } } } } } }`,
		"products":    `{ products(first: 100) { totalCount edges { node { reference publicKey firm { name code } } } } }`,
		"items":       `{ items(first: 100) { totalCount edges { node { featureMap placeCount product { reference firm { code } } } } } }`,
		"containers":  `{ containers(first: 100) { totalCount edges { node { serial updateCounter tmrGroup { name orderedQuantity servers { name rules { digest } } } ruleSet { version rules { name } } customer { name } licenses { quantity product { reference } item { product { reference } } } rollout { offline } rollouts(first: 2) { edges { node { offline } } } transfers(first: 2) { edges { node { quantity } } } } } } }`,
		"allocations": `{ allocations(first: 100, active: true) { totalCount edges { node { mode product { reference } container { serial updateCounter tmrGroup { health } } } } } }`,
		"tmrGroups":   `{ tmrGroups(first: 50) { totalCount edges { node { status health linked orderedQuantity customer { name } servers { role } ruleSet { version } rollout { state } virtualContainer { serial } rollouts(first: 2) { edges { node { number } } } } } } }`,
		"rollouts":    `{ rollouts(first: 100) { totalCount edges { node { state tmrGroup { name rollout { number } } } } } }`,
		"orders":      `{ orders(first: 100) { totalCount edges { node { rolledOut item { product { reference } } tmrGroup { name orderedQuantity } } } } }`,
		"use":         `{ containers(first: 100) { edges { node { use { product total taken free modes { mode licenses borrowed } } } } } allocations(first: 5, active: true, takesLicense: true, product: "6000010:14") { edges { node { removal { by } } } } }`,
		"denials":     `{ denials(first: 100) { totalCount edges { node { reason product { reference } container { serial } } } } }`,
		"usage":       `{ usage(container: "131-4837572", product: "6000010:14", from: "2026-01-01T00:00:00Z", resolution: DAY) { container { serial use { taken } } product { reference } points { peak } } }`,
		"usageLog":    `{ usageLog(firm: "6000010") { hash firm { code } gaps { number } } }`,
		"members":     `{ members(first: 100) { totalCount edges { node { email effectiveRole groups { name members { name } } } } } }`,
		"groups":      `{ memberGroups(first: 100) { totalCount edges { node { memberCount members { name effectiveRole } } } } }`,
		"invitations": `{ invitations(first: 100) { totalCount edges { node { email } } } }`,
		"report":      `{ usageReport(from: "2026-01-01T00:00:00Z", first: 100) { totalCount edges { node { peak product { reference firm { code } } container { serial updateCounter use { taken } tmrGroup { name } } } } } }`,
		"memberships": `{ viewer { memberships { role organization { name } } } }`,
		"audit":       `{ auditEntries(first: 100) { totalCount edges { node { actor changes { name } } } } }`,
	}
	for name, query := range maps.Clone(queries) {
		queries[name+" by other names"], _ = renamedQuery(t, query, false)
		queries[name+" by several names"], _ = renamedQuery(t, query, true)
	}
	w := newWorld(t)
	var statements atomic.Int64
	w.store.Client().Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			statements.Add(1)
			return next.Query(ctx, q)
		})
	}))
	count := func(name string) int64 {
		t.Helper()
		statements.Store(0)
		if body := ask(w.serve("owner"), request{Query: queries[name]}).Body.String(); strings.Contains(body, `"errors"`) {
			t.Fatalf("%s: %s", name, body)
		}
		return statements.Load()
	}
	w.change("", "", func(tx *store.Tx) error {
		g, err := tx.MemberGroup.Create().SetOrganizationID("org_charts").SetName("first").SetRole(property.RoleViewer).Save(w.system())
		if err != nil {
			return err
		}
		return tx.MemberGroupEntry.Create().SetOrganizationID("org_charts").SetMemberID("mem_viewer").SetMemberGroupID(g.ID).Exec(w.system())
	})
	few := map[string]int64{}
	for name := range queries {
		few[name] = count(name)
		if few[name] == 0 {
			t.Fatalf("%s: nothing was counted", name)
		}
	}
	port := "org_port"
	w.change("", "", func(tx *store.Tx) error {
		for i := range 12 {
			suffix := fmt.Sprintf("_%02d", i)
			if err := w.seedVendor(w.system(), tx, "org_charts", port, suffix, 6001000+i, fmt.Sprintf("131-5%02d", i)); err != nil {
				return err
			}
			m, err := tx.Member.Create().SetOrganizationID("org_charts").SetEmail(suffix + "@example.com").SetName("x").
				SetRole(property.RoleViewer).Save(w.system())
			if err != nil {
				return err
			}
			org, err := tx.Organization.Create().SetName(suffix).SetVendor(true).Save(w.system())
			if err != nil {
				return err
			}
			if err := tx.Member.Create().SetOrganizationID(org.ID).SetUserID("usr_owner").SetEmail("owner@example.com").SetName("owner").
				SetRole(property.RoleViewer).Exec(w.system()); err != nil {
				return err
			}
			g, err := tx.MemberGroup.Create().SetOrganizationID("org_charts").SetName(suffix).SetRole(property.RoleViewer).Save(w.system())
			if err != nil {
				return err
			}
			if err := tx.MemberGroupEntry.Create().SetOrganizationID("org_charts").SetMemberID(m.ID).SetMemberGroupID(g.ID).Exec(w.system()); err != nil {
				return err
			}
		}
		return nil
	})
	for name := range queries {
		if many := count(name); many != few[name] {
			t.Errorf("%s: %d statements for few rows, %d for many", name, few[name], many)
		}
	}
}

// A list reads the columns that it is asked for; ent goes by the names that
// fields have in the API.
func TestListsReadTheColumnsThatAreAskedFor(t *testing.T) {
	w := newWorld(t)
	var read []string
	w.store.Client().Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			if about := entgo.QueryFromContext(ctx); about.Op == entgo.OpQueryAll {
				read = append(read, about.Type+" "+strings.Join(about.Fields, " "))
			}
			return next.Query(ctx, q)
		})
	}))
	for query, want := range map[string]string{
		`{ allocations { edges { node { handle processId user } } } }`: "Allocation id handle process_id user",
		`{ tmrGroups { edges { node { name tmrId } } } }`:              "TmrGroup id name tmr_id",
		`{ rollouts { edges { node { state tmrId } } } }`:              "Rollout id state tmr_id",
		`{ identityProviders { edges { node { name clientId } } } }`:   "IdentityProvider id name client_id",
	} {
		read = nil
		if body := ask(w.serve("owner"), request{Query: query}).Body.String(); strings.Contains(body, `"errors"`) || !slices.Contains(read, want) {
			t.Errorf("%s read %q: %s", query, read, body)
		}
	}
}

// Nor does a check of rules for more grants that they would have refused.
func TestRefusedGrantsTakeNoMoreStatements(t *testing.T) {
	w := newWorld(t)
	var statements atomic.Int64
	w.store.Client().Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			statements.Add(1)
			return next.Query(ctx, q)
		})
	}))
	var took []int64
	for rules, want := range map[string]int{"cap 2 everybody": 1, "deny everybody": 3} {
		statements.Store(0)
		body := ask(w.serve("customer"), request{Query: fmt.Sprintf(`{ checkRules(tmrGroup: "131-4837572", text: %q) { refused { allocation {
			product { reference firm { name } } container { serial updateCounter tmrGroup { name } } } } } }`, rules)}).Body.String()
		if n := strings.Count(body, `"allocation"`); n != want || strings.Contains(body, `"errors"`) {
			t.Fatalf("%s: %d refused, want %d: %s", rules, n, want, body)
		}
		took = append(took, statements.Load())
	}
	if took[0] != took[1] {
		t.Errorf("%d statements for some, %d for others", took[0], took[1])
	}
}
