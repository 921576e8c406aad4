package core

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
)

// LinkPlace is the id of what a server serves.
func LinkPlace(who auth.Principal) string {
	if who.Group != "" {
		return who.Group
	}
	return who.Container
}

// SeenEvery is how old the time may be at which a server was last heard of,
// before it is written again: not each call is worth a write.
const SeenEvery = 2 * time.Second

// LinkPatience is how long a group or server that was not heard of still
// counts as linked.
const LinkPatience = 5 * time.Second

// RequireServer checks that the caller is a server of the group or container, or the
// system.
func RequireServer(ctx context.Context, placeID string) error {
	by, err := auth.Require(ctx, auth.Link)
	if err != nil {
		return err
	}
	if !by.IsSystem() && LinkPlace(by) != placeID {
		return license.Errorf(license.CodeForbidden, "push for your own group or container", "the server belongs to another group or container")
	}
	return nil
}

// PublishServer tells of a server whose link is not as it was, or that is new,
// after tx is committed: whoever watches its group, and its organizations.
func (p *Core) PublishServer(ctx context.Context, tx *store.Tx, s *ent.TmrServer) {
	if s.TmrGroupID != nil {
		p.Publish(ctx, tx, event.TmrGroup, *s.TmrGroupID)
	}
	p.Publish(ctx, tx, event.Servers, s.VendorID)
	if s.CustomerID != nil && *s.CustomerID != s.VendorID {
		p.Publish(ctx, tx, event.Servers, *s.CustomerID)
	}
}

// Linked says whether the group's leading server was heard of just now.
func Linked(g *ent.TmrGroup) bool { return Heard(g.LinkedAt) }

// Heard says whether that was just now.
func Heard(at *time.Time) bool { return at != nil && time.Since(*at) <= LinkPatience }
