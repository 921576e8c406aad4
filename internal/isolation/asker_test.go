package isolation_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql/schema"
	"github.com/coder/websocket"

	"github.com/quorate/quorate/ent/migrate"
	"github.com/quorate/quorate/internal/auth"
)

// asker tries to get at the victim's data.
type asker struct {
	*walk
	t       testing.TB
	name    string
	token   string
	account row // of the token
	own     *tenants
	// provider is whose customer he is: that there is such a one he knows.
	provider string
	// related is of the victim's own customers, or its provider: he may make things there.
	related bool
	// visible are the victim's rows that the guard shows him.
	visible map[string]bool
	refused map[string]int // by code
	turn    int
	asked   int
	said    map[string]bool
	socket  *websocket.Conn // nil: not open
	opened  int             // operations over it
	// only is the one field of Query, Mutation and Subscription to ask for; "": all.
	only string
	// brief: each field is asked for once.
	brief         bool
	mutationsOnly bool
	word          string // that the asker's own texts begin with
}

// asker makes an API token of a role in an organization; "" is nobody.
func (w *walk) asker(t testing.TB, name, organization, provider string, role auth.Role, own *tenants) *asker {
	t.Helper()
	a := &asker{walk: w, t: t, name: name, own: own, provider: provider, word: "own", related: provider == w.victim.vendor || organization != "" && w.victim.rows["organizations"][0]["provider_id"] == organization, visible: map[string]bool{}, refused: map[string]int{}, said: map[string]bool{}}
	if organization == "" {
		return a
	}
	token, hash, err := auth.NewToken(auth.APIToken)
	if err != nil {
		t.Fatal(err)
	}
	a.token = token
	a.account = maps.Clone(own.rows["api_tokens"][0])
	a.account["id"], a.account["organization_id"] = w.seed.globalID("api_tokens", name, 0), organization
	a.account["role"], a.account["hash"] = string(role), hash
	for _, c := range columnsOf("api_tokens") {
		if c == "scopes" {
			a.account[c] = "[]"
		}
		if c == "member_id" || c == "created_by" {
			delete(a.account, c)
		}
	}
	a.renew()
	a.visible = visible(w.victim, organization, provider)
	return a
}

// renew gives back what the walk itself has revoked and needs again: the token,
// and a ticket of one's own.
func (a *asker) renew() {
	if a.token == "" {
		return
	}
	if err := a.seed.put(a.t.Context(), "api_tokens", a.account); err != nil {
		a.t.Fatal(err)
	}
	if a.own == a.victim {
		return
	}
	mine := maps.Clone(a.own.rows["tickets"][0])
	mine["revoked_at"] = nil
	if err := a.seed.put(a.t.Context(), "tickets", mine); err != nil {
		a.t.Fatal(err)
	}
}

// answer is what was said, in a form that two answers can be compared by.
type answer struct {
	shape, code, message, body string
}

func (x answer) String() string { return fmt.Sprintf("%s %q %s", x.code, x.message, x.shape) }

func (a *asker) request(method, target, body string, headers ...string) (int, string) {
	ctx, cancel := context.WithTimeout(a.t.Context(), 10*time.Second)
	defer cancel()
	r := httptest.NewRequest(method, "http://quorate.test"+target, strings.NewReader(body)).WithContext(ctx)
	r.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := &firstEvent{ResponseRecorder: httptest.NewRecorder(), cancel: cancel}
	a.handler.ServeHTTP(rec, r)
	return rec.Code, requestID.ReplaceAllString(rec.Body.String(), `"requestId":"…"`)
}

var (
	requestID = regexp.MustCompile(`"requestId":"[^"]*"`)
	figures   = regexp.MustCompile(`":"?(\d{6,7})\b`)
	cursors   = regexp.MustCompile(`[cC]ursor":"([^"]+)"`)
	codes     = regexp.MustCompile(`"code":"[A-Z_]+"`)
)

// firstEvent ends a stream after its first message.
type firstEvent struct {
	*httptest.ResponseRecorder
	cancel context.CancelFunc
}

func (w *firstEvent) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *firstEvent) Write(b []byte) (int, error) {
	n, err := w.ResponseRecorder.Write(b)
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") && strings.Contains(w.Body.String(), "event: next") && strings.HasSuffix(w.Body.String(), "\n\n") {
		w.cancel()
	}
	return n, err
}

// ask executes an operation, and looks for what must not be there. sent are ids
// that the operation itself has.
func (a *asker) ask(operation string, sent ...string) answer {
	a.t.Helper()
	body := ""
	if strings.HasPrefix(operation, "subscription") {
		body = a.subscribe(operation, sent...)
	} else {
		_, body = a.request("POST", "/graphql", `{"query": `+quote(operation)+`}`)
		a.inspect(operation, body, sent...)
	}
	out := answer{body: body}
	var parsed struct {
		Data   any
		Errors []struct {
			Message    string
			Extensions struct{ Code, Fix string }
		}
	}
	for line := range strings.SplitSeq(body, "\n") {
		line = strings.TrimPrefix(line, "data: ")
		if !strings.HasPrefix(line, "{") {
			continue
		}
		if err := json.Unmarshal([]byte(line), &parsed); err != nil {
			a.t.Errorf("%s: %s answers %v: %s", a.name, operation, err, body)
		}
		out.shape += shape(parsed.Data)
	}
	for _, e := range parsed.Errors {
		out.code += e.Extensions.Code
		out.message += e.Message + "; " + e.Extensions.Fix
		a.refused[e.Extensions.Code]++
	}
	if causes := a.causes(); strings.Contains(out.code, "INTERNAL") || len(causes) > 0 {
		a.once("%s: INTERNAL because of %q\n%s\n%s", a.name, causes, operation, body)
	}
	if strings.Contains(out.code, "GRAPHQL_") {
		a.once("%s: the walk wrote what is no operation: %s\n%s", a.name, operation, body)
	}
	for _, id := range sent {
		if len(id) < 4 {
			continue
		}
		out.message = strings.ReplaceAll(out.message, id, "…")
	}
	return out
}

// inspect fails the test when a text is the victim's, or something of his changed.
func (a *asker) inspect(what, body string, sent ...string) {
	a.t.Helper()
	a.asked++
	for _, text := range sent {
		for _, mark := range marks.FindAllString(text, -1) {
			a.sent[mark] = true
		}
	}
	for _, mark := range marks.FindAllString(body+inCursors(body), -1) {
		of, ok := a.seed.canaries[mark]
		if !ok || a.sent[mark] || a.visible[of.table+" "+of.id] || !slices.ContainsFunc(a.victim.rows[of.table], func(r row) bool { return r.id() == of.id }) {
			continue
		}
		a.once("%s sees %s.%s of another tenant by %s\n%s", a.name, of.table, of.column, what, body)
	}
	for _, m := range figures.FindAllStringSubmatch(body, -1) {
		if n, err := strconv.Atoi(m[1]); err == nil && n >= figuresFrom && n < figuresTo && !a.visible["orders "+a.victim.rows["orders"][0].id()] && !slices.ContainsFunc(sent, func(s string) bool { return strings.Contains(s, m[1]) }) {
			a.once("%s sees the figure %v of another tenant by %s\n%s", a.name, n, what, body)
		}
	}
	for _, change := range a.observed() {
		op, row, _ := strings.Cut(change, " ")
		if a.related && (op == "INSERT" || a.visible[row]) {
			continue
		}
		a.once("%s: %s of another tenant's %s by %s\n%s", a.name, op, row, what, body)
	}
}

// inCursors gives what the cursors of an answer say.
func inCursors(body string) string {
	var all strings.Builder
	for _, m := range cursors.FindAllStringSubmatch(body, -1) {
		text, err := base64.RawStdEncoding.DecodeString(m[1])
		if err == nil {
			all.Write(text)
		}
	}
	return all.String()
}

// once tells one thing of each sort.
func (a *asker) once(format string, args ...any) {
	a.t.Helper()
	var short []any
	for _, arg := range args {
		short = append(short, fmt.Sprintf("%.600v", arg))
	}
	key, _, _ := strings.Cut(fmt.Sprintf(format, short...), "(")
	if !a.said[key] {
		a.said[key] = true
		a.t.Errorf(format, short...)
	}
}

// shape tells what is there and what is null, not what it says.
func shape(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case map[string]any:
		var all []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, name+":"+shape(v[name]))
		}
		return "{" + strings.Join(all, " ") + "}"
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, shape(one))
		}
		return "[" + strings.Join(all, " ") + "]"
	}
	return "x"
}

// base is something of the asker's own for a position.
func (a *asker) base(root string, p position) (string, bool) {
	switch p.scalar {
	case "Int":
		return "1", true
	case "ID":
		table := a.ops.tableOf(root, p)
		switch {
		case table == "":
			table = "tmr_groups"
		case table == "containers" && len(a.own.rows[table]) > 1:
			return quote(a.own.rows[table][1]["id"]), true // the one outside of TMR groups
		}
		if rows := a.own.rows[table]; len(rows) > 0 {
			return quote(rows[0]["id"]), true
		}
		return quote(a.own.vendor), true
	}
	text := fmt.Sprintf("%s-%d", a.word, a.turn) // the same for both of a pair
	switch p.name {
	case "code":
		return quote(a.own.secrets["ticket"]), true
	case "url", "issuer":
		text = "https://" + text + ".example.com/"
	case "events":
		text = "order.created"
	case "units", "featureMap":
		text = "7"
	case "accessList":
		text = "user:" + text
	case "request", "requests":
		return quote(a.seed.request(a.own.rows["containers"][1])), true
	}
	if strings.Contains(p.name, "dempotency") {
		a.seed.next++
		text = fmt.Sprintf("key-%d", a.seed.next)
	}
	if strings.Contains(strings.ToLower(p.name), "email") {
		text += "@own.test"
	}
	if column, ok := a.own.rows[a.ops.tableOf(root, position{name: "id"})]; ok && len(column) > 0 {
		if v, ok := column[0][snake(p.name)].(string); ok && strings.Contains(p.name, "erial") {
			text = v
		}
	}
	return quote(text), true
}

func snake(name string) string {
	var out strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			out.WriteByte('_')
			r += 'a' - 'A'
		}
		out.WriteRune(r)
	}
	return out.String()
}

// try is a value of the victim's, and one of the same sort that nothing has.
type try struct{ foreign, madeUp any }

// tries are what is tried at a position.
func (a *asker) tries(root string, p position, thorough bool) []try {
	var all []try
	ids := func(table string) {
		for i, r := range a.victim.rows[table][:rowsPerTable] {
			if r.id() != "" && r.id() != a.provider && !a.visible[table+" "+r.id()] && (i == 0 || thorough) {
				all = append(all, try{r.id(), a.seed.globalID(table, "made up", i)})
			}
		}
	}
	columns := func(table, named string) {
		for _, t := range migrate.Tables {
			if t.Name != table && table != "" {
				continue
			}
			for _, c := range t.Columns {
				unique := c.Unique || slices.ContainsFunc(t.Indexes, func(x *schema.Index) bool { return x.Unique && x.Columns[0] == c })
				if !unique || named != "" && c.Name != named || strings.HasSuffix(c.Name, "id") {
					continue
				}
				rows := a.victim.rows[t.Name]
				for _, r := range rows[:min(len(rows), rowsPerTable)] {
					if a.visible[fmt.Sprint(t.Name, " ", r["id"])] {
						continue
					}
					switch v := r[c.Name].(type) {
					case string:
						other := a.seed.text(canary{t.Name, "made up", c.Name}, c.Size)
						all = append(all, try{v, other})
					case int:
						a.seed.next++ // what was made up before may have been made since
						all = append(all, try{v, v + 100_000 + a.seed.next})
					}
				}
			}
		}
	}
	switch p.scalar {
	case "ID":
		if table := a.ops.tableOf(root, p); table != "" {
			ids(table)
			if thorough {
				columns(table, "")
			}
			break
		}
		for _, table := range slices.Sorted(maps.Values(a.ops.nodes())) {
			ids(table)
		}
	default:
		if thorough {
			columns("", snake(p.name))
		}
	}
	var fit []try
	for _, one := range all {
		if _, number := one.foreign.(int); number == (p.scalar == "Int") || p.scalar == "ID" {
			if p.scalar != "Int" {
				one = try{fmt.Sprint(one.foreign), fmt.Sprint(one.madeUp)}
			}
			fit = append(fit, one)
		}
	}
	return fit
}

// told are the fields whose answers may tell that something of another tenant
// exists, and why.
var told = map[string]string{
	"createFirm": "containers have licenses of several vendors, whose firms they tell apart by the code: it is given once on a platform",
}

// compare asks for something of the victim's and for something made up, which
// must be the same to the asker.
func (a *asker) compare(root string, write func(value string) string, one try) {
	a.t.Helper()
	a.turn++
	foreign := a.ask(write(quote(one.foreign)), fmt.Sprint(one.foreign))
	madeUp := a.ask(write(quote(one.madeUp)), fmt.Sprint(one.madeUp))
	same := foreign.shape == madeUp.shape && foreign.code == madeUp.code && foreign.message == madeUp.message
	if !same && told[root] == "" && !strings.Contains(foreign.code+madeUp.code, "THROTTLED") {
		a.once("%s tells an existing one from a made-up one by %s at %s\n%v\n%v", a.name, root, write(quote(one.foreign)), foreign, madeUp)
	}
}
