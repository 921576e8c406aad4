package container

import (
	"strconv"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// BenchmarkUpdateInstall stages and activates one update, durably.
func BenchmarkUpdateInstall(b *testing.B) {
	v := newVendor(b)
	c, to := v.container(b)
	for b.Loop() {
		b.StopTimer()
		update := v.next(b, to, v.plain(20))
		b.StartTimer()
		s, err := c.Stage(update)
		ok(b, err)
		_, err = c.Activate(s.Digest, nil)
		ok(b, err)
	}
}

// BenchmarkUpdateInstallGuarded is the same in a TMR group, with the statements
// of two others.
func BenchmarkUpdateInstallGuarded(b *testing.B) {
	g := newTrio(b)
	g.start(b)
	before, id := &license.Options{Quantity: 20, TMRID: 7}, uint32(7)
	for b.Loop() {
		b.StopTimer()
		id++
		update := g.issue(b, 0, 20, id, before)
		b.StartTimer()
		g.roll(b, 0, update)
	}
}

func BenchmarkOpenKey(b *testing.B) {
	v := newVendor(b)
	c, to := v.container(b)
	install(b, c, v.next(b, to, v.plain(20)))
	wrapped, err := seal.WrapKey(v.public, chart, make([]byte, 32))
	ok(b, err)
	for b.Loop() {
		_, err := c.OpenKey(chart, wrapped)
		ok(b, err)
	}
}

// BenchmarkTakeUnits takes one unit after another, each durably.
func BenchmarkTakeUnits(b *testing.B) {
	v := newVendor(b)
	c, to := v.container(b)
	install(b, c, v.next(b, to, v.units(license.MostUnits, 0)))
	benchTakings(b, c)
}

// BenchmarkTakeUnitsLarge is the same in a container of 400 licenses with texts
// and data, and the meters of 500 products.
func BenchmarkTakeUnitsLarge(b *testing.B) {
	v := newVendor(b)
	c, to := v.container(b)
	p := v.units(license.MostUnits, 0)
	for i := range 400 {
		g := v.grant(license.Product{Firm: firm, Code: license.ProductCode(100 + i)}, 1, 0, nil) //nolint:gosec // G115: small
		g.License.Options.Text = string(make([]byte, 1024))
		p.Set = append(p.Set, g)
	}
	install(b, c, v.next(b, to, p))
	c.write.Lock()
	ok(b, c.change(func(s *state) (*state, error) {
		next := s.clone()
		m := meter{units: license.MostRecent}
		for i := range license.MostRecent {
			m.recent = append(m.recent, license.Taken{Request: "0199b2b4-0000-7000-8000-000000000" + request(i)[8:], Units: 1})
		}
		for i := range 500 {
			next.meters[meterID{license.Product{Firm: firm, Code: license.ProductCode(1000 + i)}, 0}] = m //nolint:gosec // G115: small
		}
		return next, nil
	}))
	c.write.Unlock()
	benchTakings(b, c)
}

func benchTakings(b *testing.B, c *Container) {
	b.Helper()
	n := 0
	for b.Loop() {
		n++
		_, err := c.TakeUnits(chart, "request-"+strconv.Itoa(n), 1)
		ok(b, err)
	}
}

func BenchmarkMoment(b *testing.B) {
	v := newVendor(b)
	c, _ := v.container(b)
	for b.Loop() {
		c.Moment()
	}
}
