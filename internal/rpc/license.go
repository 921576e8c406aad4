package rpc

import (
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// OptionsProto makes the message of a license's options.
func OptionsProto(o license.Options) *quoratev1.Options {
	m := &quoratev1.Options{
		Quantity: o.Quantity, TmrId: o.TMRID, FeatureMap: o.FeatureMap, Issue: o.Issue,
		ActivationUnix: UnixSeconds(o.Activation), ExpirationUnix: UnixSeconds(o.Expiration),
		UsagePeriodS: int64(o.UsagePeriod / time.Second), LingerS: int64(o.Linger / time.Second),
		MaintenanceFromUnix: UnixSeconds(o.Maintenance.From), MaintenanceUntilUnix: UnixSeconds(o.Maintenance.Until),
		MinimumVersion: string(o.MinimumVersion), Text: o.Text, Units: o.Clone().Units,
		Protected: dataNameProto(o.Protected), Secret: dataNameProto(o.Secret),
	}
	for _, r := range o.AccessList {
		m.AccessList = append(m.AccessList, r.String())
	}
	return m
}

// OptionsFrom reads options; unset ones are all zero. It refuses what
// license.Options.Validate refuses, with CodeInvalidInput.
func OptionsFrom(m *quoratev1.Options) (license.Options, error) {
	o := license.Options{
		Quantity: m.GetQuantity(), TMRID: m.GetTmrId(), FeatureMap: m.GetFeatureMap(), Issue: m.GetIssue(),
		Activation: FromUnixSeconds(m.GetActivationUnix()), Expiration: FromUnixSeconds(m.GetExpirationUnix()),
		Maintenance: license.Maintenance{
			From: FromUnixSeconds(m.GetMaintenanceFromUnix()), Until: FromUnixSeconds(m.GetMaintenanceUntilUnix()),
		},
		MinimumVersion: license.Version(m.GetMinimumVersion()), Text: m.GetText(),
	}
	if m != nil && m.Units != nil {
		o.Units = new(m.GetUnits())
	}
	var fine [4]bool
	o.UsagePeriod, fine[0] = span(m.GetUsagePeriodS(), license.MostUsage)
	o.Linger, fine[1] = span(m.GetLingerS(), license.MostLinger)
	o.Protected, fine[2] = dataNameFrom(m.GetProtected())
	o.Secret, fine[3] = dataNameFrom(m.GetSecret())
	if fine != [4]bool{true, true, true, true} || len(m.GetAccessList()) > license.MostAccessList {
		return license.Options{}, unreadable("the options of a license are out of range")
	}
	for _, s := range m.GetAccessList() {
		r, err := license.ParseAccessRule(s)
		if err != nil {
			return license.Options{}, err
		}
		o.AccessList = append(o.AccessList, r)
	}
	return o, o.Validate()
}

func span(seconds int64, most time.Duration) (time.Duration, bool) {
	if seconds < 0 || seconds > int64(most/time.Second) {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}

func dataNameProto(n license.DataName) []byte {
	if n == (license.DataName{}) {
		return nil
	}
	return n[:]
}

func dataNameFrom(b []byte) (n license.DataName, ok bool) {
	copy(n[:], b)
	return n, len(b) == 0 || len(b) == len(n)
}

// DataNameFrom reads the name of protected or secret data; CodeInvalidInput
// when it is none.
func DataNameFrom(b []byte) (license.DataName, error) {
	n, ok := dataNameFrom(b)
	if !ok || n == (license.DataName{}) {
		return n, unreadable("the message names no data")
	}
	return n, nil
}

// MomentProto makes the message of a container's time; nonce is what a time
// certificate has to answer.
func MomentProto(m license.Moment, nonce [16]byte) *quoratev1.Moment {
	return &quoratev1.Moment{
		AtMs: m.At.UnixMilli(), SetBack: m.SetBack, CertifiedMs: UnixMillis(m.Certified), TimeNonce: nonce[:],
	}
}

// MomentFrom reads a container's time. It refuses a time out of range and a
// nonce of another size with CodeInvalidInput.
func MomentFrom(m *quoratev1.Moment) (license.Moment, [16]byte, error) {
	var nonce [16]byte
	if m.GetAtMs() <= 0 || m.GetAtMs() > latestMillis || m.GetCertifiedMs() < 0 || m.GetCertifiedMs() > latestMillis || len(m.GetTimeNonce()) != len(nonce) {
		return license.Moment{}, nonce, unreadable("the time of a container is out of range")
	}
	copy(nonce[:], m.GetTimeNonce())
	out := license.Moment{At: time.UnixMilli(m.GetAtMs()).UTC(), SetBack: m.GetSetBack()}
	if m.GetCertifiedMs() != 0 {
		out.Certified = time.UnixMilli(m.GetCertifiedMs()).UTC()
	}
	return out, nonce, nil
}

// latestMillis is the last millisecond of the year 9999.
const latestMillis = 253402300799_999

// UnixMillis writes an instant as the messages do: zero for none.
func UnixMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// MeterProto makes the message of a meter.
func MeterProto(m license.Meter) *quoratev1.Meter {
	out := &quoratev1.Meter{Product: ProductProto(m.Product), Issue: m.Issue, Epoch: m.Epoch, Units: m.Units}
	for _, t := range m.Recent {
		out.Recent = append(out.Recent, &quoratev1.UnitsTaken{RequestId: t.Request, Units: t.Units})
	}
	return out
}

// mostRequestID bounds the id of a taking, in bytes.
const mostRequestID = 64

// MeterFrom reads a meter; what is out of bounds is refused with
// CodeInvalidInput.
func MeterFrom(m *quoratev1.Meter) (license.Meter, error) {
	p, err := ProductFrom(m.GetProduct())
	if err != nil {
		return license.Meter{}, err
	}
	if m.GetUnits() > license.MostUnits || len(m.GetRecent()) > license.MostRecent {
		return license.Meter{}, unreadable("the meter of %s is out of range", p)
	}
	out := license.Meter{Product: p, Issue: m.GetIssue(), Epoch: m.GetEpoch(), Units: m.GetUnits()}
	for _, t := range m.GetRecent() {
		if n := len(t.GetRequestId()); n == 0 || n > mostRequestID || t.GetUnits() > license.MostUnits {
			return license.Meter{}, unreadable("the meter of %s has a taking that is out of range", p)
		}
		out.Recent = append(out.Recent, license.Taken{Request: t.GetRequestId(), Units: t.GetUnits()})
	}
	return out, nil
}
