package containers

import (
	"context"
	"fmt"
	"strings"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/firmcounter"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// DecideContainer takes the vendor's decision about a container. ACCEPT adopts
// the state that its last suspicious fingerprint shows, if everything in it is
// what the platform has issued; what is missing since then travels again with
// the next update, and makes a rollout by itself. A TMR group's license in force
// is what the other two hold meanwhile. BLOCK ends it: it gets no updates, and nothing that it says
// counts. Errors: CodeNotFound, CodeForbidden, CodeInvalidInput for BLOCK of a
// TMR group's container, CodeConflict when nothing is to be decided,
// CodeManipulation when the state can't be accepted.
func (p *Service) DecideContainer(ctx context.Context, idOrSerial string, decision property.ContainerDecision, note string) (*ent.Container, error) {
	by, err := auth.Require(ctx, auth.Provision)
	if err != nil {
		return nil, err
	}
	if len(note) > core.MostReason {
		return nil, core.LongReason()
	}
	var c *ent.Container
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if c, err = tx.Container.Query().Where(core.ContainerIs(idOrSerial), store.Locked).
			WithCounters(func(q *ent.FirmCounterQuery) { q.WithFirm() }).Only(ctx); err != nil {
			return core.NotFound(err, "container", idOrSerial)
		}
		if !by.IsSystem() && by.Organization != c.VendorID {
			return license.Errorf(license.CodeForbidden, "ask the vendor to decide", "only the vendor decides about %s", c.Serial)
		}
		caller := ctx
		ctx := core.System(ctx, "decision")
		before := map[string]any{"manipulationSuspected": c.ManipulationSuspected, "reason": c.SuspectReason}
		switch decision {
		case property.DecideBlock:
			err = Block(ctx, p.core, tx, c, note)
		case property.DecideAccept:
			err = p.accept(ctx, tx, c)
		default:
			err = license.Errorf(license.CodeInvalidInput, "take ACCEPT or BLOCK", "%q is no decision", core.Clip(string(decision)))
		}
		if err != nil {
			return err
		}
		if c, err = tx.Container.Get(ctx, c.ID); err != nil {
			return err
		}
		return core.Audit(caller, tx, core.AuditOwner(by, c.VendorID), "container.decide", c.ID, before,
			map[string]any{"decision": string(decision), "note": note})
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Block ends a container. Its rollouts end when a worker looks at them, and
// that is asked for.
func Block(ctx context.Context, p *core.Core, tx *store.Tx, c *ent.Container, reason string) error {
	if c.TmrGroupID != nil {
		return license.Errorf(license.CodeInvalidInput, "replace the backend: that blocks it", "the container %s belongs to a TMR group", c.Serial)
	}
	if c.BlockedAt != nil {
		return nil
	}
	if err := tx.Container.UpdateOneID(c.ID).SetBlockedAt(core.Now()).SetBlockReason(core.ClipNote(reason)).Exec(ctx); err != nil {
		return err
	}
	if err := p.EmitContainer(ctx, tx, c, core.EventContainerBlocked, reason); err != nil {
		return err
	}
	open, err := tx.Rollout.Query().Where(entrollout.ContainerID(c.ID),
		entrollout.StateNotIn(property.RolloutDone, property.RolloutAborted)).IDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range open {
		if err := p.Jobs.EnqueueTx(ctx, tx.SQL(), tasks.AdvanceRollout{Rollout: id}); err != nil {
			return err
		}
	}
	return nil
}

const showedUpAgain = "it was blocked, and showed up again "

// ShowedUp notes that a blocked container was heard of again.
func ShowedUp(ctx context.Context, p *core.Core, tx *store.Tx, c *ent.Container, how string) error {
	reason := showedUpAgain + how
	if err := tx.Container.UpdateOneID(c.ID).SetManipulationSuspected(true).SetSuspectReason(reason).Exec(ctx); err != nil {
		return err
	}
	if err := core.Audit(ctx, tx, c.VendorID, "container.blockedSeen", c.ID, map[string]any{"manipulationSuspected": c.ManipulationSuspected},
		map[string]any{"manipulationSuspected": true, "reason": reason}); err != nil {
		return err
	}
	return p.EmitContainer(ctx, tx, c, core.EventContainerSuspected, reason)
}

// NotBlocked refuses the server of a blocked container, and notes the first
// time that it is heard of.
func NotBlocked(ctx context.Context, p *core.Core, container string) error {
	c, err := p.Store.Client().Container.Get(ctx, container)
	if err != nil {
		return err
	}
	refused := core.BlockedError(c)
	if refused == nil || strings.HasPrefix(c.SuspectReason, showedUpAgain) {
		return refused
	}
	if err := p.Store.WithTx(ctx, func(tx *store.Tx) error { return ShowedUp(ctx, p, tx, c, "over the link") }); err != nil {
		return err
	}
	return refused
}

// accept makes the state of the suspicious fingerprint the recorded one.
func (p *Service) accept(ctx context.Context, tx *store.Tx, c *ent.Container) error {
	switch {
	case c.BlockedAt != nil:
		return core.BlockedError(c)
	case !c.ManipulationSuspected:
		return license.Errorf(license.CodeConflict, "nothing is to be done", "the container %s is not suspected", c.Serial)
	case len(c.SuspectFingerprint) == 0:
		return license.Errorf(license.CodeConflict, "hand in a request file of the container first", "no fingerprint of the container %s is there to be accepted", c.Serial)
	}
	root, err := p.core.RootKey(ctx, tx)
	if err != nil {
		return err
	}
	f, err := seal.OpenFingerprint(c.SuspectFingerprint)
	if err != nil {
		return err
	}
	fix := "replace the container: re-host its licenses to a new one"
	if c.TmrGroupID != nil {
		fix = replaceIt
	}
	unknown := func(reason string) error {
		return license.Errorf(license.CodeManipulation, fix,
			"the state of the container %s can't be accepted: %s", c.Serial, reason)
	}
	bare := *c
	bare.Edges.Counters = nil
	alien := f
	alien.Firms = nil
	if reason := Suspicion(alien, &bare, root); reason != "" {
		return unknown(reason)
	}
	states := map[license.FirmCode]seal.FirmState{}
	for _, s := range f.Firms {
		u, err := IssuedUpdate(ctx, tx, c, s)
		if err != nil {
			return err
		}
		if s.Counter > 0 && u == nil {
			return unknown(fmt.Sprintf("its update %d of firm %d was never issued", s.Counter, s.Firm))
		}
		states[s.Firm] = s
		if s.Counter > 0 && RecordedState(c, s.Firm).Counter == 0 {
			if err := CountInstalled(ctx, tx, c, u, nil); err != nil {
				return err
			}
		}
	}
	for _, n := range c.Edges.Counters {
		s := states[license.FirmCode(n.Edges.Firm.Code)]
		if err := tx.FirmCounter.Update().Where(firmcounter.ID(n.ID)).SetCounter(s.Counter).SetDigest(digestBytes(s)).Exec(ctx); err != nil {
			return err
		}
	}
	if err := Follows(ctx, tx, f, c); err != nil {
		return err
	}
	return tx.Container.Update().Where(container.ID(c.ID)).SetManipulationSuspected(false).SetSuspectReason("").
		ClearSuspectFingerprint().Exec(ctx)
}

func digestBytes(s seal.FirmState) []byte {
	if s.Counter == 0 {
		return []byte{}
	}
	return s.Digest[:]
}
