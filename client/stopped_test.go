//go:build unix

package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
)

const stoppedEnv = "QUORATE_TEST_STOPPED"

// told is what a program says of its license.
type told struct {
	Handle string
	Dead   bool        // its Done is closed, or Err tells why
	Err    client.Code // of the handle
	Says   string
	Key    client.Code // of a call
}

// stoppedProgram takes a license and says for each line that it reads how it is.
func stoppedProgram(server string) error {
	c, err := client.Open(context.Background(), client.Config{Servers: []string{server}, Station: "stopped", Attempt: time.Second})
	if err != nil {
		return err
	}
	defer c.Close()
	h, err := c.Access(context.Background(), product)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for {
		t := told{Handle: h.Info().ID}
		_, err := h.OpenKey(context.Background(), servertest.Wrap([]byte("k")))
		t.Key, t.Err, t.Dead = client.CodeOf(err), client.CodeOf(h.Err()), h.Err() != nil
		if h.Err() != nil {
			t.Says = h.Err().Error()
		}
		line, _ := json.Marshal(t)
		fmt.Printf("told %s\n", line)
		if !lines.Scan() {
			return nil
		}
	}
}

// A program that is stopped for longer than its lease has lost its license when
// it goes on, and says so at its first call: meanwhile somebody else has it.
func TestStoppedProgramLosesItsLicense(t *testing.T) {
	if server := os.Getenv(stoppedEnv); server != "" {
		if err := stoppedProgram(server); err != nil {
			t.Fatal(err)
		}
		return
	}
	const life = 3 * time.Second
	server := startReal(t, 1, life)
	cmd := exec.Command(os.Args[0], "-test.run=^TestStoppedProgramLosesItsLicense$", "-test.v")
	cmd.Env = append(os.Environ(), stoppedEnv+"="+server.url)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	says := func() (s told) {
		t.Helper()
		for lines.Scan() {
			if line, ok := strings.CutPrefix(lines.Text(), "told "); ok {
				if err := json.Unmarshal([]byte(line), &s); err != nil {
					t.Fatal(err)
				}
				return s
			}
		}
		t.Fatal("the program has ended")
		return s
	}
	ask := func() {
		t.Helper()
		if _, err := fmt.Fprintln(in); err != nil {
			t.Fatal(err)
		}
	}
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := says(); s.Dead || s.Key != "" {
		t.Fatalf("%+v", s)
	}
	// Stopped for a moment it goes on.
	signal(syscall.SIGSTOP)
	ask()
	signal(syscall.SIGCONT)
	first := says()
	if first.Dead || first.Key != "" {
		t.Fatalf("%+v", first)
	}
	signal(syscall.SIGSTOP)
	stopped := time.Now()
	other, err := client.Open(t.Context(), client.Config{Servers: []string{server.url}, Station: "other"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	h, err := other.Access(t.Context(), product, client.WithWait(time.Minute, nil))
	if err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(stopped); waited < life/2 {
		t.Errorf("its license was given away after %s of a lease of %s", waited, life)
	}
	ask()
	signal(syscall.SIGCONT)
	s := says()
	if !s.Dead || s.Err != client.CodeHandleExpired || s.Key != client.CodeHandleExpired || !strings.Contains(s.Says, "could not be renewed in time") {
		t.Errorf("after it was stopped: %+v", s)
	}
	// It stays lost, and who has the license now keeps it.
	ask()
	if s := says(); s.Err != client.CodeHandleExpired || s.Key != client.CodeHandleExpired {
		t.Errorf("later: %+v", s)
	}
	if list := server.handles(t); len(list) != 1 || list[0].Handle != h.Info().ID || h.Err() != nil {
		t.Errorf("%+v, %v", list, h.Err())
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}
