package orgtools

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/store/storetest"
	"github.com/quorate/quorate/resolvers"
)

//nolint:gochecknoglobals // prepared once for all tests
var databases = storetest.New("orgtools", nil)

type noJobs struct{}

func (noJobs) EnqueueTx(context.Context, *sql.Tx, core.Job) error { return nil }

// tree is this package's commands.
type tree struct {
	Customer     Customer     `cmd:""`
	Organization Organization `cmd:""`
	Member       Member       `cmd:""`
	Invite       Invite       `cmd:""`
	Token        Token        `cmd:""`

	cli.Common
}

// lab is a platform with a vendor, whose owner's token the commands have.
type lab struct {
	t          *testing.T
	url, token string
	store      *store.Store
}

func newLab(t *testing.T) *lab {
	st, err := store.Open(t.Context(), databases.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	keys, err := core.NewMasterKey(make([]byte, core.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	p, err := platform.New(platform.Config{Store: st, Bus: event.NewLocal(), Keys: keys, Jobs: noJobs{},
		Passwords: auth.NewHasher(auth.Cost{Time: 1, Memory: 64, Threads: 1}, 1)})
	if err != nil {
		t.Fatal(err)
	}
	made, err := p.Bootstrap(t.Context(), accounts.BootstrapSpec{Organization: "Charts", Email: "owner@example.com", Name: "Olga"})
	if err != nil {
		t.Fatal(err)
	}
	owner := auth.Principal{Kind: auth.KindMember, ID: made.Owner.ID, Organization: made.Organization.ID, Role: auth.Owner, Name: "Olga"}
	_, token, err := p.CreateToken(auth.With(t.Context(), owner), "", accounts.TokenSpec{Name: "cli", Role: "OWNER"})
	if err != nil {
		t.Fatal(err)
	}
	api := resolvers.NewHandler(resolvers.Config{Platform: p})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := p.Authenticate(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if err != nil {
			t.Error(err)
		}
		api.ServeHTTP(w, r.WithContext(auth.With(r.Context(), who)))
	}))
	t.Cleanup(web.Close)
	return &lab{t, web.URL, token, st}
}

// do runs a command and gives what it wrote; codes, if given, are what it may
// fail by.
func (l *lab) do(want, code string, args ...string) string {
	l.t.Helper()
	var out, errs bytes.Buffer
	args = append(args, "--url", l.url, "--token", l.token)
	status := cli.Run(l.t.Context(), &tree{}, "test", args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, func(*slog.Logger) []any { return nil })
	if (status == 0) != (code == "") || !strings.Contains(out.String(), want) || !strings.Contains(errs.String(), code) {
		l.t.Errorf("quorate %s: %d\n%s%s", strings.Join(args[:len(args)-4], " "), status, out.String(), errs.String())
	}
	return out.String()
}

// TestCommands: what the dashboard does with organizations the command line
// does too.
func TestCommands(t *testing.T) {
	l := newLab(t)
	id := func(kind, text string) string {
		t.Helper()
		found := regexp.MustCompile(kind + `_[0-9a-f-]{36}`).FindString(text)
		if found == "" {
			t.Fatalf("no id of %s in %s", kind, text)
		}
		return found
	}
	l.do("Charts (org_", "", "organization", "show")
	l.do("It is called Chart House now.", "", "organization", "set", "--name", "Chart House")
	l.do("", "no vendor", "organization", "set", "--users", "TOTALS")
	customer := id("org", l.do("Shipping is a customer", "", "customer", "create", "Shipping", "--key", "k"))
	l.do(customer, "", "customer", "create", "Shipping", "--key", "k")
	l.do("PSEUDONYMS", "", "customer", "ls")
	l.do("Shipping Group", "", "customer", "rename", "Shipping", "Shipping Group")
	l.do("", "there is no customer", "customer", "rename", "Nobody", "X")
	l.do(l.url+"/invitation#qri_", "", "invite", "create", "carl@example.com", "--role", "OWNER", "--customer", customer)
	l.do("The test environment of", "", "organization", "test")

	l.do("The group Operations has the role OPERATOR and 0 members.", "", "member", "group", "create", "Operations", "OPERATOR")
	group := id("mgr", l.do("Operations", "", "member", "group", "ls"))
	l.do("1 members", "", "member", "group", "add", "Operations", "owner@example.com")
	l.do("Ops", "", "member", "group", "set", group, "--name", "Ops")
	l.do("0 members", "", "member", "group", "remove", "Ops", "OWNER@example.com")
	l.do("", "there is no member", "member", "group", "remove", "Ops", "nobody@example.com")
	l.do("OWNER", "", "member", "ls")
	l.do("", "no owner", "member", "set", "owner@example.com", "VIEWER")
	l.do("", "no owner", "member", "remove", "owner@example.com")

	l.do("anna@example.com is invited as OPERATOR", "", "invite", "create", "anna@example.com", "--role", "OPERATOR", "--group", group)
	invitation := id("inv", l.do("anna@example.com", "", "invite", "ls"))
	l.do("/invitation#qri_", "", "invite", "resend", invitation)
	l.do("taken back", "", "invite", "revoke", invitation)
	l.do("deleted", "", "member", "group", "delete", "Ops")

	made := l.do("", "", "token", "create", "erp", "--role", "OPERATOR", "--scope", "ORDER,RELEASE", "--expires", "365d", "--json")
	var answer tokenMade
	if err := json.Unmarshal([]byte(made), &answer.Made); err != nil || answer.Made.Secret == nil || len(answer.Made.APIToken.Scopes) != 3 {
		t.Errorf("%s, %v", made, err)
	}
	l.do("READ,ORDER,RELEASE", "", "token", "ls")
	l.do("…"+answer.Made.APIToken.Hint+"  cli ", "", "token", "ls") // by whose it was made
	for _, never := range []string{"0s", "-1h", "1y"} {             // none of them lasts for ever
		l.do("", "INVALID_INPUT", "token", "create", "x", "--expires", never, "--json")
	}
	l.do("", "<name> is empty", "customer", "rename", customer, "")
	l.do("", "there is no customer", "invite", "create", "carl@example.com", "--customer", "Nobody")
	l.do("", "GRAPHQL_", "token", "create", "x", "--scope", "NOTHING")
	if out := l.do("", "", "token", "list"); !regexp.MustCompile(`erp .*[0-9]{2}:[0-9]{2}:[0-9]{2}Z `).MatchString(out) || strings.Contains(out, ".") {
		t.Errorf("times to the second: %s", out)
	}
	l.do("is revoked", "", "token", "revoke", answer.Made.APIToken.ID)
	l.do("", string(license.CodeNotFound), "token", "revoke", "tok_x", "--json")

	// A name of before names were checked.
	l.store.Client().Organization.UpdateOneID(customer).SetName("\x1b[2Jgone").ExecX(auth.With(t.Context(), auth.System("test")))
	if out := l.do("gone", "", "customer", "ls") + l.do("gone", "", "customer", "rename", customer, "gone"); strings.Contains(out, "\x1b") {
		t.Errorf("a name reaches the terminal: %q", out)
	}

	l.do("token.revoked", "", "organization", "audit", "--action", "token.", "--most", "1", "--since", "7d")
	l.do(`"before":"\"Charts\""`, "", "organization", "audit", "--json")
}

// TestExamples: every command's help shows how it is used.
func TestExamples(t *testing.T) {
	var out, errs bytes.Buffer
	for _, c := range []string{"customer create", "customer ls", "customer rename", "organization show", "organization set", "organization test", "organization audit",
		"member ls", "member set", "member remove", "member group ls", "member group create", "member group set", "member group delete", "member group add",
		"member group remove", "invite create", "invite ls", "invite resend", "invite revoke", "token create", "token ls", "token revoke"} {
		out.Reset()
		status := cli.Run(t.Context(), &tree{}, "test", append(strings.Fields(c), "--help"), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, func(*slog.Logger) []any { return nil })
		if status != 0 || !strings.Contains(out.String(), "quorate "+c) || !strings.Contains(out.String(), "Example") {
			t.Errorf("quorate %s --help: %d\n%s", c, status, out.String())
		}
	}
}
