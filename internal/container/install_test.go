package container

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

func TestInstall(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	c, to := v.create(t, path, 1)
	update := v.next(t, to, v.plain(20))
	s, err := c.Stage(update)
	ok(t, err)
	if s.Installed || s.Number != 1 || s.Digest != seal.Digest(update) || s.Receipt != nil || len(s.Nonce) < seal.LeastNonce {
		t.Fatalf("staged is %+v", s)
	}
	if quantity(c) != 0 {
		t.Fatal("staging gave the license")
	}
	receipt, err := c.Activate(s.Digest, nil)
	ok(t, err)
	if quantity(c) != 20 {
		t.Fatal("activating did not give the license")
	}
	r, err := seal.OpenReceipt(receipt, to.identity.Sign)
	ok(t, err)
	if r.Serial != to.serial || r.Firm != firm || r.Number != 1 || r.Update != s.Digest || r.At.IsZero() {
		t.Fatalf("receipt is %+v", r)
	}

	// Everything again has the effect of once, also after a restart.
	for range 2 {
		again, err := c.Activate(s.Digest, nil)
		ok(t, err)
		staged, err := c.Stage(update)
		ok(t, err)
		if !bytes.Equal(again, receipt) || !staged.Installed || !bytes.Equal(staged.Receipt, receipt) {
			t.Fatal("the receipt is another one")
		}
		version, _ := c.Licenses()
		if version != 1 {
			t.Fatalf("version is %d", version)
		}
		ok(t, c.Close())
		c, err = Open(path)
		ok(t, err)
	}
	ok(t, c.Close())
}

func TestStagedOutlivesRestart(t *testing.T) {
	v := newVendor(t)
	path := filepath.Join(t.TempDir(), "container")
	c, to := v.create(t, path, 1)
	s, err := c.Stage(v.next(t, to, v.plain(20)))
	ok(t, err)
	ok(t, c.Close())
	c, err = Open(path)
	ok(t, err)
	defer func() { ok(t, c.Close()) }()
	_, err = c.Activate(s.Digest, nil)
	ok(t, err)
	if quantity(c) != 20 {
		t.Fatal("the staged update was lost")
	}
}

func TestStageReplacesStaged(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	first := v.seal(t, *to, 1, [32]byte{}, v.plain(20))
	second := v.seal(t, *to, 1, [32]byte{}, v.plain(30))
	_, err := c.Activate(seal.Digest(first), nil)
	code(t, err, license.CodeUpdateNotStaged)
	a, err := c.Stage(first)
	ok(t, err)
	b, err := c.Stage(second)
	ok(t, err)
	_, err = c.Activate(a.Digest, nil)
	code(t, err, license.CodeUpdateNotStaged)
	_, err = c.Activate(b.Digest, nil)
	ok(t, err)
	if quantity(c) != 30 {
		t.Fatalf("quantity is %d", quantity(c))
	}
	_, err = c.Activate([32]byte{}, nil)
	code(t, err, license.CodeUpdateNotStaged)
}

// TestSequence is the rule of numbers and digests.
func TestSequence(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	first := v.next(t, to, v.plain(20))
	install(t, c, first)
	second := v.next(t, to, v.plain(21))
	install(t, c, second)
	for name, tt := range map[string]struct {
		update []byte
		code   license.Code
	}{
		"replay":                {first, license.CodeUpdateReplayed},
		"lower, never seen":     {v.seal(t, *to, 1, [32]byte{}, v.plain(99)), license.CodeUpdateReplayed},
		"same number":           {v.seal(t, *to, 2, seal.Digest(first), v.plain(99)), license.CodeUpdateConflict},
		"gap":                   {v.seal(t, *to, 4, seal.Digest(second), v.plain(99)), license.CodeUpdateGap},
		"wrong previous":        {v.seal(t, *to, 3, seal.Digest(first), v.plain(99)), license.CodeUpdateConflict},
		"another serial":        {v.seal(t, target{license.Serial{Mask: 130, Number: 9}, to.identity, 0, [32]byte{}}, 3, seal.Digest(second), v.plain(99)), license.CodeUpdateForeign},
		"truncated":             {second[:len(second)-1], license.CodeUpdateTampered},
		"nothing":               {nil, license.CodeFormatUnknown},
		"a receipt":             {install(t, c, second), license.CodeFormatUnknown},
		"too large":             {make([]byte, seal.MostUpdate+1), license.CodeTooLarge},
		"TMR without a group":   {v.seal(t, *to, 3, seal.Digest(second), seal.Payload{Set: []seal.Grant{v.grant(chart, 99, 7, nil)}}), license.CodeInvalidInput},
		"predecessor not older": {v.seal(t, *to, 3, seal.Digest(second), seal.Payload{Set: []seal.Grant{v.grant(chart, 99, 7, &license.Options{Quantity: 1, TMRID: 7})}}), license.CodeInvalidInput},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Stage(tt.update)
			code(t, err, tt.code)
			if quantity(c) != 21 {
				t.Fatalf("quantity is %d", quantity(c))
			}
		})
	}
	other, identity := v.container(t)
	_, err := c.Stage(v.next(t, identity, v.plain(99)))
	code(t, err, license.CodeUpdateForeign)
	_, err = other.Stage(v.seal(t, *identity, 2, [32]byte{1}, v.plain(99)))
	code(t, err, license.CodeUpdateGap)
	install(t, c, v.next(t, to, v.plain(22)))
}

func TestForeignFirm(t *testing.T) {
	v, stranger := newVendor(t), newVendor(t)
	c, to := v.container(t)
	_, err := c.Stage(stranger.seal(t, *to, 1, [32]byte{}, stranger.plain(1)))
	code(t, err, license.CodeUpdateUntrusted)
}

// TestFirmsCountApart installs updates of two firms side by side.
func TestFirmsCountApart(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	install(t, c, v.next(t, to, v.plain(20)))
	other := newSigner(t)
	cert, err := seal.SignFirmCert(v.root, seal.FirmCert{Firm: 600010, Key: other.Public(), Serial: 1})
	ok(t, err)
	p := license.Product{Firm: 600010, Code: 1}
	update, err := seal.SealUpdate(other, cert, to.identity, seal.UpdateHeader{Firm: 600010, Serial: to.serial, Number: 1},
		seal.Payload{Set: []seal.Grant{v.grant(p, 5, 0, nil)}})
	ok(t, err)
	install(t, c, update)
	_, held := c.Licenses()
	if len(held) != 2 || held[0].Product != p || held[1].Product != chart {
		t.Fatalf("holds %+v", held)
	}
}

func TestMostLicenses(t *testing.T) {
	v := newVendor(t)
	c, to := v.container(t)
	p := func(from int, n int) (all []license.Product) {
		for i := range n {
			all = append(all, license.Product{Firm: firm, Code: license.ProductCode(from + i)}) //nolint:gosec // G115: small
		}
		return all
	}
	set := func(all []license.Product) (gs []seal.Grant) {
		for _, q := range all {
			gs = append(gs, v.grant(q, 1, 0, nil))
		}
		return gs
	}
	install(t, c, v.next(t, to, seal.Payload{Set: set(p(1000, seal.MostLicenses))}))
	_, err := c.Stage(v.seal(t, *to, 2, to.previous, seal.Payload{Set: set(p(1, 1))}))
	code(t, err, license.CodeTooLarge)
	install(t, c, v.next(t, to, seal.Payload{Set: set(p(1, 1)), Remove: p(1000, 1)}))
	_, err = c.Fingerprint(nil)
	ok(t, err)
	_, err = c.Statement(make([]byte, 64))
	ok(t, err)
}

func TestTMRTerms(t *testing.T) {
	g := newTrio(t)
	g.start(t)
	group := g.group
	previous, to := g.to[0].previous, *g.to[0]
	at := func(quantity, id uint32, before *license.Options) []byte {
		return g.seal(t, to, 2, previous, seal.Payload{Set: []seal.Grant{g.grant(chart, quantity, id, before)}, Group: &group})
	}
	for name, tt := range map[string]struct {
		update []byte
		code   license.Code
	}{
		"next":                   {at(30, 8, &license.Options{Quantity: 20, TMRID: 7}), ""},
		"next but one":           {at(30, 9, &license.Options{Quantity: 25, TMRID: 8}), ""},
		"without predecessor":    {at(30, 8, nil), ""},
		"the same again":         {at(20, 7, nil), ""},
		"lower id":               {at(30, 6, nil), license.CodeUpdateConflict},
		"same id, other terms":   {at(30, 7, nil), license.CodeUpdateConflict},
		"predecessor older":      {at(30, 8, &license.Options{Quantity: 10, TMRID: 6}), license.CodeUpdateConflict},
		"predecessor the same":   {at(30, 8, &license.Options{Quantity: 20, TMRID: 8}), license.CodeInvalidInput},
		"predecessor from later": {at(30, 8, &license.Options{Quantity: 20, TMRID: 9}), license.CodeInvalidInput},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := g.c[0].Stage(tt.update)
			code(t, err, tt.code)
		})
	}
}

// TestRollForward: #8 never came into force, so #9 follows #7 everywhere.
func TestRollForward(t *testing.T) {
	g := newTrio(t)
	g.start(t)
	seven := &license.Options{Quantity: 20, TMRID: 7}
	g.roll(t, 0, g.issue(t, 0, 30, 8, seven))
	for i := range g.c {
		g.roll(t, i, g.issue(t, i, 20, 9, seven))
	}
}

func TestGroupIsOurs(t *testing.T) {
	g := newTrio(t)
	g.start(t)
	stage := func(change func(*seal.Group)) error {
		group := g.group
		change(&group)
		_, err := g.c[0].Stage(g.seal(t, *g.to[0], 2, g.to[0].previous, seal.Payload{Group: &group}))
		return err
	}
	stranger := newSigner(t).Public()
	code(t, stage(func(g *seal.Group) { g.ActivationID[0]++ }), license.CodeUpdateForeign)
	code(t, stage(func(g *seal.Group) { g.Members[0].Key = stranger }), license.CodeUpdateForeign)
	code(t, stage(func(g *seal.Group) { g.Members[0].Serial.Number++; g.Members[0].Serial.Number += 99 }), license.CodeUpdateForeign)
	code(t, stage(func(g *seal.Group) { g.Virtual.Number++ }), license.CodeUpdateConflict)
	code(t, stage(func(g *seal.Group) { g.Members[2].Key = stranger }), "")
}
