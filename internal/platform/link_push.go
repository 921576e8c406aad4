package platform

import (
	"context"

	"github.com/quorate/quorate/internal/auth"
)

// LinkPush is what a server of the link tells by itself. Only the leading
// server has views and events to tell.
type LinkPush struct {
	Leading bool
	ViewPush
	Events []LeaseEvent
}

// LinkPosition is up to where the platform has what was pushed: the last view
// of the push's epoch, 0 when none, and the last lease event.
type LinkPosition struct {
	ViewVersion   uint64
	EventPosition uint64
}

// Push takes a server's views and lease events, in order; doing it twice has
// the effect of once. A server that does not lead is noted as being there. One
// that leads under an older epoch than the platform has seen is too: nothing
// else that it says counts. Errors: license.CodeUnauthenticated, CodeForbidden,
// CodeInvalidInput, CodeTooLarge. Of the license server of a single container
// only that it is there is taken.
func (p *Platform) Push(ctx context.Context, push LinkPush) (LinkPosition, error) {
	who, err := auth.Require(ctx, auth.Link)
	if err != nil {
		return LinkPosition{}, err
	}
	internal := system(ctx, "link")
	if who.Container != "" { // it has no view, and keeps its lease events
		return LinkPosition{}, p.serverSeen(internal, who, push.Leading)
	}
	g, err := p.store.Client().TmrGroup.Get(internal, who.Group)
	if err != nil {
		return LinkPosition{}, notFound(err, "TMR group", who.Group)
	}
	leads := push.Leading && push.Epoch >= g.ViewEpoch
	if err := p.serverSeen(internal, who, leads); err != nil {
		return LinkPosition{}, err
	}
	at := LinkPosition{EventPosition: g.EventPosition}
	if !leads {
		return at, nil
	}
	if at.ViewVersion, err = p.ApplyView(ctx, who.Group, push.ViewPush); err != nil {
		return LinkPosition{}, err
	}
	at.EventPosition, err = p.ApplyLeaseEvents(ctx, who.Group, push.Events)
	return at, err
}
