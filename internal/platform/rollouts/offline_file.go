package rollouts

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/ent"
	entfirm "github.com/quorate/quorate/ent/firm"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// offlineWork is one file's work in one transaction.
type offlineWork struct {
	p     *Service
	tx    *store.Tx
	parts []armor.Part
	at    core.LoadedPlace
}

// own checks that a file is of the place.
func (w *offlineWork) own(f armor.File) error {
	switch {
	case w.at.Single() && !f.Group.IsZero():
		return license.Errorf(license.CodeInvalidInput, "give the file of this container, or name the group",
			"the file is of the TMR group %s, not of one container", f.Group)
	case w.at.Single() && w.parts[0].Serial.String() != w.at.Serial():
		return license.Errorf(license.CodeUpdateForeign, "give the file of this container, or name the other one",
			"the file is of the container %s, not of %s", w.parts[0].Serial, w.at.Serial())
	case w.at.Single():
		return nil
	case f.Group.IsZero():
		return license.Errorf(license.CodeInvalidInput, "have the group's TMR server write it: quorate "+string(f.Kind)+" --server URL",
			"the file is of one container, not of a TMR group")
	case f.Group.String() != w.at.Serial():
		return license.Errorf(license.CodeUpdateForeign, "give the file of this group, or name the other one",
			"the file is of the group %s, not of %s", f.Group, w.at.Serial())
	}
	return nil
}

func (w *offlineWork) reload(ctx context.Context) (err error) {
	w.at, err = core.PlaceOf(ctx, w.tx, w.at.ID())
	return err
}

func (w *offlineWork) kind() string {
	if w.parts[0].Request != nil {
		return string(armor.Request)
	}
	return string(armor.Receipt)
}

// blocked notes that a blocked container has shown up again. seen is what to
// tell; the note has to be committed.
func (w *offlineWork) blocked(ctx context.Context) (seen, err error) {
	for _, c := range w.at.Containers {
		if seen = core.BlockedError(c); seen != nil {
			return seen, containers.ShowedUp(ctx, w.p.core, w.tx, c, "by a "+w.kind()+" file")
		}
	}
	return nil, nil
}

// suspicion marks the container that an error suspects, in this transaction,
// which then has to be committed: the error goes to suspected. Any other error
// is given back.
func (w *offlineWork) suspicion(ctx context.Context, row *ent.Rollout, err error, suspected *error) error {
	var found *containers.Suspect
	if !errors.As(err, &found) {
		return err
	}
	var of *string
	if row != nil {
		of = &row.ID
	}
	var fingerprint []byte
	for _, p := range w.parts {
		if p.Request != nil && p.Serial.String() == found.Container.Serial {
			fingerprint = p.Message
		}
	}
	marked := found.Mark(ctx, w.p.core, w.tx, of, fingerprint)
	if license.CodeOf(marked) != license.CodeManipulation {
		return marked
	}
	*suspected = marked
	return nil
}

// running is the place's running offline rollout, locked, or nil. One over the
// link is an error.
func (w *offlineWork) running(ctx context.Context) (*ent.Rollout, error) {
	row, err := w.tx.Rollout.Query().Where(core.RolloutsAt(w.at.ID()), entrollout.Running(true), store.Locked).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := containers.RolloutState(row)
	if err != nil {
		return nil, err
	}
	if !s.Offline {
		return nil, license.Errorf(license.CodeRolloutState, "wait until it ends, or abort it, then start the rollout by files",
			"rollout %d of the %s runs over the link", row.Number, w.at.Noun())
	}
	return row, nil
}

// part is the file's message of a container.
func (w *offlineWork) part(c *ent.Container) (armor.Part, error) {
	for _, p := range w.parts {
		if p.Serial.String() == c.Serial {
			return p, nil
		}
	}
	fix := "give the file of this container"
	if !w.at.Single() {
		fix = "give the file that the group's TMR server writes; where a backend was replaced, give the TMR servers the new one with --backend first"
	}
	return armor.Part{}, license.Errorf(license.CodeUpdateForeign, fix, "the file has nothing of the container %s", c.Serial)
}

// found checks the fingerprints against what is recorded.
func (w *offlineWork) found(ctx context.Context) (found [license.Backends]rollout.Found, err error) {
	root, err := w.p.core.RootKey(ctx, w.tx)
	if err != nil {
		return found, err
	}
	due, err := whatIsDue(ctx, w.tx, w.at)
	if err != nil {
		return found, err
	}
	for i, c := range w.at.Containers {
		p, err := w.part(c)
		if err != nil {
			return found, err
		}
		if found[i], err = containers.FoundIn(ctx, w.tx, w.at, c, *p.Request, due.firm, "", root); err != nil {
			return found, w.orStale(ctx, p, c, err)
		}
	}
	return found, nil
}

// due says whether a rollout by files can begin: something is ordered, and no
// other rollout queues.
func (w *offlineWork) due(ctx context.Context) (bool, error) {
	due, err := whatIsDue(ctx, w.tx, w.at)
	if err != nil || due.firm == nil {
		return false, err
	}
	queued, err := queuedRollout(ctx, w.tx, w.at.ID())
	return queued == nil, err
}

// orStale gives the suspicion of a fingerprint, unless it is only an old one.
func (w *offlineWork) orStale(ctx context.Context, p armor.Part, c *ent.Container, err error) error {
	var odd *containers.Suspect
	if !errors.As(err, &odd) {
		return err
	}
	if stale := w.stale(ctx, p, c); stale != nil {
		return stale
	}
	return err
}

// stale says whether a fingerprint is of a state that the container was in
// before it confirmed a later one, and made before that: an old file, not an
// old container. Both times are the container's own.
func (w *offlineWork) stale(ctx context.Context, p armor.Part, c *ent.Container) error {
	if !containers.KeysMatch(*p.Request, c) {
		return nil
	}
	for _, n := range c.Edges.Counters {
		s := containers.FirmState(*p.Request, license.FirmCode(n.Edges.Firm.Code))
		if s.Counter >= n.Counter {
			continue
		}
		u, err := w.tx.Update.Query().Where(update.ContainerID(c.ID), update.FirmID(n.FirmID), update.Number(n.Counter)).Only(ctx)
		if err != nil {
			return err
		}
		installed := u.CreatedAt // no receipt: a fingerprint showed it
		if len(u.Receipt) > 0 {
			r, err := seal.ClaimReceipt(u.Receipt) // verified when it was stored
			if err != nil {
				return err
			}
			installed = r.At
		}
		if !p.Request.At.IsZero() && p.Request.At.Before(installed) {
			return license.Errorf(license.CodeRequestStale, "have the license server write a new request",
				"the request of %s was made at %s with update %d, and the container has confirmed update %d since",
				p.Serial, p.Request.At.UTC().Format(time.RFC3339), s.Counter, n.Counter)
		}
	}
	return nil
}

// resumed takes a request while the place's offline rollout waits: each
// container is in the state that the rollout found it in, or has the update.
func (w *offlineWork) resumed(ctx context.Context, row *ent.Rollout) (*ent.Rollout, error) {
	s, err := containers.RolloutState(row)
	if err != nil {
		return row, err
	}
	if s.Phase == rollout.Held {
		return row, license.Errorf(license.CodeRolloutState, "repair what it names, retry it, then start again", "the %s's rollout %d is held: %s", w.at.Noun(), row.Number, s.Hold.Message)
	}
	if s.AwaitsRequest() {
		return w.lookedAgain(ctx, row, s)
	}
	if a, ok := rollout.Pending(s); !ok || a.Kind != rollout.AwaitFile {
		return row, nil // its updates are being issued
	}
	root, err := w.p.core.RootKey(ctx, w.tx)
	if err != nil {
		return row, err
	}
	var installed [license.Backends][]byte
	for i, c := range w.at.Containers {
		p, err := w.part(c)
		if err != nil {
			return row, err
		}
		if err := containers.Undecided(c); err != nil {
			return row, err
		}
		state := containers.FirmState(*p.Request, license.FirmCode(row.Firm))
		if rollout.Digest(state.Digest) == s.Steps[i].Update && state.Counter == s.Number(i+1) {
			if installed[i], err = w.shown(ctx, row, p, c, root); err != nil {
				return row, err
			}
			continue
		}
		if _, err := containers.FoundIn(ctx, w.tx, w.at, c, *p.Request, nil, row.ID, root); err != nil {
			return row, w.orStale(ctx, p, c, err)
		}
	}
	return w.deliver(ctx, row, s, installed)
}

// lookedAgain takes the request of a rollout that a replaced backend made begin
// anew.
func (w *offlineWork) lookedAgain(ctx context.Context, row *ent.Rollout, s rollout.State) (*ent.Rollout, error) {
	root, err := w.p.core.RootKey(ctx, w.tx)
	if err != nil {
		return row, err
	}
	f, err := w.tx.Firm.Query().Where(entfirm.Code(row.Firm)).Only(ctx)
	if err != nil {
		return row, err
	}
	a, _ := rollout.Pending(s)
	e := rollout.Collected{At: core.Now(), Key: a.Key}
	for i, c := range w.at.Containers {
		p, err := w.part(c)
		if err != nil {
			return row, err
		}
		if err := look(ctx, w.tx, row, s, w.at, i, *p.Request, f, root, &e); err != nil {
			return row, w.orStale(ctx, p, c, err)
		}
	}
	if err := comparable3(e.Found, s.Terms); err != nil {
		return row, err
	}
	if s, err = rollout.Next(s, e); err != nil {
		return row, err
	}
	return w.p.saveRollout(ctx, w.tx, row, s, row.Epoch, nil)
}

// noReceipt stands for a fingerprint that shows the update installed.
const noReceipt = "fingerprint"

// shown checks a fingerprint that has the rollout's update installed in
// everything else.
func (w *offlineWork) shown(ctx context.Context, row *ent.Rollout, p armor.Part, c *ent.Container, root ed25519.PublicKey) ([]byte, error) {
	before := *p.Request
	before.Firms = nil
	for _, s := range p.Request.Firms {
		if s.Firm == license.FirmCode(row.Firm) {
			s = containers.RecordedState(c, s.Firm)
		}
		before.Firms = append(before.Firms, s)
	}
	if reason := containers.Suspicion(before, c, root); reason != "" {
		return nil, &containers.Suspect{Container: c, Reason: reason}
	}
	return []byte(noReceipt), containers.GoesOn(ctx, w.tx, *p.Request, c)
}

// receipts verifies the receipts that the file has of the rollout's firm, and
// gives them by position.
func (w *offlineWork) receipts(row *ent.Rollout, s rollout.State) (all [license.Backends][]byte, err error) {
	n := 0
	for at, p := range w.parts {
		position := 0
		for i, c := range w.at.Containers {
			if c.Serial == p.Serial.String() {
				position = i + 1
			}
		}
		if position == 0 {
			return all, license.Errorf(license.CodeUpdateForeign, "give the receipts of this "+w.at.Noun(), "the receipt is of the container %s, which is not of this %s", p.Serial, w.at.Noun())
		}
		c := w.at.Containers[position-1]
		r, err := seal.OpenReceipt(p.Message, ed25519.PublicKey(c.SignKey))
		if err != nil {
			return all, err
		}
		if r.Firm != license.FirmCode(row.Firm) {
			continue
		}
		switch number := s.Number(position); {
		case r.Number < number && followed(w.parts[at+1:], r):
			continue // of one that was missing
		case r.Number < number:
			return all, license.Errorf(license.CodeUpdateReplayed, "apply the rollout's update, and give the receipts of that",
				"the receipt of %s is stale: it is for update %d, and the rollout brings number %d", p.Serial, r.Number, number)
		case r.Number > number && s.Phase == rollout.Done:
			continue // of a later rollout
		case r.Number > number:
			return all, &containers.Suspect{Container: c, Reason: fmt.Sprintf("it confirms update %d of firm %d, which was never issued", r.Number, r.Firm)}
		case rollout.Digest(r.Update) != s.Steps[position-1].Update:
			return all, &containers.Suspect{Container: c, Reason: fmt.Sprintf("it confirms another update with the number %d of firm %d than the one issued", r.Number, r.Firm)}
		}
		all[position-1] = p.Message
		n++
	}
	if n == 0 && s.Phase != rollout.Done {
		return all, license.Errorf(license.CodeUpdateForeign, "give the receipts that quorate apply wrote for this rollout's update", "the file has no receipt of firm %d", row.Firm)
	}
	return all, nil
}

// others counts the verified receipts of what a group's containers had missed of
// other firms.
func (w *offlineWork) others(ctx context.Context, row *ent.Rollout) error {
	for _, p := range w.parts {
		for _, c := range w.at.Containers {
			if c.Serial != p.Serial.String() || p.Receipt.Firm == license.FirmCode(row.Firm) || p.Receipt.Number <= containers.RecordedState(c, p.Receipt.Firm).Counter {
				continue
			}
			u, err := containers.IssuedUpdate(ctx, w.tx, c, seal.FirmState{Firm: p.Receipt.Firm, Counter: p.Receipt.Number, Digest: p.Receipt.Update})
			if err != nil || u == nil {
				return err // the next fingerprint tells
			}
			if err := containers.CountInstalled(ctx, w.tx, c, u, p.Message); err != nil {
				return err
			}
		}
	}
	return nil
}

// followed says whether the receipt of a later update comes after one.
func followed(rest []armor.Part, r seal.Receipt) bool {
	return slices.ContainsFunc(rest, func(p armor.Part) bool {
		return p.Serial == r.Serial && p.Receipt.Firm == r.Firm && p.Receipt.Number > r.Number
	})
}

// deliver counts updates as installed: those with a receipt, or with noReceipt.
func (w *offlineWork) deliver(ctx context.Context, row *ent.Rollout, s rollout.State, installed [license.Backends][]byte) (*ent.Rollout, error) {
	a, _ := rollout.Pending(s)
	e := rollout.Delivered{At: core.Now(), Key: a.Key}
	for i, c := range w.at.Containers {
		if installed[i] == nil {
			continue
		}
		e.Updates[i] = s.Steps[i].Update
		u, err := w.tx.Update.Query().Where(update.RolloutID(row.ID), update.ContainerID(c.ID)).Only(ctx)
		if err != nil {
			return nil, err
		}
		receipt := installed[i]
		if string(receipt) == noReceipt {
			receipt = nil
		}
		if err := containers.CountInstalled(ctx, w.tx, c, u, receipt); err != nil {
			return nil, err
		}
	}
	n, err := rollout.Next(s, e)
	if err != nil || n.Sequence == s.Sequence {
		return row, err
	}
	return w.p.saveRollout(ctx, w.tx, row, n, row.Epoch, nil)
}
