package container

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// TestSequenceVectors runs the containers' lives that are among the test vectors.
func TestSequenceVectors(t *testing.T) {
	for name, steps := range map[string]int{"sequence": 15, "sequence-rotation": 12} {
		t.Run(name, func(t *testing.T) { live(t, name, steps) })
	}
}

func live(t *testing.T, name string, least int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "seal", "testdata", "vectors", name+".json"))
	ok(t, err)
	var life struct {
		Root, Identity, Serial string
		Steps                  []struct {
			Name, Update string
			Code         license.Code
			Number       uint64
		}
	}
	ok(t, json.Unmarshal(b, &life))
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		ok(t, err)
		return b
	}
	identity, err := seal.ParseIdentity(unhex(life.Identity))
	ok(t, err)
	serial, err := license.ParseSerial(life.Serial)
	ok(t, err)
	c, err := Create(filepath.Join(t.TempDir(), "container"), Params{Serial: serial, Root: unhex(life.Root), Identity: identity})
	ok(t, err)
	defer func() { ok(t, c.Close()) }()
	for _, step := range life.Steps {
		t.Run(step.Name, func(t *testing.T) {
			s, err := c.Stage(unhex(step.Update))
			code(t, err, step.Code)
			if err == nil {
				_, err = c.Activate(s.Digest, nil)
				ok(t, err)
			}
			if version, _ := c.Licenses(); version != step.Number {
				t.Fatalf("number %d is installed, want %d", version, step.Number)
			}
		})
	}
	if len(life.Steps) < least {
		t.Fatalf("only %d steps", len(life.Steps))
	}
}
