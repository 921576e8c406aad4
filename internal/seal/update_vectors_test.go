package seal

import (
	"bytes"
	"crypto/hpke"
	"encoding/hex"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

func (k *kit) updateVectors(t *testing.T, add func(string, []byte, license.Code) *vector) {
	t.Helper()
	forOther, err := SealUpdate(k.firm, k.cert, k.other.Public(), k.header(), k.payload())
	ok(t, err)
	add("for another container", forOther, license.CodeUpdateForeign)
	cert, err := SignFirmCert(k.stranger, FirmCert{Firm: firmCode, Key: k.firm.Public(), Serial: 1})
	ok(t, err)
	foreign, err := SealUpdate(k.firm, cert, k.self.Public(), k.header(), k.payload())
	ok(t, err)
	add("of a firm under another root", foreign, license.CodeUpdateUntrusted)
	h := k.header()
	h.Identity = k.self.Public().Digest()
	elsewhere, err := SignFirmCert(k.root, FirmCert{Firm: 600010, Key: k.firm.Public(), Serial: 1})
	ok(t, err)
	add("of a firm that speaks for another", k.resign(t, elsewhere, h, []byte{1}), license.CodeUpdateUntrusted)
	h.Firm = 600010
	add("with another firm's license", k.smuggle(t, elsewhere, h, Payload{Set: k.payload().Set}), license.CodeUpdateUntrusted)
	add("that removes another firm's license", k.smuggle(t, elsewhere, h, Payload{Remove: k.payload().Remove}), license.CodeUpdateUntrusted)
	h.Firm = firmCode
	body, _, _, err := kindUpdate.split(k.update(t))
	ok(t, err)
	_, _, sealed, err := decodeUpdate(body)
	ok(t, err)
	next := h
	next.Number++
	add("sealed under another header", k.resign(t, k.cert, next, sealed), license.CodeUpdateTampered)
	sealed[len(sealed)-1] ^= 1
	add("signed, with a flipped bit under the seal", k.resign(t, k.cert, h, sealed), license.CodeUpdateTampered)
	plain := encodePayload(k.payload(), firmCode)
	ok(t, plain.err)
	add("sealed, a byte follows in the payload", k.sealRaw(t, k.cert, h, append(bytes.Clone(plain.b), 0)), license.CodeUpdateTampered)
	add("sealed, the payload lacks a byte", k.sealRaw(t, k.cert, h, plain.b[:len(plain.b)-1]), license.CodeUpdateTampered)
	for _, x := range append(hostileOptions(t, plain.b), hostileData(t, plain.b)...) {
		add("sealed, "+x.name, k.sealRaw(t, k.cert, h, x.body), license.CodeUpdateTampered)
	}
	add("sealed, over-long list", k.sealRaw(t, k.cert, h, []byte{0xff, 0xff}), license.CodeUpdateTampered)
	first := h
	first.Number = 1
	add("first, with an update before it", k.resign(t, k.cert, first, sealed), license.CodeUpdateTampered)
	empty, err := SealUpdate(k.firm, k.cert, k.self.Public(), k.header(), Payload{})
	ok(t, err)
	add("good, without any change", empty, "")
}

// sealRaw makes a validly signed and sealed update of any payload.
func (k *kit) sealRaw(t *testing.T, cert []byte, h UpdateHeader, plain []byte) []byte {
	t.Helper()
	var w writer
	w.bytes(cert, 1, MostFirmCert, "certificate")
	w.header(h)
	key, err := hpke.MLKEM768X25519().NewPublicKey(k.self.Public().Seal)
	ok(t, err)
	sealed, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), sealInfo(w.b), plain)
	ok(t, err)
	return k.resign(t, cert, h, sealed)
}

// smuggle seals a payload whose products are not the header's firm's.
func (k *kit) smuggle(t *testing.T, cert []byte, h UpdateHeader, p Payload) []byte {
	t.Helper()
	w := encodePayload(p, firmOf(p))
	ok(t, w.err)
	return k.sealRaw(t, cert, h, w.b)
}

func (k *kit) wrappedVectors(t *testing.T) []vector {
	t.Helper()
	private, err := hpke.MLKEM768X25519().NewPrivateKey(k.productKey)
	ok(t, err)
	good, err := WrapKey(private.PublicKey().Bytes(), chart, []byte("sixteen byte key"))
	ok(t, err)
	base := vector{Kind: "wrapped", Private: hex.EncodeToString(k.productKey), Product: chart.String()}
	var all []vector
	add := func(name string, b []byte, want license.Code) *vector {
		v := base
		v.Name, v.Message, v.Code = name, hex.EncodeToString(b), want
		all = append(all, v)
		return &all[len(all)-1]
	}
	add("good", good, "").Opened = hex.EncodeToString([]byte("sixteen byte key"))
	add("for another product", good, license.CodeKeyRefused).Product = "6000010:15"
	add("for another product's key", good, license.CodeKeyRefused).Private = hex.EncodeToString(seed(31))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	add("flipped bit", flipped, license.CodeKeyRefused)
	add("truncated", good[:len(good)-1], license.CodeKeyRefused)
	add("a byte follows", append(bytes.Clone(good), 0), license.CodeKeyRefused)
	version := bytes.Clone(good)
	version[1+version[0]] = 2
	add("unknown version", version, license.CodeFormatUnknown)
	add("nothing", nil, license.CodeFormatUnknown)
	return all
}
