package resolvers_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/gcfloor"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/resolvers"
)

// BenchmarkAllocationsPage is what a page of 50 allocations with item, product
// and container costs, by processor time: own-µs is this process's, and
// postgres-µs PostgreSQL's. Who asks is looked up by his token each time.
func BenchmarkAllocationsPage(b *testing.B) {
	b.Cleanup(gcfloor.Keep(gcfloor.Usual)) // as the platform has it
	st, err := store.Open(b.Context(), databases.Postgres(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = st.Close() })
	keys, err := core.NewMasterKey(make([]byte, core.MasterKeySize))
	if err != nil {
		b.Fatal(err)
	}
	p, err := platform.New(platform.Config{Store: st, Bus: event.NewLocal(), Keys: keys, Jobs: noJobs{}})
	if err != nil {
		b.Fatal(err)
	}
	token, hash, err := auth.NewToken(auth.APIToken)
	if err != nil {
		b.Fatal(err)
	}
	system := auth.With(b.Context(), auth.System("bench"))
	for _, s := range []string{
		`INSERT INTO organizations (id, created_at, name, vendor, customer) VALUES ('org_1', now(), 'Vendor', true, false)`,
		`INSERT INTO firms (id, created_at, vendor_id, code, name, sealed_key, public_key, cert) VALUES ('frm_1', now(), 'org_1', 6000010, 'Firm', '-', '-', '-')`,
		`INSERT INTO products (id, created_at, vendor_id, firm_id, code, name, sealed_key, public_key)
			SELECT 'prd_' || n, now(), 'org_1', 'frm_1', 100 + n, 'Product ' || n, '-', '-' FROM generate_series(1, 20) n`,
		`INSERT INTO items (id, created_at, vendor_id, product_id, name, quantity, issue, feature_map, tmr)
			SELECT 'itm_' || n, now(), 'org_1', 'prd_' || (1 + n % 20), 'Item ' || n, 20, 0, 0, false FROM generate_series(1, 60) n`,
		`INSERT INTO containers (id, created_at, vendor_id, serial, kind)
			SELECT 'con_' || n, now(), 'org_1', '130-' || (100000 + n), 'UNIVERSAL' FROM generate_series(1, 1000) n`,
		`INSERT INTO allocations (id, created_at, vendor_id, container_id, product_id, handle, mode, licenses, seat, n, client, "user", station,
			process_id, application, state, first_access, last_access)
			SELECT 'alc_' || to_char(n, 'FM0000000000'), now(), 'org_1', 'con_' || (1 + n % 1000), 'prd_' || (1 + n % 20), 'handle-' || n, 'USER_LIMIT', 1, n, 1,
			'10.0.0.9', 'user' || n % 500, 'st-1', 4000, 'charts', 'ACTIVE', now(), now() FROM generate_series(1, 10000) n`,
		`ANALYZE`,
	} {
		if _, err := st.DB().ExecContext(system, s); err != nil {
			b.Fatal(err)
		}
	}
	if err := st.WithTx(system, func(tx *store.Tx) error {
		return tx.ApiToken.Create().SetOrganizationID("org_1").SetName("bench").SetHash(hash).SetRole("VIEWER").Exec(system)
	}); err != nil {
		b.Fatal(err)
	}
	h := resolvers.NewHandler(resolvers.Config{Platform: p})
	const body = `{"query":"{ allocations(first: 50) { edges { node { id handle mode licenses client user station processId application state firstAccess lastAccess product { code name items(first: 1) { edges { node { id name quantity } } } } container { id serial } } } pageInfo { hasNextPage endCursor } } }"}`
	ask := func() {
		by, err := p.Authenticate(b.Context(), token)
		if err != nil {
			b.Fatal(err)
		}
		r := httptest.NewRequestWithContext(auth.With(b.Context(), by), http.MethodPost, "/graphql", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if answer := w.Body.String(); strings.Contains(answer, `"errors"`) || strings.Count(answer, `"handle"`) != 50 {
			b.Fatalf("%.500s", answer)
		}
	}
	ask()
	own, postgres := processorTime(b, os.Getpid()), postgresTime(b, st)
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b, os.Getpid())-own).Microseconds())/float64(b.N), "own-µs/op")
	b.ReportMetric(float64((postgresTime(b, st)-postgres).Microseconds())/float64(b.N), "postgres-µs/op")
}

// processorTime is the time that a process has computed; the clock's ticks are
// 10 ms.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	if pid == os.Getpid() {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// postgresTime is that of the database's own processes that serve st.
func postgresTime(b *testing.B, st *store.Store) (sum time.Duration) {
	b.Helper()
	rows, err := st.DB().QueryContext(b.Context(), `SELECT pid FROM pg_stat_activity WHERE datname = current_database()`)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			b.Fatal(err)
		}
		sum += processorTime(b, pid)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return sum
}
