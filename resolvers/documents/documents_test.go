package documents

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

func connect(t *testing.T, server *testenv.RedisServer) redis.UniversalClient {
	o, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled = true
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// sized is a document of a size.
func sized(n int) string { return "{a}" + strings.Repeat(" ", n-3) }

// TestCache is what every cache does.
func TestCache(t *testing.T) {
	server := testenv.Redis(t)
	for name, c := range map[string]Cache{
		"local":  NewLocal(),
		"shared": NewShared(connect(t, server), slog.New(slog.DiscardHandler)),
	} {
		t.Run(name, func(t *testing.T) {
			small, large := sized(MostKept), sized(MostKept+1)
			for _, d := range []string{small, large} {
				if _, ok := c.Get(t.Context(), Digest(d)); ok {
					t.Error("a document nobody sent is kept")
				}
				c.Add(t.Context(), Digest(d), d)
			}
			if got, ok := c.Get(t.Context(), Digest(small)); !ok || got != small {
				t.Error("a document that was sent is not kept")
			}
			if _, ok := c.Get(t.Context(), Digest(large)); ok {
				t.Error("a document that is too large is kept")
			}
		})
	}
}

func TestLocalIsBounded(t *testing.T) {
	l := NewLocal()
	for i := range mostKept + 1 {
		l.Add(t.Context(), fmt.Sprint(i), "{a}")
		l.Get(t.Context(), "0")
	}
	if _, ok := l.Get(t.Context(), "0"); !ok {
		t.Error("one in use was forgotten")
	}
	if _, ok := l.Get(t.Context(), "1"); ok {
		t.Error("the longest unused one is kept")
	}
}

// TestReplicasShareDocuments: what one was sent, all know, within a bound.
func TestReplicasShareDocuments(t *testing.T) {
	server := testenv.Redis(t)
	client, log := connect(t, server), slog.New(slog.DiscardHandler)
	one := NewShared(client, log)
	one.most = 3
	add := func(d string) { one.Add(t.Context(), Digest(d), d) }
	known := func(d string) bool {
		text, ok := NewShared(client, log).Get(t.Context(), Digest(d))
		if ok && text != d {
			t.Errorf("%q became %q", d, text)
		}
		return ok
	}
	for _, d := range []string{"{a}", "{b}", "{c}"} {
		add(d)
	}
	if !known("{a}") {
		t.Fatal("another replica doesn't know it")
	}
	add("{d}")
	for d, want := range map[string]bool{"{a}": true, "{b}": false, "{c}": true, "{d}": true} {
		if known(d) != want {
			t.Errorf("%s is kept: %v", d, !want)
		}
	}
	if n := client.HLen(t.Context(), keyDocuments).Val(); n != 3 {
		t.Errorf("%d texts of 3 documents", n)
	}
	// Another's text under a digest isn't executed.
	if err := client.HSet(t.Context(), keyDocuments, Digest("{x}"), "mutation {y}").Err(); err != nil {
		t.Fatal(err)
	}
	if known("{x}") {
		t.Error("a document is taken for another")
	}
	server.Pause()
	start := time.Now()
	if _, ok := one.Get(t.Context(), Digest("{a}")); !ok {
		t.Error("without Redis what this process knows is forgotten")
	}
	if _, ok := one.Get(t.Context(), Digest("{nothing}")); ok || time.Since(start) > 5*time.Second {
		t.Errorf("without Redis an unknown one takes %s", time.Since(start))
	}
	server.Resume()
}

func manifest(t testing.TB, documents ...string) []byte {
	all := map[string]string{}
	for _, d := range documents {
		all[Digest(d)] = d
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRegistered(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("manifest.json", manifest(t, "{a}", "{b}"))
	write("documents/a.graphql", []byte("{a}"))
	write("documents/below/b.graphql", []byte("{b}"))
	write("documents/README.md", []byte("{c}"))
	for _, path := range []string{file, filepath.Join(folder, "documents")} {
		r, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for digest, text := range r.All {
			n++
			if got, ok := r.Get(digest); !ok || got != text || Digest(text) != digest {
				t.Errorf("%s: %q under %s", path, got, digest)
			}
		}
		if _, ok := r.Get(Digest("{c}")); ok || n != 2 {
			t.Errorf("%s: %d documents", path, n)
		}
	}
	a, err := Parse(manifest(t, "{a}", "{b}"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(manifest(t, "{b}", "{c}"))
	if err != nil {
		t.Fatal(err)
	}
	both, err := Union(a, b)
	if _, ok := both.Get(Digest("{c}")); err != nil || !ok || len(both.byDigest) != 3 {
		t.Errorf("of two: %d documents, %v", len(both.byDigest), err)
	}
	if _, err := Union(); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("of none: %v", err)
	}
	many := make([]string, mostRegistered+1)
	for i := range many {
		many[i] = fmt.Sprintf("{a%d}", i)
	}
	if _, err := Parse(manifest(t, many[1:]...)); err != nil {
		t.Errorf("as many as may be: %v", err)
	}
	for name, text := range map[string][]byte{
		"one too many":      manifest(t, many...),
		"none":              []byte("{}"),
		"null":              []byte("null"),
		"a list":            []byte("[]"),
		"no JSON":           []byte("{a}"),
		"another's digest":  []byte(`{"` + Digest("{a}") + `": "{b}"}`),
		"an upper-case one": []byte(`{"` + strings.ToUpper(Digest("{a}")) + `": "{a}"}`),
		"too large":         []byte(strings.Repeat(" ", mostRegisteredSize) + "{}"),
	} {
		if _, err := Parse(text); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{filepath.Join(folder, "none"), write("empty/x.txt", nil), filepath.Join(folder, "empty")} {
		if _, err := Load(path); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(manifest(f, "{a}", "query B { b }"))
	f.Add([]byte(`{"a": 1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err != nil {
			if license.CodeOf(err) != license.CodeInvalidInput {
				t.Errorf("%v", err)
			}
			return
		}
		for digest, document := range r.All {
			if Digest(document) != digest {
				t.Errorf("%q under %s", document, digest)
			}
		}
	})
}
