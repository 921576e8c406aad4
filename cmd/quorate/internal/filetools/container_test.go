package filetools_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/machine"
)

// bindLab runs commands on machines of any traits.
type bindLab struct {
	t    *testing.T
	dir  string
	root string
}

func newBindLab(t *testing.T) *bindLab {
	t.Helper()
	t.Setenv("QUORATE_SERVER", "")
	t.Setenv("QUORATE_BIND_FILE", "")
	return &bindLab{t: t, dir: t.TempDir(), root: base64.StdEncoding.EncodeToString(make([]byte, 32))}
}

func (l *bindLab) path(name string) string { return filepath.Join(l.dir, name) }

// on runs a command on a machine that is known by the words of traits; - is
// absent.
func (l *bindLab) on(traits string, args ...string) (out, errs string, status int) {
	l.t.Helper()
	var all [3]machine.Trait
	for i, v := range strings.Fields(traits) {
		all[i] = machine.Trait{Name: []string{machine.System, machine.Hardware, machine.Network}[i], Value: strings.Trim(v, "-")}
	}
	var o, e bytes.Buffer
	status = runOn(l.t.Context(), func() [3]machine.Trait { return all }, args, cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return o.String(), e.String(), status
}

func (l *bindLab) create(traits, name, serial string, more ...string) (errs string, status int) {
	l.t.Helper()
	_, errs, status = l.on(traits, append([]string{"container", "create", l.path(name), "--serial", serial, "--root", l.root}, more...)...)
	return errs, status
}

// bound gives what a container that opens here says that it is bound to.
func (l *bindLab) bound(traits, name string, more ...string) (bind, errs string) {
	l.t.Helper()
	out, errs, status := l.on(traits, append([]string{"container", "show", l.path(name), "--json"}, more...)...)
	var view struct{ Bind string }
	if status == 0 {
		if err := json.Unmarshal([]byte(out), &view); err != nil {
			l.t.Fatal(err)
		}
	}
	return view.Bind, errs
}

// TestBindDefaults: what a container is bound to is a matter of its kind.
func TestBindDefaults(t *testing.T) {
	l := newBindLab(t)
	for serial, want := range map[string]string{"128-1": "machine", "129-1": "machine", "130-1": "machine", "140-1": "none"} {
		if errs, status := l.create("a b c", serial, serial); status != 0 {
			t.Fatal(errs)
		}
		if got, errs := l.bound("a b c", serial); got != want {
			t.Errorf("%s is bound to %q, want %q %s", serial, got, want, errs)
		}
	}
	if errs, status := l.create("- - -", "none", "130-2", "--bind", "none"); status != 0 {
		t.Fatal(errs)
	}
	if got, errs := l.bound("- - -", "none"); got != "none" || errs != "" {
		t.Errorf("it is bound to %q %s", got, errs)
	}
	out, _, _ := l.on("a b c", "container", "show", l.path("128-1"))
	if !strings.HasSuffix(strings.SplitN(out, "\n", 2)[0], ", bound to: machine") {
		t.Errorf("it shows %s", out)
	}
}

func TestBindRefusals(t *testing.T) {
	l := newBindLab(t)
	if err := os.WriteFile(l.path("there"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		traits, serial string
		more           []string
		says           string
	}{
		{"a - -", "130-1", nil, "this machine is known by its system id alone, and two traits of three are needed to bind a container to it: run it as root, bind the container to a key file with --bind file:PATH, or to nothing with --bind none [INVALID_INPUT]"},
		{"- - -", "128-1", nil, "this machine is known by nothing alone, and two traits of three are needed to bind a container to it: run it as root, bind the container to a key file with --bind file:PATH, or to nothing with --bind none [INVALID_INPUT]"},
		{"a b c", "3-1", nil, "3-1 stands in for a dongle: it has to be bound to a key file: name the file, best on a medium that can be taken away: --bind file:PATH [INVALID_INPUT]"},
		{"a b c", "1-1", []string{"--bind", "none"}, "1-1 stands in for a dongle: it has to be bound to a key file: name the file, best on a medium that can be taken away: --bind file:PATH [INVALID_INPUT]"},
		{"a b c", "2-1", []string{"--bind", "machine"}, "2-1 stands in for a dongle: it has to be bound to a key file: name the file, best on a medium that can be taken away: --bind file:PATH [INVALID_INPUT]"},
		{"a b c", "140-1", []string{"--bind", "machine"}, "140-1 is a cloud container, which is bound to nothing: leave --bind out, or create another kind of container [INVALID_INPUT]"},
		{"a b c", "131-1", nil, "131-1 is a virtual container, which is never stored: create its three backends [INVALID_INPUT]"},
		{"a b c", "130-1", []string{"--bind", "file:"}, `"file:" is nothing that a container can be bound to: give machine, file:PATH or none [INVALID_INPUT]`},
		{"a b c", "130-1", []string{"--bind", "stick"}, `"stick" is nothing that a container can be bound to: give machine, file:PATH or none [INVALID_INPUT]`},
		{"a b c", "3-1", []string{"--bind", "file:" + l.path("there")}, "there is a file at " + l.path("there") + " already: choose another path for the key file, or remove that file if no container needs it [CONFLICT]"},
		{"a b c", "3-1", []string{"--bind", "file:" + l.path("no/key")}, "there is no folder " + l.path("no") + " for the key file: insert the medium, create the folder, or choose another path [NOT_FOUND]"},
		{"a b c", "3-1", []string{"--bind", "file:" + l.path("c.qrc")}, "the key file can't be the container's file: choose another path with --bind [INVALID_INPUT]"},
		{"a b c", "3-1", []string{"--bind", "file:" + l.path("key"), "--fingerprint", l.path("key")}, l.path("key") + " is there already: choose another --fingerprint, or move that file away [CONFLICT]"},
	} {
		errs, status := l.create(tt.traits, "c.qrc", tt.serial, tt.more...)
		if status != 1 || errs != "quorate: "+tt.says+"\n" {
			t.Errorf("%s %v on %q: exit status %d\n got %s want quorate: %s", tt.serial, tt.more, tt.traits, status, errs, tt.says)
		}
	}
	if left, err := os.ReadDir(l.dir); err != nil || len(left) != 1 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// TestOtherMachine copies a container's file to other machines.
func TestOtherMachine(t *testing.T) {
	l := newBindLab(t)
	if errs, status := l.create("a b c", "c.qrc", "130-1"); status != 0 {
		t.Fatal(errs)
	}
	for traits, says := range map[string]string{
		"x y z": "the container is bound to another machine: open it on the machine that it was created on and return its licenses there, or have the vendor re-host them on a new container [CONTAINER_FOREIGN]",
		"a y z": "the container is bound to another machine: open it on the machine that it was created on and return its licenses there, or have the vendor re-host them on a new container [CONTAINER_FOREIGN]",
		"a - z": "the container is bound to another machine (this user can't read its hardware id): open it on the machine that it was created on and return its licenses there, or have the vendor re-host them on a new container [CONTAINER_FOREIGN]",
		"a - -": "the container is bound to a machine, and this one is known by its system id alone (this user can't read its hardware id and network card): run it as the user who created the container, or as root [CONTAINER_FOREIGN]",
	} {
		for _, args := range [][]string{
			{"container", "show", l.path("c.qrc")},
			{"request", "--container", l.path("c.qrc")},
			{"receipt", "--container", l.path("c.qrc")},
			{"server", "--container", l.path("c.qrc"), "--key", l.path("tls.key"), "--leases", l.path("leases.db")},
		} {
			if out, errs, status := l.on(traits, args...); status != 1 || out != "" || errs != "quorate: "+says+"\n" {
				t.Errorf("%v on %q: exit status %d\n got %s want quorate: %s", args, traits, status, errs, says)
			}
		}
	}
	bind, errs := l.bound("a b new", "c.qrc")
	if bind != "machine" || !strings.Contains(errs, `level=WARN msg="this machine has changed, and the container is bound to it as it is now" container=130-1 changed="network card"`) {
		t.Errorf("it is bound to %q, and says %s", bind, errs)
	}
	if bind, errs := l.bound("a x new", "c.qrc"); bind != "machine" || !strings.Contains(errs, "hardware id") {
		t.Errorf("it is bound to %q, and says %s", bind, errs)
	}
	if bind, errs := l.bound("a x new", "c.qrc"); bind != "machine" || errs != "" {
		t.Errorf("it is bound to %q, and says %s", bind, errs)
	}
}

// TestKeyFileFlags: the key file is found where it was, or where a flag or the
// environment says.
func TestKeyFileFlags(t *testing.T) {
	l := newBindLab(t)
	key, moved := l.path("quorate.key"), l.path("moved.key")
	if errs, status := l.create("- - -", "c.qrc", "3-1", "--bind", "file:"+key); status != 0 {
		t.Fatal(errs)
	}
	if bind, errs := l.bound("x y z", "c.qrc"); bind != "file:"+key {
		t.Errorf("it is bound to %q, and says %s", bind, errs)
	}
	if err := os.Rename(key, moved); err != nil {
		t.Fatal(err)
	}
	foreign := func(message, fix string) string {
		return fmt.Sprintf(`{"error":{"code":"CONTAINER_FOREIGN","message":%q,"fix":%q}}`+"\n", message, fix)
	}
	const fix = "insert the medium that it is on, or tell where it is now with --bind-file"
	if _, errs := l.bound("x y z", "c.qrc"); errs != foreign("the container is bound to the key file "+key+", which is not there", fix) {
		t.Errorf("it says %s", errs)
	}
	for _, args := range [][]string{{"container", "show", l.path("c.qrc")}, {"request", "--container", l.path("c.qrc")}} {
		if _, errs, status := l.on("- - -", append(args, "--bind-file", moved)...); status != 0 {
			t.Errorf("%v: %s", args, errs)
		}
	}
	t.Setenv("QUORATE_BIND_FILE", moved)
	if bind, errs := l.bound("x y z", "c.qrc"); bind != "file:"+key || errs != "" {
		t.Errorf("it is bound to %q, and says %s", bind, errs)
	}
	if errs, status := l.create("- - -", "other.qrc", "1-2", "--bind", "file:"+key); status != 0 {
		t.Fatal(errs)
	}
	if _, errs := l.bound("x y z", "other.qrc"); errs != foreign("the container is bound to another key file than "+moved+", which is that of a container 3-1", fix) {
		t.Errorf("it says %s", errs)
	}
	if err := os.WriteFile(moved, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := l.bound("x y z", "c.qrc"); errs != foreign("the container is bound to a key file, and "+moved+" is none, or damaged", "restore it from a copy, or have the vendor re-host the licenses on a new container") {
		t.Errorf("it says %s", errs)
	}
}
