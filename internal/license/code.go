package license

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// FirmCode is a vendor's licensing identity. Zero is no firm.
type FirmCode uint32

// The universal range of firm codes; TMR wants a code out of it.
const (
	FirstUniversalFirmCode FirmCode = 6_000_000
	LastUniversalFirmCode  FirmCode = 6_999_999
)

// Universal says whether the code lies in the universal range.
func (c FirmCode) Universal() bool {
	return c >= FirstUniversalFirmCode && c <= LastUniversalFirmCode
}

// ProductCode is a product's number within its firm.
type ProductCode uint32

// Product names one product, written "600010:14".
type Product struct {
	Firm FirmCode
	Code ProductCode
}

func (p Product) String() string {
	return strconv.FormatUint(uint64(p.Firm), 10) + ":" + strconv.FormatUint(uint64(p.Code), 10)
}

// Compare orders products by firm code, then by product code.
func (p Product) Compare(q Product) int {
	return cmp.Or(cmp.Compare(p.Firm, q.Firm), cmp.Compare(p.Code, q.Code))
}

// ParseProduct reads "FIRM:PRODUCT". Leading zeros, signs and spaces are
// refused, so that each product has one spelling.
func ParseProduct(s string) (Product, error) {
	firm, code, ok := strings.Cut(s, ":")
	if ok {
		f, errF := parseDecimal(firm, 32)
		c, errC := parseDecimal(code, 32)
		if errF == nil && errC == nil && f != 0 {
			return Product{FirmCode(f), ProductCode(c)}, nil
		}
	}
	return Product{}, &Error{
		Code:    CodeInvalidInput,
		Message: fmt.Sprintf("%q is not a product", clip(s)),
		Fix:     "write it as FIRM:PRODUCT in decimal numbers, for example 6000010:14",
	}
}

// Serial is a container's serial number, written "MASK-NUMBER".
type Serial struct {
	Mask   uint16
	Number uint64
}

func (s Serial) String() string {
	return strconv.FormatUint(uint64(s.Mask), 10) + "-" + strconv.FormatUint(s.Number, 10)
}

// IsZero says whether s names no container.
func (s Serial) IsZero() bool { return s == Serial{} }

// Kind is what sort of container a serial's mask stands for.
type Kind string

// The kinds of containers.
const (
	KindDongle    Kind = "dongle"    // masks 1, 2, 3
	KindComputer  Kind = "computer"  // masks 128, 129
	KindUniversal Kind = "universal" // mask 130: computer-bound, universal firm code
	KindVirtual   Kind = "virtual"   // mask 131: made up by a TMR server
	KindCloud     Kind = "cloud"     // mask 140
)

// Masks of the kinds that the product itself makes.
const (
	MaskUniversal uint16 = 130
	MaskVirtual   uint16 = 131
	MaskCloud     uint16 = 140
)

// Kind returns the kind of container, or "" for an unknown mask.
func (s Serial) Kind() Kind {
	switch s.Mask {
	case 1, 2, 3:
		return KindDongle
	case 128, 129:
		return KindComputer
	case MaskUniversal:
		return KindUniversal
	case MaskVirtual:
		return KindVirtual
	case MaskCloud:
		return KindCloud
	}
	return ""
}

// ParseSerial reads "MASK-NUMBER" with a known mask and a number above zero.
func ParseSerial(s string) (Serial, error) {
	mask, number, ok := strings.Cut(s, "-")
	if ok {
		m, errM := parseDecimal(mask, 16)
		n, errN := parseDecimal(number, 64)
		serial := Serial{uint16(m), n}
		if errM == nil && errN == nil && n != 0 && serial.Kind() != "" {
			return serial, nil
		}
	}
	return Serial{}, &Error{
		Code:    CodeInvalidInput,
		Message: fmt.Sprintf("%q is not a container serial", clip(s)),
		Fix:     "write it as MASK-NUMBER with a mask of 1, 2, 3, 128, 129, 130, 131 or 140, for example 130-1874829",
	}
}

func parseDecimal(s string, bits int) (uint64, error) {
	if s == "" || (len(s) > 1 && s[0] == '0') || s[0] == '+' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(s, 10, bits)
}
