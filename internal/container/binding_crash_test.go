package container

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/license"
)

const crashRebind = "QUORATE_TEST_CRASH_REBIND"

// generation is a machine whose network card has been replaced n times.
func generation(n int) Option { return machine("a", "b", "c"+strconv.Itoa(n)) }

// without is the same machine when its system was installed anew: it opens only
// what knows its network card.
func without(n int) Option { return machine("x", "b", "c"+strconv.Itoa(n)) }

// rebindUntilKilled replaces the network card again and again.
func rebindUntilKilled(path string) error {
	for n := 1; ; n++ {
		c, err := Open(path, generation(n))
		if err != nil {
			return err
		}
		if n == 1 {
			fmt.Println("ready")
		}
		fmt.Println("bound", n)
		if err := c.Close(); err != nil {
			return err
		}
	}
}

// TestKilledWhileRebinding kills a process with SIGKILL while it binds a
// container anew: it always opens, bound to what the process told of or to what
// it was at.
func TestKilledWhileRebinding(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	path, want := boundFile(t)
	self, err := os.Executable()
	ok(t, err)
	midway := 0
	for range rounds {
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^$")
		cmd.Env = append(os.Environ(), crashRebind+"="+path)
		out, err := cmd.StdoutPipe()
		ok(t, err)
		ok(t, cmd.Start())
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "ready" {
			t.Fatalf("the process says %q", lines.Text())
		}
		timer := time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { _ = cmd.Process.Kill() }) //nolint:gosec // G404: not a secret
		last := 0
		for lines.Scan() {
			number, fine := strings.CutPrefix(lines.Text(), "bound ")
			if !fine {
				t.Fatalf("the process says %q", lines.Text())
			}
			last, err = strconv.Atoi(number)
			ok(t, err)
		}
		timer.Stop()
		_ = cmd.Wait()
		good := read(t, path)
		c, err := Open(path, without(last))
		if err != nil {
			midway++
			ok(t, os.WriteFile(path, good, 0o600))
			c, err = Open(path, without(last+1))
		}
		ok(t, err)
		if content(c) != want {
			t.Fatal("it opened with other content")
		}
		ok(t, c.Close())
		ok(t, os.WriteFile(path, good, 0o600))
	}
	t.Logf("%d rounds, %d killed between the writing and the telling", rounds, midway)
}

var errStop = errors.New("the process was killed")

// TestBetweenTheWritesOfARebind: what a process leaves that is killed before,
// between and after the two commits of a rebind.
func TestBetweenTheWritesOfARebind(t *testing.T) {
	path, want := boundFile(t)
	good := read(t, path)
	for commits := range 3 {
		ok(t, os.WriteFile(path, good, 0o600))
		o := optionsOf([]Option{generation(1)})
		c, err := open(path, o)
		ok(t, err)
		sound, done := c.update, 0
		c.update = func(f func(*bolt.Tx) error) error {
			if done == commits {
				return errStop
			}
			done++
			return sound(f)
		}
		err = c.rebind(o)
		if commits == 0 {
			code(t, err, license.CodeUnavailable)
		} else {
			ok(t, err)
		}
		left := read(t, path)
		ok(t, c.Close())
		// As it was left, and with either of the meta pages damaged: two traits
		// that it knew before open it in any case, the new one as soon as it counts.
		for page := range 3 {
			b := bytes.Clone(left)
			if page < 2 {
				b[page*os.Getpagesize()+pageHeader+20] ^= 1
			}
			if err := openBytes(t, b, want, generation(1)); err != nil {
				t.Fatalf("after %d commits, page %d damaged: %v", commits, page, err)
			}
			unknown := filepath.Join(t.TempDir(), "container")
			ok(t, os.WriteFile(unknown, b, 0o600))
			c, err := Open(unknown, without(1))
			// One commit counts as long as its meta page does.
			if either := commits == 1 && page < 2; !either && (err == nil) != (commits > 0) {
				t.Fatalf("after %d commits, page %d damaged: opening with the new trait gives %v", commits, page, err)
			}
			if err == nil {
				ok(t, c.Close())
			} else {
				code(t, err, license.CodeContainerForeign)
			}
		}
	}
}

// TestRebindNotWritten: Open fails when it can't write what it must, and a later
// one succeeds.
func TestRebindNotWritten(t *testing.T) {
	path, want := boundFile(t)
	o := optionsOf([]Option{generation(1)})
	c, err := open(path, o)
	ok(t, err)
	c.update = func(func(*bolt.Tx) error) error { return errDisk }
	code(t, c.rebind(o), license.CodeUnavailable)
	if c.Rebound() != nil {
		t.Fatal("it tells of a rebind that failed")
	}
	ok(t, c.Close())
	c, err = Open(path, generation(1))
	ok(t, err)
	if content(c) != want || len(c.Rebound()) != 1 {
		t.Fatal("it opened with other content")
	}
	ok(t, c.Close())
}

// TestFlippedBytesOfBoundContainer: a damaged file of this machine is never
// taken for another machine's.
func TestFlippedBytesOfBoundContainer(t *testing.T) {
	path, want := boundFile(t)
	flipBytes(t, path, want, 3, machine("a", "b", "c"))
}
