package hooktools

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/store/storetest"
	"github.com/quorate/quorate/internal/webhook"
	"github.com/quorate/quorate/resolvers"
)

//nolint:gochecknoglobals // prepared once for all tests
var databases = storetest.New("hooktools", nil)

type noJobs struct{}

func (noJobs) EnqueueTx(context.Context, *sql.Tx, core.Job) error { return nil }

// tree is this package's commands.
type tree struct {
	Webhook Webhook `cmd:""`

	cli.Common
}

// lab is a platform with a vendor, whose owner's token the commands have.
type lab struct {
	t          *testing.T
	url, token string
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
	return &lab{t, web.URL, token}
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

// TestCommands: what the API does with webhooks the command line does too.
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
	made := l.do("Secret:   whsec_", "", "webhook", "create", "https://books.example.com/hook", "--event", "order.created,rollout.done", "--key", "k")
	hook := id("whe", made)
	if again := l.do(hook, "", "webhook", "create", "https://books.example.com/hook", "--event", "order.created,rollout.done", "--key", "k"); strings.Contains(again, "whsec_") {
		t.Error("the secret was shown twice")
	}
	l.do("", "webhooks may not call this address", "webhook", "create", "https://127.0.0.1/hook")
	l.do("", "there is no event", "webhook", "update", hook, "--event", "x")
	l.do("order.created,rollout.done  enabled", "", "webhook", "list")
	l.do("transfer.confirmed", "", "webhook", "list", "--kinds")
	l.do("Events:   *", "", "webhook", "update", hook, "--event", "*", "--description", "all")
	l.do("", "changed meanwhile", "webhook", "update", hook, "--disable", "--revision", "1")
	if rotated := l.do("Secret:   whsec_", "", "webhook", "rotate", hook); strings.Contains(made, rotated[strings.Index(rotated, "whsec_"):]) {
		t.Error("the secret is the same")
	}
	l.do(`"revision":3`, "", "webhook", "show", hook, "--json")
	sent := id("whd", l.do("Sent as whd_", "", "webhook", "test", hook))
	l.do("webhook.test", "", "webhook", "log", hook, "--state", "PENDING")
	l.do(`"type":"webhook.test"`, "", "webhook", "log", sent)
	l.do(`{"id":"`+sent+`"`, "", "webhook", "log", sent, "--json")
	for _, id := range []string{"whe_0199", "whd_0199"} {
		l.do("", "NOT_FOUND", "webhook", "log", id)
		l.do("", "NOT_FOUND", "webhook", "log", id, "--json")
	}
	l.do("Sent again as whd_", "", "webhook", "replay", sent)
	l.do("0 deliveries are sent again.", "", "webhook", "replay", hook, "--since", "7d")
	l.do("", "is not a date", "webhook", "replay", hook, "--since", "yesterday")
	l.do("disabled: a person", "", "webhook", "update", hook, "--disable")
	l.do("", "the webhook is disabled", "webhook", "test", hook)
	l.do("State:    enabled", "", "webhook", "update", hook, "--enable")
	l.do("is removed", "", "webhook", "delete", hook)
	l.do("", "there is no", "webhook", "show", hook)
}

// TestVerify: a message that was saved is judged without asking anybody.
func TestVerify(t *testing.T) {
	secret, body, h := webhook.NewSecret(), []byte(`{"type":"order.created"}`), http.Header{}
	webhook.Sign(h, "evt_1", time.Now(), body, webhook.NewSecret(), secret)
	file := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(in, body, secret string, more ...string) (string, int) {
		var out, errs bytes.Buffer
		args := []string{"webhook", "verify", body, "--secret", secret}
		for name := range h {
			args = append(args, "-H", name+": "+h.Get(name))
		}
		status := cli.Run(t.Context(), &tree{}, "test", append(args, more...), cli.Streams{In: strings.NewReader(in), Out: &out, Err: &errs}, func(*slog.Logger) []any { return nil })
		return out.String() + errs.String(), status
	}
	if text, status := verify("", file, secret.Text()); status != 0 || !strings.Contains(text, "genuine") {
		t.Error(text)
	}
	if text, status := verify("", file, secret.Text(), "--json"); status != 0 || !strings.HasPrefix(text, `{"genuine":true,"id":"`) {
		t.Errorf("%d %s", status, text)
	}
	if text, status := verify(string(body), "-", secret.Text()); status != 0 {
		t.Error(text)
	}
	for what, text := range map[string]func() (string, int){
		"a changed body": func() (string, int) { return verify(string(body)+" ", "-", secret.Text()) },
		"another secret": func() (string, int) { return verify("", file, webhook.NewSecret().Text()) },
		"no secret":      func() (string, int) { return verify("", file, "secret") },
		"long ago":       func() (string, int) { return verify("", file, secret.Text(), "--at", "2001-01-01T00:00:00Z") },
		"no file":        func() (string, int) { return verify("", file+"x", secret.Text()) },
	} {
		if out, status := text(); status == 0 || strings.Contains(out, "genuine.") {
			t.Errorf("%s: %s", what, out)
		}
	}
}
