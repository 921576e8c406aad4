package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/testenv"
)

//nolint:gochecknoglobals // a flag
var write = flag.String("write", "", "write the next migration under this name")

// TestMigrationsAreTheSchema: from the files that are there, nothing leads on.
func TestMigrationsAreTheSchema(t *testing.T) {
	root := filepath.Join("..", "..", "..", "ent", "migrate", "migrations")
	if *write != "" {
		if err := run(t.Context(), root, *write, testenv.Postgres(t)); err != nil {
			t.Fatal(err)
		}
	}
	scratch := t.TempDir()
	if err := os.CopyFS(scratch, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	before := files(t, scratch)
	if err := run(t.Context(), scratch, "drift", testenv.Postgres(t)); err != nil {
		t.Fatal(err)
	}
	for name, content := range files(t, scratch) {
		if before[name] != content {
			t.Errorf("the schema has changed: run go test ./internal/tools/migrategen -write NAME\n%s:\n%s", name, content)
		}
	}
	if len(before) < 4 {
		t.Errorf("only %d files of migrations", len(before))
	}
}

func files(t *testing.T, root string) map[string]string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "*", "*.s[qu][lm]"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string, len(found))
	for _, name := range found {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(content)
	}
	return all
}
