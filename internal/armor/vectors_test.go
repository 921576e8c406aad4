package armor_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
)

// vector is one file, good or hostile, for other implementations; the fields
// are told in testdata/vectors/README.md.
type vector struct {
	Name       string       `json:"name"`
	Text       string       `json:"text"`
	Code       license.Code `json:"code,omitempty"`
	Group      string       `json:"group,omitempty"`
	Containers []string     `json:"containers,omitempty"`
}

func TestVectors(t *testing.T) {
	for _, kind := range []armor.Kind{armor.Request, armor.Update, armor.Receipt} {
		path := filepath.Join("testdata", "vectors", string(kind)+".json")
		if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
			writeVectors(t, kind, path)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var all []vector
		if err := json.Unmarshal(b, &all); err != nil {
			t.Fatal(err)
		}
		good := 0
		for _, v := range all {
			f, err := armor.Parse([]byte(v.Text))
			if code := license.CodeOf(err); (err == nil) != (v.Code == "") || (err != nil && code != v.Code) {
				t.Errorf("%s, %s: %v instead of %q", kind, v.Name, err, v.Code)
			}
			if err != nil {
				continue
			}
			good++
			if got := described(t, f); !reflect.DeepEqual(got.Containers, v.Containers) || got.Group != v.Group || f.Kind != kind {
				t.Errorf("%s, %s: %+v", kind, v.Name, got)
			}
		}
		if good < 3 || len(all)-good < 8 {
			t.Errorf("%s: %d good and %d hostile vectors", kind, good, len(all)-good)
		}
	}
}

func described(t *testing.T, f armor.File) (v vector) {
	t.Helper()
	parts, err := armor.Parts(f)
	if err != nil {
		t.Fatal(err)
	}
	if !f.Group.IsZero() {
		v.Group = f.Group.String()
	}
	for _, p := range parts {
		v.Containers = append(v.Containers, p.Serial.String())
	}
	return v
}

func writeVectors(t *testing.T, kind armor.Kind, path string) {
	t.Helper()
	k := newKit(t)
	files := k.files(t)
	one, group := files["one "+string(kind)], files["group "+string(kind)]
	text := string(encode(t, group))
	body := bodyOf(t, text)
	var all []vector
	good := func(name string, f armor.File, text string) {
		v := described(t, f)
		v.Name, v.Text = name, text
		all = append(all, v)
	}
	good("one container", one, string(encode(t, one)))
	good("a group", group, text)
	if kind == armor.Update {
		for _, name := range []string{"timed one update", "time alone one update", "timed group update", "time alone group update"} {
			good("with time certificates: "+name, files[name], string(encode(t, files[name])))
		}
	}
	good("line ends of another system", group, strings.ReplaceAll(text, "\n", "\r\n"))
	good("white space around it", group, "\n \n"+strings.ReplaceAll(text, "\n", " \n")+"\n\n")
	bad := func(name, text string, code license.Code) {
		all = append(all, vector{Name: name, Text: text, Code: code})
	}
	lines := strings.Split(text, "\n")
	data := slices.Index(lines, "") + 1
	bad("a container's name altered", strings.Replace(text, "130-1874829", "130-1874820", 1), altered(kind))
	bad("the group's name altered", strings.Replace(text, "131-4837572", "131-4837573", 1), altered(kind))
	bad("a header more", strings.Replace(text, "Version: 1\n", "Version: 1\nNote: x\n", 1), altered(kind))
	bad("a line of data missing", strings.Join(slices.Delete(slices.Clone(lines), data, data+1), "\n"), altered(kind))
	bad("a byte of the body altered, without its checksum", text[:strings.Index(text, "\n\n")+2]+"AQ"+text[strings.Index(text, "\n\n")+4:strings.LastIndex(text, "\n=")-1]+"!"+text[strings.LastIndex(text, "\n="):], altered(kind))
	bad("a message more claimed", rearm(text, edit(body, func(b []byte) { b[13]++ })), altered(kind))
	bad("a byte after the last message", rearm(text, append(edit(body, func([]byte) {}), 0)), altered(kind))
	bad("two of three containers", rearm(text, firstTwo(body)), altered(kind))
	bad("cut off", text[:len(text)/2], altered(kind))
	bad("something follows", text+"x", altered(kind))
	bad("another version", strings.Replace(text, "Version: 1", "Version: 2", 1), license.CodeFormatUnknown)
	bad("text before it", "Hello,\n"+text, license.CodeFormatUnknown)
	if kind == armor.Update {
		timed := string(encode(t, files["timed one update"]))
		inside := bodyOf(t, timed)
		bad("a certified time altered in the header", strings.Replace(timed, "time 2026", "time 2025", 1), altered(kind))
		bad("a certified time altered in the body", rearm(timed, edit(inside, func(b []byte) { b[14+4+18+26+5] ^= 1 })), altered(kind))
		bad("a time certificate twice", rearm(timed, twice(inside)), altered(kind))
		bad("a time certificate of another container", rearm(timed, edit(inside, func(b []byte) { b[14+4+18+9] ^= 1 })), altered(kind))
		bad("a time certificate that is cut off", rearm(timed, shorter(inside)), license.CodeTimeForged)
		bad("a time certificate of another version", rearm(timed, edit(inside, func(b []byte) { b[14+4+13] = 2 })), license.CodeFormatUnknown)
		bad("a time certificate without a nonce", rearm(timed, edit(inside, func(b []byte) { clear(b[14+4+18+10 : 14+4+18+26]) })), license.CodeTimeForged)
	}
	if kind != armor.Receipt { // those need the container's key
		bad("a signature broken", rearm(text, edit(body, func(b []byte) { b[len(b)-1] ^= 1 })), altered(kind))
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // G301: in the repository
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil { //nolint:gosec // G306: in the repository
		t.Fatal(err)
	}
}

// twice is a body with its first message once more.
func twice(body []byte) []byte {
	n := 4 + int(body[14])<<24 + int(body[15])<<16 + int(body[16])<<8 + int(body[17])
	return append(edit(body, func(b []byte) { b[13]++ }), body[14:14+n]...)
}

// shorter is a body whose first message lacks its last byte.
func shorter(body []byte) []byte {
	n := 4 + int(body[14])<<24 + int(body[15])<<16 + int(body[16])<<8 + int(body[17])
	return edit(slices.Delete(bytes.Clone(body), 14+n-1, 14+n), func(b []byte) { b[17]-- })
}

// firstTwo is a body without its third message.
func firstTwo(body []byte) []byte {
	at := 14
	for range 2 {
		at += 4 + int(body[at])<<24 + int(body[at+1])<<16 + int(body[at+2])<<8 + int(body[at+3])
	}
	return edit(body[:at], func(b []byte) { b[13] = 2 })
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the test vectors anew")
	flag.Parse()
	os.Exit(m.Run())
}
