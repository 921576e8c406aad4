// Package granttest are the sentences of the contract of internal/lease about who
// is granted what: modes, several licenses, limits and queues, and what
// administrators see and do. leasetest runs them with all others.
package granttest

import (
	"maps"
	"testing"

	"github.com/quorate/quorate/internal/lease/leasetest/kit"
)

// Sentences gives the tests by what they say.
func Sentences() map[string]func(*testing.T, kit.Harness) {
	all := modes()
	for _, more := range []map[string]func(*testing.T, kit.Harness){limits(), queues(), monitoring()} {
		maps.Copy(all, more)
	}
	return all
}
