package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

func TestTokens(t *testing.T) {
	k := newKit(t)
	ours, other := NewTokens(k.token), NewTokens(k.token)
	b, err := ours.Sign(k.handleToken())
	ok(t, err)
	want, err := OpenToken(b, k.token.Public())
	ok(t, err)
	for _, tokens := range []*Tokens{ours, other, other} { // one signed it, the other verifies it, and knows it again
		got, err := tokens.Open(b)
		ok(t, err)
		if got.Handle != want.Handle || got.N != want.N || !got.IssuedAt.Equal(want.IssuedAt) {
			t.Fatalf("opened %+v, want %+v", got, want)
		}
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 1
			if _, err := tokens.Open(bad); err == nil {
				t.Fatalf("byte %d altered, and nobody noticed", i)
			}
		}
		_, err = tokens.Open(b[:len(b)-1])
		code(t, err, license.CodeTokenInvalid)
	}
	stranger, err := SignToken(k.stranger, k.handleToken())
	ok(t, err)
	for range 2 {
		_, err = ours.Open(stranger)
		code(t, err, license.CodeTokenInvalid)
	}
	_, err = NewTokens(faultySigner{k.token, nil}).Sign(k.handleToken())
	code(t, err, license.CodeUnavailable)
	_, err = NewTokens(faultySigner{k.token, errors.New("the key store is away")}).Sign(k.handleToken())
	code(t, err, license.CodeUnavailable)
}

// What is known again is bounded, and what is forgotten is verified.
func TestTokensForget(t *testing.T) {
	k := newKit(t)
	tokens := NewTokens(k.token)
	b, err := tokens.Sign(k.handleToken())
	ok(t, err)
	for i := range uint64(2*mostKnown + 1) {
		if i == mostKnown-1 && !tokens.knows(sha256.Sum256(b)) {
			t.Fatalf("forgotten after %d others", i)
		}
		var d [sha256.Size]byte
		binary.BigEndian.PutUint64(d[:], i)
		tokens.know(d)
	}
	if n := len(tokens.known) + len(tokens.past); n > 2*mostKnown || tokens.knows(sha256.Sum256(b)) {
		t.Fatalf("%d tokens are remembered", n)
	}
	_, err = tokens.Open(b)
	ok(t, err)
}
