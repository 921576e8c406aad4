package core

import (
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// FuzzMasterKey reads anything as a master key.
func FuzzMasterKey(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Add("AAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := ParseMasterKey(s); err != nil && license.CodeOf(err) != license.CodeInvalidInput {
			t.Fatal(err)
		}
	})
}
