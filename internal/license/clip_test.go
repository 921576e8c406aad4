package license

import (
	"testing"
	"unicode/utf8"
)

func TestClip(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 0, ""},
		{"", 5, ""},
		{"short", 5, "short"},
		{"longer", 5, "lo…"},
		{"äöü", 6, "äöü"},
		{"äöüß", 6, "ä…"},
		{"äöüß", 7, "äö…"},
		{"日本", 5, "…"},
		{"longer", 3, "…"},
		{"longer", 2, "lo"},
		{"日本", 2, ""},
		{"longer", 0, ""},
		{"longer", -1, ""},
		{"\xff", 3, "\uFFFD"},
		{"a\xffb", 4, "a…"},
		{"a\xffb", 5, "a\uFFFDb"},
	} {
		got := Clip(c.text, c.n)
		if got != c.want || len(got) > max(c.n, 0) || !utf8.ValidString(got) {
			t.Errorf("Clip(%q, %d) is %q, want %q", c.text, c.n, got, c.want)
		}
	}
}
