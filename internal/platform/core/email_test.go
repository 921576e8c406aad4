package core_test

import (
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
)

// TestCheckName: a name does nothing to the page, terminal or log that shows it.
func TestCheckName(t *testing.T) {
	for _, name := range []string{"Ada", " Ada", "Åsa Öström", "名前", "👩\u200d🚀 क्\u200dष"} {
		if err := core.CheckName("thing", name); err != nil || core.PlainText(name) != name {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", " ", "a\nb", "a\tb", "\x1b[2J", "a\u0085b", "a\u2028b", "a\u202eb", "a\u2066b", "\xff", "a\x00"} {
		if err := core.CheckName("thing", name); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got := core.PlainText("a\x1b[2J\u202e\nb"); got != "a[2Jb" {
		t.Errorf("%q", got)
	}
}
