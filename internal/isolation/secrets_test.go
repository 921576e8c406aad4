package isolation_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"entgo.io/contrib/entgql"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/ticket"
)

// himself is the victim, who may see and change what is his.
func (w *walk) himself(t *testing.T) *asker {
	t.Helper()
	a := w.asker(t, "the victim", w.victim.vendor, "", auth.Owner, w.victim)
	a.related = true
	w.observed()
	for table, rows := range w.victim.rows {
		for _, r := range rows {
			a.visible[fmt.Sprint(table, " ", r["id"])] = true
		}
	}
	return a
}

// strangers are those who try what the victim has.
func (w *walk) strangers(t *testing.T) []*asker {
	t.Helper()
	return []*asker{
		w.asker(t, "an unrelated vendor's owner", w.others.vendor, "", auth.Owner, w.others),
		w.asker(t, "an unrelated vendor's viewer", w.others.vendor, "", auth.Viewer, w.others),
		w.asker(t, "an unrelated customer's viewer", w.others.customer, w.others.vendor, auth.Viewer, w.others),
		w.asker(t, "another customer of the vendor", w.rival(t), w.victim.vendor, auth.Owner, w.others),
	}
}

// TestIdempotencyKeysAreOnesOwn: who takes a key that another tenant has used for
// the same mutation gets what he would get with any other, and hears nothing of it.
func TestIdempotencyKeysAreOnesOwn(t *testing.T) {
	w := newWalk(t, setting{})
	himself := w.himself(t)
	done, refused := 0, map[string]int{}
	for _, f := range w.ops.schema.Mutation.Fields {
		var at string
		for _, p := range w.ops.positions(f) {
			if p.name == "idempotencyKey" {
				at = p.path
			}
		}
		if at == "" {
			continue
		}
		write := func(a *asker, key string) string {
			a.turn++
			base := func(p position) (string, bool) { return a.base(f.Name, p) }
			return "mutation { " + f.Name + a.ops.arguments(f.Name, f, map[string]string{at: quote(key)}, false, base) + a.ops.selection(f.Type.Name(), 1) + " }"
		}
		key := "the victim's key of " + f.Name
		if got := himself.ask(write(himself, key)); got.code == "" {
			done++
		} else {
			refused[f.Name+" "+got.message]++
		}
		w.observed()
		for _, a := range w.strangers(t) {
			same := a.ask(write(a, key))
			fresh := a.ask(write(a, "a fresh key of "+f.Name+a.name))
			if strings.Contains(same.body, "idempotency") {
				t.Errorf("%s is told of another tenant's key of %s: %s", a.name, f.Name, same.body)
			}
			if same.code != "" && same.code != fresh.code {
				t.Errorf("%s: %s with another tenant's key: %v; with a fresh one: %v", a.name, f.Name, same, fresh)
			}
		}
	}
	if done < 12 {
		t.Errorf("only %d mutations were done under a key: %v", done, refused)
	}
	t.Logf("%d mutations; refused %v", done, slices.Sorted(maps.Keys(refused)))
}

// TestCursorsLeadNowhereElse: a page after a cursor of another tenant's list is
// one's own, and the same as after a made-up one.
func TestCursorsLeadNowhereElse(t *testing.T) {
	w := newWalk(t, setting{})
	himself := w.himself(t)
	tried := 0
	for name, path := range w.ops.paths(himself.base) {
		for _, f := range w.ops.schema.Types[name].Fields {
			if f.Arguments.ForName("after") == nil || !strings.HasSuffix(f.Type.Name(), "Connection") || strings.Count(path.before, "{") > 3 {
				continue
			}
			root := name + "." + f.Name
			list := func(a *asker, page string) string {
				before := path.before
				if strings.Contains(before, "%s") {
					before = fmt.Sprintf(before, quote(a.own.rows[path.table][0].id()))
				}
				args := a.ops.arguments(root, f, nil, false, func(p position) (string, bool) { return a.base(root, p) })
				if args == "" {
					args = "(" + page + ")"
				} else {
					args = strings.TrimSuffix(args, ")") + ", " + page + ")"
				}
				return "query { " + before + f.Name + args + a.ops.selection(f.Type.Name(), 1) + path.after + " }"
			}
			all := cursors.FindAllStringSubmatch(himself.ask(list(himself, "first: 1")).body, -1)
			if all == nil {
				continue
			}
			found := all[len(all)-1] // `endCursor`: those before may be of lists below
			tried++
			var made entgql.Cursor[string]
			if err := made.UnmarshalGQL(found[1]); err != nil {
				t.Fatal(err)
			}
			other := map[byte]string{'0': "1"}[made.ID[len(made.ID)-1]]
			if other == "" {
				other = "0"
			}
			made.ID = made.ID[:len(made.ID)-1] + other
			var text strings.Builder
			made.MarshalGQL(&text)
			for _, a := range w.strangers(t) {
				if strings.Contains(a.ask(list(a, "first: 5")).body, found[1]) {
					continue // a firm that is shown to all customers
				}
				for _, page := range []string{"first: 5, after: ", "last: 5, before: "} {
					if argument, _, _ := strings.Cut(page, ":"); f.Arguments.ForName(argument) == nil {
						continue
					}
					theirs, madeUp := a.ask(list(a, page+quote(found[1]))), a.ask(list(a, page+text.String()))
					if theirs.body != madeUp.body || strings.Contains(theirs.code, "INVALID") {
						t.Errorf("%s: %s %s of another tenant's cursor: %v; of a made-up one: %v", a.name, root, page, theirs.body, madeUp.body)
					}
				}
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d lists had a cursor", tried)
	}
}

// TestPositionsLeadNowhereElse: a subscription that is resumed where another
// tenant's was begins with a snapshot of one's own, and the same with a made-up
// position.
func TestPositionsLeadNowhereElse(t *testing.T) {
	w := newWalk(t, setting{})
	himself := w.himself(t)
	for _, f := range w.ops.schema.Subscription.Fields {
		write := func(a *asker, id, after string) string {
			base := func(p position) (string, bool) {
				if p.scalar == "ID" && id != "" {
					return quote(id), true
				}
				return a.base(f.Name, p)
			}
			args := a.ops.arguments(f.Name, f, nil, false, base)
			page := ""
			if after != "" {
				page = "after: " + quote(after)
			}
			switch {
			case args == "" && page != "":
				args = "(" + page + ")"
			case page != "":
				args = strings.TrimSuffix(args, ")") + ", " + page + ")"
			}
			return "subscription { " + f.Name + args + a.ops.selection(f.Type.Name(), 1) + " }"
		}
		theirs := write(himself, "", "")
		first := himself.ask(theirs)
		_, rest, ok := strings.Cut(first.body, `"position":"`)
		at, _, ends := strings.Cut(rest, `"`)
		if !ok || !ends {
			t.Errorf("%s: no position in %s", f.Name, first.body)
			continue
		}
		if again := himself.ask(write(himself, "", at)); !strings.Contains(again.body, `"snapshot":false`) {
			t.Errorf("%s: the victim himself can't resume after %s: %s", f.Name, at, again.body)
		}
		epoch, _, _ := strings.Cut(at, ".")
		for _, a := range w.strangers(t) {
			plain := a.ask(write(a, "", ""))
			for _, after := range []string{at, epoch + ".0", epoch + ".999999", "MADEUP.1"} {
				got := a.ask(write(a, "", after))
				if got.code != plain.code || plain.code == "" && !strings.Contains(got.body, `"snapshot":true`) {
					t.Errorf("%s resumes %s after %s: %s", a.name, f.Name, after, got.body)
				}
			}
			// The other's own stream, by his ids and position.
			for table, rows := range w.victim.rows {
				if w.ops.tableOf(f.Name, position{name: "id", scalar: "ID"}) != table || !strings.Contains(theirs, quote(rows[0].id())) {
					continue
				}
				if got := a.ask(write(a, rows[0].id(), at), rows[0].id()); !strings.Contains(got.code, "NOT_FOUND") {
					t.Errorf("%s resumes another's %s: %s", a.name, f.Name, got.body)
				}
			}
		}
	}
}

// TestSecretsOpenNothingElse: codes and tokens of another tenant are refused where
// they don't belong to who has them, as those are that nobody has.
func TestSecretsOpenNothingElse(t *testing.T) {
	w := newWalk(t, setting{})
	for _, name := range []string{"ticket", "enrollment", "invitation", "api token", "link token", "webhook secret", "idempotency key"} {
		if w.victim.secrets[name] == "" {
			t.Fatalf("the seed has no %s", name)
		}
	}
	code, made := w.victim.secrets["ticket"], string(ticket.New())
	enrollment := w.victim.secrets["enrollment"]
	for _, a := range w.strangers(t) {
		place := quote(a.own.rows["containers"][1].id())
		for what, write := range map[string]func(string) string{
			"ticket": func(c string) string { return "query { ticket(code: " + c + ") { id code hint customer { id } } }" },
			"activateTicket": func(c string) string {
				return "mutation { activateTicket(input: {code: " + c + ", places: [{container: " + place + "}]}) { ticket { id code } } }"
			},
			"in small letters": func(c string) string {
				return "query { ticket(code: " + strings.ToLower(strings.ReplaceAll(c, "-", " ")) + ") { id } }"
			},
		} {
			got, madeUp := a.ask(write(quote(code)), code), a.ask(write(quote(made)), made)
			if got.code == "" || got.code != madeUp.code || got.message != madeUp.message || !slices.Contains([]string{"NOT_FOUND", "FORBIDDEN"}, got.code) {
				t.Errorf("%s: %s of another tenant's code: %v; of a made-up one: %v", a.name, what, got, madeUp)
			}
			if got := a.ask(write(quote(enrollment)), enrollment); got.code != madeUp.code {
				t.Errorf("%s: %s of an enrollment's code: %v", a.name, what, got)
			}
		}
		// A token is who it says, and nobody else whatever is asked for beside it.
		for _, organization := range []string{w.victim.vendor, w.victim.customer} {
			status, body := a.request("POST", "/graphql", `{"query": "{ viewer { role organization { id name } } }"}`, "Quorate-Organization", organization)
			a.inspect("the header that names another organization", body, organization)
			if status != http.StatusForbidden {
				t.Errorf("%s acts for %s: %d %s", a.name, organization, status, body)
			}
		}
	}
	for name, header := range map[string]string{
		"an invitation's": w.victim.secrets["invitation"], "a server's": w.victim.secrets["link token"], "an enrollment's": enrollment, "a ticket's": code,
		"a webhook's": w.victim.secrets["webhook secret"], "one of another kind": strings.Replace(w.victim.secrets["api token"], "qrt_", "qrl_", 1),
	} {
		a := w.asker(t, name, "", "", "", w.others)
		a.token = header
		if got := a.ask("{ viewer { role } }", header); got.code != "" && !strings.Contains(got.code, "UNAUTHENTICATED") || got.code == "" && strings.Contains(got.body, "role") {
			t.Errorf("%s secret is taken for an API token: %s", name, got.body)
		}
	}
}

// TestFilesOfOthersAreRefused: the request file of another tenant's container is
// good for nothing of one's own, and takes the container from nobody.
func TestFilesOfOthersAreRefused(t *testing.T) {
	w := newWalk(t, setting{})
	theirs := w.victim.rows["containers"][1]
	file := quote(w.seed.request(theirs))
	serial := fmt.Sprint(theirs["serial"])
	for _, a := range w.strangers(t) {
		group, own := quote(a.own.rows["tmr_groups"][0].id()), quote(a.own.rows["containers"][1].id())
		for _, mutation := range []string{
			"registerContainer(input: {request: " + file + "}) { container { id serial } }",
			"startOfflineRollout(input: {container: " + own + ", request: " + file + "}) { rollout { id } }",
			"startOfflineRollout(input: {tmrGroup: " + group + ", request: " + file + "}) { rollout { id } }",
			"certifyTime(input: {request: " + file + "}) { update }",
			"replaceBackend(input: {backend: " + quote(a.own.rows["containers"][0].id()) + ", request: " + file + "}) { __typename }",
			"rehostContainer(input: {container: " + own + ", replacement: " + quote(serial) + ", reason: \"lost\"}) { __typename }",
			"rehostContainer(input: {container: " + quote(serial) + ", replacement: " + own + ", reason: \"lost\"}) { __typename }",
			"activateTicket(input: {code: " + quote(a.own.secrets["ticket"]) + ", places: [{container: " + own + "}], request: " + file + "}) { ticket { id } }",
		} {
			_, body := a.request("POST", "/graphql", `{"query": `+quote("mutation { "+mutation+" }")+`}`)
			a.inspect(mutation, body, serial, file)
			if strings.Contains(body, `"errors"`) && !strings.Contains(body, "INTERNAL") && !strings.Contains(body, "GRAPHQL_") {
				continue
			}
			t.Errorf("%s: %s: %s", a.name, mutation, body)
		}
	}
	if causes := w.causes(); len(causes) != 0 {
		t.Error(causes)
	}
}

// TestCountsAreOnesOwn: a list counts no more than it shows.
func TestCountsAreOnesOwn(t *testing.T) {
	w := newWalk(t, setting{})
	counted := 0
	for _, a := range w.strangers(t)[1:] {
		for name, path := range w.ops.paths(a.base) {
			for _, f := range w.ops.schema.Types[name].Fields {
				list := w.ops.schema.Types[f.Type.Name()]
				if list.Fields.ForName("totalCount") == nil || strings.Count(path.before, "{") > 2 {
					continue
				}
				before := path.before
				if strings.Contains(before, "%s") {
					before = fmt.Sprintf(before, quote(a.own.rows[path.table][0].id()))
				}
				args := strings.TrimPrefix(a.ops.arguments(name+"."+f.Name, f, nil, false, func(p position) (string, bool) { return a.base(name+"."+f.Name, p) }), "(")
				args = "(" + strings.TrimSuffix(strings.TrimSuffix(args, ")")+", first: 100", ", ") + ")"
				got := a.ask("query { " + before + f.Name + args + " { totalCount edges { cursor } } " + path.after + " }")
				if got.code != "" {
					continue
				}
				m := total.FindStringSubmatch(got.body)
				if m == nil {
					continue // nothing is there that has a list
				}
				counted++
				if n := strings.Count(got.body, `"cursor"`); m[1] != fmt.Sprint(n) {
					t.Errorf("%s: %s.%s counts %s and shows %d", a.name, name, f.Name, m[1], n)
				}
			}
		}
	}
	if counted < 20 {
		t.Errorf("only %d lists were counted", counted)
	}
}

var total = regexp.MustCompile(`"totalCount":(\d+)`)

// rival gives another customer of the victim's.
func (w *walk) rival(t testing.TB) string {
	t.Helper()
	r := row{"id": w.seed.globalID("organizations", "rival", 0), "created_at": w.victim.rows["organizations"][0]["created_at"], "name": "rival",
		"vendor": false, "customer": true, "provider_id": w.victim.vendor}
	if err := w.seed.put(t.Context(), "organizations", r); err != nil {
		t.Fatal(err)
	}
	w.observed()
	return r.id()
}

// trial gives the victim's test environment.
func (w *walk) trial(t testing.TB) string {
	t.Helper()
	r := row{"id": w.seed.globalID("organizations", "trial", 0), "created_at": w.victim.rows["organizations"][0]["created_at"], "name": "trial",
		"vendor": true, "customer": false, "environment": "TEST", "live_id": w.victim.vendor}
	if err := w.seed.put(t.Context(), "organizations", r); err != nil {
		t.Fatal(err)
	}
	w.observed()
	return r.id()
}
