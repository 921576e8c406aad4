package admin

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/auth"
)

// Rollouts are listed, paused and resumed, and a paused one is told from one
// that goes on.
func TestRolloutCommands(t *testing.T) {
	l := newItemLab(t)
	root, err := l.platform.RootKey(auth.With(t.Context(), auth.System("test")))
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(l.dir, name) }
	l.quorate("container", "create", at("box"), "--serial", "130-702", "--root", base64.StdEncoding.EncodeToString(root), "--bind", "none", "--fingerprint", at("print"))
	l.quorate("request", "--container", at("box"), "-o", at("request"))
	l.quorate("container", "register", at("request"))
	if out, errs, status := l.command("order", "130-702", "1"); status == 0 || !strings.Contains(errs, "the platform has no items") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	l.quorate("item", "create", "6000010:14", "Charts")
	l.quorate("order", "130-702", "1")
	l.quorate("item", "create", "6000010:14", "Maps")
	if _, errs, _ := l.command("order", "130-702", "1"); !strings.Contains(errs, "the platform has 2 items: name one with --item") {
		t.Errorf("%s", errs)
	}
	id := strings.Fields(l.quorate("rollout", "start", "130-702"))[0]
	for _, step := range []struct {
		args   []string
		paused bool
	}{{[]string{"ls"}, false}, {[]string{"pause", id}, true}, {[]string{"ls", "--place", "130-702", "--state", "collecting,queued"}, true}, {[]string{"resume", id}, false}, {[]string{"list"}, false}} {
		if out := l.quorate(append([]string{"rollout"}, step.args...)...); !strings.Contains(out, id) || strings.Contains(out, ", paused [") != step.paused {
			t.Errorf("%v: %s", step.args, out)
		}
	}
	if out := l.quorate("rollout", "ls", "--state", "DONE"); out != "" {
		t.Errorf("done: %s", out)
	}
	if out := l.quorate("rollout", "ls", "--state", "DONE", "--json"); out != "[]\n" {
		t.Errorf("done: %s", out)
	}
}
