package redislease_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/testenv"
)

func connect(t testing.TB, addr string, o redislease.Options) *redislease.Store {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 50})
	t.Cleanup(func() { _ = client.Close() })
	s := redislease.New(client, o)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestContract(t *testing.T) {
	leasetest.Run(t, leasetest.Driver{Open: func(t *testing.T) leasetest.Harness {
		server := testenv.Redis(t)
		s := connect(t, server.Addr, redislease.Options{})
		return leasetest.Harness{Store: s, Restart: func(t *testing.T) lease.Store {
			_ = s.Close()
			return connect(t, server.Addr, redislease.Options{})
		}}
	}})
}
