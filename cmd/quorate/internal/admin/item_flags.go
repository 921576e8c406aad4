package admin

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// itemFlags are the options of an item. What is not given is nil.
type itemFlags struct {
	Quantity       *uint32  `help:"License quantity that an order suggests; 0: local only." placeholder:"N"`
	TMR            *bool    `name:"tmr" negatable:"" help:"Whether it may be ordered for TMR groups."`
	Activation     string   `help:"When its licenses begin to count: 2026-12-01, or 2026-12-01T08:00:00Z." placeholder:"TIME"`
	Expiration     string   `help:"When its licenses end." placeholder:"TIME"`
	UsagePeriod    string   `help:"How long its licenses count from their first use: 90d, 36h." placeholder:"TIME"`
	Units          *uint64  `help:"Units that each license brings." placeholder:"N"`
	Features       *string  `help:"Feature map: 0x5, or 5." placeholder:"MASK"`
	Maintenance    string   `help:"Release dates of programs that may use it: 2026-01-01..2027-01-01; one of both may be left out." placeholder:"FROM..UNTIL"`
	MinimumVersion string   `help:"Lowest version of programs that may use it: 10.4.1." placeholder:"VERSION"`
	Text           string   `help:"A text for people and programs."`
	Allow          []string `help:"Let only these in: user:NAME, host:NAME, subnet:10.1.0.0/16, application:NAME. Repeatable." sep:"none" placeholder:"RULE"`
	Deny           []string `help:"Let these not in, written as for --allow. Repeatable." sep:"none" placeholder:"RULE"`
	Linger         string   `help:"How long a released seat stays with its client: 90s." placeholder:"TIME"`
	ProtectedData  string   `help:"A file that programs with a handle can read, at most 4096 bytes." placeholder:"FILE"`
	SecretData     string   `help:"A file that never leaves the containers, at most 4096 bytes." placeholder:"FILE"`
}

// itemOptionFields are the fields of the API behind the options that can be
// taken away.
var itemOptionFields = map[string][]string{
	"activation": {"activation"}, "expiration": {"expiration"}, "usage-period": {"usagePeriod"}, "units": {"units"},
	"features": {"featureMap"}, "maintenance": {"maintenanceFrom", "maintenanceUntil"}, "minimum-version": {"minimumVersion"},
	"text": {"text"}, "access-list": {"accessList"}, "linger": {"linger"},
	"protected-data": {"protectedData"}, "secret-data": {"secretData"},
}

// input is what of the flags is given, as the API takes it.
func (f itemFlags) input() (map[string]any, error) {
	in := map[string]any{}
	if f.Quantity != nil {
		in["quantity"] = *f.Quantity
	}
	if f.TMR != nil {
		in["tmr"] = *f.TMR
	}
	from, until, both := strings.Cut(f.Maintenance, "..")
	if f.Maintenance != "" && !both {
		return nil, license.Errorf(license.CodeInvalidInput, "write it as 2026-01-01..2027-01-01", "%q is not a period of release dates", f.Maintenance)
	}
	for name, text := range map[string]string{
		"activation": f.Activation, "expiration": f.Expiration, "maintenanceFrom": from, "maintenanceUntil": until,
	} {
		if text == "" {
			if both && strings.HasPrefix(name, "maintenance") {
				in[name] = nil // that side is open
			}
			continue
		}
		t, err := cli.ParseTime(text)
		if err != nil {
			return nil, err
		}
		in[name] = t.Format(time.RFC3339)
	}
	for name, text := range map[string]string{"usagePeriod": f.UsagePeriod, "linger": f.Linger} {
		if text == "" {
			continue
		}
		d, err := cli.ParseLong(text)
		if err != nil {
			return nil, err
		}
		in[name] = int64(d / time.Second)
	}
	if f.Units != nil {
		in["units"] = strconv.FormatUint(*f.Units, 10)
	}
	if f.Features != nil {
		in["featureMap"] = *f.Features
	}
	for name, text := range map[string]string{"minimumVersion": f.MinimumVersion, "text": f.Text} {
		if text != "" {
			in[name] = text
		}
	}
	if len(f.Allow)+len(f.Deny) > 0 {
		rules := append([]string{}, f.Allow...)
		for _, r := range f.Deny {
			rules = append(rules, "!"+r)
		}
		in["accessList"] = rules
	}
	for name, file := range map[string]string{"protectedData": f.ProtectedData, "secretData": f.SecretData} {
		if file == "" {
			continue
		}
		b, err := cli.ReadData("", file)
		if err != nil {
			return nil, err
		}
		in[name] = base64.StdEncoding.EncodeToString(b)
	}
	return in, nil
}
