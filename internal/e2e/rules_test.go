package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

// Rules that are saved at the platform count on the license server, also after it
// was killed and the platform is away; a file of its own wins.
func TestRules(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	item := l.item(views, "Views")
	b := l.box("office", "130-100", "Shipping Company", true)
	b.args = append(b.args, "--rules-copy", b.path("office.rules"))
	b.start()
	b.buy(item, 2)
	b.overLink()
	p := b.program(views)

	rules := b.write("rules.txt", []byte("# for a test\ndeny application:badtool name:no-badtool\nreserve 1 user:somebody-else\n"))
	test := func(application string, status int) {
		t.Helper()
		if out, errs, got := quorate(t, "rules", "test", rules, "--product", views, "--application", application); got != status {
			t.Errorf("quorate rules test: %d\n%s%s", got, out, errs)
		}
	}
	test("badtool", 1)
	test("goodtool", 0)
	out, errs, status := quorate(t, l.at("rules", "check", rules, "--place", b.serial)...)
	if status != 0 || !strings.Contains(out, "none of 1 grants") {
		t.Errorf("checked: %d\n%s%s", status, out, errs)
	}
	if says := l.do("rules", "save", rules, "--place", b.serial); !strings.Contains(says, "saved as version 1") {
		t.Errorf("saved: %s", says)
	}
	reason := func(application string) string {
		t.Helper()
		if w := b.why(views, "--application", application); !w.Usable {
			return w.Reasons[0].Code
		}
		return ""
	}
	eventually := func(what string, ok func() bool) {
		t.Helper()
		testenv.Eventually(t, 20*time.Second, func() error {
			if !ok() {
				return fmt.Errorf("not yet: %s", what)
			}
			return nil
		})
	}
	eventually("the rules count", func() bool { return reason("badtool") == "NOT_ALLOWED" })
	if code := reason("goodtool"); code != "NO_FREE_SEAT" {
		t.Errorf("the free license is reserved for somebody else: %q", code)
	}
	wantRunning(t, p)
	refused(t, "NO_FREE_SEAT", "run", "--server", b.url(), "--product", views, "--", "true")
	l.refused("CONFLICT", "rules", "save", b.write("other.txt", nil), "--place", b.serial, "--revision", "0")

	// What was granted in the last 30 days is checked, now by a rule that hits it.
	strict := b.write("strict.txt", []byte("cap 0 everybody"))
	out, errs, status = quorate(t, l.at("rules", "save", strict, "--place", b.serial)...)
	if status != 1 || !strings.Contains(out, "this one of 1 grants") || !strings.Contains(out, "not saved") {
		t.Errorf("not confirmed: %d\n%s%s", status, out, errs)
	}

	// Without the platform, and after a crash, the rules are still there.
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Log("the program ended:", err)
	}
	l.platform.kill()
	b.kill()
	b.start()
	eventually("the rules count after a restart", func() bool { return reason("badtool") == "NOT_ALLOWED" })
	l.platform = start(t, "platform", l.args...)
	if says := l.do("rules", "save", strict, "--place", b.serial, "--confirm"); !strings.Contains(says, "saved as version 2") {
		t.Errorf("confirmed: %s", says)
	}
	eventually("the new rules count", func() bool { return reason("goodtool") == "LIMIT_REACHED" && reason("badtool") == "LIMIT_REACHED" })

	// A file of its own decides, and the platform shows it.
	b.stop()
	b.args = append(b.args, "--rules", b.write("own.txt", []byte("deny application:worsetool")))
	b.start()
	if reason("worsetool") != "NOT_ALLOWED" || reason("goodtool") != "" {
		t.Errorf("its own rules: %q, %q", reason("worsetool"), reason("goodtool"))
	}
	eventually("the platform knows", func() bool {
		var out struct {
			Container struct {
				RuleSet struct{ Version int }
				Servers []struct{ Rules struct{ OwnFile bool } }
			}
		}
		l.api.query(t, `query($s: String!) { container(serial: $s) { ruleSet { version } servers { rules { ownFile } } } }`, map[string]any{"s": b.serial}, &out)
		return out.Container.RuleSet.Version == 2 && len(out.Container.Servers) == 1 && out.Container.Servers[0].Rules.OwnFile
	})
	b.write("own.txt", []byte("deny application:othertool"))
	eventually("its changed file counts", func() bool { return reason("othertool") == "NOT_ALLOWED" && reason("worsetool") == "" })
}

// A TMR group has its rules from the platform.
func TestRulesOfATMRGroup(t *testing.T) {
	t.Parallel()
	p, a := startDemo(t, t.TempDir())
	rules := t.TempDir() + "/rules.txt"
	if err := os.WriteFile(rules, []byte("deny application:badtool\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "rules", "save", rules, "--place", virtual, "--url", a.url, "--token", a.token)
	why := func(application string) string {
		out, _, _ := quorate(t, "why", "--server", p.ready["licenseServer"], "6000010:14", "--application", application)
		return out
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		if out := why("badtool"); !strings.Contains(out, "NOT_ALLOWED") {
			return fmt.Errorf("not yet: %s", out)
		}
		return nil
	})
	if out := why("goodtool"); strings.Contains(out, "NOT_ALLOWED") {
		t.Errorf("%s", out)
	}
	// Both servers of the pair have them, the standby before it leads.
	testenv.Eventually(t, 20*time.Second, func() error {
		var out struct {
			TmrGroup struct {
				RuleSet struct{ Digest string }
				Servers []struct{ Rules struct{ Digest string } }
			}
		}
		a.query(t, `query($id: ID!) { tmrGroup(id: $id) { ruleSet { digest } servers { rules { digest } } } }`, map[string]any{"id": a.group(t).ID}, &out)
		g := out.TmrGroup
		if len(g.Servers) != 2 || g.Servers[0].Rules.Digest != g.RuleSet.Digest || g.Servers[1].Rules.Digest != g.RuleSet.Digest {
			return fmt.Errorf("they have %+v", g)
		}
		return nil
	})
	p.stop(t)
}
