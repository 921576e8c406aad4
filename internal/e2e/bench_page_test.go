package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
// clients as fast as they can; and the same page of PostGraphile on the same
// PostgreSQL and data, in turns. Quorate checks a token, counts the query's cost
// against its limits and reads behind row-level security; PostGraphile asks
// nobody who he is, as its defaults are, and connects as a superuser. Floor is
// what is left when nothing is done but the page: one prepared statement that
// makes its JSON, written for it, as a superuser too, without GraphQL.
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
	other, least := postgraphile(b, testenv.Superuser(b, r.dsn)), floor(b, testenv.Superuser(b, r.dsn))
	var first, firstOther float64
	for _, n := range []int{10_000, 1_000_000} {
		if n > rows {
			fill(n)
		}
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			var own, beside []time.Duration
			ownRate, besideRate, floorRate := 0.0, 0.0, 0.0
			for range pageRounds {
				took := pages(b, r.urls[0]+"/graphql", r.token, quoratePage)
				ownRate += float64(len(took)) / pageFor.Seconds() / pageRounds
				own = append(own, took...)
				took = pages(b, least, "", "{}")
				floorRate += float64(len(took)) / pageFor.Seconds() / pageRounds
				if other != "" {
					took = pages(b, other+"/graphql", "", postgraphilePage)
					besideRate += float64(len(took)) / pageFor.Seconds() / pageRounds
					beside = append(beside, took...)
				}
			}
			b.ReportMetric(0, "ns/op")
			slices.Sort(own)
			report(b, own, "page")
			b.ReportMetric(ownRate, "pages/s")
			if first == 0 {
				first, firstOther = ownRate, besideRate
			}
			b.ReportMetric(first/ownRate, "growth")
			b.ReportMetric(floorRate, "floor-pages/s")
			if other != "" {
				slices.Sort(beside)
				report(b, beside, "postgraphile")
				b.ReportMetric(besideRate, "postgraphile-pages/s")
				b.ReportMetric(ownRate/besideRate, "of-postgraphile")
				b.ReportMetric(floorRate/besideRate, "floor-of-postgraphile")
				b.ReportMetric(firstOther/besideRate, "postgraphile-growth")
			}
		})
	}
}

// pages has all clients ask for the page until the time is over, and tells how
// long each answer took.
func pages(b *testing.B, url, token, query string) []time.Duration {
	b.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: pageClients}
	defer transport.CloseIdleConnections()
	ask := func() error {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err == nil && (bytes.Contains(answer, []byte(`"errors"`)) || bytes.Count(answer, []byte(`"handle"`)) != 50) {
			err = fmt.Errorf("answered %.500s", answer)
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

// floor serves the page by one statement, in the benchmark's process.
func floor(b *testing.B, dsn string) string {
	b.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxIdleConns(pageClients)
	page, err := db.PrepareContext(b.Context(), `SELECT json_build_object('data', json_build_object('allocations', json_build_object(
		'edges', coalesce(json_agg(json_build_object('node', json_build_object(
			'id', a.id, 'handle', a.handle, 'mode', a.mode, 'licenses', a.licenses, 'client', a.client, 'user', a."user", 'station', a.station,
			'processId', a.process_id, 'application', a.application, 'state', a.state, 'firstAccess', a.first_access, 'lastAccess', a.last_access,
			'product', json_build_object('code', p.code, 'name', p.name, 'items', json_build_object('edges', json_build_array(
				json_build_object('node', json_build_object('id', i.id, 'name', i.name, 'quantity', i.quantity))))),
			'container', json_build_object('id', c.id, 'serial', c.serial)))), '[]'),
		'pageInfo', json_build_object('hasNextPage', count(*) = 50, 'endCursor', min(a.id)))))::text
		FROM (SELECT * FROM allocations ORDER BY id DESC LIMIT 50) a JOIN products p ON p.id = a.product_id JOIN containers c ON c.id = a.container_id
		LEFT JOIN LATERAL (SELECT * FROM items WHERE product_id = p.id ORDER BY id LIMIT 1) i ON true`)
	if err != nil {
		b.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var text string
		if err := page.QueryRowContext(r.Context()).Scan(&text); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}))
	b.Cleanup(s.Close)
	return s.URL
}

// postgraphile starts one, and gives its address; empty where it is not
// installed.
func postgraphile(b *testing.B, dsn string) string {
	b.Helper()
	folder, err := filepath.Abs("../../.tools/postgraphile")
	if err != nil {
		b.Fatal(err)
	}
	program := filepath.Join(folder, "node_modules", ".bin", "postgraphile")
	if _, err := os.Stat(program); err != nil {
		b.Log("PostGraphile is not installed, so nothing stands beside: npm install --prefix .tools/postgraphile postgraphile@5.1.5")
		return ""
	}
	addr := testenv.FreeAddr(b)
	host, port, _ := strings.Cut(addr, ":")
	node, err := exec.Command("../../.ci/node").Output() // the folder of one that is new enough
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(strings.TrimSpace(string(node)), "node"), program, "-P", "postgraphile/presets/amber", "-c", dsn, "-s", "public", "-n", host, "-p", port)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "NODE_ENV=production", "GRAPHILE_ENV=production")
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
		res, err := http.Post("http://"+addr+"/graphql", "application/json", strings.NewReader(`{"query": "{ __typename }"}`))
		if err != nil {
			return fmt.Errorf("%w\n%s", err, log.String())
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s\n%s", res.Status, log.String())
		}
		return nil
	})
	return "http://" + addr
}
