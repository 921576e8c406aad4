package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
)

var (
	update = flag.Bool("update", false, "write the test vectors anew")
	files  = flag.String("files", "", "with -update: only these, by comma, such as firm,rotation")
)

// vector is one message, good or hostile; testdata/vectors/README.md tells what
// the fields mean.
type vector struct {
	Name     string       `json:"name"`
	Kind     string       `json:"kind"`
	Key      string       `json:"key,omitempty"`
	Identity string       `json:"identity,omitempty"`
	Private  string       `json:"private,omitempty"`
	Product  string       `json:"product,omitempty"`
	Message  string       `json:"message"`
	Code     license.Code `json:"code,omitempty"`
	Opened   any          `json:"opened,omitempty"`
}

type step struct {
	Name   string       `json:"name"`
	Update string       `json:"update"`
	Code   license.Code `json:"code,omitempty"`
	Number uint64       `json:"number"` // installed after the step
}

type sequence struct {
	Root     string `json:"root"`
	Identity string `json:"identity"`
	Serial   string `json:"serial"`
	Steps    []step `json:"steps"`
}

// describe turns what was opened into JSON values: bytes in hex, times in RFC
// 3339, serials and products as people write them.
func describe(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.UTC().Format(time.RFC3339Nano)
	case time.Duration, license.Serial, license.Product:
		return fmt.Sprint(x)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return describe(v.Elem())
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			m[v.Type().Field(i).Name] = describe(v.Field(i))
		}
		return m
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(b), v)
			return hex.EncodeToString(b)
		}
		all := []any{}
		for i := range v.Len() {
			all = append(all, describe(v.Index(i)))
		}
		return all
	case reflect.String:
		return v.String()
	default:
		return fmt.Sprint(v.Interface())
	}
}

// open does what an implementation does with a vector.
func (v vector) open(t *testing.T) (any, error) {
	t.Helper()
	b, key := unhex(t, v.Message), ed25519.PublicKey(unhex(t, v.Key))
	switch v.Kind {
	case "firm":
		return VerifyFirmCert(key, b)
	case "rotation":
		return VerifyRotation(b)
	case "fingerprint":
		return OpenFingerprint(b)
	case "update":
		i, err := ParseIdentity(unhex(t, v.Identity))
		ok(t, err)
		h, p, err := OpenUpdate(b, key, i)
		return opened{h, p}, err
	case "receipt":
		return OpenReceipt(b, key)
	case "statement":
		return OpenStatement(b, key)
	case "time":
		return OpenTime(b, key)
	case "token":
		return OpenToken(b, key)
	case "wrapped":
		p, err := license.ParseProduct(v.Product)
		ok(t, err)
		return UnwrapKey(unhex(t, v.Private), p, b)
	}
	t.Fatalf("unknown kind %q", v.Kind)
	return nil, nil
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	ok(t, err)
	return b
}

func TestVectors(t *testing.T) {
	dir := filepath.Join("testdata", "vectors")
	if *update {
		newKit(t).writeVectors(t, dir)
	}
	for _, kind := range []string{"firm", "rotation", "fingerprint", "update", "receipt", "statement", "time", "token", "wrapped"} {
		b, err := os.ReadFile(filepath.Join(dir, kind+".json"))
		ok(t, err)
		var all []vector
		ok(t, json.Unmarshal(b, &all))
		good := 0
		for _, v := range all {
			t.Run(kind+"/"+v.Name, func(t *testing.T) {
				got, err := v.open(t)
				code(t, err, v.Code)
				if err != nil {
					return
				}
				good++
				var have any
				b, err := json.Marshal(describe(reflect.ValueOf(got)))
				ok(t, err)
				ok(t, json.Unmarshal(b, &have))
				if !reflect.DeepEqual(have, v.Opened) {
					t.Fatalf("opened\n%v\nwant\n%v", have, v.Opened)
				}
			})
		}
		if good == 0 || good == len(all) {
			t.Fatalf("%s: %d of %d vectors are good", kind, good, len(all))
		}
	}
}

// TestVectorsAreReproducible: what is deterministic is made again, byte for byte.
func TestVectorsAreReproducible(t *testing.T) {
	for kind, m := range newKit(t).messages(t) {
		if kind == "update" {
			continue
		}
		if !bytes.Equal(vectorOf(t, kind), m.bytes) {
			t.Errorf("the format of the %s changed", kind)
		}
	}
}

// vectorOf gives the good message of a kind that is on file.
func vectorOf(t testing.TB, kind string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "vectors", kind+".json"))
	ok(t, err)
	var all []vector
	ok(t, json.Unmarshal(b, &all))
	return unhex(t, all[0].Message)
}

func (k *kit) writeVectors(t *testing.T, dir string) {
	t.Helper()
	ok(t, os.MkdirAll(dir, 0o755)) //nolint:gosec // G301: test data
	write := func(name string, v any) {
		if *files != "" && !slices.Contains(strings.Split(*files, ","), name) {
			return
		}
		b, err := json.MarshalIndent(v, "", " ")
		ok(t, err)
		ok(t, os.WriteFile(filepath.Join(dir, name+".json"), append(b, '\n'), 0o644)) //nolint:gosec // G306: test data
	}
	for kind, m := range k.messages(t) {
		base := vector{Kind: kind, Key: hex.EncodeToString(m.key)}
		if kind == "update" {
			base.Identity = hex.EncodeToString(k.self.Marshal())
		}
		write(kind, k.vectors(t, base, m))
	}
	write("wrapped", k.wrappedVectors(t))
	write("rotation", k.rotationVectors(t))
	write("sequence", k.sequence(t))
	write("sequence-rotation", k.rotationSequence(t))
}

func (k *kit) vectors(t *testing.T, base vector, m message) []vector {
	t.Helper()
	var all []vector
	add := func(name string, b []byte, want license.Code) *vector {
		v := base
		v.Name, v.Message, v.Code = name, hex.EncodeToString(b), want
		if want == "" {
			got, err := v.open(t)
			ok(t, err)
			v.Opened = describe(reflect.ValueOf(got))
		}
		all = append(all, v)
		return &all[len(all)-1]
	}
	damaged := m.kind.spec().damaged
	flip := func(at int) []byte { b := bytes.Clone(m.bytes); b[at] ^= 1; return b }
	head := len(m.kind.spec().tag) + 2
	add("good", m.bytes, "")
	add("flipped bit in the tag", flip(3), license.CodeFormatUnknown)
	add("unknown version", flip(head-1), license.CodeFormatUnknown)
	add("flipped bit in the body", flip(head+4+20), damaged)
	add("flipped bit at the end of the body", flip(len(m.bytes)-65), damaged)
	add("flipped bit in the signature", flip(len(m.bytes)-1), damaged)
	add("nothing", nil, license.CodeFormatUnknown)
	add("truncated in the head", m.bytes[:head+2], damaged)
	add("truncated in the body", m.bytes[:len(m.bytes)/2], damaged)
	add("truncated by a byte", m.bytes[:len(m.bytes)-1], damaged)
	add("a byte follows", append(bytes.Clone(m.bytes), 0), damaged)
	long := bytes.Clone(m.bytes)
	copy(long[head:], []byte{0xff, 0xff, 0xff, 0xff})
	add("body longer than the message", long, damaged)
	short := bytes.Clone(m.bytes)
	short[head+3]--
	add("body shorter than the message", short, damaged)
	other := kindFingerprint
	if m.kind == kindFingerprint {
		other = kindStatement
	}
	body, _, sig, err := m.kind.split(m.bytes)
	ok(t, err)
	retagged, err := other.frame(body)
	ok(t, err)
	add("under another kind's tag", append(retagged, sig...), license.CodeFormatUnknown)

	// Bodies that are validly signed but not well formed.
	resigned := func(name string, body []byte) {
		signer := map[kind]Signer{
			kindFirm: k.root, kindTime: k.root, kindUpdate: k.firm, kindToken: k.token,
		}[m.kind]
		if signer == nil {
			signer = identitySigner{k.self}
		}
		b, err := m.kind.signed(signer, &writer{b: body})
		ok(t, err)
		add(name, b, damaged)
	}
	resigned("signed, a byte follows in the body", append(bytes.Clone(body), 0))
	resigned("signed, the body lacks a byte", body[:len(body)-1])
	switch m.kind {
	case kindFirm:
		k.chainVectors(t, add)
	case kindUpdate:
		k.updateVectors(t, add)
	case kindFingerprint:
		f := k.fingerprint()
		w := new(writer)
		w.identity(f.Identity)
		w.serial(f.Serial)
		w.raw(f.ActivationID[:])
		w.key(f.Root, "root")
		w.count(0)
		w.count(2)
		for _, h := range slices.Backward(f.Licenses) {
			w.held(h)
		}
		w.bytes(nil, 0, 0, "nonce")
		w.instant(f.At, "time")
		ok(t, w.err)
		resigned("signed, licenses out of order", w.b)
		for _, h := range hostileOptions(t, encodeFingerprint(f).b) {
			resigned("signed, "+h.name, h.body)
		}
		w.b = w.b[:0]
		w.identity(f.Identity)
		w.serial(f.Serial)
		w.raw(f.ActivationID[:])
		w.key(f.Root, "root")
		w.count(MostFirms + 1)
		resigned("signed, too many firms", w.b)
		last := encodeFingerprint(Fingerprint{Serial: f.Serial, Identity: f.Identity, Root: f.Root})
		last.b = last.b[:len(last.b)-4] // no sightings, no meters
		trail := bytes.Clone(last.b)
		resigned("signed, a gap in the sightings", func() []byte {
			w := &writer{b: trail}
			w.count(2)
			for _, n := range []uint64{4, 6} {
				w.u64(n)
				w.raw(make([]byte, 16))
			}
			w.count(0)
			return w.b
		}())
		resigned("signed, too many sightings", append(bytes.Clone(last.b), 0, MostTrail+1))
		resigned("signed, meters out of order", func() []byte {
			w := &writer{b: bytes.Clone(last.b)}
			w.count(0)
			w.count(2)
			for _, m := range slices.Backward(f.Meters) {
				w.meter(m)
			}
			return w.b
		}())
		body = bytes.Clone(body)
		copy(body, k.other.Public().Sign)
		resigned("signed by another key than it names", body)
	case kindStatement:
		w := new(writer)
		w.serial(k.serial())
		w.u32(1 << 31)
		resigned("signed, over-long nonce", w.b)
		w = encodeStatement(k.statement())
		at := bytes.Index(w.b, []byte("Chart Processing")) + len("Chart Processing") + 4 + 4 + 3*8 // of the unit counter
		w.b[at] = 2
		resigned("signed, a flag that is neither 0 nor 1", w.b)
		for _, h := range hostileOptions(t, encodeStatement(k.statement()).b) {
			resigned("signed, "+h.name, h.body)
		}
	case kindTime:
		c := k.time()
		w := new(writer)
		w.serial(c.Serial)
		w.raw(make([]byte, len(c.Nonce)))
		w.instant(c.At, "time")
		resigned("signed, without a nonce", w.b)
		w = new(writer)
		w.serial(c.Serial)
		w.raw(c.Nonce[:])
		w.u64(0)
		resigned("signed, without a time", w.b)
	case kindToken:
		w := encodeToken(k.handleToken())
		at := bytes.Index(w.b, []byte("station-134")) - 5
		w.b[at] = 9
		resigned("signed, unknown access mode", w.b)
		k.taggedVectors(t, add)
	}
	return all
}

// sequence is a container's life: what it is given, one after the other.
func (k *kit) sequence(t *testing.T) sequence {
	t.Helper()
	s := sequence{Root: hex.EncodeToString(k.root.Public()), Identity: hex.EncodeToString(k.self.Marshal()), Serial: k.serial().String()}
	installed := uint64(0)
	add := func(name string, b []byte, want license.Code) {
		if want == "" {
			h, err := VerifyUpdate(b, k.root.Public())
			ok(t, err)
			installed = h.Number
		}
		s.Steps = append(s.Steps, step{name, hex.EncodeToString(b), want, installed})
	}
	issue := func(to *Identity, serial license.Serial, number uint64, previous [32]byte, quantity uint32) []byte {
		b, err := SealUpdate(k.firm, k.cert, to.Public(), UpdateHeader{Firm: firmCode, Serial: serial, Number: number, Previous: previous, IssuedAt: day},
			Payload{Set: []Grant{{License: license.Held{License: license.License{Product: chart, Name: "Chart Processing", Options: license.Options{Quantity: quantity}}}, ProductKey: k.productKey}}})
		ok(t, err)
		return b
	}
	own := k.serial()
	first := issue(k.self, own, 1, [32]byte{}, 10)
	second := issue(k.self, own, 2, Digest(first), 20)
	third := issue(k.self, own, 3, Digest(second), 30)
	flipped := bytes.Clone(third)
	flipped[len(flipped)/2] ^= 1
	cert, err := SignFirmCert(k.stranger, FirmCert{Firm: firmCode, Key: k.firm.Public(), Serial: 1})
	ok(t, err)
	foreign, err := SealUpdate(k.firm, cert, k.self.Public(), UpdateHeader{Firm: firmCode, Serial: own, Number: 3, Previous: Digest(second)}, Payload{})
	ok(t, err)
	add("gap before the first", second, license.CodeUpdateGap)
	add("first", first, "")
	add("first again", first, "")
	add("gap", third, license.CodeUpdateGap)
	add("second", second, "")
	add("replay", first, license.CodeUpdateReplayed)
	add("another second", issue(k.self, own, 2, Digest(first), 99), license.CodeUpdateConflict)
	add("third on another second", issue(k.self, own, 3, Digest(first), 99), license.CodeUpdateConflict)
	add("flipped bit", flipped, license.CodeUpdateTampered)
	add("truncated", third[:len(third)-1], license.CodeUpdateTampered)
	add("a byte follows", append(bytes.Clone(third), 0), license.CodeUpdateTampered)
	add("for another container", issue(k.other, own, 3, Digest(second), 99), license.CodeUpdateForeign)
	add("for another serial", issue(k.self, license.Serial{Mask: license.MaskUniversal, Number: 5}, 3, Digest(second), 99), license.CodeUpdateForeign)
	add("of a firm under another root", foreign, license.CodeUpdateUntrusted)
	add("third", third, "")
	add("replay of the second", second, license.CodeUpdateReplayed)
	return s
}
