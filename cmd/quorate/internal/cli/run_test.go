package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

type testTree struct {
	Thing struct {
		List testCmd `cmd:"" aliases:"ls"`
	} `cmd:""`
	Fail failCmd `cmd:""`

	Common
}

type failCmd struct {
	How  string `arg:""`
	JSON bool   `name:"json"`
}

func (c *failCmd) Run(ctx context.Context) error {
	switch c.How {
	case "plain":
		return errors.New("a < b")
	case "inside":
		return &license.Error{Code: license.CodeInternal, Message: "something went wrong", Fix: "try again", Details: map[string]any{"requestId": "R1"}}
	case "program":
		return ExitStatus(7)
	case "interrupted":
		return ctx.Err()
	}
	if c.How == "foreign" {
		return &license.Error{Code: "A\x1b[2J", Message: "\x1b[31mred", Fix: "\a"}
	}
	return fmt.Errorf("not shown: %w", license.Errorf(license.CodeConflict, "wait", "it is\ntaken"))
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

// An error is a line on the standard error, with --json one of JSON; the exit
// status tells usage errors and interruptions from others.
func TestErrors(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		args   string
		ctx    context.Context //nolint:containedctx // of a case
		status int
		says   string
	}{
		{"fail taken", t.Context(), ExitFailure, "quorate: it is taken: wait [CONFLICT]\n"},
		{"fail taken --json", t.Context(), ExitFailure, `{"error":{"code":"CONFLICT","message":"it is\ntaken","fix":"wait"}}` + "\n"},
		{"fail inside", t.Context(), ExitFailure, "quorate: something went wrong: try again [INTERNAL] (request R1)\n"},
		{"fail inside --json", t.Context(), ExitFailure, `{"error":{"code":"INTERNAL","message":"something went wrong","fix":"try again","details":{"requestId":"R1"}}}` + "\n"},
		{"fail foreign", t.Context(), ExitFailure, "quorate: \ufffd[31mred: \ufffd [A\ufffd[2J]\n"},
		{"fail plain", t.Context(), ExitFailure, "quorate: a < b\n"},
		{"fail plain --json", t.Context(), ExitFailure, `{"error":{"code":"INTERNAL","message":"a < b"}}` + "\n"},
		{"fail program --json", t.Context(), 7, ""},
		{"fail program", ended, 7, ""},
		{"fail interrupted", ended, ExitInterrupted, "quorate: context canceled\n"},
		{"fail --json", t.Context(), ExitUsage, `{"error":{"code":"INVALID_INPUT","message":"expected \"<how>\"","fix":"see quorate fail --help"}}` + "\n"},
		{"fail EMPTY", t.Context(), ExitUsage, "quorate: <how> is empty (see quorate fail --help)\n"},
		{"fail -- a b --json", t.Context(), ExitUsage, "quorate: unexpected argument b (see quorate fail --help)\n"},
	} {
		var out, errs bytes.Buffer
		args := strings.Fields(strings.TrimSuffix(c.args, "EMPTY"))
		if strings.HasSuffix(c.args, "EMPTY") {
			args = append(args, "")
		}
		status := Run(c.ctx, &testTree{}, "test", args, Streams{Out: &out, Err: &errs}, nil)
		if status != c.status || errs.String() != c.says || out.Len() > 0 {
			t.Errorf("%s: %d %s%s", c.args, status, errs.String(), out.String())
		}
	}
}
