// Schemadiff says in which ways the API would break its clients: it compares
// graph/schema with the API of the last release, docs/schema/released.graphqls.
//
//	go run ./internal/tools/schemadiff             check
//	go run ./internal/tools/schemadiff -release    the present API is the released one
//
// A deliberate break is accepted by a line of docs/schema/accepted.txt: what this
// program says, then " # " and the reason. A release empties that file.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"

	"github.com/quorate/quorate/graph/schema"
)

func main() {
	release := flag.Bool("release", false, "write the present API down as the released one")
	folder := flag.String("folder", "docs/schema", "where the released API is")
	flag.Parse()
	if err := run(*folder, *release, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "schemadiff:", err)
		os.Exit(1)
	}
}

const acceptedHead = `# Breaks of the API since the last release that are meant: what schemadiff says, then " # " and the reason.
`

func run(folder string, release bool, out io.Writer) error {
	now, err := schema.Load()
	if err != nil {
		return err
	}
	released, accepted := filepath.Join(folder, "released.graphqls"), filepath.Join(folder, "accepted.txt")
	if release {
		var b bytes.Buffer
		formatter.NewFormatter(&b, formatter.WithoutDescription()).FormatSchema(now)
		if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // G301: of the repository
			return err
		}
		if err := os.WriteFile(released, b.Bytes(), 0o644); err != nil { //nolint:gosec // G306: of the repository
			return err
		}
		return os.WriteFile(accepted, []byte(acceptedHead), 0o644) //nolint:gosec // G306: of the repository
	}
	text, err := os.ReadFile(released)
	if err != nil {
		return err
	}
	before, err := gqlparser.LoadSchema(&ast.Source{Name: released, Input: string(text)})
	if err != nil {
		return err
	}
	meant, err := os.ReadFile(accepted)
	if err != nil {
		return err
	}
	left, err := judge(breaks(before, now), string(meant))
	if err != nil {
		return err
	}
	for _, b := range left {
		fmt.Fprintln(out, b)
	}
	if len(left) > 0 {
		return fmt.Errorf("%d changes break clients of the released API: undo them, or accept them in %s with their reasons", len(left), accepted)
	}
	return nil
}

// judge leaves out what was accepted. What was accepted and is no break is an
// error, so that the file stays true.
func judge(found []string, accepted string) (left []string, err error) {
	meant := map[string]bool{}
	for line := range strings.Lines(accepted) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		what, why, ok := strings.Cut(line, " # ")
		if !ok || strings.TrimSpace(why) == "" {
			return nil, fmt.Errorf("%q has no reason", line)
		}
		meant[strings.TrimSpace(what)] = true
	}
	for _, b := range found {
		if !meant[b] {
			left = append(left, b)
		}
		delete(meant, b)
	}
	for what := range meant {
		return nil, fmt.Errorf("%q is accepted, and is no break: remove the line", what)
	}
	return left, nil
}

// breaks are the changes by which a request that was right would fail, or an
// answer would be one that a client doesn't expect.
func breaks(before, now *ast.Schema) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for name, old := range before.Types {
		if old.BuiltIn || strings.HasPrefix(name, "__") {
			continue
		}
		d := now.Types[name]
		switch {
		case d == nil:
			say("%s is gone", name)
			continue
		case d.Kind != old.Kind:
			say("%s is %s instead of %s", name, d.Kind, old.Kind)
			continue
		}
		for _, i := range old.Interfaces {
			if !slices.Contains(d.Interfaces, i) {
				say("%s is no %s any more", name, i)
			}
		}
		for _, t := range old.Types {
			if !slices.Contains(d.Types, t) {
				say("%s is never %s any more", name, t)
			}
		}
		for _, v := range old.EnumValues {
			if d.EnumValues.ForName(v.Name) == nil {
				say("%s.%s is gone", name, v.Name)
			}
		}
		fields(old, d, say)
	}
	for name, d := range now.Directives {
		if old := before.Directives[name]; old != nil {
			arguments("@"+name, old.Arguments, d.Arguments, say)
		}
	}
	slices.Sort(all)
	return all
}

func fields(old, d *ast.Definition, say func(string, ...any)) {
	for _, was := range old.Fields {
		if strings.HasPrefix(was.Name, "__") {
			continue
		}
		at, is := old.Name+"."+was.Name, d.Fields.ForName(was.Name)
		switch {
		case is == nil:
			say("%s is gone", at)
			continue
		case d.Kind == ast.InputObject && !takes(was.Type, is.Type, is.DefaultValue != nil), d.Kind != ast.InputObject && !gives(was.Type, is.Type):
			say("%s is %s instead of %s", at, is.Type, was.Type)
		case d.Kind == ast.InputObject && defaultOf(was.DefaultValue) != defaultOf(is.DefaultValue):
			say("%s is %s by default instead of %s", at, defaultOf(is.DefaultValue), defaultOf(was.DefaultValue))
		}
		arguments(at, was.Arguments, is.Arguments, say)
	}
	if d.Kind != ast.InputObject {
		return
	}
	for _, is := range d.Fields {
		if old.Fields.ForName(is.Name) == nil && is.Type.NonNull && is.DefaultValue == nil {
			say("%s.%s is required", old.Name, is.Name)
		}
	}
}

func arguments(at string, old, now ast.ArgumentDefinitionList, say func(string, ...any)) {
	for _, was := range old {
		is := now.ForName(was.Name)
		switch {
		case is == nil:
			say("%s(%s) is gone", at, was.Name)
		case !takes(was.Type, is.Type, is.DefaultValue != nil):
			say("%s(%s) is %s instead of %s", at, was.Name, is.Type, was.Type)
		case defaultOf(was.DefaultValue) != defaultOf(is.DefaultValue):
			say("%s(%s) is %s by default instead of %s", at, was.Name, defaultOf(is.DefaultValue), defaultOf(was.DefaultValue))
		}
	}
	for _, is := range now {
		if old.ForName(is.Name) == nil && is.Type.NonNull && is.DefaultValue == nil {
			say("%s(%s) is required", at, is.Name)
		}
	}
}

func defaultOf(v *ast.Value) string {
	if v == nil {
		return "nothing"
	}
	return v.String()
}

// gives: whoever expects an answer of the one type can read the other.
func gives(was, is *ast.Type) bool {
	if was.NonNull && !is.NonNull || (was.Elem == nil) != (is.Elem == nil) || was.NamedType != is.NamedType {
		return false
	}
	return was.Elem == nil || gives(was.Elem, is.Elem)
}

// takes: whatever was given for the one type may be given for the other; what has
// a default may be left out.
func takes(was, is *ast.Type, byDefault bool) bool {
	if is.NonNull && !was.NonNull && !byDefault || (was.Elem == nil) != (is.Elem == nil) || was.NamedType != is.NamedType {
		return false
	}
	return was.Elem == nil || takes(was.Elem, is.Elem, false)
}
