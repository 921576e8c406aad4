//go:build unix

package clienttools

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// What a script has started ends with the license, and is waited for.
func TestScriptEndsWithItsLicense(t *testing.T) {
	l := newProtectLab(t)
	script := l.write("start.sh", `#!/bin/sh
sh -c 'trap "sleep 0.2; echo saved; exit" TERM; echo "runs $$"; while :; do sleep 0.05; done' &
wait
`)
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	status, errs := make(chan int, 1), new(bytes.Buffer)
	go func() {
		status <- run(t.Context(), []string{"run", "--product", charts, "--", "sh", script}, cli.Streams{In: strings.NewReader(""), Out: w, Err: errs})
		_ = w.Close()
	}()
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "runs ") {
		t.Fatalf("%q, %v", line, err)
	}
	handles, err := l.handles()
	if err != nil || len(handles) != 1 {
		t.Fatalf("%v, %v", handles, err)
	}
	l.must("", "release", handles[0].ID, "--admin-token", "secret")
	if s := <-status; s != cli.ExitFailure || !strings.Contains(errs.String(), string(client.CodeHandleRemoved)) {
		t.Errorf("exit status %d, %s", s, errs)
	}
	// The pipe ends when the last of them has.
	rest := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(lines)
		rest <- string(b)
	}()
	select {
	case s := <-rest:
		if s != "saved\n" {
			t.Errorf("the program ended with %q", s)
		}
	case <-time.After(5 * time.Second):
		t.Error("the program runs on without a license")
	}
}

func TestExitStatusIsPassedOn(t *testing.T) {
	l := newProtectLab(t)
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -KILL $$": 128 + 9} {
		if _, errs, status := l.quorate("", "run", "--product", charts, "--", "sh", "-c", script); status != want {
			t.Errorf("%s: exit status %d, %s", script, status, errs)
		}
	}
}

// TestAsQuorate is the command in a process of its own.
func TestAsQuorate(t *testing.T) {
	if os.Getenv("QUORATE_TEST_RUN") == "" {
		t.Skip("for other tests")
	}
	os.Exit(run(context.Background(), []string{"run", "--product", charts, "--", "sh", os.Getenv("QUORATE_TEST_RUN")},
		cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

func asQuorate(script string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestAsQuorate$")
	cmd.Env = append(os.Environ(), "QUORATE_TEST_RUN="+script)
	return cmd
}
