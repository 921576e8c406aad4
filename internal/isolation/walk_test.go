package isolation_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/quorate/quorate/internal/auth"
)

// roots asks each field of Query, Mutation and Subscription for what is not the
// asker's.
func (a *asker) roots(thorough bool) {
	defs := a.ops.schema
	for _, kind := range []*ast.Definition{defs.Query, defs.Mutation, defs.Subscription} {
		if a.mutationsOnly && kind != defs.Mutation {
			continue
		}
		for _, f := range kind.Fields {
			if strings.HasPrefix(f.Name, "__") || a.only != "" && a.only != f.Name {
				continue
			}
			a.renew()
			base := func(p position) (string, bool) { return a.base(f.Name, p) }
			write := func(given map[string]string, all bool) string {
				return strings.ToLower(kind.Name) + " { " + f.Name + a.ops.arguments(f.Name, f, given, all, base) + a.ops.selection(f.Type.Name(), 1) + " }"
			}
			if a.brief {
				a.briefly(f, write)
				continue
			}
			for _, p := range a.ops.positions(f) {
				for i, one := range a.tries(f.Name, p, thorough) {
					a.compare(f.Name, func(value string) string { return write(map[string]string{p.path: value}, false) }, one)
					if thorough && i == 0 {
						a.compare(f.Name, func(value string) string { return write(map[string]string{p.path: value}, true) }, one)
					}
				}
			}
			a.ask(write(nil, false))
			a.ask(write(nil, true))
		}
	}
	a.renew()
}

// briefly asks once, with an id of the victim's wherever one goes.
func (a *asker) briefly(f *ast.FieldDefinition, write func(given map[string]string, all bool) string) {
	given := map[string]string{}
	var sent []string
	for _, p := range a.ops.positions(f) {
		if all := a.tries(f.Name, p, false); len(all) > 0 {
			given[p.path] = quote(all[0].foreign)
			sent = append(sent, fmt.Sprint(all[0].foreign))
		}
	}
	a.ask(write(given, false), sent...)
}

// fields asks each field of each type that can be reached from what the asker
// sees, with all that the victim has as arguments. It gives the fields asked.
func (a *asker) fields(thorough bool) map[string]bool {
	done := map[string]bool{}
	for name, path := range a.ops.paths(a.base) {
		if name == "Query" {
			continue
		}
		starts := []string{""}
		if path.table != "" {
			starts = nil
			rows := append(slices.Clone(a.victim.rows[path.table][:rowsPerTable]), a.own.rows[path.table][:rowsPerTable]...)
			switch {
			case a.brief:
				rows = rows[:1]
			case !thorough:
				rows = append(rows[:1:1], rows[rowsPerTable])
			}
			for _, r := range rows {
				starts = append(starts, r.id())
			}
		}
		for _, f := range a.ops.schema.Types[name].Fields {
			root := name + "." + f.Name
			done[root] = true
			base := func(p position) (string, bool) { return a.base(root, p) }
			write := func(start string, given map[string]string, all bool) string {
				before := path.before
				if strings.Contains(before, "%s") {
					before = fmt.Sprintf(before, quote(start))
				}
				return "query { " + before + f.Name + a.ops.arguments(root, f, given, all, base) + a.ops.selection(f.Type.Name(), 1) + path.after + " }"
			}
			for i, start := range starts {
				a.ask(write(start, nil, true), start)
				if i > 0 && !thorough || a.brief {
					continue
				}
				for _, p := range a.ops.positions(f) {
					for _, one := range a.tries(root, p, thorough) {
						a.compare(root, func(value string) string { return write(start, map[string]string{p.path: value}, false) }, one)
					}
				}
			}
		}
	}
	return done
}

// TestNobodyGetsAtAnothersData walks the whole API as everybody who has no
// business with the victim's data.
func TestNobodyGetsAtAnothersData(t *testing.T) {
	w := newWalk(t, setting{})
	rival, trial := w.rival(t), w.trial(t)
	for _, who := range []struct {
		name, organization, provider string
		role                         auth.Role
		short                        bool
	}{
		{"an unrelated vendor's owner", w.others.vendor, "", auth.Owner, true},
		{"an unrelated vendor's administrator", w.others.vendor, "", auth.Administrator, false},
		{"an unrelated vendor's operator", w.others.vendor, "", auth.Operator, false},
		{"an unrelated vendor's viewer", w.others.vendor, "", auth.Viewer, true},
		{"an unrelated customer", w.others.customer, w.others.vendor, auth.Owner, false},
		{"another customer of the vendor", rival, w.victim.vendor, auth.Owner, true},
		{"the customer himself", w.victim.customer, w.victim.vendor, auth.Owner, false},
		{"the vendor's own test environment", trial, "", auth.Owner, false},
		{"nobody", "", "", "", true},
	} {
		t.Run(who.name, func(t *testing.T) {
			if testing.Short() && !who.short {
				t.Skip("walked without -short: what lies between an owner and a viewer")
			}
			a := w.asker(t, who.name, who.organization, who.provider, who.role, w.others)
			thorough := who.role == auth.Owner && who.organization == w.others.vendor
			// What lies between an owner and a viewer reads the same.
			if who.role == auth.Owner || who.role == auth.Viewer && !testing.Short() {
				if done := a.fields(thorough && !testing.Short()); thorough {
					a.complete(done)
				}
			}
			a.roots(thorough)
			a.files()
			if a.token == "" {
				a.signIn()
			}
			if seen := a.ask("{ viewer { role } }"); (seen.code == "") != (a.token != "") {
				t.Errorf("the walk ended as %v", seen)
			}
			t.Logf("%d requests; refusals %v", a.asked, a.refused)
		})
	}
	w.statementsNameTenants(t)
}

// TestNobodyGetsAtAnothersDataOnPostgres: the same on PostgreSQL, as the role that
// the platform has there, with row-level security behind the guard. With -short
// each field is asked for once, by the owner of an unrelated vendor.
func TestNobodyGetsAtAnothersDataOnPostgres(t *testing.T) {
	w := newWalk(t, setting{postgres: true})
	w.rowsAreHidden(t)
	askers := []*asker{w.asker(t, "an unrelated vendor's owner", w.others.vendor, "", auth.Owner, w.others)}
	if !testing.Short() {
		askers = append(askers,
			w.asker(t, "an unrelated vendor's viewer", w.others.vendor, "", auth.Viewer, w.others),
			w.asker(t, "another customer of the vendor", w.rival(t), w.victim.vendor, auth.Owner, w.others))
	}
	for i, a := range askers {
		a.brief = testing.Short()
		a.fields(false)
		a.roots(!testing.Short() && i == 0)
		a.files()
		t.Logf("%s: %d requests; refusals %v", a.name, a.asked, a.refused)
	}
	w.statementsNameTenants(t)
}

// complete fails the test for what the walk did not reach.
func (a *asker) complete(done map[string]bool) {
	reachable := map[string]bool{}
	var reach func(name string)
	reach = func(name string) {
		def := a.ops.schema.Types[name]
		if reachable[name] || def.IsLeafType() || strings.HasPrefix(name, "__") {
			return
		}
		reachable[name] = true
		for _, f := range def.Fields {
			reach(f.Type.Name())
		}
		for _, p := range a.ops.schema.PossibleTypes[name] {
			reach(p.Name)
		}
	}
	reach("Query")
	delete(reachable, "Query")
	for name := range reachable {
		for _, f := range a.ops.schema.Types[name].Fields {
			if a.ops.schema.Types[name].Kind == ast.Object && !done[name+"."+f.Name] {
				a.t.Errorf("%s.%s was not asked for", name, f.Name)
			}
		}
	}
	for name, table := range a.ops.nodes() {
		seen := a.ask(fmt.Sprintf("{ node(id: %q) { __typename id } }", a.own.rows[table][0].id()))
		if seen.shape == "{node:null}" || seen.code != "" {
			a.t.Errorf("not even an own %s is seen: %v", name, seen)
		}
	}
}

// averages go on with the time.
var averages = regexp.MustCompile(`\b\d+\.\d+\b`)

// files asks for each file.
func (a *asker) files() {
	for _, name := range a.exports {
		for p, table := range map[string]string{"container": "containers", "product": "products", "firm": "firms", "tmrGroup": "tmr_groups", "customer": "organizations", "organization": "organizations"} {
			get := func(id string) (int, string) {
				code, body := a.request("GET", "/export/"+name+"?format=csv&from=2026-01-01T00:00:00Z&"+url.Values{p: {id}}.Encode(), "")
				a.inspect("/export/"+name+"?"+p, body, id)
				return code, averages.ReplaceAllString(strings.ReplaceAll(body, id, "…"), "…")
			}
			for i, r := range a.victim.rows[table] {
				if a.visible[table+" "+r.id()] {
					continue
				}
				c1, b1 := get(r.id())
				c2, b2 := get(a.seed.globalID(table, "made up", i))
				if c1 != c2 || b1 != b2 {
					a.t.Errorf("%s: /export/%s tells an existing %s: %d %s, and a made-up one: %d %s", a.name, name, p, c1, b1, c2, b2)
				}
			}
		}
	}
}

// signIn tries to find out who has an account.
func (a *asker) signIn() {
	try := func(email string) (int, string) {
		code, body := a.request("POST", "/auth/login", `{"email": `+quote(email)+`, "password": "not the one"}`, "Origin", "http://quorate.test")
		a.inspect("/auth/login", body, email)
		return code, strings.ReplaceAll(body, email, "…")
	}
	email, _ := a.victim.rows["users"][0]["email"].(string)
	c1, b1 := try(email)
	if c1 != http.StatusUnauthorized {
		a.t.Errorf("a wrong password: %d %s", c1, b1)
	}
	c2, b2 := try("nobody-" + email)
	if c1 != c2 || b1 != b2 {
		a.t.Errorf("%s: signing in as who exists: %d %s; as who doesn't: %d %s", a.name, c1, b1, c2, b2)
	}
	_, body := a.request("GET", "/auth/session", "")
	a.inspect("/auth/session", body)
}
