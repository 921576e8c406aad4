package vendortools

import (
	"encoding/json"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
)

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

// fileTime is a time in a specification, as cli.ParseTime reads it.
type fileTime struct{ time.Time }

// UnmarshalJSON reads a text.
func (t *fileTime) UnmarshalJSON(b []byte) (err error) {
	var s string
	if err := json.Unmarshal(b, &s); err != nil || s == "" {
		return err
	}
	t.Time, err = cli.ParseTime(s)
	return err
}

// fileLong is a duration in a specification, as cli.ParseLong reads it.
type fileLong struct{ time.Duration }

// UnmarshalJSON reads a text.
func (d *fileLong) UnmarshalJSON(b []byte) (err error) {
	var s string
	if err := json.Unmarshal(b, &s); err != nil || s == "" {
		return err
	}
	d.Duration, err = cli.ParseLong(s)
	return err
}

func (i provisionItem) spec(dir string) (catalog.ItemSpec, error) {
	s := catalog.ItemSpec{Name: i.Name, Options: license.Options{
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
		to   *catalog.Data
	}{{i.ProtectedData, &s.Protected}, {i.SecretData, &s.Secret}} {
		if d.file == "" {
			continue
		}
		var err error
		if *d.to, err = cli.ReadData(dir, d.file); err != nil {
			return s, err
		}
	}
	return s, nil
}
