package armor_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

func TestRoundTrip(t *testing.T) {
	k := newKit(t)
	for name, f := range k.files(t) {
		text := encode(t, f)
		got, err := armor.Parse(text)
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%s came back as %+v, %v", name, got.Kind, err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if len(line) > 100 {
				t.Errorf("%s has a line of %d characters", name, len(line))
			}
		}
	}
}

func TestHeadersTellWhatItIs(t *testing.T) {
	k := newKit(t)
	want := map[string]string{
		"group request": "-----BEGIN QUORATE FINGERPRINT-----\nVersion: 1\nKind: request\nGroup: 131-4837572\n" +
			"Container: 130-1874829; firm 6000010; number 1\nContainer: 130-27845973; firm 6000010; number 1\nContainer: 130-3879234; firm 6000010; number 1\n\n",
		"one update": "-----BEGIN QUORATE UPDATE-----\nVersion: 1\nKind: update\n" +
			"Container: 130-1874829; firm 6000010; number 2\nContainer: 130-1874829; firm 6000010; number 3\n\n",
		"timed one update": "-----BEGIN QUORATE UPDATE-----\nVersion: 1\nKind: update\n" +
			"Container: 130-1874829; time 2026-11-22T09:00:00Z\nContainer: 130-1874829; firm 6000010; number 2\n\n",
		"time alone group update": "-----BEGIN QUORATE UPDATE-----\nVersion: 1\nKind: update\nGroup: 131-4837572\n" +
			"Container: 130-1874829; time 2026-11-22T09:00:00Z\nContainer: 130-27845973; time 2026-11-22T09:00:00Z\nContainer: 130-3879234; time 2026-11-22T09:00:00Z\n\n",
		"one receipt": "-----BEGIN QUORATE RECEIPT-----\nVersion: 1\nKind: receipt\nContainer: 130-1874829; firm 6000010; number 2\n\n",
	}
	for name, f := range k.files(t) {
		if text := string(encode(t, f)); want[name] != "" && !strings.HasPrefix(text, want[name]) {
			t.Errorf("%s begins\n%.300s", name, text)
		}
	}
	var many []seal.FirmState
	for i := range 20 {
		many = append(many, seal.FirmState{Firm: firm + license.FirmCode(i)})
	}
	text := string(encode(t, armor.File{Kind: armor.Request, Messages: [][]byte{
		k.fingerprint(t, 0, func(f *seal.Fingerprint) { f.Firms = many }),
	}}))
	if !strings.Contains(text, "firm 6000017; number 0; 20 firms in all\n") {
		t.Errorf("many firms: %.400s", text)
	}
}

func TestMailProgramsMayChangeWhiteSpace(t *testing.T) {
	k := newKit(t)
	for name, f := range k.files(t) {
		text := string(encode(t, f))
		for what, changed := range map[string]string{
			"CRLF":     strings.ReplaceAll(text, "\n", "\r\n"),
			"trailing": strings.ReplaceAll(text, "\n", " \t\n"),
			"around":   "\n\r\n" + text + "\n \n",
			"no end":   strings.TrimSuffix(text, "\n"),
		} {
			if got, err := armor.Parse([]byte(changed)); err != nil || !reflect.DeepEqual(got, f) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

func altered(k armor.Kind) license.Code {
	return map[armor.Kind]license.Code{
		armor.Request: license.CodeFingerprintForged, armor.Update: license.CodeUpdateTampered, armor.Receipt: license.CodeReceiptForged,
	}[k]
}

// timed says whether a file of the kit has time certificates.
func timed(name string) bool { return strings.HasPrefix(name, "time") }

func TestHostile(t *testing.T) {
	k := newKit(t)
	for name, f := range k.files(t) {
		text := string(encode(t, f))
		body := bodyOf(t, text)
		lines := strings.Split(text, "\n")
		data := slices.Index(lines, "") + 1
		without := func(i int) string { return strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "\n") }
		for what, hostile := range map[string]string{
			"a header altered":         strings.Replace(text, "Container: 130-1874829", "Container: 130-1874828", 1),
			"a header more":            strings.Replace(text, "Version: 1\n", "Version: 1\nNote: urgent\n", 1),
			"a header less":            without(3),
			"headers swapped":          strings.Replace(text, "Version: 1\nKind: "+string(f.Kind), "Kind: "+string(f.Kind)+"\nVersion: 1", 1),
			"a line of data less":      without(data),
			"a line of data twice":     strings.Join(slices.Insert(slices.Clone(lines), data, lines[data]), "\n"),
			"data in longer lines":     strings.Replace(text, lines[data]+"\n", lines[data], 1),
			"a character altered":      strings.Replace(text, lines[data][:1], string(lines[data][0]^1), 1) + " ",
			"no checksum":              without(len(lines) - 3),
			"two checksums":            strings.Join(slices.Insert(slices.Clone(lines), len(lines)-3, lines[len(lines)-3]), "\n"),
			"no end":                   without(len(lines) - 2),
			"something after the end":  text + "more\n",
			"a second file":            text + text,
			"not Base64":               strings.Replace(text, lines[data], strings.Repeat("!", 64), 1),
			"only the first line":      lines[0],
			"no data":                  strings.Join(append(slices.Clone(lines[:data]), lines[len(lines)-3:]...), "\n"),
			"an empty body":            rearm(text, nil),
			"another body version":     rearm(text, edit(body, func(b []byte) { b[0] = 2 })),
			"another kind inside":      rearm(text, edit(body, func(b []byte) { b[1] = b[1]%3 + 1 })),
			"a group of another mask":  rearm(text, edit(body, func(b []byte) { binary.BigEndian.PutUint16(b[2:], 130); b[11] = 1 })),
			"a group number zero":      rearm(text, edit(body, func(b []byte) { binary.BigEndian.PutUint16(b[2:], 131); clear(b[4:12]) })),
			"no messages":              rearm(text, edit(body[:14], func(b []byte) { clear(b[12:14]) })),
			"too many messages":        rearm(text, edit(body, func(b []byte) { b[12], b[13] = 0xff, 0xff })),
			"one message more claimed": rearm(text, edit(body, func(b []byte) { b[13]++ })),
			"one message less claimed": rearm(text, edit(body, func(b []byte) { b[13]-- })),
			"a huge message claimed":   rearm(text, edit(body, func(b []byte) { binary.BigEndian.PutUint32(b[14:], 1<<32-1) })),
			"a shorter message":        rearm(text, edit(body, func(b []byte) { b[17]-- })),
			"a byte at the end":        rearm(text, append(bytes.Clone(body), 0)),
			"cut off":                  rearm(text, body[:len(body)-1]),
		} {
			if what == "two checksums" && lines[len(lines)-3][0] != '=' {
				t.Fatal("no checksum there")
			}
			_, err := armor.Parse([]byte(hostile))
			if c := license.CodeOf(err); err == nil || (c != altered(f.Kind) && c != license.CodeFormatUnknown && (c != license.CodeTimeForged || !timed(name))) {
				t.Errorf("%s with %s: %v", name, what, err)
			}
		}
		for what, hostile := range map[string]string{
			"nothing": "", "blank": " \n\n", "text": "hello", "another label": strings.ReplaceAll(text, "QUORATE", "PGP"),
			"text before it": "Dear customer,\n" + text, "another version": strings.Replace(text, "Version: 1", "Version: 2", 1),
		} {
			if _, err := armor.Parse([]byte(hostile)); license.CodeOf(err) != license.CodeFormatUnknown {
				t.Errorf("%s with %s: %v", name, what, err)
			}
		}
	}
	_, err := armor.Parse(bytes.Repeat([]byte("a"), armor.MostText+1))
	wantCode(t, err, license.CodeTooLarge)
}

// TestLinesAreBounded: a file of line ends alone takes no more memory than
// another one.
func TestLinesAreBounded(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("\n", armor.MostText),
		"-----BEGIN QUORATE UPDATE-----\n" + strings.Repeat("\n", armor.MostText-100),
	} {
		in := []byte(text)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := armor.Parse(in)
		runtime.ReadMemStats(&after)
		wantCode(t, err, license.CodeTooLarge)
		if n := after.TotalAlloc - before.TotalAlloc; n > 2*armor.MostText {
			t.Errorf("%d bytes were allocated", n)
		}
	}
}

func TestKindOf(t *testing.T) {
	for name, f := range newKit(t).files(t) {
		text := encode(t, f)
		for _, b := range [][]byte{text, text[:60], append([]byte(" \r\n\n"), bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))...)} {
			if k, err := armor.KindOf(b); err != nil || k != f.Kind {
				t.Errorf("%s: %q, %v", name, k, err)
			}
		}
		_, err := armor.KindOf(append([]byte("x"), text...))
		wantCode(t, err, license.CodeFormatUnknown)
	}
	_, err := armor.KindOf(nil)
	wantCode(t, err, license.CodeFormatUnknown)
}

// Each byte of a request or update is under a signature or a checked header,
// even for somebody who makes the checksum anew.
func TestEveryByteCounts(t *testing.T) {
	k := newKit(t)
	for name, f := range k.files(t) {
		if f.Kind == armor.Receipt || timed(name) { // their signatures need the containers' keys, or the root key
			continue
		}
		text := string(encode(t, f))
		body := bodyOf(t, text)
		for i := range body {
			if i%7 != 0 && i > 40 {
				continue
			}
			if i >= 4 && i < 12 && !f.Group.IsZero() {
				continue // which group it says it is for
			}
			if _, err := armor.Parse([]byte(rearm(text, edit(body, func(b []byte) { b[i] ^= 0x10 })))); err == nil {
				t.Fatalf("%s: byte %d altered, and nobody noticed", name, i)
			}
		}
	}
}

func TestMessagesBelongTogether(t *testing.T) {
	k := newKit(t)
	print := func(i int) []byte { return k.fingerprint(t, i, nil) }
	for what, f := range map[string]armor.File{
		"two containers, no group": {Kind: armor.Request, Messages: [][]byte{print(0), print(1)}},
		"two of a group":           {Kind: armor.Request, Group: k.group, Messages: [][]byte{print(0), print(1)}},
		"one three times":          {Kind: armor.Request, Group: k.group, Messages: [][]byte{print(0), print(0), print(1), print(2)}},
		"another activation id": {Kind: armor.Request, Group: k.group, Messages: [][]byte{print(0), print(1),
			k.fingerprint(t, 2, func(f *seal.Fingerprint) { f.ActivationID = [16]byte{7} })}},
		"another platform": {Kind: armor.Request, Group: k.group, Messages: [][]byte{print(0), print(1),
			k.fingerprint(t, 2, func(f *seal.Fingerprint) { f.Root = ed25519.PublicKey(make([]byte, 32)) })}},
	} {
		if _, err := armor.Encode(f); license.CodeOf(err) != license.CodeFingerprintForged {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, f := range map[string]armor.File{
		"an update twice":  {Kind: armor.Update, Messages: [][]byte{k.update(t, 0, 2), k.update(t, 0, 2)}},
		"a receipt twice":  {Kind: armor.Receipt, Messages: [][]byte{k.receipt(t, 0, 2), k.receipt(t, 0, 2)}},
		"a time twice":     {Kind: armor.Update, Messages: [][]byte{k.time(t, 0), k.update(t, 0, 2), k.time(t, 0)}},
		"another's time":   {Kind: armor.Update, Messages: [][]byte{k.time(t, 1), k.update(t, 0, 2)}},
		"times of two":     {Kind: armor.Update, Group: k.group, Messages: [][]byte{k.time(t, 0), k.time(t, 1)}},
		"a time, requests": {Kind: armor.Request, Messages: [][]byte{k.time(t, 0)}},
		"a time, receipts": {Kind: armor.Receipt, Messages: [][]byte{k.receipt(t, 0, 2), k.time(t, 0)}},
		"a receipt inside": {Kind: armor.Update, Messages: [][]byte{k.receipt(t, 0, 2)}},
	} {
		_, err := armor.Encode(f)
		if c := license.CodeOf(err); c != altered(f.Kind) && c != license.CodeFormatUnknown {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := armor.Encode(armor.File{Kind: armor.Request})
	wantCode(t, err, license.CodeTooLarge)
	_, err = armor.Encode(armor.File{Kind: "letter", Messages: [][]byte{print(0)}})
	wantCode(t, err, license.CodeInvalidInput)
}

func TestParts(t *testing.T) {
	k := newKit(t)
	all := k.files(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		parts, err := armor.Parts(all[name])
		if err != nil || len(parts) != len(all[name].Messages) {
			t.Fatalf("%s: %v", name, err)
		}
		for i, p := range parts {
			want := k.serials[0]
			if !all[name].Group.IsZero() {
				want = k.serials[i%len(k.serials)]
			}
			if p.Serial != want || !p.At.Equal(day()) || !bytes.Equal(p.Message, all[name].Messages[i]) {
				t.Errorf("%s: %+v", name, p)
			}
			if p.Update != nil && (p.Update.Digest != seal.Digest(p.Message) || !p.Update.Key.Key.Equal(k.firm.Public())) {
				t.Errorf("%s: %+v", name, p.Update)
			}
		}
	}
}

func TestTimeCertificatesStandAmongUpdates(t *testing.T) {
	k := newKit(t)
	all := k.files(t)
	for name, n := range map[string]int{"timed group update": 3, "time alone group update": 0, "group update": 3} {
		parts, err := armor.Parts(all[name])
		if err != nil {
			t.Fatal(err)
		}
		updates, times := armor.Split(parts)
		if len(updates) != n || len(updates)+len(times) != len(all[name].Messages) {
			t.Errorf("%s: %d updates and %d times", name, len(updates), len(times))
		}
		for i, p := range times {
			if p.Time == nil || p.Update != nil || p.Serial != k.serials[i] || p.Time.Nonce != [16]byte{4, byte(i)} { //nolint:gosec // G115: small
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
	// What is no time certificate inside its frame is told as that.
	damaged := k.time(t, 0)
	damaged[len("_quorate-time_")+4+1] = 0xff // the serial's mask
	_, err := armor.Encode(armor.File{Kind: armor.Update, Messages: [][]byte{damaged}})
	wantCode(t, err, license.CodeTimeForged)
}

func FuzzParse(f *testing.F) {
	k := newKit(f)
	for _, file := range k.files(f) {
		f.Add(encode(f, file))
	}
	f.Add([]byte("-----BEGIN QUORATE UPDATE-----\nVersion: 1\n\n=\n-----END QUORATE UPDATE-----"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := armor.Parse(b)
		if kind, unknown := armor.KindOf(b); err == nil && (unknown != nil || kind != got.Kind) {
			t.Fatalf("a %s begins as a %q", got.Kind, kind)
		}
		if err != nil {
			if license.CodeOf(err) == license.CodeInternal {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		text, err := armor.Encode(got)
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if again, err := armor.Parse(text); err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("it reads otherwise the second time: %v", err)
		}
	})
}

// FuzzBody gives the body's reader anything, under a checksum that matches.
func FuzzBody(f *testing.F) {
	k := newKit(f)
	kinds := map[armor.Kind]string{}
	for _, file := range k.files(f) {
		text := string(encode(f, file))
		kinds[file.Kind] = text
		f.Add(bodyOf(f, text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for kind, text := range kinds {
			if _, err := armor.Parse([]byte(rearm(text, b))); err != nil && license.CodeOf(err) == license.CodeInternal {
				t.Fatalf("%s: an error without a code: %v", kind, err)
			}
		}
	})
}

func edit(b []byte, f func([]byte)) []byte {
	b = bytes.Clone(b)
	f(b)
	return b
}

// bodyOf takes the body out of a file.
func bodyOf(t testing.TB, text string) []byte {
	t.Helper()
	_, data, _ := strings.Cut(text, "\n\n")
	data, _, _ = strings.Cut(data, "\n=")
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(data, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rearm puts another body into a file, with its checksum.
func rearm(text string, body []byte) string {
	head, _, _ := strings.Cut(text, "\n\n")
	at := strings.LastIndex(text, "-----END")
	data := base64.StdEncoding.EncodeToString(body)
	var lines []string
	for ; len(data) > 64; data = data[64:] {
		lines = append(lines, data[:64])
	}
	sum := sha256.Sum256(body)
	lines = append(lines, data, "="+base64.StdEncoding.EncodeToString(sum[:]))
	return head + "\n\n" + strings.Join(lines, "\n") + "\n" + text[at:]
}
