package rollouts

import (
	"context"
	"fmt"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// ReplaceSpec tells of a backend that is lost or broken.
type ReplaceSpec struct {
	// Backend is its container, by global id or serial number.
	Backend string
	// Request is the text of the new container's request file, or of the group's
	// with it.
	Request string
	Reason  string
	// ByFiles: the group gets its updates by files, so no rollout is started.
	ByFiles bool
	// Key: the same one gives the same answer; empty is no key.
	Key string `json:"-"`
}

// BackendReplaced is what came of it.
type BackendReplaced struct {
	Group    *ent.TmrGroup
	Old, New *ent.Container
	// Rollout brings the licenses to the new container; nil where there are none,
	// or one by files is still to be started.
	Rollout *ent.Rollout
}

// ReplaceBackend puts a new container into a TMR group, in the place of a lost
// one, which is blocked at once. A rollout brings it all licenses of the group,
// of every firm, before anything else; one that is under way goes on with it, and
// a held one goes on again. The other two learn the new member with their next
// update. Repeating it changes nothing. Errors: CodeNotFound, CodeForbidden,
// CodeInvalidInput for a container that is in no group and for an activation id
// that isn't the group's, CodeConflict for one that was replaced by another, a
// serial number that is taken, a container of another platform and a key of
// another request, CodeManipulation for a container that isn't new, CodeUnavailable while the
// group's rollouts take turns, and those of armor.Parse.
func (p *Service) ReplaceBackend(ctx context.Context, spec ReplaceSpec) (BackendReplaced, error) {
	by, err := auth.Require(ctx, auth.Provision)
	if err != nil {
		return BackendReplaced{}, err
	}
	if len(spec.Reason) > core.MostReason {
		return BackendReplaced{}, core.LongReason()
	}
	file, parts, err := core.ParseFile(armor.Request, spec.Request)
	if err != nil {
		return BackendReplaced{}, err
	}
	var out BackendReplaced
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		out = BackendReplaced{}
		w := &replacing{p: p, tx: tx, spec: spec, by: by, file: file, parts: parts}
		ids, again, err := core.Once(ctx, tx, by.Organization, "replaceBackend", spec.Key, spec, func() (ids []string, err error) {
			if out, err = w.run(ctx); err != nil {
				return nil, err
			}
			ids = []string{out.Group.ID, out.Old.ID, out.New.ID}
			if out.Rollout != nil {
				ids = append(ids, out.Rollout.ID)
			}
			return ids, nil
		})
		if err != nil || !again {
			return err
		}
		out, err = replacedBefore(ctx, tx, ids)
		return err
	})
	if ent.IsConstraintError(err) {
		err = &license.Error{Code: license.CodeConflict, Err: err,
			Message: "the serial number is taken by another organization, or was taken this moment",
			Fix:     "create the container with another one, or try again"}
	}
	if err != nil {
		return BackendReplaced{}, err
	}
	return out, nil
}

// replacedBefore is what came of a replacement before: the group, the old
// container, the new one, and the rollout if there was one.
func replacedBefore(ctx context.Context, tx *store.Tx, ids []string) (out BackendReplaced, err error) {
	if out.Group, err = tx.TmrGroup.Get(ctx, ids[0]); err != nil {
		return out, core.NotFound(err, "group", ids[0])
	}
	if out.Old, err = tx.Container.Get(ctx, ids[1]); err != nil {
		return out, core.NotFound(err, "container", ids[1])
	}
	if out.New, err = tx.Container.Get(ctx, ids[2]); err != nil {
		return out, core.NotFound(err, "container", ids[2])
	}
	if len(ids) > 3 {
		out.Rollout, err = tx.Rollout.Get(ctx, ids[3])
		err = core.NotFound(err, "rollout", ids[3])
	}
	return out, err
}

// replacing is one replacement in one transaction.
type replacing struct {
	p     *Service
	tx    *store.Tx
	spec  ReplaceSpec
	by    auth.Principal
	file  armor.File
	parts []armor.Part

	old      *ent.Container
	position int
	running  *ent.Rollout // of the group; nil: none
}

func (w *replacing) run(ctx context.Context) (out BackendReplaced, err error) {
	if w.old, err = w.tx.Container.Query().Where(core.ContainerIs(w.spec.Backend)).Only(ctx); err != nil {
		return out, core.NotFound(err, "container", w.spec.Backend)
	}
	if !w.by.IsSystem() && w.by.Organization != w.old.VendorID {
		return out, license.Errorf(license.CodeForbidden, "ask the vendor to replace it", "only the vendor replaces the backend %s", w.old.Serial)
	}
	caller := ctx
	ctx = core.System(ctx, "replace")
	if w.old.ReplacedByID != nil {
		return w.again(ctx)
	}
	if w.old.TmrGroupID == nil || w.old.Position == nil {
		return out, license.Errorf(license.CodeInvalidInput, "name a backend's container; a container outside of groups is re-hosted",
			"the container %s is no backend of a TMR group", w.old.Serial)
	}
	w.position = *w.old.Position
	if err := w.lock(ctx); err != nil {
		return out, err
	}
	g, err := core.PlaceOf(ctx, w.tx, *w.old.TmrGroupID)
	if err != nil {
		return out, err
	}
	if w.old = g.Containers[w.position-1]; w.old.ReplacedByID != nil || w.old.Serial != w.spec.Backend && w.old.ID != w.spec.Backend {
		return out, turns()
	}
	f, err := w.fingerprint(ctx, g)
	if err != nil {
		return out, err
	}
	firsts, err := w.firsts(ctx)
	if err != nil {
		return out, err
	}
	if out.New, err = w.swap(ctx, g, f); err != nil {
		return out, err
	}
	if g, err = core.PlaceOf(ctx, w.tx, g.Group.ID); err != nil {
		return out, err
	}
	for _, u := range firsts {
		if err := w.p.recordFirst(ctx, w.tx, g, w.position, u.Edges.Firm, u.Edges.Rollout); err != nil {
			return out, err
		}
	}
	if err := w.renameMembers(ctx, g); err != nil {
		return out, err
	}
	if g, err = core.PlaceOf(ctx, w.tx, g.Group.ID); err != nil { // with its counters
		return out, err
	}
	if out.Rollout, err = w.goOn(ctx, g); err != nil {
		return out, err
	}
	if out.Old, err = w.tx.Container.Get(ctx, w.old.ID); err != nil {
		return out, err
	}
	out.Group = g.Group
	w.p.core.Publish(ctx, w.tx, event.TmrGroup, g.Group.ID)
	return out, core.Audit(caller, w.tx, core.AuditOwner(w.by, w.old.VendorID), "backend.replace", w.old.ID,
		map[string]any{"serial": w.old.Serial, "group": g.Group.VirtualSerial, "position": w.position},
		map[string]any{"serial": out.New.Serial, "replacement": out.New.ID, "reason": w.spec.Reason})
}

func turns() error {
	return license.Errorf(license.CodeUnavailable, "try again", "a rollout of the group has begun or ended this moment, or the backend was replaced")
}

// lock takes the running rollout's lock, then the group's, which keeps it the
// running one.
func (w *replacing) lock(ctx context.Context) error {
	group := *w.old.TmrGroupID
	running := func() (*ent.Rollout, error) {
		row, err := w.tx.Rollout.Query().Where(core.RolloutsAt(group), entrollout.Running(true)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil, nil
		}
		return row, err
	}
	row, err := running()
	if err != nil {
		return err
	}
	if row != nil {
		if _, err := w.tx.Rollout.Query().Where(entrollout.ID(row.ID), store.Locked).OnlyID(ctx); err != nil {
			return err
		}
	}
	if err := core.LockPlace(ctx, w.tx, group); err != nil {
		return err
	}
	if w.running, err = running(); err != nil {
		return err
	}
	if (row == nil) != (w.running == nil) || row != nil && row.ID != w.running.ID {
		return turns()
	}
	return nil
}

// again is a repetition.
func (w *replacing) again(ctx context.Context) (out BackendReplaced, err error) {
	out.Old = w.old
	if out.New, err = w.tx.Container.Get(ctx, *w.old.ReplacedByID); err != nil {
		return out, err
	}
	same := slices.ContainsFunc(w.parts, func(q armor.Part) bool { return containers.KeysMatch(*q.Request, out.New) })
	if out.New.TmrGroupID == nil || !same {
		return out, license.Errorf(license.CodeConflict, "replace the backend that is in the group now",
			"the container %s was replaced by %s already", w.old.Serial, out.New.Serial)
	}
	if out.Group, err = w.tx.TmrGroup.Get(ctx, *out.New.TmrGroupID); err != nil {
		return out, err
	}
	out.Rollout, err = w.tx.Rollout.Query().Where(core.RolloutsAt(out.Group.ID),
		entrollout.StateNotIn(property.RolloutDone, property.RolloutAborted)).Order(ent.Asc(entrollout.FieldNumber)).First(ctx)
	if ent.IsNotFound(err) {
		err = nil
	}
	return out, err
}

// fingerprint finds and checks the new container's.
func (w *replacing) fingerprint(ctx context.Context, g core.LoadedPlace) (f seal.Fingerprint, err error) {
	if !w.file.Group.IsZero() && w.file.Group.String() != g.Serial() {
		return f, license.Errorf(license.CodeUpdateForeign, "give the new container's request, or this group's", "the file is of the group %s, not of %s", w.file.Group, g.Serial())
	}
	var fresh []seal.Fingerprint
	for _, q := range w.parts {
		if !slices.ContainsFunc(g.Containers, func(c *ent.Container) bool { return c.Serial == q.Serial.String() }) {
			fresh = append(fresh, *q.Request)
		}
	}
	if len(fresh) != 1 {
		return f, license.Errorf(license.CodeInvalidInput, "give the request file of the one container that comes into the group",
			"the file has %d containers that are not in the group yet", len(fresh))
	}
	f = fresh[0]
	root, err := w.p.core.RootKey(ctx, w.tx)
	if err != nil {
		return f, err
	}
	taken, err := w.tx.Container.Query().Where(container.Serial(f.Serial.String())).Exist(ctx)
	switch {
	case err != nil:
		return f, err
	case !root.Equal(f.Root):
		return f, license.Errorf(license.CodeConflict, "create the container under this platform's root key",
			"the container %s was created under another platform", f.Serial)
	case f.Serial.Kind() == license.KindVirtual:
		return f, license.Errorf(license.CodeInvalidInput, "give the fingerprint of a backend's container", "%s is a virtual container", f.Serial)
	case string(f.ActivationID[:]) != string(g.Group.ActivationID):
		return f, license.Errorf(license.CodeInvalidInput, fmt.Sprintf("create it with --activation-id %x", g.Group.ActivationID),
			"the container %s has another activation id than the group", f.Serial)
	case taken:
		return f, license.Errorf(license.CodeConflict, "create a new container with another serial number",
			"there is a container %s already", f.Serial)
	}
	return f, onlyNew(f)
}

// onlyNew refuses a container that holds anything.
func onlyNew(f seal.Fingerprint) error {
	if len(f.Licenses) > 0 || slices.ContainsFunc(f.Firms, func(s seal.FirmState) bool { return s.Counter > 0 }) {
		return license.Errorf(license.CodeManipulation, "take a fresh container, or restore the platform's database",
			"the container %s holds updates that this platform has no record of", f.Serial)
	}
	return nil
}

// firsts are the old container's newest updates, one of each firm: what they
// left it with is what the new one gets. That of a running rollout comes with
// the rollout.
func (w *replacing) firsts(ctx context.Context) ([]*ent.Update, error) {
	recorded := func() *ent.UpdateQuery {
		query := w.tx.Update.Query().Where(update.ContainerID(w.old.ID))
		if w.running != nil {
			query.Where(update.RolloutIDNEQ(w.running.ID))
		}
		return query
	}
	firms, err := recorded().GroupBy(update.FieldFirmID).Strings(ctx)
	if err != nil {
		return nil, err
	}
	newest := make([]*ent.Update, len(firms))
	for i, firm := range firms { // one row each: there may be many, and they are long
		if newest[i], err = recorded().Where(update.FirmID(firm)).Order(ent.Desc(update.FieldNumber)).
			WithFirm().WithRollout().First(ctx); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(newest, func(a, b *ent.Update) int { return a.Edges.Firm.Code - b.Edges.Firm.Code })
	return newest, nil
}

// swap puts the new container where the old one was.
func (w *replacing) swap(ctx context.Context, g core.LoadedPlace, f seal.Fingerprint) (*ent.Container, error) {
	reason := core.ClipNote("replaced by " + f.Serial.String() + ": " + w.spec.Reason)
	if err := w.tx.Container.UpdateOneID(w.old.ID).ClearTmrGroupID().ClearPosition().SetBlockedAt(core.Now()).SetBlockReason(reason).
		SetManipulationSuspected(false).SetSuspectReason("").ClearSuspectFingerprint().Exec(ctx); err != nil {
		return nil, err
	}
	made, err := w.tx.Container.Create().SetVendorID(g.Vendor()).SetNillableCustomerID(g.Customer()).
		SetSerial(f.Serial.String()).SetKind(core.KindOf(f.Serial)).SetTmrGroupID(g.Group.ID).SetPosition(w.position).
		SetActivationID(f.ActivationID[:]).SetSignKey(f.Identity.Sign).SetSealKey(f.Identity.Seal).Save(ctx)
	if err != nil {
		return nil, err
	}
	if err := containers.Follows(ctx, w.tx, f, made); err != nil {
		return nil, err
	}
	if err := w.tx.Container.UpdateOneID(w.old.ID).SetReplacedByID(made.ID).Exec(ctx); err != nil {
		return nil, err
	}
	if err := w.p.core.EmitContainer(ctx, w.tx, w.old, core.EventContainerBlocked, reason); err != nil {
		return nil, err
	}
	return made, w.p.core.EmitContainer(ctx, w.tx, made, core.EventContainerRegistered, "")
}

// goOn gives the rollout that brings the new container its licenses.
func (w *replacing) goOn(ctx context.Context, g core.LoadedPlace) (*ent.Rollout, error) {
	if row := w.running; row != nil {
		s, err := containers.RolloutState(row)
		if err != nil {
			return nil, err
		}
		if s, err = rollout.Next(s, rollout.Replaced{At: core.Now(), Backend: w.position}); err != nil {
			return nil, err
		}
		if err := w.p.cancelWork(ctx, w.tx, row.ID, "a backend was replaced"); err != nil {
			return nil, err
		}
		if _, err := w.tx.Update.Delete().Where(update.RolloutID(row.ID), update.ContainerID(w.old.ID), update.DigestIsNil()).Exec(ctx); err != nil {
			return nil, err
		}
		if row, err = w.p.saveRollout(ctx, w.tx, row, s, row.Epoch, nil); err != nil {
			return nil, err
		}
		return row, w.p.core.Jobs.EnqueueTx(ctx, w.tx.SQL(), tasks.AdvanceRollout{Rollout: row.ID})
	}
	next, err := queuedRollout(ctx, w.tx, g.Group.ID)
	if err != nil {
		return nil, err
	}
	if next != nil {
		return next, w.p.core.Jobs.EnqueueTx(ctx, w.tx.SQL(), tasks.AdvanceRollout{Rollout: next.ID})
	}
	if w.spec.ByFiles {
		return nil, nil
	}
	row, err := w.p.newRollout(ctx, w.tx, g, w.by, "", Schedule{}, nil)
	if license.CodeOf(err) == license.CodeRolloutUpToDate {
		return nil, nil // the group never got anything
	}
	return row, err
}

// renameMembers records the first updates of other new members anew, where they
// aren't installed: they name a member that is gone.
func (w *replacing) renameMembers(ctx context.Context, g core.LoadedPlace) error {
	for i, c := range g.Containers {
		if i+1 == w.position {
			continue
		}
		for _, n := range c.Edges.Counters {
			if n.Counter > 0 {
				continue
			}
			u, err := w.tx.Update.Query().Where(update.ContainerID(c.ID), update.FirmID(n.FirmID), update.Number(1)).WithRollout().Only(ctx)
			if ent.IsNotFound(err) {
				continue
			}
			if err != nil {
				return err
			}
			if ok, err := containers.IsFirst(u, c); err != nil || !ok {
				return err
			}
			if err := w.p.recordFirst(ctx, w.tx, g, i+1, n.Edges.Firm, u.Edges.Rollout); err != nil {
				return err
			}
		}
	}
	return nil
}

// replacedBy is the container in whose place a group's container is, if a
// serial number is that one's.
func replacedBy(ctx context.Context, tx *store.Tx, serial string, c *ent.Container) (*ent.Container, error) {
	old, err := tx.Container.Query().Where(container.Serial(serial), container.ReplacedByID(c.ID)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return old, err
}

// outdated is the first backend of which the TMR server has the replaced
// container still, as it told last; 0: none.
func outdated(ctx context.Context, tx *store.Tx, g core.LoadedPlace) (int, error) {
	for i, c := range g.Containers {
		for _, b := range g.Group.Backends {
			if b.Position != i+1 || b.Serial == "" || b.Serial == c.Serial {
				continue
			}
			old, err := replacedBy(ctx, tx, b.Serial, c)
			if err != nil {
				return 0, err
			}
			if old != nil {
				return i + 1, nil
			}
		}
	}
	return 0, nil
}
