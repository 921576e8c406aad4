package rulesets

import "testing"

func TestChecksAtOnce(t *testing.T) {
	s := New(nil, CheckTime)
	if !s.checks.begin("a") || s.checks.begin("a") {
		t.Error("an organization has one check at a time")
	}
	if !s.checks.begin("b") {
		t.Error("another organization has to wait")
	}
	if s.checks.begin("c") {
		t.Error("too many at once")
	}
	s.checks.end("a")
	if !s.checks.begin("c") || s.checks.begin("a") {
		t.Error("what has ended is not free, or more than that")
	}
}
