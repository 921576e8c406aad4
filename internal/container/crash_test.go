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
	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

const (
	crashContainer = "QUORATE_TEST_CRASH_CONTAINER"
	crashUpdates   = "QUORATE_TEST_CRASH_UPDATES"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashRebind); path != "" {
		fmt.Println("failed:", rebindUntilKilled(path))
		os.Exit(1)
	}
	if path := os.Getenv(crashNotes); path != "" {
		fmt.Println("failed:", noteUntilKilled(path, os.Getenv(crashRoot)))
		os.Exit(1)
	}
	if path := os.Getenv(crashContainer); path != "" {
		if err := activateUntilKilled(path, os.Getenv(crashUpdates)); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// activateUntilKilled installs the updates of a folder from the first that is
// missing on, and writes the number of each receipt that it got.
func activateUntilKilled(path, updates string) error {
	c, err := Open(path)
	if err != nil {
		return err
	}
	version, _ := c.Licenses()
	fmt.Println("ready")
	for n := version + 1; ; n++ {
		update, err := os.ReadFile(filepath.Join(updates, strconv.FormatUint(n, 10)))
		if errors.Is(err, os.ErrNotExist) {
			return c.Close()
		}
		if err != nil {
			return err
		}
		s, err := c.Stage(update)
		if err != nil {
			return err
		}
		fmt.Println("staged", n)
		if _, err := c.Activate(s.Digest, nil); err != nil {
			return err
		}
		fmt.Println("receipt", n)
	}
}

// TestKilled kills a process with SIGKILL while it activates, again and again:
// the container always opens, with the old license or the new one, never behind
// a receipt that was given, and gives that receipt again.
func TestKilled(t *testing.T) {
	const updates = 4000
	rounds := 30
	if testing.Short() {
		rounds = 8
	}
	v := newVendor(t)
	dir := t.TempDir()
	path, folder := filepath.Join(dir, "container"), filepath.Join(dir, "updates")
	ok(t, os.Mkdir(folder, 0o700))
	c, to := v.create(t, path, 1)
	ok(t, c.Close())
	// Updates are made ahead only as far as the process could come.
	made := uint64(0)
	issue := func(upTo uint64) {
		for ; made < upTo && made < updates; made++ {
			b := v.next(t, to, v.plain(uint32(made+1))) //nolint:gosec // G115: small
			ok(t, os.WriteFile(filepath.Join(folder, strconv.FormatUint(made+1, 10)), b, 0o600))
		}
	}
	at, midway, atOnce := uint64(0), 0, 0
	for range rounds {
		issue(at + 60)
		staged, receipt := killMidway(t, path, folder)
		receipt = max(receipt, at)
		c, err := Open(path)
		ok(t, err)
		version, held := c.Licenses()
		if version < receipt || version > max(staged, receipt) {
			t.Fatalf("update %d is installed; %d were staged, and receipts given up to %d", version, staged, receipt)
		}
		if version == 0 {
			if len(held) != 0 {
				t.Fatal("there is a license before the first update")
			}
		} else {
			if len(held) != 1 || uint64(held[0].Options.Quantity) != version {
				t.Fatalf("update %d is installed, and the licenses are %+v", version, held)
			}
			update, err := os.ReadFile(filepath.Join(folder, strconv.FormatUint(version, 10)))
			ok(t, err)
			first, err := c.Activate(seal.Digest(update), nil)
			ok(t, err)
			s, err := c.Stage(update)
			ok(t, err)
			r, err := seal.OpenReceipt(first, to.identity.Sign)
			ok(t, err)
			if !s.Installed || !bytes.Equal(s.Receipt, first) || r.Number != version || r.Update != seal.Digest(update) {
				t.Fatalf("the receipt of update %d is not repeatable", version)
			}
		}
		if staged > receipt {
			midway++
			if version == staged {
				atOnce++
			}
		}
		at = version
		ok(t, c.Close())
	}
	t.Logf("%d rounds up to update %d: %d killed between staging and receipt, %d of these with the new license", rounds, at, midway, atOnce)
	if midway == 0 && !testing.Short() {
		t.Fatal("no kill came while an update was activated")
	}
}

// killMidway runs the process and kills it after a random time.
func killMidway(t *testing.T, path, updates string) (staged, receipt uint64) {
	t.Helper()
	self, err := os.Executable()
	ok(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^$")
	cmd.Env = append(os.Environ(), crashContainer+"="+path, crashUpdates+"="+updates)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the process says %q", lines.Text())
	}
	timer := time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { _ = cmd.Process.Kill() }) //nolint:gosec // G404: not a secret
	defer timer.Stop()
	for lines.Scan() {
		what, number, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseUint(number, 10, 64)
		ok(t, err)
		switch what {
		case "staged":
			staged = n
		case "receipt":
			receipt = n
		default:
			t.Fatalf("the process says %q", lines.Text())
		}
	}
	_ = cmd.Wait()
	return staged, receipt
}

var errDisk = errors.New("the disk is full")

// TestFailedCommit makes commits fail, before and after they reach the disk: the
// container gives no receipt, takes no more changes, and opens again with the
// old or the new.
func TestFailedCommit(t *testing.T) {
	for name, persisted := range map[string]bool{"failed": false, "failed but persisted": true} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t)
			path := filepath.Join(t.TempDir(), "container")
			c, to := v.create(t, path, 1)
			install(t, c, v.next(t, to, v.plain(20)))
			update := v.next(t, to, v.plain(30))
			s, err := c.Stage(update)
			ok(t, err)
			sound := c.update
			c.update = func(f func(*bolt.Tx) error) error {
				if persisted {
					return errors.Join(sound(f), errDisk)
				}
				return sound(func(tx *bolt.Tx) error { return errors.Join(f(tx), errDisk) })
			}
			_, err = c.Activate(s.Digest, nil)
			code(t, err, license.CodeUnavailable)
			if quantity(c) != 20 {
				t.Fatal("a license counts that may not be on disk")
			}
			c.update = sound
			_, err = c.Activate(s.Digest, nil)
			if !persisted {
				code(t, err, license.CodeUnavailable)
			}
			_, err = c.Stage(v.next(t, to, v.plain(40)))
			if err == nil {
				t.Fatal("it takes changes after a failed commit")
			}
			ok(t, c.Close())

			c, err = Open(path)
			ok(t, err)
			defer func() { ok(t, c.Close()) }()
			want := uint32(20)
			if persisted {
				want = 30
			}
			if quantity(c) != want {
				t.Fatalf("quantity is %d, want %d", quantity(c), want)
			}
			install(t, c, update)
			if quantity(c) != 30 {
				t.Fatalf("quantity is %d", quantity(c))
			}
		})
	}
}

// TestFailedTwin: the change counts when its own commit held and only the second
// one failed.
func TestFailedTwin(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	s, err := c.Stage(v.next(t, to, v.plain(20)))
	ok(t, err)
	sound, calls := c.update, 0
	c.update = func(f func(*bolt.Tx) error) error {
		if calls++; calls > 1 {
			return errDisk
		}
		return sound(f)
	}
	_, err = c.Activate(s.Digest, nil)
	ok(t, err)
	c.update = sound
	if quantity(c) != 20 {
		t.Fatalf("quantity is %d", quantity(c))
	}
	_, err = c.Stage(v.next(t, to, v.plain(30)))
	code(t, err, license.CodeUnavailable)
}

// TestRules runs any sequence of staging, activating and crashing against a
// model of one number.
func TestRules(t *testing.T) {
	v := newVendor(t)
	dir := t.TempDir()
	serial := uint64(0)
	rapid.Check(t, func(rt *rapid.T) {
		serial++
		path := filepath.Join(dir, strconv.FormatUint(serial, 10))
		c, to := v.create(t, path, serial)
		defer func() { _ = c.Close() }()
		c.db.NoSync = true // what a process leaves behind needs no disk
		m := &model{receipts: map[uint64][]byte{}, digests: map[uint64][32]byte{}}
		issue := func(number uint64, previous [32]byte) []byte {
			m.issued++
			return v.seal(t, *to, number, previous, v.plain(m.issued))
		}
		stage := func(rt *rapid.T, b []byte, number uint64, want license.Code) {
			s, err := c.Stage(b)
			if license.CodeOf(err) != want {
				rt.Fatalf("staging number %d on %d: %v, want %s", number, m.number, err, want)
			}
			if err == nil && !s.Installed {
				m.staged, m.stagedQuantity = s.Digest, m.issued
			}
		}
		var last []byte // the installed update
		rt.Repeat(map[string]func(*rapid.T){
			"stage next": func(rt *rapid.T) {
				last2 := issue(m.number+1, m.digests[m.number])
				stage(rt, last2, m.number+1, "")
				m.stagedBytes = last2
			},
			"stage on a fork": func(rt *rapid.T) {
				if m.number > 0 {
					stage(rt, issue(m.number+1, [32]byte{1}), m.number+1, license.CodeUpdateConflict)
				}
			},
			"stage a gap": func(rt *rapid.T) {
				stage(rt, issue(m.number+2, [32]byte{1}), m.number+2, license.CodeUpdateGap)
			},
			"stage another of the same number": func(rt *rapid.T) {
				if m.number > 0 {
					stage(rt, issue(m.number, m.digests[m.number-1]), m.number, license.CodeUpdateConflict)
				}
			},
			"stage an older number": func(rt *rapid.T) {
				if m.number > 1 {
					stage(rt, issue(m.number-1, m.digests[m.number-2]), m.number-1, license.CodeUpdateReplayed)
				}
			},
			"stage the installed": func(rt *rapid.T) {
				if m.number > 0 {
					s, err := c.Stage(last)
					if err != nil || !s.Installed || !bytes.Equal(s.Receipt, m.receipts[m.number]) {
						rt.Fatalf("staging the installed update: %+v, %v", s, err)
					}
				}
			},
			"activate": func(rt *rapid.T) {
				r, err := c.Activate(m.staged, nil)
				if m.staged == [32]byte{} {
					if license.CodeOf(err) != license.CodeUpdateNotStaged {
						rt.Fatalf("activating nothing: %v", err)
					}
					return
				}
				if err != nil {
					rt.Fatal(err)
				}
				if r0, done := m.receipts[m.number]; done && m.staged == m.digests[m.number] {
					if !bytes.Equal(r, r0) {
						rt.Fatal("another receipt for the same update")
					}
					return
				}
				m.number++
				m.digests[m.number], m.receipts[m.number], m.quantity, last = m.staged, r, m.stagedQuantity, m.stagedBytes
			},
			"activate something else": func(rt *rapid.T) {
				if _, err := c.Activate([32]byte{1, 2, 3}, nil); license.CodeOf(err) != license.CodeUpdateNotStaged {
					rt.Fatal(err)
				}
			},
			"crash": func(rt *rapid.T) {
				// What is in the file now is what a killed process leaves.
				b, err := os.ReadFile(path)
				if err != nil {
					rt.Fatal(err)
				}
				_ = c.Close()
				if err := os.WriteFile(path, b, 0o600); err != nil {
					rt.Fatal(err)
				}
				if c, err = Open(path); err != nil {
					rt.Fatal(err)
				}
				c.db.NoSync = true
			},
			"": func(rt *rapid.T) {
				version, held := c.Licenses()
				if version != m.number || quantity(c) != m.quantity || (len(held) == 0) != (m.number == 0) {
					rt.Fatalf("version %d with %+v, want %d with quantity %d", version, held, m.number, m.quantity)
				}
				b, err := c.Fingerprint(nil)
				if err != nil {
					rt.Fatal(err)
				}
				f, err := seal.OpenFingerprint(b)
				if err != nil {
					rt.Fatal(err)
				}
				if m.number == 0 {
					if len(f.Firms) != 0 {
						rt.Fatalf("firms are %+v", f.Firms)
					}
				} else if f.Firms[0].Counter != m.number || f.Firms[0].Digest != m.digests[m.number] {
					rt.Fatalf("firms are %+v", f.Firms)
				}
			},
		})
	})
}

type model struct {
	issued         uint32
	number         uint64
	quantity       uint32
	digests        map[uint64][32]byte
	receipts       map[uint64][]byte
	staged         [32]byte
	stagedQuantity uint32
	stagedBytes    []byte
}
