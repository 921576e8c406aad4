package core

import (
	"errors"
	"math"
	"strings"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/license"
)

// AtField says which field of the input an error is about.
func AtField(field string, err error) error {
	e, ok := errors.AsType[*license.Error](err)
	if !ok {
		return err
	}
	return &license.Error{Code: e.Code, Message: e.Message, Fix: e.Fix, Details: map[string]any{"field": field}}
}

// NotFound turns ent's error about a missing row (or a foreign one, which is
// the same to the caller) into one with a code.
func NotFound(err error, what, id string) error {
	if !ent.IsNotFound(err) {
		return err
	}
	return license.Errorf(license.CodeNotFound, "look it up in the list of those that you may see", "there is no %s %s", what, Clip(id))
}

// Clip makes a text that a caller gave fit an error.
func Clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// Now is what both databases can store exactly.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// ClipNote makes a text, which may be a server's, fit a column for notes.
func ClipNote(s string) string {
	const most = 2000
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-3], "") + "…"
	}
	return s
}

// MostReason bounds what people write about a decision, in bytes.
const MostReason = 1000

// LongReason is the error about a longer one.
func LongReason() error {
	return license.Errorf(license.CodeInvalidInput, "use at most 1000 bytes", "the reason is too long")
}

// ClipText makes a foreign text fit a column: valid, without NUL, at most 200 bytes.
func ClipText(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\x00", "")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}

// MostNumber is the largest that both databases can store.
const MostNumber = math.MaxInt64

// NumberTooLarge is the error about a larger one.
func NumberTooLarge(what string, n uint64) error {
	return license.Errorf(license.CodeInvalidInput, "count from 1", "the %s %d is too large", what, n)
}

// Plausible gives a time that a server tells in a form that both databases can
// store; one that none can is now.
func Plausible(at time.Time) time.Time {
	if y := at.UTC().Year(); y < 1 || y > 9999 {
		return Now()
	}
	return at.UTC().Truncate(time.Microsecond)
}
