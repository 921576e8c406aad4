package seal

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
)

const firmCode license.FirmCode = 6000010

var (
	chart = license.Product{Firm: firmCode, Code: 14}
	day   = time.Date(2026, 11, 22, 9, 0, 0, 250_000_000, time.UTC)
)

// kit has one of each key, the same in every run.
type kit struct {
	root, firm, token, stranger Signer
	cert                        []byte
	self, other                 *Identity
	productKey                  []byte
}

func seed(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func identityOf(t testing.TB, n byte) *Identity {
	t.Helper()
	b, err := kindIdentity.frame(append(seed(n), seed(n+1)...))
	ok(t, err)
	i, err := ParseIdentity(b)
	ok(t, err)
	return i
}

func newKit(t testing.TB) *kit {
	t.Helper()
	k := &kit{
		root: NewSigner(seed(1)), firm: NewSigner(seed(2)), token: NewSigner(seed(3)), stranger: NewSigner(seed(4)),
		self: identityOf(t, 10), other: identityOf(t, 20), productKey: seed(30),
	}
	var err error
	k.cert, err = SignFirmCert(k.root, FirmCert{Firm: firmCode, Key: k.firm.Public(), Serial: 1})
	ok(t, err)
	return k
}

func (k *kit) serial() license.Serial {
	return license.Serial{Mask: license.MaskUniversal, Number: 1874829}
}

func (k *kit) group() *Group {
	g := &Group{
		ActivationID: [16]byte{1, 2, 3}, Virtual: license.Serial{Mask: license.MaskVirtual, Number: 4837572}, TokenKey: k.token.Public(),
	}
	for i, n := range []uint64{1874829, 27845973, 3879234} {
		g.Members[i] = Member{Serial: license.Serial{Mask: license.MaskUniversal, Number: n}, Key: NewSigner(seed(byte(10 + 10*i))).Public()} //nolint:gosec // G115: small
	}
	return g
}

func (k *kit) held() []license.Held {
	return []license.Held{
		{
			License: license.License{Product: chart, Name: "Chart Processing", Options: license.Options{
				Quantity: 30, TMRID: 8, Expiration: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), FeatureMap: 0x80000001,
				Activation: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Units: new(uint64(1000)), Issue: 2,
				Maintenance: license.Maintenance{
					From: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
				},
				MinimumVersion: "10.4.1", Text: "für Anna", Linger: 90 * time.Second,
				AccessList: []license.AccessRule{{Kind: license.AccessUser, Value: "anna"}, {Deny: true, Kind: license.AccessSubnet, Value: "10.0.0.0/8"}},
				Protected:  license.DataName{1}, Secret: license.DataName{2},
			}},
			Predecessor: &license.Options{Quantity: 20, TMRID: 7},
		},
		{License: license.License{Product: license.Product{Firm: firmCode, Code: 15}, Name: "Übersicht", Options: license.Options{UsagePeriod: 90 * 24 * time.Hour}}},
	}
}

func (k *kit) fingerprint() Fingerprint {
	return Fingerprint{
		Serial: k.serial(), ActivationID: [16]byte{1, 2, 3}, Identity: k.self.Public(), Root: k.root.Public(),
		Firms:    []FirmState{{Firm: 600010}, {Firm: firmCode, Counter: 3, Digest: [32]byte{9}}},
		Licenses: k.held(), Nonce: seed(7), At: day,
		Clock: Clock{Highest: day.Add(time.Hour), Certified: day}, TimeNonce: [16]byte{6},
		Trail:  []Sighting{{Count: 4, Value: [16]byte{1}}, {Count: 5, Value: [16]byte{2}}},
		Meters: []Meter{{Product: chart, Issue: 2, First: day, Units: 40}, {Product: license.Product{Firm: firmCode, Code: 15}, Units: 1}},
	}
}

func (k *kit) header() UpdateHeader {
	return UpdateHeader{Firm: firmCode, Serial: k.serial(), Number: 4, Previous: [32]byte{9}, IssuedAt: day}
}

func (k *kit) payload() Payload {
	held := k.held()
	return Payload{
		Set:    []Grant{{License: held[0], ProductKey: k.productKey, Protected: []byte("settings"), Secret: seed(31)}, {License: held[1]}},
		Remove: []license.Product{{Firm: firmCode, Code: 99}},
		Group:  k.group(),
	}
}

func (k *kit) update(t testing.TB) []byte {
	t.Helper()
	b, err := SealUpdate(k.firm, k.cert, k.self.Public(), k.header(), k.payload())
	ok(t, err)
	return b
}

func (k *kit) receipt() Receipt {
	return Receipt{Serial: k.serial(), Firm: firmCode, Number: 4, Update: [32]byte{5}, At: day}
}

func (k *kit) statement() Statement {
	return Statement{Serial: k.serial(), Nonce: seed(7), Licenses: k.held()}
}

func (k *kit) time() TimeCertificate {
	return TimeCertificate{Serial: k.serial(), Nonce: [16]byte{6}, At: day}
}

func (k *kit) handleToken() Token {
	return Token{
		Container: k.group().Virtual, Product: chart, Handle: "0197b1a2-0000-7000-8000-000000000001", Mode: license.UserLimit,
		Station: "station-134", Seat: 5, Epoch: 3, N: 17, Lease: 30 * time.Second,
		ClientAddress: "10.0.0.134", ClientUser: "anna", ClientProcess: 4711, ClientApplication: "chart", IssuedAt: day,
		Licenses: 1,
	}
}

func (k *kit) taggedToken() Token {
	x := k.handleToken()
	x.Licenses, x.Borrowed, x.Tags = 4, true, []string{"group:cad", "user:anna"}
	return x
}

// message is one good message of a kind, and how to open it.
type message struct {
	kind   kind
	bytes  []byte
	key    ed25519.PublicKey
	want   any
	reopen func(b []byte, key ed25519.PublicKey) (any, error)
	// body decodes a body and encodes it again.
	body func(body []byte) (*writer, error)
}

// messages gives one of each signed kind.
func (k *kit) messages(t testing.TB) map[string]message {
	t.Helper()
	must := func(b []byte, err error) []byte { t.Helper(); ok(t, err); return b }
	h := k.header()
	h.Identity = k.self.Public().Digest()
	return map[string]message{
		"firm": {
			kindFirm, k.cert, k.root.Public(), FirmCert{Firm: firmCode, Key: k.firm.Public(), Serial: 1},
			func(b []byte, key ed25519.PublicKey) (any, error) { return VerifyFirmCert(key, b) },
			func(body []byte) (*writer, error) {
				c, err := decodeFirmCert(Version, body)
				w := new(writer)
				w.u32(uint32(c.Firm))
				w.key(c.Key, "key")
				w.u64(c.Serial)
				return w, err
			},
		},
		"fingerprint": {
			kindFingerprint, must(SignFingerprint(k.self, k.fingerprint())), k.self.Public().Sign, k.fingerprint(),
			func(b []byte, _ ed25519.PublicKey) (any, error) { return OpenFingerprint(b) },
			func(body []byte) (*writer, error) {
				f, err := decodeFingerprint(body)
				return encodeFingerprint(f), err
			},
		},
		"update": {
			kindUpdate, k.update(t), k.root.Public(), opened{h, k.payload()},
			func(b []byte, key ed25519.PublicKey) (any, error) {
				h, p, err := OpenUpdate(b, key, k.self)
				return opened{h, p}, err
			},
			func(body []byte) (*writer, error) {
				cert, h, sealed, err := decodeUpdate(body)
				w := new(writer)
				w.bytes(cert, 1, MostFirmCert, "certificate")
				w.header(h)
				w.bytes(sealed, 1, MostUpdate, "payload")
				return w, err
			},
		},
		"receipt": {
			kindReceipt, must(SignReceipt(k.self, k.receipt())), k.self.Public().Sign, k.receipt(),
			func(b []byte, key ed25519.PublicKey) (any, error) { return OpenReceipt(b, key) },
			func(body []byte) (*writer, error) { r, err := decodeReceipt(body); return encodeReceipt(r), err },
		},
		"statement": {
			kindStatement, must(SignStatement(k.self, k.statement())), k.self.Public().Sign, k.statement(),
			func(b []byte, key ed25519.PublicKey) (any, error) { return OpenStatement(b, key) },
			func(body []byte) (*writer, error) { s, err := decodeStatement(body); return encodeStatement(s), err },
		},
		"time": {
			kindTime, must(SignTime(k.root, k.time())), k.root.Public(), k.time(),
			func(b []byte, key ed25519.PublicKey) (any, error) { return OpenTime(b, key) },
			func(body []byte) (*writer, error) { c, err := decodeTime(body); return encodeTime(c), err },
		},
		"token": {
			kindToken, must(SignToken(k.token, k.handleToken())), k.token.Public(), k.handleToken(),
			func(b []byte, key ed25519.PublicKey) (any, error) { return OpenToken(b, key) },
			func(body []byte) (*writer, error) { x, err := decodeToken(Version, body); return encodeToken(x), err },
		},
	}
}

// opened is what OpenUpdate gives.
type opened struct {
	Header  UpdateHeader
	Payload Payload
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (cause: %v)", err, errors.Unwrap(err))
	}
}

func code(t testing.TB, err error, want license.Code) {
	t.Helper()
	if license.CodeOf(err) != want {
		t.Fatalf("error is %s (%v), want %s", license.CodeOf(err), err, want)
	}
	var e *license.Error
	if want != "" && (!errors.As(err, &e) || e.Message == "" || e.Fix == "") {
		t.Fatalf("error %v has no message or no fix", err)
	}
}
