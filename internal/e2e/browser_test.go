package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A person's way through the main job: signs in, orders, presses the button,
// and reads the seven stages off the page, while the programs go on.
func TestJobInTheBrowser(t *testing.T) {
	p, a := startDemo(t, t.TempDir())
	others := newPrograms(t, p.ready["licenseServer"])
	others.take(4)

	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.Command(filepath.Join(root, ".ci", "node")).Output()
	if err != nil {
		t.Fatalf("no Node: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	args := []string{"e2e/job.ts", p.ready["url"], p.ready["email"], p.ready["password"]}
	if dir := os.Getenv("QUORATE_SCREENSHOTS"); dir != "" {
		args = append(args, dir)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(strings.TrimSpace(string(node)), "node"), args...)
	cmd.Dir = filepath.Join(root, "frontend")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("the browser: %v\n%s%s", err, errs.String(), p.output())
	}
	var seen struct {
		Stages      []string
		Allocations string
		Problems    []string
	}
	if err := json.Unmarshal(out.Bytes(), &seen); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	var want []string
	for _, s := range stages() {
		want = append(want, fmt.Sprintf("%s | %s | %d", strings.Join(s.Cells[:], " | "), s.Status, s.Quantity))
	}
	if !slices.Equal(seen.Stages, want) {
		t.Errorf("the page showed\n%s", strings.Join(seen.Stages, "\n"))
	}
	if seen.Allocations != "16" {
		t.Errorf("the page shows %s allocations, want 12 of the samples and 4 of ours", seen.Allocations)
	}
	if len(seen.Problems) > 0 {
		t.Errorf("the page complained: %v", seen.Problems)
	}
	others.wantAlive()
	if g := a.group(t); g.Quantity != 30 || g.Health != "FULLY_REDUNDANT" {
		t.Errorf("the group is %+v", g)
	}
}
