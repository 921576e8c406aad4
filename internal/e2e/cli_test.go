package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

type listed struct {
	Product string
	Total   int
	Free    int
	Usable  bool
	WhyNot  string
	Handles []struct {
		ID, Client, User, Application string
		Process                       int
	}
}

func ls(t testing.TB, server string) ([]listed, error) {
	t.Helper()
	out, errs, status := quorate(t, "ls", "--server", server, "--json")
	if status != 0 {
		return nil, fmt.Errorf("ls: %s", errs)
	}
	var l []listed
	return l, json.Unmarshal([]byte(out), &l)
}

func wantHandles(t testing.TB, server string, n int) error {
	t.Helper()
	l, err := ls(t, server)
	if err != nil {
		return err
	}
	if len(l) != 1 || len(l[0].Handles) != n {
		return fmt.Errorf("%+v, want %d handles", l, n)
	}
	return nil
}

// refusal is the one line of a command that was refused: what is wrong, what
// to do, a stable code.
var refusal = regexp.MustCompile(`^quorate: .+: .+ \[([A-Z_]+)\]\n$`) //nolint:gochecknoglobals // a constant

func wantRefusal(t *testing.T, code string, args ...string) {
	t.Helper()
	out, errs, status := quorate(t, args...)
	found := refusal.FindStringSubmatch(errs)
	if status != 1 || out != "" || found == nil || found[1] != code {
		t.Errorf("quorate %s: exit status %d, stdout %q, stderr %q, want 1 and one line with what to do and [%s]",
			strings.Join(args, " "), status, out, errs, code)
	}
}

// What a command can't do it says in one line, with exit status 1.
func TestCommandLineRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	root := base64.StdEncoding.EncodeToString(make([]byte, 32))
	create := func(file string, more ...string) []string {
		return append([]string{"container", "create", path(file), "--serial", "130-1874829", "--root", root, "--bind", "none"}, more...)
	}
	must(t, create("container.qrc")...)
	whole, err := os.ReadFile(path("container.qrc"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(path(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("short.qrc", whole[:len(whole)/2])
	write("other.qrc", []byte("not a container"))
	damaged := bytes.Clone(whole)
	for i := range damaged {
		damaged[i] ^= 1
	}
	write("damaged.qrc", damaged)
	write("bad.json", []byte(`{"firma": 1}`))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p, _ := startDemo(t, path("demo"))
	url, token, server := p.ready["url"], p.ready["token"], p.ready["licenseServer"]
	const nobody = "http://127.0.0.1:1"
	tests := []struct {
		code string
		args []string
	}{
		{"UNAUTHENTICATED", []string{"order", virtual, "10", "--url", url}},
		{"UNAUTHENTICATED", []string{"order", virtual, "10", "--url", url, "--token", "qrt_wrong"}},
		{"UNAVAILABLE", []string{"order", virtual, "10", "--url", nobody, "--token", token}},
		{"UNAVAILABLE", []string{"order", virtual, "10", "--url", server, "--token", token}}, // not a platform
		{"INVALID_INPUT", []string{"order", virtual, "10", "--url", "licenses.example.com", "--token", token}},
		{"NOT_FOUND", []string{"order", "131-1", "10", "--url", url, "--token", token}},
		{"INVALID_INPUT", []string{"order", virtual, "0", "--url", url, "--token", token}},
		{"NOT_FOUND", []string{"rollout", "start", "131-1", "--url", url, "--token", token}},
		{"ROLLOUT_UP_TO_DATE", []string{"rollout", "start", virtual, "--url", url, "--token", token}},
		{"NOT_FOUND", []string{"rollout", "status", "rol_x", "--url", url, "--token", token}},
		{"UNAVAILABLE", []string{"ls", "--server", nobody, "--wait", "100ms"}},
		{"INVALID_INPUT", []string{"ls", "--server", "127.0.0.1:7400"}},
		{"INVALID_INPUT", []string{"run", "--server", server, "--product", "14", "--", "true"}},
		{"NO_LICENSE", []string{"run", "--server", server, "--product", "6000010:99", "--", "true"}},
		{"NOT_FOUND", []string{"run", "--server", server, "--product", "6000010:14", "--", path("nothing")}},
		{"INVALID_INPUT", []string{"release", "--server", server, "6000010:14", "x"}},
		{"HANDLE_UNKNOWN", []string{"release", "--server", server, "6000010:14", "3f831dbf-4315-4b9d-b997-80eec4cfb8ab"}},
		{"INVALID_INPUT", []string{"release", "--server", server, "14", "3f831dbf-4315-4b9d-b997-80eec4cfb8ab"}},
		{"CONTAINER_EXISTS", create("container.qrc")},
		{"NOT_FOUND", create("new.qrc", "--fingerprint", path("nowhere/new.lreq"))},
		{"NOT_FOUND", create("nowhere/new.qrc")},
		{"INVALID_INPUT", create("new.qrc", "--activation-id", "12")},
		{"INVALID_INPUT", []string{"container", "create", path("new.qrc"), "--serial", "130", "--root", root}},
		{"INVALID_INPUT", []string{"container", "create", path("new.qrc"), "--serial", "130-1", "--root", "x"}},
		{"CONFLICT", create("new.qrc", "--fingerprint", path("container.qrc"))}, // its keys are nowhere else
		{"CONFLICT", create("new.qrc", "--fingerprint", path("new.qrc"))},
		{"NOT_FOUND", []string{"container", "show", path("nothing.qrc")}},
		{"CONTAINER_CORRUPT", []string{"container", "show", path("short.qrc")}},
		{"CONTAINER_CORRUPT", []string{"container", "show", path("other.qrc")}},
		{"CONTAINER_CORRUPT", []string{"server", "--container", path("damaged.qrc"), "--key", path("tls.key")}},
		{"UNAVAILABLE", []string{
			"server", "--container", path("container.qrc"), "--key", path("tls.key"), "--token-key", path("token.key"),
			"--leases", path("leases.db"), "--listen", taken.Addr().String(),
		}},
		{"INVALID_INPUT", []string{"server", "--tmr", "--container", path("container.qrc"), "--key", path("tls.key"), "--journal", path("journal.db")}},
		{"INVALID_INPUT", []string{"tmr", "--name", "a", "--virtual", virtual, "--token-key", "x", "--backend", "x"}},
		{"UNAVAILABLE", []string{"demo", "--data", path("demo-2"), "--listen", taken.Addr().String()}},
		{"UNAVAILABLE", []string{"platform", "--database", path("new.db"), "--master-key", path("master.key")}}, // no set-up yet
		{"UNAVAILABLE", []string{"platform", "--database", path("nowhere/new.db"), "--master-key", path("master.key")}},
		{"INVALID_INPUT", []string{"platform", "--database", "mysql://x", "--master-key", path("master.key")}},
		{"INVALID_INPUT", []string{"provision", path("bad.json"), "--token", "x"}},
		{"NOT_FOUND", []string{"provision", path("nothing.json"), "--token", "x"}},
	}
	for _, tt := range tests {
		wantRefusal(t, tt.code, tt.args...)
	}
	for name, want := range map[string][]byte{"short.qrc": whole[:len(whole)/2], "other.qrc": []byte("not a container"), "damaged.qrc": damaged} {
		if got, err := os.ReadFile(path(name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s was changed (%v)", name, err)
		}
	}
	if _, err := os.Stat(path("new.qrc")); err == nil {
		t.Error("a refused command made a container")
	}
	p.stop(t)
}

// A command that is not understood has exit status 2 and names its help; every
// command has help, and those that do something have an example.
func TestCommandLineUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"nothing"}, {"order", virtual}, {"order", virtual, "ten"}, {"rollout"}, {"demo", "--nothing"},
		{"run", "--server", "http://127.0.0.1:1", "--product", "6000010:14"}, {"platform", "init"},
	} {
		out, errs, status := quorate(t, args...)
		if status != 2 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "--help)") {
			t.Errorf("quorate %s: exit status %d, stdout %q, stderr %q", strings.Join(args, " "), status, out, errs)
		}
	}
	all := must(t, "--help")
	_, list, _ := strings.Cut(all, "Commands:\n")
	commands := 0
	for line := range strings.Lines(list) {
		name, found := strings.CutPrefix(line, "  ")
		if !found || strings.HasPrefix(name, " ") {
			continue
		}
		name, _, _ = strings.Cut(name, "  ")
		name, _, _ = strings.Cut(name, " (") // other names of the same
		commands++
		if testing.Short() && commands%8 != 1 { // TestEveryCommand of cmd/quorate has all of them
			continue
		}
		if help := must(t, append(strings.Fields(name), "--help")...); !strings.Contains(help, "Example") {
			t.Errorf("quorate %s --help has no example", name)
		}
	}
	if commands < 15 {
		t.Errorf("quorate --help lists %d commands\n%s", commands, all)
	}
	if bare := must(t); bare != all {
		t.Errorf("quorate alone shows\n%s", bare)
	}
}
