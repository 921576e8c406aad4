package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const platformCore = module + "/internal/platform/core"

// TestTheSystemIsThePlatforms: who acts as the platform itself, past all
// capabilities, is in a service, which has checked its caller.
func TestTheSystemIsThePlatforms(t *testing.T) {
	root := filepath.Join("..", "..")
	inside := 0
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		found, err := systemUses(file, nil)
		if err != nil {
			return err
		}
		if strings.HasPrefix(filepath.ToSlash(file), "../../internal/platform/") {
			inside += len(found)
			return nil
		}
		for _, what := range found {
			t.Errorf("%s: %s is for internal/platform alone: call a use case", file, what)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if inside < 10 {
		t.Errorf("only %d uses were found in the platform itself", inside)
	}
}

// systemUses gives where a file, or its source, makes a system context or a Core.
func systemUses(file string, src any) (found []string, err error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, src, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	name := ""
	for _, spec := range f.Imports {
		if imported, _ := strconv.Unquote(spec.Path.Value); imported == platformCore {
			if name = "core"; spec.Name != nil {
				name = spec.Name.Name
			}
		}
	}
	switch name {
	case "":
		return nil, nil
	case ".":
		return []string{"import . of core"}, nil
	}
	if f, err = parser.ParseFile(set, file, src, parser.SkipObjectResolution); err != nil {
		return nil, err
	}
	is := func(n ast.Node, what string) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || s.Sel.Name != what {
			return false
		}
		x, ok := s.X.(*ast.Ident)
		return ok && x.Name == name
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if made, ok := n.(*ast.CompositeLit); ok && is(made.Type, "Core") {
			found = append(found, "core.Core{}")
		}
		if n != nil && is(n, "System") { // also as a value
			found = append(found, "core.System")
		}
		return true
	})
	return found, nil
}

// The check itself must be able to fail.
func TestSystemUsesAreFound(t *testing.T) {
	for src, want := range map[string]int{
		`import "` + platformCore + `"; func f() { core.System(nil, "x"); _ = &core.Core{} }`: 2,
		`import c "` + platformCore + `"; var f = c.System`:                                   1,
		`import . "` + platformCore + `"; var f = System`:                                     1,
		`import "` + platformCore + `"; var f core.Place`:                                     0,
		`import "x/core"; var f = core.System`:                                                0,
	} {
		if found, err := systemUses("x.go", "package x; "+src); err != nil || len(found) != want {
			t.Errorf("%s: %v, %v", src, found, err)
		}
	}
}
