package fleettools_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/fleettools"
	"github.com/quorate/quorate/cmd/quorate/internal/tickettools"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/resolvers"
)

type tree struct {
	Ticket  tickettools.Ticket `cmd:""`
	Enroll  fleettools.Enroll  `cmd:""`
	Servers fleettools.Servers `cmd:""`

	cli.Common
}

// noQueue is a queue that nobody works on.
type noQueue struct{}

func (noQueue) EnqueueTx(context.Context, *sql.Tx, core.Job) error { return nil }

type lab struct {
	t         *testing.T
	url, item string
	platform  *platform.Platform
	dir       string
	box       *container.Container
	owner     auth.Principal
}

// newLab is a platform with an item and the container 130-7.
func newLab(t *testing.T) *lab {
	t.Helper()
	fine := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "quorate.db"))
	fine(err)
	t.Cleanup(func() { _ = s.Close() })
	keys, err := core.NewMasterKey(make([]byte, core.MasterKeySize))
	fine(err)
	p, err := platform.New(platform.Config{Store: s, Bus: event.NewLocal(), Keys: keys, Jobs: noQueue{}})
	fine(err)
	boot, err := p.Bootstrap(t.Context(), accounts.BootstrapSpec{Organization: "Vendor", Email: "owner@example.com"})
	fine(err)
	owner := auth.Principal{Kind: auth.KindToken, ID: "tok_1", Organization: boot.Organization.ID, Role: auth.Owner, Name: "Owner"}
	ctx := auth.With(t.Context(), owner)
	f, err := p.CreateFirm(ctx, catalog.FirmSpec{Code: 6000010, Name: "Firm"})
	fine(err)
	product, err := p.CreateProduct(ctx, f.ID, catalog.ProductSpec{Code: 14, Name: "Charts"})
	fine(err)
	item, err := p.CreateItem(ctx, product.ID, catalog.ItemSpec{Name: "Charts", Options: license.Options{Quantity: 1}})
	fine(err)
	c, err := container.Create(filepath.Join(dir, "one.qrc"), container.Params{Serial: license.Serial{Mask: 130, Number: 7}, Root: boot.Root, ActivationID: [16]byte{9}})
	fine(err)
	t.Cleanup(func() { c.Close() })
	print, err := c.Fingerprint(nil)
	fine(err)
	text, err := armor.Encode(armor.File{Kind: armor.Request, Messages: [][]byte{print}})
	fine(err)
	_, err = p.RegisterContainer(ctx, provision.RegisterSpec{Request: string(text), Customer: "Shipping", Server: &provision.ServerSpec{Name: "office"}})
	fine(err)
	api := resolvers.NewHandler(resolvers.Config{Platform: p})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer qrt_owner" {
			r = r.WithContext(auth.With(r.Context(), owner))
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	l := &lab{t: t, url: web.URL, item: item.ID, platform: p, dir: dir, box: c, owner: owner}
	if err := os.WriteFile(filepath.Join(dir, "one.lreq"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) try(args ...string) (out, errs string, status int) {
	var o, e bytes.Buffer
	status = cli.Run(l.t.Context(), &tree{}, "test", append(args, "--url", l.url, "--token", "qrt_owner"),
		cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e}, func(*slog.Logger) []any { return nil })
	return o.String(), e.String(), status
}

func (l *lab) do(args ...string) string {
	l.t.Helper()
	out, errs, status := l.try(args...)
	if status != 0 || errs != "" {
		l.t.Fatalf("quorate %s: %d, %s", strings.Join(args, " "), status, errs)
	}
	return out
}

func (l *lab) json(into any, args ...string) {
	l.t.Helper()
	if err := json.Unmarshal([]byte(l.do(append(args, "--json")...)), into); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) refused(code string, args ...string) {
	l.t.Helper()
	if out, errs, status := l.try(args...); status != cli.ExitFailure || !strings.HasSuffix(errs, "["+code+"]\n") {
		l.t.Errorf("quorate %s: %d, %q, %q instead of %s", strings.Join(args, " "), status, out, errs, code)
	}
}

// install brings the container the update file, and the platform the receipts.
func (l *lab) install(path, rollout string) {
	l.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	f, err := armor.Parse(text)
	if err != nil {
		l.t.Fatal(err)
	}
	parts, err := armor.Parts(f)
	if err != nil {
		l.t.Fatal(err)
	}
	receipts := armor.File{Kind: armor.Receipt}
	for _, p := range parts {
		if p.Update == nil {
			continue
		}
		staged, err := l.box.Stage(p.Message)
		if err != nil {
			l.t.Fatal(err)
		}
		receipt, err := l.box.Activate(staged.Digest, nil)
		if err != nil {
			l.t.Fatal(err)
		}
		receipts.Messages = append(receipts.Messages, receipt)
	}
	if text, err = armor.Encode(receipts); err != nil {
		l.t.Fatal(err)
	}
	if row, err := l.platform.FinishOfflineRollout(auth.With(l.t.Context(), l.owner), rollout, string(text)); err != nil || row.State != "DONE" {
		l.t.Fatalf("%+v, %v", row, err)
	}
}

func TestTicketCommands(t *testing.T) {
	l := newLab(t)
	var made struct {
		ID, Code, State string
		Lines           []struct{ ID string }
	}
	l.json(&made, "ticket", "create", l.item+"=5", "--customer", "Shipping", "--reference", "PO-1", "--return-limit", "2", "--until", "2101-12-31", "--key", "k")
	if out := l.do("ticket", "create", l.item+"=5", "--customer", "Shipping", "--reference", "PO-1", "--return-limit", "2", "--until", "2101-12-31", "--key", "k"); !strings.Contains(out, made.Code) || !strings.Contains(out, "5 of 5 left") {
		t.Errorf("made again:\n%s", out)
	}
	if out := l.do("ticket", "update", made.ID, "--revision", "1", "--until", "never", "--return-limit", "any", "--no-partial", "--note", "all at once"); !strings.Contains(out, "only all at once") || strings.Contains(out, "returns") || strings.Contains(out, "until") {
		t.Errorf("changed:\n%s", out)
	}
	l.refused("INVALID_INPUT", "ticket", "activate", made.Code, "130-7", made.Lines[0].ID+"=2")
	l.do("ticket", "update", made.ID, "--revision", "2", "--partial")
	if out := l.do("ticket", "activate", made.Code, "130-7", l.item+"=2", "--no-rollout", "--key", "a"); !strings.Contains(out, "2 of Charts at 130-7") {
		t.Errorf("activated: %s", out)
	}
	update := filepath.Join(l.dir, "one.lupd")
	out := l.do("ticket", "activate", strings.ToLower(made.Code), "130-7", "--request", filepath.Join(l.dir, "one.lreq"), "-o", update)
	if !strings.Contains(out, "3 of Charts at 130-7") || !strings.Contains(out, "rollout rol_") || !cli.Exists(update) {
		t.Errorf("by files: %s", out)
	}
	activation, _, _ := strings.Cut(out, " ")
	l.refused("CONFLICT", "ticket", "return", activation, "1")
	l.refused("NOT_FOUND", "ticket", "move", activation, "1", "--to", "130-8")
	l.refused("TICKET_USED_UP", "ticket", "activate", made.Code, "130-7")
	l.install(update, out[strings.Index(out, "rol_"):strings.LastIndex(out, ":")])
	for range 2 { // once, by the key
		back := l.do("ticket", "return", activation, "2", "--reason", "too many", "--key", "b")
		if !strings.Contains(back, "return 2 licenses of 6000010:14: requested") || !strings.Contains(back, "quorate offline start 130-7 REQUEST") {
			t.Errorf("returned: %s", back)
		}
	}
	if out := l.do("ticket", "show", made.Code); !strings.Contains(out, "1 of Charts at 130-7") {
		t.Errorf("after the return:\n%s", out)
	}
	l.refused("INVALID_INPUT", "ticket", "create", l.item)
	l.refused("INVALID_INPUT", "ticket", "show", "7KQ4M")
	l.refused("INVALID_INPUT", "ticket", "update", made.ID, "--revision", "3", "--return-limit", "often")
	if out := l.do("ticket", "show", made.Code); !strings.Contains(out, "used up") || strings.Count(out, "activation") != 2 {
		t.Errorf("shown:\n%s", out)
	}
	if out := l.do("ticket", "list", "--customer", "Shipping"); !strings.Contains(out, "PO-1") {
		t.Errorf("of a customer:\n%s", out)
	}
	l.refused("NOT_FOUND", "ticket", "list", "--customer", "Nobody")
	l.refused("NOT_FOUND", "servers", "list", "--customer", "Nobody")
	if out := l.do("ticket", "list", "--reference", "PO-1"); !strings.Contains(out, "0 of 5") || strings.Contains(out, made.Code) {
		t.Errorf("listed:\n%s", out)
	}
	if out := l.do("ticket", "revoke", made.ID, "--reason", "not paid"); !strings.Contains(out, "revoked") {
		t.Errorf("revoked:\n%s", out)
	}
}

func TestFleetCommands(t *testing.T) {
	l := newLab(t)
	var made struct {
		Enrollment struct{ ID string }
		Code       string
	}
	l.json(&made, "enroll", "create", "130-7", "office", "--key", "k")
	if out := l.do("enroll", "create", "130-7", "office", "--key", "k"); !strings.Contains(out, "made before") {
		t.Errorf("made again: %s", out)
	}
	if out := l.do("enroll", "create", "130-7", "office", "--hours", "1"); !strings.Contains(out, "for the server office of 130-7") {
		t.Errorf("made: %s", out)
	}
	l.refused("CONFLICT", "enroll", "create", "130-7", "annex")
	l.refused("INVALID_INPUT", "enroll", "create", "130-7", "office", "--hours", "0")
	if out := l.do("enroll", "revoke", made.Enrollment.ID); !strings.Contains(out, "revoked") {
		t.Errorf("revoked: %s", out)
	}
	if out := l.do("enroll", "list"); strings.Count(out, "office") != 2 || !strings.Contains(out, "open") || strings.Contains(out, made.Code) {
		t.Errorf("listed:\n%s", out)
	}
	var all []struct{ ID, State string }
	l.json(&all, "servers")
	if len(all) != 1 || all[0].State != "NEVER" {
		t.Fatalf("%+v", all)
	}
	if out := l.do("servers", "list", "--state", "never", "--place", "130-7"); !strings.Contains(out, "office") || !strings.Contains(out, "Shipping") {
		t.Errorf("listed:\n%s", out)
	}
	if out := l.do("servers", "list", "--state", "online,stale"); strings.Contains(out, "office") {
		t.Errorf("listed:\n%s", out)
	}
	token := strings.TrimSpace(l.do("servers", "rotate", all[0].ID))
	if who, err := l.platform.AuthenticateLink(t.Context(), token); err != nil || who.Name != "office" {
		t.Errorf("%+v, %v", who, err)
	}
	if out := l.do("servers", "revoke", all[0].ID); !strings.Contains(out, "office is worth nothing") {
		t.Errorf("revoked: %s", out)
	}
	if out := l.do("servers"); !strings.Contains(out, "revoked") {
		t.Errorf("listed:\n%s", out)
	}
	l.refused("CONFLICT", "servers", "rotate", all[0].ID)
	l.refused("NOT_FOUND", "servers", "revoke", "srv_none")
}
