package auth_test

import (
	"testing"

	"github.com/quorate/quorate/internal/auth"
)

// FuzzToken reads anything as a token: one of a kind is of no other.
func FuzzToken(f *testing.F) {
	for _, k := range []auth.TokenKind{auth.APIToken, auth.LinkToken} {
		s, _, err := auth.NewToken(k)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s)
		f.Add(s[:len(s)-1])
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, api := auth.TokenHash(auth.APIToken, s)
		l, link := auth.TokenHash(auth.LinkToken, s)
		if api && link || auth.SameHash(a, l) {
			t.Fatalf("%q is of both kinds", s)
		}
	})
}
