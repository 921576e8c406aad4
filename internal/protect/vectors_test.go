package protect

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

var update = flag.Bool("update", false, "write the test vectors anew")

// fileVector and textVector: testdata/vectors/README.md tells what the fields
// mean.
type fileVector struct {
	Name    string       `json:"name"`
	Private string       `json:"private"`
	Product string       `json:"product"`
	File    string       `json:"file"`
	Code    license.Code `json:"code,omitempty"`
	Content string       `json:"content,omitempty"`
}

type textVector struct {
	Name    string   `json:"name"`
	Text    string   `json:"text"`
	Product string   `json:"product,omitempty"`
	Public  string   `json:"public,omitempty"`
	Servers []string `json:"servers,omitempty"`
}

// Files and texts that were made once open and read for ever, and hostile ones
// are refused for ever.
func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	var files []fileVector
	readVectors(t, "files.json", &files)
	for _, v := range files {
		product, err := license.ParseProduct(v.Product)
		if err != nil {
			t.Fatal(err)
		}
		private, file := fromHex(t, v.Private), fromHex(t, v.File)
		var content []byte
		r, err := Open(bytes.NewReader(file), NewIdentity(product, func(p license.Product, wrapped []byte) ([]byte, error) {
			return seal.UnwrapKey(private, p, wrapped)
		}))
		if err == nil {
			content, err = io.ReadAll(r)
		}
		if license.CodeOf(err) != v.Code {
			t.Errorf("%s: %v, want %q", v.Name, err, v.Code)
		}
		if err == nil && hex.EncodeToString(content) != v.Content {
			t.Errorf("%s: %q", v.Name, content)
		}
	}
	var texts []textVector
	readVectors(t, "texts.json", &texts)
	for _, v := range texts {
		if strings.HasPrefix(v.Text, "age1") {
			r, err := ParseRecipient(v.Text)
			if err != nil || r.String() != v.Text || r.Product().String() != v.Product || hex.EncodeToString(r.public) != v.Public {
				t.Errorf("%s: %+v, %v", v.Name, r, err)
			}
			continue
		}
		l, err := ParseIdentity(v.Text)
		product := ""
		if l.Product != (license.Product{}) {
			product = l.Product.String()
		}
		if err != nil || l.String() != v.Text || !slices.Equal(l.Servers, v.Servers) || product != v.Product {
			t.Errorf("%s: %+v, %v", v.Name, l, err)
		}
	}
	if len(files) < 5 || len(texts) < 3 {
		t.Errorf("%d files, %d texts", len(files), len(texts))
	}
}

func writeVectors(t *testing.T) {
	k := newKit(t)
	content := []byte("protected content")
	file := encrypt(t, content, false, k.to)
	armored := encrypt(t, content, true, k.to)
	changed := bytes.Clone(file)
	changed[len(changed)-1] ^= 1
	with := func(old, new string) []byte { return bytes.Replace(file, []byte(old), []byte(new), 1) }
	const head = "-> quorate 6000010:14\n"
	var files []fileVector
	add := func(name string, file []byte, p license.Product, code license.Code) {
		v := fileVector{Name: name, Private: hex.EncodeToString(k.private), Product: p.String(), File: hex.EncodeToString(file), Code: code}
		if code == "" {
			v.Content = hex.EncodeToString(content)
		}
		files = append(files, v)
	}
	add("good", file, k.product, "")
	add("good, armored", armored, k.product, "")
	add("for another product", file, k.other, license.CodeKeyRefused)
	add("changed bit", changed, k.product, license.CodeDataDamaged)
	add("truncated", file[:len(file)-1], k.product, license.CodeDataDamaged)
	add("without its body", file[:bytes.Index(file, []byte("\n---"))+48], k.product, license.CodeDataDamaged)
	add("a byte follows", append(bytes.Clone(file), 0), k.product, license.CodeDataDamaged)
	add("armored, text follows", append(bytes.Clone(armored), "x"...), k.product, license.CodeDataDamaged)
	add("product renamed", with(head, "-> quorate 6000010:15\n"), k.other, license.CodeDataDamaged)
	add("two arguments", with(head, "-> quorate 6000010:14 6000010:14\n"), k.product, license.CodeDataDamaged)
	add("another spelling", with(head, "-> quorate 06000010:14\n"), k.product, license.CodeDataDamaged)
	add("wrapped with another key", encrypt(t, content, false, recipientOf(t, k.product, bytes.Repeat([]byte{0x1f}, 32))), k.product, license.CodeKeyRefused)
	add("unknown version", with("/v1\n", "/v2\n"), k.product, license.CodeFormatUnknown)
	add("nothing", nil, k.product, license.CodeFormatUnknown)

	texts := []textVector{{Name: "recipient", Text: k.to.String(), Product: k.product.String(), Public: hex.EncodeToString(k.to.public)}}
	servers := []string{"http://127.0.0.1:7400", "https://licenses.example.com:7443?pin=sha256:" + strings.Repeat("A", 43)}
	texts = append(texts,
		textVector{Name: "identity", Text: Locator{k.product, servers}.String(), Product: k.product.String(), Servers: servers},
		textVector{Name: "identity without bytes", Text: Locator{}.String()})
	for name, v := range map[string]any{"files.json": files, "texts.json": texts} {
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata", "vectors", name), append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readVectors(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "vectors", name))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
