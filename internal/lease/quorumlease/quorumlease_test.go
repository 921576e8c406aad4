package quorumlease_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease/leasetest"
	"github.com/quorate/quorate/internal/lease/quorumlease"
	"github.com/quorate/quorate/internal/license"
)

// shelf has the journals of any group, made when they are first asked for.
type shelf struct {
	mu   sync.Mutex
	make func(group license.Serial, i int) journal.Journal
	all  map[license.Serial][license.Backends]journal.Backend
}

func (s *shelf) of(group license.Serial) ([license.Backends]journal.Backend, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.all[group]
	if !ok {
		for i := range j {
			j[i] = journal.Backend{Name: fmt.Sprintf("130-%d", i+1), Journal: s.make(group, i)}
		}
		s.all[group] = j
	}
	return j, nil
}

func newShelf(f func(group license.Serial, i int) journal.Journal) *shelf {
	return &shelf{make: f, all: map[license.Serial][license.Backends]journal.Backend{}}
}

func open(t *testing.T, s *shelf) leasetest.Harness {
	store := quorumlease.New(quorumlease.Options{Journals: s.of, Journal: journal.Options{NewGroup: true}})
	t.Cleanup(func() { _ = store.Close() })
	return leasetest.Harness{Store: store, Sure: true}
}

func TestContract(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		leasetest.Run(t, leasetest.Driver{Bubble: true, OneLeader: true, Open: func(t *testing.T) leasetest.Harness {
			return open(t, newShelf(func(license.Serial, int) journal.Journal { return journal.NewMemory() }))
		}})
	})
}
