package rulebook

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
)

var ruled = license.Product{Firm: 6000010, Code: 14}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func refusedBy(b *Book, user string) string {
	_, _, err := b.Limits(ruled, license.Ask{User: user, Address: netip.MustParseAddr("10.1.2.3")})
	if err == nil {
		return ""
	}
	return err.(*license.Error).Details["rule"].(string)
}

func rulebook(t *testing.T, c Config) *Book {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBookFollowsItsFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "rules")
		write(t, path, "deny user:anna\n")
		b := rulebook(t, Config{File: path, Every: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() { b.Watch(ctx) })
		looks := func(n int) {
			time.Sleep(time.Duration(n) * time.Second)
			synctest.Wait()
		}
		want := func(what, user, by string, problem string) {
			t.Helper()
			if got := refusedBy(b, user); got != by {
				t.Errorf("%s: %s is refused by %q, want %q", what, user, got, by)
			}
			if p := b.State().Problem; (p == "") != (problem == "") || !strings.Contains(p, problem) {
				t.Errorf("%s: the problem is %q, want %q", what, p, problem)
			}
		}
		looks(3)
		want("at first", "anna", "deny user:anna", "")

		write(t, path, "deny user:ben\n")
		looks(1)
		want("after one look", "anna", "deny user:anna", "")
		looks(1)
		want("after two looks", "ben", "deny user:ben", "")
		want("after two looks", "anna", "", "")

		write(t, path, "deny user:carl\nnonsense\n")
		looks(2)
		want("bad", "ben", "deny user:ben", path+": line 2, column 1")
		want("bad", "carl", "", "line 2")
		write(t, path, "deny user:ben\n")
		looks(3)
		want("good as before", "ben", "deny user:ben", "")

		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		looks(2)
		want("gone", "ben", "deny user:ben", "no file of rules")
		write(t, path, "deny user:ben\n")
		looks(3)
		want("there again", "ben", "deny user:ben", "")

		write(t, path, "nonsense")
		looks(2)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		looks(1)
		want("bad, then gone", "ben", "deny user:ben", "no file of rules")
		write(t, path, "nonsense")
		looks(2)
		want("bad, gone, and bad again", "ben", "deny user:ben", "line 1")
		write(t, path, "")
		looks(2)
		want("emptied", "ben", "", "")
		write(t, path, "deny user:ben")
		looks(2)

		// Half a file counts for nothing, however good it looks.
		for range 5 {
			write(t, path, "allow user:dora\n")
			looks(1)
			write(t, path, "allow user:dora\nallow user:ben\n")
			looks(1)
		}
		want("while it is written", "ben", "deny user:ben", "")
		looks(1)
		want("written", "ben", "", "")
		want("written", "anna", "allow list of all licenses", "")
		cancel()
		watching.Wait()
	})
}

func TestBookRefusesABadFileAtTheStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rules")
	if _, err := New(Config{File: path}); license.CodeOf(err) != license.CodeNotFound {
		t.Errorf("no file: %v", err)
	}
	write(t, path, "permit user:anna\n")
	if _, err := New(Config{File: path}); license.CodeOf(err) != license.CodeInvalidInput || !strings.Contains(err.Error(), path+": line 1") {
		t.Errorf("a bad file: %v", err)
	}
	if _, err := New(Config{File: dir}); license.CodeOf(err) != license.CodeUnavailable {
		t.Errorf("a folder: %v", err)
	}
	write(t, path, strings.Repeat("#", 300<<10))
	if _, err := New(Config{File: path}); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("too large: %v", err)
	}
}

func TestBookKeepsWhatThePlatformSends(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "copy")
	office := license.Serial{Mask: 130, Number: 7}
	b := rulebook(t, Config{Copy: kept, Serial: office})
	if by := refusedBy(b, "anna"); by != "" || b.State().Set != nil {
		t.Errorf("without rules: %q", by)
	}
	if err := b.Take(3, "deny user:anna"); err != nil {
		t.Fatal(err)
	}
	if err := b.Take(4, "nonsense"); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("bad rules: %v", err)
	}
	for _, b := range []*Book{b, rulebook(t, Config{Copy: kept, Serial: office})} { // after a restart, too
		if by := refusedBy(b, "anna"); by != "deny user:anna" || b.State().Version != 3 || b.State().Digest == "" {
			t.Errorf("refused by %q: %+v", by, b.State())
		}
	}
	if b.State().Problem == "" {
		t.Error("that version 4 was bad is not told")
	}
	if err := b.Take(5, ""); err != nil || refusedBy(b, "anna") != "" || b.State().Problem != "" {
		t.Errorf("rules that were taken away: %v, %+v", err, b.State())
	}
	if err := b.Take(6, "deny user:ben"); err != nil {
		t.Fatal(err)
	}

	if _, err := New(Config{Copy: kept, Serial: license.Serial{Mask: 130, Number: 8}}); license.CodeOf(err) != license.CodeInvalidInput ||
		!strings.Contains(err.Error(), "130-7") {
		t.Errorf("another container's: %v", err)
	}

	// What is damaged is refused, not skipped.
	text, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		bad := append([]byte(nil), text...)
		bad[i] ^= 4
		write(t, kept, string(bad))
		if b, err := New(Config{Copy: kept, Serial: office}); err == nil && b.State().Version == 6 || err != nil && license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for i := range text {
		write(t, kept, string(text[:i]))
		if _, err := New(Config{Copy: kept, Serial: office}); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("cut off at %d: %v", i, err)
		}
	}
}

func TestOwnFileDecides(t *testing.T) {
	dir := t.TempDir()
	file, kept := filepath.Join(dir, "rules"), filepath.Join(dir, "copy")
	write(t, file, "deny user:anna")
	b := rulebook(t, Config{File: file, Copy: kept})
	if err := b.Take(1, "deny user:ben"); err != nil {
		t.Fatal(err)
	}
	if refusedBy(b, "anna") == "" || refusedBy(b, "ben") != "" || !b.State().Own || b.State().Version != 1 {
		t.Errorf("the platform's rules count: %+v", b.State())
	}
	// Without the file, those that were kept do.
	if b := rulebook(t, Config{Copy: kept}); refusedBy(b, "ben") == "" {
		t.Error("the platform's rules were not kept")
	}
}

func TestTakeFailsWhereItCannotKeep(t *testing.T) {
	b := rulebook(t, Config{Copy: filepath.Join(t.TempDir(), "none", "copy")})
	if err := b.Take(1, "deny user:anna"); license.CodeOf(err) != license.CodeUnavailable {
		t.Errorf("error: %v", err)
	}
	if refusedBy(b, "anna") != "" || b.State().Version != 0 {
		t.Error("rules count that a restart would forget")
	}
}

func TestBookLimits(t *testing.T) {
	b := rulebook(t, Config{})
	if err := b.Take(1, "cap 3 everybody\nreserve 2 user:anna\nreserve 0 user:carl\nreserve 4 user:ben\npriority 7 user:ben\ndeny user:ben\n"); err != nil {
		t.Fatal(err)
	}
	l, priority, err := b.Limits(ruled, license.Ask{User: "ben"})
	if license.CodeOf(err) != license.CodeNotAllowed || priority != 7 {
		t.Errorf("priority %d, %v", priority, err)
	}
	if len(l.Tags) != 2 || l.Tags[0] != "cap everybody" || l.Tags[1] != "reserve user:ben" || len(l.Caps) != 1 || l.Caps[0].Most != 3 ||
		len(l.Holds) != 1 || l.Holds[0].Tag != "reserve user:anna" || l.Holds[0].Least != 2 {
		t.Errorf("limits are given with a refusal, too: %+v", l)
	}
}
