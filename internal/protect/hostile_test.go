package protect

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age/armor"

	"github.com/quorate/quorate/internal/license"
)

// hostile are what a damaged or forged file may be refused with.
func hostile() []license.Code {
	return []license.Code{license.CodeDataDamaged, license.CodeKeyRefused, license.CodeFormatUnknown}
}

// stride is 1 where each byte counts, and more in a long body.
func stride(at, header int) int {
	if at < header+32 {
		return 1
	}
	return 997
}

// Whatever single bit is changed: no byte is given that is not authentic, and
// the file never reads to its end.
func TestFlippedBits(t *testing.T) {
	k := newKit(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*chunk/16)
	file := encrypt(t, content, false, k.to)
	header := bytes.Index(file, []byte("\n---")) + 1
	for at := 0; at < len(file); at += stride(at, header+64) {
		changed := bytes.Clone(file)
		changed[at] ^= 1 << (at % 8)
		got, err := k.read(changed)
		if err == nil {
			t.Fatalf("bit %d of byte %d is changed, and the file opens", at%8, at)
		}
		wantCode(t, "changed", err, hostile()...)
		if !bytes.HasPrefix(content, got) {
			t.Fatalf("byte %d is changed, and what is read is not the content", at)
		}
		if at > header+64 && license.CodeOf(err) != license.CodeDataDamaged {
			t.Errorf("byte %d of the body: %v", at, err)
		}
	}
}

func TestTruncatedAndExtended(t *testing.T) {
	k := newKit(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*chunk/16)
	for _, armored := range []bool{false, true} {
		file := encrypt(t, content, armored, k.to)
		header := 2400
		for at := 0; at < len(file)-1; at += stride(at, header) { // -1: an armored file may lack its last end of line
			got, err := k.read(file[:at])
			if err == nil {
				t.Fatalf("armored %v: cut off after %d bytes, it opens", armored, at)
			}
			wantCode(t, "cut off", err, hostile()...)
			if !bytes.HasPrefix(content, got) {
				t.Fatalf("armored %v: cut off after %d bytes, what is read is not the content", armored, at)
			}
		}
		_, err := k.read(append(bytes.Clone(file), "more"...))
		wantCode(t, "bytes follow", err, license.CodeDataDamaged)
	}
}

// Parts of several files for the same product don't make one.
func TestSplicedFiles(t *testing.T) {
	k := newKit(t)
	a := encrypt(t, bytes.Repeat([]byte{'a'}, 2*chunk), false, k.to)
	b := encrypt(t, bytes.Repeat([]byte{'b'}, 2*chunk), false, k.to)
	end := bytes.Index(a, []byte("\n---")) + 1
	mac := bytes.IndexByte(a[end:], '\n') + 1
	const sealed = chunk + 16
	body := end + mac + 16
	for name, file := range map[string][]byte{
		"header of the other": append(bytes.Clone(a[:end+mac]), b[end+mac:]...),
		"stanza of the other": append(bytes.Clone(a[:end]), b[end:]...),
		"chunk of the other":  append(append(bytes.Clone(a[:body]), b[body:body+sealed]...), a[body+sealed:]...),
		"chunks swapped":      append(append(bytes.Clone(a[:body]), a[body+sealed:]...), a[body:body+sealed]...),
		"first chunk missing": append(bytes.Clone(a[:body]), a[body+sealed:]...),
		"last chunk missing":  bytes.Clone(a[:body+sealed]),
		"a stanza doubled":    bytes.Replace(a, a[len(intro):end], bytes.Repeat(a[len(intro):end], 2), 1),
	} {
		got, err := k.read(file)
		if err == nil {
			t.Errorf("%s: it opens", name)
		}
		wantCode(t, name, err, license.CodeDataDamaged)
		if bytes.Contains(got, []byte{'b'}) {
			t.Errorf("%s: what is read is not the content", name)
		}
	}
}

func TestHostileStanzas(t *testing.T) {
	k := newKit(t)
	file := string(encrypt(t, nil, false, k.to))
	head := "-> quorate 6000010:14\n"
	for name, forged := range map[string]string{
		"no product":              strings.Replace(file, head, "-> quorate\n", 1),
		"two products":            strings.Replace(file, head, "-> quorate 6000010:14 6000010:14\n", 1),
		"not a product":           strings.Replace(file, head, "-> quorate 6000010\n", 1),
		"another spelling":        strings.Replace(file, head, "-> quorate 06000010:14\n", 1),
		"named another":           strings.Replace(file, head, "-> quorate 6000010:15\n", 1),
		"no body":                 intro + head + "\n" + file[strings.Index(file, "\n---")+1:],
		"no stanza":               intro + file[strings.Index(file, "\n---")+1:],
		"too many stanzas":        intro + strings.Repeat("-> x\n\n", 2000) + file[len(intro):],
		"a stanza without an end": intro + head + strings.Repeat(strings.Repeat("A", 64)+"\n", 40000),
		"a line without an end":   intro + strings.Repeat("A", 4<<20),
	} {
		if forged == file {
			t.Fatalf("%s: nothing is changed", name)
		}
		_, err := k.read([]byte(forged))
		wantCode(t, name, err, license.CodeDataDamaged, license.CodeFormatUnknown)
		if k.asked != 0 {
			t.Errorf("%s: the server is asked", name)
		}
	}
}

// endless gives the same bytes over and over.
type endless struct {
	text []byte
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m := copy(p[n:], e.text[e.read%len(e.text):])
		n, e.read = n+m, e.read+m
	}
	return n, nil
}

// Nothing that never ends is held in memory.
func TestEndlessInput(t *testing.T) {
	k := newKit(t)
	for name, tt := range map[string]struct{ begin, again string }{
		"a line in armor":      {armor.Header + "\n", "A"},
		"white space in armor": {armor.Header + "\n", " "},
		"white space":          {"", "\n"},
		"a header":             {intro, "-> quorate 6000010:14\n\n"},
		"an argument":          {intro + "-> quorate ", "6"},
		"a stanza":             {intro + "-> quorate 6000010:14\n", strings.Repeat("A", 64) + "\n"},
		"an armored header":    {armor.Header + "\n", strings.Repeat("A", 64) + "\n"},
	} {
		src := &endless{text: []byte(tt.again)}
		_, err := Open(io.MultiReader(strings.NewReader(tt.begin), src), k.identity())
		wantCode(t, name, err, license.CodeDataDamaged, license.CodeFormatUnknown)
		if src.read > 4<<20 {
			t.Errorf("%s: %d bytes were read", name, src.read)
		}
	}
}

// 256 MiB go through encryption and decryption at once, plain and armored, in a
// heap of some megabytes.
func TestMemoryIsConstant(t *testing.T) {
	const size, most = 256 << 20, 8 << 20
	for _, armored := range []bool{false, true} {
		k := newKit(t)
		total := size
		if armored { // Base64 in lines is slow, above all under the race detector
			total /= 4
		}
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		pr, pw := io.Pipe()
		go func() {
			w, err := Encrypt(pw, armored, k.to)
			if err == nil {
				_, err = io.CopyN(w, &endless{text: []byte("0123456789abcdef")}, int64(total))
			}
			if err == nil {
				err = w.Close()
			}
			pw.CloseWithError(err)
		}()
		r, err := Open(pr, k.identity())
		if err != nil {
			t.Fatal(err)
		}
		var peak uint64
		read, next := 0, 0
		b := make([]byte, 256<<10)
		for {
			n, err := r.Read(b)
			for i := 0; i < n; i += 4099 {
				if want := "0123456789abcdef"[(read+i)%16]; b[i] != want {
					t.Fatalf("byte %d is %q, want %q", read+i, b[i], want)
				}
			}
			read += n
			if read >= next {
				peak = max(peak, heap())
				next += total / 16
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if read != total {
			t.Errorf("%d bytes came out, want %d", read, total)
		}
		if peak > before+most {
			t.Errorf("armored %v: the heap grew by %d bytes", armored, peak-before)
		}
		t.Logf("armored %v: the heap grew by %d KiB over %d MiB", armored, (int64(peak)-int64(before))>>10, total>>20)
	}
}
