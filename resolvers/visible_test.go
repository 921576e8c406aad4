package resolvers_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/usageapi"
)

// TestVendorSeesWhatTheCustomerChose by queries, streams and exports: names of a
// customer's users that were planted are in none of them unless he shows them.
func TestVendorSeesWhatTheCustomerChose(t *testing.T) {
	const row = `user client station application processId`
	queries := map[string]string{
		"allocations": `{ allocations(first: 100) { edges { node { ` + row + ` } } } }`,
		"of one":      `{ container(serial: "131-4837572") { allocations(first: 100) { edges { node { ` + row + ` } } } } }`,
		"of all":      `{ containers(first: 100) { edges { node { allocations(first: 10) { edges { node { ` + row + ` } } } } } } }`,
		"node":        `{ node(id: "alc_001") { ... on Allocation { ` + row + ` } } }`,
		"denials":     `{ denials { edges { node { user client station application rule } } } }`,
		"denial":      `{ node(id: "den_2") { ... on Denial { user client station application rule } } }`,
		"check":       `{ checkRules(tmrGroup: "131-4837572", text: "deny everybody") { refused { reason rule allocation { ` + row + ` } } } }`,
		"rules":       `{ tmrGroup(id: "tmr_1") { ruleSet { text digest rules { who name } } } }`,
		"rules' rows": `{ tmrGroups { edges { node { ruleSet { text } } } } }`,
	}
	exports := []string{"allocations?format=csv", "allocations?format=json", "denials?format=csv", "denials?format=json", "metrics", "usage?format=csv", "log?firm=6000010"}
	w := newWorld(t)
	keys, err := core.NewMasterKey(make([]byte, core.MasterKeySize)) // as the world's
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := keys.Seal(t.Context(), core.PseudonymPurpose, []byte("a key of pseudonyms of 32 bytes."))
	if err != nil {
		t.Fatal(err)
	}
	w.change("", "", func(tx *store.Tx) error {
		ctx := w.system()
		if err := tx.Allocation.Update().SetUser("canary-u").SetClient("canary-c").SetStation("canary-s").SetApplication("canary-a").SetProcessID(776655).Exec(ctx); err != nil {
			return err
		}
		if err := tx.Denial.Create().SetID("den_2").SetVendorID("org_charts").SetCustomerID("org_port").SetContainerID("con_0").SetProductID("prd_1").
			SetPosition(2).SetAt(w.now).SetReason("LIMIT_REACHED").SetRule("deny user:canary-u").SetUser("canary-u").SetClient("canary-c").
			SetStation("canary-s").SetApplication("canary-a").SetMode(license.Exclusive).SetLicenses(1).Exec(ctx); err != nil {
			return err
		}
		return tx.RuleSet.Create().SetVendorID("org_charts").SetCustomerID("org_port").SetTmrGroupID("tmr_1").SetVersion(1).
			SetText("deny user:canary-u\n").SetDigest("canary-d").SetSavedBy("customer").Exec(ctx)
	})
	read := func(viewer string) map[string]string {
		t.Helper()
		all := map[string]string{}
		for name, query := range queries {
			all[name] = ask(w.serve(viewer), request{Query: query}).Body.String()
			if strings.Contains(all[name], `"errors"`) {
				t.Errorf("%s: %s", name, all[name])
			}
		}
		for _, what := range exports {
			name, _, _ := strings.Cut(what, "?")
			r := httptest.NewRequest("GET", "http://quorate.test/export/"+what, nil)
			rec := httptest.NewRecorder()
			if err := usageapi.Exports(w.platform)[name](rec, r.WithContext(w.as(r.Context(), viewer))); err != nil && name != "log" {
				t.Errorf("%s: %v", what, err)
			}
			all[what] = rec.Body.String()
		}
		for name, query := range map[string]string{
			"stream":            `subscription { allocationsChanged(container: "131-4837572") { upserted { ` + row + ` } } }`,
			"stream of denials": `subscription { denialsChanged(container: "131-4837572") { added { user client station application rule } } }`,
		} {
			s := dial(t, w.server(t, viewer), nil)
			s.init()
			s.subscribe("1", query)
			var m json.RawMessage
			s.data(&m)
			all[name] = string(m)
		}
		return all
	}
	tells := func(name string) bool {
		return name != "metrics" && !strings.HasPrefix(name, "usage") && !strings.HasPrefix(name, "log") && name != "stream of denials"
	}
	for _, choice := range []property.UserVisibility{property.VisibilityAll, property.VisibilityPseudonyms, property.VisibilityTotals} {
		w.change("", "", func(tx *store.Tx) error {
			return tx.Organization.UpdateOneID("org_port").SetUserVisibility(choice).SetPseudonymKey(sealed).Exec(w.system())
		})
		for name, body := range read("customer") {
			if tells(name) && !strings.Contains(body, "canary") {
				t.Errorf("%s: the customer doesn't see his users in %s: %s", choice, name, body)
			}
		}
		for name, body := range read("owner") {
			shown := strings.Contains(body, "canary") || strings.Contains(body, "776655")
			if shown && choice != property.VisibilityAll || !shown && choice == property.VisibilityAll && tells(name) {
				t.Errorf("%s: the vendor sees in %s: %s", choice, name, body)
			}
		}
	}
}

// TestNoQuestionNamesUsers: what is hidden can't be found out by asking for it
// either: no field that gives allocations or denials has an argument about who
// used them.
func TestNoQuestionNamesUsers(t *testing.T) {
	looked := 0
	for _, d := range graph.NewExecutableSchema(graph.Config{}).Schema().Types {
		for _, f := range d.Fields {
			if n := f.Type.Name(); n != "AllocationConnection" && n != "DenialConnection" && n != "AllocationsChange" && n != "DenialsChange" {
				continue
			}
			looked++
			for _, a := range f.Arguments {
				switch a.Name {
				case "after", "first", "before", "last", "container", "product", "active", "takesLicense", "customer", "from", "to", "reason", "borrowed", "mode", "state":
				default:
					t.Errorf("%s.%s can be asked by %s: if it tells of users, leave it out", d.Name, f.Name, a.Name)
				}
			}
		}
	}
	if looked < 4 {
		t.Errorf("only %d fields were looked at", looked)
	}
}
