package platform_test

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/firmkeys"
	"github.com/quorate/quorate/internal/store"
)

// failing is a wrapper that fails to seal after a number of keys.
type failing struct {
	core.KeyWrapper
	left int
}

func (f *failing) Seal(ctx context.Context, purpose string, key []byte) ([]byte, error) {
	if f.left--; f.left < 0 {
		return nil, license.Errorf(license.CodeUnavailable, "try again", "the key store is down")
	}
	return f.KeyWrapper.Seal(ctx, purpose, key)
}

func TestRewrapKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		f := made.Firm
		data := func(s *catalog.ItemSpec) {
			s.Protected, s.Secret = catalog.Data("readable"), catalog.Data("unreadable")
		}
		if _, err := l.UpdateItem(l.vendor(), made.Item.ID, 1, data); err != nil {
			t.Fatal(err)
		}
		org, user := l.first.Organization.ID, l.Store().Client().User.Query().OnlyIDX(l.system())
		seal := func(purpose string) []byte {
			t.Helper()
			sealed, err := l.Core().Keys.Seal(t.Context(), purpose, []byte("a secret"))
			if err != nil {
				t.Fatal(err)
			}
			return sealed
		}
		idp := l.Store().Client().IdentityProvider.Create().SetOrganizationID(org).SetName("Company").SetIssuer("https://id.example.com").
			SetClientID("quorate").SetSealedSecret(seal(core.ProviderPurpose(org, "https://id.example.com"))).SaveX(l.system())
		public := l.Store().Client().IdentityProvider.Create().SetOrganizationID(org).SetName("Public").SetIssuer("https://id.example.org").
			SetClientID("quorate").SaveX(l.system())
		l.Store().Client().User.UpdateOneID(user).SetTotpSecret(seal(core.SecondFactorPurpose(user))).ExecX(l.system())
		secret := make([]byte, core.MasterKeySize)
		secret[0] = 2
		next, err := core.NewMasterKey(secret)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.RewrapKeys(l.with(auth.Administrator), next)
		wantCode(t, "an administrator", err, license.CodeForbidden)
		// Broken off after each key, nothing is changed.
		for left := range 8 {
			_, err = l.RewrapKeys(l.vendor(), &failing{next, left})
			wantCode(t, "broken off", err, license.CodeUnavailable)
			if _, err := l.RootKey(t.Context()); err != nil {
				t.Fatalf("after %d keys: %v", left, err)
			}
			f = l.rotate(f)
		}
		got, err := l.RewrapKeys(l.vendor(), next)
		if err != nil || got != (firmkeys.Rewrapped{Sealed: 8}) {
			t.Fatalf("%+v, %v", got, err)
		}
		again, err := l.RewrapKeys(l.vendor(), next)
		if err != nil || again != (firmkeys.Rewrapped{Already: 8}) {
			t.Errorf("%+v, %v", again, err)
		}
		if n := l.audited("platform.rewrapKeys"); n != 1 {
			t.Errorf("%d audit entries", n)
		}
		_, err = l.RotateFirmKey(l.vendor(), f.ID, 0)
		wantCode(t, "with the old master key", err, license.CodeKeyRefused)
		renewed, _, _ := newPlatform(t, l.Store(), 2)
		if root, err := renewed.RootKey(t.Context()); err != nil || !root.Equal(ed25519.PublicKey(l.first.Root)) {
			t.Errorf("the root key: %v", err)
		}
		if _, err := renewed.RotateFirmKey(l.vendor(), f.ID, 0); err != nil {
			t.Errorf("with the new master key: %v", err)
		}
		if it, err := renewed.UpdateItem(l.vendor(), made.Item.ID, 2, data); err != nil || it.Revision != 2 {
			t.Errorf("the data under the new master key: %v", err)
		}
		client := l.Store().Client()
		for purpose, sealed := range map[string][]byte{
			core.ProviderPurpose(org, idp.Issuer): client.IdentityProvider.GetX(l.system(), idp.ID).SealedSecret,
			core.SecondFactorPurpose(user):        client.User.GetX(l.system(), user).TotpSecret,
		} {
			if open, err := renewed.Core().Keys.Open(t.Context(), purpose, sealed); err != nil || string(open) != "a secret" {
				t.Errorf("%s under the new master key: %v", purpose, err)
			}
		}
		if n := len(client.IdentityProvider.GetX(l.system(), public.ID).SealedSecret); n != 0 {
			t.Errorf("a client without a secret has one of %d bytes", n)
		}
		third, _, _ := newPlatform(t, l.Store(), 3)
		_, err = third.RewrapKeys(l.vendor(), mustKey(t, 4))
		wantCode(t, "with neither", err, license.CodeKeyRefused)
		// What a rewrap broken off between two databases' worth leaves is found:
		// some keys sealed by the one, some by the other.
		if err := l.Store().WithTx(l.system(), func(tx *store.Tx) error {
			return tx.Firm.UpdateOneID(f.ID).SetSealedKey(f.SealedKey).SetPublicKey(f.PublicKey).Exec(l.system())
		}); err != nil {
			t.Fatal(err)
		}
		mixed, err := l.RewrapKeys(l.vendor(), next)
		if err != nil || mixed != (firmkeys.Rewrapped{Sealed: 1, Already: 7}) {
			t.Errorf("%+v, %v", mixed, err)
		}
	})
}

func mustKey(t *testing.T, n byte) *core.MasterKey {
	t.Helper()
	key := make([]byte, core.MasterKeySize)
	key[0] = n
	m, err := core.NewMasterKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRewrapKnowsEverySeal: what the platform seals with the master key and keeps
// is sealed anew with another one. A new use of Seal is looked at here.
func TestRewrapKnowsEverySeal(t *testing.T) {
	rewrapped := map[string]string{ // the purpose where it is sealed, and in RewrapKeys
		"RootKeyName": "k.Name", "proofKeyName": "k.Name",
		"secretPurpose": "WebhookPurpose", "codePurpose": "TicketPurpose",
		"FirmPurpose": "FirmPurpose", "ProductPurpose": "ProductPurpose", "DataPurpose": "DataPurpose", "PseudonymPurpose": "PseudonymPurpose",
		"ProviderPurpose": "ProviderPurpose", "SecondFactorPurpose": "SecondFactorPurpose",
	}
	forgotten := map[string]bool{"voyagePurpose": true} // for minutes, in a cookie
	read := func(pattern string) (text string) {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(name, "_test.go") {
				text += string(b)
			}
		}
		return text
	}
	rewrap := read("firmkeys/rewrap*.go")
	seals := regexp.MustCompile(`Keys\.Seal\((?:core\.System\([^)]*\)|\w+), (?:\w+\.)?(\w+)`).FindAllStringSubmatch(read("*/*.go"), -1)
	if n := strings.Count(read("*/*.go"), "Keys.Seal("); n != len(seals) || n < 10 {
		t.Fatalf("%d of %d uses of Seal are understood", len(seals), n)
	}
	for _, s := range seals {
		if as := rewrapped[s[1]]; !forgotten[s[1]] && (as == "" || !strings.Contains(rewrap, as)) {
			t.Errorf("what is sealed for %s is lost with the master key", s[1])
		}
	}
}
