package resolvers

import (
	"time"

	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/platform/links"
)

// hours makes a time of what the schema counts in hours; one out of range stays
// so.
func hours(n int) time.Duration {
	if n < 1 || n > 1_000_000 {
		return -1
	}
	return time.Duration(n) * time.Hour
}

func serverStates(all []graph.ServerState) []links.ServerState {
	out := make([]links.ServerState, len(all))
	for i, s := range all {
		out[i] = links.ServerState(s)
	}
	return out
}
