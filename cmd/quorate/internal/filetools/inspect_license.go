package filetools

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// inspectedLicense is a license with everything that it says.
type inspectedLicense struct {
	Product string `json:"product"`
	Name    string `json:"name"`
	inspectedOptions
	// Predecessor is what the license was before its last update.
	Predecessor *inspectedOptions `json:"predecessor,omitempty"`
}

type inspectedOptions struct {
	Quantity           uint32   `json:"quantity"`
	TMRID              uint32   `json:"tmrId,omitempty"`
	Activation         string   `json:"activation,omitempty"`
	Expiration         string   `json:"expiration,omitempty"`
	UsagePeriodSeconds int64    `json:"usagePeriodSeconds,omitempty"`
	Units              *uint64  `json:"units,omitempty"`
	Issue              uint32   `json:"issue,omitempty"`
	FeatureMap         uint32   `json:"featureMap"`
	MaintenanceFrom    string   `json:"maintenanceFrom,omitempty"`
	MaintenanceUntil   string   `json:"maintenanceUntil,omitempty"`
	MinimumVersion     string   `json:"minimumVersion,omitempty"`
	Text               string   `json:"text,omitempty"`
	AccessList         []string `json:"accessList,omitempty"`
	LingerSeconds      int64    `json:"lingerSeconds,omitempty"`
	ProtectedData      bool     `json:"protectedData,omitempty"`
	SecretData         bool     `json:"secretData,omitempty"`
}

type inspectedMeter struct {
	Product  string `json:"product"`
	Issue    uint32 `json:"issue"`
	FirstUse string `json:"firstUse,omitempty"`
	Units    uint64 `json:"units"`
}

type inspectedClock struct {
	Highest   string `json:"highest,omitempty"`
	Certified string `json:"certified,omitempty"`
}

func inspectLicense(h license.Held) inspectedLicense {
	v := inspectedLicense{Product: h.Product.String(), Name: h.Name, inspectedOptions: inspectOptions(h.Options)}
	if h.Predecessor != nil {
		o := inspectOptions(*h.Predecessor)
		v.Predecessor = &o
	}
	return v
}

func inspectOptions(o license.Options) inspectedOptions {
	v := inspectedOptions{
		Quantity: o.Quantity, TMRID: o.TMRID, Activation: instant(o.Activation), Expiration: instant(o.Expiration),
		UsagePeriodSeconds: int64(o.UsagePeriod / time.Second), Units: o.Units, Issue: o.Issue, FeatureMap: o.FeatureMap,
		MaintenanceFrom: instant(o.Maintenance.From), MaintenanceUntil: instant(o.Maintenance.Until),
		MinimumVersion: string(o.MinimumVersion), Text: o.Text, LingerSeconds: int64(o.Linger / time.Second),
		ProtectedData: o.Protected != license.DataName{}, SecretData: o.Secret != license.DataName{},
	}
	for _, r := range o.AccessList {
		v.AccessList = append(v.AccessList, r.String())
	}
	return v
}

func inspectMeter(m seal.Meter) inspectedMeter {
	return inspectedMeter{Product: m.Product.String(), Issue: m.Issue, FirstUse: instant(m.First), Units: m.Units}
}

// instant is empty for no time.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func printLicense(w io.Writer, l inspectedLicense) {
	fmt.Fprintf(w, "    holds %s  %s  %s\n", l.Product, cli.Printable(l.Name), l.size())
	for _, line := range l.lines() {
		fmt.Fprintf(w, "      %s\n", line)
	}
	if l.Predecessor != nil {
		fmt.Fprintf(w, "      before its last update: %s\n", strings.Join(append([]string{l.Predecessor.size()}, l.Predecessor.lines()...), "; "))
	}
}

func (o inspectedOptions) size() string {
	s := fmt.Sprintf("quantity %d", o.Quantity)
	if o.Quantity == 0 {
		s = "local only"
	}
	if o.TMRID != 0 {
		s += fmt.Sprintf("  TMR-ID #%d", o.TMRID)
	}
	return s
}

// lines tells each option that is there.
func (o inspectedOptions) lines() (all []string) {
	add := func(there bool, format string, args ...any) {
		if there {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(o.Activation != "", "valid from %s", o.Activation)
	add(o.Expiration != "", "valid until %s", o.Expiration)
	add(o.UsagePeriodSeconds != 0, "usage period %s, from the first use", time.Duration(o.UsagePeriodSeconds)*time.Second)
	if o.Units != nil {
		add(true, "units %d", *o.Units)
	}
	add(o.Issue != 0, "issue %d", o.Issue)
	add(o.FeatureMap != 0, "features %#08x", o.FeatureMap)
	add(o.MaintenanceFrom != "", "for releases from %s", o.MaintenanceFrom)
	add(o.MaintenanceUntil != "", "for releases until %s", o.MaintenanceUntil)
	add(o.MinimumVersion != "", "for version %s and later", o.MinimumVersion)
	for _, r := range o.AccessList {
		add(true, "access %s", cli.Printable(r))
	}
	add(o.LingerSeconds != 0, "seats linger %s", time.Duration(o.LingerSeconds)*time.Second)
	add(o.ProtectedData, "has protected data")
	add(o.SecretData, "has secret data")
	add(o.Text != "", "text: %s", cli.Printable(o.Text))
	return all
}

// printState tells what else a fingerprint says of its container.
func printState(w io.Writer, p inspectedPart) {
	for _, m := range p.Meters {
		fmt.Fprintf(w, "    used  %s  issue %d, %d units", m.Product, m.Issue, m.Units)
		if m.FirstUse != "" {
			fmt.Fprintf(w, ", since %s", m.FirstUse)
		}
		fmt.Fprintln(w)
	}
	if c := p.Clock; c != nil {
		certified := "never certified"
		if c.Certified != "" {
			certified = "certified at " + c.Certified
		}
		fmt.Fprintf(w, "    clock: highest time %s, %s\n", c.Highest, certified)
	}
	if p.Trail != 0 {
		fmt.Fprintf(w, "    its fingerprint number %d\n", p.Trail)
	}
	if p.Time != "" {
		fmt.Fprintf(w, "    time certificate: %s\n", p.Time)
	}
}
