package container

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// clocks are a machine's, that a test sets.
type clocks struct {
	mu    sync.Mutex
	wall  time.Time
	ticks time.Duration
}

func newClocks() *clocks {
	return &clocks{wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), ticks: 77 * time.Hour}
}

func (k *clocks) look() reading {
	k.mu.Lock()
	defer k.mu.Unlock()
	return reading{k.wall, k.ticks}
}

// pass lets time go by.
func (k *clocks) pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wall, k.ticks = k.wall.Add(d), k.ticks+d
}

// set sets the clock by so much, or lets the machine sleep.
func (k *clocks) set(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wall = k.wall.Add(d)
}

func (k *clocks) shows() time.Time { return k.look().wall }

func (k *clocks) option(o *options) { o.look = k.look }

// clocked is a container on a machine whose clocks the test sets.
type clocked struct {
	*vendor
	*clocks
	*Container
	to     *target
	path   string
	noSync bool // for many steps: what a process leaves behind needs no disk
}

func newClocked(t testing.TB) *clocked {
	t.Helper()
	k := &clocked{vendor: newVendor(t), clocks: newClocks(), path: filepath.Join(t.TempDir(), "container")}
	serial := license.Serial{Mask: license.MaskUniversal, Number: 1874829}
	var err error
	k.Container, err = Create(k.path, Params{Serial: serial, Root: k.root.Public(), ActivationID: [16]byte{1}}, k.option)
	ok(t, err)
	t.Cleanup(func() { _ = k.Close() })
	k.to = &target{serial: serial, identity: k.Identity()}
	return k
}

// group is a TMR group with two others, who never answer.
func (k *clocked) group(t testing.TB) *seal.Group {
	t.Helper()
	g := &seal.Group{
		ActivationID: k.ActivationID(), Virtual: license.Serial{Mask: license.MaskVirtual, Number: 4837572}, TokenKey: newSigner(t).Public(),
	}
	for i := range g.Members {
		g.Members[i] = seal.Member{Serial: license.Serial{Mask: license.MaskUniversal, Number: uint64(1 + i)}, Key: newSigner(t).Public()} //nolint:gosec // G115: small
	}
	g.Members[0] = seal.Member{Serial: k.to.serial, Key: k.to.identity.Sign}
	return g
}

// reopen closes and opens; crash opens what is in the file now.
func (k *clocked) reopen(t testing.TB) {
	t.Helper()
	ok(t, k.Close())
	k.open(t)
}

func (k *clocked) open(t testing.TB) {
	t.Helper()
	var err error
	k.Container, err = Open(k.path, k.option)
	ok(t, err)
	k.db.NoSync = k.noSync
}

func (k *clocked) crash(t testing.TB) {
	t.Helper()
	b, err := os.ReadFile(k.path)
	ok(t, err)
	ok(t, k.Close())
	ok(t, os.WriteFile(k.path, b, 0o600))
	k.open(t)
}

func (k *clocked) certificate(t testing.TB, nonce [16]byte, at time.Time) []byte {
	t.Helper()
	b, err := seal.SignTime(k.root, seal.TimeCertificate{Serial: k.to.serial, Nonce: nonce, At: at})
	ok(t, err)
	return b
}

func (k *clocked) moment(t testing.TB, at time.Time, back bool) {
	t.Helper()
	if m := k.Moment(); !m.At.Equal(at) || m.SetBack != back {
		t.Fatalf("the time is %s, set back %v; want %s, %v (the clock shows %s)", stamp(m.At), m.SetBack, stamp(at), back, stamp(k.shows()))
	}
}

func TestClockSetBack(t *testing.T) {
	k := newClocked(t)
	start := k.shows()
	k.moment(t, start, false)
	k.pass(time.Hour)
	k.moment(t, start.Add(time.Hour), false)
	for range 2 {
		k.set(-24 * time.Hour)
		k.moment(t, start.Add(time.Hour), true)
		// Time goes on from the highest, slower by a thousandth.
		k.pass(1000 * time.Second)
		k.moment(t, start.Add(time.Hour+999*time.Second), true)
		k.reopen(t)
		k.moment(t, start.Add(time.Hour+999*time.Second), true)
		// Put right, it counts without anybody's word.
		k.set(24 * time.Hour)
		k.moment(t, start.Add(time.Hour+1000*time.Second), false)
		start = start.Add(1000 * time.Second)
	}
}

// TestClockTolerance: steps back of seconds are absorbed, each night one.
func TestClockTolerance(t *testing.T) {
	k := newClocked(t)
	start := k.shows()
	k.set(-ClockTolerance)
	k.moment(t, start, false)
	k.set(-time.Nanosecond)
	k.moment(t, start, true)
	k.set(time.Nanosecond + ClockTolerance)
	for range 100 {
		k.pass(24 * time.Hour)
		if k.Moment().SetBack {
			t.Fatal("a clock that is put right each night counts as set back")
		}
		k.set(-80 * time.Second)
		if k.Moment().SetBack {
			t.Fatal("a clock that is put right each night counts as set back")
		}
	}
}

// TestClockFrozen: stepping back by less than the tolerance, again and again,
// doesn't stop the time.
func TestClockFrozen(t *testing.T) {
	k := newClocked(t)
	start := k.shows()
	for range 60 {
		k.pass(time.Minute)
		k.Moment()
		k.set(-time.Minute)
	}
	if m := k.Moment(); !m.SetBack || m.At.Before(start.Add(59*time.Minute)) {
		t.Fatalf("after an hour of one minute the time is %s after the start, set back %v", m.At.Sub(start), m.SetBack)
	}
}

// TestClockSleep: the monotonic clock stops while the machine sleeps.
func TestClockSleep(t *testing.T) {
	k := newClocked(t)
	start := k.shows()
	k.Moment()
	k.set(8 * time.Hour)
	k.moment(t, start.Add(8*time.Hour), false)
	k.set(-8 * time.Hour)
	k.moment(t, start.Add(8*time.Hour), true)
}

func TestClockOutlandish(t *testing.T) {
	k := newClocked(t)
	k.wall = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	if m := k.Moment(); m.At.Year() != 9999 {
		t.Fatalf("the time is %s", m.At)
	}
	k.reopen(t)
	_, err := k.Fingerprint(nil)
	ok(t, err)
	k.wall = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	if m := k.Moment(); m.At.Year() != 9999 || !m.SetBack {
		t.Fatalf("the time is %+v", m)
	}
	_, err = k.Fingerprint(nil)
	ok(t, err)
}

// TestClockKept: a crash forgets less than a minute of what was asked for, and
// reading writes no more often than once a minute, but for the first ones.
func TestClockKept(t *testing.T) {
	k := newClocked(t)
	writes := 0
	sound := k.update
	counted := func() {
		k.update = func(f func(*bolt.Tx) error) error { writes++; return sound(f) }
	}
	counted()
	for range 600 {
		k.pass(time.Second)
		k.Moment()
	}
	if writes > 25 {
		t.Fatalf("%d writes in the first 10 minutes", writes)
	}
	writes = 0
	for range 600 {
		k.pass(time.Second)
		k.Moment()
	}
	if writes != 10 {
		t.Fatalf("%d writes in 10 minutes", writes)
	}
	for range 100 { // forward and back, or asleep
		k.set(24 * time.Hour)
		k.Moment()
	}
	if writes > 11 {
		t.Fatalf("%d writes within one second", writes)
	}
	k.pass(time.Minute)
	at := k.Moment().At
	k.crash(t)
	k.set(-1000 * time.Hour)
	k.moment(t, at, true)
	// A change keeps the time too, and so does closing.
	k.set(2000 * time.Hour)
	at = k.Moment().At
	_, err := k.Fingerprint(nil)
	ok(t, err)
	k.crash(t)
	k.set(-2000 * time.Hour)
	k.moment(t, at, true)
	k.set(3000 * time.Hour)
	at = k.Moment().At
	k.reopen(t)
	k.set(-3000 * time.Hour)
	k.moment(t, at, true)
}

// TestClockOfSystem: without a test's clocks it is the machine's.
func TestClockOfSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVendor(t)
		c, _ := v.container(t)
		time.Sleep(time.Hour)
		if m := c.Moment(); !m.At.Equal(time.Now()) || m.SetBack || !m.Certified.IsZero() {
			t.Fatalf("the time is %+v", m)
		}
		ok(t, c.Close())
	})
}

// TestClockWithoutDisk: a container that can't write tells the time all the same.
func TestClockWithoutDisk(t *testing.T) {
	k := newClocked(t)
	sound := k.update
	k.update = func(func(*bolt.Tx) error) error { return errDisk }
	at := k.shows()
	k.pass(time.Hour)
	k.moment(t, at.Add(time.Hour), false)
	k.update = sound
	_, err := k.Fingerprint(nil)
	code(t, err, license.CodeUnavailable)
}

func TestCertify(t *testing.T) {
	k := newClocked(t)
	nonce := k.TimeNonce()
	if nonce != k.TimeNonce() || nonce == [16]byte{} {
		t.Fatal("the nonce is another one each time")
	}
	k.reopen(t)
	if k.TimeNonce() != nonce {
		t.Fatal("the nonce is another one after a restart")
	}
	at := k.shows().Add(time.Minute)
	good := k.certificate(t, nonce, at)
	other, err := seal.SignTime(k.root, seal.TimeCertificate{Serial: license.Serial{Mask: license.MaskUniversal, Number: 9}, Nonce: nonce, At: at})
	ok(t, err)
	forged, err := seal.SignTime(newSigner(t), seal.TimeCertificate{Serial: k.to.serial, Nonce: nonce, At: at})
	ok(t, err)
	altered := bytes.Clone(good)
	altered[len(altered)-70] ^= 1
	for name, tt := range map[string]struct {
		b    []byte
		code license.Code
	}{
		"of another container": {other, license.CodeTimeForged},
		"of another root":      {forged, license.CodeTimeForged},
		"altered":              {altered, license.CodeTimeForged},
		"of another nonce":     {k.certificate(t, [16]byte{1}, at), license.CodeTimeStale},
		"nothing":              {nil, license.CodeFormatUnknown},
		"too large":            {make([]byte, seal.MostTime+1), license.CodeTooLarge},
		"of the future":        {k.certificate(t, nonce, k.shows().Add(ClockTolerance+time.Second)), license.CodeClockSetBack},
	} {
		before := *k.current()
		code(t, k.Certify(tt.b), tt.code)
		if after := *k.current(); after.clock != before.clock {
			t.Fatalf("%s: the refused certificate changed the clock", name)
		}
	}
	ok(t, k.Certify(good))
	if m := k.Moment(); !m.At.Equal(at) || m.SetBack || !m.Certified.Equal(at) {
		t.Fatalf("the time is %+v", m)
	}
	next := k.TimeNonce()
	if next == nonce {
		t.Fatal("the nonce serves again")
	}
	code(t, k.Certify(good), license.CodeTimeStale)
	code(t, k.Certify(k.certificate(t, next, at.Add(-time.Millisecond))), license.CodeTimeStale)
	k.crash(t)
	if m := k.Moment(); !m.At.Equal(at) || !m.Certified.Equal(at) || k.TimeNonce() != next {
		t.Fatalf("the time is %+v after a crash", m)
	}
}

// TestNonceWorn: a fingerprint carries a nonce that is good for half a
// certificate's life at least; only a fingerprint replaces one for its age.
func TestNonceWorn(t *testing.T) {
	k := newClocked(t)
	first := k.fingerprint(t).TimeNonce
	k.pass(CertificateLife / 2)
	if k.fingerprint(t).TimeNonce != first {
		t.Fatal("the nonce is another one before its time")
	}
	k.pass(time.Millisecond)
	if k.TimeNonce() != first {
		t.Fatal("the nonce of a request is gone before there is another request")
	}
	second := k.fingerprint(t).TimeNonce
	if second == first || k.fingerprint(t).TimeNonce != second || k.TimeNonce() != second {
		t.Fatal("a worn nonce is given out, or each time another one")
	}
}

// TestCertifyAhead: the clock once ran ahead; only a certificate turns the
// highest time back.
func TestCertifyAhead(t *testing.T) {
	k := newClocked(t)
	start := k.shows()
	old := k.TimeNonce()
	k.set(1000 * 24 * time.Hour)
	k.Moment()
	k.set(-1000 * 24 * time.Hour)
	k.moment(t, start.Add(1000*24*time.Hour), true)
	// What was asked for before the jump came too late; what is asked for after
	// that does not.
	code(t, k.Certify(k.certificate(t, old, start)), license.CodeTimeStale)
	k.moment(t, start.Add(1000*24*time.Hour), true)
	if !k.Moment().Certified.IsZero() {
		t.Fatal("the refused certificate counts")
	}
	k.crash(t)
	nonce := k.TimeNonce()
	if nonce == old {
		t.Fatal("the nonce from before is still the open one")
	}
	k.pass(6 * 24 * time.Hour) // the file travels
	ok(t, k.Certify(k.certificate(t, nonce, start.Add(time.Hour))))
	k.moment(t, start.Add(6*24*time.Hour), false)
	k.crash(t)
	k.moment(t, start.Add(6*24*time.Hour), false)
}

// TestCertifyHeldBack: who holds a certificate back gains its life at most.
func TestCertifyHeldBack(t *testing.T) {
	for _, days := range []time.Duration{6, 7, 8, 70} {
		k := newClocked(t)
		start := k.shows()
		kept := k.certificate(t, k.TimeNonce(), start)
		k.pass(days * 24 * time.Hour)
		k.Moment()
		k.set(-days * 24 * time.Hour)
		err := k.Certify(kept)
		if days <= 7 {
			ok(t, err)
			k.moment(t, start, false)
			continue
		}
		code(t, err, license.CodeTimeStale)
		k.moment(t, start.Add(days*24*time.Hour), true)
		k.set(days * 24 * time.Hour)
		code(t, k.Certify(kept), license.CodeTimeStale) // its nonce is gone
		k.moment(t, start.Add(days*24*time.Hour), false)
	}
}

// TestCertifyLate: an old certificate serves where it turns nothing back.
func TestCertifyLate(t *testing.T) {
	k := newClocked(t)
	start := k.shows()
	late := k.certificate(t, k.TimeNonce(), start)
	k.pass(70 * 24 * time.Hour)
	ok(t, k.Certify(late))
	k.moment(t, start.Add(70*24*time.Hour), false)
}

func TestCertifyTravels(t *testing.T) {
	k := newClocked(t)
	start := k.shows()
	b := k.certificate(t, k.TimeNonce(), start)
	k.pass(3 * 24 * time.Hour)
	ok(t, k.Certify(b))
	k.moment(t, start.Add(3*24*time.Hour), false)
	if !k.Moment().Certified.Equal(start) {
		t.Fatalf("certified is %s", k.Moment().Certified)
	}
}
