package admin

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/resolvers"
)

// itemLab is a platform with one product, and a command line beside it.
type itemLab struct {
	t        *testing.T
	url, dir string
	platform *platform.Platform
	owner    auth.Principal
}

// noQueue is a queue that nobody works on.
type noQueue struct{}

func (noQueue) EnqueueTx(context.Context, *sql.Tx, core.Job) error { return nil }

func newItemLab(t *testing.T) *itemLab {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "quorate.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	keys, err := core.NewMasterKey(make([]byte, core.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	p, err := platform.New(platform.Config{Store: s, Bus: event.NewLocal(), Keys: keys, Jobs: noQueue{}})
	if err != nil {
		t.Fatal(err)
	}
	boot, err := p.Bootstrap(t.Context(), accounts.BootstrapSpec{Organization: "Vendor", Email: "owner@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	owner := auth.Principal{Kind: auth.KindToken, ID: "tok_1", Organization: boot.Organization.ID, Role: auth.Owner, Name: "Owner"}
	ctx := auth.With(t.Context(), owner)
	f, err := p.CreateFirm(ctx, catalog.FirmSpec{Code: 6000010, Name: "Firm"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.CreateProduct(ctx, f.ID, catalog.ProductSpec{Code: 14, Name: "Charts"}); err != nil {
		t.Fatal(err)
	}
	api := resolvers.NewHandler(resolvers.Config{Platform: p})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer qrt_owner" {
			r = r.WithContext(auth.With(r.Context(), owner))
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	return &itemLab{t, web.URL, dir, p, owner}
}

func (l *itemLab) try(args ...string) (out, errs string, status int) {
	l.t.Helper()
	var o, e bytes.Buffer
	args = append([]string{"item"}, args...)
	status = run(l.t.Context(), append(args, "--url", l.url, "--token", "qrt_owner"), cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return o.String(), e.String(), status
}

func (l *itemLab) do(args ...string) string {
	l.t.Helper()
	out, errs, status := l.try(args...)
	if status != 0 || errs != "" {
		l.t.Fatalf("quorate item %s: %d, %s", strings.Join(args, " "), status, errs)
	}
	return out
}

func (l *itemLab) refused(code string, args ...string) {
	l.t.Helper()
	out, errs, status := l.try(args...)
	if status != cli.ExitFailure || out != "" || !strings.HasSuffix(errs, "["+code+"]\n") {
		l.t.Errorf("quorate item %s: %d, %q, %q instead of %s", strings.Join(args, " "), status, out, errs, code)
	}
}

func (l *itemLab) file(name, content string) string {
	l.t.Helper()
	name = filepath.Join(l.dir, name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return name
}

// TestItemCommands: an item with every option is made, shown, changed, renewed
// and listed; its data is written nowhere.
func TestItemCommands(t *testing.T) {
	l := newItemLab(t)
	readable, secret := l.file("settings.bin", "canary that is readable"), l.file("seed.key", "canary that is secret")
	var all strings.Builder
	do := func(args ...string) string {
		t.Helper()
		out := l.do(args...)
		all.WriteString(out)
		return out
	}
	made := do("create", "6000010:14", "Everything", "--quantity", "5", "--activation", "2026-12-01", "--expiration", "2027-12-01T08:00:00+01:00",
		"--usage-period", "90d", "--units", "500", "--features", "0x5", "--maintenance", "2026-01-01..2026-12-31", "--minimum-version", "10.4",
		"--text", "for ships", "--allow", "user:anna, the first", "--allow", "application:charts", "--deny", "host:kiosk", "--linger", "90s",
		"--protected-data", readable, "--secret-data", secret)
	for _, line := range []string{
		"product          6000010:14  Charts", "quantity         5", "counts from      2026-12-01T00:00:00Z", "expires          2027-12-01T07:00:00Z",
		"usage period     90d from the first use", "units            500 with each license", "features         0x5",
		"maintenance      releases of 2026-01-01..2026-12-31", "minimum version  10.4", `text             "for ships"`,
		"allowed          user:anna, the first", "denied           host:kiosk", "linger           1m30s", "secret data      there",
	} {
		if !strings.Contains(made, "\n"+line) {
			t.Errorf("%q is not in\n%s", line, made)
		}
	}
	var v itemView
	if err := json.Unmarshal([]byte(do("show", "Everything", "--json")), &v); err != nil {
		t.Fatal(err)
	}
	if v.Revision != 1 || v.TMR || len(v.AccessList) != 3 || !v.HasProtectedData || v.Product.Reference != "6000010:14" {
		t.Errorf("%+v", v)
	}
	if got := do("show", v.ID); got != made {
		t.Errorf("shown\n%s\ninstead of\n%s", got, made)
	}
	changed := do("update", v.ID, "--revision", "1", "--name", "Less", "--quantity", "0", "--maintenance", "..2027-06-30", "--deny", "user:bob",
		"--remove", "usage-period,units,text", "--remove", "secret-data")
	if !strings.Contains(changed, "releases of ..2027-06-30") || !strings.Contains(changed, "local only") || !strings.Contains(changed, "denied           user:bob") ||
		strings.Contains(changed, "units") || strings.Contains(changed, "secret") || strings.Contains(changed, "allowed") || !strings.Contains(changed, "features         0x5") {
		t.Errorf("changed to\n%s", changed)
	}
	if out := do("renew", "Less"); !strings.Contains(out, "issue            1: renewed") || !strings.Contains(out, "revision         3") {
		t.Errorf("renewed:\n%s", out)
	}
	do("create", "6000010:14", "Plain", "--tmr")
	do("update", "Plain", "--no-tmr")
	if out := do("ls"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "local") || !strings.Contains(out, "minimum version") {
		t.Errorf("listed\n%s", out)
	}
	var list []itemView
	if err := json.Unmarshal([]byte(do("ls", "--json")), &list); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
	if strings.Contains(all.String(), "canary") {
		t.Errorf("the data was written:\n%s", all.String())
	}
}

func TestItemCommandsRefuse(t *testing.T) {
	l := newItemLab(t)
	l.do("create", "6000010:14", "Plain")
	large := l.file("large", strings.Repeat("x", license.MostData+1))
	for _, args := range [][]string{
		{"create", "6000010:14", "x", "--expiration", "tomorrow"},
		{"create", "6000010:14", "x", "--usage-period", "long"},
		{"create", "6000010:14", "x", "--usage-period", "99999d"},
		{"create", "6000010:14", "x", "--linger", "1.5s"},
		{"create", "6000010:14", "x", "--maintenance", "2026-01-01"},
		{"create", "6000010:14", "x", "--features", "five"},
		{"create", "6000010:14", "x", "--allow", "anna"},
		{"create", "6000010:14", "x", "--secret-data", large},
		{"create", "6000010:14", "x", "--protected-data", l.file("empty", "")},
		{"update", "Plain", "--remove", "everything"},
		{"update", "Plain", "--remove", "units", "--units", "5"},
	} {
		l.refused("INVALID_INPUT", args...)
	}
	l.refused("NOT_FOUND", "create", "6000010:99", "x")
	l.refused("NOT_FOUND", "create", "6000010:14", "x", "--secret-data", filepath.Join(l.dir, "nothing"))
	l.refused("NOT_FOUND", "show", "itm_nothing")
	l.refused("NOT_FOUND", "renew", "Nothing")
	l.refused("CONFLICT", "create", "6000010:14", "Plain")
	l.refused("CONFLICT", "update", "Plain", "--revision", "7", "--text", "x")
}
