package resolvers_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
)

// TestWorkedExamples runs the examples of the guide against a real server, and
// compares what it answers with what the guide says.
func TestWorkedExamples(t *testing.T) {
	text := guide(t)
	begin, end := strings.Index(text, "## Worked examples"), strings.Index(text, "<!-- What follows")
	if begin < 0 || end < begin {
		t.Fatal("the guide has no worked examples")
	}
	w := newWorld(t)
	web := httptest.NewServer(w.serve("owner"))
	t.Cleanup(web.Close)
	examples := regexp.MustCompile("(?s)### (\\d+)\\. [^\n]*\n\n(?:[^`#\n][^\n]*\n\n)?```graphql\n(.*?)```\n\n```json\n(.*?)```\n").FindAllStringSubmatchIndex(text[begin:end], -1)
	if len(examples) < 10 {
		t.Errorf("only %d examples", len(examples))
	}
	updateFile := regexp.MustCompile(`(-----BEGIN QUORATE UPDATE-----)[^"]*`) // another one each time, but for its beginning
	out, last := "", begin
	for _, m := range examples {
		part := func(i int) string { return text[begin+m[2*i] : begin+m[2*i+1]] }
		variables := map[string]string{}
		if strings.Contains(part(2), "$request") {
			variables["request"] = w.requestFile()
		}
		got := updateFile.ReplaceAllString(tidy(t, answerTo(t, web.URL, part(2), variables)), "$1…")
		if want := part(3); got != want && !rewrite() {
			t.Errorf("example %s:\n%s\ngot:\n%s\nwant:\n%s", part(1), part(2), got, want)
		}
		out += text[last:begin+m[6]] + got
		last = begin + m[7]
	}
	if rewrite() {
		if err := os.WriteFile("../docs/api.md", []byte(text[:begin]+out+text[last:]), 0o644); err != nil { //nolint:gosec // G306: of the repository
			t.Fatal(err)
		}
	}
}

// requestFile is that of a container 130-77 which waits for five licenses.
func (w *world) requestFile() string {
	w.t.Helper()
	w.importKey(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	ctx, text := w.as(w.t.Context(), "owner"), w.box(77, [16]byte{7})
	if _, err := w.platform.RegisterContainer(ctx, provision.RegisterSpec{Request: text, Customer: "Port"}); err != nil {
		w.t.Fatal(err)
	}
	p, err := w.platform.CreateProduct(ctx, "6000077", catalog.ProductSpec{Code: 7, Name: "Pilotage"})
	if err != nil {
		w.t.Fatal(err)
	}
	it, err := w.platform.CreateItem(ctx, p.ID, catalog.ItemSpec{Name: "Pilotage", Options: license.Options{Quantity: 5}})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.platform.Order(ctx, orders.OrderRequest{Item: it.ID, Container: "130-77", Quantity: 5}); err != nil {
		w.t.Fatal(err)
	}
	return text
}

// box gives the request file of a new container of the platform's.
func (w *world) box(number uint64, activation [16]byte) string {
	w.t.Helper()
	root, err := w.platform.RootKey(w.system())
	if err != nil {
		w.t.Fatal(err)
	}
	box, err := container.Create(filepath.Join(w.t.TempDir(), "box"), container.Params{
		Serial: license.Serial{Mask: 130, Number: number}, Root: root, ActivationID: activation,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { box.Close() })
	f, err := box.Fingerprint(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := armor.Encode(armor.File{Kind: armor.Request, Messages: [][]byte{f}})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// answerTo asks as a client does; of a subscription it takes the first event.
func answerTo(t *testing.T, url, query string, variables map[string]string) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "application/graphql-response+json")
	events := strings.HasPrefix(query, "subscription")
	if events {
		q.Header.Set("Accept", "text/event-stream")
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if !events {
		all, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for lines := bufio.NewScanner(a.Body); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && strings.HasPrefix(data, "{") {
			return []byte(data)
		}
	}
	t.Fatal("no event came")
	return nil
}
