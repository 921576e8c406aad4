package platform_test

import (
	"context"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/clocks"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/seal"
)

// timed is a group whose containers' keys are known.
type timed struct {
	*lab
	made       provision.Provisioned
	identities [license.Backends]*seal.Identity
}

func newTimed(l *lab) *timed {
	l.t.Helper()
	c := &timed{lab: l}
	spec := l.spec()
	for i := range spec.Group.Fingerprints {
		var err error
		if c.identities[i], err = seal.NewIdentity(); err != nil {
			l.t.Fatal(err)
		}
		spec.Group.Fingerprints[i] = c.print(i, nil)
	}
	var err error
	if c.made, err = l.Provision(l.vendor(), spec); err != nil {
		l.t.Fatal(err)
	}
	return c
}

func serialOf(i int) license.Serial {
	return license.Serial{Mask: 130, Number: []uint64{1874829, 27845973, 3879234}[i]}
}

func (c *timed) print(i int, change func(*seal.Fingerprint)) []byte {
	c.t.Helper()
	f := seal.Fingerprint{
		Serial: serialOf(i), Root: c.first.Root, ActivationID: [16]byte{1, 2, 3}, At: time.Now().UTC().Truncate(time.Second), TimeNonce: [16]byte{8, byte(i)}, //nolint:gosec // G115: small
	}
	if change != nil {
		change(&f)
	}
	b, err := seal.SignFingerprint(c.identities[i], f)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c *timed) request(change func(*seal.Fingerprint)) string {
	c.t.Helper()
	f := armor.File{Kind: armor.Request, Group: license.Serial{Mask: 131, Number: 4837572}}
	for i := range c.identities {
		f.Messages = append(f.Messages, c.print(i, change))
	}
	return c.text(f)
}

func (c *timed) text(f armor.File) string {
	c.t.Helper()
	b, err := armor.Encode(f)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

func (c *timed) questions() (all []clocks.TimeQuestion) {
	for i := range c.identities {
		all = append(all, clocks.TimeQuestion{Serial: serialOf(i), Nonce: [16]byte{9, byte(i)}, Clock: time.Now()}) //nolint:gosec // G115: small
	}
	return all
}

// opened verifies a certificate, and that it is of now.
func opened(t *testing.T, b []byte, root ed25519.PublicKey) seal.TimeCertificate {
	t.Helper()
	c, err := seal.OpenTime(b, root)
	if err != nil {
		t.Fatal(err)
	}
	if time.Since(c.At).Abs() > time.Minute {
		t.Errorf("certified %s", c.At)
	}
	return c
}

func TestCertifyTime(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		c := newTimed(l)
		server := l.link(c.made)
		questions := c.questions()
		all, err := l.CertifyTime(server, questions)
		if err != nil || len(all) != 3 {
			t.Fatalf("%d certificates, %v", len(all), err)
		}
		for i, b := range all {
			if got := opened(t, b, l.first.Root); got.Serial != questions[i].Serial || got.Nonce != questions[i].Nonce {
				t.Errorf("certificate %d: %+v", i+1, got)
			}
		}
		// A clock that is right is not worth an entry; asking again at once is refused.
		if n := l.audited("container.certifyTime"); n != 0 {
			t.Errorf("%d audit entries", n)
		}
		_, err = l.CertifyTime(l.standby(c.made), questions[2:])
		wantCode(t, "again", err, license.CodeThrottled)
	})
}

func TestCertifyTimeIsForOnesOwnContainers(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		c := newTimed(l)
		server, q := l.link(c.made), c.questions()
		virtual := clocks.TimeQuestion{Serial: license.Serial{Mask: 131, Number: 4837572}, Nonce: [16]byte{1}}
		unknown := clocks.TimeQuestion{Serial: license.Serial{Mask: 130, Number: 5}, Nonce: [16]byte{1}}
		elsewhere, err := auth.From(server)
		if err != nil {
			t.Fatal(err)
		}
		elsewhere.Group = "grp_other"
		for what, x := range map[string]struct {
			ctx  context.Context
			q    []clocks.TimeQuestion
			code license.Code
		}{
			"nobody":            {t.Context(), q, license.CodeUnauthenticated},
			"a member":          {l.vendor(), q, license.CodeForbidden},
			"no question":       {server, nil, license.CodeInvalidInput},
			"four questions":    {server, append(c.questions(), unknown), license.CodeInvalidInput},
			"one twice":         {server, []clocks.TimeQuestion{q[0], q[0]}, license.CodeInvalidInput},
			"without a nonce":   {server, []clocks.TimeQuestion{{Serial: serialOf(0)}}, license.CodeInvalidInput},
			"an unknown one":    {server, []clocks.TimeQuestion{q[0], unknown}, license.CodeNotFound},
			"the virtual one":   {server, []clocks.TimeQuestion{virtual}, license.CodeNotFound},
			"of another group":  {l.as(elsewhere), q, license.CodeNotFound},
			"server of nothing": {l.as(auth.Principal{Kind: auth.KindServer, ID: "srv_x", Organization: elsewhere.Organization}), q, license.CodeNotFound},
		} {
			_, err := l.CertifyTime(x.ctx, x.q)
			wantCode(t, what, err, x.code)
		}
		// Nothing of it counted: the right ones are answered.
		if _, err := l.CertifyTime(server, q); err != nil {
			t.Error(err)
		}
	})
}

func TestWrongClocksAreAudited(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		c := newTimed(l)
		q := c.questions()
		q[0].Clock = time.Now().Add(-4 * time.Minute)
		q[1].Clock = time.Now().Add(20 * time.Minute)
		q[2].SetBack = true
		if _, err := l.CertifyTime(l.link(c.made), q); err != nil {
			t.Fatal(err)
		}
		all, err := l.Store().Client().AuditEntry.Query().All(l.system())
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]map[string]any{}
		for _, a := range all {
			if a.Action == "container.certifyTime" {
				found[a.Target] = a.After
				if a.OrganizationID != c.made.Group.VendorID {
					t.Errorf("it is told to %s", a.OrganizationID)
				}
			}
		}
		if len(found) != 2 || found[c.made.Containers[1].ID]["clock"] == nil || found[c.made.Containers[2].ID]["setBack"] != true ||
			found[c.made.Containers[2].ID]["server"] != c.made.Servers[0].Server.ID {
			t.Errorf("audited: %v", found)
		}
	})
}

func TestCertifyTimeFile(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		c := newTimed(l)
		got, err := l.CertifyTimeFile(l.vendor(), c.request(nil))
		if err != nil || len(got.Containers) != 3 {
			t.Fatalf("%+v, %v", got, err)
		}
		f, err := armor.Parse([]byte(got.Update))
		if err != nil || f.Kind != armor.Update || f.Group.String() != "131-4837572" || len(f.Messages) != 3 {
			t.Fatalf("%+v, %v", f, err)
		}
		for i, b := range f.Messages {
			if x := opened(t, b, l.first.Root); x.Serial != serialOf(i) || x.Nonce != [16]byte{8, byte(i)} || x.At.UnixMilli() != got.At.UnixMilli() { //nolint:gosec // G115: small
				t.Errorf("certificate %d: %+v", i+1, x)
			}
		}
		if n := l.audited("container.certifyTime"); n != 3 {
			t.Errorf("%d audit entries", n)
		}
		if _, err := l.CertifyTimeFile(l.customer(c.made.Group), c.request(nil)); err != nil {
			t.Errorf("the customer: %v", err)
		}
		one := c.text(armor.File{Kind: armor.Request, Messages: [][]byte{c.print(1, nil)}})
		if got, err = l.CertifyTimeFile(l.vendor(), one); err != nil || len(got.Containers) != 1 || got.Containers[0].Serial != "130-27845973" {
			t.Errorf("one container: %+v, %v", got, err)
		}

		own := c.identities[0]
		if c.identities[0], err = seal.NewIdentity(); err != nil {
			t.Fatal(err)
		}
		copied := c.request(nil)
		c.identities[0] = own
		another := seal.NewSigner(make([]byte, 32)).Public()
		for what, x := range map[string]struct {
			ctx     context.Context
			request string
			code    license.Code
		}{
			"nobody":             {t.Context(), one, license.CodeUnauthenticated},
			"a viewer":           {l.with(auth.Viewer), one, license.CodeForbidden},
			"another vendor":     {l.stranger(), c.request(nil), license.CodeNotFound},
			"no file":            {l.vendor(), "hello", license.CodeFormatUnknown},
			"an update":          {l.vendor(), got.Update, license.CodeInvalidInput},
			"other keys":         {l.vendor(), copied, license.CodeFingerprintForged},
			"another activation": {l.vendor(), c.request(func(f *seal.Fingerprint) { f.ActivationID = [16]byte{9} }), license.CodeFingerprintForged},
			"another platform":   {l.vendor(), c.request(func(f *seal.Fingerprint) { f.Root = another }), license.CodeUpdateForeign},
			"no time nonce":      {l.vendor(), c.request(func(f *seal.Fingerprint) { f.TimeNonce = [16]byte{} }), license.CodeInvalidInput},
			"an unknown group": {l.vendor(), c.text(armor.File{Kind: armor.Request, Group: license.Serial{Mask: 131, Number: 9}, Messages: [][]byte{
				c.print(0, nil), c.print(1, nil), c.print(2, nil),
			}}), license.CodeNotFound},
		} {
			_, err := l.CertifyTimeFile(x.ctx, x.request)
			wantCode(t, what, err, x.code)
		}
	})
}

// A rollout by files brings the time with it.
func TestOfflineRolloutBringsTheTime(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		c := newTimed(l)
		if _, err := l.Order(l.vendor(), orders.OrderRequest{Item: c.made.Item.ID, Group: c.made.Group.ID, Quantity: 20}); err != nil {
			t.Fatal(err)
		}
		request := c.request(nil)
		for range 2 { // given again, the time is certified again
			out, err := l.StartOfflineRollout(l.vendor(), core.Place{Group: c.made.Group.ID}, request)
			if err != nil {
				t.Fatal(err)
			}
			f, err := armor.Parse([]byte(out.Update))
			if err != nil {
				t.Fatal(err)
			}
			parts, err := armor.Parts(f)
			if err != nil {
				t.Fatal(err)
			}
			updates, times := armor.Split(parts)
			if len(updates) != 3 || len(times) != 3 {
				t.Fatalf("%d updates and %d certificates", len(updates), len(times))
			}
			for i, p := range times {
				if x := opened(t, p.Message, l.first.Root); x.Serial != serialOf(i) || x.Nonce != [16]byte{8, byte(i)} { //nolint:gosec // G115: small
					t.Errorf("certificate %d: %+v", i+1, x)
				}
			}
		}
		if n := l.audited("container.certifyTime"); n != 0 {
			t.Errorf("%d audit entries for clocks that are right", n)
		}
		// One without a nonce gets its update all the same.
		out, err := l.StartOfflineRollout(l.vendor(), core.Place{Group: c.made.Group.ID}, c.request(func(f *seal.Fingerprint) { f.TimeNonce = [16]byte{} }))
		if err != nil || strings.Contains(out.Update, "; time ") {
			t.Errorf("without nonces: %v", err)
		}
		set := c.request(func(f *seal.Fingerprint) { f.Clock.Highest = f.At.Add(time.Hour) })
		if _, err := l.StartOfflineRollout(l.vendor(), core.Place{Group: c.made.Group.ID}, set); err != nil {
			t.Fatal(err)
		}
		if n := l.audited("container.certifyTime"); n != 3 {
			t.Errorf("%d audit entries for clocks that were set back", n)
		}
	})
}

func TestBlockedContainersGetNoTime(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		c := newTimed(l)
		l.Store().Client().Container.UpdateOneID(c.made.Containers[1].ID).SetBlockedAt(time.Now()).ExecX(l.system())
		_, err := l.CertifyTime(l.link(c.made), c.questions()[1:2])
		wantCode(t, "over the link", err, license.CodeContainerBlocked)
		_, err = l.CertifyTimeFile(l.vendor(), c.request(nil))
		wantCode(t, "by a file", err, license.CodeContainerBlocked)
		// It doesn't hold the others up.
		all, err := l.CertifyTime(l.link(c.made), c.questions())
		if err != nil || len(all) != 3 || len(all[1]) != 0 {
			t.Fatalf("the others: %q, %v", all, err)
		}
		opened(t, all[0], l.first.Root)
		opened(t, all[2], l.first.Root)
	})
}
