package clienttools

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/arbiter"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/testenv"
)

// protectLab is a license server with one product, and a platform that knows
// the product's public key.
type protectLab struct {
	t                *testing.T
	dir              string
	source           *servertest.Source
	server, platform string
	public           []byte
	asked            atomic.Int32 // the platform, for pages of products
}

func newProtectLab(t *testing.T) *protectLab {
	t.Helper()
	l := &protectLab{t: t, dir: t.TempDir(), source: servertest.NewSource(1)}
	private, public, err := seal.NewProductKey()
	if err != nil {
		t.Fatal(err)
	}
	l.public = public
	l.source.Keep(private)
	store, err := memlease.Open("", memlease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s, err := licenseserver.New(licenseserver.Config{
		Name: "a", Source: l.source, Store: store, Lease: 6 * time.Second, AdminToken: "secret",
		Signer:  seal.NewSigner([]byte(strings.Repeat("s", 32))),
		Arbiter: arbiter.Election{Elector: new(servertest.Elector), Group: servertest.Virtual(), Owner: "a"},
	})
	if err != nil {
		t.Fatal(err)
	}
	path, handler := s.Handler()
	mux := http.NewServeMux()
	mux.Handle(path, handler)
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	if err := s.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	l.server = web.URL

	products := httptest.NewServer(http.HandlerFunc(l.products))
	t.Cleanup(products.Close)
	l.platform = products.URL
	t.Setenv("QUORATE_SERVER", l.server)
	t.Setenv("QUORATE_URL", l.platform)
	t.Setenv("QUORATE_TOKEN", "token")
	l.write("model.bin", "content")
	testenv.Eventually(t, 10*time.Second, func() error {
		_, err := l.handles()
		return err
	})
	return l
}

// products answers with two pages of one product each.
func (l *protectLab) products(w http.ResponseWriter, r *http.Request) {
	l.asked.Add(1)
	var in struct{ Variables struct{ After string } }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	node, more := map[string]any{"reference": "6000010:13", "publicKey": "AAAA"}, true
	if in.Variables.After == "next" {
		node, more = map[string]any{"reference": "6000010:14", "publicKey": base64.StdEncoding.EncodeToString(l.public)}, false
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"products": map[string]any{
		"pageInfo": map[string]any{"hasNextPage": more, "endCursor": "next"}, "edges": []any{map[string]any{"node": node}},
	}}})
}

func (l *protectLab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *protectLab) write(name, content string) string {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return l.path(name)
}

func (l *protectLab) read(name string) string {
	l.t.Helper()
	b, err := os.ReadFile(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b)
}

// quorate runs a command. In its arguments @name is a file of the lab.
func (l *protectLab) quorate(in string, args ...string) (out, errs string, status int) {
	l.t.Helper()
	return l.quorateOn(l.t.Context(), strings.NewReader(in), args...)
}

func (l *protectLab) quorateOn(ctx context.Context, in io.Reader, args ...string) (out, errs string, status int) {
	l.t.Helper()
	args = append([]string(nil), args...)
	for i, a := range args {
		if name, ok := strings.CutPrefix(a, "@"); ok {
			args[i] = l.path(name)
		}
	}
	var o, e bytes.Buffer
	status = run(ctx, args, cli.Streams{In: in, Out: &o, Err: &e})
	return o.String(), e.String(), status
}

func (l *protectLab) must(in string, args ...string) string {
	l.t.Helper()
	out, errs, status := l.quorate(in, args...)
	if status != 0 || errs != "" {
		l.t.Fatalf("quorate %s: status %d\n%s", strings.Join(args, " "), status, errs)
	}
	return out
}

// refused wants a command to fail with a code.
func (l *protectLab) refused(code, in string, args ...string) string {
	l.t.Helper()
	out, errs, status := l.quorate(in, args...)
	says := "[" + code + "]\n"
	if slices.Contains(args, "--json") {
		says = "}\n"
	}
	if status != cli.ExitFailure || !strings.HasSuffix(errs, says) || !strings.Contains(errs, code) || strings.Count(errs, "\n") != 1 {
		l.t.Errorf("quorate %s: status %d, want %s\n%s", strings.Join(args, " "), status, code, errs)
	}
	if out != "" && !strings.Contains(strings.Join(args, " "), "decrypt") {
		l.t.Errorf("quorate %s: it is refused and writes %q", strings.Join(args, " "), out)
	}
	return errs
}

func (l *protectLab) handles() ([]client.Allocation, error) {
	l.t.Helper()
	c, err := client.Open(l.t.Context(), client.Config{Servers: []string{l.server}, AdminToken: "secret"})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Handles(l.t.Context())
}

// left wants the folder to hold these files only.
func (l *protectLab) left(names ...string) {
	l.t.Helper()
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	if fmt.Sprint(found) != fmt.Sprint(names) {
		l.t.Errorf("the folder holds %v, want %v", found, names)
	}
}

func TestProtectRoundTrips(t *testing.T) {
	l := newProtectLab(t)
	out := l.must("", "protect", "encrypt", "--product", "6000010:14", "-o", "@model.age", "--json", "@model.bin")
	if want := fmt.Sprintf(`{"file":%q,"product":"6000010:14","bytes":7}`+"\n", l.path("model.age")); out != want {
		t.Errorf("%s, want %s", out, want)
	}
	if out := l.must("", "protect", "decrypt", "-o", "@model.out", "@model.age"); out != "" || l.read("model.out") != "content" {
		t.Errorf("%q, %q", out, l.read("model.out"))
	}
	if info, err := os.Stat(l.path("model.out")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(l.path("model.age")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	l.left("model.age", "model.bin", "model.out")
	// Through pipes, as text, the key from a file.
	l.write("key", "# of Chart Processing\n\n"+base64.StdEncoding.EncodeToString(l.public)+"\n")
	l.write("recipient", l.must("", "protect", "recipient", "--product", "6000010:14"))
	before := l.asked.Load()
	for _, key := range [][]string{
		{"--key", "@key", "--product", "6000010:14"},
		{"--key", "@recipient", "--product", "6000010:14"},
		{"--key", "@recipient"},
	} {
		file := l.must("piped", append([]string{"protect", "encrypt", "--armor", "-"}, key...)...)
		if !strings.HasPrefix(file, "-----BEGIN AGE ENCRYPTED FILE-----\n") {
			t.Errorf("%v: %.40q", key, file)
		}
		if got := l.must(file, "protect", "decrypt", "--product", "6000010:14", "-"); got != "piped" {
			t.Errorf("%v: %q", key, got)
		}
	}
	if n := l.asked.Load(); n != before {
		t.Errorf("the platform was asked %d times though the key is in a file", n-before)
	}
	if h, err := l.handles(); err != nil || len(h) != 0 {
		t.Errorf("handles %v, %v", h, err)
	}
}

func TestProtectTexts(t *testing.T) {
	l := newProtectLab(t)
	text := l.must("", "protect", "recipient", "--product", "6000010:14")
	if !strings.HasPrefix(text, "# files protected for 6000010:14\nage1quorate1") || strings.Count(text, "\n") != 2 {
		t.Errorf("%.80q", text)
	}
	var shown struct{ Product, Recipient string }
	if err := json.Unmarshal([]byte(l.must("", "protect", "recipient", "--product", "6000010:14", "--json")), &shown); err != nil ||
		shown.Product != "6000010:14" || !strings.HasSuffix(text, "\n"+shown.Recipient+"\n") {
		t.Errorf("%+v, %v", shown, err)
	}
	text = l.must("", "protect", "identity", "--server", "http://a:1", "--server", "http://b:1", "--product", "6000010:14")
	if !strings.HasPrefix(text, "# files protected for 6000010:14, opened by asking http://a:1 http://b:1\nAGE-PLUGIN-QUORATE-1") {
		t.Errorf("%q", text)
	}
}

func TestProtectRefuses(t *testing.T) {
	l := newProtectLab(t)
	l.must("", "protect", "encrypt", "--product", "6000010:14", "-o", "@model.age", "@model.bin")
	other := l.must("", "protect", "recipient", "--product", "6000010:14")
	good := l.read("model.age")
	l.write("changed.age", good[:len(good)-1]+"x")
	l.write("cut.age", good[:len(good)-5])
	l.write("text.age", "lorem ipsum")
	l.write("recipient", other)
	l.write("two", other+other)
	l.write("key", base64.StdEncoding.EncodeToString(l.public))
	l.write("junk", "not a key")
	l.write("junk64", "AAAA")
	l.write("empty", "# nothing\n")
	const product = "6000010:14"
	for name, tt := range map[string]struct {
		code string
		args string
	}{
		"no product":            {"INVALID_INPUT", "encrypt @model.bin"},
		"a product misspelt":    {"INVALID_INPUT", "encrypt --product 6000010 @model.bin"},
		"a product not there":   {"NOT_FOUND", "encrypt --product 6000010:99 @model.bin"},
		"a key without product": {"INVALID_INPUT", "encrypt --key @key @model.bin"},
		"a key of another":      {"INVALID_INPUT", "encrypt --key @recipient --product 6000010:15 @model.bin"},
		"no such key":           {"NOT_FOUND", "encrypt --key @none --product " + product + " @model.bin"},
		"two keys":              {"INVALID_INPUT", "encrypt --key @two @model.bin"},
		"no key":                {"INVALID_INPUT", "encrypt --key @empty @model.bin"},
		"junk for a key":        {"INVALID_INPUT", "encrypt --key @junk --product " + product + " @model.bin"},
		"a key too short":       {"INVALID_INPUT", "encrypt --key @junk64 --product " + product + " @model.bin"},
		"a broken platform key": {"INVALID_INPUT", "recipient --product 6000010:13"},
		"no such input":         {"NOT_FOUND", "encrypt --key @recipient @none"},
		"a folder for input":    {"INVALID_INPUT", "encrypt --key @recipient @."},
		"an output there":       {"CONFLICT", "encrypt --key @recipient -o @key @model.bin"},
		"an output's folder":    {"NOT_FOUND", "encrypt --key @recipient -o @none/x @model.bin"},
		"a folder for output":   {"INVALID_INPUT", "encrypt --key @recipient --force -o @. @model.bin"},
		"a device for output":   {"INVALID_INPUT", "encrypt --key @recipient --force -o /dev/null @model.bin"},
		"json and standard out": {"INVALID_INPUT", "encrypt --key @recipient --json @model.bin"},

		"a changed file":         {"DATA_DAMAGED", "decrypt -o @out @changed.age"},
		"a file cut off":         {"DATA_DAMAGED", "decrypt -o @out @cut.age"},
		"no protected file":      {"FORMAT_UNKNOWN", "decrypt -o @out @text.age"},
		"for another product":    {"KEY_REFUSED", "decrypt --product 6000010:15 -o @out @model.age"},
		"decrypt over a file":    {"CONFLICT", "decrypt -o @key @model.age"},
		"no such protected file": {"NOT_FOUND", "decrypt @none"},
		"a server misspelt":      {"INVALID_INPUT", "decrypt --server licenses:7400 @model.age"},
		"no server there":        {"UNAVAILABLE", "decrypt --server http://127.0.0.1:1 --wait 50ms -o @out @model.age"},

		"an identity's product": {"INVALID_INPUT", "identity --product 14"},
		"an identity's server":  {"INVALID_INPUT", "identity --server licenses --product " + product},
	} {
		t.Run(name, func(t *testing.T) {
			l.t = t
			l.refused(tt.code, "", append([]string{"protect"}, strings.Fields(tt.args)...)...)
		})
	}
	l.t = t
	l.source.Refuse(license.Errorf(license.CodeNoLicense, "order one", "there is no license for it"))
	l.refused("NO_LICENSE", "", "protect", "decrypt", "-o", "@out", "@model.age")
	l.source.Refuse(nil)
	for _, args := range []string{"protect encrypt", "protect decrypt", "protect", "protect identity --product 6000010:14 extra"} {
		if _, errs, status := l.quorate("", strings.Fields(args)...); status != cli.ExitUsage || errs == "" {
			t.Errorf("quorate %s: status %d\n%s", args, status, errs)
		}
	}
	// Nothing that was refused left a file behind.
	l.left("changed.age", "cut.age", "empty", "junk", "junk64", "key", "model.age", "model.bin", "recipient", "text.age", "two")
	if l.read("key") != base64.StdEncoding.EncodeToString(l.public) {
		t.Error("a file was overwritten")
	}
}

func TestProtectReplacesWhenAsked(t *testing.T) {
	l := newProtectLab(t)
	l.write("model.age", "old")
	l.must("", "protect", "encrypt", "--product", "6000010:14", "--force", "-o", "@model.age", "@model.bin")
	// The file itself, and what a link points to.
	if err := os.Symlink("model.bin", l.path("link")); err != nil {
		t.Fatal(err)
	}
	l.refused("CONFLICT", "", "protect", "decrypt", "-o", "@link", "@model.age")
	l.write("model.bin", "old")
	l.must("", "protect", "decrypt", "--force", "-o", "@link", "@model.age")
	if info, err := os.Lstat(l.path("link")); err != nil || info.Mode()&os.ModeSymlink == 0 || l.read("model.bin") != "content" {
		t.Errorf("%v, %v, %q", info.Mode(), err, l.read("model.bin"))
	}
	// A failure leaves the old file.
	l.write("bad.age", l.read("model.age")[:300])
	l.refused("DATA_DAMAGED", "", "protect", "decrypt", "--force", "-o", "@model.bin", "@bad.age")
	if l.read("model.bin") != "content" {
		t.Errorf("%q", l.read("model.bin"))
	}
	// In place.
	l.must("", "protect", "decrypt", "--force", "-o", "@model.age", "@model.age")
	if l.read("model.age") != "content" {
		t.Errorf("%q", l.read("model.age"))
	}
	l.left("bad.age", "link", "model.age", "model.bin")
}

// A license is taken while the file is read; without it reading ends, and no
// file is there.
func TestProtectHoldsALicense(t *testing.T) {
	l := newProtectLab(t)
	l.write("large.bin", strings.Repeat("0123456789abcdef", 64<<10))
	l.must("", "protect", "encrypt", "--product", "6000010:14", "-o", "@large.age", "@large.bin")
	file := l.read("large.age")
	for name, lose := range map[string]bool{"held": false, "removed": true} {
		in, w := io.Pipe()
		type result struct {
			errs   string
			status int
		}
		ended := make(chan result, 1)
		go func() {
			_, errs, status := l.quorateOn(t.Context(), in, "protect", "decrypt", "-o", l.path(name), "-")
			in.Close()
			ended <- result{errs, status}
		}()
		if _, err := io.WriteString(w, file[:200_000]); err != nil {
			t.Fatal(err)
		}
		h, err := l.handles()
		if err != nil || len(h) != 1 || h[0].Application != "quorate protect" {
			t.Fatalf("while it reads: handles %+v, %v", h, err)
		}
		l.refused("NO_FREE_SEAT", "", "protect", "decrypt", "-o", "@second", "@large.age")
		if lose {
			admin, err := client.Open(t.Context(), client.Config{Servers: []string{l.server}, AdminToken: "secret"})
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close()
			if err := admin.Remove(t.Context(), h[0].Product, h[0].ID, "ada"); err != nil {
				t.Fatal(err)
			}
		}
		// Slowly, the end is noticed at a renewal, long before the file is read.
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for rest := file[200_000:]; rest != ""; {
			n := len(rest)
			if lose {
				<-pace.C
				n = min(n, 1000)
			}
			if _, err := io.WriteString(w, rest[:n]); err != nil {
				break
			}
			rest = rest[n:]
		}
		w.Close()
		r := <-ended
		if lose {
			if r.status != cli.ExitFailure || !strings.Contains(r.errs, "[HANDLE_REMOVED]") {
				t.Errorf("%s: status %d\n%s", name, r.status, r.errs)
			}
			continue
		}
		if r.status != 0 || l.read("held") != l.read("large.bin") {
			t.Errorf("%s: status %d\n%s", name, r.status, r.errs)
		}
		if h, err := l.handles(); err != nil || len(h) != 0 {
			t.Errorf("afterwards: handles %+v, %v", h, err)
		}
	}
	l.left("held", "large.age", "large.bin", "model.bin")
}

// An interrupt ends a command that waits for its input, and leaves nothing.
func TestProtectInterrupted(t *testing.T) {
	l := newProtectLab(t)
	l.write("recipient", l.must("", "protect", "recipient", "--product", "6000010:14"))
	for _, args := range [][]string{
		{"protect", "encrypt", "--key", "@recipient", "-o", "@out", "-"},
		{"protect", "decrypt", "-o", "@out", "-"},
	} {
		in, w := io.Pipe()
		ctx, interrupt := context.WithCancel(t.Context())
		go func() {
			_, _ = w.Write([]byte("a"))
			interrupt()
		}()
		_, errs, status := l.quorateOn(ctx, in, args...)
		if status != cli.ExitInterrupted || !strings.Contains(errs, "interrupted") {
			t.Errorf("%v: status %d\n%s", args, status, errs)
		}
		w.Close()
	}
	l.left("model.bin", "recipient")
}
