package convert

import (
	"time"

	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/platform/links"
)

// Hours makes a time of what the schema counts in hours; one out of range stays
// so.
func Hours(n int) time.Duration {
	if n < 1 || n > 1_000_000 {
		return -1
	}
	return time.Duration(n) * time.Hour
}

// ServerStates reads those that a filter names.
func ServerStates(all []graph.ServerState) []links.ServerState {
	out := make([]links.ServerState, len(all))
	for i, s := range all {
		out[i] = links.ServerState(s)
	}
	return out
}
