package container

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// TestGroupNeverLosesForce updates the three in any order, with any number of
// steps between them, and with backends that don't answer: whatever succeeds,
// what is in force never falls, not even without the one that is activating.
func TestGroupNeverLosesForce(t *testing.T) {
	walks, steps := 4, 40
	if testing.Short() {
		walks = 2
	}
	passed, refused := 0, 0
	for walk := range walks {
		random := rand.New(rand.NewPCG(uint64(walk), 2)) //nolint:gosec // G404, G115: a seed
		g := newTrio(t)
		g.start(t)
		ids := [3]uint32{7, 7, 7}
		inForce := uint32(7)
		for range steps {
			i := random.IntN(3)
			id := ids[i] + 1 + uint32(random.IntN(2)) //nolint:gosec // G115: small
			before := &license.Options{Quantity: ids[i], TMRID: ids[i]}
			update := g.seal(t, *g.to[i], g.to[i].number+1, g.to[i].previous, seal.Payload{Set: []seal.Grant{g.grant(chart, id, id, before)}})
			s, err := g.c[i].Stage(update)
			ok(t, err)
			statements := g.statements(t, i, s.Nonce)
			down := random.IntN(8)
			if down < len(statements) {
				statements = append(statements[:down], statements[down+1:]...)
			}
			without := force(g, i)
			_, err = g.c[i].Activate(s.Digest, statements)
			if err != nil {
				code(t, err, license.CodeGuardRefused)
				refused++
			} else {
				if without < inForce {
					t.Fatalf("walk %d: backend %d activated while the others carried #%d of #%d", walk, i, without, inForce)
				}
				if down < 2 {
					t.Fatalf("walk %d: backend %d activated on one statement", walk, i)
				}
				ids[i] = id
				g.to[i].number, g.to[i].previous = g.to[i].number+1, s.Digest
				passed++
			}
			now := force(g, -1)
			if now < inForce {
				t.Fatalf("walk %d: #%d is in force after #%d", walk, now, inForce)
			}
			inForce = now
		}
	}
	t.Logf("%d activations passed the guard, %d did not", passed, refused)
	if passed == 0 || refused == 0 {
		t.Fatal("the walks don't reach both ends of the guard")
	}
}

// force gives the TMR-ID in force without one backend.
func force(g *trio, without int) uint32 {
	var obs [3]license.Observation
	for i, c := range g.c {
		if i != without {
			_, held := c.Licenses()
			obs[i] = license.Observation{Presence: license.Present, Licenses: held}
		}
	}
	v, _ := license.Merge(license.View{}, obs).Find(chart)
	return v.Options.TMRID
}

// TestConcurrentTakings: of many who take units at once, each by repeating his
// requests, nobody takes twice, and nobody gets what is not there.
func TestConcurrentTakings(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	install(t, c, v.next(t, to, v.units(100, 0)))
	var takers sync.WaitGroup
	var taken atomic.Uint64
	for taker := range 8 {
		takers.Go(func() {
			for i := range 6 {
				for range 2 {
					_, err := c.TakeUnits(chart, request(taker*100+i), 3)
					if err != nil && license.CodeOf(err) != license.CodeNoUnits {
						t.Error(err)
						return
					}
					if err == nil {
						taken.Add(3)
					}
				}
				_, _, _ = c.Moment(), c.Use(chart), c.TimeNonce()
			}
		})
	}
	takers.Wait()
	if used := c.Use(chart).Units; used != 99 || taken.Load() != 2*used {
		t.Fatalf("%d of 100 are taken, by %d answers", used, taken.Load())
	}
}

// TestConcurrentUse reads in every way while updates are installed, and closes
// under the readers.
func TestConcurrentUse(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	install(t, c, v.next(t, to, v.plain(1)))
	wrapped, err := seal.WrapKey(v.public, chart, []byte("data key"))
	ok(t, err)
	var readers sync.WaitGroup
	done := make(chan struct{})
	for _, read := range []func() error{
		func() error { _, err := c.OpenKey(chart, wrapped); return err },
		func() error { _, err := c.Fingerprint(nil); return err },
		func() error { _, err := c.Statement(make([]byte, 16)); return err },
		func() error { _, _ = c.Licenses(); _, _ = c.Group(); return nil },
		func() error { _, err := c.Activate([32]byte{1}, nil); return err },
	} {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := read(); err != nil && license.CodeOf(err) != license.CodeUpdateNotStaged && license.CodeOf(err) != license.CodeUnavailable {
					t.Error(err)
					return
				}
			}
		})
	}
	watch := c.Watch(t.Context())
	last := uint64(1)
	for n := uint32(2); n <= 6; n++ {
		install(t, c, v.next(t, to, v.plain(n)))
		<-watch
		version, held := c.Licenses()
		if version <= last || held[0].Options.Quantity != n {
			t.Fatalf("version %d after %d, licenses %+v", version, last, held)
		}
		last = version
	}
	ok(t, c.Close())
	close(done)
	readers.Wait()
}
