package container

import (
	"bufio"
	"encoding/hex"
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
	"github.com/quorate/quorate/internal/seal"
)

const (
	crashNotes = "QUORATE_TEST_CRASH_NOTES"
	crashRoot  = "QUORATE_TEST_CRASH_ROOT"
)

var (
	plainUnits = license.Product{Firm: firm, Code: 20}
	emergency  = license.ProductCode(1000) // and those that follow
)

const emergencies = 300

// noted are counters of everything that a container notes, each going up.
func noted(c *Container) map[string]uint64 {
	s := c.current()
	n := map[string]uint64{
		"units": c.Use(plainUnits).Units, "meter": c.Use(chart).Units, "promise": s.promised,
		"certify": 0, "fingerprint": 0, "started": 0,
	}
	if !s.clock.certified.IsZero() {
		n["certify"] = uint64(s.clock.certified.UnixMilli()) //nolint:gosec // G115: positive
	}
	if len(s.trail) > 0 {
		n["fingerprint"] = s.trail[len(s.trail)-1].Count
	}
	for id, m := range s.meters {
		if id.product.Code >= emergency && !m.first.IsZero() {
			n["started"]++
		}
	}
	return n
}

// noteUntilKilled takes units, certifies the time and so on, and says before each
// what the counter will be, and after it that it is so.
func noteUntilKilled(path, root string) error {
	seed, err := hex.DecodeString(root)
	if err != nil {
		return err
	}
	signer := seal.NewSigner(seed)
	c, err := Open(path)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	do := func(what string, to uint64, f func() error) error {
		fmt.Println("begin", what, to)
		if err := f(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		fmt.Println("done", what, to)
		return nil
	}
	for {
		n := noted(c)
		at := time.Now().Truncate(time.Millisecond)
		epoch := max(1, n["promise"])
		err := errors.Join(
			do("units", n["units"]+1, func() error { _, err := c.TakeUnits(plainUnits, request(int(n["units"])), 1); return err }),
			do("meter", n["meter"]+1, func() error { return c.WriteMeter(epoch, meterOf(0, n["meter"]+1)) }),
			do("promise", epoch+1, func() error { _, err := c.PromiseMeters(epoch + 1); return err }),
			do("certify", uint64(at.UnixMilli()), func() error { //nolint:gosec // G115: positive
				b, err := seal.SignTime(signer, seal.TimeCertificate{Serial: c.Serial(), Nonce: c.TimeNonce(), At: at})
				return errors.Join(err, c.Certify(b))
			}),
			do("fingerprint", n["fingerprint"]+1, func() error { _, err := c.Fingerprint(nil); return err }),
		)
		if n["started"] < emergencies {
			err = errors.Join(err, do("started", n["started"]+1, func() error {
				return c.Started(license.Product{Firm: firm, Code: emergency + license.ProductCode(n["started"])}) //nolint:gosec // G115: small
			}))
		}
		if err != nil {
			return err
		}
	}
}

// noting gives backend 0 of a group with a counted license, a counted TMR
// license, and emergency licenses.
func noting(t testing.TB, g *trio) *Container {
	t.Helper()
	group, units := g.group, uint64(license.MostUnits)
	p := seal.Payload{Group: &group, Set: []seal.Grant{g.grant(chart, 5, 7, nil), g.grant(plainUnits, 5, 0, nil)}}
	p.Set[0].License.Options.Units, p.Set[1].License.Options.Units = &units, &units
	for i := range emergencies {
		e := g.grant(license.Product{Firm: firm, Code: emergency + license.ProductCode(i)}, 1, 0, nil) //nolint:gosec // G115: small
		e.License.Options.UsagePeriod = time.Hour
		p.Set = append(p.Set, e)
	}
	install(t, g.c[0], g.next(t, g.to[0], p))
	return g.c[0]
}

// TestKilledNoting kills a process with SIGKILL while it takes units, certifies
// and so on, again and again: what it was told of as done is there, nothing
// happened twice, and what was under way is there or not at all.
func TestKilledNoting(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 6
	}
	seed, err := seal.NewSeed()
	ok(t, err)
	g := newTrioOf(t, seal.NewSigner(seed))
	c := noting(t, g)
	path := c.db.Path()
	want := noted(c)
	ok(t, c.Close())
	midway := map[string]int{}
	for range rounds {
		begun := killNoting(t, path, hex.EncodeToString(seed[:]), want)
		c, err = Open(path)
		ok(t, err)
		got := noted(c)
		for what, n := range got {
			under, half := begun[what]
			if n != want[what] && (!half || n != under) {
				t.Fatalf("%s is at %d, and was told to be at %d; under way: %v", what, n, want[what], begun)
			}
			if half {
				midway[what]++
			}
		}
		// The last taking is known by its id, whether or not it was answered.
		if n := got["units"]; n > 0 {
			left, err := c.TakeUnits(plainUnits, request(int(n-1)), 1)
			ok(t, err)
			if left != license.MostUnits-n {
				t.Fatalf("a repeat took again: %d left", left)
			}
		}
		if m := c.Moment(); m.At.Before(m.Certified) || m.SetBack {
			t.Fatalf("the time is %+v", m)
		}
		want = got
		ok(t, c.Close())
	}
	t.Logf("%d rounds up to %v; killed midway: %v", rounds, want, midway)
}

// killNoting runs the process, kills it after a random time, notes in done what
// was done, and gives what was under way.
func killNoting(t *testing.T, path, root string, done map[string]uint64) (begun map[string]uint64) {
	t.Helper()
	self, err := os.Executable()
	ok(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^$")
	cmd.Env = append(os.Environ(), crashNotes+"="+path, crashRoot+"="+root)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the process says %q", lines.Text())
	}
	timer := time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { _ = cmd.Process.Kill() }) //nolint:gosec // G404: not a secret
	defer timer.Stop()
	begun = map[string]uint64{}
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 3 {
			t.Fatalf("the process says %q", lines.Text())
		}
		n, err := strconv.ParseUint(f[2], 10, 64)
		ok(t, err)
		switch f[0] {
		case "begin":
			begun[f[1]] = n
		case "done":
			done[f[1]] = n
			delete(begun, f[1])
		default:
			t.Fatalf("the process says %q", lines.Text())
		}
	}
	_ = cmd.Wait()
	return begun
}

// TestFailedNote makes the commit of a taking fail, before and after it reaches
// the disk: nobody is told that it succeeded, and repeated after a restart it
// takes once.
func TestFailedNote(t *testing.T) {
	for name, persisted := range map[string]bool{"failed": false, "failed but persisted": true} {
		t.Run(name, func(t *testing.T) {
			k := newClocked(t)
			install(t, k.Container, k.next(t, k.to, k.units(10, 0)))
			takes(t, k.Container, request(1), 1, 9)
			nonce, at := k.TimeNonce(), k.shows()
			sound := k.update
			k.update = func(f func(*bolt.Tx) error) error {
				if persisted {
					return errors.Join(sound(f), errDisk)
				}
				return sound(func(tx *bolt.Tx) error { return errors.Join(f(tx), errDisk) })
			}
			_, err := k.TakeUnits(chart, request(2), 2)
			code(t, err, license.CodeUnavailable)
			k.update = sound
			if k.Use(chart).Units != 1 {
				t.Fatal("a taking counts that may not be on disk")
			}
			for _, err := range []error{
				k.Certify(k.certificate(t, nonce, at)), k.WriteMeter(1, meterOf(0, 1)),
				func() error { _, err := k.Fingerprint(nil); return err }(),
				func() error { _, err := k.PromiseMeters(1); return err }(),
				func() error { _, err := k.TakeUnits(chart, request(2), 2); return err }(),
			} {
				if err == nil {
					t.Fatal("it takes changes after a failed commit")
				}
			}
			k.reopen(t)
			takes(t, k.Container, request(2), 2, 7)
			takes(t, k.Container, request(1), 1, 7)
			if k.TimeNonce() != nonce {
				t.Fatal("the nonce is another one")
			}
		})
	}
}

// TestOlderFile: a file that an earlier version wrote opens, and gets what it
// lacks.
func TestOlderFile(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	c, to := v.create(t, path, 1)
	install(t, c, v.next(t, to, v.units(10, 0)))
	c = forget(t, c, path)
	if m := c.Moment(); time.Since(m.At) > time.Minute || m.SetBack || c.TimeNonce() == [16]byte{} || quantity(c) != 5 {
		t.Fatalf("the time is %+v", m)
	}
	takes(t, c, request(1), 1, 9)
	install(t, c, v.next(t, to, v.units(20, 0)))
	takes(t, c, request(1), 1, 19)
}
