package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// The whole tree of commands is well-formed, and a wrong command is a usage
// error.
func TestTree(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		out    string
		errs   string
	}{
		{"", 0, "License management with triple mode redundancy.", ""},
		{"--version", 0, version + "\n", ""},
		{"container --help", 0, "container register", ""},
		{"rollout start --help", 0, "Examples:", ""},
		{"nonsense", cli.ExitUsage, "", "(see quorate --help)\n"},
		{"rollout start", cli.ExitUsage, "", "(see quorate rollout start --help)\n"},
	} {
		var out, errs bytes.Buffer
		status := run(t.Context(), strings.Fields(c.args), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
		if status != c.status || !strings.Contains(out.String(), c.out) || !strings.HasSuffix(errs.String(), c.errs) {
			t.Errorf("quorate %s: %d, %q, %q", c.args, status, out.String(), errs.String())
		}
	}
}
