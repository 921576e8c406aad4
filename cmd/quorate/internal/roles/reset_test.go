package roles

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
)

// The platform's operator makes the link by which a person sets a new password.
func TestPlatformResetPassword(t *testing.T) {
	folder := t.TempDir()
	do := func(want int, args ...string) string {
		t.Helper()
		var out, failed bytes.Buffer
		args = append(args, "--database", filepath.Join(folder, "db"), "--master-key", filepath.Join(folder, "key"))
		if status := run(t.Context(), args, cli.Streams{Out: &out, Err: &failed}); status != want {
			t.Fatalf("%v ends with %d: %s", args, status, failed.String())
		}
		return out.String() + failed.String()
	}
	do(0, "platform", "init", "--organization", "Charts", "--email", "o@example.com")
	said := do(0, "platform", "reset-password", "O@example.com", "--dashboard", "https://licenses.example.com/")
	if !strings.Contains(said, "\nhttps://licenses.example.com/reset#qrp_") || !strings.Contains(said, "o@example.com sets a new password, once, until 2") || !strings.HasSuffix(said, "\nA second factor stays.\n") {
		t.Errorf("%q", said)
	}
	var got struct {
		Email, Link, ExpiresAt string
		EndsSecondFactor       bool
	}
	if err := json.Unmarshal([]byte(do(0, "platform", "reset-password", "o@example.com", "--second-factor", "--json")), &got); err != nil || got.Email != "o@example.com" || !got.EndsSecondFactor || got.ExpiresAt == "" {
		t.Errorf("%+v, %v", got, err)
	}
	_, token, _ := strings.Cut(got.Link, "/reset#")
	if _, ok := auth.TokenHash(auth.ResetToken, token); !ok {
		t.Errorf("a link %q", got.Link)
	}
	if said := do(1, "platform", "reset-password", "nobody@example.com"); !strings.Contains(said, "nobody has an account") {
		t.Errorf("%q", said)
	}
}
