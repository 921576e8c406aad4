package container

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// roll installs an update on backend i behind the guard.
func (g *trio) roll(t testing.TB, i int, update []byte) []byte {
	t.Helper()
	s, err := g.c[i].Stage(update)
	ok(t, err)
	r, err := g.c[i].Activate(s.Digest, g.statements(t, i, s.Nonce))
	ok(t, err)
	return r
}

// TestRollout takes the three from 20/#7 to 30/#8 in each order.
func TestRollout(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		g := newTrio(t)
		g.start(t)
		for _, i := range order {
			g.roll(t, i, g.issue(t, i, 30, 8, &license.Options{Quantity: 20, TMRID: 7}))
			if quantity(g.c[i]) != 30 {
				t.Fatalf("backend %d holds %d", i, quantity(g.c[i]))
			}
		}
	}
}

// TestGuard refuses each kind of word that is not good enough.
func TestGuard(t *testing.T) {
	g := newTrio(t)
	g.start(t)
	stranger := newTrio(t)
	stranger.start(t)
	update := g.issue(t, 0, 30, 8, &license.Options{Quantity: 20, TMRID: 7})
	wrong := bytes.Repeat([]byte{9}, nonceSize)
	stale, err := g.c[0].Stage(update)
	ok(t, err)
	for name, statements := range map[string]func(good [][]byte, nonce []byte) [][]byte{
		"none":             func([][]byte, []byte) [][]byte { return nil },
		"one":              func(good [][]byte, _ []byte) [][]byte { return good[:1] },
		"three":            func(good [][]byte, _ []byte) [][]byte { return append(good, good[0]) },
		"one twice":        func(good [][]byte, _ []byte) [][]byte { return [][]byte{good[0], good[0]} },
		"other nonce":      func([][]byte, []byte) [][]byte { return g.statements(t, 0, wrong) },
		"one other nonce":  func(good [][]byte, _ []byte) [][]byte { return [][]byte{good[0], g.statements(t, 0, wrong)[1]} },
		"earlier nonce":    func([][]byte, []byte) [][]byte { return g.statements(t, 0, stale.Nonce) },
		"altered":          func(good [][]byte, _ []byte) [][]byte { good[1][len(good[1])-70] ^= 1; return good },
		"own":              func(good [][]byte, n []byte) [][]byte { s, _ := g.c[0].Statement(n); return [][]byte{good[0], s} },
		"of another group": func(_ [][]byte, n []byte) [][]byte { return stranger.statements(t, 0, n) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := g.c[0].Stage(update)
			ok(t, err)
			_, err = g.c[0].Activate(s.Digest, statements(g.statements(t, 0, s.Nonce), s.Nonce))
			code(t, err, license.CodeGuardRefused)
			if quantity(g.c[0]) != 20 {
				t.Fatal("it was activated all the same")
			}
			// The nonce is used up.
			_, err = g.c[0].Activate(s.Digest, g.statements(t, 0, s.Nonce))
			code(t, err, license.CodeGuardRefused)
		})
	}
	t.Run("not a statement", func(t *testing.T) {
		s, err := g.c[0].Stage(update)
		ok(t, err)
		_, err = g.c[0].Activate(s.Digest, [][]byte{{1, 2}, nil})
		code(t, err, license.CodeFormatUnknown)
	})
	t.Run("any order", func(t *testing.T) {
		s, err := g.c[0].Stage(update)
		ok(t, err)
		statements := g.statements(t, 0, s.Nonce)
		slices.Reverse(statements)
		_, err = g.c[0].Activate(s.Digest, statements)
		ok(t, err)
	})
}

// TestGuardKeepsForce: the two others must carry what is in force with us.
func TestGuardKeepsForce(t *testing.T) {
	seven := &license.Options{Quantity: 20, TMRID: 7}
	eight := &license.Options{Quantity: 30, TMRID: 8}
	g := newTrio(t)
	g.start(t)
	g.roll(t, 0, g.issue(t, 0, 30, 8, seven))
	g.roll(t, 1, g.issue(t, 1, 30, 8, seven))
	// In force is #8 by 1 and 2; 1 and 3 alone would fall back to #7.
	next := g.issue(t, 1, 40, 9, eight)
	s, err := g.c[1].Stage(next)
	ok(t, err)
	_, err = g.c[1].Activate(s.Digest, g.statements(t, 1, s.Nonce))
	code(t, err, license.CodeGuardRefused)
	g.roll(t, 2, g.issue(t, 2, 30, 8, seven))
	g.roll(t, 1, next)

	// Another product that only we and one more hold.
	other := license.Product{Firm: firm, Code: 15}
	group := g.group
	both := func(i int, id uint32) []byte {
		return g.next(t, g.to[i], seal.Payload{Set: []seal.Grant{g.grant(other, 1, id, nil)}, Group: &group})
	}
	g.roll(t, 0, both(0, 1))
	g.roll(t, 1, both(1, 1))
	s, err = g.c[0].Stage(both(0, 2))
	ok(t, err)
	_, err = g.c[0].Activate(s.Digest, g.statements(t, 0, s.Nonce))
	code(t, err, license.CodeGuardRefused)
}

// TestGuardWithoutGroupInUpdate: an update that says nothing of the group does
// not get past its guard.
func TestGuardWithoutGroupInUpdate(t *testing.T) {
	g := newTrio(t)
	g.start(t)
	for name, p := range map[string]seal.Payload{
		"set":         {Set: []seal.Grant{g.grant(chart, 30, 8, nil)}},
		"set without": {Set: []seal.Grant{g.grant(chart, 30, 0, nil)}},
		"remove":      {Remove: []license.Product{chart}},
		"nothing":     {},
	} {
		t.Run(name, func(t *testing.T) {
			update := g.seal(t, *g.to[0], 2, g.to[0].previous, p)
			s, err := g.c[0].Stage(update)
			ok(t, err)
			_, err = g.c[0].Activate(s.Digest, nil)
			code(t, err, license.CodeGuardRefused)
		})
	}
	g.roll(t, 0, g.next(t, g.to[0], seal.Payload{Set: []seal.Grant{g.grant(chart, 30, 8, nil)}}))
}

// TestGuardReplacedBackend: the keys of the staged update's group count, and a
// container that gives the group nothing needs no word.
func TestGuardReplacedBackend(t *testing.T) {
	g, seven := newTrio(t), &license.Options{Quantity: 20, TMRID: 7}
	g.start(t)
	old := g.c[2]
	g.c[2], g.to[2] = g.create(t, t.TempDir()+"/new", 2000)
	g.group.Members[2] = seal.Member{Serial: g.to[2].serial, Key: g.to[2].identity.Sign}
	install(t, g.c[2], g.issue(t, 2, 30, 8, seven))

	update := g.issue(t, 0, 30, 8, seven)
	s, err := g.c[0].Stage(update)
	ok(t, err)
	good := g.statements(t, 0, s.Nonce)
	was, err := old.Statement(s.Nonce)
	ok(t, err)
	_, err = g.c[0].Activate(s.Digest, [][]byte{good[0], was})
	code(t, err, license.CodeGuardRefused)
	g.roll(t, 0, update)
	g.roll(t, 1, g.issue(t, 1, 30, 8, seven))
}

func TestGuardNotNeededButVerified(t *testing.T) {
	g := newTrio(t)
	update := g.issue(t, 0, 20, 7, nil)
	s, err := g.c[0].Stage(update)
	ok(t, err)
	_, err = g.c[0].Activate(s.Digest, g.statements(t, 0, bytes.Repeat([]byte{1}, 16)))
	code(t, err, license.CodeGuardRefused)
	g.roll(t, 0, update)
	// The first of three also passes on the word of two that hold nothing.
	g.roll(t, 1, g.issue(t, 1, 20, 7, nil))
}

func TestNonceLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTrio(t)
		g.start(t)
		update := g.issue(t, 0, 30, 8, nil)
		s, err := g.c[0].Stage(update)
		ok(t, err)
		statements := g.statements(t, 0, s.Nonce)
		time.Sleep(NonceLife + time.Nanosecond)
		_, err = g.c[0].Activate(s.Digest, statements)
		code(t, err, license.CodeGuardRefused)

		s, err = g.c[0].Stage(update)
		ok(t, err)
		statements = g.statements(t, 0, s.Nonce)
		time.Sleep(NonceLife)
		_, err = g.c[0].Activate(s.Digest, statements)
		ok(t, err)
	})
}

// TestNonceOfProcess: a nonce does not serve
// after the server started again.
func TestNonceOfProcess(t *testing.T) {
	g := newTrio(t)
	path := t.TempDir() + "/c"
	g.c[0], g.to[0] = g.create(t, path, 3000)
	g.group.Members[0] = seal.Member{Serial: g.to[0].serial, Key: g.to[0].identity.Sign}
	g.start(t)
	s, err := g.c[0].Stage(g.issue(t, 0, 30, 8, nil))
	ok(t, err)
	statements := g.statements(t, 0, s.Nonce)
	ok(t, g.c[0].Close())
	g.c[0], err = Open(path)
	ok(t, err)
	defer func() { ok(t, g.c[0].Close()) }()
	_, err = g.c[0].Activate(s.Digest, statements)
	code(t, err, license.CodeGuardRefused)
}
