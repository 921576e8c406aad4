package workers_test

import (
	"context"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/workers"
)

type serversFunc func(ctx context.Context) (int, error)

func (f serversFunc) LostServers(ctx context.Context) (int, error) { return f(ctx) }

// Lost servers are looked for as soon as somebody works, and now and then.
func TestLostServersAreLookedFor(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		s, err := store.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		q, err := workers.Open(t.Context(), workers.Config{DB: s.DB(), Dialect: s.Dialect(), Poll: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		looked := make(chan struct{}, 10)
		q.RegisterServers(serversFunc(func(context.Context) (int, error) { looked <- struct{}{}; return 0, nil }))
		if err := q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer q.Stop(context.WithoutCancel(t.Context()))
		select {
		case <-looked:
		case <-time.After(30 * time.Second):
			t.Fatal("nobody looked")
		}
	})
}
