package links

import (
	"context"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/rulesets"
	"github.com/quorate/quorate/internal/platform/views"
)

// LinkPush is what a server of the link tells by itself. Only the leading
// server has views and events to tell.
type LinkPush struct {
	Leading bool
	views.ViewPush
	Events []history.LeaseEvent
	// EventsAfter is the position that Events follow. A platform that has not
	// come to it, since it was restored from a backup, takes none of them, so that
	// the server begins again where the platform is.
	EventsAfter uint64
	// Served is all that a license server over one container serves; nil: as it
	// told before.
	Served []ServedLicense
	// Activity is how handles are used, MostActivity at most. It counts after the
	// events.
	Activity []history.HandleActivity
	// Rules are which rules the server has; nil: it takes none.
	Rules *rulesets.RulesStatus
	// Process is what the server tells of itself; nil: nothing.
	Process *ProcessStatus
}

// LinkPosition is up to where the platform has what was pushed: the last view
// of the push's epoch, 0 when none, and the last lease event.
type LinkPosition struct {
	ViewVersion   uint64
	EventPosition uint64
	// RulesDigest is of the rules that the server is to have; empty: of none.
	RulesDigest string
}

// Push takes a server's views and lease events, in order; doing it twice has
// the effect of once. A server that does not lead is noted as being there. One
// that leads under an older epoch than the platform has seen is too: nothing
// else that it says counts. Errors: license.CodeUnauthenticated, CodeForbidden,
// CodeInvalidInput, CodeTooLarge. The license server of a single container has
// no views, and no epochs: whoever of several processes over the same seats
// pushes an event, and how often, it counts once.
func (p *Service) Push(ctx context.Context, push LinkPush) (LinkPosition, error) {
	who, err := auth.Require(ctx, auth.Link)
	if err != nil {
		return LinkPosition{}, err
	}
	at, err := p.push(ctx, who, push)
	if err == nil {
		at.RulesDigest, err = rulesets.RuleNews(core.System(ctx, "link"), p.core, who, push.Rules)
	}
	return at, err
}

func (p *Service) push(ctx context.Context, who auth.Principal, push LinkPush) (LinkPosition, error) {
	internal := core.System(ctx, "link")
	if who.Container != "" {
		return p.pushContainer(ctx, who, push)
	}
	g, err := p.core.Store.Client().TmrGroup.Get(internal, who.Group)
	if err != nil {
		return LinkPosition{}, core.NotFound(err, "TMR group", who.Group)
	}
	leads := push.Leading && push.Epoch >= g.ViewEpoch
	if _, err := p.serverSeen(internal, who, leads, push.Process); err != nil {
		return LinkPosition{}, err
	}
	at := LinkPosition{EventPosition: g.EventPosition}
	if !leads {
		return at, nil
	}
	if at.ViewVersion, err = p.views.ApplyView(ctx, who.Group, push.ViewPush); err != nil {
		return LinkPosition{}, err
	}
	if at.EventPosition, err = p.pushEvents(ctx, who.Group, push); err != nil {
		return at, err
	}
	return at, p.history.ApplyActivity(ctx, who.Group, push.Activity)
}

// pushEvents applies the events of a push, unless there is a gap before them.
func (p *Service) pushEvents(ctx context.Context, placeID string, push LinkPush) (uint64, error) {
	if push.EventsAfter > 0 {
		if position, err := history.EventPosition(core.System(ctx, "link"), p.core, placeID); err != nil || position < push.EventsAfter {
			return position, err
		}
	}
	return p.history.ApplyLeaseEvents(ctx, placeID, push.Events)
}
