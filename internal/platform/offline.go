package platform

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/ent"
	entrollout "github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// OfflineRollout is a rollout by files, and the update file to hand out.
type OfflineRollout struct {
	Row *ent.Rollout
	// Update is the group's update file; empty when there is nothing to
	// install: the request showed that everything is.
	Update string
}

// StartOfflineRollout takes a group's request file and rolls out what was
// ordered, as StartRollout does, but by files: the updates are issued for the
// fingerprints in the request, and the rollout waits for the receipts. While it
// waits the group's other rollouts queue.
//
// A request of a group whose offline rollout waits already gets that rollout's
// update again. Where its fingerprints show that a container has the update,
// that counts as the receipt; where they show it for all three, that rollout is
// done, and what was ordered since is rolled out by the next one.
//
// A request that shows a state that the platform doesn't know puts the
// container under suspicion. Errors: license.CodeNotFound, CodeForbidden,
// CodeRolloutUpToDate, CodeRolloutState while a rollout over the link is there,
// CodeUpdateForeign for another group's request, CodeRequestStale,
// CodeManipulation, and those of armor.Parse.
func (p *Platform) StartOfflineRollout(ctx context.Context, group, request string) (OfflineRollout, error) {
	who, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return OfflineRollout{}, err
	}
	f, parts, err := parseFile(armor.Request, request)
	if err != nil {
		return OfflineRollout{}, err
	}
	var row *ent.Rollout
	var suspected error // its mark has to be committed
	err = p.store.WithTx(ctx, func(tx *store.Tx) error {
		row, suspected = nil, nil
		g, err := tx.TmrGroup.Query().Where(groupIs(group)).Only(ctx)
		if err != nil {
			return notFound(err, "TMR group", group)
		}
		if f.Group.String() != g.VirtualSerial {
			return license.Errorf(license.CodeUpdateForeign, "give the request of this group, or name the other one",
				"the request is of the group %s, not of %s", f.Group, g.VirtualSerial)
		}
		caller := ctx
		ctx := system(ctx, "rollout") // the group is the caller's: the rest is the platform's business
		w := offlineWork{p: p, tx: tx, parts: parts}
		if row, err = w.running(ctx, g.ID); err != nil {
			return err
		}
		// Lock order: the rollout, then its group.
		if g, err = tx.TmrGroup.Query().Where(tmrgroup.ID(g.ID), lockedGroup).Only(ctx); err != nil {
			return err
		}
		if w.group, err = groupOf(ctx, tx, g.ID); err != nil {
			return err
		}
		if row != nil {
			if row, err = w.resumed(ctx, row); err != nil || row.State != property.RolloutDone {
				return w.suspicion(ctx, row, err, &suspected)
			}
			if w.group, err = groupOf(ctx, tx, g.ID); err != nil { // the counters have moved
				return err
			}
			if more, err := w.due(ctx); err != nil || !more {
				return err // the request served as the receipt
			}
		}
		found, err := w.found(ctx)
		if err != nil {
			return w.suspicion(ctx, row, err, &suspected)
		}
		if row, err = p.newRollout(ctx, tx, g, who, "", &found); err != nil {
			return err
		}
		return audit(caller, tx, auditOwner(who, row.VendorID), "rollout.startOffline", row.ID, nil, rolloutFacts(row))
	})
	if err == nil {
		err = suspected
	}
	if err != nil {
		return OfflineRollout{}, err
	}
	out, err := p.issued(ctx, row)
	if err != nil || out.Update == "" {
		return out, err
	}
	out.Update, err = p.timed(ctx, out.Update, parts)
	return out, err
}

// FinishOfflineRollout takes the receipts of a rollout by files. It is done
// once there are three; finishing it again changes nothing. Errors:
// license.CodeNotFound, CodeForbidden, CodeRolloutState when it is no rollout by
// files or waits for nothing, CodeUpdateForeign, CodeReceiptForged,
// CodeUpdateReplayed for receipts of an earlier update, CodeManipulation for
// those of one that was never issued, and those of armor.Parse.
func (p *Platform) FinishOfflineRollout(ctx context.Context, id, receipt string) (*ent.Rollout, error) {
	who, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return nil, err
	}
	f, parts, err := parseFile(armor.Receipt, receipt)
	if err != nil {
		return nil, err
	}
	var row *ent.Rollout
	var suspected error
	err = p.store.WithTx(ctx, func(tx *store.Tx) error {
		suspected = nil
		if row, err = tx.Rollout.Query().Where(entrollout.ID(id), lockedRollout).Only(ctx); err != nil {
			return notFound(err, "rollout", id)
		}
		before := rolloutFacts(row)
		caller := ctx
		ctx := system(ctx, "rollout")
		w := offlineWork{p: p, tx: tx, parts: parts}
		if w.group, err = groupOf(ctx, tx, row.TmrGroupID); err != nil {
			return err
		}
		if f.Group.String() != w.group.row.VirtualSerial {
			return license.Errorf(license.CodeUpdateForeign, "give the receipts of this group",
				"the receipts are of the group %s, not of %s", f.Group, w.group.row.VirtualSerial)
		}
		s, err := rolloutState(row)
		if err != nil {
			return err
		}
		a, waits := rollout.Pending(s)
		switch {
		case !s.Offline:
			return license.Errorf(license.CodeRolloutState, "its TMR server hands the receipts in over the link", "the rollout %d is not one by files", row.Number)
		case s.Phase != rollout.Done && (!waits || a.Kind != rollout.AwaitFile):
			return license.Errorf(license.CodeRolloutState, "start it again with the group's request file", "the rollout is %s and waits for no receipts", s.Phase)
		}
		receipts, err := w.receipts(row, s)
		if err != nil {
			return w.suspicion(ctx, row, err, &suspected)
		}
		if s.Phase == rollout.Done {
			return nil
		}
		if row, err = w.deliver(ctx, row, s, receipts); err != nil {
			return err
		}
		return audit(caller, tx, auditOwner(who, row.VendorID), "rollout.finishOffline", row.ID, before, rolloutFacts(row))
	})
	if err == nil {
		err = suspected
	}
	if err != nil {
		return nil, err
	}
	return row, nil
}

func parseFile(kind armor.Kind, text string) (armor.File, []armor.Part, error) {
	f, err := armor.Parse([]byte(text))
	if err != nil {
		return f, nil, err
	}
	if f.Kind != kind {
		return f, nil, license.Errorf(license.CodeInvalidInput, fmt.Sprintf("give the group's %s file", kind), "that is a %s file, not a %s", f.Kind, kind)
	}
	if f.Group.IsZero() {
		return f, nil, license.Errorf(license.CodeInvalidInput, "have the group's TMR server write it: quorate "+string(kind)+" --server URL",
			"the file is of one container, not of a TMR group")
	}
	parts, err := armor.Parts(f)
	return f, parts, err
}

// startedOffline is a new rollout for which the fingerprints came in a file.
func startedOffline(s rollout.State, busy bool, terms []license.License, found [license.Backends]rollout.Found) (rollout.State, error) {
	if busy {
		return s, license.Errorf(license.CodeRolloutState, "wait until it ends, or abort it, then start the rollout by files",
			"another rollout of the group is running or queued")
	}
	if err := comparable3(found, terms); err != nil {
		return s, err
	}
	s, err := rollout.Next(s, rollout.Started{At: now(), Terms: terms, Offline: true})
	if err != nil {
		return s, err
	}
	a, _ := rollout.Pending(s)
	return rollout.Next(s, rollout.Collected{At: now(), Key: a.Key, Found: found})
}

// offlineWork is one file's work in one transaction.
type offlineWork struct {
	p     *Platform
	tx    *store.Tx
	parts []armor.Part
	group rolloutGroup
}

// suspect is the error about a container whose state nobody knows.
type suspect struct {
	container *ent.Container
	reason    string
}

func (e *suspect) Error() string { return e.reason }

// suspicion marks the container that an error suspects, in this transaction,
// which then has to be committed: the error goes to suspected. Any other error
// is given back.
func (w offlineWork) suspicion(ctx context.Context, row *ent.Rollout, err error, suspected *error) error {
	var found *suspect
	if !errors.As(err, &found) {
		return err
	}
	c := found.container
	if err := w.tx.Container.UpdateOne(c).SetManipulationSuspected(true).Exec(ctx); err != nil {
		return err
	}
	after := map[string]any{"manipulationSuspected": true, "reason": found.reason}
	if row != nil {
		after["rollout"] = row.ID
	}
	*suspected = license.Errorf(license.CodeManipulation,
		"find out whether the container was copied or restored from a backup; a person has to decide what becomes of it",
		"the state of container %s is not the recorded one: %s", c.Serial, found.reason)
	return audit(ctx, w.tx, c.VendorID, "container.suspect", c.ID, map[string]any{"manipulationSuspected": c.ManipulationSuspected}, after)
}

// running is the group's running offline rollout, locked, or nil. One over the
// link is an error.
func (w offlineWork) running(ctx context.Context, group string) (*ent.Rollout, error) {
	row, err := w.tx.Rollout.Query().Where(entrollout.TmrGroupID(group), entrollout.Running(true), lockedRollout).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := rolloutState(row)
	if err != nil {
		return nil, err
	}
	if !s.Offline {
		return nil, license.Errorf(license.CodeRolloutState, "wait until it ends, or abort it, then start the rollout by files",
			"rollout %d of the group runs over the link", row.Number)
	}
	return row, nil
}

// part is the file's message of a container.
func (w offlineWork) part(c *ent.Container) (armor.Part, error) {
	for _, p := range w.parts {
		if p.Serial.String() == c.Serial {
			return p, nil
		}
	}
	return armor.Part{}, license.Errorf(license.CodeUpdateForeign, "give the file of this group", "the file has nothing of the group's container %s", c.Serial)
}

// found checks the three fingerprints against what is recorded.
func (w offlineWork) found(ctx context.Context) (found [license.Backends]rollout.Found, err error) {
	root, err := w.p.rootKey(ctx, w.tx)
	if err != nil {
		return found, err
	}
	firm, err := w.dueFirm(ctx)
	if err != nil {
		return found, err
	}
	for i, c := range w.group.containers {
		p, err := w.part(c)
		if err != nil {
			return found, err
		}
		if reason := suspicion(*p.Request, c, root); reason != "" {
			if err := w.stale(ctx, p, c); err != nil {
				return found, err
			}
			return found, &suspect{c, reason}
		}
		state := firmState(*p.Request, firm)
		found[i] = rollout.Found{Serial: p.Serial, Number: state.Counter, Previous: state.Digest, Licenses: p.Request.Licenses}
	}
	return found, nil
}

// due says whether a rollout by files can begin: something is ordered, and no
// other rollout queues.
func (w offlineWork) due(ctx context.Context) (bool, error) {
	firm, err := w.dueFirm(ctx)
	if err != nil || firm == 0 {
		return false, err
	}
	queued, err := queuedRollout(ctx, w.tx, w.group.row.ID)
	return queued == nil, err
}

// dueFirm is the firm that the group's next rollout is of; 0 when nothing is
// due, and no rollout follows.
func (w offlineWork) dueFirm(ctx context.Context) (license.FirmCode, error) {
	due, err := dueOrders(ctx, w.tx, w.group.row.ID)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	return license.FirmCode(due[0].Edges.Item.Edges.Product.Edges.Firm.Code), nil
}

// stale says whether a fingerprint is of a state that the container was in
// before it confirmed a later one, and made before that: an old file, not an
// old container. Both times are the container's own.
func (w offlineWork) stale(ctx context.Context, p armor.Part, c *ent.Container) error {
	if p.Request.Identity.Digest() != (seal.PublicIdentity{Sign: ed25519.PublicKey(c.SignKey), Seal: c.SealKey}).Digest() {
		return nil
	}
	for _, n := range c.Edges.Counters {
		s := firmState(*p.Request, license.FirmCode(n.Edges.Firm.Code))
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

// resumed takes a request while the group's offline rollout waits: each
// container is in the state that the rollout found it in, or has the update.
func (w offlineWork) resumed(ctx context.Context, row *ent.Rollout) (*ent.Rollout, error) {
	s, err := rolloutState(row)
	if err != nil {
		return row, err
	}
	if s.Phase == rollout.Held {
		return row, license.Errorf(license.CodeRolloutState, "repair what it names, retry it, then start again", "the group's rollout %d is held: %s", row.Number, s.Hold.Message)
	}
	if a, ok := rollout.Pending(s); !ok || a.Kind != rollout.AwaitFile {
		return row, nil // its updates are being issued
	}
	root, err := w.p.rootKey(ctx, w.tx)
	if err != nil {
		return row, err
	}
	var installed [license.Backends][]byte
	for i, c := range w.group.containers {
		p, err := w.part(c)
		if err != nil {
			return row, err
		}
		state := firmState(*p.Request, license.FirmCode(row.Firm))
		if rollout.Digest(state.Digest) == s.Steps[i].Update && state.Counter == s.Number(i+1) {
			if installed[i], err = w.shown(ctx, row, p, c, root); err != nil {
				return row, err
			}
			continue
		}
		if reason := suspicion(*p.Request, c, root); reason != "" {
			if err := w.stale(ctx, p, c); err != nil {
				return row, err
			}
			return row, &suspect{c, reason}
		}
	}
	return w.deliver(ctx, row, s, installed)
}

// noReceipt stands for a fingerprint that shows the update installed.
const noReceipt = "fingerprint"

// shown checks a fingerprint that has the rollout's update installed in
// everything else.
func (w offlineWork) shown(ctx context.Context, row *ent.Rollout, p armor.Part, c *ent.Container, root ed25519.PublicKey) ([]byte, error) {
	before := *p.Request
	before.Firms = nil
	for _, s := range p.Request.Firms {
		if s.Firm == license.FirmCode(row.Firm) {
			s = recordedState(c, s.Firm)
		}
		before.Firms = append(before.Firms, s)
	}
	if reason := suspicion(before, c, root); reason != "" {
		return nil, &suspect{c, reason}
	}
	return []byte(noReceipt), nil
}

// recordedState is how far a container is with a firm's updates, as recorded.
func recordedState(c *ent.Container, firm license.FirmCode) seal.FirmState {
	s := seal.FirmState{Firm: firm}
	for _, n := range c.Edges.Counters {
		if license.FirmCode(n.Edges.Firm.Code) == firm {
			s.Counter = n.Counter
			copy(s.Digest[:], n.Digest)
		}
	}
	return s
}

// receipts verifies the receipts that the file has of the rollout's firm, and
// gives them by position.
func (w offlineWork) receipts(row *ent.Rollout, s rollout.State) (all [license.Backends][]byte, err error) {
	n := 0
	for _, p := range w.parts {
		position := 0
		for i, c := range w.group.containers {
			if c.Serial == p.Serial.String() {
				position = i + 1
			}
		}
		if position == 0 {
			return all, license.Errorf(license.CodeUpdateForeign, "give the receipts of this group", "the receipt is of the container %s, which is none of the group", p.Serial)
		}
		c := w.group.containers[position-1]
		r, err := seal.OpenReceipt(p.Message, ed25519.PublicKey(c.SignKey))
		if err != nil {
			return all, err
		}
		if r.Firm != license.FirmCode(row.Firm) {
			continue
		}
		switch number := s.Number(position); {
		case r.Number < number:
			return all, license.Errorf(license.CodeUpdateReplayed, "apply the rollout's update, and give the receipts of that",
				"the receipt of %s is stale: it is for update %d, and the rollout brings number %d", p.Serial, r.Number, number)
		case r.Number > number && s.Phase == rollout.Done:
			continue // of a later rollout
		case r.Number > number:
			return all, &suspect{c, fmt.Sprintf("it confirms update %d of firm %d, which was never issued", r.Number, r.Firm)}
		case rollout.Digest(r.Update) != s.Steps[position-1].Update:
			return all, &suspect{c, fmt.Sprintf("it confirms another update with the number %d of firm %d than the one issued", r.Number, r.Firm)}
		}
		all[position-1] = p.Message
		n++
	}
	if n == 0 && s.Phase != rollout.Done {
		return all, license.Errorf(license.CodeUpdateForeign, "give the receipts that quorate apply wrote for this rollout's update", "the file has no receipt of firm %d", row.Firm)
	}
	return all, nil
}

// deliver counts updates as installed: those with a receipt, or with noReceipt.
func (w offlineWork) deliver(ctx context.Context, row *ent.Rollout, s rollout.State, installed [license.Backends][]byte) (*ent.Rollout, error) {
	a, _ := rollout.Pending(s)
	e := rollout.Delivered{At: now(), Key: a.Key}
	for i, c := range w.group.containers {
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
		if err := countInstalled(ctx, w.tx, c, u, receipt); err != nil {
			return nil, err
		}
	}
	n, err := rollout.Next(s, e)
	if err != nil || n.Sequence == s.Sequence {
		return row, err
	}
	return w.p.saveRollout(ctx, w.tx, row, n, row.Epoch, nil)
}

// Issuing is the worker's, which may be at it already.
const (
	issueTime = 10 * time.Second
	issueLook = 20 * time.Millisecond
)

// issued has an offline rollout's updates issued, and gives the file.
func (p *Platform) issued(ctx context.Context, row *ent.Rollout) (OfflineRollout, error) {
	ctx, cancel := context.WithTimeout(system(ctx, "rollout"), issueTime)
	defer cancel()
	for row.State != property.RolloutDone {
		s, err := rolloutState(row)
		if err != nil {
			return OfflineRollout{}, err
		}
		if s.Phase == rollout.Aborted {
			return OfflineRollout{}, license.Errorf(license.CodeRolloutState, "start another one if it is still wanted", "somebody gave the rollout %d up meanwhile", row.Number)
		}
		if s.Phase == rollout.Held {
			return OfflineRollout{}, license.Errorf(s.Hold.Code, "repair what it names, retry the rollout, then start again", "the rollout is held: %s", s.Hold.Message)
		}
		if a, ok := rollout.Pending(s); ok && a.Kind == rollout.AwaitFile {
			return p.updateFile(ctx, row)
		}
		if err := p.AdvanceRollout(ctx, row.ID, nil); err != nil {
			return OfflineRollout{}, err
		}
		if row, err = p.store.Client().Rollout.Get(ctx, row.ID); err != nil {
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

// updateFile makes the file of the stored updates: the same each time.
func (p *Platform) updateFile(ctx context.Context, row *ent.Rollout) (OfflineRollout, error) {
	f := armor.File{Kind: armor.Update}
	err := p.store.WithTx(ctx, func(tx *store.Tx) error {
		g, err := groupOf(ctx, tx, row.TmrGroupID)
		if err != nil {
			return err
		}
		if f.Group, err = license.ParseSerial(g.row.VirtualSerial); err != nil {
			return err
		}
		f.Messages = nil
		for position := 1; position <= license.Backends; position++ {
			u, err := backendUpdate(ctx, tx, row, g, position)
			if err != nil {
				return err
			}
			f.Messages = append(f.Messages, u.Update)
		}
		return nil
	})
	if err != nil {
		return OfflineRollout{}, err
	}
	text, err := armor.Encode(f)
	return OfflineRollout{Row: row, Update: string(text)}, err
}
