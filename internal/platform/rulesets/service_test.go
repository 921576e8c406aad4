package rulesets

import (
	"testing"

	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/ratelimit"
)

func TestChecksAtOnce(t *testing.T) {
	limits := ratelimit.NewMemory()
	one, other := New(&core.Core{Limits: limits}, CheckTime), New(&core.Core{Limits: limits}, CheckTime)
	begin := func(s *Service, organization string) func() {
		end, ok, err := s.beginCheck(t.Context(), organization)
		if err != nil || ok != (end != nil) {
			t.Fatal(ok, err)
		}
		return end
	}
	a := begin(one, "a")
	if a == nil || begin(one, "a") != nil {
		t.Error("an organization has one check at a time")
	}
	if begin(other, "a") != nil {
		t.Error("an organization has one check at each replica")
	}
	b := begin(one, "b")
	if b == nil {
		t.Fatal("another organization has to wait")
	}
	if begin(one, "c") != nil {
		t.Error("too many at once")
	}
	if c := begin(other, "c"); c == nil {
		t.Error("another replica is full, too")
	} else {
		c()
	}
	a()
	if c := begin(one, "c"); c == nil || begin(one, "a") != nil {
		t.Error("what has ended is not free, or more than that")
	}
}
