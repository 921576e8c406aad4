package core

import (
	"strconv"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/predicate"
	entproduct "github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/internal/license"
)

// FirmIs finds a firm by its global id or its code.
func FirmIs(idOrCode string) predicate.Firm {
	if code, err := strconv.Atoi(idOrCode); err == nil {
		return firm.Code(code)
	}
	return firm.ID(idOrCode)
}

// ProductIs finds a product by its global id or its reference.
func ProductIs(idOrReference string) predicate.Product {
	if q, err := license.ParseProduct(idOrReference); err == nil {
		return entproduct.And(entproduct.Code(int(q.Code)), entproduct.HasFirmWith(firm.Code(int(q.Firm))))
	}
	return entproduct.ID(idOrReference)
}

// ContainerIs finds a container by its global id or its serial number.
func ContainerIs(idOrSerial string) predicate.Container {
	return container.Or(container.ID(idOrSerial), container.Serial(idOrSerial))
}

// KindOf is what a serial number tells of its container.
func KindOf(s license.Serial) property.ContainerKind {
	switch s.Kind() {
	case license.KindDongle:
		return property.ContainerDongle
	case license.KindComputer:
		return property.ContainerComputer
	case license.KindVirtual:
		return property.ContainerVirtual
	case license.KindCloud:
		return property.ContainerCloud
	}
	return property.ContainerUniversal
}

// GroupIs finds a TMR group by its global id or its virtual serial number.
func GroupIs(idOrSerial string) predicate.TmrGroup {
	return tmrgroup.Or(tmrgroup.ID(idOrSerial), tmrgroup.VirtualSerial(idOrSerial))
}

// WithProduct loads items with their products and firms.
func WithProduct(q *ent.ItemQuery) { q.WithProduct(WithFirm) }

// WithFirm loads products with their firms.
func WithFirm(q *ent.ProductQuery) { q.WithFirm() }

// ProductOf is how containers know a product, which is loaded with its firm.
func ProductOf(p *ent.Product) license.Product {
	return license.Product{Firm: license.FirmCode(p.Edges.Firm.Code), Code: license.ProductCode(p.Code)} //nolint:gosec // G115: bounded by the schema
}
