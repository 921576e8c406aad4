package platform_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/platformkey"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/core"
)

func TestBootstrap(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		again, err := l.Bootstrap(t.Context(), firstSpec())
		if err != nil {
			t.Fatal(err)
		}
		if !again.Root.Equal(l.first.Root) || again.Owner.ID != l.first.Owner.ID || again.Organization.ID != l.first.Organization.ID ||
			again.Password != "" {
			t.Errorf("the second time: %+v", again)
		}
		if root, err := l.RootKey(t.Context()); err != nil || !root.Equal(l.first.Root) || len(root) != ed25519.PublicKeySize {
			t.Errorf("root key %x, %v", root, err)
		}
		if n := l.audited("platform.bootstrap"); n != 1 {
			t.Errorf("%d audit entries", n)
		}
		// A second owner without a password gets one, once.
		second := firstSpec()
		second.Email, second.Password = "second@example.com", ""
		made, err := l.Bootstrap(t.Context(), second)
		if err != nil || made.Password == "" {
			t.Fatalf("no password was made: %v", err)
		}
		if _, err := l.signIn(t.Context(), "second@example.com", made.Password); err != nil {
			t.Error(err)
		}
		// A vendor that has another name by now is not made once more.
		c := l.Store().Client()
		vendors := func() int { return c.Organization.Query().Where(organization.Vendor(true)).CountX(l.system()) }
		was := vendors()
		c.Organization.UpdateOneID(l.first.Organization.ID).SetName("Renamed").ExecX(l.system())
		if out, err := l.Bootstrap(t.Context(), firstSpec()); err != nil || out.Created || out.Organization.ID != l.first.Organization.ID || vendors() != was {
			t.Errorf("after the vendor was renamed: %+v, %v, %d vendors instead of %d", out, err, vendors(), was)
		}
		// Whoever has the account of an address need not be whom it belongs to.
		customer, err := l.CreateCustomer(l.vendor(), "", "Shipping")
		if err != nil {
			t.Fatal(err)
		}
		l.join(customer.ID, "carl", property.RoleOwner)
		carls := firstSpec()
		carls.Organization, carls.Email = "Renamed", "carl@example.com"
		_, err = l.Bootstrap(t.Context(), carls)
		wantCode(t, "an owner who has an account", err, license.CodeConflict)
		carls.Organization = "New"
		_, err = l.Bootstrap(t.Context(), carls)
		wantCode(t, "a vendor of somebody who has an account", err, license.CodeConflict)
		if vendors() != was {
			t.Error("a vendor without an owner is left")
		}
		for what, change := range map[string]func(*accounts.BootstrapSpec){
			"no address":     func(s *accounts.BootstrapSpec) { s.Email = "nobody" },
			"no name":        func(s *accounts.BootstrapSpec) { s.Organization = "" },
			"short password": func(s *accounts.BootstrapSpec) { s.Email, s.Password = "third@example.com", "short" },
		} {
			s := firstSpec()
			change(&s)
			_, err := l.Bootstrap(t.Context(), s)
			wantCode(t, what, err, license.CodeInvalidInput)
		}
	})
}

// TestKeysAreSealed: neither the database nor another master key gives a
// private key away, and nothing is made anew in its place.
func TestKeysAreSealed(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.provision()
		other, _, _ := newPlatform(t, l.Store(), 2)
		_, err := other.RootKey(t.Context())
		wantCode(t, "root key", err, license.CodeKeyRefused)
		_, err = other.Bootstrap(t.Context(), firstSpec())
		wantCode(t, "bootstrap", err, license.CodeKeyRefused)
		_, err = other.Provision(l.vendor(), l.spec())
		wantCode(t, "provision", err, license.CodeKeyRefused)
		if n := l.Store().Client().PlatformKey.Query().Where(platformkey.Name("root")).CountX(l.system()); n != 1 {
			t.Errorf("%d root keys", n)
		}
	})
}

func TestMasterKey(t *testing.T) {
	path := t.TempDir() + "/master.key"
	if _, err := core.LoadMasterKey(path); err == nil {
		t.Error("loaded from nothing")
	}
	a, err := core.LoadOrCreateMasterKey(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := core.LoadOrCreateMasterKey(path)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("the firm's key")
	sealed, err := a.Seal(t.Context(), "firm:1", secret)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, secret) {
		t.Error("sealed is not secret")
	}
	if got, err := b.Open(t.Context(), "firm:1", sealed); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%q, %v", got, err)
	}
	_, err = b.Open(t.Context(), "firm:2", sealed)
	wantCode(t, "another purpose", err, license.CodeKeyRefused)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		_, err := b.Open(t.Context(), "firm:1", bad)
		wantCode(t, "a flipped bit", err, license.CodeKeyRefused)
	}
	for n := range sealed {
		_, err := b.Open(t.Context(), "firm:1", sealed[:n])
		wantCode(t, "cut off", err, license.CodeKeyRefused)
	}
	_, err = core.ParseMasterKey("AAAA")
	wantCode(t, "a short key", err, license.CodeInvalidInput)
	_, err = core.ParseMasterKey("!")
	wantCode(t, "no Base64", err, license.CodeInvalidInput)
}

// TestSignInWithNoAddress: whatever is no e-mail address is nobody's, and never
// reaches the database.
func TestSignInWithNoAddress(t *testing.T) {
	for _, email := range []string{"a\x00b@example.com", "\x00", "\"a\x00b\"@example.com", strings.Repeat("x", 16<<10), "\xff@example.com"} {
		onBoth(t, func(t *testing.T, l *lab) {
			_, err := l.signIn(t.Context(), email, password)
			wantCode(t, fmt.Sprintf("%.20q", email), err, license.CodeUnauthenticated)
		})
	}
}

func TestSignIn(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		if l.owner.Organization != l.first.Organization.ID || l.owner.Role != auth.Owner || l.owner.Kind != auth.KindMember {
			t.Errorf("signed in as %+v", l.owner)
		}
		_, err := l.signIn(t.Context(), "owner@example.com", "wrong")
		_, unknown := l.signIn(t.Context(), "nobody@example.com", password)
		wantCode(t, "wrong password", err, license.CodeUnauthenticated)
		if unknown == nil || unknown.Error() != err.Error() {
			t.Errorf("an unknown member is told apart: %v, %v", unknown, err)
		}
		if _, err := l.signIn(t.Context(), "OWNER@example.com", password); err != nil {
			t.Errorf("address in capitals: %v", err)
		}
		for range 10 {
			_, err = l.signIn(t.Context(), "owner@example.com", "wrong")
		}
		wantCode(t, "guessing", err, license.CodeThrottled)
		_, err = l.signIn(t.Context(), "owner@example.com", password)
		wantCode(t, "the right one while throttled", err, license.CodeThrottled)

		p, err := l.MemberPrincipal(t.Context(), l.owner.ID)
		if err != nil || p != l.owner {
			t.Errorf("%+v, %v", p, err)
		}
		l.Store().Client().Member.DeleteOneID(l.owner.ID).ExecX(l.system())
		_, err = l.MemberPrincipal(t.Context(), l.owner.ID)
		wantCode(t, "a removed member", err, license.CodeUnauthenticated)
	})
}

func TestTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		row, token, err := l.CreateToken(l.vendor(), "", accounts.TokenSpec{Name: "erp", Role: "OPERATOR"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.Authenticate(t.Context(), token)
		if err != nil || p.ID != row.ID || p.Role != auth.Operator || p.Organization != l.owner.Organization || p.Kind != auth.KindToken {
			t.Errorf("%+v, %v", p, err)
		}
		if used := l.Store().Client().ApiToken.GetX(l.system(), row.ID); used.LastUsedAt == nil || bytes.Contains(used.Hash, []byte(token)) {
			t.Error("its use is not recorded, or the token is stored")
		}
		for what, bad := range map[string]string{"empty": "", "cut": token[:len(token)-1], "changed": token[:len(token)-2] + "xx", "kind": "qrl_" + token[4:]} {
			_, err := l.Authenticate(t.Context(), bad)
			wantCode(t, what, err, license.CodeUnauthenticated)
		}
		_, err = l.AuthenticateLink(t.Context(), token)
		wantCode(t, "as a link token", err, license.CodeUnauthenticated)
		_, _, err = l.CreateToken(l.with(auth.Operator), "", accounts.TokenSpec{Name: "x", Role: "VIEWER"})
		wantCode(t, "an operator", err, license.CodeForbidden)
		_, _, err = l.CreateToken(l.with(auth.Administrator), "", accounts.TokenSpec{Name: "x", Role: "OWNER"})
		wantCode(t, "an administrator for more than himself", err, license.CodeForbidden)
		_, _, err = l.CreateToken(l.vendor(), "", accounts.TokenSpec{Role: "VIEWER"})
		wantCode(t, "no name", err, license.CodeInvalidInput)
		_, _, err = l.CreateToken(l.vendor(), "", accounts.TokenSpec{Name: "x", Role: "GOD"})
		wantCode(t, "no role", err, license.CodeInvalidInput)
		_, _, err = l.CreateToken(t.Context(), "", accounts.TokenSpec{Name: "x", Role: "VIEWER"})
		wantCode(t, "nobody", err, license.CodeUnauthenticated)
		if n := l.audited("token.created"); n != 1 {
			t.Errorf("%d audit entries", n)
		}
	})
}
