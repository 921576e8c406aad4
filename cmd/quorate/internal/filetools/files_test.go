package filetools_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// filesLab is a machine with one container.
type filesLab struct {
	t    *testing.T
	dir  string
	firm seal.Signer
	cert []byte
	to   seal.PublicIdentity
}

var filesSerial = license.Serial{Mask: 130, Number: 1874829}

func newFilesLab(t *testing.T) *filesLab {
	t.Helper()
	t.Setenv("QUORATE_SERVER", "")
	l := &filesLab{t: t, dir: t.TempDir(), firm: seal.NewSigner(bytes.Repeat([]byte{2}, 32))}
	root := seal.NewSigner(bytes.Repeat([]byte{1}, 32))
	var err error
	if l.cert, err = seal.SignFirmCert(root, seal.FirmCert{Firm: 6000010, Key: l.firm.Public(), Serial: 1}); err != nil {
		t.Fatal(err)
	}
	c, err := container.Create(l.path("container.qrc"), container.Params{Serial: filesSerial, Root: root.Public()})
	if err != nil {
		t.Fatal(err)
	}
	l.to = c.Identity()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	update, err := seal.SealUpdate(l.firm, l.cert, l.to, seal.UpdateHeader{Firm: 6000010, Serial: filesSerial, Number: 1}, seal.Payload{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := armor.Encode(armor.File{Kind: armor.Update, Messages: [][]byte{update}})
	if err != nil {
		t.Fatal(err)
	}
	l.write("one.lupd", string(text))
	return l
}

func (l *filesLab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *filesLab) write(name, content string) {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *filesLab) read(name string) string {
	l.t.Helper()
	b, err := os.ReadFile(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b)
}

// quorate runs a command in which @name is a file of the lab.
func (l *filesLab) quorate(args ...string) (out, errs string, status int) {
	l.t.Helper()
	for i, a := range args {
		if name, ok := strings.CutPrefix(a, "@"); ok {
			args[i] = l.path(name)
		}
	}
	var o, e bytes.Buffer
	status = run(l.t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return o.String(), e.String(), status
}

// TestFilesReplaceTheirOwnKindOnly: a mistaken path destroys neither the
// container, whose keys are nowhere else, nor the file that is read.
func TestFilesReplaceTheirOwnKindOnly(t *testing.T) {
	l := newFilesLab(t)
	l.write("letter.txt", "Dear customer")
	before := map[string]string{}
	for _, name := range []string{"container.qrc", "one.lupd", "letter.txt"} {
		before[name] = l.read(name)
	}
	refused := func(code string, args ...string) {
		t.Helper()
		out, errs, status := l.quorate(args...)
		if status != cli.ExitFailure || out != "" || !strings.HasSuffix(errs, "["+code+"]\n") {
			t.Errorf("quorate %s: %d, %q, %q instead of %s", strings.Join(args, " "), status, out, errs, code)
		}
		for name, was := range before {
			if l.read(name) != was {
				t.Fatalf("quorate %s has changed %s", strings.Join(args, " "), name)
			}
		}
	}
	refused("CONFLICT", "request", "--container", "@container.qrc", "-o", "@container.qrc")
	refused("CONFLICT", "request", "--container", "@container.qrc", "-o", "@letter.txt")
	refused("CONFLICT", "apply", "@one.lupd", "--container", "@container.qrc", "--receipt", "@container.qrc")
	refused("CONFLICT", "apply", "@one.lupd", "--container", "@container.qrc", "--receipt", "@one.lupd")
	refused("CONFLICT", "receipt", "--container", "@container.qrc", "-o", "@one.lupd")
	refused("CONFLICT", "offline", "start", "131-4837572", "@one.lreq", "-o", "@letter.txt", "--url", "http://127.0.0.1:1", "--token", "x")
	refused("INVALID_INPUT", "request", "--container", "@container.qrc", "-o", "@.")
	refused("NOT_FOUND", "request", "--container", "@container.qrc", "-o", "@nowhere/one.lreq")

	do := func(args ...string) {
		t.Helper()
		if _, errs, status := l.quorate(args...); status != 0 {
			t.Fatalf("quorate %s: %d, %s", strings.Join(args, " "), status, errs)
		}
	}
	// One of its kind is replaced, through a link too, and so is an empty one.
	l.write("one.lreq", "")
	do("request", "--container", "@container.qrc", "-o", "@one.lreq")
	first := l.read("one.lreq")
	if err := os.Symlink("one.lreq", l.path("link")); err != nil {
		t.Fatal(err)
	}
	do("apply", "@one.lupd", "--container", "@container.qrc", "--receipt", "@one.lrcp")
	do("apply", "@one.lupd", "--container", "@container.qrc", "--receipt", "@one.lrcp")
	do("request", "--container", "@container.qrc", "-o", "@link")
	if info, err := os.Lstat(l.path("link")); err != nil || info.Mode()&os.ModeSymlink == 0 || l.read("one.lreq") == first {
		t.Errorf("the link's file was not replaced: %v, %v", info.Mode(), err)
	}
	do("inspect", "@one.lrcp", "--request", "@one.lreq")
	do("request", "--container", "@container.qrc", "-o", os.DevNull)
	entries, err := os.ReadDir(l.dir)
	if err != nil || len(entries) != 6 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// TestInspectShowsNoControlCharacters: anybody can make a request, and what it
// says goes to a person's terminal.
func TestInspectShowsNoControlCharacters(t *testing.T) {
	l := newFilesLab(t)
	identity, err := seal.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	name := "Chart\x1b[2J\r\nsignature valid\u202e"
	b, err := seal.SignFingerprint(identity, seal.Fingerprint{Serial: filesSerial, Root: l.firm.Public(), Licenses: []license.Held{{
		License: license.License{Product: license.Product{Firm: 6000010, Code: 14}, Name: name, Options: license.Options{Quantity: 1}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := armor.Encode(armor.File{Kind: armor.Request, Messages: [][]byte{b}})
	if err != nil {
		t.Fatal(err)
	}
	l.write("bad.lreq", string(text))
	out, errs, status := l.quorate("inspect", "@bad.lreq")
	if status != 0 || strings.ContainsAny(out, "\x1b\r\u202e") || !strings.Contains(out, "Chart\uFFFD[2J\uFFFD\uFFFDsignature valid\uFFFD  quantity 1") {
		t.Errorf("%d, %q, %q", status, out, errs)
	}
	l.write("worse.lreq", strings.Replace(string(text), "Version: 1", "Version: \x1b[2J", 1))
	if _, errs, status = l.quorate("inspect", "@worse.lreq"); status != cli.ExitFailure || strings.Contains(errs, "\x1b") || !strings.HasSuffix(errs, "[FORMAT_UNKNOWN]\n") {
		t.Errorf("%d, %q", status, errs)
	}
}
