// Package ticket has the codes that people pass on by mail, by telephone and on
// paper: those of tickets, and those that enroll servers.
//
// A code is 25 characters in five groups, as in 7KQ4M-…, of an alphabet without
// I, L, O and U. 24 of them are random, 120 bits; the last one is a check
// character, by which every single wrong character and every two characters
// that were exchanged are found, however far apart they are.
package ticket

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
)

// The form of a code.
const (
	Length = 25
	group  = 5
	// mostText bounds a code with whatever stands between its characters.
	mostText = 200
)

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Code is a code in its written form.
type Code string

// New makes a code.
func New() Code {
	var random [Length - 1]byte
	_, _ = rand.Read(random[:]) // never fails
	var values [Length]byte
	for i, b := range random {
		values[i] = b % byte(len(alphabet)) // 256 is a multiple of 32
	}
	values[Length-1] = check(values[:Length-1])
	return write(values)
}

// Parse reads what somebody typed: small letters, O for 0, I and L for 1, the
// fullwidth forms of East Asian keyboards, and spaces and dashes wherever they
// stand. Error: license.CodeInvalidInput, which
// tells no part of the code but a character that is in none.
func Parse(text string) (Code, error) {
	bad := func(fix, format string, args ...any) (Code, error) {
		return "", license.Errorf(license.CodeInvalidInput, fix, format, args...)
	}
	if len(text) > mostText {
		return bad("copy the code alone", "the code is too long")
	}
	var values [Length]byte
	n := 0
	for _, r := range text {
		if between(r) {
			continue
		}
		v, ok := valueOf(r)
		if !ok {
			switch {
			case r == utf8.RuneError:
				return bad("copy the code again", "the code is not a text")
			case unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r): // it may look like one
				return bad("type the code with a Latin keyboard", "the character %q (%U) is no Latin letter", r, r)
			}
			return bad("compare it with the one that was given out: codes have digits, and letters but I, L, O and U", "the character %q is in no code", r)
		}
		if n < Length {
			values[n] = v
		}
		n++
	}
	if n != Length {
		return bad("compare it with the one that was given out: it has five groups of five characters", "the code has %d characters instead of %d", n, Length)
	}
	if values[Length-1] != check(values[:Length-1]) {
		return bad("compare it with the one that was given out, character by character", "the code is mistyped")
	}
	return write(values), nil
}

// Hint is the code's last group, by which people tell codes apart. It
// is of no use to anybody else.
func (c Code) Hint() string { return string(c[len(c)-group:]) }

// Purpose is what a code is for. A code of one purpose is none of another.
type Purpose string

// The purposes.
const (
	Ticket     Purpose = "ticket"
	Enrollment Purpose = "enrollment"
)

// Digest is what a code is found by, and is kept of it. A code has 120 random
// bits, so nobody finds it by trying out digests: no secret key is needed, which
// would have to be the same for ever.
func (c Code) Digest(p Purpose) []byte {
	sum := sha256.Sum256([]byte("quorate " + string(p) + " code 1\x00" + string(c)))
	return sum[:]
}

// Same compares two digests in constant time.
func Same(a, b []byte) bool { return len(a) == sha256.Size && subtle.ConstantTimeCompare(a, b) == 1 }

func write(values [Length]byte) Code {
	var b strings.Builder
	for i, v := range values {
		if i > 0 && i%group == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[v])
	}
	return Code(b.String())
}

// between says whether a character stands between those of a code: word
// processors make other dashes and spaces of those that were typed, and add some
// that nobody sees.
func between(r rune) bool {
	return r == '_' || r == '.' || unicode.In(r, unicode.White_Space, unicode.Dash, unicode.Cf)
}

func valueOf(r rune) (byte, bool) {
	if r >= '\uff01' && r <= '\uff5e' { // fullwidth
		r -= '\uff01' - '!'
	}
	if r >= 'a' && r <= 'z' {
		r -= 'a' - 'A'
	}
	switch r {
	case 'O':
		r = '0'
	case 'I', 'L':
		r = '1'
	}
	i := strings.IndexRune(alphabet, r)
	return byte(i), i >= 0 //nolint:gosec // G115: below 32
}

// check is the sum of aⁱ·xᵢ in the field of 32 elements, where a is a generator.
// Its powers are different up to the 31st and none is 0: so a change of one xᵢ
// changes the sum, and so does an exchange of any two that are different. The
// check character itself has the weight 1, which a⁰ is; the others begin at a¹.
func check(values []byte) byte {
	var sum byte
	weight := byte(1)
	for _, v := range values {
		weight = multiply(weight, 2)
		sum ^= multiply(weight, v)
	}
	return sum
}

// multiply multiplies polynomials modulo x⁵+x²+1, which is primitive: x, that is
// 2, is a generator.
func multiply(a, b byte) byte {
	var p byte
	for ; b > 0; b >>= 1 {
		if b&1 != 0 {
			p ^= a
		}
		if a <<= 1; a&0x20 != 0 {
			a ^= 0x25
		}
	}
	return p
}

// String hides a code where it would be printed by chance.
func (c Code) String() string {
	if len(c) < group {
		return ""
	}
	return fmt.Sprintf("…-%s", c.Hint())
}
