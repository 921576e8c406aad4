package licenseserver

import (
	"context"
	"log/slog"
)

// Arbiter says whether this server is to lead. It authorises nothing: only a
// claimed epoch does, so an arbiter that is wrong costs time and no seats.
type Arbiter interface {
	// Arbitrate calls tell, from one goroutine, with every change of the role
	// (at first the server doesn't lead) until ctx ends, and then gives up
	// whatever it holds elsewhere before it returns.
	Arbitrate(ctx context.Context, tell func(lead bool))
}

// Always leads: for a plain license server, and a TMR server without a partner.
type Always struct{}

// Arbitrate implements Arbiter.
func (Always) Arbitrate(ctx context.Context, tell func(bool)) {
	tell(true)
	<-ctx.Done()
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
