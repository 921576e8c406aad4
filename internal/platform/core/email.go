package core

import (
	"net/mail"
	"strings"
	"unicode"

	"github.com/quorate/quorate/internal/license"
)

// NormalEmail gives an e-mail address as it is stored and compared. Error:
// license.CodeInvalidInput.
func NormalEmail(s string) (string, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 || s != ClipText(s) {
		return "", license.Errorf(license.CodeInvalidInput, "write it as name@example.com", "%q is not an e-mail address", Clip(s))
	}
	return strings.ToLower(s), nil
}

// MostName bounds names that people give to things, in bytes.
const MostName = 200

// CheckName refuses a name that is empty, too long or no plain text. Error:
// license.CodeInvalidInput.
func CheckName(what, name string) error {
	if strings.TrimSpace(name) == "" || name != ClipText(name) || name != PlainText(name) {
		return AtField("name", license.Errorf(license.CodeInvalidInput, "use a text of 1 to 200 bytes on one line", "the %s has no name, or one that is too long or no plain text", what))
	}
	return nil
}

// PlainText leaves out what does more to a page, a terminal or a log than to be
// seen: control characters, ends of lines, and changes of the direction.
func PlainText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069' {
			return -1
		}
		return r
	}, s)
}

// Outdated is the error about a change that was made from another revision than
// the present one, which is among its details.
func Outdated(what string, present int) error {
	return &license.Error{
		Code: license.CodeConflict, Message: "the " + what + " was changed meanwhile", Fix: "look at it again, then change it",
		Details: map[string]any{"revision": present},
	}
}
