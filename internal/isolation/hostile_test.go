package isolation_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/resolvers/documents"
)

// browser is somebody of an organization who has signed in by password.
type browser struct {
	w      *walk
	t      testing.TB
	cookie string
}

func (w *walk) browser(t testing.TB, of *tenants) *browser {
	t.Helper()
	b := &browser{w: w, t: t}
	email := of.rows["users"][0]["email"]
	status, text := b.request("POST", "/auth/login", fmt.Sprintf(`{"email": %s, "password": %q}`, quote(email), password))
	if status != http.StatusOK || b.cookie == "" {
		t.Fatalf("signing in: %d %s", status, text)
	}
	return b
}

func (b *browser) request(method, target, body string, headers ...string) (int, string) {
	b.t.Helper()
	r := httptest.NewRequest(method, "http://quorate.test"+target, strings.NewReader(body)).WithContext(b.t.Context())
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "http://quorate.test")
	if b.cookie != "" {
		r.Header.Set("Cookie", b.cookie)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	b.w.handler.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		b.cookie = c.Name + "=" + c.Value
	}
	return rec.Code, rec.Body.String()
}

// TestSessionsOfOthersAreOutOfReach: who has signed in acts for no organization
// that he is no member of, and neither sees nor ends sessions of others.
func TestSessionsOfOthersAreOutOfReach(t *testing.T) {
	w := newWalk(t, setting{})
	theirs, mine := w.browser(t, w.victim), w.browser(t, w.others)
	a := &asker{walk: w, t: t, name: "a member of another vendor", visible: map[string]bool{}, said: map[string]bool{}}
	_, list := theirs.request("GET", "/auth/sessions", "")
	_, rest, _ := strings.Cut(list, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	if id == "" {
		t.Fatalf("the victim's sessions: %s", list)
	}
	w.observed()
	for _, c := range []struct {
		method, target, body string
		status               int
	}{
		{"GET", "/auth/sessions", "", 200},
		{"GET", "/auth/organizations", "", 200},
		{"GET", "/auth/account", "", 200},
		{"POST", "/auth/sessions/end", `{"id": "` + id + `"}`, 204},
		{"POST", "/auth/sessions/end", `{"id": "made up"}`, 204},
		{"POST", "/auth/sessions/end", `{"others": true}`, 204},
		{"POST", "/auth/organization", `{"organization": "` + w.victim.vendor + `"}`, 404},
		{"POST", "/auth/organization", `{"organization": "` + w.victim.customer + `"}`, 404},
		{"POST", "/auth/organization", `{"organization": "` + w.seed.globalID("organizations", "made up", 0) + `"}`, 404},
		{"POST", "/graphql", `{"query": "{ viewer { role } }"}`, 200},
	} {
		status, body := mine.request(c.method, c.target, c.body)
		a.inspect(c.method+" "+c.target, body, c.body)
		if status != c.status || strings.Contains(body, id) {
			t.Errorf("%s %s %s: %d %s", c.method, c.target, c.body, status, body)
		}
	}
	for _, organization := range []string{w.victim.vendor, w.victim.customer, w.seed.globalID("organizations", "made up", 0)} {
		status, body := mine.request("POST", "/graphql", `{"query": "{ viewer { role } tmrGroups { edges { node { name } } } }"}`, "Quorate-Organization", organization)
		a.inspect("another organization's header", body)
		if status != http.StatusNotFound {
			t.Errorf("for %s: %d %s", organization, status, body)
		}
	}
	if status, body := theirs.request("GET", "/auth/session", ""); status != 200 || !strings.Contains(body, w.victim.vendor) {
		t.Errorf("the victim's session afterwards: %d %s", status, body)
	}
}

// TestOtherWaysIn: what is asked for in other forms than the walk's shows no more.
func TestOtherWaysIn(t *testing.T) {
	w := newWalk(t, setting{})
	himself := w.himself(t)
	a := w.asker(t, "an unrelated vendor's owner", w.others.vendor, "", auth.Owner, w.others)
	nobody := w.asker(t, "nobody", "", "", "", w.others)
	const groups = "{ tmrGroups(first: 5) { edges { cursor node { id name virtualSerial } } } }"
	named := fmt.Sprint(w.victim.rows["tmr_groups"][0]["name"])
	digest := documents.Digest(groups)
	persisted := `"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "` + digest + `"}}`
	if _, body := himself.request("POST", "/graphql", `{"query": `+quote(groups)+`, `+persisted+`}`); !strings.Contains(body, named) {
		t.Fatalf("the victim: %s", body)
	}
	byID := fmt.Sprintf("{ node(id: %q) { id ... on TmrGroup { name } } }", w.victim.rows["tmr_groups"][0].id())
	for _, c := range []struct {
		what, method, target, body string
		headers                    []string
		want                       int
	}{
		{"a document that another tenant has sent", "POST", "/graphql", `{` + persisted + `}`, nil, 200},
		{"by GET", "GET", "/graphql?query=" + strings.NewReplacer(" ", "%20", "{", "%7B", "}", "%7D", `"`, "%22").Replace(byID), "", nil, 200},
		{"several at once", "POST", "/graphql", `[{"query": ` + quote(groups) + `}, {"query": ` + quote(byID) + `}]`, nil, 400},
		{"a list of one", "POST", "/graphql", `[{"query": ` + quote(groups) + `}]`, nil, 400},
		{"a query as events", "POST", "/graphql", `{"query": ` + quote(byID) + `}`, []string{"Accept", "text/event-stream"}, 200},
		{"with an organization in variables", "POST", "/graphql", `{"query": "query($organization: ID!) { node(id: $organization) { id } }", "variables": {"organization": "` + w.victim.vendor + `"}}`, nil, 200},
		{"health", "GET", "/healthz", "", nil, 200},
		{"readiness", "GET", "/readyz", "", nil, 200},
		{"metrics", "GET", "/metrics", "", nil, 503}, // a page of the dashboard, which is not built
		{"profiles", "GET", "/debug/pprof/", "", nil, 503},
		{"an export that there is none of", "GET", "/export/organizations", "", nil, 404},
	} {
		for _, who := range []*asker{a, nobody} {
			status, body := who.request(c.method, c.target, c.body, c.headers...)
			who.inspect(c.what, body, c.body, c.target)
			if strings.Contains(body, named) || who == a && status != c.want {
				t.Errorf("%s: %s: %d %s", who.name, c.what, status, body)
			}
		}
	}
	// Metrics of an organization, in its own format, have none of another's.
	for _, name := range w.exports {
		status, body := a.request("GET", "/export/"+name, "")
		a.inspect("/export/"+name, body)
		if status >= 500 {
			t.Errorf("/export/%s: %d %s", name, status, body)
		}
		if status, body := nobody.request("GET", "/export/"+name, ""); status != http.StatusUnauthorized {
			t.Errorf("nobody exports %s: %d %s", name, status, body)
		}
	}
}

// TestStreamsStayApart: while the victim does whatever the API has, no subscription
// of a stranger's is told anything of his.
func TestStreamsStayApart(t *testing.T) {
	w := newWalk(t, setting{})
	himself := w.himself(t)
	himself.word = "qzvictim"
	strangers := w.strangers(t)[1:]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type stream struct {
		who, field string
		out        *following
	}
	var streams []stream
	var running sync.WaitGroup
	for _, a := range strangers {
		for _, f := range w.ops.schema.Subscription.Fields {
			base := func(p position) (string, bool) { return a.base(f.Name, p) }
			operation := "subscription { " + f.Name + a.ops.arguments(f.Name, f, nil, false, base) + a.ops.selection(f.Type.Name(), 2) + " }"
			r := httptest.NewRequestWithContext(ctx, "POST", "http://quorate.test/graphql", strings.NewReader(`{"query": `+quote(operation)+`}`))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", "text/event-stream")
			r.Header.Set("Authorization", "Bearer "+a.token)
			s := stream{a.name, f.Name, &following{ResponseRecorder: httptest.NewRecorder(), begun: make(chan struct{})}}
			streams = append(streams, s)
			running.Go(func() { w.handler.ServeHTTP(s.out, r) })
			<-s.out.begun
		}
	}
	himself.only, himself.mutationsOnly = "", true
	himself.roots(false)
	cancel()
	running.Wait()
	begun := 0
	for _, s := range streams {
		body := s.out.text()
		if strings.Contains(body, `"snapshot":true`) {
			begun++
		}
		if strings.Contains(body, "INTERNAL") {
			t.Errorf("%s: %s: %s", s.who, s.field, body)
		}
		for _, mark := range marks.FindAllString(body, -1) {
			of := w.seed.canaries[mark]
			if slices.ContainsFunc(w.victim.rows[of.table], func(r row) bool { return r.id() == of.id }) && !strings.Contains(s.who, "another customer") {
				t.Errorf("%s is told %s.%s of another tenant by %s", s.who, of.table, of.column, s.field)
			}
		}
		if strings.Contains(body, himself.word) && !strings.Contains(s.who, "another customer") {
			t.Errorf("%s is told by %s what another tenant does: %s", s.who, s.field, body)
		}
	}
	if begun < len(w.ops.schema.Subscription.Fields) {
		t.Errorf("only %d of %d streams began", begun, len(streams))
	}
}

// following keeps what a stream sends, and tells when it has begun.
type following struct {
	*httptest.ResponseRecorder
	mu    sync.Mutex
	once  sync.Once
	begun chan struct{}
}

func (f *following) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.once.Do(func() { close(f.begun) })
	return f.ResponseRecorder.Write(b)
}

func (f *following) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

func (f *following) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Body.String()
}

// TestReadersOnlyRead: neither a viewer, nor a token that is limited to reading,
// can do anything to what is his own, nor read what another capability is for.
func TestReadersOnlyRead(t *testing.T) {
	w := newWalk(t, setting{})
	w.victim, w.others = w.others, w.victim // whose rows are observed are the askers' own
	limited := w.asker(t, "an owner's token for reading", w.others.vendor, "", auth.Owner, w.others)
	limited.account["scopes"] = `["READ"]`
	for _, a := range []*asker{w.asker(t, "a viewer", w.others.vendor, "", auth.Viewer, w.others), limited} {
		a.related = false
		a.renew()
		w.observed()
		for _, f := range w.ops.schema.Mutation.Fields {
			base := func(p position) (string, bool) { return a.base(f.Name, p) }
			for _, all := range []bool{false, true} {
				operation := "mutation { " + f.Name + a.ops.arguments(f.Name, f, nil, all, base) + a.ops.selection(f.Type.Name(), 0) + " }"
				_, body := a.request("POST", "/graphql", `{"query": `+quote(operation)+`}`)
				// What can't even be read may be refused for that.
				unreadable := all && strings.Contains(body, `"code":"INVALID_INPUT"`)
				if !strings.Contains(body, `"code":"FORBIDDEN"`) && !unreadable {
					t.Errorf("%s: %s: %s", a.name, operation, body)
				}
			}
		}
		for _, query := range []string{"query { auditEntries { edges { cursor } } }", "subscription { auditChanged { position } }"} {
			_, body := a.request("POST", "/graphql", `{"query": `+quote(query)+`}`, "Accept", "text/event-stream")
			if !strings.Contains(body, `"code":"FORBIDDEN"`) {
				t.Errorf("%s: %s: %s", a.name, query, body)
			}
		}
		if changed := slices.DeleteFunc(w.observed(), func(s string) bool { return strings.HasPrefix(s, "UPDATE api_tokens") }); len(changed) != 0 {
			t.Errorf("%s has changed %v", a.name, changed)
		}
	}
}
