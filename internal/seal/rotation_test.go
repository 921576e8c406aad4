package seal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// firmKey gives the firm's key of a serial number; that of 1 is the kit's.
func (k *kit) firmKey(serial uint64) Signer {
	if serial == 1 {
		return k.firm
	}
	b := seed(77)
	binary.BigEndian.PutUint64(b, serial)
	return NewSigner(b)
}

// rotation leads to the key of a serial number.
func (k *kit) rotation(t testing.TB, serial uint64) []byte {
	t.Helper()
	b, err := SignRotation(k.firmKey(serial-1), k.firmKey(serial), firmCode, serial)
	ok(t, err)
	return b
}

// rotated is the firm's certificate of a serial number, with all rotations
// since another.
func (k *kit) rotated(t testing.TB, since, serial uint64) []byte {
	t.Helper()
	c := FirmCert{Firm: firmCode, Key: k.firmKey(serial).Public(), Serial: serial}
	for s := since + 1; s <= serial; s++ {
		c.Rotations = append(c.Rotations, k.rotation(t, s))
	}
	b, err := SignFirmCert(k.root, c)
	ok(t, err)
	return b
}

// certified signs whatever rotations, as a root would that is in wrong hands.
func (k *kit) certified(t testing.TB, serial uint64, rotations ...[]byte) []byte {
	t.Helper()
	var w writer
	w.u32(uint32(firmCode))
	w.key(k.firmKey(serial).Public(), "key")
	w.u64(serial)
	w.count(len(rotations))
	for _, r := range rotations {
		w.bytes(r, 0, MostFirmCert, "rotation")
	}
	ok(t, w.err)
	b, err := kindFirm.signedAs(versionRotated, k.root, w.b)
	ok(t, err)
	return b
}

// oneSigned gives a rotation in which one signature is not by its key.
func (k *kit) oneSigned(t testing.TB, serial uint64, old, next Signer) []byte {
	t.Helper()
	b := k.rotation(t, serial)
	framed := b[:len(b)-128]
	a, err := old.Sign(framed)
	ok(t, err)
	c, err := next.Sign(framed)
	ok(t, err)
	return append(append(bytes.Clone(framed), a...), c...)
}

// chainVectors are hostile certificates that the root has signed all the same.
func (k *kit) chainVectors(t *testing.T, add func(string, []byte, license.Code) *vector) {
	t.Helper()
	two, three := k.rotation(t, 2), k.rotation(t, 3)
	elsewhere, err := SignRotation(k.stranger, k.firmKey(3), firmCode, 3)
	ok(t, err)
	foreign, err := SignRotation(k.firmKey(2), k.firmKey(3), 600010, 3)
	ok(t, err)
	add("good, rotated once", k.rotated(t, 1, 2), "")
	add("good, rotated twice", k.rotated(t, 1, 3), "")
	add("good, rotated twice, the last rotation only", k.rotated(t, 2, 3), "")
	const bad = license.CodeUpdateUntrusted
	add("chain broken: the second rotation is of another old key", k.certified(t, 3, two, elsewhere), bad)
	add("chain broken: the last rotation leads to another key", k.certified(t, 4, k.rotation(t, 3), k.oneMore(t)), bad)
	add("rotations out of order", k.certified(t, 3, three, two), bad)
	add("serial gap", k.certified(t, 4, two, k.rotation(t, 4)), bad)
	add("serial gap at the end", k.certified(t, 4, two, three), bad)
	add("one rotation twice", k.certified(t, 3, three, three), bad)
	add("more rotations than keys before", k.certified(t, 1, two), bad)
	add("a rotation of another firm", k.certified(t, 3, two, foreign), bad)
	add("a rotation signed by the old key only", k.certified(t, 2, k.oneSigned(t, 2, k.firm, k.firm)), bad)
	add("a rotation signed by the new key only", k.certified(t, 2, k.oneSigned(t, 2, k.firmKey(2), k.firmKey(2))), bad)
	add("a rotation signed by the root instead of the old key", k.certified(t, 2, k.oneSigned(t, 2, k.root, k.firmKey(2))), bad)
	add("version 2 without a rotation", k.certified(t, 2), bad)
	var many [][]byte
	for range MostRotations + 1 {
		many = append(many, []byte{0})
	}
	add("too many rotations", k.certified(t, 2, many...), bad)
	add("something else for a rotation", k.certified(t, 2, k.cert), license.CodeFormatUnknown)
	body, _, _, err := kindFirm.split(k.rotated(t, 1, 2))
	ok(t, err)
	as1, err := kindFirm.signed(k.root, &writer{b: body})
	ok(t, err)
	add("rotations under version 1", as1, bad)
}

// oneMore is a rotation to key 4 that leads to another key.
func (k *kit) oneMore(t testing.TB) []byte {
	t.Helper()
	b, err := SignRotation(k.firmKey(3), NewSigner(seed(99)), firmCode, 4)
	ok(t, err)
	return b
}

func (k *kit) rotationVectors(t *testing.T) []vector {
	t.Helper()
	good := k.rotation(t, 2)
	var all []vector
	add := func(name string, b []byte, want license.Code) {
		v := vector{Kind: "rotation", Name: name, Message: hex.EncodeToString(b), Code: want}
		if want == "" {
			r, err := VerifyRotation(b)
			ok(t, err)
			v.Opened = describe(reflect.ValueOf(r))
		}
		all = append(all, v)
	}
	const bad = license.CodeUpdateUntrusted
	head := len(kindRotation.spec().tag) + 2
	flip := func(at int) []byte { b := bytes.Clone(good); b[at] ^= 1; return b }
	add("good", good, "")
	add("flipped bit in the tag", flip(3), license.CodeFormatUnknown)
	add("unknown version", flip(head-1), license.CodeFormatUnknown)
	add("flipped bit in the body", flip(head+5), bad)
	add("flipped bit in the old key's signature", flip(len(good)-100), bad)
	add("flipped bit in the new key's signature", flip(len(good)-1), bad)
	add("nothing", nil, license.CodeFormatUnknown)
	add("without the new key's signature", good[:len(good)-64], bad)
	add("truncated by a byte", good[:len(good)-1], bad)
	add("a byte follows", append(bytes.Clone(good), 0), bad)
	swapped := bytes.Clone(good)
	copy(swapped[len(good)-128:], good[len(good)-64:])
	copy(swapped[len(good)-64:], good[len(good)-128:len(good)-64])
	add("signatures swapped", swapped, bad)
	add("signed by the old key only", k.oneSigned(t, 2, k.firm, k.firm), bad)
	add("signed by the new key only", k.oneSigned(t, 2, k.firmKey(2), k.firmKey(2)), bad)
	for _, c := range []struct {
		what   string
		change func(w *writer)
	}{
		{"to key 1", func(w *writer) { copy(w.b[4:], make([]byte, 8)); w.b[11] = 1 }},
		{"from a key to itself", func(w *writer) { copy(w.b[44:], w.b[12:44]) }},
		{"of firm 0", func(w *writer) { copy(w.b, make([]byte, 4)) }},
		{"a byte follows inside", func(w *writer) { w.u8(0) }},
	} {
		body, _, err := kindRotation.unframe(good)
		ok(t, err)
		w := &writer{b: bytes.Clone(body)}
		c.change(w)
		framed, err := kindRotation.frame(w.b)
		ok(t, err)
		old, next := k.firm, k.firmKey(2)
		if c.what == "from a key to itself" {
			next = old
		}
		a, err := old.Sign(framed)
		ok(t, err)
		b, err := next.Sign(framed)
		ok(t, err)
		add("signed, "+c.what, append(append(framed, a...), b...), bad)
	}
	return all
}

// rotationSequence is the life of a container whose firm rotates its key.
func (k *kit) rotationSequence(t *testing.T) sequence {
	t.Helper()
	s := sequence{Root: hex.EncodeToString(k.root.Public()), Identity: hex.EncodeToString(k.self.Marshal()), Serial: k.serial().String()}
	installed := uint64(0)
	var last [32]byte
	// give offers the next update, signed with the key of a serial number under
	// a certificate.
	give := func(name string, firm Signer, cert []byte, want license.Code) {
		b, err := SealUpdate(firm, cert, k.self.Public(), UpdateHeader{Firm: firmCode, Serial: k.serial(), Number: installed + 1, Previous: last, IssuedAt: day}, Payload{})
		ok(t, err)
		if want == "" {
			installed++
			last = Digest(b)
		}
		s.Steps = append(s.Steps, step{name, hex.EncodeToString(b), want, installed})
	}
	const bad = license.CodeUpdateUntrusted
	plain := func(serial uint64, key Signer) []byte {
		b, err := SignFirmCert(k.root, FirmCert{Firm: firmCode, Key: key.Public(), Serial: serial})
		ok(t, err)
		return b
	}
	give("under key 1", k.firm, k.cert, "")
	give("another key 1, certified by the root", k.stranger, plain(1, k.stranger), bad)
	give("key 2 without a rotation", k.firmKey(2), plain(2, k.firmKey(2)), bad)
	give("a rotation signed by the new key only", k.firmKey(2), k.certified(t, 2, k.oneSigned(t, 2, k.firmKey(2), k.firmKey(2))), bad)
	usurper, err := SignRotation(k.stranger, k.firmKey(2), firmCode, 2)
	ok(t, err)
	give("rotated from another key 1", k.firmKey(2), k.certified(t, 2, usurper), bad)
	give("under key 2", k.firmKey(2), k.rotated(t, 1, 2), "")
	give("the old key after the rotation", k.firm, k.cert, bad)
	give("under key 2 again", k.firmKey(2), k.rotated(t, 1, 2), "")
	give("serial gap: the rotation to key 3 is missing", k.firmKey(4), k.certified(t, 4, k.rotation(t, 4)), bad)
	give("serial gap within", k.firmKey(4), k.certified(t, 4, k.rotation(t, 2), k.rotation(t, 4)), bad)
	give("two rotations at once", k.firmKey(4), k.rotated(t, 1, 4), "")
	give("the key before the last", k.firmKey(3), k.rotated(t, 1, 3), bad)
	return s
}

func TestSucceeds(t *testing.T) {
	k := newKit(t)
	of := func(b []byte) FirmCert {
		c, err := VerifyFirmCert(k.root.Public(), b)
		ok(t, err)
		return c
	}
	bare := func(serial uint64) FirmCert { return FirmCert{Firm: firmCode, Serial: serial} }
	for _, c := range []struct {
		what        string
		next, known FirmCert
		fine        bool
	}{
		{"the same", of(k.cert), of(k.cert), true},
		{"the next", of(k.rotated(t, 1, 2)), of(k.cert), true},
		{"some later one", of(k.rotated(t, 1, 5)), of(k.rotated(t, 1, 3)), true},
		{"whoever knows a number only", of(k.rotated(t, 1, 2)), bare(1), true},
		{"whoever knows this number only", of(k.rotated(t, 1, 2)), bare(2), true},
		{"an older one", of(k.cert), of(k.rotated(t, 1, 2)), false},
		{"an older number", of(k.cert), bare(2), false},
		{"too few rotations", of(k.rotated(t, 3, 4)), of(k.rotated(t, 1, 2)), false},
		{"another key of the number", of(k.cert), FirmCert{Firm: firmCode, Serial: 1, Key: k.stranger.Public()}, false},
		{"from another key", of(k.rotated(t, 1, 2)), FirmCert{Firm: firmCode, Serial: 1, Key: k.stranger.Public()}, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			want := license.CodeUpdateUntrusted
			if c.fine {
				want = ""
			}
			code(t, c.next.Succeeds(c.known), want)
		})
	}
}

// TestMostRotations: a certificate with as many rotations as it may carry fits,
// and so does an update with it.
func TestMostRotations(t *testing.T) {
	k := newKit(t)
	full := k.rotated(t, 100, 100+MostRotations)
	c, err := VerifyFirmCert(k.root.Public(), full)
	ok(t, err)
	ok(t, c.Succeeds(FirmCert{Firm: firmCode, Serial: 100}))
	code(t, c.Succeeds(FirmCert{Firm: firmCode, Serial: 99}), license.CodeUpdateUntrusted)
	b, err := SealUpdate(k.firmKey(100+MostRotations), full, k.self.Public(), k.header(), k.payload())
	ok(t, err)
	_, _, err = OpenUpdate(b, k.root.Public(), k.self)
	ok(t, err)
	signed, err := UpdateCert(b, k.root.Public())
	ok(t, err)
	if !reflect.DeepEqual(signed, c) {
		t.Fatalf("the update's certificate is of key %d", signed.Serial)
	}
	_, err = SignFirmCert(k.root, FirmCert{Firm: firmCode, Key: c.Key, Serial: c.Serial, Rotations: append([][]byte{{0}}, c.Rotations...)})
	code(t, err, license.CodeInvalidInput)
}

func TestRotationRefuses(t *testing.T) {
	k := newKit(t)
	for what, err := range map[string]error{
		"to itself": second(SignRotation(k.firm, k.firm, firmCode, 2)),
		"no firm":   second(SignRotation(k.firm, k.firmKey(2), 0, 2)),
		"to key 1":  second(SignRotation(k.firm, k.firmKey(2), firmCode, 1)),
		"no key":    second(SignRotation(k.firm, NewSigner(nil), firmCode, 2)),
		"certificate of another key": second(SignFirmCert(k.root, FirmCert{
			Firm: firmCode, Key: k.stranger.Public(), Serial: 2, Rotations: [][]byte{k.rotation(t, 2)}})),
	} {
		t.Run(what, func(t *testing.T) { code(t, err, license.CodeInvalidInput) })
	}
	// A rotated certificate says which key signs.
	prepared, err := PrepareUpdate(k.rotated(t, 1, 2), k.self.Public(), k.header(), k.payload())
	ok(t, err)
	_, err = SignUpdate(k.firm, prepared)
	code(t, err, license.CodeInvalidInput)
	if PreparedCert(prepared, k.cert) || !PreparedCert(prepared, k.rotated(t, 1, 2)) || PreparedCert(prepared[:9], k.cert) {
		t.Fatal("an update is prepared for another certificate")
	}
}

func second[T any](_ T, err error) error { return err }

// FuzzRotation: whatever opens is in its one encoding and signed by both.
func FuzzRotation(f *testing.F) {
	k := newKit(f)
	f.Add(k.rotation(f, 2))
	f.Add(k.rotated(f, 1, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := VerifyRotation(b); err == nil && !bytes.Equal(b, k.rotation(t, r.Serial)) {
			t.Fatalf("a forged rotation to key %d opened", r.Serial)
		} else if err != nil && license.CodeOf(err) == license.CodeInternal {
			t.Fatalf("an error without a code: %v", err)
		}
		if c, err := VerifyFirmCert(k.root.Public(), b); err == nil && !bytes.Equal(b, k.rotated(t, c.Serial-uint64(len(c.Rotations)), c.Serial)) {
			t.Fatal("a forged certificate opened")
		}
	})
}
