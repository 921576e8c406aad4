package seal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

func TestRoundTrip(t *testing.T) {
	for name, m := range newKit(t).messages(t) {
		t.Run(name, func(t *testing.T) {
			got, err := m.reopen(m.bytes, m.key)
			ok(t, err)
			if a, b := describe(reflect.ValueOf(got)), describe(reflect.ValueOf(m.want)); !reflect.DeepEqual(a, b) {
				t.Fatalf("opened\n%v\nwant\n%v", a, b)
			}
		})
	}
}

// TestEveryBit flips each bit of a message: none of them opens.
func TestEveryBit(t *testing.T) {
	for name, m := range newKit(t).messages(t) {
		t.Run(name, func(t *testing.T) {
			step := 1
			if len(m.bytes) > 1000 {
				step = 13
			}
			for bit := 0; bit < 8*len(m.bytes); bit += step {
				b := bytes.Clone(m.bytes)
				b[bit/8] ^= 1 << (bit % 8)
				_, err := m.reopen(b, m.key)
				if c := license.CodeOf(err); c != m.kind.spec().damaged && c != license.CodeFormatUnknown {
					t.Fatalf("with bit %d flipped the error is %v", bit, err)
				}
			}
		})
	}
}

func TestHostileFraming(t *testing.T) {
	k := newKit(t)
	all := k.messages(t)
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			damaged := m.kind.spec().damaged
			open := func(b []byte, want license.Code) {
				t.Helper()
				_, err := m.reopen(b, m.key)
				code(t, err, want)
			}
			for n := range len(m.bytes) {
				want := damaged
				if n < len(m.kind.spec().tag)+2 {
					want = license.CodeFormatUnknown
				}
				open(m.bytes[:n], want)
			}
			open(append(bytes.Clone(m.bytes), 0), damaged)
			open(append(bytes.Clone(m.bytes), m.bytes...), damaged)
			open(make([]byte, m.kind.spec().most+1), license.CodeTooLarge)
			version := bytes.Clone(m.bytes)
			version[1+version[0]] = m.kind.newest() + 1
			open(version, license.CodeFormatUnknown)
			long := bytes.Clone(m.bytes)
			binary.BigEndian.PutUint32(long[2+long[0]:], 1<<32-1)
			open(long, damaged)
			for other, o := range all {
				if other != name && len(o.bytes) <= m.kind.spec().most {
					open(o.bytes, license.CodeFormatUnknown)
				}
			}
			if name != "fingerprint" { // which carries its key
				_, err := m.reopen(m.bytes, k.stranger.Public())
				code(t, err, damagedBy(name, damaged))
				_, err = m.reopen(m.bytes, nil)
				code(t, err, damagedBy(name, damaged))
			}
		})
	}
}

func damagedBy(name string, damaged license.Code) license.Code {
	if name == "update" {
		return license.CodeUpdateUntrusted
	}
	return damaged
}

// TestRetagged signs a body of one kind under the tag of another: what is signed
// under one tag doesn't hold under another.
func TestRetagged(t *testing.T) {
	k := newKit(t)
	m := k.messages(t)["receipt"]
	body, _, sig, err := kindReceipt.split(m.bytes)
	ok(t, err)
	framed, err := kindStatement.frame(body)
	ok(t, err)
	_, err = OpenStatement(append(framed, sig...), m.key)
	code(t, err, license.CodeGuardRefused)
}

func TestUpdateForAnother(t *testing.T) {
	k := newKit(t)
	b := k.update(t)
	_, _, err := OpenUpdate(b, k.root.Public(), k.other)
	code(t, err, license.CodeUpdateForeign)
	h, err := VerifyUpdate(b, k.root.Public())
	ok(t, err)
	if h.Identity != k.self.Public().Digest() || h.Number != 4 || h.Serial != k.serial() || !h.IssuedAt.Equal(day) {
		t.Fatalf("header is %+v", h)
	}
	// An issuer can't name one container and seal to another.
	wrong := k.header()
	wrong.Identity = k.other.Public().Digest()
	_, err = SealUpdate(k.firm, k.cert, k.self.Public(), wrong, k.payload())
	code(t, err, license.CodeInvalidInput)
}

// resign makes an update of a body that no issuer would make, validly signed.
func (k *kit) resign(t *testing.T, cert []byte, h UpdateHeader, sealed []byte) []byte {
	t.Helper()
	var w writer
	w.bytes(cert, 1, MostFirmCert, "certificate")
	w.u32(uint32(h.Firm))
	w.serial(h.Serial)
	w.raw(h.Identity[:])
	w.u64(h.Number)
	w.raw(h.Previous[:])
	w.instant(h.IssuedAt, "time")
	w.bytes(sealed, 0, MostUpdate, "payload")
	b, err := kindUpdate.signed(k.firm, &w)
	ok(t, err)
	return b
}

// TestSealBindsHeader: a sealed payload doesn't open under another header, even
// if the firm itself signs it.
func TestSealBindsHeader(t *testing.T) {
	k := newKit(t)
	body, _, _, err := kindUpdate.split(k.update(t))
	ok(t, err)
	cert, h, sealed, err := decodeUpdate(body)
	ok(t, err)
	_, _, err = OpenUpdate(k.resign(t, cert, h, sealed), k.root.Public(), k.self)
	ok(t, err)
	next := h
	next.Number++
	_, _, err = OpenUpdate(k.resign(t, cert, next, sealed), k.root.Public(), k.self)
	code(t, err, license.CodeUpdateTampered)
	renewed, err := SignFirmCert(k.root, FirmCert{Firm: firmCode, Key: k.firm.Public(), Serial: 2})
	ok(t, err)
	_, _, err = OpenUpdate(k.resign(t, renewed, h, sealed), k.root.Public(), k.self)
	code(t, err, license.CodeUpdateTampered)
	first := h
	first.Number = 1
	_, err = VerifyUpdate(k.resign(t, cert, first, sealed), k.root.Public())
	code(t, err, license.CodeUpdateTampered)
}

func TestForeignFirm(t *testing.T) {
	k := newKit(t)
	// Certified by another root.
	cert, err := SignFirmCert(k.stranger, FirmCert{Firm: firmCode, Key: k.firm.Public(), Serial: 1})
	ok(t, err)
	b, err := SealUpdate(k.firm, cert, k.self.Public(), k.header(), k.payload())
	ok(t, err)
	_, _, err = OpenUpdate(b, k.root.Public(), k.self)
	code(t, err, license.CodeUpdateUntrusted)
	// Certified for another firm.
	cert, err = SignFirmCert(k.root, FirmCert{Firm: 600010, Key: k.firm.Public(), Serial: 1})
	ok(t, err)
	_, err = SealUpdate(k.firm, cert, k.self.Public(), k.header(), k.payload())
	code(t, err, license.CodeInvalidInput)
	h := k.header()
	h.Identity = k.self.Public().Digest()
	_, err = VerifyUpdate(k.resign(t, cert, h, []byte{1}), k.root.Public())
	code(t, err, license.CodeUpdateUntrusted)
	// Signed with a key that is not the certificate's.
	_, err = SealUpdate(k.stranger, k.cert, k.self.Public(), k.header(), k.payload())
	code(t, err, license.CodeInvalidInput)
	// With another firm's licenses, set or removed.
	h.Firm = 600010
	for _, p := range []Payload{{Set: k.payload().Set}, {Remove: []license.Product{chart}}} {
		_, err = SealUpdate(k.firm, cert, k.self.Public(), h, p)
		code(t, err, license.CodeInvalidInput)
		_, _, err = OpenUpdate(k.smuggle(t, cert, h, p), k.root.Public(), k.self)
		code(t, err, license.CodeUpdateUntrusted)
	}
}

func TestPrepareAndSign(t *testing.T) {
	k := newKit(t)
	prepared, err := PrepareUpdate(k.cert, k.self.Public(), k.header(), k.payload())
	ok(t, err)
	if bytes.Contains(prepared, k.productKey) || bytes.Contains(prepared, []byte("Chart Processing")) {
		t.Fatal("the prepared update shows its payload")
	}
	a, err := SignUpdate(k.firm, prepared)
	ok(t, err)
	b, err := SignUpdate(k.firm, prepared)
	ok(t, err)
	if !bytes.Equal(a, b) || Digest(a) != Digest(b) {
		t.Fatal("signing the same bytes twice gives two updates")
	}
	_, _, err = OpenUpdate(a, k.root.Public(), k.self)
	ok(t, err)
	for _, bad := range [][]byte{nil, prepared[:len(prepared)-1], append(bytes.Clone(prepared), 1), a} {
		if _, err := SignUpdate(k.firm, bad); err == nil {
			t.Fatal("signed something that was not prepared")
		}
	}
	other, err := SealUpdate(k.firm, k.cert, k.self.Public(), k.header(), k.payload())
	ok(t, err)
	if Digest(other) == Digest(a) {
		t.Fatal("sealing is not randomized")
	}
}

type faultySigner struct {
	Signer
	err error
}

func (f faultySigner) Sign(msg []byte) ([]byte, error) {
	sig, _ := f.Signer.Sign(msg)
	sig[3] ^= 1
	return sig, f.err
}

func TestFaultySigner(t *testing.T) {
	k := newKit(t)
	for _, s := range []Signer{faultySigner{k.token, nil}, faultySigner{k.token, errors.New("the key store is away")}, NewSigner(nil), NewSigner(make([]byte, 31))} {
		_, err := SignToken(s, k.handleToken())
		code(t, err, license.CodeUnavailable)
	}
}

func TestIdentity(t *testing.T) {
	k := newKit(t)
	i, err := NewIdentity()
	ok(t, err)
	j, err := ParseIdentity(i.Marshal())
	ok(t, err)
	if !i.Public().Equal(j.Public()) || i.Public().Digest() != j.Public().Digest() || i.Public().Equal(k.self.Public()) {
		t.Fatal("the identity changed")
	}
	b := i.Marshal()
	for name, bad := range map[string][]byte{"nothing": nil, "short": b[:len(b)-1], "long": append(bytes.Clone(b), 1), "other kind": k.cert} {
		if _, err := ParseIdentity(bad); err == nil {
			t.Fatalf("%s: parsed", name)
		} else if strings.Contains(err.Error(), fmt.Sprintf("%x", b[24:30])) {
			t.Fatalf("%s: the error shows the key", name)
		}
	}
	p, err := i.Public().Marshal()
	ok(t, err)
	q, err := ParsePublicIdentity(p)
	ok(t, err)
	if !q.Equal(i.Public()) {
		t.Fatal("the public identity changed")
	}
	for _, bad := range [][]byte{nil, p[:len(p)-1], append(bytes.Clone(p), 1), b} {
		if _, err := ParsePublicIdentity(bad); err == nil {
			t.Fatal("parsed a damaged public identity")
		}
	}
	_, err = PublicIdentity{Sign: p[:32], Seal: p[:10]}.Marshal()
	code(t, err, license.CodeInvalidInput)
	x, err := i.Derive("one")
	ok(t, err)
	y, err := i.Derive("two")
	ok(t, err)
	if len(x) != 32 || bytes.Equal(x, y) || bytes.Contains(i.Marshal(), x) {
		t.Fatal("derived secrets are not apart")
	}
}

func TestWrappedKey(t *testing.T) {
	private, public, err := NewProductKey()
	ok(t, err)
	key := []byte("sixteen byte key")
	w, err := WrapKey(public, chart, key)
	ok(t, err)
	got, err := UnwrapKey(private, chart, w)
	ok(t, err)
	p, err := WrappedFor(w)
	ok(t, err)
	if !bytes.Equal(got, key) || p != chart {
		t.Fatal("the key changed")
	}
	other := license.Product{Firm: firmCode, Code: 15}
	_, err = UnwrapKey(private, other, w)
	code(t, err, license.CodeKeyRefused)
	for bit := 0; bit < 8*len(w); bit += 7 {
		b := bytes.Clone(w)
		b[bit/8] ^= 1 << (bit % 8)
		_, err := UnwrapKey(private, chart, b)
		if c := license.CodeOf(err); c != license.CodeKeyRefused && c != license.CodeFormatUnknown {
			t.Fatalf("with bit %d flipped the error is %v", bit, err)
		}
	}
	_, err = UnwrapKey(private, chart, append(bytes.Clone(w), 1))
	code(t, err, license.CodeKeyRefused)
	_, err = UnwrapKey(private, chart, w[:30])
	code(t, err, license.CodeKeyRefused)
	_, err = UnwrapKey(private, chart, make([]byte, MostWrapped+1))
	code(t, err, license.CodeTooLarge)
	stranger, _, err := NewProductKey()
	ok(t, err)
	_, err = UnwrapKey(stranger, chart, w)
	code(t, err, license.CodeKeyRefused)
	_, err = UnwrapKey(nil, chart, w)
	code(t, err, license.CodeKeyRefused)
	for _, bad := range [][]byte{nil, make([]byte, MostKey+1)} {
		_, err = WrapKey(public, chart, bad)
		code(t, err, license.CodeInvalidInput)
	}
	_, err = WrapKey(public[1:], chart, key)
	code(t, err, license.CodeInvalidInput)
	_, err = WrapKey(public, chart, make([]byte, MostKey))
	ok(t, err)
}
