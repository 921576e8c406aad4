package memlease_test

import (
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/leasetest"
	"github.com/quorate/quorate/internal/lease/memlease"
)

func open(t *testing.T, path string) *memlease.Store {
	t.Helper()
	s, err := memlease.Open(path, memlease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestContract(t *testing.T) {
	t.Run("journal", func(t *testing.T) {
		leasetest.Run(t, leasetest.Driver{Bubble: true, Open: func(t *testing.T) leasetest.Harness {
			path := filepath.Join(t.TempDir(), "seats")
			s := open(t, path)
			return leasetest.Harness{Store: s, Restart: func(t *testing.T) lease.Store {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				return open(t, path)
			}}
		}})
	})
	t.Run("memory", func(t *testing.T) {
		leasetest.Run(t, leasetest.Driver{Bubble: true, Open: func(t *testing.T) leasetest.Harness {
			s := open(t, "")
			return leasetest.Harness{Store: s}
		}})
	})
}
