package rpc_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

var product = license.Product{Firm: 6000010, Code: 14}

func held(quantity, id uint32) license.Held {
	options := license.Options{
		Quantity: quantity, TMRID: id, FeatureMap: 5, Expiration: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		Activation: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Units: new(uint64(0)), Issue: 3,
		Maintenance:    license.Maintenance{From: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
		MinimumVersion: "10.4", Text: "für Anna", Linger: 90 * time.Second, Protected: license.DataName{1}, Secret: license.DataName{2},
		AccessList: []license.AccessRule{{Kind: license.AccessUser, Value: "anna"}, {Deny: true, Kind: license.AccessSubnet, Value: "10.0.0.0/8"}},
	}
	before := options
	before.Quantity, before.TMRID = 20, id-1
	return license.Held{
		License:     license.License{Product: product, Name: "Chart Processing", Options: options},
		Predecessor: &before,
	}
}

func TestHeldRoundTrip(t *testing.T) {
	in := []license.Held{held(30, 8), {License: license.License{Product: license.Product{Firm: 1, Code: 0}, Options: license.Options{UsagePeriod: time.Hour}}}}
	out, err := rpc.HeldsFrom(rpc.HeldsProto(in))
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 2 || !reflect.DeepEqual(out, in) {
		t.Errorf("came back as %+v", out)
	}
}

func TestHeldRefusals(t *testing.T) {
	good := rpc.HeldProto(held(30, 8))
	change := func(f func(*quoratev1.HeldLicense)) *quoratev1.HeldLicense {
		m := proto.Clone(good).(*quoratev1.HeldLicense)
		f(m)
		return m
	}
	for name, ms := range map[string][]*quoratev1.HeldLicense{
		"no product": {change(func(m *quoratev1.HeldLicense) { m.Product = nil })},
		"no options": {change(func(m *quoratev1.HeldLicense) { m.Options = nil })},
		"long name":  {change(func(m *quoratev1.HeldLicense) { m.Name = strings.Repeat("x", 201) })},
		"no UTF-8":   {change(func(m *quoratev1.HeldLicense) { m.Name = "\xff" })},
		"twice":      {good, good},
		"too many":   make([]*quoratev1.HeldLicense, rpc.MostLicenses+1),
		"empty":      {nil},
	} {
		if _, err := rpc.HeldsFrom(ms); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestModeRoundTrip(t *testing.T) {
	for _, m := range []license.AccessMode{license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit} {
		if got, err := rpc.ModeFrom(rpc.ModeProto(m)); got != m || err != nil {
			t.Errorf("%s came back as %s, %v", m, got, err)
		}
	}
	if got, err := rpc.ModeFrom(quoratev1.AccessMode_ACCESS_MODE_UNSPECIFIED); got != license.UserLimit || err != nil {
		t.Errorf("unspecified is %s, %v", got, err)
	}
	if _, err := rpc.ModeFrom(99); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("mode 99: %v", err)
	}
}

func exampleView() license.View {
	return license.Merge(license.View{Version: 41}, [3]license.Observation{
		{Presence: license.Present, Licenses: []license.Held{held(30, 8)}},
		{Presence: license.Present, Licenses: []license.Held{held(20, 7)}},
		{Presence: license.Activating, Licenses: []license.Held{held(20, 7)}},
	})
}

func TestViewRoundTrip(t *testing.T) {
	in, at := exampleView(), time.UnixMilli(1234567890123).UTC()
	out, outAt, err := rpc.ViewFrom(rpc.ViewProto(in, at))
	if err != nil {
		t.Fatal(err)
	}
	if !out.Equal(in) || out.Version != 42 || !outAt.Equal(at) || out.Status() != in.Status() {
		t.Errorf("%+v came back as %+v", in, out)
	}
}

func TestViewRefusals(t *testing.T) {
	for name, f := range map[string]func(*quoratev1.GroupView){
		"two backends":  func(m *quoratev1.GroupView) { m.Backends = m.Backends[:2] },
		"presence":      func(m *quoratev1.GroupView) { m.Backends[1] = "MAYBE" },
		"cell presence": func(m *quoratev1.GroupView) { m.Licenses[0].Cells[1].Presence = "MAYBE" },
		"two cells":     func(m *quoratev1.GroupView) { m.Licenses[0].Cells = m.Licenses[0].Cells[:2] },
		"no product":    func(m *quoratev1.GroupView) { m.Licenses[0].Product = nil },
		"no options":    func(m *quoratev1.GroupView) { m.Licenses[0].Options = nil },
		"long name":     func(m *quoratev1.GroupView) { m.Licenses[0].Name = strings.Repeat("x", 201) },
		"too many": func(m *quoratev1.GroupView) {
			m.Licenses = make([]*quoratev1.ViewedLicense, rpc.MostLicenses+1)
		},
	} {
		m := rpc.ViewProto(exampleView(), time.Now())
		f(m)
		if _, _, err := rpc.ViewFrom(m); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestHealthRoundTrip(t *testing.T) {
	in := rpc.BackendHealth{
		Position: 2, Serial: license.Serial{Mask: 130, Number: 27845973}, Address: "https://b2:1",
		Presence: license.Activating, Seen: time.Now().Add(-time.Minute),
	}
	out, err := rpc.HealthFrom(rpc.HealthProto(in))
	if err != nil || out.Seen.Sub(in.Seen).Abs() > 10*time.Second {
		t.Fatalf("came back as %+v, %v", out, err)
	}
	out.Seen = in.Seen
	if out != in {
		t.Errorf("%+v came back as %+v", in, out)
	}
	in.Seen = time.Time{}
	if out, err = rpc.HealthFrom(rpc.HealthProto(in)); err != nil || out != in {
		t.Errorf("never seen: %+v came back as %+v, %v", in, out, err)
	}
	for name, f := range map[string]func(*quoratev1.BackendHealth){
		"position": func(m *quoratev1.BackendHealth) { m.Position = 4 },
		"serial":   func(m *quoratev1.BackendHealth) { m.Serial = "x" },
		"presence": func(m *quoratev1.BackendHealth) { m.Presence = "" },
	} {
		m := rpc.HealthProto(in)
		f(m)
		if _, err := rpc.HealthFrom(m); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestOptionsRefusals(t *testing.T) {
	for name, m := range map[string]*quoratev1.Options{
		"negative usage period": {UsagePeriodS: -1},
		"endless linger time":   {LingerS: 1 << 40},
		"short data name":       {Protected: []byte{1}},
		"unknown rule":          {AccessList: []string{"group:staff"}},
		"long access list":      {AccessList: make([]string, license.MostAccessList+1)},
		"no version":            {MinimumVersion: "1.x"},
		"too many units":        {Units: new(uint64(1<<53 + 1))},
		"ends before it begins": {ActivationUnix: 20, ExpirationUnix: 20},
		"year 10000":            {ExpirationUnix: 253402300800},
		"TMR, local only":       {TmrId: 7},
	} {
		if _, err := rpc.OptionsFrom(m); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
