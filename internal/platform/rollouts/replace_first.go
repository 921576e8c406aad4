package rollouts

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/firmcounter"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// recordFirst records the update that brings a group's container the licenses
// of a firm as a rollout left the others with them: its first. It is signed in a
// later transaction. One that was recorded before goes: it isn't installed, by
// all that is known.
func (p *Service) recordFirst(ctx context.Context, tx *store.Tx, g core.LoadedPlace, position int, f *ent.Firm, of *ent.Rollout) error {
	c := g.Containers[position-1]
	if _, err := tx.Update.Delete().Where(update.ContainerID(c.ID), update.FirmID(f.ID), update.Number(1)).Exec(ctx); err != nil {
		return err
	}
	held, err := containers.HeldAfter(of, position, license.FirmCode(f.Code), nil)
	if err != nil {
		return err
	}
	set, err := catalog.Grants(ctx, p.core, tx, f, held)
	if license.CodeOf(err) == license.CodeConflict {
		return &license.Error{Code: license.CodeConflict, Err: err, Message: err.Error(),
			Fix: "put the former data back into the item until the backend has it, then change it again"}
	}
	if err != nil {
		return err
	}
	content, err := prepareUpdate(g, c, f, 1, rollout.Digest{}, set)
	if err != nil {
		return err
	}
	if err := tx.Update.Create().SetVendorID(g.Vendor()).SetNillableCustomerID(g.Customer()).
		SetRolloutID(of.ID).SetContainerID(c.ID).SetFirmID(f.ID).SetNumber(1).
		SetPrevious(make([]byte, len(rollout.Digest{}))).SetContent(content).SetTmrID(of.TmrID).Exec(ctx); err != nil {
		return err
	}
	known, err := tx.FirmCounter.Query().Where(firmcounter.ContainerID(c.ID), firmcounter.FirmID(f.ID)).Exist(ctx)
	if err != nil || known {
		return err
	}
	return tx.FirmCounter.Create().SetVendorID(g.Vendor()).SetNillableCustomerID(g.Customer()).
		SetContainerID(c.ID).SetFirmID(f.ID).SetCounter(0).SetDigest([]byte{}).Exec(ctx)
}

// prepareUpdate makes the bytes to be signed of a group's update.
func prepareUpdate(g core.LoadedPlace, c *ent.Container, f *ent.Firm, number uint64, previous rollout.Digest, set []seal.Grant) ([]byte, error) {
	group, err := sealedGroup(g)
	if err != nil {
		return nil, err
	}
	serial, err := license.ParseSerial(c.Serial)
	if err != nil {
		return nil, err
	}
	to := seal.PublicIdentity{Sign: c.SignKey, Seal: c.SealKey}
	return seal.PrepareUpdate(f.Cert, to, seal.UpdateHeader{
		Firm: license.FirmCode(f.Code), Serial: serial, Identity: to.Digest(),
		Number: number, Previous: previous, IssuedAt: core.Now(),
	}, seal.Payload{Group: group, Set: set})
}

// signFirsts signs the first updates that are recorded for a group's new
// containers. It says whether it has written anything: call it again, in another
// transaction, until it hasn't.
func (p *Service) signFirsts(ctx context.Context, tx *store.Tx, g core.LoadedPlace) (wrote bool, err error) {
	for i, c := range g.Containers {
		all, err := tx.Update.Query().Where(update.ContainerID(c.ID), update.DigestIsNil(), update.Number(1),
			update.HasRolloutWith(entrollout.StateEQ(property.RolloutDone))).WithFirm().WithRollout().All(ctx)
		if err != nil {
			return false, err
		}
		for _, u := range all {
			wrote = true
			f := u.Edges.Firm
			if !seal.PreparedCert(u.Content, f.Cert) { // its key was rotated since
				if err := p.recordFirst(ctx, tx, g, i+1, f, u.Edges.Rollout); err != nil {
					return false, err
				}
				continue
			}
			if _, err := p.sign(ctx, tx, f, u); err != nil {
				return false, err
			}
		}
	}
	return wrote, nil
}

// firstsSigned does so to the end, for a group.
func (p *Service) firstsSigned(ctx context.Context, at core.Place) error {
	if at.Group == "" {
		return nil
	}
	for wrote := true; wrote; {
		err := p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
			t, err := core.FindPlace(ctx, tx, at)
			if err != nil {
				return err
			}
			ctx := core.System(ctx, "replace")
			if err := core.LockPlace(ctx, tx, t.ID()); err != nil {
				return err
			}
			if t, err = core.PlaceOf(ctx, tx, t.ID()); err != nil {
				return err
			}
			wrote, err = p.signFirsts(ctx, tx, t)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
