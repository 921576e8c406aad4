package container

import (
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
