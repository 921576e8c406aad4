package armor_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

const firm license.FirmCode = 6000010

// kit has the containers of a group, and their platform.
type kit struct {
	root, firm seal.Signer
	cert       []byte
	identities [3]*seal.Identity
	serials    [3]license.Serial
	group      license.Serial
}

func newKit(t testing.TB) *kit {
	t.Helper()
	seed := func(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }
	k := &kit{root: seal.NewSigner(seed(1)), firm: seal.NewSigner(seed(2)), group: license.Serial{Mask: 131, Number: 4837572}}
	var err error
	if k.cert, err = seal.SignFirmCert(k.root, seal.FirmCert{Firm: firm, Key: k.firm.Public(), Serial: 1}); err != nil {
		t.Fatal(err)
	}
	for i, n := range []uint64{1874829, 27845973, 3879234} {
		k.serials[i] = license.Serial{Mask: 130, Number: n}
		if k.identities[i], err = seal.NewIdentity(); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func day() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }

func (k *kit) fingerprint(t testing.TB, i int, change func(*seal.Fingerprint)) []byte {
	t.Helper()
	f := seal.Fingerprint{
		Serial: k.serials[i], ActivationID: [16]byte{1, 2, 3}, Root: k.root.Public(),
		Firms: []seal.FirmState{{Firm: firm, Counter: 1, Digest: [32]byte{9}}}, At: day(),
	}
	if change != nil {
		change(&f)
	}
	b, err := seal.SignFingerprint(k.identities[i], f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (k *kit) update(t testing.TB, i int, number uint64) []byte {
	t.Helper()
	b, err := seal.SealUpdate(k.firm, k.cert, k.identities[i].Public(), seal.UpdateHeader{
		Firm: firm, Serial: k.serials[i], Number: number, Previous: [32]byte{byte(number) - 1}, IssuedAt: day(),
	}, seal.Payload{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (k *kit) receipt(t testing.TB, i int, number uint64) []byte {
	t.Helper()
	b, err := seal.SignReceipt(k.identities[i], seal.Receipt{Serial: k.serials[i], Firm: firm, Number: number, Update: [32]byte{5}, At: day()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (k *kit) time(t testing.TB, i int) []byte {
	t.Helper()
	b, err := seal.SignTime(k.root, seal.TimeCertificate{Serial: k.serials[i], Nonce: [16]byte{4, byte(i)}, At: day()}) //nolint:gosec // G115: small
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// files is one of each kind, for a container and for a group.
func (k *kit) files(t testing.TB) map[string]armor.File {
	t.Helper()
	all := map[string]armor.File{
		"one request": {Kind: armor.Request, Messages: [][]byte{k.fingerprint(t, 0, nil)}},
		"one update":  {Kind: armor.Update, Messages: [][]byte{k.update(t, 0, 2), k.update(t, 0, 3)}},
		"one receipt": {Kind: armor.Receipt, Messages: [][]byte{k.receipt(t, 0, 2)}},
	}
	all["timed one update"] = armor.File{Kind: armor.Update, Messages: [][]byte{k.time(t, 0), k.update(t, 0, 2)}}
	all["time alone one update"] = armor.File{Kind: armor.Update, Messages: [][]byte{k.time(t, 0)}}
	var requests, updates, receipts, times [][]byte
	for i := range k.serials {
		requests = append(requests, k.fingerprint(t, i, nil))
		updates = append(updates, k.update(t, i, 2))
		receipts = append(receipts, k.receipt(t, i, 2))
		times = append(times, k.time(t, i))
	}
	all["group request"] = armor.File{Kind: armor.Request, Group: k.group, Messages: requests}
	all["group update"] = armor.File{Kind: armor.Update, Group: k.group, Messages: updates}
	all["group receipt"] = armor.File{Kind: armor.Receipt, Group: k.group, Messages: receipts}
	all["timed group update"] = armor.File{Kind: armor.Update, Group: k.group, Messages: append(slices.Clone(times), updates...)}
	all["time alone group update"] = armor.File{Kind: armor.Update, Group: k.group, Messages: times}
	return all
}

func encode(t testing.TB, f armor.File) []byte {
	t.Helper()
	b, err := armor.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantCode(t *testing.T, err error, code license.Code) {
	t.Helper()
	if err == nil || license.CodeOf(err) != code {
		t.Errorf("%v instead of %s", err, code)
	}
}
