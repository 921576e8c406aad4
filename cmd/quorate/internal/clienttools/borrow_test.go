package clienttools

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/seal"
)

// plainSource is of a container that is no group's: only those lend.
type plainSource struct{ *servertest.Source }

func (plainSource) Serial() license.Serial {
	return license.Serial{Mask: license.MaskUniversal, Number: 1874829}
}

// lend makes the lab's server one that lends.
func (l *protectLab) lend() {
	l.t.Helper()
	store, err := memlease.Open("", memlease.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	s, err := licenseserver.New(licenseserver.Config{
		Name: "b", Source: plainSource{l.source}, Store: store, Lease: 6 * time.Second, AdminToken: "secret", BorrowMost: 240 * time.Hour,
		Signer: seal.NewSigner([]byte(strings.Repeat("s", 32))), Arbiter: licenseserver.Always{},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(s.Handler())
	web := httptest.NewServer(mux)
	if err := s.Start(context.WithoutCancel(l.t.Context())); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		web.Close()
		s.Stop()
		_ = store.Close()
	})
	l.server = web.URL
	l.t.Setenv("QUORATE_BORROWED", l.t.TempDir())
	l.t.Setenv("QUORATE_SERVER", web.URL)
}

// A borrowed license is shown in brackets and can't be taken away; its program
// gives it back.
func TestBorrowedLicense(t *testing.T) {
	l := newProtectLab(t)
	l.refused("INVALID_INPUT", "", "run", "--product", charts, "--borrow", "3d", "--", "true") // a group lends nothing
	l.quantity(5)
	l.lend()
	c := l.on("ada", "laptop")
	h := l.take(c, client.WithBorrow(72*time.Hour), client.WithLicenses(2))
	l.take(c)
	if i := h.Info(); !i.Borrowed || i.Licenses != 2 || i.Remaining < 71*time.Hour {
		t.Errorf("%+v", i)
	}
	out := l.must("", "ls")
	if !regexp.MustCompile(`(?m)^130-1874829 +6000010 +14 +Chart Processing +0xb +5 +2 +3 \(2\) +0 +0 +0$`).MatchString(out) {
		t.Errorf("%s", out)
	}
	if out := l.must("", "ls", "--handles"); strings.Count(out, "(2)") != 1 {
		t.Errorf("%s", out)
	}
	l.refused("BORROWED", "", "release", h.Info().ID, "--admin-token", "secret")
	// Of all it takes what it can, and says what not.
	out, errs, status := l.quorate("", "release", "--all-of", "ada@laptop", "--admin-token", "secret")
	if status != 1 || strings.Count(out, "removed ") != 1 || !strings.HasSuffix(errs, "[BORROWED]\n") {
		t.Errorf("exit status %d\n%s%s", status, out, errs)
	}
	if err := h.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := l.quorate("", "run", "--product", charts, "--borrow", "3d", "--licenses", "5", "--", "true"); status != 0 {
		t.Fatalf("exit status %d\n%s%s", status, out, errs)
	}
	// It outlives the program, and the next one goes on with it: all are taken still.
	l.refused("NO_FREE_SEAT", "", "run", "--product", charts, "--", "true")
	server := l.server
	l.t.Setenv("QUORATE_SERVER", "http://127.0.0.1:1")
	_, errs, status = l.quorate("", "run", "--product", charts, "--borrow", "3d", "--licenses", "5", "--", "true")
	if status != 0 || !strings.Contains(errs, "borrowed until") {
		t.Errorf("exit status %d\n%s", status, errs)
	}
	out = l.must("", "return")
	id, _, _ := strings.Cut(out[strings.Index(out, "\n")+1:], " ")
	if !strings.Contains(out, charts) || !strings.Contains(out, " 5 ") {
		t.Errorf("%s", out)
	}
	l.refused("UNAVAILABLE", "", "return", id, "--wait", "100ms")
	l.t.Setenv("QUORATE_SERVER", server)
	l.refused("HANDLE_UNKNOWN", "", "return", "nothing")
	l.refused("INVALID_INPUT", "", "return", id, "--all")
	if out := l.must("", "return", "--json"); !strings.Contains(out, `"inUse":false`) {
		t.Errorf("%s", out)
	}
	if out := l.must("", "return", "--all"); out != "returned "+id+"\n" {
		t.Errorf("%s", out)
	}
	if out := l.must("", "return"); out != "no license is borrowed here\n" {
		t.Errorf("%s", out)
	}
	l.must("", "run", "--product", charts, "--", "true")
}
