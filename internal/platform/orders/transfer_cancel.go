package orders

import (
	"context"
	"strings"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

const cancelled = "cancelled by "

// CancelTransfer takes a transfer back that no rollout has yet: the licenses
// stay where they are. Who may ask for one of its kind may cancel it, and
// cancelling again changes nothing. Errors: CodeNotFound, CodeForbidden,
// CodeConflict for one that a rollout has, or that has ended.
func (p *Service) CancelTransfer(ctx context.Context, id string) (*ent.Transfer, error) {
	by, err := auth.Require(ctx, auth.Order)
	if err != nil {
		return nil, err
	}
	var row *ent.Transfer
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		found, err := tx.Transfer.Get(ctx, id)
		if err != nil {
			return core.NotFound(err, "transfer", id)
		}
		if found.Kind == property.TransferRevoke && !by.IsSystem() && by.Organization != found.VendorID {
			return license.Errorf(license.CodeForbidden, "ask the vendor", "only the vendor takes a revocation back")
		}
		caller := ctx
		ctx := core.System(ctx, "transfer")
		// A rollout that begins takes it under this lock.
		if err := core.LockPlace(ctx, tx, core.PlaceID(found.TmrGroupID, found.ContainerID)); err != nil {
			return err
		}
		if row, err = tx.Transfer.Query().Where(transfer.ID(id), store.Locked).Only(ctx); err != nil {
			return err
		}
		switch {
		case row.State == property.TransferRefused && strings.HasPrefix(row.Note, cancelled):
			return nil
		case row.State == property.TransferIssued:
			return license.Errorf(license.CodeConflict, "abort the rollout first, as long as nothing was activated",
				"a rollout takes the licenses already")
		case row.State != property.TransferRequested:
			return license.Errorf(license.CodeConflict, "order licenses instead", "the transfer is %s", row.State)
		}
		before := transferFacts(row, false)
		if row, err = tx.Transfer.UpdateOne(row).SetState(property.TransferRefused).
			SetNote(core.ClipNote(cancelled + core.DisplayName(by))).Save(ctx); err != nil {
			return err
		}
		return core.Audit(caller, tx, core.AuditOwner(by, row.VendorID), "transfer.cancel", row.ID, before, transferFacts(row, false))
	})
	if err != nil {
		return nil, err
	}
	return row, nil
}
