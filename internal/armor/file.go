package armor

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/license"
)

// Version is the version of the text form and of the body.
const Version = 1

// Bounds of a file.
const (
	// MostBody is for three of the largest updates, in bytes.
	MostBody = 3<<20 + 4<<10
	// MostText is for the Base64 of the largest body, with line ends, headers
	// and some white space.
	MostText = 5 << 20
	// mostLines is for a full text in lines of width; blank ones count too.
	mostLines = MostText / width
	// MostMessages is for the receipts of three containers of many firms.
	MostMessages = 512
)

// Kind is what a file is.
type Kind string

// The kinds of files.
const (
	Request Kind = "request" // fingerprints
	Update  Kind = "update"  // and time certificates
	Receipt Kind = "receipt"
)

type spec struct {
	kind    Kind
	label   string // between the dashes
	code    byte   // in the body
	altered license.Code
	fix     string
}

func specs() []spec {
	return []spec{
		{Request, "QUORATE FINGERPRINT", 1, license.CodeFingerprintForged, "have the license server write the request again"},
		{Update, "QUORATE UPDATE", 2, license.CodeUpdateTampered, "get the update from the platform again"},
		{Receipt, "QUORATE RECEIPT", 3, license.CodeReceiptForged, "have the license server write the receipt again"},
	}
}

func (k Kind) spec() (spec, bool) {
	for _, s := range specs() {
		if s.kind == k {
			return s, true
		}
	}
	return spec{}, false
}

func (s spec) damage(format string, args ...any) *license.Error {
	return license.Errorf(s.altered, s.fix, "the %s file is altered or damaged: %s", s.kind, fmt.Sprintf(format, args...))
}

// File is what travels.
type File struct {
	Kind Kind
	// Group is the virtual container of the TMR group whose three containers
	// the file is of; zero for one container alone. Nobody signs it: it tells
	// where the file belongs, the messages tell whom they are for.
	Group license.Serial
	// Messages are signed messages of package seal, at most MostMessages: one
	// fingerprint or several updates or receipts of each container. Among
	// updates, or in their place, there may be a time certificate of each.
	Messages [][]byte
}

const (
	begin = "-----BEGIN "
	end   = "-----END "
	dash  = "-----"
	width = 64
)

// Encode gives the file's one text form. Errors: license.CodeInvalidInput,
// CodeTooLarge, and those of Parse for messages that it would refuse.
func Encode(f File) ([]byte, error) {
	s, ok := f.Kind.spec()
	if !ok {
		return nil, license.Errorf(license.CodeInvalidInput, "make a request, an update or a receipt", "%q is no kind of file", f.Kind)
	}
	if n := len(f.Messages); n == 0 || n > MostMessages {
		return nil, license.Errorf(license.CodeTooLarge, "split it into several files", "a file can't have %d messages: 1 to %d are possible", n, MostMessages)
	}
	parts, err := Parts(f)
	if err != nil {
		return nil, err
	}
	b := []byte{Version, s.code}
	b = binary.BigEndian.AppendUint16(b, f.Group.Mask)
	b = binary.BigEndian.AppendUint64(b, f.Group.Number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.Messages))) //nolint:gosec // G115: bounded above
	for _, m := range f.Messages {
		b = binary.BigEndian.AppendUint32(b, uint32(len(m))) //nolint:gosec // G115: bounded by its kind
		b = append(b, m...)
	}
	if len(b) > MostBody {
		return nil, license.Errorf(license.CodeTooLarge, "split it into several files", "the %s file would be larger than %d bytes", f.Kind, MostBody)
	}
	var t bytes.Buffer
	fmt.Fprintf(&t, "%s%s%s\nVersion: %d\nKind: %s\n", begin, s.label, dash, Version, s.kind)
	if f.Group != (license.Serial{}) {
		fmt.Fprintf(&t, "Group: %s\n", f.Group)
	}
	for _, p := range parts {
		fmt.Fprintf(&t, "Container: %s\n", p.header())
	}
	t.WriteByte('\n')
	for text := base64.StdEncoding.EncodeToString(b); text != ""; {
		n := min(width, len(text))
		t.WriteString(text[:n])
		t.WriteByte('\n')
		text = text[n:]
	}
	sum := sha256.Sum256(b)
	fmt.Fprintf(&t, "=%s\n%s%s%s\n", base64.StdEncoding.EncodeToString(sum[:]), end, s.label, dash)
	return t.Bytes(), nil
}

// Parse reads a file and verifies what needs no key. Errors:
// license.CodeFormatUnknown for what is no such file, CodeTooLarge;
// CodeFingerprintForged, CodeUpdateTampered, CodeUpdateUntrusted,
// CodeReceiptForged or CodeTimeForged for one that was altered.
func Parse(text []byte) (File, error) {
	if len(text) > MostText {
		return File{}, license.Errorf(license.CodeTooLarge, "check which file you gave", "the file is larger than %d bytes", MostText)
	}
	if bytes.Count(text, []byte("\n")) > mostLines {
		return File{}, license.Errorf(license.CodeTooLarge, "check which file you gave", "the file has more than %d lines", mostLines)
	}
	lines := trimmed(text)
	s, err := labelled(lines)
	if err != nil {
		return File{}, err
	}
	at := 1
	for ; at < len(lines) && lines[at] != ""; at++ {
		if at == 1 && lines[at] != fmt.Sprintf("Version: %d", Version) && strings.HasPrefix(lines[at], "Version: ") {
			return File{}, license.Errorf(license.CodeFormatUnknown, "upgrade the software that reads it",
				"the file has the version %.20q, and only version %d is known here", strings.TrimPrefix(lines[at], "Version: "), Version)
		}
	}
	var encoded strings.Builder
	sum, ended := "", false
	for at++; at < len(lines); at++ {
		line := lines[at]
		switch {
		case ended:
			return File{}, s.damage("something follows its end")
		case line == end+s.label+dash:
			ended = true
		case sum != "":
			return File{}, s.damage("something follows its checksum")
		case strings.HasPrefix(line, "="):
			sum = line[1:]
		default:
			encoded.WriteString(line)
		}
	}
	if !ended || sum == "" {
		return File{}, s.damage("it is incomplete")
	}
	body, err := base64.StdEncoding.Strict().DecodeString(encoded.String())
	if err != nil {
		return File{}, s.damage("it is not Base64")
	}
	if have := sha256.Sum256(body); base64.StdEncoding.EncodeToString(have[:]) != sum {
		return File{}, s.damage("its checksum does not match")
	}
	f, err := s.decode(body)
	if err != nil {
		return File{}, err
	}
	// There is one text for each body, so the headers say what the body has.
	want, err := Encode(f)
	if err != nil {
		return File{}, err
	}
	if strings.TrimSuffix(string(want), "\n") != strings.Join(lines, "\n") {
		return File{}, s.damage("its headers are not those of its content")
	}
	return f, nil
}

// KindOf tells what a text claims to be by its first line; nothing more of it
// is looked at. Error: license.CodeFormatUnknown.
func KindOf(text []byte) (Kind, error) {
	line, _, _ := strings.Cut(strings.TrimLeft(string(text), " \t\r\n"), "\n")
	s, err := labelled([]string{strings.TrimRight(line, " \t\r")})
	return s.kind, err
}

// trimmed gives the lines without what mail programs and editors change.
func trimmed(text []byte) []string {
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t\r")
	}
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func labelled(lines []string) (spec, error) {
	if len(lines) > 0 {
		for _, s := range specs() {
			if lines[0] == begin+s.label+dash {
				return s, nil
			}
		}
	}
	return spec{}, license.Errorf(license.CodeFormatUnknown, "give a file that begins with -----BEGIN QUORATE …",
		"this is no request, update or receipt file")
}

func (s spec) decode(b []byte) (File, error) {
	const fixed = 1 + 1 + 2 + 8 + 2
	if len(b) > MostBody {
		return File{}, license.Errorf(license.CodeTooLarge, "check which file you gave", "the %s file has more than %d bytes", s.kind, MostBody)
	}
	if len(b) < fixed {
		return File{}, s.damage("it is incomplete")
	}
	if b[0] != Version || b[1] != s.code {
		return File{}, s.damage("its content is of another kind than its first line says")
	}
	f := File{Kind: s.kind, Group: license.Serial{Mask: binary.BigEndian.Uint16(b[2:]), Number: binary.BigEndian.Uint64(b[4:])}}
	count := int(binary.BigEndian.Uint16(b[12:]))
	if count == 0 || count > MostMessages {
		return File{}, s.damage("it has %d messages", count)
	}
	for b = b[fixed:]; count > 0; count-- {
		if len(b) < 4 {
			return File{}, s.damage("it is incomplete")
		}
		n := int64(binary.BigEndian.Uint32(b))
		if n > int64(len(b)-4) {
			return File{}, s.damage("it is incomplete")
		}
		f.Messages = append(f.Messages, bytes.Clone(b[4:4+n]))
		b = b[4+n:]
	}
	if len(b) != 0 {
		return File{}, s.damage("bytes follow its last message")
	}
	return f, nil
}
