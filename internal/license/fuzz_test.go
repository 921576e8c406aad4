package license

import (
	"testing"
	"unicode/utf8"
)

// FuzzTexts reads anything as the texts that name things: what is accepted is in
// its one spelling.
func FuzzTexts(f *testing.F) {
	for _, s := range []string{
		"6000010:14", "4294967295:4294967295", "06000010:14", "130-1874829", "131-18446744073709551615", "130-0", "user:anna",
		"!subnet:10.0.0.0/8", "subnet:fe80::1%eth0", "subnet:::ffff:10.0.0.0/104", "application:chart", "host: x", "10.4.0.1178", "1..2", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		refused := func(what string, err error) bool {
			if err != nil && CodeOf(err) != CodeInvalidInput {
				t.Fatalf("%s: %v", what, err)
			}
			return err != nil
		}
		if p, err := ParseProduct(s); !refused("product", err) && p.String() != s {
			t.Fatalf("the product %s is spelled %q", p, s)
		}
		if n, err := ParseSerial(s); !refused("serial", err) && n.String() != s {
			t.Fatalf("the serial %s is spelled %q", n, s)
		}
		if r, err := ParseAccessRule(s); !refused("rule", err) {
			if r.String() != s {
				t.Fatalf("the rule %s is spelled %q", r, s)
			}
			_ = permits([]AccessRule{r}, Ask{User: s, Host: s, Application: s})
		}
		if p, ok := ParseSubnet(s); ok && (!p.Contains(p.Addr()) || p.Masked() != p) {
			t.Fatalf("the subnet %s is read of %q", p, s)
		}
		if c := Clip(s, 8); len(c) > 8 || !utf8.ValidString(c) {
			t.Fatalf("%q is clipped to %q", s, c)
		}
		if v := Version(s); !refused("version", v.Validate()) && v.Less(v) {
			t.Fatalf("the version %s is less than itself", v)
		}
	})
}
