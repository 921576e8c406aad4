package roles

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/roles/monitoring"
	"github.com/quorate/quorate/frontend"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/testenv"
	"github.com/quorate/quorate/resolvers"
	"github.com/quorate/quorate/resolvers/documents"
)

func TestLimitFlags(t *testing.T) {
	c, err := limitFlags{PointsPerCaller: 10}.config()
	if err != nil || c.Rates != (resolvers.Rates{Caller: ratelimit.Rate{Burst: 10, Per: time.Minute}, Organization: ratelimit.Rate{Per: time.Minute}}) || c.Rates.Organization.Limits() || c.Registered != nil {
		t.Errorf("%+v %v", c, err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "viewer.graphql"), []byte("{ viewer { name } }"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := (limitFlags{PersistedOnly: []string{folder}}).config(); err != nil || c.Registered == nil {
		t.Errorf("%+v %v", c, err)
	}
	for name, f := range map[string]limitFlags{
		"fewer than none": {PointsPerCaller: -1}, "too many": {PointsPerOrganization: ratelimit.MostBurst + 1},
		"no documents": {PersistedOnly: []string{folder, filepath.Join(folder, "none")}},
	} {
		if _, err := f.config(); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDashboardsDocuments: those that it was built with can be registered beside
// others, and executed.
func TestDashboardsDocuments(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "own.graphql"), []byte("{ viewer { role } }"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := limitFlags{PersistedOnly: []string{"dashboard", folder}}.config()
	if _, built := fs.Stat(frontend.Files(), "documents.json"); built != nil {
		if license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("a dashboard that was not built: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range c.Registered.All {
		n++
	}
	if n < 40 {
		t.Errorf("only %d documents", n)
	}
}

// replicas are two platforms on one database and one Redis, with a token of the
// owner.
type replicas struct {
	urls  [2]string
	token string
	redis *testenv.RedisServer
}

func newReplicas(t *testing.T, limits limitConfig) *replicas {
	t.Helper()
	r := &replicas{redis: testenv.Redis(t)}
	dir := t.TempDir()
	flags := databaseFlags{cli.DatabaseFlags{Database: filepath.Join(dir, "quorate.db"), MasterKey: filepath.Join(dir, "master.key"), Redis: r.redis.URL()}}
	for i := range r.urls {
		p, err := flags.openWith(t.Context(), slog.New(slog.DiscardHandler), platform.Config{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		if i == 0 {
			b, err := p.Bootstrap(t.Context(), accounts.BootstrapSpec{Organization: "Charts", Email: "owner@example.com", Name: "Owner", Password: "correct horse battery"})
			if err != nil {
				t.Fatal(err)
			}
			if r.token, err = p.ownerToken(t.Context(), b, "test"); err != nil {
				t.Fatal(err)
			}
		}
		s, err := p.serve(t.Context(), serveConfig{Listen: "127.0.0.1:0", Introspection: true, Monitoring: monitoring.Unwatched(slog.New(slog.DiscardHandler)), Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		r.urls[i] = s.URL()
	}
	return r
}

// ask sends a body to one of them; by the owner's token where by is true.
func (r *replicas) ask(t *testing.T, replica int, path string, body any, by bool) (*http.Response, string) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.urls[replica]+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	if by {
		q.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res, text.String()
}

// TestReplicasLimitTogether: what one replica let through counts at the other, and
// what one was sent the other knows.
func TestReplicasLimitTogether(t *testing.T) {
	r := newReplicas(t, limitConfig{Rates: resolvers.Rates{Caller: ratelimit.Rate{Burst: 30, Per: time.Hour}}})
	const query = `{ viewer { name } }`
	persisted := func(text string) map[string]any {
		body := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": documents.Digest(query)}}}
		if text != "" {
			body["query"] = text
		}
		return body
	}
	if res, text := r.ask(t, 0, "/graphql", persisted(query), true); res.StatusCode != 200 || !strings.Contains(text, `"name"`) {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	if res, text := r.ask(t, 1, "/graphql", persisted(""), true); res.StatusCode != 200 || !strings.Contains(text, `"name"`) {
		t.Errorf("the other replica: %d %s", res.StatusCode, text)
	}
	last, passed := 30, 0
	for i := range 30 {
		res, text := r.ask(t, i%2, "/graphql", map[string]string{"query": query}, true)
		if res.StatusCode == http.StatusTooManyRequests {
			if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || seconds < 1 || !strings.Contains(text, `"THROTTLED"`) {
				t.Errorf("%v %s", res.Header, text)
			}
			break
		}
		left, err := strconv.Atoi(res.Header.Get("RateLimit-Remaining"))
		if err != nil || left >= last {
			t.Fatalf("%d are left of %d: %v", left, last, err)
		}
		last = left
		passed++
	}
	if passed < 10 || passed > 15 {
		t.Errorf("%d requests of the cost 2 passed", passed)
	}
	// Five are free. What a machine under load takes for a password counts as waiting.
	before, pause, throttled := time.Time{}, time.Duration(0), false
	for i := range 20 {
		asked := time.Now()
		res, _ := r.ask(t, i%2, "/auth/login", map[string]string{"email": "nobody@example.com", "password": "wrong"}, false)
		if throttled = res.StatusCode == http.StatusTooManyRequests; throttled {
			seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
			if wait := time.Duration(seconds) * time.Second; err != nil || wait < time.Second || wait > pause {
				t.Errorf("the %d. wrong password has to wait %q of %v: %v", i+1, res.Header.Get("Retry-After"), pause, err)
			}
			break
		}
		if took := time.Since(before); took < pause {
			t.Errorf("the %d. wrong password has to wait %v, and was looked at after %v at most", i+1, pause, took)
		}
		before = asked
		if i >= 4 {
			pause = min(time.Second<<(i-4), time.Minute)
		}
	}
	if !throttled {
		t.Error("wrong passwords don't have to wait")
	}
}

// TestWithoutRedisReplicasGoOn: each limits for itself.
func TestWithoutRedisReplicasGoOn(t *testing.T) {
	r := newReplicas(t, limitConfig{Rates: resolvers.Rates{Caller: ratelimit.Rate{Burst: 10, Per: time.Hour}}})
	r.redis.Kill()
	for replica := range r.urls {
		passed := 0
		for range 10 {
			if res, _ := r.ask(t, replica, "/graphql", map[string]string{"query": `{ viewer { name } }`}, true); res.StatusCode == 200 {
				passed++
			}
		}
		if passed != 5 {
			t.Errorf("replica %d let %d of 5 through", replica, passed)
		}
	}
}

// TestAuditsOfThePlatform: the audits of GraphQL over HTTP, on a platform as it is
// served.
func TestAuditsOfThePlatform(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", "..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "frontend", "node_modules", "graphql-http")); err != nil {
		t.Fatalf("run `npm ci` in frontend first: %v", err)
	}
	dir, err := exec.CommandContext(t.Context(), filepath.Join(root, ".ci", "node")).Output()
	if err != nil {
		t.Fatal(err)
	}
	limits, err := limitFlags{PointsPerCaller: 500_000, PointsPerOrganization: 2_000_000}.config()
	if err != nil {
		t.Fatal(err)
	}
	r := newReplicas(t, limits)
	cmd := exec.CommandContext(t.Context(), filepath.Join(strings.TrimSpace(string(dir)), "node"),
		filepath.Join(root, "frontend", "conformance", "http.mjs"), r.urls[0]+"/graphql", r.token)
	out, err := cmd.CombinedOutput()
	if n := strings.Count("\n"+string(out), "\nok "); err != nil || n < 55 {
		t.Errorf("%d audits passed, %v:\n%s", n, err, out)
	}
}
