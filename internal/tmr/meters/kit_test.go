package meters_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/tmr/meters"
)

var product = license.Product{Firm: 6000010, Code: 14}

// store is a backend in memory, of any number of meters, that fails where it is
// told to.
type store struct {
	mu       sync.Mutex
	promised uint64
	meters   map[license.Product]map[uint32]license.Meter
	promises int
	writes   int
	fault    func(ctx context.Context, call string) error
}

func (s *store) Promise(ctx context.Context, epoch uint64, p license.Product, issue uint32) (license.Meter, bool, error) {
	if err := s.asked(ctx, "promise"); err != nil {
		return license.Meter{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.promises++
	if epoch < s.promised {
		return license.Meter{}, false, license.Errorf(license.CodeFenced, "x", "promised %d", s.promised)
	}
	s.promised = epoch
	m, ok := s.meters[p][issue]
	return m, ok, nil
}

func (s *store) Write(ctx context.Context, m license.Meter) error {
	if err := s.asked(ctx, "write"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	had, ok := s.meters[m.Product][m.Issue]
	if m.Epoch < s.promised || (ok && (m.Epoch < had.Epoch || (m.Epoch == had.Epoch && m.Units < had.Units))) {
		return license.Errorf(license.CodeFenced, "x", "promised %d", s.promised)
	}
	s.promised = m.Epoch
	if s.meters[m.Product] == nil {
		s.meters[m.Product] = make(map[uint32]license.Meter)
	}
	s.meters[m.Product][m.Issue] = m
	return nil
}

func (s *store) asked(ctx context.Context, call string) error {
	s.mu.Lock()
	f := s.fault
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(ctx, call)
}

func (s *store) fail(f func(ctx context.Context, call string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func (s *store) units(issue uint32) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meters[product][issue].Units
}

func (s *store) counts() (promises, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.promises, s.writes
}

func absent(context.Context, string) error {
	return license.Errorf(license.CodeBackendAbsent, "x", "not there")
}

func silent(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

type kit struct {
	t      *testing.T
	stores [license.Backends]*store
}

func (k *kit) meters() *meters.Meters {
	var all [license.Backends]meters.Backend
	for i, s := range k.stores {
		all[i] = s
	}
	m := meters.New(all)
	k.t.Cleanup(m.Close)
	return m
}

func bubble(t *testing.T, f func(t *testing.T, k *kit)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := &kit{t: t}
		for i := range k.stores {
			k.stores[i] = &store{meters: make(map[license.Product]map[uint32]license.Meter)}
		}
		f(t, k)
	})
}

func coded(t *testing.T, what string, err error, want license.Code) {
	t.Helper()
	if license.CodeOf(err) != want {
		t.Errorf("%s: %v instead of %q", what, err, want)
	}
}
