package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/testenv"
)

const (
	pageClients = 16
	pageFor     = 4 * time.Second
	pageRounds  = 3
)

const quoratePage = `{ allocations(first: 50) { edges { node {
	id handle mode licenses client user station processId application state firstAccess lastAccess
	product { code name items(first: 1) { edges { node { id name quantity } } } }
	container { id serial } } } pageInfo { hasNextPage endCursor } } }`

const postgraphilePage = `{ allAllocations(first: 50, orderBy: PRIMARY_KEY_DESC) { nodes {
	rowId handle mode licenses client user station processId application state firstAccess lastAccess
	productByProductId { code name itemsByProductId(first: 1) { nodes { rowId name quantity } } }
	containerByContainerId { rowId serial } } pageInfo { hasNextPage endCursor } } }`

// BenchmarkPage measures a page of 50 allocations with item, product and
// container, among 10⁴ and among 10⁶ rows of 1,000 containers, asked for by 16
// clients as fast as they can; beside others on the same PostgreSQL and data,
// in turns:
//
//   - postgraphile: as its defaults are. It asks nobody who he is, and connects as
//     a superuser.
//   - guarded: PostGraphile behind the same row-level security, for a caller that
//     a signed token tells of. Quorate does that too, looks its token up, so that
//     it can be taken back, and counts the query's cost against limits.
//   - bare: one prepared statement that joins the page's rows, written for it, as a
//     superuser, without GraphQL, and in the benchmark's own process.
//   - least: the same behind row-level security, for a caller whose token and
//     organization are looked up, which is the least that must be done.
func BenchmarkPage(b *testing.B) {
	r := newReplicas(b, 1, "--points-per-caller", "0", "--points-per-organization", "0")
	run := func(sql string, args ...any) {
		b.Helper()
		if _, err := r.store.DB().ExecContext(r.ctx, sql, args...); err != nil {
			b.Fatal(err)
		}
	}
	run(`INSERT INTO products (id, created_at, vendor_id, firm_id, code, name, sealed_key, public_key)
		SELECT 'prd_' || n, now(), $1, (SELECT id FROM firms LIMIT 1), 100 + n, 'Product ' || n, '-', '-' FROM generate_series(1, 20) n`, r.vendor)
	run(`INSERT INTO items (id, created_at, vendor_id, product_id, name, quantity, issue, feature_map, tmr)
		SELECT 'itm_' || n, now(), $1, 'prd_' || (1 + n % 20), 'Item ' || n, 20, 0, 0, false FROM generate_series(1, 60) n`, r.vendor)
	run(`INSERT INTO containers (id, created_at, vendor_id, serial, kind)
		SELECT 'con_' || n, now(), $1, '130-' || (100000 + n), 'UNIVERSAL' FROM generate_series(1, 1000) n`, r.vendor)
	rows := 0
	fill := func(n int) {
		run(`INSERT INTO allocations (id, created_at, vendor_id, container_id, product_id, handle, mode, licenses, seat, n, client, "user", station,
			process_id, application, state, first_access, last_access)
			SELECT 'alc_' || to_char(n, 'FM0000000000'), now(), $1, 'con_' || (1 + n % 1000), 'prd_' || (1 + n % 20), 'handle-' || n, 'USER_LIMIT', 1, n, 1,
			'10.0.0.9', 'user' || n % 500, 'st-1', 4000, 'charts', 'ACTIVE', now(), now() FROM generate_series($2::int, $3::int) n`, r.vendor, rows+1, n)
		rows = n
		run("ANALYZE")
	}
	fill(10_000)
	superuser := testenv.Superuser(b, r.dsn)
	sides := []pageSide{{name: "quorate", url: r.urls[0] + "/graphql", token: r.token, query: quoratePage}}
	if program := findPostgraphile(b); program != "" {
		secret := rand.Text()
		sides = append(sides,
			pageSide{name: "postgraphile", url: postgraphile(b, program, superuser, "", ""), query: postgraphilePage},
			pageSide{name: "guarded", url: postgraphile(b, program, r.dsn, secret, signed(b, secret, r.vendor)), token: signed(b, secret, r.vendor), query: postgraphilePage})
	}
	sides = append(sides, pageSide{name: "bare", url: floor(b, superuser, "")}, pageSide{name: "least", url: floor(b, r.dsn, r.vendor), token: r.token})
	first := make(map[string]float64)
	for _, n := range []int{10_000, 1_000_000} {
		if n > rows {
			fill(n)
		}
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			took := make(map[string][]time.Duration)
			for range pageRounds {
				for _, s := range sides {
					took[s.name] = append(took[s.name], s.pages(b)...)
				}
			}
			b.ReportMetric(0, "ns/op")
			rate := func(name string) float64 { return float64(len(took[name])) / pageFor.Seconds() / pageRounds }
			for _, s := range sides {
				slices.Sort(took[s.name])
				report(b, took[s.name], s.name)
				b.ReportMetric(rate(s.name), s.name+"-pages/s")
				if first[s.name] == 0 {
					first[s.name] = rate(s.name)
				}
				b.ReportMetric(first[s.name]/rate(s.name), s.name+"-growth")
				if len(took["postgraphile"]) > 0 {
					b.ReportMetric(rate(s.name)/rate("postgraphile"), s.name+"-of-postgraphile")
				}
			}
		})
	}
}

type pageSide struct{ name, url, token, query string }

// pages has all clients ask for the page until the time is over, and tells how
// long each answer took.
func (s pageSide) pages(b *testing.B) []time.Duration {
	b.Helper()
	body, err := json.Marshal(map[string]string{"query": s.query})
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: pageClients}
	defer transport.CloseIdleConnections()
	ask := func() error {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		if s.token != "" {
			req.Header.Set("Authorization", "Bearer "+s.token)
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err == nil && (bytes.Contains(answer, []byte(`"errors"`)) || bytes.Count(answer, []byte(`"handle"`)) != 50) {
			err = fmt.Errorf("%s answered %.500s", s.name, answer)
		}
		return err
	}
	if err := ask(); err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	var took []time.Duration
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	end := time.Now().Add(pageFor)
	for range pageClients {
		all.Go(func() {
			var mine []time.Duration
			for time.Now().Before(end) && failed.Load() == nil {
				began := time.Now()
				if err := ask(); err != nil {
					failed.Store(&err)
					return
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
	return took
}

// floor serves a page by one statement; if there is an organization, to its
// tokens.
func floor(b *testing.B, dsn, organization string) string {
	b.Helper()
	open := func(organization string) *sql.DB {
		u, err := url.Parse(dsn)
		if err != nil {
			b.Fatal(err)
		}
		options := u.Query()
		options.Set("options", fmt.Sprintf("-c quorate.organization=%s -c quorate.provider=", organization))
		u.RawQuery = options.Encode()
		db, err := sql.Open("postgres", u.String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
		db.SetMaxIdleConns(pageClients)
		return db
	}
	prepare := func(db *sql.DB, text string) *sql.Stmt {
		s, err := db.PrepareContext(b.Context(), text)
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	page := prepare(open(organization), pageRows)
	lookUp := prepare(open("*"), `SELECT o.id FROM api_tokens t JOIN organizations o ON o.id = t.organization_id
		WHERE t.hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())`)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if organization != "" {
			hash, _ := auth.TokenHash(auth.APIToken, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
			var asks string
			if err := lookUp.QueryRowContext(r.Context(), hash).Scan(&asks); err != nil || asks != organization {
				http.Error(w, "unknown token", http.StatusUnauthorized)
				return
			}
		}
		text, err := pageOf(r.Context(), page)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	}))
	b.Cleanup(s.Close)
	return s.URL
}

const pageRows = `SELECT a.id, a.handle, a.mode, a.licenses, a.client, a."user", a.station, a.process_id, a.application, a.state,
	a.first_access, a.last_access, p.code, p.name, i.id, i.name, i.quantity, c.id, c.serial
	FROM (SELECT * FROM allocations ORDER BY id DESC LIMIT 50) a JOIN products p ON p.id = a.product_id JOIN containers c ON c.id = a.container_id
	LEFT JOIN LATERAL (SELECT * FROM items WHERE product_id = p.id ORDER BY id LIMIT 1) i ON true`

type pageRow struct {
	ID          string    `json:"id"`
	Handle      string    `json:"handle"`
	Mode        string    `json:"mode"`
	Licenses    int64     `json:"licenses"`
	Client      string    `json:"client"`
	User        string    `json:"user"`
	Station     string    `json:"station"`
	ProcessID   int64     `json:"processId"`
	Application string    `json:"application"`
	State       string    `json:"state"`
	FirstAccess time.Time `json:"firstAccess"`
	LastAccess  time.Time `json:"lastAccess"`
	Product     struct {
		Code  int64  `json:"code"`
		Name  string `json:"name"`
		Items [1]struct {
			ID       string `json:"id"`
			Name     string `json:"name"`
			Quantity int64  `json:"quantity"`
		} `json:"items"`
	} `json:"product"`
	Container struct {
		ID     string `json:"id"`
		Serial string `json:"serial"`
	} `json:"container"`
}

func pageOf(ctx context.Context, page *sql.Stmt) ([]byte, error) {
	rows, err := page.QueryContext(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := make([]pageRow, 0, 50)
	for rows.Next() {
		all = append(all, pageRow{})
		a := &all[len(all)-1]
		i := &a.Product.Items[0]
		if err := rows.Scan(&a.ID, &a.Handle, &a.Mode, &a.Licenses, &a.Client, &a.User, &a.Station, &a.ProcessID, &a.Application, &a.State,
			&a.FirstAccess, &a.LastAccess, &a.Product.Code, &a.Product.Name, &i.ID, &i.Name, &i.Quantity, &a.Container.ID, &a.Container.Serial); err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("no rows")
	}
	return json.Marshal(map[string]any{"data": map[string]any{"allocations": all, "pageInfo": map[string]any{"hasNextPage": len(all) == 50, "endCursor": all[len(all)-1].ID}}})
}

// guardedPostgraphile has the caller's signed token tell the policies of
// row-level security who asks, as PostGraphile's documentation shows.
const guardedPostgraphile = `import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import jwt from "jsonwebtoken";
export default {
  extends: [PostGraphileAmberPreset],
  grafast: {
    context(ctx) {
      const [, token] = (ctx.node?.req.headers.authorization ?? "").split(" ");
      const claims = jwt.verify(token, process.env.TOKEN_SECRET, { algorithms: ["HS256"] });
      return { pgSettings: { "quorate.organization": claims.organization, "quorate.provider": "" } };
    },
  },
};
`

// signed gives the token of a caller of PostGraphile.
func signed(b *testing.B, secret, organization string) string {
	b.Helper()
	claims, err := json.Marshal(map[string]string{"organization": organization})
	if err != nil {
		b.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// findPostgraphile gives its program; empty where it is not installed.
func findPostgraphile(b *testing.B) string {
	b.Helper()
	program, err := filepath.Abs("../../.tools/postgraphile/node_modules/.bin/postgraphile")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		b.Log("PostGraphile is not installed, so nothing stands beside: npm install --prefix .tools/postgraphile postgraphile@5.1.5")
		return ""
	}
	return program
}

// postgraphile starts one, and gives its address for queries. With a secret it
// serves who has a token that is signed by it.
func postgraphile(b *testing.B, program, dsn, secret, token string) string {
	b.Helper()
	addr := testenv.FreeAddr(b)
	host, port, _ := strings.Cut(addr, ":")
	node, err := exec.Command("../../.ci/node").Output() // the folder of one that is new enough
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(strings.TrimSpace(string(node)), "node"), program, "-P", "postgraphile/presets/amber", "-c", dsn, "-s", "public", "-n", host, "-p", port)
	cmd.Dir = filepath.Dir(filepath.Dir(filepath.Dir(program)))
	cmd.Env = append(os.Environ(), "NODE_ENV=production", "GRAPHILE_ENV=production", "TOKEN_SECRET="+secret)
	if secret != "" {
		config := filepath.Join(cmd.Dir, "guarded.config.mjs")
		if err := os.WriteFile(config, []byte(guardedPostgraphile), 0o600); err != nil {
			b.Fatal(err)
		}
		cmd.Args = append(cmd.Args, "-C", config)
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if b.Failed() {
			b.Logf("--- PostGraphile\n%.4000s", log.String())
		}
	})
	testenv.Eventually(b, 60*time.Second, func() error {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://"+addr+"/graphql", strings.NewReader(`{"query": "{ __typename }"}`))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, log.String())
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s\n%s", res.Status, log.String())
		}
		return nil
	})
	return "http://" + addr + "/graphql"
}
