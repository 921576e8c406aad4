package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/protect"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/testenv"
)

// ageLab is the age tool as customers have it, with our plugin in its PATH, and
// a folder of files.
type ageLab struct {
	t         *testing.T
	dir, tool string
	env       []string
}

func newAgeLab(t *testing.T) *ageLab {
	t.Helper()
	l := &ageLab{t: t, dir: t.TempDir()}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "age"), "filippo.io/age/cmd/age")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := os.Symlink(binary, filepath.Join(bin, "age-plugin-quorate")); err != nil {
		t.Fatal(err)
	}
	l.tool, l.env = filepath.Join(bin, "age"), append(os.Environ(), "PATH="+bin, "QUORATE_SERVER=")
	return l
}

func (l *ageLab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *ageLab) write(name string, b []byte) string {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), b, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return l.path(name)
}

func (l *ageLab) read(name string) []byte {
	l.t.Helper()
	b, err := os.ReadFile(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

// try runs age in the folder of files.
func (l *ageLab) try(env []string, args ...string) (string, error) {
	l.t.Helper()
	cmd := exec.CommandContext(l.t.Context(), l.tool, args...)
	cmd.Dir, cmd.Env = l.dir, append(slices.Clone(l.env), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	err := cmd.Run()
	return errs.String(), err
}

func (l *ageLab) age(args ...string) {
	l.t.Helper()
	if errs, err := l.try(nil, args...); err != nil {
		l.t.Fatalf("age %s: %v\n%s", strings.Join(args, " "), err, errs)
	}
}

func (l *ageLab) refused(want string, args ...string) {
	l.t.Helper()
	if errs, err := l.try(nil, args...); err == nil || !strings.Contains(errs, want) {
		l.t.Errorf("age %s: %v, want %q\n%s", strings.Join(args, " "), err, want, errs)
	}
}

// The stock age tool and ours read each other's files, by asking a license
// server; a license is needed, and given back.
func TestAgeToolIsAPeer(t *testing.T) {
	t.Parallel()
	p, a := startDemo(t, t.TempDir())
	server := p.ready["licenseServer"]
	l := newAgeLab(t)
	content := make([]byte, 1<<20+17)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(content)
	l.write("model.bin", content)
	platform := []string{"--url", a.url, "--token", a.token}
	recipient := must(t, append([]string{"protect", "recipient", "--product", product}, platform...)...)
	l.write("recipient", []byte(recipient))
	l.write("identity", []byte(must(t, "protect", "identity", "--server", server, "--product", product)))
	testenv.Eventually(t, 20*time.Second, func() error { return wantHandles(t, server, 12) })

	// Ours to age, age to ours, age to age; bytes and text.
	must(t, append([]string{"protect", "encrypt", "--product", product, "-o", l.path("ours.age"), l.path("model.bin")}, platform...)...)
	must(t, append([]string{"protect", "encrypt", "--product", product, "--armor", "-o", l.path("ours.txt"), l.path("model.bin")}, platform...)...)
	l.age("-R", "recipient", "-o", "theirs.age", "model.bin")
	l.age("-r", strings.Split(recipient, "\n")[1], "--armor", "-o", "theirs.txt", "model.bin")
	for _, name := range []string{"ours.age", "ours.txt", "theirs.age", "theirs.txt"} {
		l.age("-d", "-i", "identity", "-o", name+".byage", name)
		must(t, "protect", "decrypt", "--server", server, "-o", l.path(name+".byus"), l.path(name))
		if !bytes.Equal(l.read(name+".byage"), content) || !bytes.Equal(l.read(name+".byus"), content) {
			t.Errorf("%s: another content came back", name)
		}
	}
	// Without an identity file the plugin takes the server from the environment.
	if errs, err := l.try([]string{"QUORATE_SERVER=" + server}, "-d", "-j", "quorate", "-o", "out", "ours.age"); err != nil || !bytes.Equal(l.read("out"), content) {
		t.Errorf("age -j quorate: %v\n%s", err, errs)
	}
	if err := wantHandles(t, server, 12); err != nil {
		t.Errorf("afterwards: %v", err)
	}

	// What must not open.
	changed := l.read("ours.age")
	changed[len(changed)/2] ^= 1
	l.write("changed.age", changed)
	l.refused("failed to decrypt and authenticate", "-d", "-i", "identity", "-o", "out", "changed.age")
	l.write("other.age", forProduct(t, license.Product{Firm: 6000010, Code: 15}))
	l.write("other.identity", []byte(must(t, "protect", "identity", "--server", server, "--product", "6000010:15")))
	l.refused("no identity matched", "-d", "-i", "identity", "-o", "out", "other.age")
	l.refused("[NO_LICENSE]", "-d", "-i", "other.identity", "-o", "out", "other.age")
	l.write("forged.age", forProduct(t, license.Product{Firm: 6000010, Code: 14}))
	l.refused("[KEY_REFUSED]", "-d", "-i", "identity", "-o", "out", "forged.age")
	l.refused("[INVALID_INPUT]", "-e", "-i", "identity", "-o", "out", "model.bin")
	l.write("weak", []byte(recipient+"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n"))
	l.refused("can't mix post-quantum", "-R", "weak", "-o", "out", "model.bin")

	// All licenses in use; one free again; the server gone.
	others := newPrograms(t, server)
	others.take(8)
	l.refused("[NO_FREE_SEAT]", "-d", "-i", "identity", "-o", "out", "ours.age")
	if _, errs, status := quorate(t, "protect", "decrypt", "--server", server, "-o", l.path("none"), l.path("ours.age")); status != 1 || !strings.Contains(errs, "[NO_FREE_SEAT]") {
		t.Errorf("quorate protect decrypt: status %d\n%s", status, errs)
	}
	others.close()
	testenv.Eventually(t, 20*time.Second, func() error {
		if errs, err := l.try(nil, "-d", "-i", "identity", "-o", "out", "ours.age"); err != nil {
			return fmt.Errorf("%w: %s", err, errs)
		}
		return nil
	})
	p.stop(t)
	l.refused("[UNAVAILABLE]", "-d", "-i", "identity", "-o", "out", "ours.age")
	if _, err := os.Lstat(l.path("none")); err == nil {
		t.Error("a refused file is there")
	}
}

// forProduct protects a file for a product with a key that no container has.
func forProduct(t *testing.T, p license.Product) []byte {
	t.Helper()
	_, public, err := seal.NewProductKey()
	if err != nil {
		t.Fatal(err)
	}
	to, err := protect.NewRecipient(p, public)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := protect.Encrypt(&out, false, to)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
