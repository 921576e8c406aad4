package rpc

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// MostLicenses bounds the licenses of one container or one view.
const MostLicenses = 10_000

func unreadable(format string, args ...any) error {
	return license.Errorf(license.CodeInvalidInput, "use the same version of Quorate on both sides", format, args...)
}

// ProductProto makes the message of a product.
func ProductProto(p license.Product) *quoratev1.Product {
	return &quoratev1.Product{Firm: uint32(p.Firm), Code: uint32(p.Code)}
}

// ProductFrom refuses a missing product and firm code zero with
// CodeInvalidInput.
func ProductFrom(m *quoratev1.Product) (license.Product, error) {
	if m.GetFirm() == 0 {
		return license.Product{}, license.Errorf(license.CodeInvalidInput,
			"name a product by firm code and product code", "the message names no product")
	}
	return license.Product{Firm: license.FirmCode(m.GetFirm()), Code: license.ProductCode(m.GetCode())}, nil
}

// ModeProto makes the message of an access mode.
func ModeProto(m license.AccessMode) quoratev1.AccessMode {
	switch m {
	case license.UserLimit:
		return quoratev1.AccessMode_ACCESS_MODE_USER_LIMIT
	case license.StationShare:
		return quoratev1.AccessMode_ACCESS_MODE_STATION_SHARE
	case license.Exclusive:
		return quoratev1.AccessMode_ACCESS_MODE_EXCLUSIVE
	case license.NoUserLimit:
		return quoratev1.AccessMode_ACCESS_MODE_NO_USER_LIMIT
	}
	return quoratev1.AccessMode_ACCESS_MODE_UNSPECIFIED
}

// ModeFrom takes "unspecified" as the user limit and refuses unknown modes with
// CodeInvalidInput.
func ModeFrom(m quoratev1.AccessMode) (license.AccessMode, error) {
	switch m {
	case quoratev1.AccessMode_ACCESS_MODE_UNSPECIFIED, quoratev1.AccessMode_ACCESS_MODE_USER_LIMIT:
		return license.UserLimit, nil
	case quoratev1.AccessMode_ACCESS_MODE_STATION_SHARE:
		return license.StationShare, nil
	case quoratev1.AccessMode_ACCESS_MODE_EXCLUSIVE:
		return license.Exclusive, nil
	case quoratev1.AccessMode_ACCESS_MODE_NO_USER_LIMIT:
		return license.NoUserLimit, nil
	}
	return "", license.Errorf(license.CodeInvalidInput,
		"use user limit, station share, exclusive or no user limit", "access mode %d is unknown", m)
}

// UnixSeconds writes an instant as the messages do: zero for none.
func UnixSeconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// FromUnixSeconds is the way back.
func FromUnixSeconds(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// HeldProto makes the message of a license in a container.
func HeldProto(h license.Held) *quoratev1.HeldLicense {
	m := &quoratev1.HeldLicense{
		Product: ProductProto(h.Product), Name: h.Name, Options: OptionsProto(h.Options),
	}
	if h.Predecessor != nil {
		m.Predecessor = OptionsProto(*h.Predecessor)
	}
	return m
}

// HeldFrom refuses a license without product or options, and a name that is
// too long or no UTF-8, with CodeInvalidInput.
func HeldFrom(m *quoratev1.HeldLicense) (license.Held, error) {
	p, err := ProductFrom(m.GetProduct())
	if err != nil {
		return license.Held{}, err
	}
	if m.GetOptions() == nil {
		return license.Held{}, unreadable("the license for %s has no options", p)
	}
	name, err := productName(p, m.GetName())
	if err != nil {
		return license.Held{}, err
	}
	h := license.Held{License: license.License{Product: p, Name: name}}
	if h.Options, err = OptionsFrom(m.GetOptions()); err != nil {
		return license.Held{}, err
	}
	if m.GetPredecessor() != nil {
		o, err := OptionsFrom(m.GetPredecessor())
		if err != nil {
			return license.Held{}, err
		}
		h.Predecessor = &o
	}
	return h, nil
}

func productName(p license.Product, s string) (string, error) {
	if len(s) > license.MostProductName || !utf8.ValidString(s) {
		return "", unreadable("the name of %s is longer than %d bytes or not UTF-8", p, license.MostProductName)
	}
	return s, nil
}

// HeldsProto makes the messages of a container's licenses.
func HeldsProto(held []license.Held) []*quoratev1.HeldLicense {
	ms := make([]*quoratev1.HeldLicense, len(held))
	for i, h := range held {
		ms[i] = HeldProto(h)
	}
	return ms
}

// HeldsFrom reads a container's licenses: at most MostLicenses, each product
// once.
func HeldsFrom(ms []*quoratev1.HeldLicense) ([]license.Held, error) {
	if len(ms) > MostLicenses {
		return nil, unreadable("%d licenses are more than %d", len(ms), MostLicenses)
	}
	held := make([]license.Held, len(ms))
	seen := make(map[license.Product]bool, len(ms))
	for i, m := range ms {
		h, err := HeldFrom(m)
		if err != nil {
			return nil, err
		}
		if seen[h.Product] {
			return nil, unreadable("the license for %s is listed twice", h.Product)
		}
		seen[h.Product] = true
		held[i] = h
	}
	return held, nil
}

// PresenceFrom reads what license.Presence writes.
func PresenceFrom(s string) (license.Presence, error) {
	for _, p := range []license.Presence{license.Absent, license.Present, license.Activating} {
		if p.String() == s {
			return p, nil
		}
	}
	return license.Absent, unreadable("presence %q is unknown", license.Clip(s, 32))
}

// ViewProto makes the message of a view taken at an instant.
func ViewProto(v license.View, at time.Time) *quoratev1.GroupView {
	m := &quoratev1.GroupView{Version: v.Version, AtMs: at.UnixMilli()}
	for _, p := range v.Backends {
		m.Backends = append(m.Backends, p.String())
	}
	for _, l := range v.Licenses {
		vl := &quoratev1.ViewedLicense{
			Product: ProductProto(l.Product), Name: l.Name, InForce: l.InForce, Conflict: l.Conflict,
		}
		if l.InForce {
			vl.Options = OptionsProto(l.Options)
		}
		for _, c := range l.Cells {
			vl.Cells = append(vl.Cells, &quoratev1.Cell{
				Presence: c.Presence.String(), TmrId: c.TMRID, Quantity: c.Quantity, InForce: c.InForce,
			})
		}
		m.Licenses = append(m.Licenses, vl)
	}
	return m
}

// ViewFrom reads a view; at is the sender's clock.
func ViewFrom(m *quoratev1.GroupView) (v license.View, at time.Time, err error) {
	if len(m.GetBackends()) != license.Backends {
		return v, at, unreadable("the view has %d backends instead of %d", len(m.GetBackends()), license.Backends)
	}
	if len(m.GetLicenses()) > MostLicenses {
		return v, at, unreadable("%d licenses are more than %d", len(m.GetLicenses()), MostLicenses)
	}
	v.Version = m.GetVersion()
	for i, s := range m.GetBackends() {
		if v.Backends[i], err = PresenceFrom(s); err != nil {
			return license.View{}, at, err
		}
	}
	for _, vl := range m.GetLicenses() {
		l, err := viewedFrom(vl)
		if err != nil {
			return license.View{}, at, err
		}
		v.Licenses = append(v.Licenses, l)
	}
	return v, time.UnixMilli(m.GetAtMs()).UTC(), nil
}

func viewedFrom(m *quoratev1.ViewedLicense) (license.Viewed, error) {
	p, err := ProductFrom(m.GetProduct())
	if err != nil {
		return license.Viewed{}, err
	}
	name, err := productName(p, m.GetName())
	if err != nil {
		return license.Viewed{}, err
	}
	if len(m.GetCells()) != license.Backends {
		return license.Viewed{}, unreadable("%s has %d cells instead of %d", p, len(m.GetCells()), license.Backends)
	}
	if m.GetInForce() && m.GetOptions() == nil {
		return license.Viewed{}, unreadable("%s is in force without options", p)
	}
	v := license.Viewed{
		License: license.License{Product: p, Name: name}, InForce: m.GetInForce(), Conflict: m.GetConflict(),
	}
	if v.InForce {
		if v.Options, err = OptionsFrom(m.GetOptions()); err != nil {
			return license.Viewed{}, err
		}
	}
	for i, c := range m.GetCells() {
		presence, err := PresenceFrom(c.GetPresence())
		if err != nil {
			return license.Viewed{}, fmt.Errorf("cell %d of %s: %w", i+1, p, err)
		}
		v.Cells[i] = license.Cell{
			Presence: presence, TMRID: c.GetTmrId(), Quantity: c.GetQuantity(), InForce: c.GetInForce(),
		}
	}
	return v, nil
}
