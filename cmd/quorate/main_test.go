package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

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

// Every command's help shows how it is used, and every one that asks the platform
// writes JSON, goes where it is told, and keeps the token off plain http.
func TestEveryCommand(t *testing.T) {
	parser, err := kong.New(&tree{}, kong.Vars{"version": version})
	if err != nil {
		t.Fatal(err)
	}
	asking := 0
	for _, command := range parser.Model.Leaves(false) {
		path := []string{}
		for n := command; n != nil && n.Parent != nil; n = n.Parent {
			path = slices.Insert(path, 0, n.Name)
		}
		name := strings.Join(path, " ")
		if !strings.Contains(command.Detail, "Example") || !strings.Contains(command.Detail, "quorate "+path[0]) {
			t.Errorf("quorate %s --help has no example:\n%s", name, command.Detail)
		}
		flags := map[string]bool{}
		for _, group := range command.AllFlags(false) {
			for _, f := range group {
				flags[f.Name] = true
			}
		}
		if !flags["url"] {
			continue
		}
		asking++
		for _, f := range []string{"token", "insecure", "json"} {
			if !flags[f] {
				t.Errorf("quorate %s has no --%s", name, f)
			}
		}
	}
	if asking < 50 {
		t.Errorf("%d commands ask the platform", asking)
	}
}
