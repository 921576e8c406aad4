package vendortools

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/seal"
)

const firmPassphrase = "six words that nobody would guess"

// firmLab is the platform's machine.
type firmLab struct {
	t   *testing.T
	dir string
}

func (l *firmLab) path(name string) string { return filepath.Join(l.dir, name) }

// try runs a command there.
func (l *firmLab) try(args ...string) (out, errs string, status int) {
	l.t.Helper()
	var o, e bytes.Buffer
	status = run(l.t.Context(), append(args, "--database", l.path("quorate.db")), cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return o.String(), e.String(), status
}

func (l *firmLab) do(args ...string) string {
	l.t.Helper()
	out, errs, status := l.try(args...)
	if status != 0 {
		l.t.Fatalf("quorate %s: %d, %s", strings.Join(args, " "), status, errs)
	}
	return out
}

func (l *firmLab) refused(code string, args ...string) {
	l.t.Helper()
	out, errs, status := l.try(args...)
	if status != cli.ExitFailure || out != "" || !strings.HasSuffix(errs, "["+code+"]\n") || strings.Count(errs, "\n") != 1 {
		l.t.Errorf("quorate %s: %d, %q, %q instead of %s", strings.Join(args, " "), status, out, errs, code)
	}
}

func (l *firmLab) write(name string, content []byte) string {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), content, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return l.path(name)
}

// exportedKey is a firm's first key in a file, as another platform would write it.
func exportedKey(t *testing.T, seed []byte) []byte {
	t.Helper()
	plain, err := json.Marshal(map[string]any{
		"format": "quorate-firm-key", "version": 1, "firm": 6000010, "name": "Firm", "seed": seed,
		"keys": []any{map[string]any{"serial": 1, "publicKey": []byte(seal.NewSigner(seed).Public()), "createdAt": time.Now().UTC()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	to, err := age.NewScryptRecipient(firmPassphrase)
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(4)
	var file bytes.Buffer
	text := armor.NewWriter(&file)
	w, err := age.Encrypt(text, to)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(plain)
	if err := errors.Join(err, w.Close(), text.Close()); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestFirmCommands(t *testing.T) {
	l := &firmLab{t: t, dir: t.TempDir()}
	old, renewed := l.path("master.key"), l.path("new.key")
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(l.do("platform", "init", "--organization", "V", "--email", "o@example.com", "--json", "--master-key", old)), &made); err != nil {
		t.Fatal(err)
	}
	t.Setenv("QUORATE_TOKEN", made.Token)
	pass := l.write("passphrase", []byte(firmPassphrase+"\n"))
	canary := []byte("a firm's key of 32 bytes, canary")
	file := l.write("firm.age", exportedKey(t, canary))
	key := []string{"--master-key", old}
	with := func(args ...string) []string { return append(append([]string{"firm"}, args...), key...) }

	if out := l.do(with("import", "6000010", file, "--passphrase-file", pass)...); out != "firm 6000010 is made, with key 1\n" {
		t.Errorf("import: %q", out)
	}
	if out := l.do(with("import", "6000010", file, "--passphrase-file", pass)...); out != "firm 6000010 has key 1\n" {
		t.Errorf("import again: %q", out)
	}
	l.refused("INVALID_INPUT", with("import", "6000011", file, "--passphrase-file", pass)...)
	l.refused("KEY_REFUSED", with("import", "6000010", file, "--passphrase-file", l.write("other", []byte("another passphrase")))...)
	l.refused("FORMAT_UNKNOWN", with("import", "6000010", pass, "--passphrase-file", pass)...)
	l.refused("NOT_FOUND", with("import", "6000010", l.path("none"), "--passphrase-file", pass)...)

	if out := l.do(with("rotate", "6000010", "--serial", "1")...); !strings.HasPrefix(out, "firm 6000010 signs with ") {
		t.Errorf("rotate: %q", out)
	}
	l.refused("CONFLICT", with("rotate", "6000010", "--serial", "1")...)
	l.refused("INVALID_INPUT", with("rotate", "6000010", "--serial=-1")...)
	l.refused("NOT_FOUND", with("rotate", "6000012")...)
	out := l.do(with("keys", "6000010")...)
	if lines := strings.Split(out, "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "   2  ") || !strings.HasSuffix(lines[0], "in use") || !strings.Contains(lines[1], " until ") {
		t.Errorf("keys: %q", out)
	}
	var keys []struct {
		Serial    int
		RetiredAt *time.Time
	}
	if err := json.Unmarshal([]byte(l.do(with("keys", "6000010", "--json")...)), &keys); err != nil || len(keys) != 2 || keys[1].RetiredAt == nil {
		t.Errorf("keys: %+v, %v", keys, err)
	}

	backup := l.path("backup.age")
	l.do(with("export", "6000010", "-o", backup, "--passphrase-file", pass)...)
	l.refused("CONFLICT", with("export", "6000010", "-o", backup, "--passphrase-file", pass)...)
	l.refused("INVALID_INPUT", with("export", "6000010", "-o", l.path("x"), "--passphrase-file", l.write("short", []byte("short")))...)
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the export is readable by others: %v", err)
	}
	l.refused("CONFLICT", with("import", "6000010", file, "--passphrase-file", pass)...)
	l.do(with("import", "6000010", backup, "--passphrase-file", pass)...)

	if out := l.do(with("rewrap", "--new-master-key", renewed)...); !strings.HasPrefix(out, "2 keys sealed anew, 0 were already") {
		t.Errorf("rewrap: %q", out)
	}
	if out := l.do(with("rewrap", "--new-master-key", renewed, "--json")...); out != "{\"already\":2,\"sealed\":0}\n" {
		t.Errorf("rewrap again: %q", out)
	}
	l.refused("KEY_REFUSED", with("rotate", "6000010")...)
	key[1] = renewed
	l.do(with("rotate", "6000010")...)
	key[1] = l.path("none.key")
	l.refused("NOT_FOUND", with("rotate", "6000010")...)
	if cli.Exists(key[1]) {
		t.Error("a master key was made that opens nothing")
	}
	database, err := os.ReadFile(l.path("quorate.db"))
	if err != nil || bytes.Contains(database, canary) || len(database) < 10_000 {
		t.Errorf("the database has the key: %v", err)
	}
}
