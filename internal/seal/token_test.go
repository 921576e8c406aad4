package seal

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// TestTokenVersions: a token that version 1 has a place for is one of version 1,
// so those of before read it; the largest there can be is not too large.
func TestTokenVersions(t *testing.T) {
	k := newKit(t)
	for name, c := range map[string]struct {
		change func(*Token)
		want   byte
	}{
		"as before":    {func(*Token) {}, 1},
		"none told":    {func(x *Token) { x.Licenses = 0 }, 1},
		"two licenses": {func(x *Token) { x.Licenses = 2 }, 2},
		"borrowed":     {func(x *Token) { x.Borrowed = true }, 2},
		"tagged":       {func(x *Token) { x.Tags = []string{"b", "a"} }, 2},
		"all of it, at most": {func(x *Token) {
			long := strings.Repeat("x", MostTokenText)
			x.Handle, x.Station, x.ClientAddress, x.ClientUser, x.ClientApplication = long, long, long, long, long
			x.Licenses, x.Borrowed = 1<<32-1, true
			for i := range MostTokenTags {
				x.Tags = append(x.Tags, strings.Repeat(string(rune('p'-i)), MostTokenTag))
			}
		}, 2},
	} {
		x := k.handleToken()
		c.change(&x)
		b, err := SignToken(k.token, x)
		ok(t, err)
		if got := kindToken.version(b); got != c.want {
			t.Errorf("%s: version %d, want %d", name, got, c.want)
		}
		y, err := OpenToken(b, k.token.Public())
		ok(t, err)
		x.Licenses = max(x.Licenses, 1)
		slices.Sort(x.Tags)
		if !reflect.DeepEqual(x, y) {
			t.Errorf("%s: %+v came back as %+v", name, x, y)
		}
	}
}

// taggedVectors are tokens of version 2.
func (k *kit) taggedVectors(t *testing.T, add func(string, []byte, license.Code) *vector) {
	t.Helper()
	good, err := SignToken(k.token, k.taggedToken())
	ok(t, err)
	add("good, version 2: four licenses, borrowed, two tags", good, "")
	several := k.handleToken()
	several.Licenses = 2
	b, err := SignToken(k.token, several)
	ok(t, err)
	add("good, version 2: two licenses alone", b, "")
	plain := encodeToken(k.handleToken())
	ok(t, plain.err)
	signed := func(name string, version byte, build func(w *writer)) {
		w := &writer{b: bytes.Clone(plain.b)}
		build(w)
		b, err := kindToken.signedAs(version, k.token, w.b)
		ok(t, err)
		add("signed, version 2, "+name, b, license.CodeTokenInvalid)
	}
	fields := func(licenses uint32, borrowed uint8, tags ...string) func(*writer) {
		return func(w *writer) {
			w.u32(licenses)
			w.u8(borrowed)
			w.count(len(tags))
			for _, tag := range tags {
				w.bytes([]byte(tag), 0, 1<<10, "tag")
			}
		}
	}
	signed("without its fields", versionTagged, func(*writer) {})
	signed("with what version 1 has a place for", versionTagged, fields(1, 0))
	signed("no license", versionTagged, fields(0, 1))
	signed("a flag that is neither 0 nor 1", versionTagged, fields(2, 2))
	signed("tags out of order", versionTagged, fields(1, 0, "b", "a"))
	signed("a tag twice", versionTagged, fields(1, 0, "a", "a"))
	signed("an empty tag", versionTagged, fields(1, 0, ""))
	signed("an over-long tag", versionTagged, fields(1, 0, strings.Repeat("x", MostTokenTag+1)))
	signed("too many tags", versionTagged, func(w *writer) {
		w.u32(1)
		w.bool(false)
		w.count(MostTokenTags + 1)
	})
	signed("its fields under version 1", Version, fields(2, 0))
}
