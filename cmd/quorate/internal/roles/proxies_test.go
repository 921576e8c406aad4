package roles

import (
	"testing"

	"github.com/quorate/quorate/internal/license"
)

func TestTrustedProxies(t *testing.T) {
	for text, want := range map[string]int{"": 0, "10.0.0.5": 1, "10.0.0.0/24, fd00::/64": 2} {
		if all, err := trustedProxies(text); err != nil || len(all) != want {
			t.Errorf("%q: %v, %v", text, all, err)
		}
	}
	for _, text := range []string{"proxy", "0.0.0.0/0", "10.0.0.1,::/0"} {
		if _, err := trustedProxies(text); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%q: %v", text, err)
		}
	}
}
