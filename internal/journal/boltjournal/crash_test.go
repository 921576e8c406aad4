package boltjournal

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/journal/journaltest"
)

const crashEnv = "BOLTJOURNAL_CRASH"

// TestKilledProcess kills a process that writes, again and again on one file:
// what it had answered is there afterwards, and what was under way is whole.
func TestKilledProcess(t *testing.T) {
	if path := os.Getenv(crashEnv); path != "" {
		j, err := Open(path, own)
		if err == nil {
			err = journaltest.Victim(t.Context(), j, os.Stdout)
		}
		fmt.Println("failed:", err)
		return
	}
	path := filepath.Join(t.TempDir(), "journal")
	var told journaltest.Told
	for round := range 8 {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
		child.Env = append(os.Environ(), crashEnv+"="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if !told.Line(lines.Text()) {
				t.Fatalf("the process said: %s", lines.Text())
			}
			if n == 150+61*round {
				_ = child.Process.Kill() // what it said before is read on
			}
		}
		_ = child.Wait()
		j := open(t, path)
		if err := told.Check(t.Context(), j); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if told.Did < 400 {
		t.Errorf("%d steps were answered", told.Did)
	}
}
