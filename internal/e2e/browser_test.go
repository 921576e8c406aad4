package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// browse signs a browser in at the demo, lets it run a script of frontend/e2e,
// and gives what that prints.
func browse(t *testing.T, p *process, script string, more ...string) []byte {
	t.Helper()
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
	args := append([]string{"e2e/" + script, p.ready["url"], p.ready["email"], p.ready["password"]}, more...)
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
	return out.Bytes()
}

// A person's way through the main job: signs in, orders, presses the button,
// and reads the seven stages off the page, then makes rules that deny one of the
// users, while the programs go on.
func TestJobInTheBrowser(t *testing.T) {
	p, a := startDemo(t, t.TempDir())
	others := newPrograms(t, p.ready["licenseServer"])
	others.take(4)

	out := browse(t, p, "job.ts")
	var seen struct {
		Stages      []string
		Allocations string
		Mistake     string
		Refused     string
		Problems    []string
	}
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatalf("%v: %s", err, out)
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
	if want := `Line 2, column 1: "forbid" is not a kind of rule.`; !strings.HasPrefix(seen.Mistake, want) {
		t.Errorf("the mistake in the rules is %q, want %q", seen.Mistake, want)
	}
	// A row says who and what, then why.
	if who, why, _ := strings.Cut(seen.Refused, "Why: "); !strings.HasPrefix(who, "p.novak on ") || why != "deny user:p.novak (line 2)" {
		t.Errorf("rules would have refused %q", seen.Refused)
	}
	if len(seen.Problems) > 0 {
		t.Errorf("the page complained: %v", seen.Problems)
	}
	others.wantAlive()
	if g := a.group(t); g.Quantity != 30 || g.Health != "FULLY_REDUNDANT" {
		t.Errorf("the group is %+v", g)
	}
}

// A container outside of TMR groups, from its registration to a return, by
// files that the dashboard takes and gives and the program writes and applies.
func TestContainerInTheBrowser(t *testing.T) {
	t.Parallel()
	p, a := startDemo(t, t.TempDir())
	res, err := http.Get(a.url + "/root-key")
	if err != nil {
		t.Fatal(err)
	}
	root, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	must(t, "container", "create", filepath.Join(dir, "container.qrc"), "--serial", "130-77",
		"--root", strings.TrimSpace(string(root)), "--bind", "none")
	var seen struct {
		States   []string
		Held     string
		Problems []string
	}
	if err := json.Unmarshal(browse(t, p, "container.ts", binary, dir), &seen); err != nil {
		t.Fatal(err)
	}
	if want := []string{"UP_TO_DATE", "UPDATE_DUE", "AWAITING_RECEIPT", "UP_TO_DATE", "UPDATE_DUE"}; !slices.Equal(seen.States, want) {
		t.Errorf("the page showed %v", seen.States)
	}
	if seen.Held != "5" || len(seen.Problems) > 0 {
		t.Errorf("the page shows %q licenses, and complains: %v", seen.Held, seen.Problems)
	}
}

// Who belongs to an organization, from an owner's invitation on: the invited
// person joins, signs in with a second factor and makes a token; the owner
// changes roles, acts in the test environment and names an identity provider.
func TestPeopleInTheBrowser(t *testing.T) {
	t.Parallel()
	p, a := startDemo(t, t.TempDir())
	a.query(t, `mutation { createTestEnvironment(input: {}) { organization { id } } }`, nil, nil)
	var seen struct {
		Refused  string
		Recovery int
		Roles    []string
		Works    string
		Revoked  string
		Tokens   []string
		Issuer   string
		Problems []string
	}
	if err := json.Unmarshal(browse(t, p, "people.ts"), &seen); err != nil {
		t.Fatal(err)
	}
	if want := "The e-mail address or the password is wrong. Check both and try again."; seen.Refused != want {
		t.Errorf("a wrong password is refused with %q, want %q", seen.Refused, want)
	}
	if seen.Recovery != 10 {
		t.Errorf("there are %d recovery codes, want 10", seen.Recovery)
	}
	if want := []string{"Administrator", "Operator", "Viewer"}; !slices.Equal(seen.Roles, want) {
		t.Errorf("an administrator is offered tokens of %v, want %v", seen.Roles, want)
	}
	if seen.Works != "ci OPERATOR" || seen.Revoked != "UNAUTHENTICATED" {
		t.Errorf("the token is %q, and %q once revoked", seen.Works, seen.Revoked)
	}
	if want := []string{"ci", "demo"}; !slices.Equal(seen.Tokens, want) {
		t.Errorf("the organization has the tokens %v, want %v", seen.Tokens, want)
	}
	if !strings.HasPrefix(seen.Issuer, "The provider was not added") {
		t.Errorf("an issuer on the platform's own machine is refused with %q", seen.Issuer)
	}
	if len(seen.Problems) > 0 {
		t.Errorf("the pages complained: %v", seen.Problems)
	}
}
