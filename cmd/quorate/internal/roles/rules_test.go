package roles

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver/rulebook"
	"github.com/quorate/quorate/internal/seal"
)

// A license server follows its file of rules, and says in its health when that is
// bad.
func TestRulesOnAPlainServer(t *testing.T) {
	signer := func(seed string) seal.Signer { return seal.NewSigner([]byte(strings.Repeat(seed, 32))) }
	fine := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	serial := license.Serial{Mask: license.MaskUniversal, Number: 6}
	held, err := container.Create(filepath.Join(dir, "c.qrc"), container.Params{Serial: serial, Root: signer("r").Public()})
	fine(err)
	t.Cleanup(func() { _ = held.Close() })
	p := license.Product{Firm: 6000010, Code: 14}
	cert, err := seal.SignFirmCert(signer("r"), seal.FirmCert{Firm: p.Firm, Key: signer("f").Public(), Serial: 1})
	fine(err)
	update, err := seal.SealUpdate(signer("f"), cert, held.Identity(),
		seal.UpdateHeader{Firm: p.Firm, Serial: serial, Number: 1, IssuedAt: time.Now()},
		seal.Payload{Set: []seal.Grant{{License: license.Held{License: license.License{Product: p, Name: "Chart Processing", Options: license.Options{Quantity: 3}}}}}})
	fine(err)
	staged, err := held.Stage(update)
	fine(err)
	_, err = held.Activate(staged.Digest, nil)
	fine(err)
	store, err := memlease.Open("", memlease.Options{})
	fine(err)
	t.Cleanup(func() { _ = store.Close() })

	file := filepath.Join(dir, "rules")
	fine(os.WriteFile(file, []byte("deny user:anna host:pc-1\ndeny subnet:10.0.0.0/8\nallow subnet:127.0.0.0/8"), 0o600))
	book, err := newRuleBook(rulebook.Config{File: file, Every: 10 * time.Millisecond})
	fine(err)
	s, err := startServer(serverConfig{
		Name: "a", Container: held, Store: store, Token: signer("t"), Listen: "127.0.0.1:0", Plain: true, Logger: slog.New(slog.DiscardHandler),
		Rules: book,
	})
	fine(err)
	t.Cleanup(s.Stop)

	access := func(user string) license.Code {
		t.Helper()
		c, err := client.Open(t.Context(), client.Config{Servers: []string{s.face.URL()}, User: user, Address: "pc-1"})
		fine(err)
		defer c.Close()
		h, err := c.Access(t.Context(), p.String())
		if err != nil {
			return license.Code(client.CodeOf(err))
		}
		fine(h.Release(context.WithoutCancel(t.Context())))
		return ""
	}
	eventually := func(what string, ok func() bool) {
		t.Helper()
		for until := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("not within 20 s: %s", what)
			}
		}
	}
	health := func() string {
		t.Helper()
		res, err := http.Get(s.face.URL() + "/healthz")
		fine(err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		fine(err)
		return string(b)
	}
	if code := access("anna"); code != license.CodeNotAllowed {
		t.Errorf("anna: %q", code)
	}
	if code := access("ben"); code != "" {
		t.Errorf("ben, from this machine: %q", code)
	}
	if h := health(); h != "ok\n" {
		t.Errorf("health: %q", h)
	}
	fine(os.WriteFile(file, []byte("deny user:ben\nnonsense"), 0o600))
	eventually("the bad file is told", func() bool { return strings.Contains(health(), "line 2, column 1") })
	if !strings.HasPrefix(health(), "ok\n") || access("ben") != "" || access("anna") != license.CodeNotAllowed {
		t.Error("the rules before a bad file don't count")
	}
	fine(os.WriteFile(file, []byte("deny user:ben"), 0o600))
	eventually("the new rules count", func() bool {
		return access("ben") == license.CodeNotAllowed && access("anna") == "" && health() == "ok\n"
	})
}

// Who is no administrator is not told what a file of rules has.
func TestHealthTellsAdministratorsWhy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	book, err := newRuleBook(rulebook.Config{File: file, Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	stop := book.watch()
	if err := os.WriteFile(file, []byte("permit user:secret-name"), 0o600); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); book.Status().Problem == "" && time.Now().Before(until); time.Sleep(time.Millisecond) {
	}
	stop()
	for header, told := range map[string]bool{"": false, "Bearer wrong": false, "Bearer right": true} {
		r, err := http.NewRequest("GET", "/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Authorization", header)
		w := &answer{}
		book.health("right").handler.ServeHTTP(w, r)
		if got := w.String(); !strings.Contains(got, "newer rules don't count") || strings.Contains(got, "permit") != told {
			t.Errorf("%q is told %q", header, got)
		}
	}
}

// answer is a response's body.
type answer struct{ strings.Builder }

func (*answer) Header() http.Header { return http.Header{} }
func (*answer) WriteHeader(int)     {}
