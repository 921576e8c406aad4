package ticket

import (
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

func TestCodes(t *testing.T) {
	seen := map[Code]bool{}
	counts := map[rune]int{}
	for range 2000 {
		c := New()
		if seen[c] {
			t.Fatalf("%q came twice", string(c))
		}
		seen[c] = true
		groups := strings.Split(string(c), "-")
		if len(groups) != 5 {
			t.Fatalf("%q", string(c))
		}
		for _, g := range groups {
			if len(g) != 5 || strings.Trim(g, alphabet) != "" {
				t.Fatalf("%q", string(c))
			}
			for _, r := range g {
				counts[r]++
			}
		}
		if got, err := Parse(string(c)); got != c || err != nil {
			t.Fatalf("%q is read as %q, %v", string(c), string(got), err)
		}
		if c.Hint() != groups[4] {
			t.Fatalf("hint %q of %q", c.Hint(), string(c))
		}
		if s := fmt.Sprintf("%v %s", c, c); strings.Contains(s, groups[0]) {
			t.Fatalf("%q is printed as %s", string(c), s)
		}
	}
	for _, r := range alphabet {
		// 50,000 characters over 32: 1562 each, with a deviation of 39.
		if n := counts[r]; n < 1300 || n > 1830 {
			t.Errorf("%c came %d times of 50000", r, n)
		}
	}
	if strings.ContainsAny(alphabet, "ILOU") || len(alphabet) != 32 {
		t.Errorf("the alphabet %s", alphabet)
	}
}

// TestEveryMistakeIsFound tries all single changes and all exchanges: the check
// is linear, so that it is enough to look at differences, and real codes are
// looked at too.
func TestEveryMistakeIsFound(t *testing.T) {
	refused := func(v [Length]byte) bool {
		_, err := Parse(string(write(v)))
		return license.CodeOf(err) == license.CodeInvalidInput
	}
	valid := func(v [Length]byte) [Length]byte {
		v[Length-1] = check(v[:Length-1])
		return v
	}
	// Of the code of zeros, each change is the difference itself, and the check
	// of any code is the sum of those of its characters.
	for i := range Length {
		for d := byte(1); d < 32; d++ {
			var v [Length]byte
			v[i] = d
			if !refused(v) {
				t.Fatalf("a difference of %d at %d is not found", d, i)
			}
		}
	}
	// An exchange of a and b at i and j is a difference of d = a^b at both.
	for i := range Length {
		for j := range i {
			for d := byte(1); d < 32; d++ {
				var v [Length]byte
				v[i], v[j] = d, d
				if !refused(v) {
					t.Fatalf("an exchange of %d and %d is not found", i, j)
				}
			}
		}
	}
	// The same, on codes.
	for range 20 {
		c := New()
		var v [Length]byte
		n := 0
		for _, r := range string(c) {
			if x, ok := valueOf(r); ok {
				v[n] = x
				n++
			}
		}
		if valid(v) != v {
			t.Fatalf("%q has the wrong check", string(c))
		}
		for i := range Length {
			for x := byte(0); x < 32; x++ {
				w := v
				if w[i] = x; w != v && !refused(w) {
					t.Fatalf("%d for %d at %d is not found", x, v[i], i)
				}
			}
			if i == 0 {
				continue
			}
			w := v
			if w[i], w[i-1] = w[i-1], w[i]; w != v && !refused(w) {
				t.Fatalf("neighbours at %d exchanged are not found", i)
			}
		}
	}
}

// TestLinear shows what TestEveryMistakeIsFound builds on.
func TestLinear(t *testing.T) {
	for a := byte(0); a < 32; a++ {
		for b := byte(0); b < 32; b++ {
			for c := byte(0); c < 32; c++ {
				if multiply(a, b^c) != multiply(a, b)^multiply(a, c) {
					t.Fatalf("%d (%d + %d)", a, b, c)
				}
			}
			if a != 0 && b != 0 && multiply(a, b) == 0 {
				t.Fatalf("%d %d is 0", a, b)
			}
		}
	}
	seen := map[byte]bool{}
	for i, p := 0, byte(1); i < 31; i, p = i+1, multiply(p, 2) {
		if seen[p] {
			t.Fatalf("the power %d came before", i)
		}
		seen[p] = true
	}
}

func TestTyped(t *testing.T) {
	c := write([Length]byte{0, 1, 2, 0, 1, 0, 1, 10, 11, 12, 30, 31, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 5,
		check([]byte{0, 1, 2, 0, 1, 0, 1, 10, 11, 12, 30, 31, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 5})})
	plain := strings.ReplaceAll(string(c), "-", "")
	confused := strings.NewReplacer("0", "O", "1", "l").Replace(plain)
	for _, typed := range []string{
		plain, strings.ToLower(string(c)), confused, strings.NewReplacer("0", "o", "1", "I").Replace(plain), strings.ReplaceAll(plain, "1", "i"),
		"  " + strings.ReplaceAll(string(c), "-", " ") + "\n", strings.ReplaceAll(string(c), "-", "\u2013"), strings.ReplaceAll(string(c), "-", "\u00a0-\u00a0"),
		strings.Join(strings.Split(plain, ""), " "), fullwidth(string(c)), strings.ReplaceAll(string(c), "-", "\u2015"),
		strings.ReplaceAll(string(c), "-", "\u3000"), "\u200b" + strings.ReplaceAll(string(c), "-", "-\u00ad") + "\u2009",
	} {
		if got, err := Parse(typed); got != c || err != nil {
			t.Errorf("%q is read as %q, %v", typed, string(got), err)
		}
	}
	for typed, says := range map[string]string{
		"":                        "0 characters",
		plain[:24]:                "24 characters",
		plain + "0":               "26 characters",
		strings.Repeat("0 ", 101): "too long",
		"U" + plain[1:]:           `'U' is in no code`,
		"é" + plain[1:]:           "is in no code",
		"\xff" + plain[1:]:        "not a text",
		"\u0422" + plain[1:]:      `'Т' (U+0422) is no Latin letter`, // looks like T
		"\u0391" + plain[1:]:      "is no Latin letter",
		"/" + plain:               "is in no code",
		plain[1:] + plain[:1]:     "mistyped",
	} {
		_, err := Parse(typed)
		if license.CodeOf(err) != license.CodeInvalidInput || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", typed, err)
		}
		if err != nil && strings.Contains(err.Error(), plain[5:10]) {
			t.Errorf("%q: the error tells the code: %v", typed, err)
		}
		if err != nil && strings.Contains(err.Error(), "ticket") {
			t.Errorf("%q: it may be a code that enrolls a server: %v", typed, err)
		}
	}
}

// fullwidth writes a code as East Asian keyboards do.
func fullwidth(code string) string {
	return strings.Map(func(r rune) rune { return r - '!' + '\uff01' }, code)
}

func TestDigests(t *testing.T) {
	a, b := New(), New()
	for what, same := range map[string]bool{
		"itself":          Same(a.Digest(Ticket), a.Digest(Ticket)),
		"another code":    !Same(a.Digest(Ticket), b.Digest(Ticket)),
		"another purpose": !Same(a.Digest(Ticket), a.Digest(Enrollment)),
		"none":            !Same(nil, nil),
		"a part":          !Same(a.Digest(Ticket)[:16], a.Digest(Ticket)[:16]),
	} {
		if !same {
			t.Error(what)
		}
	}
}

// FuzzParse gives Parse anything: it never panics, gives only whole codes, which
// are read as themselves, and refuses with a code.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", string(New()), strings.ToLower(string(New())), "7KQ4M", "\xff\xfe", strings.Repeat("0", 25), strings.Repeat(" ", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Parse(s)
		if err != nil {
			if license.CodeOf(err) != license.CodeInvalidInput || c != "" {
				t.Fatalf("%q: %q, %v", s, string(c), err)
			}
			return
		}
		if again, err := Parse(string(c)); again != c || err != nil || len(c) != Length+4 {
			t.Fatalf("%q is read as %q, and that as %q, %v", s, string(c), string(again), err)
		}
	})
}
