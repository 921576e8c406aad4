package license_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	. "github.com/quorate/quorate/internal/license"
)

func TestParseSerial(t *testing.T) {
	for _, s := range []string{"130-1874829", "131-4837572", "1-7", "128-18446744073709551615"} {
		serial, err := ParseSerial(s)
		if err != nil || serial.String() != s {
			t.Errorf("%s: %v, %v", s, serial, err)
		}
	}
	for _, s := range []string{"", "130", "130-", "-1", "130-0", "4-1", "131-01", "131-+1", "131- 1", "131-18446744073709551616", "99999-1", "130-1-1"} {
		if _, err := ParseSerial(s); CodeOf(err) != CodeInvalidInput {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestParseProduct(t *testing.T) {
	for _, s := range []string{"600010:14", "6000010:0", "4294967295:4294967295"} {
		p, err := ParseProduct(s)
		if err != nil || p.String() != s {
			t.Errorf("%s: %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "14", "0:14", ":", "6000010:", "6000010:014", "6000010:-1", "4294967296:1", "a:b"} {
		if _, err := ParseProduct(s); CodeOf(err) != CodeInvalidInput {
			t.Errorf("%q: %v", s, err)
		}
	}
	if (Product{1, 9}).Compare(Product{2, 1}) >= 0 || (Product{2, 1}).Compare(Product{1, 9}) <= 0 ||
		(Product{2, 1}).Compare(Product{2, 2}) >= 0 || (Product{2, 1}).Compare(Product{2, 1}) != 0 {
		t.Error("products are not in the order of firm, then product")
	}
}

func TestUniversalRange(t *testing.T) {
	for code, want := range map[FirmCode]bool{600010: false, 5_999_999: false, 6_000_000: true, 6_999_999: true, 7_000_000: false} {
		if code.Universal() != want {
			t.Errorf("%d: universal is %v", code, !want)
		}
	}
}

func TestKinds(t *testing.T) {
	for mask, want := range map[uint16]Kind{1: KindDongle, 2: KindDongle, 3: KindDongle, 128: KindComputer, 129: KindComputer, 130: KindUniversal, 131: KindVirtual, 140: KindCloud, 4: ""} {
		if got := (Serial{Mask: mask, Number: 1}).Kind(); got != want {
			t.Errorf("mask %d is %q", mask, got)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	cause := errors.New("dial 10.0.0.1: password=secret")
	if got := Public(fmt.Errorf("query: %w", cause)); got.Code != CodeInternal || strings.Contains(got.Error(), "secret") {
		t.Errorf("an error without a code shows its cause: %v", got)
	}
	for _, ended := range []error{context.DeadlineExceeded, context.Canceled} {
		if got := Public(fmt.Errorf("dial 10.0.0.1: %w", ended)); got.Code != CodeUnavailable || got.Fix == "" || strings.Contains(got.Error(), "10.0.0.1") || !errors.Is(got, ended) {
			t.Errorf("%v: %v", ended, got)
		}
	}
	known := &Error{Code: CodeNoFreeSeat, Message: "all 20 licenses are taken", Fix: "try later", Err: cause}
	wrapped := fmt.Errorf("access: %w", known)
	if CodeOf(wrapped) != CodeNoFreeSeat || Public(wrapped) != known {
		t.Errorf("a wrapped error lost its code")
	}
	if strings.Contains(known.Error(), "secret") {
		t.Errorf("the cause is shown: %v", known)
	}
	if !errors.Is(wrapped, cause) || !errors.Is(wrapped, &Error{Code: CodeNoFreeSeat}) || errors.Is(wrapped, &Error{Code: CodeExpired}) {
		t.Error("errors.Is does not match cause and code")
	}
	if CodeOf(nil) != "" {
		t.Error("nil has a code")
	}
	if long := strings.Repeat("x", 1000); len(func() string { _, err := ParseSerial(long); return err.Error() }()) > 300 {
		t.Error("an error repeats unbounded input")
	}
}
