package container

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// world is a container beside a simple model of what it must know.
type world struct {
	*clocked
	t     *testing.T
	truth time.Time // what the time really is

	// The license.
	held    bool
	granted uint64
	period  bool
	issue   uint32
	// What was used, by issue.
	used map[uint32]*usage

	at        time.Time // the highest time, carried on
	read      time.Duration
	kept      time.Time // that survives a crash at least
	certified time.Time
	nonce     [16]byte
	asked     time.Time
	old       []certificate // given out, and not taken
	trail     uint64
	version   uint64
	crashes   int

	reached map[string]int // how often each end of the rules
}

type usage struct {
	first time.Time
	units uint64
	taken []license.Taken
}

type certificate struct {
	nonce [16]byte
	at    time.Time
}

func newWorld(t *testing.T, path string) *world {
	k := &clocked{vendor: newVendor(t), clocks: newClocks(), path: path, noSync: true}
	serial := license.Serial{Mask: license.MaskUniversal, Number: 1}
	var err error
	k.Container, err = Create(path, Params{Serial: serial, Root: k.root.Public()}, k.option)
	ok(t, err)
	k.db.NoSync = true
	k.to = &target{serial: serial, identity: k.Identity()}
	return &world{
		clocked: k, t: t, truth: k.wall, used: map[uint32]*usage{},
		at: k.wall, read: k.ticks, kept: k.wall, nonce: k.TimeNonce(), asked: k.wall,
	}
}

// tell is what the container's time is now.
func (w *world) tell() time.Time {
	passed := w.ticks - w.read
	carried := w.at.Add(passed - passed/carrySlack)
	if !w.wall.Before(carried) {
		w.at, w.read = w.wall, w.ticks
		return w.wall
	}
	return carried
}

// written: the highest time seen is on disk.
func (w *world) written() { w.kept = later(w.kept, w.tell().Truncate(time.Millisecond)) }

func (w *world) lastUsed() uint32 {
	if len(w.used) == 0 {
		return 0
	}
	return slices.Max(slices.Collect(maps.Keys(w.used)))
}

func (w *world) update(rt *rapid.T) {
	g := w.grant(chart, 5, 0, nil)
	issue := uint32(rapid.IntRange(0, 3).Draw(rt, "issue")) //nolint:gosec // G115: small
	granted := uint64(rapid.IntRange(0, 40).Draw(rt, "granted"))
	period := rapid.Bool().Draw(rt, "period")
	g.License.Options.Issue, g.License.Options.Units = issue, &granted
	if period {
		g.License.Options.UsagePeriod = time.Hour
	}
	p := seal.Payload{Set: []seal.Grant{g}}
	remove := rapid.IntRange(0, 4).Draw(rt, "remove") == 0
	if remove {
		p = seal.Payload{Remove: []license.Product{chart}}
	}
	b := w.vendor.seal(w.t, *w.to, w.to.number+1, w.to.previous, p)
	s, err := w.Stage(b)
	if !remove && issue < w.lastUsed() {
		if license.CodeOf(err) != license.CodeUpdateConflict {
			rt.Fatalf("issue %d after %d: %v", issue, w.lastUsed(), err)
		}
		return
	}
	if err == nil {
		_, err = w.Activate(s.Digest, nil)
	}
	if err != nil {
		rt.Fatal(err)
	}
	w.to.number, w.to.previous = w.to.number+1, s.Digest
	w.version++
	w.written()
	if w.held = !remove; w.held {
		w.issue, w.granted, w.period = issue, granted, period
	}
}

func (w *world) take(rt *rapid.T) {
	r, n := request(rapid.IntRange(0, 12).Draw(rt, "request")), uint64(rapid.IntRange(1, 6).Draw(rt, "n"))
	left, err := w.TakeUnits(chart, r, n)
	u := w.used[w.issue]
	if u == nil {
		u = &usage{}
	}
	have := w.granted - min(u.units, w.granted)
	again := slices.IndexFunc(u.taken, func(t license.Taken) bool { return t.Request == r })
	var want license.Code
	switch {
	case !w.held:
		want, have = license.CodeNoLicense, 0
	case again >= 0 && u.taken[again].Units != n:
		want, have = license.CodeRequestMismatch, 0
	case again >= 0:
	case n > have:
		want = license.CodeNoUnits
	default:
		u.units, u.taken, have = u.units+n, append(u.taken, license.Taken{Request: r, Units: n}), have-n
		w.used[w.issue] = u
		w.written()
	}
	w.reached["taking "+string(want)]++
	if license.CodeOf(err) != want || left != have {
		rt.Fatalf("taking %d by %s: %d left, %v; want %d, %q", n, r, left, err, have, want)
	}
}

func (w *world) start(rt *rapid.T) {
	err := w.Started(chart)
	if !w.held {
		if license.CodeOf(err) != license.CodeNoLicense {
			rt.Fatal(err)
		}
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	if !w.period {
		return
	}
	if w.used[w.issue] == nil {
		w.used[w.issue] = &usage{}
	}
	if u := w.used[w.issue]; u.first.IsZero() {
		u.first = w.tell().Truncate(time.Millisecond)
		w.written()
	}
}

// certify hands in a certificate, of now or one that was held back.
func (w *world) certify(rt *rapid.T) {
	if len(w.old) == 0 {
		return
	}
	c := w.old[len(w.old)-1]
	if rapid.IntRange(0, 3).Draw(rt, "an older one") == 3 {
		c = w.old[rapid.IntRange(0, len(w.old)-1).Draw(rt, "which")]
	}
	err := w.Certify(w.certificate(w.t, c.nonce, c.at))
	at := w.tell()
	back, ahead := at.Sub(w.wall) > ClockTolerance, at.Sub(c.at) > ClockTolerance
	fresh := at.Sub(w.asked) <= CertificateLife
	want, set, late := license.Code(""), at, false
	switch {
	case c.nonce != w.nonce, c.at.Before(w.certified):
		want = license.CodeTimeStale
	case c.at.Sub(w.wall) > ClockTolerance:
		want = license.CodeClockSetBack
	case fresh && (back || ahead):
		set = later(c.at, w.wall)
	case back && ahead:
		want, late = license.CodeTimeStale, true
	default:
		set = later(at, c.at)
	}
	switch reached := string(want); {
	case want == "" && set.Before(at):
		w.reached["turned back"]++
	case want == "" && !fresh:
		w.reached["taken late"]++
	case late:
		w.reached["too late to turn back"]++
	default:
		w.reached["certificate "+reached]++
	}
	if license.CodeOf(err) != want {
		rt.Fatalf("a certificate of %s at %s, clock %s: %v, want %q", c.at, at, w.wall, err, want)
	}
	if late {
		w.written()
		w.asked = at.Truncate(time.Millisecond)
		if w.nonce = w.current().clock.nonce; w.nonce == c.nonce {
			rt.Fatal("the nonce of what came too late is still open")
		}
	}
	if want != "" {
		return
	}
	set = set.Truncate(time.Millisecond)
	for _, u := range w.used { // what was used while the clock ran ahead
		if u.first.After(set) {
			u.first = set.Add(-at.Truncate(time.Millisecond).Sub(u.first))
			w.reached["first use turned back"]++
		}
	}
	w.at, w.read = set, w.ticks
	w.kept, w.certified, w.asked = w.at, c.at, w.at
	if w.nonce = w.current().clock.nonce; w.nonce == c.nonce {
		rt.Fatal("the nonce serves again")
	}
	if m := w.Moment(); m.SetBack && !back || m.At.Before(c.at) {
		rt.Fatalf("after a certificate of %s the time is %+v", c.at, m)
	}
}

// requested: a fingerprint told this nonce.
func (w *world) requested(rt *rapid.T, got [16]byte) {
	if at := w.tell(); at.Sub(w.asked) > CertificateLife/2 {
		if got == w.nonce {
			rt.Fatalf("the nonce from %s is given out at %s", w.asked, at)
		}
		w.nonce, w.asked = got, at.Truncate(time.Millisecond)
		w.written()
	}
	if got != w.nonce {
		rt.Fatal("the nonce is another one")
	}
}

func (w *world) fingerprinted(rt *rapid.T) {
	b, err := w.Fingerprint(nil)
	if err != nil {
		rt.Fatal(err)
	}
	f, err := seal.OpenFingerprint(b)
	if err != nil {
		rt.Fatal(err)
	}
	w.trail++
	w.written()
	w.requested(rt, f.TimeNonce)
	if last := f.Trail[len(f.Trail)-1]; last.Count != w.trail {
		rt.Fatalf("the trail ends with %d, want %d", last.Count, w.trail)
	}
	if !f.Clock.Highest.Equal(w.tell().Truncate(time.Millisecond)) || !f.Clock.Certified.Equal(w.certified) {
		rt.Fatalf("the clock is %+v, want %s", f.Clock, w.tell())
	}
	if len(w.used) == 0 {
		if len(f.Meters) != 0 {
			rt.Fatalf("meters are %+v", f.Meters)
		}
		return
	}
	u := w.used[w.lastUsed()]
	if m := f.Meters[0]; len(f.Meters) != 1 || m.Issue != w.lastUsed() || m.Units != u.units || !m.First.Equal(u.first) {
		rt.Fatalf("meters are %+v, want %+v", f.Meters, u)
	}
}

// crashed: what was not written may be forgotten, and no more.
func (w *world) crashed(rt *rapid.T) {
	before := w.tell()
	w.crash(w.t)
	w.crashes++
	w.resumed(rt, w.kept, before)
}

func (w *world) reopened(rt *rapid.T) {
	before := w.tell()
	w.reopen(w.t)
	w.resumed(rt, later(w.kept, before.Add(-clockInterval)), before)
}

func (w *world) resumed(rt *rapid.T, low, high time.Time) {
	m := w.Moment()
	if m.At.Before(low) || m.At.After(later(high, w.wall)) {
		rt.Fatalf("after a restart the time is %s, want %s to %s", m.At, low, high)
	}
	w.at, w.read, w.kept = m.At, w.ticks, low
	w.crashes++ // each may cost up to clockInterval
}

func (w *world) check(rt *rapid.T) {
	at, m := w.tell(), w.Moment()
	if !m.At.Equal(at) || m.SetBack != (at.Sub(w.wall) > ClockTolerance) || !m.Certified.Equal(w.certified) {
		rt.Fatalf("the time is %+v, want %s, the clock shows %s", m, at, w.wall)
	}
	// Nobody gains more than a certificate's life, whatever he does.
	slack := CertificateLife + 2*ClockTolerance + w.ticks/carrySlack + time.Duration(w.crashes)*clockInterval
	if gained := w.truth.Sub(at); gained > slack {
		rt.Fatalf("%s were gained: the container's time is %s, and it is %s", gained, at, w.truth)
	}
	use := license.Use{}
	if u := w.used[w.issue]; w.held && u != nil {
		use = license.Use{First: u.first, Units: u.units}
	}
	if got := w.Use(chart); !got.First.Equal(use.First) || got.Units != use.Units {
		rt.Fatalf("used is %+v, want %+v", got, use)
	}
	if version, held := w.Licenses(); version != w.version || (len(held) == 1) != w.held {
		rt.Fatalf("version %d, want %d; holds %+v", version, w.version, held)
	}
}

// TestNotesRules runs any sequence of updates, takings, repeats, clocks set and
// set back, certificates in time, late and held back, restarts and crashes
// against the model.
func TestNotesRules(t *testing.T) {
	dir, n, reached := t.TempDir(), 0, map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		n++
		w := newWorld(t, filepath.Join(dir, strconv.Itoa(n)))
		w.reached = reached
		defer func() { _ = w.Close() }()
		const day = 24 * time.Hour
		some := func(name string) time.Duration {
			return rapid.SampledFrom([]time.Duration{time.Millisecond, 50 * time.Second, ClockTolerance, 3 * time.Minute, time.Hour, day, 3 * day, 6 * day, 7 * day, 8 * day}).Draw(rt, name) +
				time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(rt, "and"))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"update": w.update,
			"take":   w.take,
			"start":  w.start,
			"time passes": func(*rapid.T) {
				d := some("time")
				w.pass(d)
				w.truth = w.truth.Add(d)
			},
			"set forward": func(*rapid.T) { w.set(some("forward")) },
			"set back":    func(*rapid.T) { w.set(-some("back")) },
			"run ahead": func(*rapid.T) {
				d := some("ahead")
				w.set(d)
				w.check(rt)
				w.set(-d)
			},
			"set right": func(*rapid.T) { w.set(w.truth.Sub(w.wall)) },
			"ask for the time": func(rt *rapid.T) {
				if w.TimeNonce() != w.nonce {
					rt.Fatal("the nonce is another one")
				}
				w.old = append(w.old, certificate{w.nonce, w.truth.Truncate(time.Millisecond)})
			},
			"certify":     w.certify,
			"fingerprint": w.fingerprinted,
			"reopen":      w.reopened,
			"crash":       w.crashed,
			"":            w.check,
		})
	})
	t.Logf("reached: %v", reached)
	if testing.Short() {
		return // too few walks to reach all of them each time
	}
	// The rarer ones have tests of their own.
	for _, end := range []string{"certificate ", "certificate TIME_STALE", "certificate CLOCK_SET_BACK", "turned back", "taking ", "taking NO_UNITS"} {
		if reached[end] == 0 && !t.Failed() {
			t.Errorf("the walks never reach %q", end)
		}
	}
}

// TestMeterRules runs any sequence of leaders' promises and writes, and crashes,
// against the rule: of an issue the highest (epoch, units) counts, and nothing of
// an epoch that has ended.
func TestMeterRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := newClocked(t)
		defer func() { _ = k.Close() }()
		k.noSync, k.db.NoSync = true, true
		install(t, k.Container, k.next(t, k.to, seal.Payload{Set: []seal.Grant{k.grant(chart, 20, 7, nil)}, Group: k.group(t)}))
		// The license has the issue 0, and nothing goes below the last.
		promised := uint64(1)
		meters := map[uint32]license.Meter{}
		kept := func(issue uint32) bool {
			return issue == 0 || issue == slices.Max(slices.Collect(maps.Keys(meters)))
		}
		epoch := func() uint64 { return promised + uint64(rapid.IntRange(0, 2).Draw(rt, "epoch")) - 1 } //nolint:gosec // G115: small
		_, err := k.PromiseMeters(promised)
		ok(t, err)
		rt.Repeat(map[string]func(*rapid.T){
			"promise": func(rt *rapid.T) {
				e := epoch()
				_, err := k.PromiseMeters(e)
				if e < promised {
					if license.CodeOf(err) != license.CodeFenced {
						rt.Fatalf("a promise of %d after %d: %v", e, promised, err)
					}
					return
				}
				if err != nil {
					rt.Fatal(err)
				}
				promised = e
			},
			"write": func(rt *rapid.T) {
				e, issue := epoch(), uint32(rapid.IntRange(0, 3).Draw(rt, "issue")) //nolint:gosec // G115: small
				m := meterOf(issue, uint64(rapid.IntRange(0, 5).Draw(rt, "units")))
				was, known := meters[issue]
				want := license.Code("")
				switch {
				case e < promised:
					want = license.CodeFenced
				case !known && len(meters) > 0 && !kept(issue) && issue < slices.Max(slices.Collect(maps.Keys(meters))):
					want = license.CodeConflict
				case known && was.Epoch == e && m.Units < was.Units:
					want = license.CodeConflict
				default:
					m.Epoch, promised = e, e
					meters[issue] = m
					maps.DeleteFunc(meters, func(i uint32, _ license.Meter) bool { return !kept(i) })
				}
				if err := k.WriteMeter(e, m); license.CodeOf(err) != want {
					rt.Fatalf("writing %+v under %d, %d promised, after %+v: %v, want %q", m, e, promised, was, err, want)
				}
			},
			"stop": func(rt *rapid.T) {
				switch rapid.IntRange(0, 5).Draw(rt, "how") {
				case 0:
					k.crash(t)
				case 1:
					k.reopen(t)
				}
			},
			"": func(rt *rapid.T) {
				all, err := k.PromiseMeters(promised)
				if err != nil {
					rt.Fatal(err)
				}
				if len(all) != len(meters) {
					rt.Fatalf("meters are %+v, want %+v", all, meters)
				}
				for _, m := range all {
					if w := meters[m.Issue]; m.Epoch != w.Epoch || m.Units != w.Units {
						rt.Fatalf("meters are %+v, want %+v", all, meters)
					}
				}
			},
		})
	})
}
