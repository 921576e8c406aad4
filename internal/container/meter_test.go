package container

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// request makes a request id.
func request(n int) string { return fmt.Sprintf("request-%04d", n) }

func (v *vendor) units(n uint64, issue uint32) seal.Payload {
	g := v.grant(chart, 5, 0, nil)
	g.License.Options.Units, g.License.Options.Issue = &n, issue
	return seal.Payload{Set: []seal.Grant{g}}
}

func takes(t testing.TB, c *Container, request string, n, left uint64) {
	t.Helper()
	got, err := c.TakeUnits(chart, request, n)
	ok(t, err)
	if got != left {
		t.Fatalf("%d units are left, want %d", got, left)
	}
}

func TestTakeUnits(t *testing.T) {
	k := newClocked(t)
	_, err := k.TakeUnits(chart, request(0), 1)
	code(t, err, license.CodeNoLicense)
	install(t, k.Container, k.next(t, k.to, k.plain(5)))
	_, err = k.TakeUnits(chart, request(0), 1)
	code(t, err, license.CodeInvalidInput)
	install(t, k.Container, k.next(t, k.to, k.units(100, 0)))
	watch := k.Watch(t.Context())
	version, _ := k.Licenses()
	takes(t, k.Container, request(1), 30, 70)
	takes(t, k.Container, request(2), 30, 40)
	takes(t, k.Container, request(1), 30, 40) // a repeat
	_, err = k.TakeUnits(chart, request(1), 31)
	code(t, err, license.CodeRequestMismatch)
	left, err := k.TakeUnits(chart, request(3), 41)
	code(t, err, license.CodeNoUnits)
	if left != 40 {
		t.Fatalf("%d are left", left)
	}
	k.crash(t)
	takes(t, k.Container, request(2), 30, 40)
	takes(t, k.Container, request(3), 40, 0)
	_, err = k.TakeUnits(chart, request(4), 1)
	code(t, err, license.CodeNoUnits)
	takes(t, k.Container, request(3), 40, 0)
	if u := k.Use(chart); u.Units != 100 || !u.First.IsZero() {
		t.Fatalf("used is %+v", u)
	}
	if now, _ := k.Licenses(); now != version {
		t.Fatal("a taking counts as a change of licenses")
	}
	select {
	case _, open := <-watch:
		if open {
			t.Fatal("a watcher was told of a taking")
		}
	default:
	}
	for name, tt := range map[string]struct {
		request string
		n       uint64
	}{
		"no id":       {"", 1},
		"short id":    {"1234567", 1},
		"long id":     {string(bytes.Repeat([]byte("a"), MostRequest+1)), 1},
		"blank in id": {"1234 5678", 1},
		"line in id":  {"12345678\n", 1},
		"none":        {request(9), 0},
		"too many":    {request(9), license.MostUnits + 1},
	} {
		_, err := k.TakeUnits(chart, tt.request, tt.n)
		if license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnitsOfVendor: updates raise, lower and renew what there is to take; what
// was taken outlives the license.
func TestUnitsOfVendor(t *testing.T) {
	k := newClocked(t)
	give := func(p seal.Payload) { t.Helper(); install(t, k.Container, k.next(t, k.to, p)) }
	give(k.units(100, 3))
	takes(t, k.Container, request(1), 60, 40)
	give(k.units(150, 3))
	takes(t, k.Container, request(2), 10, 80)
	give(k.units(50, 3)) // fewer than were taken
	takes(t, k.Container, request(2), 10, 0)
	_, err := k.TakeUnits(chart, request(3), 1)
	code(t, err, license.CodeNoUnits)
	give(seal.Payload{Remove: []license.Product{chart}})
	if k.Use(chart) != (license.Use{}) {
		t.Fatal("something was used of no license")
	}
	k.reopen(t)
	give(k.units(100, 3))
	takes(t, k.Container, request(4), 1, 29)

	give(k.units(10, 4))
	if u := k.Use(chart); u.Units != 0 {
		t.Fatalf("%d units are taken of a new issue", u.Units)
	}
	// Unused, the new issue may be taken back, but gives nothing anew.
	give(k.units(100, 3))
	takes(t, k.Container, request(5), 1, 28)
	give(k.units(10, 4))
	takes(t, k.Container, request(5), 1, 9) // another issue, another meter
	_, err = k.Stage(k.seal(t, *k.to, k.to.number+1, k.to.previous, k.units(100, 3)))
	code(t, err, license.CodeUpdateConflict)
	give(seal.Payload{Remove: []license.Product{chart}})
	_, err = k.Stage(k.seal(t, *k.to, k.to.number+1, k.to.previous, k.units(100, 3)))
	code(t, err, license.CodeUpdateConflict)
	if n := len(k.current().meters); n != 1 {
		t.Fatalf("%d meters are kept", n)
	}
}

// TestRecent: a repeat is known while it is among the last takings.
func TestRecent(t *testing.T) {
	k := newClocked(t)
	install(t, k.Container, k.next(t, k.to, k.units(1000, 0)))
	for i := range license.MostRecent + 1 {
		takes(t, k.Container, request(i), 1, uint64(999-i)) //nolint:gosec // G115: small
	}
	takes(t, k.Container, request(1), 1, 999-license.MostRecent)
	takes(t, k.Container, request(0), 1, 998-license.MostRecent)
}

func TestStarted(t *testing.T) {
	k := newClocked(t)
	code(t, k.Started(chart), license.CodeNoLicense)
	install(t, k.Container, k.next(t, k.to, k.plain(5)))
	ok(t, k.Started(chart))
	if k.Use(chart) != (license.Use{}) {
		t.Fatal("a license without a usage period has begun")
	}
	emergency := func(issue uint32) seal.Payload {
		g := k.grant(chart, 5, 0, nil)
		g.License.Options.UsagePeriod, g.License.Options.Issue = 72*time.Hour, issue
		return seal.Payload{Set: []seal.Grant{g}}
	}
	install(t, k.Container, k.next(t, k.to, emergency(1)))
	first := k.shows()
	ok(t, k.Started(chart))
	k.pass(time.Hour)
	ok(t, k.Started(chart))
	k.crash(t)
	ok(t, k.Started(chart))
	if u := k.Use(chart); !u.First.Equal(first) || u.Units != 0 {
		t.Fatalf("used is %+v", u)
	}
	install(t, k.Container, k.next(t, k.to, emergency(2)))
	ok(t, k.Started(chart))
	if u := k.Use(chart); !u.First.Equal(first.Add(time.Hour)) {
		t.Fatalf("used is %+v", u)
	}
}

func meterOf(issue uint32, units uint64, recent ...license.Taken) license.Meter {
	return license.Meter{Product: chart, Issue: issue, Units: units, Recent: recent}
}

func TestWriteMeter(t *testing.T) {
	g := newTrio(t)
	c := g.c[0]
	code(t, c.WriteMeter(1, meterOf(0, 1)), license.CodeNoLicense)
	install(t, c, g.next(t, g.to[0], g.units(10, 0)))
	code(t, c.WriteMeter(1, meterOf(0, 1)), license.CodeNoLicense)
	install(t, c, g.issue(t, 0, 20, 7, nil))
	_, err := c.TakeUnits(chart, request(1), 1)
	code(t, err, license.CodeTMROnly)

	all, err := c.PromiseMeters(5)
	ok(t, err)
	if len(all) != 0 {
		t.Fatalf("meters are %+v", all)
	}
	code(t, c.WriteMeter(4, meterOf(0, 1)), license.CodeFenced)
	taken := []license.Taken{{Request: request(1), Units: 3}}
	ok(t, c.WriteMeter(5, meterOf(0, 3, taken...)))
	ok(t, c.WriteMeter(5, meterOf(0, 3, taken...)))
	code(t, c.WriteMeter(5, meterOf(0, 2)), license.CodeConflict)
	code(t, c.WriteMeter(5, meterOf(0, 3)), license.CodeConflict)
	ok(t, c.WriteMeter(6, meterOf(0, 2))) // the higher epoch wins, and is promised by that
	_, err = c.PromiseMeters(5)
	code(t, err, license.CodeFenced)
	ok(t, c.WriteMeter(6, meterOf(0, 3, taken...)))
	ok(t, c.WriteMeter(6, meterOf(1, 1))) // the license in force may be newer than ours

	path := g.path(t)
	c, err = Open(path)
	ok(t, err)
	defer func() { ok(t, c.Close()) }()
	code(t, c.WriteMeter(5, meterOf(0, 9)), license.CodeFenced)
	all, err = c.PromiseMeters(6)
	ok(t, err)
	if len(all) != 2 || all[0].Units != 3 || all[0].Epoch != 6 || !slices.Equal(all[0].Recent, taken) || all[1].Issue != 1 || all[1].Units != 1 {
		t.Fatalf("meters are %+v", all)
	}
	if c.Use(chart).Units != 3 {
		t.Fatalf("used is %+v", c.Use(chart))
	}
	for name, m := range map[string]license.Meter{
		"no product":    {},
		"too many":      meterOf(0, license.MostUnits+1),
		"id twice":      meterOf(0, 1, taken[0], taken[0]),
		"bad id":        meterOf(0, 1, license.Taken{Request: "x", Units: 1}),
		"empty taking":  meterOf(0, 1, license.Taken{Request: request(1)}),
		"more than 128": meterOf(0, 1, make([]license.Taken, license.MostRecent+1)...),
	} {
		if err := c.WriteMeter(7, m); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMetersInRollout: while an update with another issue goes round, both
// issues are counted.
func TestMetersInRollout(t *testing.T) {
	g := newTrio(t)
	give := func(i int, id, issue uint32, before *license.Options) {
		t.Helper()
		group, n := g.group, uint64(100)
		p := seal.Payload{Set: []seal.Grant{g.grant(chart, 5, id, before)}, Group: &group}
		p.Set[0].License.Options.Units, p.Set[0].License.Options.Issue = &n, issue
		g.roll(t, i, g.next(t, g.to[i], p))
	}
	for i := range g.c {
		give(i, 7, 1, nil)
		ok(t, g.c[i].WriteMeter(1, meterOf(1, 40)))
	}
	n := uint64(100)
	give(0, 8, 2, &license.Options{Quantity: 5, TMRID: 7, Issue: 1, Units: &n})
	c := g.c[0]
	if c.Use(chart).Units != 0 {
		t.Fatal("the new issue starts with a used meter")
	}
	ok(t, c.WriteMeter(1, meterOf(1, 50)))
	ok(t, c.WriteMeter(1, meterOf(2, 1)))
	ok(t, c.WriteMeter(1, meterOf(1, 60)))
	give(1, 8, 2, &license.Options{Quantity: 5, TMRID: 7, Issue: 1, Units: &n})
	give(2, 8, 2, &license.Options{Quantity: 5, TMRID: 7, Issue: 1, Units: &n})
	give(0, 9, 2, &license.Options{Quantity: 5, TMRID: 8, Issue: 2, Units: &n})
	code(t, c.WriteMeter(1, meterOf(1, 70)), license.CodeConflict)
	all, err := c.PromiseMeters(1)
	ok(t, err)
	if len(all) != 1 || all[0].Issue != 2 || all[0].Units != 1 {
		t.Fatalf("meters are %+v", all)
	}
}

// TestMostMeters: what was used is never forgotten for want of room.
func TestMostMeters(t *testing.T) {
	k := newClocked(t)
	k.write.Lock()
	ok(t, k.change(func(s *state) (*state, error) {
		next := s.clone()
		for i := range seal.MostMeters - 1 {
			next.meters[meterID{license.Product{Firm: firm, Code: license.ProductCode(1000 + i)}, 0}] = meter{units: 1} //nolint:gosec // G115: small
		}
		return next, nil
	}))
	k.write.Unlock()
	install(t, k.Container, k.next(t, k.to, k.units(10, 0)))
	more := k.units(10, 0)
	more.Set[0].License.Product.Code = 1
	_, err := k.Stage(k.seal(t, *k.to, 2, k.to.previous, more))
	code(t, err, license.CodeTooLarge)
	more.Set[0].License.Options.Units = nil // nothing to be counted
	install(t, k.Container, k.next(t, k.to, more))
	more = k.units(10, 0)
	more.Set[0].License.Product.Code = 1000 // has a meter already
	install(t, k.Container, k.next(t, k.to, more))
	b, err := k.Fingerprint(make([]byte, seal.MostNonce))
	ok(t, err)
	f, err := seal.OpenFingerprint(b)
	ok(t, err)
	if len(f.Meters) != seal.MostMeters-1 {
		t.Fatalf("the fingerprint tells of %d meters", len(f.Meters))
	}
	takes(t, k.Container, request(1), 1, 9)
	_, err = k.Fingerprint(nil)
	ok(t, err)
}

// TestHoldingsFit: licenses that are too long for a fingerprint are refused.
func TestHoldingsFit(t *testing.T) {
	k := newClocked(t)
	long := func(from, n int) (p seal.Payload) {
		for i := range n {
			g := k.grant(license.Product{Firm: firm, Code: license.ProductCode(from + i)}, 1, 0, nil) //nolint:gosec // G115: small
			g.License.Options.Text = string(bytes.Repeat([]byte("x"), license.MostText))
			p.Set = append(p.Set, g)
		}
		return p
	}
	install(t, k.Container, k.next(t, k.to, long(0, 400)))
	_, err := k.Stage(k.seal(t, *k.to, 2, k.to.previous, long(400, 100)))
	code(t, err, license.CodeTooLarge)
	_, err = k.Fingerprint(make([]byte, seal.MostNonce))
	ok(t, err)
	_, err = k.Statement(make([]byte, seal.MostNonce))
	ok(t, err)
}
