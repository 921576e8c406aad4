package convert

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/resolvers/present"
)

// NewItem reads what an item shall be; options that are left out are none.
func NewItem(in graph.CreateItemInput) (catalog.ItemSpec, error) {
	var s catalog.ItemSpec
	change, err := ItemChange(graph.UpdateItemInput{
		Name: &in.Name, Quantity: &in.Quantity, Tmr: &in.Tmr,
		Activation: graphql.OmittableOf(in.Activation), Expiration: graphql.OmittableOf(in.Expiration),
		UsagePeriod: graphql.OmittableOf(in.UsagePeriod), Units: graphql.OmittableOf(in.Units),
		FeatureMap: graphql.OmittableOf(in.FeatureMap), MaintenanceFrom: graphql.OmittableOf(in.MaintenanceFrom),
		MaintenanceUntil: graphql.OmittableOf(in.MaintenanceUntil), MinimumVersion: graphql.OmittableOf(in.MinimumVersion),
		Text: graphql.OmittableOf(in.Text), AccessList: graphql.OmittableOf(in.AccessList), Linger: graphql.OmittableOf(in.Linger),
		ProtectedData: graphql.OmittableOf(in.ProtectedData), SecretData: graphql.OmittableOf(in.SecretData),
	})
	if err == nil {
		change(&s)
	}
	return s, err
}

// ItemChange reads what of an item shall be another. What is a value at all is
// checked here, what is a possible one by the platform.
func ItemChange(in graph.UpdateItemInput) (func(*catalog.ItemSpec), error) {
	var all []func(*catalog.ItemSpec)
	do := func(f func(s *catalog.ItemSpec)) { all = append(all, f) }
	if in.Name != nil {
		do(func(s *catalog.ItemSpec) { s.Name = *in.Name })
	}
	if in.Tmr != nil {
		do(func(s *catalog.ItemSpec) { s.TMR = *in.Tmr })
	}
	if in.Quantity != nil {
		n, err := Number("quantity", *in.Quantity, 0)
		if err != nil {
			return nil, err
		}
		do(func(s *catalog.ItemSpec) { s.Options.Quantity = n })
	}
	for _, t := range []struct {
		given graphql.Omittable[*time.Time]
		at    func(*license.Options) *time.Time
	}{
		{in.Activation, func(o *license.Options) *time.Time { return &o.Activation }},
		{in.Expiration, func(o *license.Options) *time.Time { return &o.Expiration }},
		{in.MaintenanceFrom, func(o *license.Options) *time.Time { return &o.Maintenance.From }},
		{in.MaintenanceUntil, func(o *license.Options) *time.Time { return &o.Maintenance.Until }},
	} {
		if v, ok := t.given.ValueOK(); ok {
			do(func(s *catalog.ItemSpec) { *t.at(&s.Options) = Value(v).UTC() })
		}
	}
	if v, ok := in.UsagePeriod.ValueOK(); ok {
		do(func(s *catalog.ItemSpec) { s.Options.UsagePeriod = seconds(v) })
	}
	if v, ok := in.Linger.ValueOK(); ok {
		do(func(s *catalog.ItemSpec) { s.Options.Linger = seconds(v) })
	}
	if v, ok := in.Units.ValueOK(); ok {
		var units *uint64
		if v != nil {
			n, err := strconv.ParseUint(*v, 10, 64)
			if err != nil {
				return nil, AtField("units", "write a number of 0 to 9007199254740992", "these are not units that can be counted")
			}
			units = &n
		}
		do(func(s *catalog.ItemSpec) { s.Options.Units = units })
	}
	if v, ok := in.FeatureMap.ValueOK(); ok {
		var m uint32
		if v != nil {
			var err error
			if m, err = features(*v); err != nil {
				return nil, err
			}
		}
		do(func(s *catalog.ItemSpec) { s.Options.FeatureMap = m })
	}
	if v, ok := in.MinimumVersion.ValueOK(); ok {
		do(func(s *catalog.ItemSpec) { s.Options.MinimumVersion = license.Version(Value(v)) })
	}
	if v, ok := in.Text.ValueOK(); ok {
		do(func(s *catalog.ItemSpec) { s.Options.Text = Value(v) })
	}
	if v, ok := in.AccessList.ValueOK(); ok {
		var rules []license.AccessRule
		for _, text := range v[:min(len(v), license.MostAccessList+1)] {
			r, err := license.ParseAccessRule(text)
			if err != nil {
				return nil, AsField("accessList", err)
			}
			rules = append(rules, r)
		}
		do(func(s *catalog.ItemSpec) { s.Options.AccessList = rules })
	}
	protected, err := data("protectedData", in.ProtectedData)
	if err != nil {
		return nil, err
	}
	secret, err := data("secretData", in.SecretData)
	if err != nil {
		return nil, err
	}
	do(func(s *catalog.ItemSpec) { s.Protected, s.Secret = protected, secret })
	return func(s *catalog.ItemSpec) {
		for _, f := range all {
			f(s)
		}
	}, nil
}

// data reads data. Its errors tell nothing of it.
func data(field string, given graphql.Omittable[*string]) (catalog.Data, error) {
	text, ok := given.ValueOK()
	switch {
	case !ok:
		return nil, nil
	case text == nil:
		return catalog.Data{}, nil
	case *text == "":
		return nil, AtField(field, "give null to have none", "the data is empty")
	case len(*text) > base64.StdEncoding.EncodedLen(license.MostData):
		return nil, AtField(field, "shorten it to 4096 bytes", "the data is too long")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(*text)
	if err != nil || len(b) == 0 {
		return nil, AtField(field, "write it as Base64 on one line, with its padding", "the data is not Base64")
	}
	return b, nil
}

func features(text string) (uint32, error) {
	digits, base := text, 10
	if hex, ok := strings.CutPrefix(text, "0x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, AtField("featureMap", "write a number of 0 to 4294967295, or as 0x5", "this is not a feature map")
	}
	return uint32(n), nil
}

// seconds are a time that may be too long: it stays too long.
func seconds(n *int) time.Duration {
	return time.Duration(max(min(Value(n), math.MaxUint32), -1)) * time.Second
}

// Number reads one of an input that fits, and is at least so much.
func Number(field string, n, least int) (uint32, error) {
	if n < least || n > math.MaxUint32 {
		return 0, AtField(field, "give a number of "+strconv.Itoa(least)+" to 4294967295", "%d is not possible here", n)
	}
	return uint32(n), nil
}

// AtField is an error of what is wrong with a field of an input.
func AtField(field, fix, format string, args ...any) error {
	return AsField(field, license.Errorf(license.CodeInvalidInput, fix, format, args...))
}

// AsField tells which field of an input an error is about.
func AsField(field string, err error) error {
	e := present.Known(err)
	if e == nil {
		return err
	}
	return &license.Error{Code: e.Code, Message: e.Message, Fix: e.Fix, Details: map[string]any{"field": field}}
}
