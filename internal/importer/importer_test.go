package importer

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

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
	p, err := ParseKeygen([][]byte{read(t, "keygen.json")}, products())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "keygen.plan.json", p)
}

// keygen gives licenses in pages, and what they name in lists of its own: all of
// it is taken together, in any order and however it is put into files.
func TestKeygenPages(t *testing.T) {
	license := func(id, owner string) string {
		return `{"type": "licenses", "id": "` + id + `", "attributes": {"key": "K` + id + `", "maxMachines": 2, "maxMemory": 5}, "relationships": {
			"product": {"data": {"type": "products", "id": "p"}}, "policy": {"data": {"type": "policies", "id": "pol"}}, ` + owner + `}}`
	}
	list := func(entries string, links string) []byte {
		return []byte(`{"data": [` + entries + `], "links": {` + links + `}}` + "\n")
	}
	one := list(license("1", `"owner": {"data": {"type": "users", "id": "u"}}`), `"self": "/l?page=1", "prev": null, "next": "/l?page=2", "meta": {"pages": 2, "count": 2}`)
	two := list(license("2", `"owner": {"data": null}, "group": {"data": {"type": "groups", "id": "g"}}`), `"self": "/l?page=2", "next": null`)
	users := list(`{"type": "users", "id": "u", "attributes": {"fullName": "Anna Smith"}}`, "")
	rest := slices.Concat([]byte("\ufeff"), list(`{"type": "groups", "id": "g", "attributes": {"name": "Beta"}}`, ""),
		list(`{"type": "policies", "id": "pol", "attributes": {"name": "Floating"}}`, ""), list(`{"type": "products", "id": "p", "attributes": {"code": "cad"}}`, ""))
	for name, c := range map[string]struct {
		files  [][]byte
		orders int
		told   []string
	}{
		"all":       {[][]byte{one, two, users, rest}, 2, nil},
		"backwards": {[][]byte{rest, users, two, one}, 2, nil},
		"in one":    {[][]byte{slices.Concat(rest, users, two, one)}, 2, nil},
		"a page":    {[][]byte{one, users, rest}, 1, []string{"differs: a page: another page follows it: /l?page=2 (import all pages together)"}},
		"no users":  {[][]byte{one, two, rest}, 1, []string{"left out: license 1: its owner is in none of the files (give the export of the users, too)"}},
		"alone": {[][]byte{one, two}, 0, []string{
			`left out: license 1 and 1 more: it is not known which product "p" is (say it with --product ID=FIRM:PRODUCT; by code or name where the products' export is given, too)`,
		}},
		"without pages": {[][]byte{rest, users, list(strings.Repeat(license("1", `"owner": null`)+",", 9)+license("1", `"owner": null`), "")}, 0, []string{
			"differs: 10 licenses: there may be more: without page[number], keygen gives at most 100 and doesn't tell (ask for page[number]=1&page[size]=100, and then for the next ones)",
			"left out: license 1: it belongs to nobody (give it an owner or a group in keygen)",
			"left out: license 1: its id was there before",
		}},
	} {
		p, err := ParseKeygen(c.files, products())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := slices.DeleteFunc(told(p.Problems), func(s string) bool { return strings.Contains(s, "key: ") || strings.Contains(s, "maxMemory: ") })
		if len(p.Orders) != c.orders || !slices.Equal(slices.Compact(got), c.told) {
			t.Errorf("%s: %d orders, %q", name, len(p.Orders), got)
		}
		if c.orders == 2 && (len(p.Items) != 1 || p.Items[0].Name != "Floating" || len(p.Customers) != 2) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// What is so of each license is told once: a vendor's whole export can be taken.
func TestKeygenOfManyLicenses(t *testing.T) {
	const n = MostProblems + 10
	var b strings.Builder
	b.WriteString(`{"data": [{"type": "users", "id": "u", "attributes": {"fullName": "Anna Smith"}}`)
	for i := range 2 * n {
		status := "ACTIVE"
		if i%2 == 1 {
			status = "EXPIRED"
		}
		fmt.Fprintf(&b, `,{"type": "licenses", "id": "%d", "attributes": {"key": "K", "status": %q, "metadata": {"a": %d}}, "relationships": {"product": {"data": {"type": "products", "id": "cad"}}, "owner": {"data": {"type": "users", "id": "u"}}}}`, i, status, i)
	}
	b.WriteString(`]}`)
	p, err := ParseKeygen([][]byte{[]byte(b.String())}, products())
	if err != nil || len(p.Orders) != n || !slices.Contains(told(p.Problems), fmt.Sprintf("left out: license 1 and %d more: it is expired", n-1)) {
		t.Errorf("%d orders, %q, %v", len(p.Orders), told(p.Problems), err)
	}
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
	p, err := ParseKeygen([][]byte{[]byte(export)}, products())
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
	keygen := func(b []byte) error { _, err := ParseKeygen([][]byte{b}, products()); return err }
	table := func(b []byte) error { _, err := ParseCSV(b); return err }
	for name, c := range map[string]struct {
		read func([]byte) error
		file string
		code license.Code
	}{
		"no export":            {keygen, `{"data": {"type": "licenses"}}`, license.CodeInvalidInput},
		"no JSON":              {keygen, "customer\n", license.CodeInvalidInput},
		"another value":        {keygen, `{"data": []} {}`, license.CodeInvalidInput},
		"an error of keygen's": {keygen, `{"errors": [{"title": "Unauthorized"}]}`, license.CodeInvalidInput},
		"a large export":       {keygen, strings.Repeat(" ", MostExport+1), license.CodeTooLarge},
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
		p, err := ParseKeygen([][]byte{[]byte(file)}, products())
		if err != nil {
			return
		}
		all, dec := 0, json.NewDecoder(strings.NewReader(strings.TrimPrefix(file, "\ufeff")))
		for {
			var doc struct{ Data, Included []struct{ Type string } }
			if err := dec.Decode(&doc); err != nil {
				break
			}
			for _, r := range slices.Concat(doc.Data, doc.Included) {
				if !slices.Contains([]string{"users", "groups", "policies", "products"}, r.Type) {
					all++
				}
			}
		}
		left := 0
		for _, x := range p.Problems {
			if x.LeftOut {
				left += 1 + x.More
			}
		}
		if len(p.Orders)+left != all {
			t.Errorf("%d licenses, %d orders, %d left out", all, len(p.Orders), left)
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
	old, err := ParseKeygen([][]byte{read(t, "keygen.json")}, products())
	if err != nil {
		t.Fatal(err)
	}
	there := old.Items[0]
	there.Quantity, there.Expiration = 7, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := old.Differences(there, old.Items[0]); len(got) != 1 || got[0].Field != "expiration" {
		t.Errorf("%v", got)
	}
}

// Spreadsheets write tables in many ways; all of these are the same one.
func TestTablesOfSpreadsheets(t *testing.T) {
	const table = "customer;product;item;quantity\r\nMüller – Söhne;6000010:14;Trial;5\r\n"
	units := utf16.Encode([]rune(strings.ReplaceAll(table, ";", "\t")))
	little, big := []byte{0xff, 0xfe}, []byte{0xfe, 0xff}
	for _, u := range units {
		little, big = binary.LittleEndian.AppendUint16(little, u), binary.BigEndian.AppendUint16(big, u)
	}
	ansi := strings.NewReplacer("ü", "\xfc", "–", "\x96", "ö", "\xf6").Replace(table)
	for name, c := range map[string]struct {
		file string
		line int
	}{
		"as it is":           {table, 2},
		"with a mark":        {"\ufeff" + table, 2},
		"Unicode text":       {string(little), 2},
		"big endian":         {string(big), 2},
		"ANSI":               {ansi, 2},
		"sep":                {"sep=;\r\n" + table, 3},
		"quoted sep":         {"\"sep=;\"\n" + table, 3},
		"capitals":           {strings.Replace(table, "customer;product;item", "Customer;PRODUCT;Item", 1), 2},
		"quoted":             {`"customer";"product";"item";"quantity"` + "\n" + `"Müller – Söhne";"6000010:14";"Trial";"5"` + "\n", 2},
		"empty rows":         {table + ";;;\r\n;;;\r\n", 2},
		"an empty column":    {strings.Replace(table, "Trial;5", "Trial;5;;", 1), 2},
		"an empty first one": {"reference\tcustomer\tproduct\titem\tquantity\n\tMüller – Söhne\t6000010:14\tTrial\t5\n", 2},
	} {
		p, err := ParseCSV([]byte(c.file))
		if err != nil || len(p.Orders) != 1 {
			t.Errorf("%s: %+v, %v", name, p, err)
			continue
		}
		o := p.Orders[0]
		if o.Customer != "Müller – Söhne" || o.Quantity != 5 || o.Line != c.line || len(p.Problems) > 0 != (name == "ANSI") {
			t.Errorf("%s: %+v, %q", name, o, told(p.Problems))
		}
	}
	// What is no number or day as it is written here is never taken for another one.
	for _, row := range []string{"a;7:1;b;1.000", "a;7:1;b;1,0", "a;7:1;b;1 000", "a;7:1;b;1E+03", "a;7:1;b;#NAME?", "a;7:1;b;-1", "a;01.07.2026;b;1"} {
		if p, err := ParseCSV([]byte("customer;product;item;quantity\n" + row + "\n")); err != nil || len(p.Orders) > 0 || len(p.Problems) != 1 {
			t.Errorf("%s: %+v, %v", row, p, err)
		}
	}
	for _, day := range []string{"31.12.2027", "12/31/2027", "2027/12/31", "46387", "2027-12-31 00:00"} {
		if p, err := ParseCSV([]byte("product;item;expiration\n7:1;b;" + day + "\n")); err != nil || len(p.Items) > 0 || len(p.Problems) != 1 {
			t.Errorf("%s: %+v, %v", day, p, err)
		}
	}
}

// A feature may have a colon in its name, and be narrowed in two ways.
func TestFeatureNames(t *testing.T) {
	for line, want := range map[string]string{
		`INCLUDE a:b USER anna`:             "allow user:anna product:6000010:14  # line 1",
		`INCLUDE "a:b" USER anna`:           "allow user:anna product:6000010:14  # line 1",
		`INCLUDE a:b:VERSION=2 USER anna`:   "(VERSION=2)",
		`INCLUDE "a:b VERSION=2" USER anna`: "(VERSION=2)",
		`INCLUDE "cad VERSION=2" USER anna`: "(VERSION=2)",
		`INCLUDE cad:VERSION=2 USER anna`:   "(VERSION=2)",
		`INCLUDE cad:HOSTID=1 USER anna`:    "(HOSTID=1)",
		`INCLUDE c:d USER anna`:             "say it with --feature c:d=FIRM:PRODUCT",
		`INCLUDE other USER anna`:           "say it with --feature other=FIRM:PRODUCT",
		`EXCLUDEALL_ENTITLEMENT USER anna`:  "no fulfilments",
	} {
		f, err := ParseFlexNet([]byte(line), map[string]license.Product{"a:b": {Firm: 6000010, Code: 14}, "cad": {Firm: 6000010, Code: 15}})
		if err != nil || !strings.Contains(f.Rules, want) {
			t.Errorf("%s: %s, %v", line, f.Rules, err)
		}
	}
}
