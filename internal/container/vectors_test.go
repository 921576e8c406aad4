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

// TestSequenceVector runs the container's life that is among the test vectors.
func TestSequenceVector(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "seal", "testdata", "vectors", "sequence.json"))
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
	if len(life.Steps) < 15 {
		t.Fatalf("only %d steps", len(life.Steps))
	}
}
