package cli

import (
	"bytes"
	"strings"
	"testing"
)

type testTree struct {
	Thing struct {
		List testCmd `cmd:"" aliases:"ls"`
	} `cmd:""`

	Common
}

type testCmd struct {
	Name string `arg:""`
}

func (testCmd) Run() error { return nil }

// A usage error names the command whose help tells more, as it is typed.
func TestUsageErrorsNameTheHelp(t *testing.T) {
	for args, want := range map[string]string{
		"thing list":      "(see quorate thing list --help)",
		"thing ls":        "(see quorate thing list --help)",
		"thing ls a --no": "(see quorate thing list --help)",
		"thing":           "(see quorate thing --help)",
		"nothing":         "(see quorate --help)",
	} {
		var out, errs bytes.Buffer
		if status := Run(t.Context(), &testTree{}, "test", strings.Fields(args), Streams{Out: &out, Err: &errs}, nil); status != ExitUsage || !strings.HasSuffix(errs.String(), want+"\n") {
			t.Errorf("%s: %d %s", args, status, errs.String())
		}
	}
}
