package rollouts

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/store"
)

// OfflineRollout is a rollout by files, and the update file to hand out.
type OfflineRollout struct {
	Row *ent.Rollout
	// Update is the place's update file; empty when there is nothing to
	// install: the request showed that everything is.
	Update string
}

// StartOfflineRollout takes the request file of a TMR group or a container and
// rolls out what StartRollout would, but by files: the updates are issued for the
// fingerprints in the request, and the rollout waits for the receipts. While it
// waits the place's other rollouts queue.
//
// A request of a place whose offline rollout waits already gets that rollout's
// update again. Where its fingerprints show that a container has the update,
// that counts as the receipt; where they show it for all, that rollout is done,
// and what was ordered since is rolled out by the next one. The file for a
// container alone brings every update that it is missing, in order.
//
// A request that shows a state that the platform doesn't know puts the
// container under suspicion. Errors: license.CodeNotFound, CodeForbidden,
// CodeRolloutUpToDate, CodeRolloutState while a rollout over the link is there,
// CodeUpdateForeign for another place's request, CodeRequestStale,
// CodeManipulation, CodeContainerBlocked, and those of armor.Parse.
func (p *Service) StartOfflineRollout(ctx context.Context, at core.Place, request string) (OfflineRollout, error) {
	return p.StartOfflineRolloutOnce(ctx, "", at, request)
}

// StartOfflineRolloutOnce is StartOfflineRollout under an idempotency key: the
// same one gives the same rollout, with its update while it waits for receipts.
// A request that put a container under suspicion uses no key up. Error too:
// CodeConflict for a key of another request.
func (p *Service) StartOfflineRolloutOnce(ctx context.Context, key string, at core.Place, request string) (OfflineRollout, error) {
	who, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return OfflineRollout{}, err
	}
	f, parts, err := core.ParseFile(armor.Request, request)
	if err != nil {
		return OfflineRollout{}, err
	}
	for _, p := range parts {
		p.Request.Nonce = nil // the TMR server's own: it doesn't tell how old the file is
	}
	if err := p.firstsSigned(ctx, at); err != nil {
		return OfflineRollout{}, err
	}
	var row *ent.Rollout
	var kept error // what was written has to be committed all the same
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		row, kept = nil, nil
		ids, again, err := core.Once(ctx, tx, who.Organization, "startOfflineRollout", key, []any{at, request}, func() (ids []string, err error) {
			w := &offlineWork{p: p, tx: tx, parts: parts}
			switch row, kept, err = w.start(ctx, who, at, f); {
			case err != nil:
				kept = nil
				return nil, err
			case kept != nil:
				return nil, kept
			}
			return []string{row.ID}, nil
		})
		if kept != nil {
			return nil // the key is as if it never was, what was written stays
		}
		if err != nil || !again {
			return err
		}
		row, err = tx.Rollout.Get(ctx, ids[0])
		return core.NotFound(err, "rollout", ids[0])
	})
	if err == nil {
		err = kept
	}
	if err != nil {
		return OfflineRollout{}, err
	}
	out, err := p.issued(ctx, row)
	if err != nil || out.Update == "" {
		return out, err
	}
	out.Update, err = p.clocks.Timed(ctx, p.core, out.Update, parts)
	return out, err
}

// start gives the rollout. kept is why there is none, where what was written for
// it has to be committed all the same.
func (w *offlineWork) start(ctx context.Context, who auth.Principal, at core.Place, f armor.File) (row *ent.Rollout, kept, err error) {
	if w.at, err = core.FindPlace(ctx, w.tx, at); err != nil {
		return nil, nil, err
	}
	if err := w.own(f); err != nil {
		return nil, nil, err
	}
	caller := ctx
	ctx = core.System(ctx, "rollout") // the place is the caller's: the rest is the platform's business
	if kept, err = w.blocked(ctx); err != nil || kept != nil {
		return nil, kept, err
	}
	if row, err = w.running(ctx); err != nil {
		return nil, nil, err
	}
	if err := core.LockPlace(ctx, w.tx, w.at.ID()); err != nil {
		return nil, nil, err
	}
	if err := w.reload(ctx); err != nil {
		return nil, nil, err
	}
	if row != nil {
		if row, err = w.resumed(ctx, row); err != nil || row.State != property.RolloutDone {
			err = w.suspicion(ctx, row, err, &kept)
			return row, kept, err
		}
		if err := w.reload(ctx); err != nil { // the counters have moved
			return nil, nil, err
		}
		if more, err := w.due(ctx); err != nil || !more {
			return row, nil, err // the request served as the receipt
		}
	}
	found, err := w.found(ctx)
	if err != nil {
		err = w.suspicion(ctx, row, err, &kept)
		return row, kept, err
	}
	if row, err = w.p.newRollout(ctx, w.tx, w.at, who, "", Schedule{}, &found); err != nil {
		if license.CodeOf(err) == license.CodeRolloutUpToDate {
			kept, err = err, nil // the request may have shown what no receipt did
		}
		return nil, kept, err
	}
	return row, nil, core.Audit(caller, w.tx, core.AuditOwner(who, row.VendorID), "rollout.startOffline", row.ID, nil, rolloutFacts(row))
}

// FinishOfflineRollout takes the receipts of a rollout by files. It is done
// once each container has given its own; finishing it again changes nothing.
// Errors: license.CodeNotFound, CodeForbidden, CodeRolloutState when it is no
// rollout by files or waits for nothing, CodeUpdateForeign, CodeReceiptForged,
// CodeUpdateReplayed for receipts of an earlier update, CodeManipulation for
// those of one that was never issued, CodeContainerBlocked, and those of
// armor.Parse.
func (p *Service) FinishOfflineRollout(ctx context.Context, id, receipt string) (*ent.Rollout, error) {
	who, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return nil, err
	}
	f, parts, err := core.ParseFile(armor.Receipt, receipt)
	if err != nil {
		return nil, err
	}
	var row *ent.Rollout
	var suspected error
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		suspected = nil
		if row, err = tx.Rollout.Query().Where(entrollout.ID(id), store.Locked).Only(ctx); err != nil {
			return core.NotFound(err, "rollout", id)
		}
		before := rolloutFacts(row)
		caller := ctx
		ctx := core.System(ctx, "rollout")
		t, err := core.PlaceOf(ctx, tx, core.RolloutPlace(row))
		if err != nil {
			return err
		}
		w := &offlineWork{p: p, tx: tx, parts: parts, at: t}
		if err := w.own(f); err != nil {
			return err
		}
		if suspected, err = w.blocked(ctx); err != nil || suspected != nil {
			return err
		}
		s, err := containers.RolloutState(row)
		if err != nil {
			return err
		}
		a, waits := rollout.Pending(s)
		switch {
		case !s.Offline:
			return license.Errorf(license.CodeRolloutState, "its server hands the receipts in over the link", "the rollout %d is not one by files", row.Number)
		case s.Phase != rollout.Done && (!waits || a.Kind != rollout.AwaitFile):
			return license.Errorf(license.CodeRolloutState, "start it again with the "+t.Noun()+"'s request file", "the rollout is %s and waits for no receipts", s.Phase)
		}
		receipts, err := w.receipts(row, s)
		if err != nil {
			return w.suspicion(ctx, row, err, &suspected)
		}
		if err := w.others(ctx, row); err != nil || s.Phase == rollout.Done {
			return err
		}
		if row, err = w.deliver(ctx, row, s, receipts); err != nil {
			return err
		}
		return core.Audit(caller, tx, core.AuditOwner(who, row.VendorID), "rollout.finishOffline", row.ID, before, rolloutFacts(row))
	})
	if err == nil {
		err = suspected
	}
	if err != nil {
		return nil, err
	}
	return row, nil
}

// startedOffline is a new rollout for which the fingerprints came in a file.
func startedOffline(s rollout.State, busy bool, t core.LoadedPlace, brings changes, found [license.Backends]rollout.Found) (rollout.State, error) {
	if busy {
		return s, license.Errorf(license.CodeRolloutState, "wait until it ends, or abort it, then start the rollout by files",
			"another rollout of the %s is running or queued", t.Noun())
	}
	if !t.Single() {
		if err := comparable3(found, brings.terms); err != nil {
			return s, err
		}
	}
	s, err := rollout.Next(s, brings.started(true))
	if err != nil {
		return s, err
	}
	a, _ := rollout.Pending(s)
	return rollout.Next(s, rollout.Collected{At: core.Now(), Key: a.Key, Found: found})
}

// Issuing is the worker's, which may be at it already.
const (
	issueTime = 10 * time.Second
	issueLook = 20 * time.Millisecond
)

// issued has an offline rollout's updates issued, and gives the file.
func (p *Service) issued(ctx context.Context, row *ent.Rollout) (OfflineRollout, error) {
	ctx, cancel := context.WithTimeout(core.System(ctx, "rollout"), issueTime)
	defer cancel()
	for row.State != property.RolloutDone {
		s, err := containers.RolloutState(row)
		if err != nil {
			return OfflineRollout{}, err
		}
		if s.Phase == rollout.Aborted {
			return OfflineRollout{}, license.Errorf(license.CodeRolloutState, "start another one if it is still wanted", "somebody gave the rollout %d up meanwhile", row.Number)
		}
		if s.Phase == rollout.Held {
			return OfflineRollout{}, license.Errorf(s.Hold.Code, "repair what it names, retry the rollout, then start again", "the rollout is held: %s", s.Hold.Message)
		}
		if s.AwaitsRequest() {
			return OfflineRollout{}, license.Errorf(license.CodeRolloutState, "hand in a new request file of the group", "a backend was replaced meanwhile")
		}
		if a, ok := rollout.Pending(s); ok && a.Kind == rollout.AwaitFile {
			return p.updateFile(ctx, row)
		}
		if err := p.AdvanceRollout(ctx, row.ID, nil); err != nil {
			return OfflineRollout{}, err
		}
		if row, err = p.core.Store.Client().Rollout.Get(ctx, row.ID); err != nil {
			return OfflineRollout{}, err
		}
		if row.State == property.RolloutIssuing { // another worker is at it
			select {
			case <-ctx.Done():
				return OfflineRollout{}, license.Errorf(license.CodeUnavailable, "start it again with the same request", "the updates are not issued yet")
			case <-time.After(issueLook):
			}
		}
	}
	return OfflineRollout{Row: row}, nil
}

// OfflineUpdate gives the update file of a rollout by files again, while it
// waits for receipts: without the certified time, which takes a fresh request.
// Errors: license.CodeNotFound, CodeForbidden, CodeRolloutState.
func (p *Service) OfflineUpdate(ctx context.Context, id string) (string, error) {
	if _, err := auth.Require(ctx, auth.RunRollout); err != nil {
		return "", err
	}
	row, err := p.core.Store.Client().Rollout.Get(ctx, id)
	if err != nil {
		return "", core.NotFound(err, "rollout", id)
	}
	s, err := containers.RolloutState(row)
	if err != nil {
		return "", err
	}
	if a, ok := rollout.Pending(s); !ok || a.Kind != rollout.AwaitFile {
		return "", license.Errorf(license.CodeRolloutState, "hand the request file in again if something was ordered since",
			"the rollout %d waits for no receipts by files", row.Number)
	}
	out, err := p.updateFile(core.System(ctx, "rollout"), row)
	return out.Update, err
}

// RolloutOffline says whether a rollout's updates travel in files.
func RolloutOffline(row *ent.Rollout) (bool, error) {
	s, err := containers.RolloutState(row)
	return s.Offline, err
}

// updateFile makes the file of the stored updates: the same each time, but for
// what the container has confirmed meanwhile.
func (p *Service) updateFile(ctx context.Context, row *ent.Rollout) (OfflineRollout, error) {
	f := armor.File{Kind: armor.Update}
	err := p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		t, err := core.PlaceOf(ctx, tx, core.RolloutPlace(row))
		if err != nil {
			return err
		}
		if !t.Single() {
			if f.Group, err = license.ParseSerial(t.Serial()); err != nil {
				return err
			}
		}
		f.Messages = nil
		for i := range t.Containers {
			all, err := missingUpdates(ctx, tx, row, t, i+1)
			if err != nil {
				return err
			}
			for _, u := range all {
				f.Messages = append(f.Messages, u.Update)
			}
		}
		return nil
	})
	if err != nil {
		return OfflineRollout{}, err
	}
	text, err := armor.Encode(f)
	return OfflineRollout{Row: row, Update: string(text)}, err
}
