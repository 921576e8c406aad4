package roles

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/internal/auth"
)

// TestPlatformVendor: the platform's operator makes a customer a vendor, too.
func TestPlatformVendor(t *testing.T) {
	folder := t.TempDir()
	where := []string{"--database", filepath.Join(folder, "db"), "--master-key", filepath.Join(folder, "key")}
	do := func(want int, args ...string) string {
		t.Helper()
		var out, failed bytes.Buffer
		if status := run(t.Context(), append(args, where...), cli.Streams{Out: &out, Err: &failed}); status != want {
			t.Fatalf("%v ends with %d: %s", args, status, failed.String())
		}
		return out.String() + failed.String()
	}
	do(0, "platform", "init", "--organization", "Charts", "--email", "o@example.com")
	f := databaseFlags{}
	f.Database, f.MasterKey = where[1], where[3]
	p, err := f.open(t.Context(), slog.New(slog.DiscardHandler), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx := auth.With(t.Context(), auth.System("test"))
	charts := p.store.Client().Organization.Query().OnlyX(ctx)
	port := p.store.Client().Organization.Create().SetName("Port").SetCustomer(true).SetProviderID(charts.ID).SaveX(ctx)

	if said := do(0, "platform", "vendor", "Port"); said != "Port ("+port.ID+") is a vendor now.\n" {
		t.Errorf("%q", said)
	}
	if said := do(0, "platform", "vendor", port.ID); !strings.Contains(said, "nothing was changed") {
		t.Errorf("again: %q", said)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(do(0, "platform", "vendor", "Port", "--json")), &got); err != nil || got["organization"] != port.ID ||
		got["name"] != "Port" || got["vendor"] != true || got["customer"] != true || got["changed"] != false {
		t.Errorf("%v, %v", got, err)
	}
	if n := p.store.Client().Organization.Query().Where(organization.Vendor(true), organization.ProviderID(charts.ID)).CountX(ctx); n != 1 {
		t.Errorf("%d customers are vendors", n)
	}
	told := p.store.Client().AuditEntry.Query().Where(auditentry.Action("organization.vendor")).AllX(ctx)
	if len(told) != 1 || told[0].OrganizationID != port.ID || told[0].Actor != "SYSTEM operator" {
		t.Errorf("the audit log tells %v", told)
	}
	if said := do(1, "platform", "vendor", "Nobody"); !strings.Contains(said, "there is no organization Nobody") {
		t.Errorf("%q", said)
	}
}
