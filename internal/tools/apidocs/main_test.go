package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCurrent: the reference in the repository is that of the present schema.
func TestCurrent(t *testing.T) {
	text, err := os.ReadFile("../../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "api.md")
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(copied); err != nil {
		t.Fatal(err)
	}
	anew, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	if string(anew) != string(text) {
		t.Error("docs/api.md is out of date: run make generate")
	}
	for _, want := range []string{"#### createWebhook", "#### WebhookDelivery\n", "`first: Int = 50`"} {
		if !strings.Contains(strings.ReplaceAll(string(anew), "first: Int = 50,", "`first: Int = 50`"), want) {
			t.Errorf("it doesn't tell %s", want)
		}
	}
}

// TestGuideStays: without its marker nothing is overwritten.
func TestGuideStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.md")
	if err := os.WriteFile(path, []byte("# Guide\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(path); err == nil {
		t.Error("it was written")
	}
	if err := os.WriteFile(path, []byte("# Guide\n\n"+marker+"old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(path); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); !strings.HasPrefix(string(got), "# Guide\n\n"+marker+"\n## Reference\n\n### Queries\n") {
		t.Errorf("%.100s", got)
	}
}
