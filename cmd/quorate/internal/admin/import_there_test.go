package admin

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/importer"
)

// TestImportTellsWhatDiffers: an item of the same name whose options are others
// is told by the plan and by what carries it out, with each option, and stays as
// it is.
func TestImportTellsWhatDiffers(t *testing.T) {
	l := newItemLab(t)
	const header = "product,item,quantity,expiration,usageDays,text\n"
	first := l.file("items.csv", header+"6000010:14,Charts,2,2027-12-31,90,for ships\n6000010:14,Same,1,,,\n")
	l.became(l.imported("csv", first), "item made, item made")
	other := l.file("other.csv", header+"6000010:14,Charts,5,,90,for ships\n6000010:14,Same,1,,,\n6000010:14,New,1,,,\n")
	const differs = "quantity 2 → 5, expiration 2027-12-31T00:00:00Z → none"

	out := l.quorate("import", "csv", other)
	for _, want := range []string{"there, differs: " + differs, "2 are there, 1 of them differs"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the plan\n%s", want, out)
		}
	}
	var plan struct {
		importer.Plan
		Compared bool
		There    []importDone
	}
	if err := json.Unmarshal([]byte(l.quorate("import", "csv", other, "--json")), &plan); err != nil || !plan.Compared || len(plan.Items) != 3 {
		t.Errorf("%+v, %v", plan, err)
	}
	l.became(plan.There, "item differs, item there")
	if d := plan.There[0].Differences; len(d) != 2 || d[0] != (importer.Difference{Field: "quantity", There: "2", File: "5"}) {
		t.Errorf("%+v", d)
	}

	out, _, status := l.command("import", "csv", other, "--apply")
	if status != cli.ExitFailure || !strings.Contains(out, differs) || !strings.Contains(out, "1 made, 1 there, 1 differs, 0 failed\n") {
		t.Errorf("%d\n%s", status, out)
	}
	out, _, status = l.command("import", "csv", other, "--apply", "--json")
	var done []importDone
	if err := json.Unmarshal([]byte(out), &done); err != nil || status != cli.ExitFailure {
		t.Errorf("%d %v\n%s", status, err, out)
	}
	l.became(done, "item differs, item there, item there")
	if shown := l.do("show", done[0].ID); !strings.Contains(shown, "quantity      2") || !strings.Contains(shown, "2027-12-31") {
		t.Errorf("it was changed:\n%s", shown)
	}
	// What the file has no column for is as it may be, and tickets are made of
	// an item that differs.
	l.became(l.imported("csv", l.file("names.csv", "product,item\n6000010:14,Charts\n")), "item there")
	orders := l.file("orders.csv", "customer,product,item,quantity\nAcme,6000010:14,Charts,3\n")
	l.became(l.imported("csv", orders), "customer made, ticket made")
	if err := json.Unmarshal([]byte(l.quorate("import", "csv", orders, "--json")), &plan); err != nil {
		t.Error(err)
	}
	l.became(plan.There, "customer there, ticket there")
	// So it is with a ticket of the same key.
	keyed := l.file("keyed.csv", "customer,product,item,quantity,key\nAcme,6000010:14,Charts,3,k\n")
	l.became(l.imported("csv", keyed), "customer there, ticket made")
	keyed = l.file("keyed.csv", "customer,product,item,quantity,key\nBeta,6000010:14,Same,7,k\n")
	out, _, status = l.command("import", "csv", keyed, "--apply")
	if status != cli.ExitFailure || !strings.Contains(out, "customer Acme → Beta, item Charts → Same, quantity 3 → 7\n") {
		t.Errorf("%d\n%s", status, out)
	}
}

// TestImportedPolicyDiffers: so it is with what keygen has.
func TestImportedPolicyDiffers(t *testing.T) {
	l := newItemLab(t)
	export := l.file("licenses.json", `{"data": [{"type": "licenses", "id": "a", "attributes": {"expiry": "2030-01-01T00:00:00Z", "maxMachines": 2},
		"relationships": {"product": {"data": {"type": "products", "id": "cad"}}, "owner": {"data": {"type": "users", "id": "u"}}}}],
		"included": [{"type": "users", "id": "u", "attributes": {"email": "a@example.com"}}]}`)
	args := []string{"keygen", export, "--product", "cad=6000010:14"}
	made := l.imported(args...)
	l.became(made, "customer made, item made, ticket made")
	l.quorate("item", "update", made[1].ID, "--expiration", "2031-01-01")
	out, _, status := l.command(append([]string{"import"}, append(args, "--apply")...)...)
	if status != cli.ExitFailure || !strings.Contains(out, "expiration 2031-01-01T00:00:00Z → 2030-01-01T00:00:00Z") {
		t.Errorf("%d\n%s", status, out)
	}
}

// TestPlanWithoutThePlatform: a plan is shown also where the platform can't be
// asked, and says so.
func TestPlanWithoutThePlatform(t *testing.T) {
	l := newItemLab(t)
	items := l.file("items.csv", "product,item\n6000010:14,Charts\n")
	for _, more := range [][]string{nil, {"--json"}, {"--token", "wrong", "--url", l.url}} {
		var out, errs bytes.Buffer
		status := run(t.Context(), append([]string{"import", "csv", items}, more...), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
		if status != 0 || !strings.Contains(out.String(), "Charts") || !strings.HasPrefix(errs.String(), "not compared with the platform: ") || strings.Contains(out.String(), `"compared":true`) {
			t.Errorf("%v: %d %s%s", more, status, out.String(), errs.String())
		}
	}
}
