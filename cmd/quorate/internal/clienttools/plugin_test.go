package clienttools

import (
	"bytes"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

func TestPluginByItself(t *testing.T) {
	for path, want := range map[string]bool{
		"age-plugin-quorate": true, "/usr/bin/age-plugin-quorate": true, "bin/age-plugin-quorate.exe": true,
		"quorate": false, "/age-plugin-quorate/quorate": false, "age-plugin-quorate2": false,
	} {
		if IsPlugin(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
	for _, args := range []string{"", "--help", "--age-plugin=x y", "-x"} {
		var out, errs bytes.Buffer
		status := RunPlugin(t.Context(), strings.Fields(args), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
		if status != cli.ExitUsage || !strings.Contains(errs.String(), "is started by age") || out.Len() != 0 {
			t.Errorf("%q: status %d, %s%s", args, status, out.String(), errs.String())
		}
	}
	if got := told(license.Errorf(license.CodeNoLicense, "order one", "there is none")).Error(); got != "there is none: order one [NO_LICENSE]" {
		t.Errorf("%q", got)
	}
	t.Setenv("QUORATE_SERVER", "")
	_, err := (&pluginIdentity{ctx: t.Context()}).Unwrap(nil)
	if err == nil || !strings.HasSuffix(err.Error(), "[INVALID_INPUT]") {
		t.Errorf("no server is named: %v", err)
	}
}
