package resolvers_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

type lockedWriter struct {
	mu sync.Mutex
	w  *strings.Builder
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// ask sends one request by POST.
func ask(h http.Handler, body any, header ...string) *httptest.ResponseRecorder {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest("POST", "http://quorate.test/graphql", bytes.NewReader(b))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

type request struct {
	Query     string          `json:"query"`
	Variables json.RawMessage `json:"variables,omitempty"`
}

func rewrite() bool {
	f := flag.Lookup("rewrite")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("rewrite", false, "write what is answered into the cases: read the difference")
	flag.Parse()
	os.Exit(m.Run())
}

// TestCases asks what each file of testdata asks, as the viewer it names, and
// compares the answers, also with those under other names. A file's sections "query", "variables" and "expected"
// may come several times: the requests follow each other in one world. A section
// "world" with "containers" adds containers outside of TMR groups, one with
// "requests" a container 130-77 that waits for five licenses, and its file as
// REQUEST_77; REQUEST_78 and REQUEST_79 are those of containers that nobody
// knows, the second one with the activation id of the TMR groups.
// With "rolled-out" the first container has what was ordered for it by then; with
// "both" the customer is a vendor, too, of the viewer "client". Ids
// that were made meanwhile are written as "<kind>_new", times as "time".
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	watched := newAudited(t)
	var compared atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d answers were compared with those under other names", compared.Load())
		if flag.Lookup("test.run").Value.String() == "" && compared.Load() < 100 {
			t.Error("too few were")
		}
	})
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			viewer, asked := "owner", request{}
			changed := false
			made := map[string]string{} // "rol_new" → the last rollout that was made
			for i, f := range ar.Files {
				switch f.Name {
				case "world":
					for _, name := range strings.Fields(string(f.Data)) {
						switch name {
						case "containers":
							w.seedContainers()
						case "both":
							w.seedBoth()
						case "rolled-out":
							w.rollOut()
						case "requests":
							made["REQUEST_77"] = quoted(w.requestFile())
							made["REQUEST_78"] = quoted(w.box(78, [16]byte{7}))
							made["REQUEST_79"] = quoted(w.box(79, [16]byte{}))
						default:
							t.Fatalf("no world is called %q", name)
						}
					}
				case "viewer":
					viewer = strings.TrimSpace(string(f.Data))
				case "query":
					asked = request{Query: string(f.Data)}
				case "variables":
					asked.Variables = f.Data
				case "expected":
					for name, id := range made {
						asked.Query = strings.ReplaceAll(asked.Query, name, id)
					}
					answer := watched.around(w, asked.Query, func() []byte { return ask(w.serve(viewer), asked).Body.Bytes() })
					compared.Add(int64(byOtherNames(t, asked, answer, func(other request) []byte { return ask(w.serve(viewer), other).Body.Bytes() })))
					if code := newCode.FindString(string(answer)); code != "" {
						made["CODE"] = code
					}
					for _, id := range newID.FindAllString(string(answer), -1) {
						made[id[:4]+"new"] = id
					}
					got := tidy(t, answer)
					if rewrite() {
						changed = changed || got != string(f.Data)
						ar.Files[i].Data = []byte(got)
					} else if want := string(f.Data); got != want {
						t.Errorf("as %s:\n%s\ngot:\n%s\nwant:\n%s\nlog:\n%s", viewer, asked.Query, got, want, w.log)
					}
				default:
					t.Fatalf("no section is called %q", f.Name)
				}
			}
			if changed {
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// quoted is a text as it stands between quotation marks.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b[1 : len(b)-1])
}

// tidy makes an answer comparable: indented, without what differs each time.
func tidy(t *testing.T, answer []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(answer, &v); err != nil {
		t.Fatalf("not JSON: %v: %s", err, answer)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(scrub(v)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var newID = regexp.MustCompile(`[a-z]{3}_[0-9a-f]{8}-[0-9a-f-]{27}`)

// newCode is that of a ticket or an enrollment.
var newCode = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{5}(-[0-9A-HJKMNP-TV-Z]{5}){4}\b`)

// newHint is how a ticket is called where its code isn't told.
var newHint = regexp.MustCompile(`…-[0-9A-HJKMNP-TV-Z]{5}\b`)

func scrub(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = scrub(e)
		}
	case []any:
		for i, e := range v {
			v[i] = scrub(e)
		}
	case string:
		v = newHint.ReplaceAllString(newCode.ReplaceAllString(v, "CODE"), "…-HINT")
		v = newID.ReplaceAllStringFunc(v, func(id string) string { return id[:4] + "new" })
		if len(v) >= 20 && v[4] == '-' && v[10] == 'T' && strings.HasSuffix(v, "Z") {
			return "time"
		}
		return v
	}
	return v
}
