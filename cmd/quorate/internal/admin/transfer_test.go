package admin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
)

// quorate runs a command; those that ask the platform get its address.
func (l *itemLab) quorate(args ...string) string {
	l.t.Helper()
	out, errs, status := l.command(args...)
	if status != 0 {
		l.t.Fatalf("quorate %s: %d, %s", strings.Join(args, " "), status, errs)
	}
	return out
}

func (l *itemLab) command(args ...string) (out, errs string, status int) {
	l.t.Helper()
	switch args[0] + " " + args[1] {
	case "container create", "request --container":
	default:
		if args[0] != "apply" {
			args = append(args, "--url", l.url, "--token", "qrt_owner")
		}
	}
	var o, e bytes.Buffer
	status = run(l.t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return o.String(), e.String(), status
}

// TestSingleContainerCommands is the way of one container: registered, ordered
// for, rolled out by files, licenses returned and ordered again, replaced.
func TestSingleContainerCommands(t *testing.T) {
	l := newItemLab(t)
	root, err := l.platform.RootKey(auth.With(t.Context(), auth.System("test")))
	if err != nil {
		t.Fatal(err)
	}
	l.do("create", "6000010:14", "Charts", "--quantity", "1")
	at := func(name string) string { return filepath.Join(l.dir, name) }
	for _, n := range []string{"1", "2"} {
		l.quorate("container", "create", at("box"+n), "--serial", "130-70"+n, "--root", base64.StdEncoding.EncodeToString(root), "--bind", "none", "--fingerprint", at("print"+n))
		l.quorate("request", "--container", at("box"+n), "-o", at("request"+n))
		if out := l.quorate("container", "register", at("request"+n), "--customer", "Shipping Company"); !strings.Contains(out, "130-70"+n+" is registered") || strings.Contains(out, "token") {
			t.Errorf("registered: %s", out)
		}
	}
	if out := l.quorate("container", "register", at("request1"), "--customer", "Shipping Company", "--server", "office"); !strings.Contains(out, "Link token") {
		t.Errorf("with a server: %s", out)
	}
	if out := l.quorate("container", "register", at("request1"), "--customer", "Shipping Company", "--vendor", l.owner.Organization); !strings.Contains(out, "130-701 is registered") {
		t.Errorf("with its vendor named: %s", out)
	}
	roll := func(n, state string) {
		t.Helper()
		l.quorate("request", "--container", at("box"+n), "-o", at("request"+n))
		var started struct {
			ID        string
			Container struct{ Serial, State string }
		}
		if err := json.Unmarshal([]byte(l.quorate("offline", "start", "130-70"+n, at("request"+n), "-o", at("update"+n), "--json")), &started); err != nil || started.Container.State != "AWAITING_RECEIPT" {
			t.Fatalf("%+v, %v", started, err)
		}
		l.quorate("apply", at("update"+n), "--container", at("box"+n), "--receipt", at("receipt"+n))
		if out := l.quorate("offline", "finish", started.ID, at("receipt"+n)); !strings.Contains(out, "to the container 130-70"+n) || !strings.Contains(out, state) {
			t.Errorf("finished: %s", out)
		}
	}
	if out := l.quorate("order", "130-701", "5"); !strings.Contains(out, "130-701") {
		t.Errorf("ordered: %s", out)
	}
	roll("1", "done")
	for range 2 { // once, by the key
		if out := l.quorate("container", "return", "130-701", "6000010:14", "2", "--reason", "too many", "--key", "r"); !strings.Contains(out, "return 2 licenses of 6000010:14: requested") {
			t.Errorf("returned: %s", out)
		}
	}
	if out := l.quorate("container", "revoke", "130-701", "6000010:14", "1"); !strings.Contains(out, "revoke 1") {
		t.Errorf("revoked: %s", out)
	}
	if out := l.quorate("container", "move", "130-701", "6000010:14", "1", "--to", "130-702"); !strings.Contains(out, "to 130-702") {
		t.Errorf("moved: %s", out)
	}
	_, errs, status := l.command("order", "130-701", "1", "--credit")
	if status == 0 || !strings.Contains(errs, "[CONFLICT]") {
		t.Errorf("credit before the receipt: %d, %s", status, errs)
	}
	roll("1", "done")
	roll("2", "done")
	l.quorate("order", "130-701", "2", "--credit")
	if out := l.quorate("container", "rehost", "130-701", "130-702", "--reason", "burned"); !strings.Contains(out, "130-701 is blocked") || !strings.Contains(out, "rehost 3 licenses") {
		t.Errorf("replaced: %s", out)
	}
	roll("2", "done")
	_, errs, status = l.command("container", "decide", "130-702", "ACCEPT")
	if status == 0 || !strings.Contains(errs, "[CONFLICT]") {
		t.Errorf("nothing to decide: %d, %s", status, errs)
	}
	if out := l.quorate("container", "decide", "130-702", "BLOCK", "--note", "stolen"); !strings.Contains(out, "130-702: BLOCKED") {
		t.Errorf("blocked: %s", out)
	}
}
