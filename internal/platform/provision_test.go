package platform_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/seal"
)

func TestProvision(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		spec := l.spec()
		made, err := l.Provision(l.vendor(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if g := made.Group; g.VirtualSerial != "131-4837572" || g.NextTmrID != 7 || g.Status != "1:- 2:- 3:-" || g.CustomerID == nil {
			t.Errorf("group %+v", g)
		}
		if made.Virtual.Kind != property.ContainerVirtual || made.Virtual.Position != nil {
			t.Errorf("virtual container %+v", made.Virtual)
		}
		for i, serial := range []string{"130-1874829", "130-27845973", "130-3879234"} {
			if c := made.Containers[i]; c.Serial != serial || *c.Position != i+1 || *c.TmrGroupID != made.Group.ID || c.Kind != property.ContainerUniversal {
				t.Errorf("container %+v", c)
			}
		}
		if _, err := seal.VerifyFirmCert(l.first.Root, made.Firm.Cert); err != nil {
			t.Errorf("the firm's certificate: %v", err)
		}
		if made.Servers[0].Token == "" || made.Servers[1].Token == "" || made.Servers[0].Token == made.Servers[1].Token {
			t.Error("the servers have no tokens of their own")
		}
		// Again: the same, without secrets.
		again, err := l.Provision(l.vendor(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if again.Group.ID != made.Group.ID || again.Item.ID != made.Item.ID || again.Virtual.ID != made.Virtual.ID ||
			again.Containers[2].ID != made.Containers[2].ID || again.Servers[1].Server.ID != made.Servers[1].Server.ID ||
			again.Servers[0].Token != "" || string(again.Product.SealedKey) != string(made.Product.SealedKey) {
			t.Error("something was made twice")
		}
		if n := l.audited("platform.provision"); n != 1 {
			t.Errorf("%d audit entries", n)
		}
	})
}

func TestProvisionRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		foreignRoot, _, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		backend := license.Serial{Mask: 130, Number: 1874829}
		cases := map[string]struct {
			code   license.Code
			change func(*provision.ProvisionSpec)
		}{
			"old firm code":  {license.CodeInvalidInput, func(s *provision.ProvisionSpec) { s.Firm.Code = 600010 }},
			"virtual serial": {license.CodeInvalidInput, func(s *provision.ProvisionSpec) { s.Group.Virtual.Mask = 130 }},
			"no token key":   {license.CodeInvalidInput, func(s *provision.ProvisionSpec) { s.Group.TokenKey = nil }},
			"no server":      {license.CodeInvalidInput, func(s *provision.ProvisionSpec) { s.Group.Servers = nil }},
			"one twice":      {license.CodeInvalidInput, func(s *provision.ProvisionSpec) { s.Group.Fingerprints[1] = s.Group.Fingerprints[0] }},
			"no fingerprint": {license.CodeFormatUnknown, func(s *provision.ProvisionSpec) { s.Group.Fingerprints[1] = []byte("hello") }},
			"forged":         {license.CodeFingerprintForged, func(s *provision.ProvisionSpec) { f := s.Group.Fingerprints[1]; f[len(f)-1] ^= 1 }},
			"foreign root": {license.CodeConflict, func(s *provision.ProvisionSpec) {
				s.Group.Fingerprints[0] = l.fingerprint(seal.Fingerprint{Serial: backend, Root: foreignRoot})
			}},
			"activation id": {license.CodeInvalidInput, func(s *provision.ProvisionSpec) {
				s.Group.Fingerprints[0] = l.fingerprint(seal.Fingerprint{Serial: backend, ActivationID: [16]byte{9}})
			}},
			"a used one": {license.CodeManipulation, func(s *provision.ProvisionSpec) {
				s.Group.Fingerprints[0] = l.fingerprint(seal.Fingerprint{Serial: backend, Firms: []seal.FirmState{{Firm: 6000010, Counter: 1, Digest: [32]byte{1}}}})
			}},
			"another's for me": {license.CodeForbidden, func(s *provision.ProvisionSpec) { s.Vendor = "org_other" }},
		}
		for what, c := range cases {
			s := l.spec()
			c.change(&s)
			_, err := l.Provision(l.vendor(), s)
			wantCode(t, what, err, c.code)
		}
		if n := l.Store().Client().Firm.Query().CountX(l.system()); n != 0 {
			t.Errorf("%d firms are left of refused attempts", n)
		}
		_, err = l.Provision(l.with(auth.Operator), l.spec())
		wantCode(t, "an operator", err, license.CodeForbidden)
		_, err = l.Provision(t.Context(), l.spec())
		wantCode(t, "nobody", err, license.CodeUnauthenticated)

		l.provision()
		_, err = l.Provision(l.vendor(), l.spec()) // the same serials with other keys
		wantCode(t, "other containers of the same serials", err, license.CodeConflict)
		_, err = l.Provision(l.stranger(), l.spec())
		wantCode(t, "another vendor's codes", err, license.CodeConflict)
	})
}

func TestLinkTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		p, err := l.AuthenticateLink(t.Context(), made.Servers[1].Token)
		if err != nil || p.Kind != auth.KindServer || p.Group != made.Group.ID || p.Organization != *made.Group.CustomerID {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, c := range []auth.Capability{auth.Read, auth.Order, auth.RunRollout, auth.Release, auth.Provision} {
			if p.Can(c) {
				t.Errorf("a server may %s", c)
			}
		}
		id := made.Servers[1].Server.ID
		fresh, err := l.RotateLinkToken(l.vendor(), id)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.AuthenticateLink(t.Context(), made.Servers[1].Token)
		wantCode(t, "the old token", err, license.CodeUnauthenticated)
		if p, err := l.AuthenticateLink(t.Context(), fresh); err != nil || p.ID != id {
			t.Errorf("%+v, %v", p, err)
		}
		_, err = l.RotateLinkToken(l.stranger(), id)
		wantCode(t, "a stranger", err, license.CodeNotFound)
		_, err = l.RotateLinkToken(l.with(auth.Operator), id)
		wantCode(t, "an operator", err, license.CodeForbidden)
	})
}
