package roles

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver/rulebook"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/testenv"
	"github.com/quorate/quorate/internal/tmr"
)

// Who can't serve says so.
func TestReadiness(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(t.TempDir(), name) }
	signer := seal.NewSigner(bytes.Repeat([]byte("k"), 32))
	box := func(number uint64) *container.Container {
		held, err := container.Create(at("c.qrc"), container.Params{Serial: license.Serial{Mask: license.MaskUniversal, Number: number}, Root: signer.Public()})
		ok(err)
		t.Cleanup(func() { _ = held.Close() })
		return held
	}
	t.Run("platform", func(t *testing.T) {
		redis := testenv.Redis(t)
		p, err := databaseFlags{cli.DatabaseFlags{Database: at("p.db"), MasterKey: at("master.key"), Redis: redis.URL()}}.open(t.Context(), log, 0)
		ok(err)
		t.Cleanup(p.Close)
		ok(p.ready(t.Context()))
		redis.Kill()
		if p.ready(t.Context()) == nil {
			t.Error("it is ready without its Redis")
		}
	})
	t.Run("license server", func(t *testing.T) {
		store, err := memlease.Open("", memlease.Options{})
		ok(err)
		t.Cleanup(func() { _ = store.Close() })
		held := box(6)
		s, err := startServer(serverConfig{Name: "a", Container: held, Store: store, Token: signer, Listen: "127.0.0.1:0", Plain: true, Logger: log})
		ok(err)
		t.Cleanup(s.Stop)
		var told string
		testenv.Eventually(t, 5*time.Second, func() error {
			r, err := http.NewRequest("GET", s.face.URL()+"/readyz", nil)
			if err != nil {
				return err
			}
			r.Header.Set("X-Request-Id", "probe-1")
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if told = res.Header.Get("X-Request-Id"); res.StatusCode != 200 {
				return license.Errorf(license.CodeUnavailable, "", "%s", res.Status)
			}
			return nil
		})
		if told != "probe-1" {
			t.Errorf("the request's id came back as %q", told)
		}
		ok(held.Close())
		if s.canServe(t.Context()) == nil {
			t.Error("it is ready without its container")
		}
	})
	t.Run("backend", func(t *testing.T) {
		held := box(7)
		j, err := openJournal(t.Context(), at("journal.db"), held.Serial())
		ok(err)
		ready := backendReady(held, j)
		ok(ready(t.Context()))
		ok(j.Close())
		if ready(t.Context()) == nil {
			t.Error("it is ready without its journal")
		}
	})
	t.Run("TMR server", func(t *testing.T) {
		key, err := rpc.LoadOrCreateKey(at("tls.key"))
		ok(err)
		book, err := newRuleBook(rulebook.Config{Logger: log})
		ok(err)
		virtual, serials := demoSerials()
		c := tmrConfig{Name: "a", Virtual: virtual, Key: key, Token: signer, Listen: "127.0.0.1:0", Plain: true, Rules: book, Logger: log}
		for i, serial := range serials {
			other, err := rpc.LoadOrCreateKey(at("tls.key"))
			ok(err)
			c.Backends[i] = tmr.BackendConfig{Position: i + 1, Serial: serial, URL: fmt.Sprintf("https://127.0.0.1:%d", i+1), Pin: other.Pin()}
		}
		s, err := startTMR(t.Context(), c)
		ok(err)
		t.Cleanup(s.Stop)
		if s.canServe(t.Context()) == nil {
			t.Error("it is ready without backends")
		}
	})
}
