package roles

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
)

// What the flags say of those who use a server comes to it; what they can't mean
// is refused before anything is opened.
func TestPolicyFlags(t *testing.T) {
	parse := func(args ...string) (Server, error) {
		var c Server
		k, err := kong.New(&c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.Parse(args)
		return c, err
	}
	for args, want := range map[string]policy{
		"": {Disclose: licenseserver.DiscloseHosts},
		"--disclose users --ask everyone --min-remove-age 2d": {Disclose: licenseserver.DiscloseUsers, AskEveryone: true, MinRemoveAge: 48 * time.Hour},
		"--disclose none --ask admins --min-remove-age 90s":   {Disclose: licenseserver.DiscloseNone, MinRemoveAge: 90 * time.Second},
	} {
		c, err := parse(strings.Fields(args)...)
		if err != nil {
			t.Fatal(err)
		}
		want.MostWaiting, want.MostHandles = licenseserver.DefaultMostWaiting, licenseserver.DefaultMostHandles
		if got, err := c.policy(); got != want || err != nil {
			t.Errorf("%q: %+v, %v", args, got, err)
		}
	}
	for _, args := range []string{"--disclose all", "--ask nobody"} {
		if _, err := parse(strings.Fields(args)...); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	for _, args := range []string{"--min-remove-age soon", "--borrow-max=-1h", "--tmr --borrow-max 1d"} {
		c, err := parse(strings.Fields(args)...)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		c.Key, c.Container = filepath.Join(dir, "key"), filepath.Join(dir, "container")
		err = c.Run(t.Context(), cli.Streams{}, slog.New(slog.DiscardHandler), filetools.Site{}, Build{})
		if license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%q: %v", args, err)
		}
		if files, err := filepath.Glob(dir + "/*"); len(files) != 0 || err != nil {
			t.Errorf("%q made %v", args, files)
		}
	}
}
