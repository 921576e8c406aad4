package resolvers_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

func TestCertifyTime(t *testing.T) {
	w := newWorld(t)
	boot, err := w.platform.Bootstrap(t.Context(), accounts.BootstrapSpec{Organization: "Platform", Email: "boot@example.com", Name: "Boot", Password: "correct horse battery"})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := seal.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	w.change("", "", func(tx *store.Tx) error {
		return tx.Container.Create().SetVendorID("org_charts").SetCustomerID("org_port").SetSerial("130-77").SetKind(property.ContainerUniversal).
			SetActivationID(make([]byte, 16)).SetSignKey(identity.Public().Sign).SetSealKey(identity.Public().Seal).Exec(w.system())
	})
	fingerprint, err := seal.SignFingerprint(identity, seal.Fingerprint{
		Serial: license.Serial{Mask: 130, Number: 77}, Root: boot.Root, At: time.Now(), TimeNonce: [16]byte{5},
	})
	if err != nil {
		t.Fatal(err)
	}
	file, err := armor.Encode(armor.File{Kind: armor.Request, Messages: [][]byte{fingerprint}})
	if err != nil {
		t.Fatal(err)
	}
	variables, err := json.Marshal(map[string]string{"r": string(file)})
	if err != nil {
		t.Fatal(err)
	}
	const query = `mutation($r: String!) { certifyTime(input: {request: $r, clientMutationId: "m"}) { update certifiedAt containers { serial } clientMutationId } }`
	for viewer, allowed := range map[string]bool{"owner": true, "customer": true, "viewer": false, "stranger": false, "nobody": false} {
		var got struct {
			Data struct {
				CertifyTime *struct {
					Update           string
					CertifiedAt      time.Time
					Containers       []struct{ Serial string }
					ClientMutationID string
				}
			}
		}
		body := ask(w.serve(viewer), request{Query: query, Variables: variables}).Body.Bytes()
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		x := got.Data.CertifyTime
		if !allowed {
			if x != nil {
				t.Errorf("%s was answered", viewer)
			}
			continue
		}
		if x == nil || len(x.Containers) != 1 || x.Containers[0].Serial != "130-77" || x.ClientMutationID != "m" {
			t.Errorf("%s: %s", viewer, body)
			continue
		}
		f, err := armor.Parse([]byte(x.Update))
		if err != nil || f.Kind != armor.Update || !f.Group.IsZero() || len(f.Messages) != 1 {
			t.Fatalf("%s: %+v, %v", viewer, f, err)
		}
		c, err := seal.OpenTime(f.Messages[0], boot.Root)
		if err != nil || c.Nonce != [16]byte{5} || c.At.UnixMilli() != x.CertifiedAt.UnixMilli() {
			t.Errorf("%s: %+v, %v", viewer, c, err)
		}
	}
}
