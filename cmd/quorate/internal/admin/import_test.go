package admin

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/importer"
)

const vendorOptions = `GROUP engineers anna ben
RESERVE 1 charts GROUP engineers
EXCLUDEALL USER mallory
TIMEOUTALL 7200
`

// imported runs an import that must succeed, and gives what became of each thing.
func (l *itemLab) imported(args ...string) (done []importDone) {
	l.t.Helper()
	if err := json.Unmarshal([]byte(l.quorate(append(append([]string{"import"}, args...), "--apply", "--json")...)), &done); err != nil {
		l.t.Fatal(err)
	}
	return done
}

func (l *itemLab) became(done []importDone, want string) {
	l.t.Helper()
	var got []string
	for _, d := range done {
		got = append(got, d.Kind+" "+d.Done)
	}
	if text := strings.Join(got, ", "); text != want {
		l.t.Errorf("%s instead of %s: %+v", text, want, done)
	}
}

// Plans change nothing; carried out they are there, and a second run changes
// nothing.
func TestImports(t *testing.T) {
	l := newItemLab(t)
	customers := l.file("customers.csv", "customer\nAcme Motors\n\"Beta, Inc.\"\n")
	items := l.file("items.csv", "product,item,quantity,expiration,units,features,usageDays,lingerSeconds,minimumVersion,text\n"+
		"6000010:14,Charts,2,2027-12-31,500,0x5,90,60,10.4,for ships\n")
	for _, file := range []string{customers, items} {
		if out := l.quorate("import", "csv", file); !strings.Contains(out, "nothing was changed") {
			t.Errorf("%s", out)
		}
	}
	if out := l.do("ls"); strings.Contains(out, "Charts, ") || strings.Contains(out, "for ships") {
		t.Errorf("a plan made an item: %s", out)
	}
	l.became(l.imported("csv", customers), "customer made, customer made")
	l.became(l.imported("csv", customers), "customer there, customer there")
	made := l.imported("csv", items)
	l.became(made, "item made")
	l.became(l.imported("csv", items), "item there")
	shown := l.do("show", made[0].ID)
	for _, line := range []string{"expires          2027-12-31", "units            500", "features         0x5", "usage period     90d", "linger           1m", "minimum version  10.4"} {
		if !strings.Contains(shown, line) {
			t.Errorf("%q is not in\n%s", line, shown)
		}
	}

	root, err := l.platform.RootKey(auth.With(t.Context(), auth.System("test")))
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(l.dir, name) }
	l.quorate("container", "create", at("box"), "--serial", "130-701", "--root", base64.StdEncoding.EncodeToString(root), "--bind", "none", "--fingerprint", at("print"))
	l.quorate("request", "--container", at("box"), "-o", at("request"))
	l.quorate("container", "register", at("request"), "--customer", "Acme Motors")
	orders := l.file("orders.csv", "customer,product,item,quantity,place,reference\nAcme Motors,6000010:14,Charts,3,130-701,PO-1\nAcme Motors,6000010:14,Charts,2,,PO-2\nAcme Motors,6000010:14,Charts,2,,PO-2\n")
	first := l.imported("csv", orders)
	l.became(first, "customer there, order made, ticket made, ticket made")
	again := l.imported("csv", orders)
	l.became(again, "customer there, order there, ticket there, ticket there")
	for i := range first {
		if first[i].ID != again[i].ID || first[i].Ticket != again[i].Ticket {
			t.Errorf("%+v, and again %+v", first[i], again[i])
		}
	}
	if a, b := first[2].Ticket, first[3].Ticket; len(a) != 29 || a == b {
		t.Errorf("tickets %q and %q", a, b)
	}

	wrong := l.file("wrong.csv", "customer,product,item,quantity,place\n\"Beta, Inc.\",6000010:14,Charts,1,130-701\nAcme Motors,6000010:14,Charts,1,130-799\nAcme Motors,6000010:14,None,1,\n")
	// What is refused is told before, with the same words.
	planned, _, status := l.command("import", "csv", wrong)
	if status != 0 || strings.Count(planned, "would fail: ") != 3 || !strings.Contains(planned, "3 would fail; nothing was changed") {
		t.Errorf("%d %s", status, planned)
	}
	for _, reason := range []string{"130-701 is not a place of Beta, Inc.", "there is no container 130-799", `the product 6000010:14 has no item "None"`} {
		if !strings.Contains(planned, reason) {
			t.Errorf("%q is not in the plan\n%s", reason, planned)
		}
	}
	unmade := l.file("unmade.csv", "product,item\n6000010:99,Unknown\n")
	var plan struct{ There, Failing []importDone }
	if err := json.Unmarshal([]byte(l.quorate("import", "csv", unmade, "--json")), &plan); err != nil || len(plan.There) != 0 || len(plan.Failing) != 1 || plan.Failing[0].Code != "NOT_FOUND" {
		t.Errorf("%+v, %v", plan, err)
	}
	out, _, status := l.command("import", "csv", wrong, "--apply")
	if status == 0 || strings.Count(out, "failed  ") != 3 || !strings.Contains(out, "[CONFLICT]") || strings.Count(out, "[NOT_FOUND]") != 2 {
		t.Errorf("%d %s", status, out)
	}

	options := l.file("vendor.opt", vendorOptions)
	args := []string{"flexnet-options", options, "--feature", "charts=6000010:14"}
	out, errs, status := l.command(append([]string{"import"}, args...)...)
	if status != 0 || !strings.Contains(out, "reserve 1 group:engineers product:6000010:14") || !strings.Contains(errs, "line 4, left out: TIMEOUTALL 7200") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if _, errs, status := l.command(append([]string{"import"}, append(args, "--apply", "--place", "130-701")...)...); status == 0 || !strings.Contains(errs, "--accept-left-out") {
		t.Errorf("something was left out without a word: %s", errs)
	}
}

// Rules are saved once.
func TestImportedRules(t *testing.T) {
	l := newItemLab(t)
	root, err := l.platform.RootKey(auth.With(t.Context(), auth.System("test")))
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(l.dir, name) }
	l.quorate("container", "create", at("box"), "--serial", "130-702", "--root", base64.StdEncoding.EncodeToString(root), "--bind", "none", "--fingerprint", at("print"))
	l.quorate("request", "--container", at("box"), "-o", at("request"))
	l.quorate("container", "register", at("request"))
	args := []string{"flexnet-options", l.file("vendor.opt", vendorOptions), "--feature", "charts=6000010:14", "--accept-left-out", "--place", "130-702"}
	l.became(l.imported(args...), "rules made")
	l.became(l.imported(args...), "rules there")
	args[1] = l.file("other.opt", "EXCLUDEALL USER zoe\n")
	if _, errs, status := l.command(append(append([]string{"import"}, args...), "--apply")...); status == 0 || !strings.Contains(errs, "--replace") {
		t.Errorf("other rules were replaced: %s", errs)
	}
	l.became(l.imported(append(args, "--replace")...), "rules made")
}

func TestImportCommandsThatAreRefused(t *testing.T) {
	l := newItemLab(t)
	table := l.file("customers.csv", "customer\nA\n")
	for want, args := range map[string][]string{
		"--dry-run and --apply": {"csv", table, "--apply", "--dry-run"},
		"no such file":          {"csv", table + ".none"},
		"is no product":         {"keygen", table, "--product", "a=b"},
		"no export from keygen": {"keygen", table},
		"--place":               {"flexnet-options", l.file("a.opt", "EXCLUDEALL USER a\n"), "--apply"},
	} {
		if _, errs, status := l.command(append([]string{"import"}, args...)...); status == 0 || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, status, errs)
		}
	}
	var p importer.Plan
	if err := json.Unmarshal([]byte(l.quorate("import", "csv", table, "--json")), &p); err != nil || len(p.Customers) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}
