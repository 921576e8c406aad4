package cli

import (
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// FuzzTimes reads anything as a time and as a duration.
func FuzzTimes(f *testing.F) {
	for _, s := range []string{"2026-12-01", "2026-12-01T08:00:00Z", "90d", "36h", "1.5s", "99999d", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := ParseTime(s); err != nil && license.CodeOf(err) != license.CodeInvalidInput {
			t.Fatal(err)
		}
		d, err := ParseLong(s)
		if err != nil && license.CodeOf(err) != license.CodeInvalidInput {
			t.Fatal(err)
		}
		if err == nil && d < 0 {
			t.Fatalf("%q is %s", s, d)
		}
	})
}
