package links

import (
	"context"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// MostServed bounds of how many licenses one push may tell.
const MostServed = seal.MostLicenses

// ServedLicense is one license that a license server over one container serves.
type ServedLicense struct {
	Product  license.Product
	Name     string
	Quantity uint32
	// FeatureMap is that of the license.
	FeatureMap uint32
	Reason     license.Code // why nobody can have it now; empty: it is in force
}

// pushContainer takes what the license server of a container outside of groups
// tells.
func (p *Service) pushContainer(ctx context.Context, who auth.Principal, push LinkPush) (at LinkPosition, err error) {
	if len(push.Served) > MostServed {
		return at, license.Errorf(license.CodeTooLarge, "push at most 512 licenses", "%d licenses are too many for one container", len(push.Served))
	}
	internal := core.System(ctx, "link")
	if _, err := p.serverSeen(internal, who, push.Leading, push.Process); err != nil {
		return at, err
	}
	if !push.Leading {
		at.EventPosition, err = history.EventPosition(internal, p.core, who.Container)
		return at, err
	}
	if err := p.applyUse(internal, who.Container, push); err != nil {
		return at, err
	}
	if at.EventPosition, err = p.pushEvents(ctx, who.Container, push); err != nil {
		return at, err
	}
	return at, p.history.ApplyActivity(ctx, who.Container, push.Activity)
}

// applyUse stores how many handles live in a container, and what is served of
// it, where either is new.
func (p *Service) applyUse(ctx context.Context, id string, push LinkPush) error {
	clients := max(push.Clients, 0)
	served := served(push.Served)
	same := func(c *ent.Container) bool {
		return push.Served == nil || slices.Equal(c.Served, served)
	}
	c, err := p.core.Store.Client().Container.Get(ctx, id)
	if err != nil {
		return core.NotFound(err, "container", id)
	}
	if c.Clients == clients && same(c) {
		return nil
	}
	return p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		c, err := tx.Container.Query().Where(container.ID(id), store.Locked).Only(ctx)
		if err != nil {
			return err
		}
		change := tx.Container.UpdateOneID(id).SetClients(clients)
		if !same(c) {
			change.SetServed(served)
			q := history.Quantities{At: core.Now(), Of: map[string]int64{}}
			for _, l := range served {
				if l.Reason == "" {
					q.Of[l.Product] += int64(l.Quantity)
				}
			}
			if err := history.NoteQuantities(ctx, history.NewTracks(tx, c.VendorID, c.CustomerID, id), []history.Quantities{q}); err != nil {
				return err
			}
			p.core.Publish(ctx, tx, event.Served, id) // how many are free
		}
		return change.Exec(ctx)
	})
}

func served(all []ServedLicense) []property.ServedLicense {
	out := make([]property.ServedLicense, len(all))
	for i, l := range all {
		out[i] = property.ServedLicense{Product: l.Product.String(), Name: core.ClipText(l.Name), Quantity: int(l.Quantity), FeatureMap: l.FeatureMap}
		if l.Reason != "" {
			out[i].Reason = string(tasks.FailedCode(l.Reason))
		}
	}
	return out
}
