package resolvers_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/seal"
)

// importKey gives Charts a firm with a known key, and the platform a root key,
// whose public half it returns.
func (w *world) importKey(seed []byte) ed25519.PublicKey {
	w.t.Helper()
	first, err := w.platform.Bootstrap(w.t.Context(), accounts.BootstrapSpec{
		Organization: "Charts", Email: "first@example.com", Name: "First", Password: "correct horse battery",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	plain, err := json.Marshal(map[string]any{
		"format": "quorate-firm-key", "version": 1, "firm": 6000077, "name": "Imported", "seed": seed,
		"keys": []any{map[string]any{"serial": 1, "publicKey": []byte(seal.NewSigner(seed).Public()), "createdAt": time.Now().UTC()}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	const passphrase = "six words that nobody would guess"
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		w.t.Fatal(err)
	}
	to.SetWorkFactor(4)
	var file bytes.Buffer
	text := armor.NewWriter(&file)
	e, err := age.Encrypt(text, to)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = e.Write(plain)
	if err := errors.Join(err, e.Close(), text.Close()); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.platform.ImportFirmKey(w.as(w.t.Context(), "owner"), 6000077, file.Bytes(), passphrase); err != nil {
		w.t.Fatal(err)
	}
	return first.Root
}

// TestRotateFirmKey: the history grows, a repetition changes nothing, and no
// answer and no log has a private key.
func TestRotateFirmKey(t *testing.T) {
	w := newWorld(t)
	canary := []byte("a firm's key of 32 bytes, canary")
	w.importKey(canary)
	var answers strings.Builder
	do := func(query string) string {
		t.Helper()
		body := ask(w.serve("owner"), request{Query: query}).Body.String()
		answers.WriteString(body)
		return body
	}
	const rotate = `mutation { rotateFirmKey(input: {firm: "6000077", serial: 1, clientMutationId: "m"}) { clientMutationId firm { code keys { serial publicKey createdAt retiredAt } } } }`
	var got struct {
		Data struct {
			RotateFirmKey struct {
				ClientMutationID string
				Firm             struct {
					Code int
					Keys []struct {
						Serial    int
						PublicKey []byte
						CreatedAt time.Time
						RetiredAt *time.Time
					}
				}
			}
		}
	}
	body := do(rotate)
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	keys := got.Data.RotateFirmKey.Firm.Keys
	if len(keys) != 2 || keys[0].Serial != 2 || keys[0].RetiredAt != nil || keys[1].RetiredAt == nil || got.Data.RotateFirmKey.ClientMutationID != "m" ||
		!bytes.Equal(keys[1].PublicKey, seal.NewSigner(canary).Public()) || bytes.Equal(keys[0].PublicKey, keys[1].PublicKey) {
		t.Fatalf("answered %s", body)
	}
	if body := do(rotate); !strings.Contains(body, `"CONFLICT"`) {
		t.Errorf("asked again: %s", body)
	}
	do(`{ firms { edges { node { id code name createdAt keys { serial publicKey } products { edges { node { publicKey } } } } } } }`)
	do(`{ __schema { types { name fields { name description } } } }`)
	do(`{ firms { edges { node { sealedKey privateKey seed } } } }`)
	row, err := w.store.Client().Firm.Query().Where(firm.Code(6000077)).Only(auth.With(t.Context(), auth.System("test")))
	if err != nil {
		t.Fatal(err)
	}
	master, err := core.NewMasterKey(make([]byte, core.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	successor, err := master.Open(t.Context(), "firm:6000077", row.SealedKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{answers.String(), w.log.String()} {
		for _, key := range [][]byte{canary, successor, row.SealedKey} {
			for _, form := range []string{
				string(key), hex.EncodeToString(key), base64.RawStdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key), fmt.Sprint(key),
			} {
				if strings.Contains(text, form) {
					t.Errorf("an answer or a log has a private key: %s", text)
				}
			}
		}
	}
}
