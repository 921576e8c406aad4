package source

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
)

func product() license.Product { return license.Product{Firm: 6000010, Code: 14} }

func held(code license.ProductCode, o license.Options) license.Held {
	return license.Held{License: license.License{
		Product: license.Product{Firm: 6000010, Code: code}, Name: "Chart Processing", Options: o,
	}}
}

// fakeContainer holds the data that its names name.
type fakeContainer []license.Held

func (fakeContainer) Serial() license.Serial               { return license.Serial{Mask: 130, Number: 5} }
func (c fakeContainer) Licenses() (uint64, []license.Held) { return 1, c }
func (c fakeContainer) License(p license.Product) (license.Held, bool) {
	i := slices.IndexFunc(c, func(h license.Held) bool { return h.Product == p })
	if i < 0 {
		return license.Held{}, false
	}
	return c[i], true
}
func (fakeContainer) Moment() license.Moment          { return license.Moment{At: noon} }
func (fakeContainer) Use(license.Product) license.Use { return license.Use{Units: 3} }
func (fakeContainer) Started(license.Product) error   { return nil }
func (fakeContainer) TakeUnits(license.Product, string, uint64) (uint64, error) {
	return 4, nil
}
func (fakeContainer) OpenKey(license.Product, []byte) ([]byte, error) { return []byte("opened"), nil }
func (fakeContainer) ProtectedData(_ license.Product, n license.DataName) ([]byte, error) {
	return n[:1], nil
}
func (fakeContainer) UseSecret(_ license.Product, n license.DataName, context []byte) ([]byte, error) {
	return append(context, n[0]), nil
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

func TestSingle(t *testing.T) {
	data := license.Options{Quantity: 5, Protected: license.DataName{7}, Secret: license.DataName{8}}
	s := NewSingle(fakeContainer{
		held(20, data),
		held(14, license.Options{Quantity: 20, TMRID: 7}),
		held(15, license.Options{Quantity: 5, Expiration: noon.Add(-time.Hour)}),
	})
	ctx := t.Context()
	for _, tt := range []struct {
		product    license.ProductCode
		want, data license.Code
	}{
		{20, "", ""}, {14, license.CodeTMROnly, license.CodeTMROnly}, {15, "", license.CodeNotFound}, {99, license.CodeNoLicense, license.CodeNoLicense},
	} {
		p := license.Product{Firm: 6000010, Code: tt.product}
		f, err := s.Find(p)
		if license.CodeOf(err) != tt.want || !f.Moment.At.Equal(noon) || f.Status != "" {
			t.Errorf("Find(%s): %+v, %v, want %q", p, f, err, tt.want)
		}
		if err == nil && f.Options.Quantity != 5 {
			t.Errorf("Find(%s) = %+v", p, f)
		}
		key, err := s.OpenKey(ctx, p, []byte("x"), nil)
		if license.CodeOf(err) != tt.want || (err == nil) != (string(key) == "opened") {
			t.Errorf("OpenKey(%s) = %q, %v, want %q", p, key, err, tt.want)
		}
		if err := s.Begin(ctx, 1, p); license.CodeOf(err) != tt.want {
			t.Errorf("Begin(%s): %v, want %q", p, err, tt.want)
		}
		left, err := s.TakeUnits(ctx, 1, p, "r", 1)
		if license.CodeOf(err) != tt.want || (err == nil) != (left == 4) {
			t.Errorf("TakeUnits(%s) = %d, %v, want %q", p, left, err, tt.want)
		}
		got, err := s.ReadData(ctx, p, nil)
		if license.CodeOf(err) != tt.data || (err == nil) != (string(got) == "\x07") {
			t.Errorf("ReadData(%s) = %q, %v, want %q", p, got, err, tt.data)
		}
		got, err = s.UseSecret(ctx, p, []byte("x"), nil)
		if license.CodeOf(err) != tt.data || (err == nil) != (string(got) == "x\x08") {
			t.Errorf("UseSecret(%s) = %q, %v, want %q", p, got, err, tt.data)
		}
	}
	if u, err := s.Use(ctx, 1, license.License{}); err != nil || u.Units != 3 {
		t.Errorf("Use = %+v, %v", u, err)
	}
	var got []license.ProductCode
	for _, o := range s.Licenses() {
		got = append(got, o.Product.Code)
		if (o.Refusal == nil) != (o.Product.Code != 14) || !o.Moment.At.Equal(noon) {
			t.Errorf("offer %s: %+v, refusal %v", o.Product, o.Moment, o.Refusal)
		}
	}
	if len(got) != 3 || got[0] != 14 || got[1] != 15 || got[2] != 20 {
		t.Errorf("offers in order %v", got)
	}
}

// TestSingleRefuses: nothing of a container that is refused can be used, until
// that is taken back.
func TestSingleRefuses(t *testing.T) {
	s := NewSingle(fakeContainer{held(20, license.Options{Quantity: 5, Protected: license.DataName{7}}), held(14, license.Options{Quantity: 20, TMRID: 7})})
	ctx, p := t.Context(), license.Product{Firm: 6000010, Code: 20}
	for _, why := range []error{nil, license.Errorf(license.CodeContainerBlocked, "x", "blocked"), nil} {
		s.Refuse(why)
		want := license.CodeOf(why)
		f, err := s.Find(p)
		_, units := s.TakeUnits(ctx, 1, p, "r", 1)
		_, opened := s.OpenKey(ctx, p, []byte("x"), nil)
		_, data := s.ReadData(ctx, p, nil)
		for what, err := range map[string]error{"find": err, "begin": s.Begin(ctx, 1, p), "units": units, "key": opened, "data": data, "offer": s.Licenses()[1].Refusal} {
			if license.CodeOf(err) != want {
				t.Errorf("%s: %v, want %q", what, err, want)
			}
		}
		if f.Options.Quantity != 5 {
			t.Errorf("what is there is not told: %+v", f)
		}
		if _, err := s.Find(license.Product{Firm: 6000010, Code: 14}); license.CodeOf(err) != license.CodeTMROnly {
			t.Errorf("a group's: %v", err)
		}
	}
}

// A name that changes between the look at it and the reading is looked at again,
// once.
func TestDataIsReadUnderTheNameOfNow(t *testing.T) {
	gone := license.Errorf(license.CodeNotFound, "x", "gone")
	for name, tt := range map[string]struct {
		names []byte
		has   byte
		want  string
		reads int
	}{
		"steady":       {[]byte{1, 1}, 1, "read", 1},
		"changed":      {[]byte{1, 2}, 2, "read", 2},
		"never there":  {[]byte{1, 1}, 9, "", 1},
		"changes on":   {[]byte{1, 2, 3}, 3, "", 2},
		"removed then": {[]byte{1, 0}, 2, "", 1},
	} {
		looks, reads := 0, 0
		got, err := named(func() (license.DataName, error) {
			n := license.DataName{tt.names[looks]}
			looks++
			if n == (license.DataName{}) {
				return n, gone
			}
			return n, nil
		}, func(n license.DataName) ([]byte, error) {
			reads++
			if n[0] != tt.has {
				return nil, gone
			}
			return []byte("read"), nil
		})
		if string(got) != tt.want || (err == nil) != (tt.want != "") || reads != tt.reads {
			t.Errorf("%s: %q, %v after %d reads", name, got, err, reads)
		}
	}
}

type fakeGroup struct {
	view license.View
	asks int
}

func (g *fakeGroup) View() license.View     { return g.view }
func (g *fakeGroup) Moment() license.Moment { return license.Moment{At: noon} }
func (g *fakeGroup) Use(_ context.Context, epoch uint64, _ license.Product, issue uint32) (license.Use, error) {
	g.asks++
	return license.Use{Units: epoch*100 + uint64(issue)}, nil
}
func (g *fakeGroup) TakeUnits(_ context.Context, epoch uint64, _ license.Product, issue uint32, granted uint64, _ string, n uint64) (uint64, error) {
	return granted - n - epoch*100 - uint64(issue), nil
}
func (g *fakeGroup) OpenKey(context.Context, license.Product, []byte, []byte) ([]byte, error) {
	return []byte("opened"), nil
}
func (g *fakeGroup) ReadData(_ context.Context, _ license.Product, n license.DataName, token []byte) ([]byte, error) {
	return append(token, n[0]), nil
}
func (g *fakeGroup) UseSecret(_ context.Context, _ license.Product, n license.DataName, context, token []byte) ([]byte, error) {
	return append(context, append(token, n[0])...), nil
}

// What the group is asked is of the issue and the data in force.
func TestVirtualAsksForWhatIsInForce(t *testing.T) {
	o := license.Options{Quantity: 20, TMRID: 7, Units: new(uint64(1000)), Issue: 3, Protected: license.DataName{7}, Secret: license.DataName{8}}
	old, next := o, o
	old.TMRID, old.Issue, old.Secret = 6, 2, license.DataName{9}
	next.TMRID, next.Issue = 8, 4
	has := func(o license.Options) license.Observation {
		return license.Observation{Presence: license.Present, Licenses: []license.Held{held(14, o)}}
	}
	g := &fakeGroup{view: license.Merge(license.View{}, [3]license.Observation{has(old), has(o), has(next)})}
	s, ctx, p := NewVirtual(license.Serial{Mask: 131, Number: 1}, g), t.Context(), product()
	f, err := s.Find(p)
	if err != nil || !f.Options.Equal(o) || !f.Moment.At.Equal(noon) || f.Status != "1:(#6) 2:#7 3:(#8)" {
		t.Fatalf("Find = %+v, %v", f, err)
	}
	if u, err := s.Use(ctx, 5, f.License); err != nil || u.Units != 503 {
		t.Errorf("Use = %+v, %v", u, err)
	}
	if left, err := s.TakeUnits(ctx, 5, p, "r", 7); err != nil || left != 1000-7-503 {
		t.Errorf("TakeUnits = %d, %v", left, err)
	}
	if b, err := s.ReadData(ctx, p, []byte("t")); err != nil || string(b) != "t\x07" {
		t.Errorf("ReadData = %q, %v", b, err)
	}
	if b, err := s.UseSecret(ctx, p, []byte("c"), []byte("t")); err != nil || string(b) != "ct\x08" {
		t.Errorf("UseSecret = %q, %v", b, err)
	}
	if err := s.Begin(ctx, 5, p); err != nil {
		t.Errorf("Begin: %v", err)
	}
	asks := g.asks
	f.Options.Units = nil
	if u, err := s.Use(ctx, 5, f.License); err != nil || u != (license.Use{}) || g.asks != asks {
		t.Errorf("a license that isn't counted: %+v, %v, %d more questions", u, err, g.asks-asks)
	}
}

func TestVirtual(t *testing.T) {
	seven := license.Options{Quantity: 20, TMRID: 7}
	other := license.Options{Quantity: 21, TMRID: 7}
	third := license.Options{Quantity: 22, TMRID: 7}
	old := license.Options{Quantity: 20, TMRID: 7, Expiration: noon.Add(-time.Hour)}
	has := func(o license.Options) license.Observation {
		return license.Observation{Presence: license.Present, Licenses: []license.Held{held(14, o)}}
	}
	empty, absent := license.Observation{Presence: license.Present}, license.Observation{}
	for name, tt := range map[string]struct {
		obs  [license.Backends]license.Observation
		want license.Code
	}{
		"three":                 {[3]license.Observation{has(seven), has(seven), has(seven)}, ""},
		"two":                   {[3]license.Observation{has(seven), absent, has(seven)}, ""},
		"one alone":             {[3]license.Observation{has(seven), absent, absent}, license.CodeNoMajority},
		"one of three has it":   {[3]license.Observation{has(seven), empty, empty}, license.CodeNoMajority},
		"nobody there":          {[3]license.Observation{absent, absent, absent}, license.CodeNoMajority},
		"one there without it":  {[3]license.Observation{empty, absent, absent}, license.CodeNoMajority},
		"two there without it":  {[3]license.Observation{empty, empty, absent}, license.CodeNoLicense},
		"three without it":      {[3]license.Observation{empty, empty, empty}, license.CodeNoLicense},
		"three different terms": {[3]license.Observation{has(seven), has(other), has(third)}, license.CodeNoMajority},
		"expired":               {[3]license.Observation{has(old), has(old), has(old)}, ""}, // the time is not asked here
	} {
		t.Run(name, func(t *testing.T) {
			s := NewVirtual(license.Serial{Mask: 131, Number: 1}, &fakeGroup{view: license.Merge(license.View{}, tt.obs)})
			l, err := s.Find(product())
			if license.CodeOf(err) != tt.want {
				t.Errorf("Find: %v, want %q", err, tt.want)
			}
			if err == nil && !l.Options.Equal(seven) && !l.Options.Equal(old) {
				t.Errorf("Find = %+v", l)
			}
			if _, err := s.OpenKey(t.Context(), product(), nil, nil); license.CodeOf(err) != tt.want {
				t.Errorf("OpenKey: %v, want %q", err, tt.want)
			}
			for _, o := range s.Licenses() {
				if _, err := s.TakeUnits(t.Context(), 1, product(), "r", 1); tt.want == "" && license.CodeOf(err) != license.CodeNoUnits {
					t.Errorf("units of a license that isn't counted: %v", err)
				}
				if license.CodeOf(o.Refusal) != tt.want || o.Status == "" {
					t.Errorf("offer: refusal %v, status %q", o.Refusal, o.Status)
				}
			}
		})
	}
}
