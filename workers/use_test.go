package workers_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/source"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/linkapi"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/testenv"
)

// seatsFor opens a store of seats of each kind: one file is of one process, a
// Redis is shared by two.
func seatsFor(t *testing.T, shared bool) func() lease.Store {
	t.Helper()
	if !shared {
		return func() lease.Store {
			s, err := memlease.Open(filepath.Join(t.TempDir(), "leases.db"), memlease.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		}
	}
	server := testenv.Redis(t)
	return func() lease.Store {
		rdb := redis.NewClient(&redis.Options{Addr: server.Addr})
		s := redislease.New(rdb, redislease.Options{})
		t.Cleanup(func() { s.Close(); rdb.Close() })
		return s
	}
}

// TestSingleShowsItsUse: what programs hold of a plain license server is seen at
// the platform, and taken from them there; two processes over the same seats
// show it once.
func TestSingleShowsItsUse(t *testing.T) {
	for name, processes := range map[string]int{"file": 1, "Redis": 2} {
		t.Run(name, func(t *testing.T) {
			databases(t, func(t *testing.T, dsn string) { showsItsUse(t, dsn, processes) })
		})
	}
}

func showsItsUse(t *testing.T, dsn string, processes int) {
	l := newLab(t, dsn)
	s := l.single(77, &provision.ServerSpec{Name: "office", Address: "office:7400"})
	s.order(5)
	s.roll()
	mux := http.NewServeMux()
	mux.Handle(linkapi.Handler(l.Platform, slog.New(slog.DiscardHandler)))
	srv := httptest.NewServer(rpc.Handler(mux))
	t.Cleanup(srv.Close)

	open := seatsFor(t, processes > 1)
	var store lease.Store
	var agents []*link.Agent
	programs := http.NewServeMux()
	for i := range processes {
		store = open()
		seats := store // of this process
		server, err := licenseserver.New(licenseserver.Config{
			Name: "office", Source: source.NewSingle(s.Container), Store: seats, Arbiter: licenseserver.Always{},
			Shared: processes > 1, Signer: seal.NewSigner([]byte(strings.Repeat("s", 32))),
			Lease: 3 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		testenv.Eventually(t, 20*time.Second, func() error {
			if _, leads := server.Leading(); !leads {
				return fmt.Errorf("process %d does not serve", i+1)
			}
			return nil
		})
		if i == 0 {
			programs.Handle(server.Handler())
		}
		held := link.NewContainer(s.Container)
		a, err := link.New(link.Config{
			Server: "office", URL: srv.URL, Token: s.token, Executor: held, Clock: held, Heartbeat: 50 * time.Millisecond,
			Remove: server.Remove, Ask: server.Ask, Handles: server.Living, Activity: 100 * time.Millisecond, Served: held.Served,
			Events: func(ctx context.Context, after uint64, most int) ([]lease.Event, error) {
				return seats.Events(ctx, s.Serial(), after, most)
			},
			Clients: func() uint32 {
				n, err := server.Handles(t.Context())
				if err != nil {
					return 0
				}
				return uint32(n)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Stop)
		agents = append(agents, a)
	}

	seats, err := store.Join(t.Context(), s.Serial(), "programs")
	if err != nil {
		t.Fatal(err)
	}
	var grants []lease.Grant
	for i := range 6 {
		g, err := seats.Access(t.Context(), lease.Request{
			ID: fmt.Sprintf("01890000-0000-7000-8000-00000000000%d", i), Pool: lease.Pool{Container: s.Serial(), Product: chart}, Mode: license.UserLimit,
			Station: "ws", Client: lease.Client{Address: "ws", User: "ada", Process: 7, Application: "charts"}, Quantity: 5, Lease: time.Hour,
		})
		if (err == nil) != (i < 5) {
			t.Fatalf("program %d: %v", i+1, err)
		}
		grants = append(grants, g)
	}
	shown := func(want history.Usage) {
		t.Helper()
		testenv.Eventually(t, 30*time.Second, func() error {
			u, err := l.ContainerUsage(l.as(l.owner), s.row.ID)
			if err != nil || u != want {
				return fmt.Errorf("shown: %+v, %v, want %+v", u, err, want)
			}
			if c := l.store.Client().Container.GetX(l.as(l.owner), s.row.ID); c.Clients != want.Taken || !containers.ContainerLinked(c) {
				return fmt.Errorf("%d handles live, linked %t", c.Clients, containers.ContainerLinked(c))
			}
			return nil
		})
	}
	shown(history.Usage{Total: 5, Taken: 5, Denials: 1})

	first := l.store.Client().Allocation.Query().Where(allocation.Handle(grants[0].Handle)).OnlyX(l.as(l.owner))
	if _, err := l.ReleaseAllocation(l.as(l.owner), first.ID); err != nil {
		t.Fatal(err)
	}
	shown(history.Usage{Total: 5, Taken: 4, Free: 1, Denials: 1})
	if a := l.store.Client().Allocation.GetX(l.as(l.owner), first.ID); a.State != property.AllocationRemoved || a.EndedBy != "Olga Owner" {
		t.Errorf("%+v", a)
	}
	ref := func(g lease.Grant) lease.Ref {
		return lease.Ref{Pool: g.Pool, Handle: g.Handle, Seat: g.Seat, Epoch: g.Epoch, N: g.N}
	}
	if err := seats.Check(t.Context(), ref(grants[0])); license.CodeOf(err) != license.CodeHandleRemoved {
		t.Errorf("the program is told %v", err)
	}

	for _, a := range agents[1:] {
		a.Stop() // the other one goes on
	}
	if err := seats.Release(t.Context(), ref(grants[1])); err != nil {
		t.Fatal(err)
	}
	shown(history.Usage{Total: 5, Taken: 3, Free: 2, Denials: 1})
	if n, d := l.store.Client().Allocation.Query().CountX(l.as(l.owner)), l.store.Client().Denial.Query().CountX(l.as(l.owner)); n != 5 || d != 1 {
		t.Errorf("%d allocations and %d denials", n, d)
	}

	face := httptest.NewServer(rpc.Handler(programs))
	t.Cleanup(face.Close)
	isAsked(t, l, face.URL)
}

// isAsked has a program show at the platform how it is used, and its user be asked
// there to release it.
func isAsked(t *testing.T, l *lab, server string) {
	sdk, err := client.Open(t.Context(), client.Config{Servers: []string{server}})
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	h, err := sdk.Access(t.Context(), chart.String())
	if err != nil {
		t.Fatal(err)
	}
	h.Touch() // from now on it tells when it is idle
	find := func() *ent.Allocation {
		a, err := l.store.Client().Allocation.Query().Where(allocation.ApplicationNEQ("charts")).Only(l.as(l.owner))
		if err != nil {
			return &ent.Allocation{}
		}
		return a
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		a := find()
		if a.Accesses != 1 || a.LastAccessAt == nil || a.IdleSince == nil || a.ExpiresAt == nil ||
			time.Since(*a.IdleSince) > time.Minute || (time.Until(*a.ExpiresAt)-3*time.Second).Abs() > 10*time.Second {
			return fmt.Errorf("its use: %+v", a)
		}
		return nil
	})
	if _, err := l.AskAllocation(l.as(l.owner), find().ID, "We need it for the review at 3."); err != nil {
		t.Fatal(err)
	}
	select {
	case n := <-h.Notices():
		if n.Text != "We need it for the review at 3." || n.By != "Olga Owner" {
			t.Errorf("the program is told %+v", n)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the program gets no notice")
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		if a := find(); a.NoticeTakenAt == nil || a.NoticeCode != "" {
			return fmt.Errorf("the notice: %+v", a)
		}
		return nil
	})
	if err := h.Release(t.Context()); err != nil {
		t.Error(err)
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		if a := find(); a.State != property.AllocationReleased || a.ExpiresAt != nil {
			return fmt.Errorf("its end: %+v", a)
		}
		return nil
	})
}
