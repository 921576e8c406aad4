package protect

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/quorate/quorate/internal/license"
)

const (
	// mostTries bounds how often one file makes its reader ask.
	mostTries = 8

	mostServers  = 16
	mostAddress  = 1 << 10
	mostIdentity = 32 << 10 // characters
)

// Opener has the license server open a key that was wrapped for p. Its errors
// go to the reader as they are.
type Opener func(p license.Product, wrapped []byte) ([]byte, error)

// Identity opens protected files by asking. It implements age.Identity. It is
// safe for concurrent use if its Opener is.
type Identity struct {
	product license.Product
	open    Opener
}

var _ age.Identity = (*Identity)(nil)

// NewIdentity makes an identity for the files of p; the zero product stands for
// every one.
func NewIdentity(p license.Product, open Opener) *Identity {
	return &Identity{p, open}
}

// Unwrap implements age.Identity. Of a file with several stanzas for its
// products it asks for one after the other, eight at most, until one opens; if
// none does, the first refusal is the error. Where there is no such stanza the
// error is license.CodeKeyRefused and wraps age.ErrIncorrectIdentity.
func (i *Identity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	var refusal error
	var others []string
	tries := 0
	for _, s := range stanzas {
		if s.Type != StanzaType {
			continue
		}
		p, wrapped, err := parseStanza(s)
		if err != nil {
			return nil, err
		}
		if i.product != (license.Product{}) && p != i.product {
			if name := p.String(); !slices.Contains(others, name) {
				others = append(others, name)
			}
			continue
		}
		if tries++; tries > mostTries {
			break
		}
		key, err := i.open(p, wrapped)
		if err == nil && len(key) != fileKeySize {
			err = license.Errorf(license.CodeKeyRefused, "get the file from the vendor again", "what is wrapped for %s in the file is not the key of a file", p)
		}
		if err == nil {
			return key, nil
		}
		if refusal == nil {
			refusal = err
		}
	}
	if refusal != nil {
		return nil, refusal
	}
	e := &license.Error{Code: license.CodeKeyRefused, Err: age.ErrIncorrectIdentity}
	switch len(others) {
	case 0:
		e.Message, e.Fix = "the file is not protected for a product", "open it with the age identity that it was encrypted for"
	default:
		e.Message = fmt.Sprintf("the file is protected for %s, not for %s", strings.Join(others[:min(len(others), mostTries)], ", "), i.product)
		e.Fix = "take a license for that product"
	}
	return nil, e
}

// Locator is what an identity's text says: who is to be asked about which
// product. The zero Locator leaves both open.
type Locator struct {
	Product license.Product
	Servers []string
}

// String is the identity's text, AGE-PLUGIN-QUORATE-1…. ParseIdentity refuses
// that of a Locator that Check refuses.
func (l Locator) String() string {
	if l.Product == (license.Product{}) && len(l.Servers) == 0 {
		return plugin.EncodeIdentity(PluginName, nil)
	}
	b := append(appendHead(nil, l.Product), byte(len(l.Servers))) //nolint:gosec // G115: Check bounds it
	for _, s := range l.Servers {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s))) //nolint:gosec // G115: Check bounds it
		b = append(b, s...)
	}
	return plugin.EncodeIdentity(PluginName, b)
}

// Check says whether l may be written as a text. Errors:
// license.CodeInvalidInput.
func (l Locator) Check() error {
	if l.Product == (license.Product{}) && len(l.Servers) == 0 {
		return nil
	}
	bad := func(fix, format string, args ...any) error {
		return license.Errorf(license.CodeInvalidInput, fix, format, args...)
	}
	switch {
	case l.Product.Firm == 0:
		return bad("name it as FIRM:PRODUCT", "the identity names no product")
	case len(l.Servers) == 0:
		return bad("name at least one", "the identity names no license server")
	case len(l.Servers) > mostServers:
		return bad(fmt.Sprintf("name at most %d", mostServers), "the identity names %d license servers", len(l.Servers))
	}
	for _, s := range l.Servers {
		odd := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
		if s == "" || len(s) > mostAddress || !utf8.ValidString(s) || strings.ContainsFunc(s, odd) {
			return bad("write it as https://host:port?pin=sha256:… or http://host:port", "a license server's address in the identity is not one")
		}
	}
	return nil
}

// ParseIdentity reads what String writes. Errors: license.CodeInvalidInput,
// CodeFormatUnknown.
func ParseIdentity(s string) (Locator, error) {
	name, data, err := "", []byte(nil), error(nil)
	if len(s) <= mostIdentity {
		name, data, err = plugin.ParseIdentity(s)
	}
	if err != nil || name != PluginName {
		return Locator{}, badIdentity()
	}
	return DecodeIdentity(data)
}

// DecodeIdentity reads the bytes of an identity's text.
func DecodeIdentity(data []byte) (Locator, error) {
	if len(data) == 0 {
		return Locator{}, nil
	}
	p, rest, err := cutHead(data)
	if err != nil {
		return Locator{}, err
	}
	if len(rest) == 0 {
		return Locator{}, badIdentity()
	}
	l := Locator{Product: p}
	count, rest := int(rest[0]), rest[1:]
	for range count {
		if len(rest) < 2 {
			return Locator{}, badIdentity()
		}
		n := int(binary.BigEndian.Uint16(rest))
		if rest = rest[2:]; n > len(rest) {
			return Locator{}, badIdentity()
		}
		l.Servers, rest = append(l.Servers, string(rest[:n])), rest[n:]
	}
	if len(rest) != 0 || l.Product.Firm == 0 {
		return Locator{}, badIdentity()
	}
	return l, l.Check()
}

func badIdentity() error {
	return license.Errorf(license.CodeInvalidInput, "copy it whole from: quorate protect identity", "that is not an identity for protected files")
}
