package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
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
		t, err := parseTime(text)
		if err != nil {
			return nil, err
		}
		in[name] = t.Format(time.RFC3339)
	}
	for name, text := range map[string]string{"usagePeriod": f.UsagePeriod, "linger": f.Linger} {
		if text == "" {
			continue
		}
		d, err := parseLong(text)
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
		b, err := readItemData("", file)
		if err != nil {
			return nil, err
		}
		in[name] = base64.StdEncoding.EncodeToString(b)
	}
	return in, nil
}

// readItemData reads a license's data; its errors tell nothing of it.
func readItemData(dir, name string) (platform.Data, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, &license.Error{Code: license.CodeNotFound, Message: fmt.Sprintf("the data file %s can't be read", name), Fix: "name a file of at most 4096 bytes", Err: err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, license.MostData+1))
	if err != nil {
		return nil, &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("the data file %s can't be read", name), Fix: "check the file", Err: err}
	}
	if len(b) == 0 || len(b) > license.MostData {
		return nil, license.Errorf(license.CodeInvalidInput, "name a file of 1 to 4096 bytes", "the data file %s is empty or longer", name)
	}
	return b, nil
}

// parseTime reads a day, which begins at midnight UTC, or a time.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, license.Errorf(license.CodeInvalidInput, "write 2026-12-01, or 2026-12-01T08:00:00Z", "%q is not a date or time", s)
}

// parseLong reads a duration, of days too: 90d, 36h, 90s. It has whole seconds.
func parseLong(s string) (time.Duration, error) {
	bad := license.Errorf(license.CodeInvalidInput, "write 90d, 36h or 90s", "%q is not a time in whole seconds", s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, bad
		}
		return time.Duration(n) * 24 * time.Hour, nil //nolint:gosec // G115: of 16 bits
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d%time.Second != 0 {
		return 0, bad
	}
	return d, nil
}

// longText writes seconds as parseLong reads them.
func longText(seconds int) string {
	const day = 24 * 60 * 60
	if seconds >= day && seconds%day == 0 {
		return strconv.Itoa(seconds/day) + "d"
	}
	return (time.Duration(seconds) * time.Second).String()
}

// provisionItem is the item of a specification.
type provisionItem struct {
	Name           string   `json:"name"`
	Quantity       uint32   `json:"quantity"`
	FeatureMap     uint32   `json:"featureMap"`
	Activation     fileTime `json:"activation"`
	Expiration     fileTime `json:"expiration"`
	UsagePeriod    fileLong `json:"usagePeriod"`
	Units          *uint64  `json:"units"`
	Maintenance    filePart `json:"maintenance"`
	MinimumVersion string   `json:"minimumVersion"`
	Text           string   `json:"text"`
	AccessList     []string `json:"accessList"`
	Linger         fileLong `json:"linger"`
	// ProtectedData and SecretData are files, relative to the specification.
	ProtectedData string `json:"protectedData"`
	SecretData    string `json:"secretData"`
}

type filePart struct {
	From  fileTime `json:"from"`
	Until fileTime `json:"until"`
}

// fileTime is a time in a specification, as parseTime reads it.
type fileTime struct{ time.Time }

// UnmarshalJSON reads a text.
func (t *fileTime) UnmarshalJSON(b []byte) (err error) {
	var s string
	if err := json.Unmarshal(b, &s); err != nil || s == "" {
		return err
	}
	t.Time, err = parseTime(s)
	return err
}

// fileLong is a duration in a specification, as parseLong reads it.
type fileLong struct{ time.Duration }

// UnmarshalJSON reads a text.
func (d *fileLong) UnmarshalJSON(b []byte) (err error) {
	var s string
	if err := json.Unmarshal(b, &s); err != nil || s == "" {
		return err
	}
	d.Duration, err = parseLong(s)
	return err
}

func (i provisionItem) spec(dir string) (platform.ItemSpec, error) {
	s := platform.ItemSpec{Name: i.Name, Options: license.Options{
		Quantity: i.Quantity, FeatureMap: i.FeatureMap, Activation: i.Activation.Time, Expiration: i.Expiration.Time,
		UsagePeriod: i.UsagePeriod.Duration, Units: i.Units,
		Maintenance:    license.Maintenance{From: i.Maintenance.From.Time, Until: i.Maintenance.Until.Time},
		MinimumVersion: license.Version(i.MinimumVersion), Text: i.Text, Linger: i.Linger.Duration,
	}}
	for _, text := range i.AccessList {
		r, err := license.ParseAccessRule(text)
		if err != nil {
			return s, err
		}
		s.Options.AccessList = append(s.Options.AccessList, r)
	}
	for _, d := range []struct {
		file string
		to   *platform.Data
	}{{i.ProtectedData, &s.Protected}, {i.SecretData, &s.Secret}} {
		if d.file == "" {
			continue
		}
		var err error
		if *d.to, err = readItemData(dir, d.file); err != nil {
			return s, err
		}
	}
	return s, nil
}
