package container

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

func (k *clocked) fingerprint(t testing.TB) seal.Fingerprint {
	t.Helper()
	b, err := k.Fingerprint(nil)
	ok(t, err)
	f, err := seal.OpenFingerprint(b)
	ok(t, err)
	return f
}

func TestTrail(t *testing.T) {
	k := newClocked(t)
	var all []seal.Sighting
	for i := range uint64(seal.MostTrail + 5) {
		switch i % 3 {
		case 1:
			k.reopen(t)
		case 2:
			k.crash(t)
		}
		trail := k.fingerprint(t).Trail
		last := trail[len(trail)-1]
		all = append(all, last)
		if last.Count != i+1 || last.Value == [16]byte{} || len(trail) != min(len(all), seal.MostTrail) {
			t.Fatalf("trail is %+v", trail)
		}
		for j, s := range trail {
			if s != all[len(all)-len(trail)+j] {
				t.Fatalf("sighting %d of fingerprint %d is another one", j, i)
			}
		}
	}
	// A fingerprint that can't be noted does not leave; a statement notes nothing.
	_, err := k.Fingerprint(make([]byte, seal.MostNonce+1))
	code(t, err, license.CodeInvalidInput)
	_, err = k.Statement(make([]byte, 16))
	ok(t, err)
	if trail := k.fingerprint(t).Trail; trail[len(trail)-1].Count != all[len(all)-1].Count+1 {
		t.Fatalf("trail is %+v", trail)
	}
	version, _ := k.Licenses()
	if version != 0 {
		t.Fatal("a fingerprint counts as a change of licenses")
	}
}

func TestFingerprintTellsUse(t *testing.T) {
	k := newClocked(t)
	install(t, k.Container, k.next(t, k.to, k.units(100, 2)))
	takes(t, k.Container, request(1), 7, 93)
	k.pass(time.Hour)
	ok(t, k.Certify(k.certificate(t, k.TimeNonce(), k.shows())))
	k.pass(time.Minute)
	f := k.fingerprint(t)
	if len(f.Meters) != 1 || f.Meters[0] != (seal.Meter{Product: chart, Issue: 2, Units: 7}) {
		t.Fatalf("meters are %+v", f.Meters)
	}
	if f.TimeNonce != k.TimeNonce() || !f.Clock.Highest.Equal(k.shows()) || !f.Clock.Certified.Equal(k.shows().Add(-time.Minute)) || !f.At.Equal(k.shows()) {
		t.Fatalf("clock is %+v at %s", f.Clock, f.At)
	}
	// The time that is told goes on while the clock is set back.
	k.set(-time.Hour)
	if f := k.fingerprint(t); !f.Clock.Highest.Equal(k.shows().Add(time.Hour)) || !f.At.Equal(k.shows()) {
		t.Fatalf("clock is %+v at %s", f.Clock, f.At)
	}
}
