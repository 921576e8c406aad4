package admin

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/session"
	"github.com/quorate/quorate/internal/usageapi"
	"github.com/quorate/quorate/resolvers"
)

// usageLab is a platform with the events of one container, behind its HTTP
// server, and a token.
func usageLab(t *testing.T) (flags cli.APIFlags, dir string) {
	t.Helper()
	l := newItemLab(t)
	owner := auth.With(t.Context(), l.owner)
	system := auth.With(t.Context(), auth.System("test"))
	c := l.platform.Store().Client()
	of := c.Product.Query().FirstX(system)
	held := c.Container.Create().SetVendorID(l.owner.Organization).SetSerial("130-7").SetKind("UNIVERSAL").SaveX(system)
	var events []history.LeaseEvent
	for i, kind := range []history.LeaseEventKind{history.LeaseGranted, history.LeaseGranted, history.LeaseDenied, history.LeaseReleased} {
		events = append(events, history.LeaseEvent{Position: uint64(i + 1), Seq: uint64(i + 1), Kind: kind, At: time.Now().Add(time.Duration(i-100) * time.Minute),
			Handle: "h" + string(rune('a'+i%3)), Product: license.Product{Firm: 6000010, Code: license.ProductCode(of.Code)}, Mode: license.UserLimit,
			User: "=ada", Station: "s", Reason: license.CodeNoFreeSeat})
	}
	if _, err := l.platform.ApplyLeaseEvents(system, held.ID, events); err != nil {
		t.Fatal(err)
	}
	_, token, err := l.platform.CreateToken(owner, "", accounts.TokenSpec{Name: "monitor", Role: "VIEWER"})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	sessions := session.New(l.platform, l.platform.Store().Sessions(), false, logger)
	server, err := httpd.New(httpd.Config{Sessions: sessions, Exports: usageapi.Exports(l.platform),
		GraphQL: resolvers.NewHandler(resolvers.Config{Platform: l.platform, Authenticate: sessions.Authenticate})})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	return cli.APIFlags{URL: web.URL, Token: token}, l.dir
}

func TestUsageCommands(t *testing.T) {
	flags, dir := usageLab(t)
	run := func(f func(std cli.Streams) error) (string, error) {
		var out bytes.Buffer
		err := f(cli.Streams{In: strings.NewReader(""), Out: &out, Err: &out})
		return out.String(), err
	}
	for what, rows := range map[string]int{"usage": 1, "allocations": 2, "denials": 1} {
		out, err := run(func(std cli.Streams) error {
			c := UsageExport{APIFlags: flags, What: what, Format: "csv", Resolution: "day", From: "2026-01-01", Output: "-"}
			return c.Run(t.Context(), std)
		})
		got, bad := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil || bad != nil || len(got) < rows+1 || strings.Contains(out, ",=ada") {
			t.Errorf("%s: %q, %v, %v", what, out, err, bad)
		}
	}
	out, err := run(func(std cli.Streams) error {
		return (&UsageExport{APIFlags: flags, What: "usage", Format: "openmetrics", Output: "-"}).Run(t.Context(), std)
	})
	if err != nil || !strings.Contains(out, "quorate_licenses_taken{container=\"130-7\"") || !strings.HasSuffix(out, "# EOF\n") {
		t.Errorf("%q, %v", out, err)
	}
	_, err = run(func(std cli.Streams) error {
		return (&UsageExport{APIFlags: flags, What: "denials", Format: "openmetrics", Output: "-"}).Run(t.Context(), std)
	})
	if license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("denials in OpenMetrics: %v", err)
	}
	for _, c := range []*UsageExport{{From: "2026-11-01"}, {To: "2026-11-02"}} {
		c.APIFlags, c.What, c.Format, c.Output = flags, "usage", "openmetrics", "-"
		if _, err := run(func(std cli.Streams) error { return c.Run(t.Context(), std) }); license.CodeOf(err) != license.CodeInvalidInput || !strings.Contains(err.Error(), "now") {
			t.Errorf("OpenMetrics of a time: %v", err)
		}
	}
	file := filepath.Join(dir, "usage.json")
	if _, err = run(func(std cli.Streams) error {
		return (&UsageExport{APIFlags: flags, What: "allocations", Format: "json", Output: file}).Run(t.Context(), std)
	}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || strings.Count(string(b), "\n") != 2 {
		t.Errorf("%q, %v", b, err)
	}
	_, err = run(func(std cli.Streams) error {
		return (&UsageExport{APIFlags: flags, What: "usage", Format: "csv", Resolution: "day", Container: "130-8", Output: file}).Run(t.Context(), std)
	})
	if b, _ := os.ReadFile(file); license.CodeOf(err) != license.CodeNotFound || len(b) == 0 {
		t.Errorf("%v; the file has %d bytes", err, len(b))
	}
	if out, err = run(func(std cli.Streams) error {
		return (&UsageShow{APIFlags: flags, Container: "130-7"}).Run(t.Context(), std)
	}); err != nil || !strings.Contains(out, "USER_LIMIT 1 (0)") {
		t.Errorf("%q, %v", out, err)
	}
	bad := flags
	bad.Token = "qrt_wrong"
	_, err = run(func(std cli.Streams) error {
		return (&UsageLog{APIFlags: bad, Firm: "6000010", Output: "-"}).Run(t.Context(), std)
	})
	if license.CodeOf(err) != license.CodeUnauthenticated {
		t.Errorf("a wrong token: %v", err)
	}

	log := filepath.Join(dir, "a.log")
	if _, err = run(func(std cli.Streams) error {
		return (&UsageLog{APIFlags: flags, Firm: "6000010", Output: log}).Run(t.Context(), std)
	}); err != nil {
		t.Fatal(err)
	}
	verify := func(files ...string) (map[string]any, error) {
		out, err := run(func(std cli.Streams) error { return (&UsageVerify{Files: files, JSON: true}).Run(t.Context(), std) })
		var told map[string]any
		if bad := json.Unmarshal([]byte(out), &told); bad != nil {
			t.Fatalf("%q: %v", out, bad)
		}
		return told, err
	}
	told, err := verify(log)
	if err != nil || told["entries"] != 4.0 || told["last"] != 4.0 || len(told["findings"].([]any)) != 0 {
		t.Errorf("%v, %v", told, err)
	}
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	altered := filepath.Join(dir, "b.log")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(altered, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(string(whole), "GRANTED", "REMOVED", 1))
	if told, err = verify(altered); license.CodeOf(err) != license.CodeManipulation || len(told["findings"].([]any)) != 1 {
		t.Errorf("%v, %v", told, err)
	}
	write(lines[0] + lines[2] + lines[3])
	if out, err = run(func(std cli.Streams) error { return (&UsageVerify{Files: []string{altered}}).Run(t.Context(), std) }); license.CodeOf(err) != license.CodeManipulation ||
		!strings.Contains(out, "entry 3 follows entry 1") {
		t.Errorf("%q, %v", out, err)
	}
	if _, err = run(func(std cli.Streams) error {
		return (&UsageVerify{Files: []string{filepath.Join(dir, "none")}}).Run(t.Context(), std)
	}); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("no file: %v", err)
	}
}
