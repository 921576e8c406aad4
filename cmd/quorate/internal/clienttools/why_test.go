package clienttools

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
)

func TestWhyCommand(t *testing.T) {
	l := newProtectLab(t)
	const product = "6000010:14"
	out, errs, status := l.quorate("", "why", product)
	if status != 0 || errs != "" || !strings.HasPrefix(out, "6000010:14  Chart Processing  in 131-4837572: usable") || !strings.Contains(out, "1 free") {
		t.Errorf("exit status %d\n%s%s", status, out, errs)
	}
	begin := time.Now().Add(time.Hour).Truncate(time.Second)
	l.source.Change(func(o *license.Options) {
		o.Activation, o.MinimumVersion, o.Units, o.Text = begin, "10.4", new(uint64(7)), "for\x1b[31mAcme"
		o.Maintenance.Until = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		o.AccessList = []license.AccessRule{{Kind: license.AccessUser, Value: "anna"}}
	})
	out, errs, status = l.quorate("", "why", product)
	for _, want := range []string{"not usable", "LICENSE_NOT_YET_VALID: ", "NOT_ON_ACCESS_LIST: ", "WRONG_VERSION: ", "units left", begin.UTC().Format(time.RFC3339), "2026-03-01", "10.4"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if status != 1 || errs != "" || strings.Contains(out, "\x1b") || strings.Contains(out, "anna") {
		t.Errorf("exit status %d\n%q%s", status, out, errs)
	}
	var why struct {
		Usable  bool
		Reasons []struct{ Code, Message, Fix string }
		Options struct {
			Quantity       uint32
			MinimumVersion string
		}
		From      time.Time
		UnitsLeft *uint64
		Now       time.Time
	}
	ask := func(want int, args ...string) {
		t.Helper()
		out, errs, status := l.quorate("", append([]string{"why", product, "--json"}, args...)...)
		why.Reasons = nil
		if err := json.Unmarshal([]byte(out), &why); err != nil || status != want || errs != "" {
			t.Fatalf("exit status %d, %v\n%s%s", status, err, out, errs)
		}
	}
	right := []string{"--user", "ANNA", "--program-version", "10.4", "--release-date", "2026-03-01"}
	ask(1, right...)
	if why.Usable || len(why.Reasons) != 1 || why.Reasons[0].Code != "LICENSE_NOT_YET_VALID" || why.Reasons[0].Fix == "" ||
		why.Options.MinimumVersion != "10.4" || !why.From.Equal(begin) || *why.UnitsLeft != 7 || why.Now.IsZero() {
		t.Errorf("%+v", why)
	}
	l.source.Change(func(o *license.Options) { o.Activation = time.Time{} })
	ask(0, right...)
	if !why.Usable {
		t.Errorf("%+v", why)
	}
	ask(1, append(right, "--features", "4")...)
	if len(why.Reasons) != 1 || why.Reasons[0].Code != "FEATURE_MISSING" {
		t.Errorf("%+v", why)
	}
	for what, rule := range map[string]license.AccessRule{
		"--host": {Kind: license.AccessHost, Value: "pc-9"}, "--application": {Kind: license.AccessApplication, Value: "pc-9"},
	} {
		l.source.Change(func(o *license.Options) {
			*o = license.Options{Quantity: 1, TMRID: 7, AccessList: []license.AccessRule{rule}}
		})
		ask(0, what, "pc-9")
		ask(1, what, "pc-8")
	}
	if out, _, status := l.quorate("", "why", "6000010:99"); status != 1 || !strings.Contains(out, "NO_LICENSE") || strings.Contains(out, "quantity") {
		t.Errorf("exit status %d\n%s", status, out)
	}
	l.refused("INVALID_INPUT", "", "why", product, "--release-date", "1.3.2026")
	l.refused("INVALID_INPUT", "", "why", product, "--program-version", "x")
	l.refused("INVALID_INPUT", "", "why", "chart")
	l.refused("UNAVAILABLE", "", "why", product, "--server", "http://127.0.0.1:1", "--wait", "50ms")
	if h, err := l.handles(); len(h) != 0 || err != nil {
		t.Errorf("why holds %v, %v", h, err)
	}
}

func TestDataAndDeriveCommands(t *testing.T) {
	l := newProtectLab(t)
	const product = "6000010:14"
	l.refused("NOT_FOUND", "", "data", product)
	l.refused("NOT_FOUND", "", "derive", product, "--context", "files")
	l.source.Change(func(o *license.Options) { o.Protected, o.Secret = license.DataName{7}, license.DataName{8} })
	content := string(append([]byte{7}, make([]byte, 15)...))
	if out := l.must("", "data", product); out != content {
		t.Errorf("%q", out)
	}
	l.must("", "data", product, "-o", l.path("settings.bin"))
	info, err := os.Stat(l.path("settings.bin"))
	if err != nil || info.Mode().Perm() != 0o600 || l.read("settings.bin") != content {
		t.Errorf("%v, %v", info, err)
	}
	l.refused("CONFLICT", "", "data", product, "-o", l.path("settings.bin"))
	l.must("", "data", product, "--force", "-o", l.path("settings.bin"))
	want := hex.EncodeToString(servertest.Derived(license.DataName{8}, []byte("files")))
	if out := l.must("", "derive", product, "--context", "files"); out != want+"\n" {
		t.Errorf("%q, want %q", out, want)
	}
	if out := l.must("", "derive", product, "--context", "files", "--json"); !strings.Contains(out, `"key":"`+want+`"`) {
		t.Errorf("%q", out)
	}
	l.refused("INVALID_INPUT", "", "derive", product, "--context", "")
	if h, err := l.handles(); len(h) != 0 || err != nil {
		t.Errorf("handles are left: %v, %v", h, err)
	}
}

func TestRunTakesUnitsAndStatesVersions(t *testing.T) {
	l := newProtectLab(t)
	run := func(args ...string) []string {
		return append(append([]string{"run", "--product", "6000010:14"}, args...), "--", "true")
	}
	l.refused("NO_UNITS", "", run("--units", "1")...)
	l.source.Change(func(o *license.Options) {
		o.Units, o.MinimumVersion, o.Maintenance.Until = new(uint64(5)), "10.4", time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	})
	l.refused("WRONG_VERSION", "", run()...)
	stated := []string{"--program-version", "10.4", "--release-date", "2026-03-01"}
	l.must("", run(stated...)...)
	l.must("", run(append(stated, "--units", "3")...)...)
	l.refused("NO_UNITS", "", run(append(stated, "--units", "3")...)...)
	if u := l.source.Used(); u.Units != 3 {
		t.Errorf("%d units taken", u.Units)
	}
	l.refused("INVALID_INPUT", "", run("--release-date", "yesterday")...)
}

func TestLsTellsOfOptions(t *testing.T) {
	l := newProtectLab(t)
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	l.source.Change(func(o *license.Options) {
		o.Units, o.Linger, o.Expiration, o.Text = new(uint64(5)), time.Minute, end, "for\x1bAcme"
	})
	l.must("", "run", "--product", "6000010:14", "--units", "2", "--", "true")
	out := l.must("", "ls")
	for _, want := range []string{"3 units left", "until " + end.Local().Format(time.DateTime), "1 lingering", "Acme"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("%q", out)
	}
	l.source.Change(func(o *license.Options) { o.Units = new(uint64(2)) })
	out = l.must("", "ls")
	if !strings.Contains(out, "not usable: NO_UNITS") || !strings.Contains(out, "order more units") {
		t.Error(out)
	}
	var all []struct {
		Usable    bool
		WhyNot    string
		Refusal   struct{ Code, Message, Fix string }
		Until     time.Time
		UnitsLeft *uint64
		Lingering uint32
		Options   struct{ LingerSeconds int }
		Handles   []any
	}
	if err := json.NewDecoder(bytes.NewBufferString(l.must("", "ls", "--json"))).Decode(&all); err != nil || len(all) != 1 {
		t.Fatal(err)
	}
	if a := all[0]; a.Usable || a.WhyNot != "NO_UNITS" || a.Refusal.Code != "NO_UNITS" || a.Refusal.Fix == "" || !a.Until.Equal(end) || *a.UnitsLeft != 0 ||
		a.Lingering != 1 || a.Options.LingerSeconds != 60 || a.Handles == nil {
		t.Errorf("%+v", a)
	}
}

func TestNoLocalProgramsOnAGroupsServer(t *testing.T) {
	l := newProtectLab(t)
	l.source.Change(func(o *license.Options) { o.TMRID, o.Quantity = 0, 0 })
	l.refused("LOCAL_ONLY", "", "run", "--product", "6000010:14", "--", "true")
}
