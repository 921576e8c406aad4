package rpc_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
)

func TestKeyIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tls.key")
	pins := make([]string, 4)
	var wg sync.WaitGroup
	for i := range pins {
		wg.Go(func() {
			k, err := rpc.LoadOrCreateKey(path)
			if err != nil {
				t.Error(err)
				return
			}
			pins[i] = k.Pin()
		})
	}
	wg.Wait()
	for _, pin := range pins {
		if pin != pins[0] || rpc.CheckPin(pin) != nil {
			t.Errorf("pins %q: not one valid pin", pins)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBadKeyFilesAreReportedAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tls.key")
	if _, err := rpc.LoadOrCreateKey(path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty":    {},
		"no PEM":   []byte("hello"),
		"cut":      good[:len(good)/2],
		"trailing": append(bytes.Clone(good), "more"...),
		"type":     bytes.ReplaceAll(good, []byte("PRIVATE KEY"), []byte("CERTIFICATE")),
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := rpc.LoadOrCreateKey(path)
		if license.CodeOf(err) != license.CodeInvalidInput || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", name, err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, b) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := rpc.LoadOrCreateKey(path); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("a key that others may read: %v", err)
	}
}

func TestKeyInMissingFolder(t *testing.T) {
	if _, err := rpc.LoadOrCreateKey(filepath.Join(t.TempDir(), "no", "tls.key")); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("got %v", err)
	}
}

func TestPins(t *testing.T) {
	k, err := rpc.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "sha256:", "sha1:" + k.Pin()[7:], k.Pin() + "A", k.Pin()[:49], k.Pin() + "="} {
		if license.CodeOf(rpc.CheckPin(bad)) != license.CodeInvalidInput {
			t.Errorf("%q is taken for a pin", bad)
		}
		if rpc.MatchPin([]string{k.Pin()}, bad) {
			t.Errorf("%q matches", bad)
		}
	}
	if rpc.MatchPin([]string{""}, "") || rpc.MatchPin(nil, k.Pin()) || !rpc.MatchPin([]string{"x", k.Pin()}, k.Pin()) {
		t.Error("pins match wrongly")
	}
}
