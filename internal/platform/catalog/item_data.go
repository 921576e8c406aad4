package catalog

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/item"
	entproduct "github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// Data is the content of protected or secret data. It is shown in no log and no
// error, and leaves the platform only inside sealed updates.
type Data []byte

// Format keeps the content out of whatever is printed.
func (d Data) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "(data)") }

// MarshalText keeps the content out of logs and JSON.
func (d Data) MarshalText() ([]byte, error) { return []byte("(data)"), nil }

// The purposes of sealed data, by the column that it is in.
const (
	ProtectedData = "protected"
	SecretData    = "secret"
)

// DataPurpose says what sealed data is for: it opens only as that of its
// product, under its name.
func DataPurpose(kind, productID string, name []byte) string {
	return "item-data:" + kind + ":" + productID + ":" + hex.EncodeToString(name)
}

// sealData gives a content with a new name and sealed; the same name and seal
// as before where the content is the same; nothing where it is empty.
func sealData(ctx context.Context, p *core.Core, kind, productID string, d Data, oldName, oldSealed []byte) (name, sealed []byte, err error) {
	if len(d) == 0 {
		return nil, nil, nil
	}
	if len(oldName) > 0 {
		old, err := p.Keys.Open(ctx, DataPurpose(kind, productID, oldName), oldSealed)
		if err != nil {
			return nil, nil, err
		}
		defer clear(old)
		if subtle.ConstantTimeCompare(old, d) == 1 {
			return oldName, oldSealed, nil
		}
	}
	name = make([]byte, len(license.DataName{}))
	if _, err := rand.Read(name); err != nil {
		return nil, nil, err
	}
	sealed, err = p.Keys.Seal(ctx, DataPurpose(kind, productID, name), d)
	return name, sealed, err
}

// dataProof tells an item's data from other data without telling anything of it
// to whoever doesn't have the product's private key: a plain digest would confirm
// a guess of short data.
func dataProof(ctx context.Context, p *core.Core, of *ent.Product, s ItemSpec) ([]byte, error) {
	secret, err := p.ProductSecret(ctx, of)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	key, err := hkdf.Key(sha256.New, secret, nil, "idempotency key of item data", sha256.Size)
	if err != nil {
		return nil, err
	}
	proof := hmac.New(sha256.New, key)
	for _, d := range []Data{s.Protected, s.Secret} {
		proof.Write(binary.BigEndian.AppendUint64(nil, uint64(len(d))))
		proof.Write(d)
	}
	return proof.Sum(nil), nil
}

// Grants are the licenses of an update with what goes into the containers
// beside them: the products' private keys and the data that the terms name. Data
// of which the item has another content by now is gone: CodeConflict.
func Grants(ctx context.Context, p *core.Core, tx *store.Tx, f *ent.Firm, held []license.Held) ([]seal.Grant, error) {
	out := make([]seal.Grant, 0, len(held))
	for _, h := range held {
		product, err := tx.Product.Query().Where(entproduct.FirmID(f.ID), entproduct.Code(int(h.Product.Code))).Only(ctx)
		if err != nil {
			return nil, fmt.Errorf("find the product %s: %w", h.Product, err)
		}
		g := seal.Grant{License: h}
		if g.ProductKey, err = p.ProductSecret(ctx, product); err != nil {
			return nil, err
		}
		items, err := tx.Item.Query().Where(item.ProductID(product.ID)).All(ctx)
		if err != nil {
			return nil, err
		}
		if g.Protected, err = namedData(ctx, p, ProtectedData, h, items); err != nil {
			return nil, err
		}
		if g.Secret, err = namedData(ctx, p, SecretData, h, items); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

func namedData(ctx context.Context, p *core.Core, kind string, h license.Held, items []*ent.Item) ([]byte, error) {
	wanted := h.Options.Protected
	if kind == SecretData {
		wanted = h.Options.Secret
	}
	if wanted == (license.DataName{}) {
		return nil, nil
	}
	for _, it := range items {
		name, sealed := it.ProtectedName, it.ProtectedData
		if kind == SecretData {
			name, sealed = it.SecretName, it.SecretData
		}
		if string(name) == string(wanted[:]) {
			return p.Keys.Open(ctx, DataPurpose(kind, it.ProductID, name), sealed)
		}
	}
	return nil, license.Errorf(license.CodeConflict, "give the rollout up and start another one",
		"the %s data of %s was changed since the rollout began", kind, h.Product)
}
