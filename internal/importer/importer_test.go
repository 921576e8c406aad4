package importer

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rules"
)

var write = flag.Bool("write", false, "write the golden files anew")

// golden compares what came of a file with what is kept beside it.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	file := filepath.Join("testdata", name)
	if *write {
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != string(b) {
		t.Errorf("%s: %v; got\n%s", name, err, b)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func products() map[string]license.Product {
	return map[string]license.Product{"CAD_main": {Firm: 6000010, Code: 14}, "cad_mesh": {Firm: 6000010, Code: 15}, "cad": {Firm: 6000010, Code: 14}}
}

func TestOptionsFile(t *testing.T) {
	f, err := ParseFlexNet(read(t, "cad.opt"), products())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "cad.json", struct {
		Rules             []string
		Problems, Unknown any
	}{strings.Split(f.Rules, "\n"), told(f.Problems), f.Unknown})
	set, err := rules.Parse(f.Rules)
	if err != nil {
		t.Fatal(err)
	}
	// What was taken over decides as it did there.
	for _, c := range []struct {
		user, host, product string
		allowed             bool
	}{
		{"anna", "pc", "6000010:14", true},
		{"mallory", "pc", "6000010:14", false},
		{"ANNA", "pc", "6000010:15", true},
		{"zoe", "ws-02", "6000010:15", true},
		{"zoe", "pc", "6000010:15", false},
	} {
		p, err := license.ParseProduct(c.product)
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Evaluate(p, license.Ask{User: c.user, Host: c.host, Address: netip.MustParseAddr("10.1.1.1")}); got.Allowed != c.allowed {
			t.Errorf("%s at %s of %s: %+v", c.user, c.host, c.product, got)
		}
	}
}

func told(all []Problem) (lines []string) {
	for _, p := range all {
		lines = append(lines, p.String())
	}
	return lines
}

func TestKeygenExport(t *testing.T) {
	p, err := ParseKeygen(read(t, "keygen.json"), products())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "keygen.plan.json", p)
}

// Two people of one name are not one customer.
func TestKeygenOwnersOfOneName(t *testing.T) {
	const export = `{"data": [
		{"type": "licenses", "id": "1", "relationships": {"product": {"data": {"type": "products", "id": "cad"}}, "owner": {"data": {"type": "users", "id": "a"}}}},
		{"type": "licenses", "id": "2", "relationships": {"product": {"data": {"type": "products", "id": "cad"}}, "user": {"data": {"type": "users", "id": "a"}}}},
		{"type": "licenses", "id": "3", "relationships": {"product": {"data": {"type": "products", "id": "cad"}}, "owner": {"data": {"type": "users", "id": "b"}}}}
	], "included": [
		{"type": "users", "id": "a", "attributes": {"fullName": "Anna Smith", "email": "a@example.com"}},
		{"type": "users", "id": "b", "attributes": {"firstName": "Anna", "lastName": "Smith", "email": "b@example.com"}}
	]}`
	p, err := ParseKeygen([]byte(export), products())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Customers) != 1 || len(p.Orders) != 2 || p.Orders[0].Key != "keygen:1" || p.Orders[1].Key != "keygen:2" {
		t.Errorf("%+v", p)
	}
	if i := slices.IndexFunc(p.Problems, func(p Problem) bool {
		return p.LeftOut && p.What == "license 3" && strings.Contains(p.Reason, "Anna Smith")
	}); i < 0 {
		t.Errorf("a license was given to another one: %+v", p.Problems)
	}
}

func TestTables(t *testing.T) {
	for _, name := range []string{"customers", "items", "orders"} {
		p, err := ParseCSV(read(t, name+".csv"))
		if err != nil {
			t.Fatal(name, err)
		}
		golden(t, name+".plan.json", p)
	}
}

// The same file gives the same keys, so that a second run changes nothing.
func TestKeysStay(t *testing.T) {
	for range 3 {
		a, err := ParseCSV(read(t, "orders.csv"))
		b, err2 := ParseCSV(read(t, "orders.csv"))
		if err != nil || err2 != nil || len(a.Orders) < 2 || a.Orders[1].Key == a.Orders[2].Key {
			t.Fatal(a, err, err2)
		}
		for i := range a.Orders {
			if a.Orders[i] != b.Orders[i] {
				t.Errorf("%+v and %+v", a.Orders[i], b.Orders[i])
			}
		}
	}
}

// The platform takes idempotency keys and references of 200 bytes.
func TestKeysAreShort(t *testing.T) {
	p, err := ParseCSV([]byte("customer,product,item,quantity,key\na,7:1,b,1," + strings.Repeat("k", 100) + "\na,7:1,b,1," + strings.Repeat("k", 101) + "\n"))
	if err != nil || len(p.Orders) != 1 || len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Reason, "longer than 100 bytes") {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	flexnet := func(b []byte) error { _, err := ParseFlexNet(b, products()); return err }
	keygen := func(b []byte) error { _, err := ParseKeygen(b, products()); return err }
	table := func(b []byte) error { _, err := ParseCSV(b); return err }
	for name, c := range map[string]struct {
		read func([]byte) error
		file string
		code license.Code
	}{
		"no export":            {keygen, `{"data": {"type": "licenses"}}`, license.CodeInvalidInput},
		"no JSON":              {keygen, "customer\n", license.CodeInvalidInput},
		"two values":           {keygen, `{"data": []} {}`, license.CodeInvalidInput},
		"a large export":       {keygen, strings.Repeat(" ", MostBytes+1), license.CodeTooLarge},
		"many options":         {flexnet, strings.Repeat("\n", MostLines+1), license.CodeTooLarge},
		"a large options file": {flexnet, strings.Repeat("#", MostBytes+1), license.CodeTooLarge},
		"all of it unknown":    {flexnet, strings.Repeat("X\n", MostProblems+1), license.CodeInvalidInput},
		"no header":            {table, "", license.CodeInvalidInput},
		"an unknown column":    {table, "customer,colour\n", license.CodeInvalidInput},
		"a column twice":       {table, "customer,customer\n", license.CodeInvalidInput},
		"a column too few":     {table, "customer,item,quantity\n", license.CodeInvalidInput},
		"many rows":            {table, "customer\n" + strings.Repeat("a\n", MostLines+1), license.CodeTooLarge},
	} {
		if err := c.read([]byte(c.file)); license.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFlexNet: what is read is a set of rules, and no option is dropped silently.
func FuzzFlexNet(f *testing.F) {
	f.Add(string(read(f, "cad.opt")))
	for _, s := range []string{"", "GROUP a b\nRESERVE 1 cad GROUP a", "MAX 4294967296 cad USER a", `INCLUDE cad USER "a b#"`, "GROUP a \\\n b\\", "HOST_GROUP h *.*.*.*", "\"\"", "GROUP g \"\"", "EXCLUDEALL HOST fe80::1%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		out, err := ParseFlexNet([]byte(file), products())
		if err != nil {
			if license.CodeOf(err) == license.CodeInternal {
				t.Fatal(err)
			}
			return
		}
		if _, err := rules.Parse(out.Rules); err != nil {
			t.Fatalf("%v in\n%s", err, out.Rules)
		}
		s, _, _ := text([]byte(file))
		lines, _ := optionLines(s)
		seen := map[int]bool{}
		for _, p := range out.Problems {
			seen[p.Line] = true
		}
		for line := range strings.Lines(out.Rules) {
			if _, n, ok := strings.Cut(strings.TrimSpace(line), "  # line "); ok {
				if n, err := strconv.Atoi(n); err == nil {
					seen[n] = true
				}
			}
		}
		for _, l := range lines {
			taken := len(l.words) > 2 && (strings.EqualFold(l.words[0], "GROUP") || strings.EqualFold(l.words[0], "HOST_GROUP")) && l.fault == ""
			if !seen[l.number] && !taken {
				t.Errorf("line %d is neither in the rules nor told: %q\n%s", l.number, l.text, out.Rules)
			}
		}
	})
}

// FuzzKeygen: each license is ordered, or told why not.
func FuzzKeygen(f *testing.F) {
	f.Add(string(read(f, "keygen.json")))
	f.Add(`{"data":[{"type":"licenses","id":"1","attributes":{"maxMachines":1.5,"maxUses":-1},"relationships":{"product":{"data":{"type":"products","id":"cad"}},"user":{"data":[]}}}]}`)
	f.Fuzz(func(t *testing.T, file string) {
		p, err := ParseKeygen([]byte(file), products())
		if err != nil {
			return
		}
		var doc struct{ Data []json.RawMessage }
		if json.Unmarshal([]byte(file), &doc) != nil {
			return // the last one of a name twice counts, whatever the letter case
		}
		left := 0
		for _, x := range p.Problems {
			if x.LeftOut {
				left++
			}
		}
		if len(p.Orders)+left != len(doc.Data) {
			t.Errorf("%d licenses, %d orders, %d left out", len(doc.Data), len(p.Orders), left)
		}
	})
}

// FuzzCSV: orders name customers of the plan, and have keys of their own.
func FuzzCSV(f *testing.F) {
	for _, name := range []string{"customers.csv", "items.csv", "orders.csv"} {
		f.Add(string(read(f, name)))
	}
	f.Fuzz(func(t *testing.T, file string) {
		p, err := ParseCSV([]byte(file))
		if err != nil {
			if license.CodeOf(err) == license.CodeInternal {
				t.Fatal(err)
			}
			return
		}
		customers, keys := map[string]bool{}, map[string]bool{}
		for _, c := range p.Customers {
			if customers[c.Name] {
				t.Errorf("%q is there twice", c.Name)
			}
			customers[c.Name] = true
		}
		for _, o := range p.Orders {
			if !customers[o.Customer] || keys[o.Key] || o.Quantity == 0 {
				t.Errorf("%+v", o)
			}
			keys[o.Key] = true
		}
	})
}

// TestDifferences: an item that is there is compared in each option that the
// file says anything of, and in no other one.
func TestDifferences(t *testing.T) {
	all, err := ParseCSV([]byte(strings.Join(itemColumns(), ",") + "\n" +
		"6000010:14,Charts,2,yes,2026-01-01,2027-12-31,90,500,0x5,2026-01-02,2026-01-03,10.4,for ships,60\n"))
	if err != nil || len(all.Items) != 1 {
		t.Fatal(all, err)
	}
	file := all.Items[0]
	if got := all.Differences(file, file); got != nil {
		t.Errorf("it differs from itself: %v", got)
	}
	empty := Item{Product: file.Product, Name: file.Name, Quantity: 1, UsagePeriod: 86401}
	var told []string
	for _, d := range all.Differences(empty, file) {
		told = append(told, d.String())
	}
	want := []string{
		"quantity 1 → 2", "tmr no → yes", "activation none → 2026-01-01T00:00:00Z", "expiration none → 2027-12-31T00:00:00Z",
		"usageDays 1 and 1 s → 90", "units none → 500", "features none → 0x5", "maintenanceFrom none → 2026-01-02T00:00:00Z",
		"maintenanceUntil none → 2026-01-03T00:00:00Z", "minimumVersion none → 10.4", `text none → "for ships"`, "lingerSeconds none → 60",
	}
	if !slices.Equal(told, want) {
		t.Errorf("%q", told)
	}
	some, err := ParseCSV([]byte("product,item,units\n6000010:14,Charts,\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := some.Differences(file, some.Items[0]); len(got) != 1 || got[0] != (Difference{"units", "500", "none"}) {
		t.Errorf("%v", got)
	}
	long := file
	long.Text = strings.Repeat("x", 2000)
	if got := all.Differences(long, file); len(got) != 1 || len(got[0].There) > 200 {
		t.Errorf("%v", got)
	}
	old, err := ParseKeygen(read(t, "keygen.json"), products())
	if err != nil {
		t.Fatal(err)
	}
	there := old.Items[0]
	there.Quantity, there.Expiration = 7, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := old.Differences(there, old.Items[0]); len(got) != 1 || got[0].Field != "expiration" {
		t.Errorf("%v", got)
	}
}
