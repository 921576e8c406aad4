package seal

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/license"
)

// TestRefusesToSign: nothing that a reader would refuse is signed.
func TestRefusesToSign(t *testing.T) {
	k := newKit(t)
	for name, change := range map[string]func(*Fingerprint){
		"serial":            func(f *Fingerprint) { f.Serial = license.Serial{} },
		"root":              func(f *Fingerprint) { f.Root = nil },
		"nonce":             func(f *Fingerprint) { f.Nonce = make([]byte, MostNonce+1) },
		"product twice":     func(f *Fingerprint) { f.Licenses[1].Product = f.Licenses[0].Product },
		"firm twice":        func(f *Fingerprint) { f.Firms[0].Firm = f.Firms[1].Firm },
		"counter alone":     func(f *Fingerprint) { f.Firms[0].Counter = 1 },
		"name too long":     func(f *Fingerprint) { f.Licenses[0].Name = strings.Repeat("x", license.MostProductName+1) },
		"name not UTF-8":    func(f *Fingerprint) { f.Licenses[0].Name = "\xff" },
		"part of a second":  func(f *Fingerprint) { f.Licenses[0].Options.Expiration = day },
		"before 1970":       func(f *Fingerprint) { f.Licenses[0].Options.Expiration = time.Unix(-5, 0) },
		"time":              func(f *Fingerprint) { f.At = time.UnixMilli(latest + 1) },
		"too many licenses": func(f *Fingerprint) { f.Licenses = make([]license.Held, MostLicenses+1) },
	} {
		f := k.fingerprint()
		change(&f)
		_, err := SignFingerprint(k.self, f)
		if license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	for name, change := range map[string]func(*UpdateHeader, *Payload){
		"number":         func(h *UpdateHeader, _ *Payload) { h.Number = 0 },
		"first follows":  func(h *UpdateHeader, _ *Payload) { h.Number = 1 },
		"later is first": func(h *UpdateHeader, _ *Payload) { h.Previous = [32]byte{} },
		"set twice":      func(_ *UpdateHeader, p *Payload) { p.Set[1] = p.Set[0] },
		"set, removed":   func(_ *UpdateHeader, p *Payload) { p.Remove[0] = p.Set[0].License.Product },
		"removed twice":  func(_ *UpdateHeader, p *Payload) { p.Remove = append(p.Remove, p.Remove[0]) },
		"product key":    func(_ *UpdateHeader, p *Payload) { p.Set[0].ProductKey = []byte{1} },
		"member twice":   func(_ *UpdateHeader, p *Payload) { p.Group.Members[1].Serial = p.Group.Members[0].Serial },
		"key twice":      func(_ *UpdateHeader, p *Payload) { p.Group.Members[1].Key = p.Group.Members[0].Key },
		"not virtual":    func(_ *UpdateHeader, p *Payload) { p.Group.Virtual = k.serial() },
		"virtual member": func(_ *UpdateHeader, p *Payload) { p.Group.Members[1].Serial = p.Group.Virtual },
		"token key":      func(_ *UpdateHeader, p *Payload) { p.Group.TokenKey = nil },
	} {
		h, p := k.header(), k.payload()
		change(&h, &p)
		_, err := SealUpdate(k.firm, k.cert, k.self.Public(), h, p)
		if license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	for name, change := range map[string]func(*Token){
		"mode":    func(x *Token) { x.Mode = "" },
		"lease":   func(x *Token) { x.Lease = 0 },
		"handle":  func(x *Token) { x.Handle = "" },
		"product": func(x *Token) { x.Product = license.Product{} },
		"station": func(x *Token) { x.Station = strings.Repeat("x", MostTokenText+1) },
		"no tag":  func(x *Token) { x.Tags = []string{""} },
		"a tag":   func(x *Token) { x.Tags = []string{strings.Repeat("x", MostTokenTag+1)} },
		"twice":   func(x *Token) { x.Tags = []string{"a", "b", "a"} },
		"tags":    func(x *Token) { x.Tags = make([]string, MostTokenTags+1) },
	} {
		x := k.handleToken()
		change(&x)
		_, err := SignToken(k.token, x)
		if license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	_, err := SignReceipt(k.self, Receipt{Serial: k.serial()})
	code(t, err, license.CodeInvalidInput)
	_, err = SignFirmCert(k.root, FirmCert{Key: k.firm.Public()})
	code(t, err, license.CodeInvalidInput)
}

func TestLeaseRoundsUp(t *testing.T) {
	k := newKit(t)
	x := k.handleToken()
	x.Lease = time.Second + time.Nanosecond
	b, err := SignToken(k.token, x)
	ok(t, err)
	y, err := OpenToken(b, k.token.Public())
	ok(t, err)
	if y.Lease != time.Second+time.Millisecond {
		t.Fatalf("lease is %s", y.Lease)
	}
}

// TestFullContainerFits: a container with the most licenses still makes its
// fingerprint and its statement.
func TestFullContainerFits(t *testing.T) {
	k := newKit(t)
	f := k.fingerprint()
	f.Licenses, f.Firms = nil, nil
	var set []Grant
	for i := range MostLicenses {
		h := license.Held{License: license.License{
			Product: license.Product{Firm: firmCode, Code: license.ProductCode(i)}, Name: strings.Repeat("x", license.MostProductName), //nolint:gosec // G115: small
		}, Predecessor: &license.Options{Quantity: 1}}
		f.Licenses = append(f.Licenses, h)
		set = append(set, Grant{License: h, ProductKey: k.productKey})
	}
	for i := range MostFirms {
		f.Firms = append(f.Firms, FirmState{Firm: license.FirmCode(1 + i), Counter: 1, Digest: [32]byte{1}}) //nolint:gosec // G115: small
	}
	b, err := SignFingerprint(k.self, f)
	ok(t, err)
	_, err = OpenFingerprint(b)
	ok(t, err)
	_, err = SignStatement(k.self, Statement{Serial: f.Serial, Nonce: seed(1), Licenses: f.Licenses})
	ok(t, err)
	_, err = SealUpdate(k.firm, k.cert, k.self.Public(), k.header(), Payload{Set: set, Group: k.group()})
	ok(t, err)
}

// TestSameMeaningSameBytes: the order in which licenses are given doesn't
// matter, and any terms survive.
func TestSameMeaningSameBytes(t *testing.T) {
	k := newKit(t)
	rapid.Check(t, func(rt *rapid.T) {
		options := rapid.Custom(func(rt *rapid.T) license.Options {
			second := func(name string) time.Time {
				if s := rapid.Int64Range(0, latest/1000).Draw(rt, name); s != 0 {
					return time.Unix(s, 0).UTC()
				}
				return time.Time{}
			}
			span := func(name string, most time.Duration) time.Duration {
				return time.Duration(rapid.Int64Range(0, int64(most/time.Second)).Draw(rt, name)) * time.Second
			}
			name := func(what string) (n license.DataName) { n[0] = rapid.Byte().Draw(rt, what); return n }
			o := license.Options{
				Quantity: rapid.Uint32().Draw(rt, "quantity"), TMRID: rapid.Uint32().Draw(rt, "id"),
				Activation: second("activation"), Expiration: second("expiration"), UsagePeriod: span("usage period", license.MostUsage),
				Issue: rapid.Uint32().Draw(rt, "issue"), FeatureMap: rapid.Uint32().Draw(rt, "features"),
				Maintenance:    license.Maintenance{From: second("maintenance from"), Until: second("maintenance until")},
				MinimumVersion: license.Version(rapid.SampledFrom([]string{"", "0", "10", "10.4", "1.2.3.4294967295"}).Draw(rt, "version")),
				Text:           rapid.StringN(0, 20, license.MostText).Draw(rt, "text"), Linger: span("linger", license.MostLinger),
				Protected: name("protected"), Secret: name("secret"),
			}
			if rapid.Bool().Draw(rt, "has units") {
				o.Units = new(rapid.Uint64Range(0, license.MostUnits).Draw(rt, "units"))
			}
			for _, r := range []string{"user:anna", "!host:ws-17", "subnet:10.0.0.0/8", "application:chart", "!subnet:fe80::1"} {
				if rule, err := license.ParseAccessRule(r); err != nil {
					rt.Fatal(err)
				} else if rapid.Bool().Draw(rt, r) {
					o.AccessList = append(o.AccessList, rule)
				}
			}
			if !o.Activation.Before(o.Expiration) {
				o.Activation = time.Time{}
			}
			if o.Maintenance.Until.Before(o.Maintenance.From) {
				o.Maintenance.From = time.Time{}
			}
			if o.TMRID != 0 {
				o.UsagePeriod, o.Quantity = 0, max(o.Quantity, 1)
			}
			return o
		})
		held := rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) license.Held {
			h := license.Held{License: license.License{
				Product: license.Product{Firm: license.FirmCode(rapid.Uint32Range(1, 1<<32-1).Draw(rt, "firm")), Code: license.ProductCode(rapid.Uint32().Draw(rt, "code"))},
				Name:    rapid.StringN(0, 20, license.MostProductName).Draw(rt, "name"), Options: options.Draw(rt, "options"),
			}}
			if rapid.Bool().Draw(rt, "has predecessor") {
				o := options.Draw(rt, "predecessor")
				h.Predecessor = &o
			}
			return h
		}), 0, 8, func(h license.Held) license.Product { return h.Product }).Draw(rt, "held")
		s := Statement{Serial: k.serial(), Nonce: seed(1), Licenses: held}
		a, err := SignStatement(k.self, s)
		if err != nil {
			rt.Fatal(err)
		}
		s.Licenses = rapid.Permutation(held).Draw(rt, "order")
		b, err := SignStatement(k.self, s)
		if err != nil || !bytes.Equal(a, b) {
			rt.Fatalf("another order gives other bytes (%v)", err)
		}
		o, err := OpenStatement(a, k.self.Public().Sign)
		if err != nil || len(o.Licenses) != len(held) {
			rt.Fatal(err)
		}
		slices.SortFunc(held, func(a, b license.Held) int { return a.Product.Compare(b.Product) })
		for i, h := range o.Licenses {
			if !h.Options.Equal(held[i].Options) {
				rt.Fatalf("the options\n%+v were read as\n%+v", held[i].Options, h.Options)
			}
		}
		c, err := SignStatement(k.self, o)
		if err != nil || !bytes.Equal(a, c) {
			rt.Fatalf("reading and signing again gives other bytes (%v)", err)
		}
	})
}
