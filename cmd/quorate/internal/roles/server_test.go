package roles

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// A program on a plain server's machine uses a license without a quantity.
func TestLocalLicenseOnAPlainServer(t *testing.T) {
	signer := func(seed string) seal.Signer { return seal.NewSigner([]byte(strings.Repeat(seed, 32))) }
	fine := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	serial := license.Serial{Mask: license.MaskUniversal, Number: 5}
	held, err := container.Create(filepath.Join(t.TempDir(), "c.qrc"), container.Params{Serial: serial, Root: signer("r").Public()})
	fine(err)
	t.Cleanup(func() { _ = held.Close() })
	p := license.Product{Firm: 6000010, Code: 14}
	cert, err := seal.SignFirmCert(signer("r"), seal.FirmCert{Firm: p.Firm, Key: signer("f").Public(), Serial: 1})
	fine(err)
	update, err := seal.SealUpdate(signer("f"), cert, held.Identity(),
		seal.UpdateHeader{Firm: p.Firm, Serial: serial, Number: 1, IssuedAt: time.Now()},
		seal.Payload{Set: []seal.Grant{{License: license.Held{License: license.License{Product: p, Name: "Chart Processing"}}}}})
	fine(err)
	staged, err := held.Stage(update)
	fine(err)
	_, err = held.Activate(staged.Digest, nil)
	fine(err)
	store, err := memlease.Open("", memlease.Options{})
	fine(err)
	t.Cleanup(func() { _ = store.Close() })
	s, err := startServer(serverConfig{
		Name: "a", Container: held, Store: store, Token: signer("t"), Listen: "127.0.0.1:0", Plain: true, Logger: slog.New(slog.DiscardHandler),
	})
	fine(err)
	t.Cleanup(s.Stop)
	t.Setenv("QUORATE_SERVER", s.face.URL())
	var out, errs bytes.Buffer
	for _, args := range [][]string{{"why", p.String()}, {"run", "--product", p.String(), "--", "true"}, {"ls"}} {
		if status := run(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); status != 0 {
			t.Errorf("quorate %v: exit status %d\n%s%s", args, status, out.String(), errs.String())
		}
	}
	if got := out.String(); strings.Count(got, "local only") != 2 {
		t.Errorf("%s", got)
	}
}
