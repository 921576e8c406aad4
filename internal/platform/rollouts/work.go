package rollouts

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

const nonceSize = 32

// ask makes the work item for an action that a TMR server carries out.
func (w *rolloutWorker) ask(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, a rollout.Action, g core.LoadedPlace) (_ rollout.Event, err error) {
	item := tasks.LinkWork{Position: a.Backend}
	switch a.Kind {
	case rollout.Collect:
		item.Kind = property.WorkCollect
		item.Nonce = newNonce()
	case rollout.Stage:
		item.Kind = property.WorkStage
		if item.Updates, err = toStage(ctx, tx, row, s, g); err != nil {
			return nil, err
		}
	case rollout.AskOthers:
		item.Kind = property.WorkGuard
		item.Nonce = newNonce()
	case rollout.Activate:
		item.Kind = property.WorkActivate
		u, err := dueUpdate(ctx, tx, s, g, a.Backend)
		if err != nil {
			return nil, err
		}
		item.Updates = []tasks.BackendUpdate{toBackend(a.Backend, u)}
	case rollout.Verify:
		item.Kind = property.WorkVerify
		item.Settle = w.platform.settle
		for _, l := range s.After(a.Backend) {
			item.Expect = append(item.Expect, tasks.Expected{Product: l.Product, TMRID: l.Options.TMRID})
		}
	default:
		return nil, fmt.Errorf("nobody does %s", a.Kind)
	}
	_, err = tasks.AddWork(ctx, w.platform.core, tx, g, &row.ID, row.ID+"/"+a.Key, item)
	return nil, err
}

func newNonce() []byte {
	n := make([]byte, nonceSize)
	_, _ = rand.Read(n) // never fails
	return n
}

// answer turns a reported work item into the event that it amounts to. Nothing
// in it is believed but what a container has signed.
func (w *rolloutWorker) answer(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, a rollout.Action, g core.LoadedPlace, item *ent.Work) (rollout.Event, error) {
	if item.State == property.WorkFailed {
		return rollout.Failed{At: core.Now(), Key: a.Key, Code: license.Code(item.ErrorCode), Message: item.ErrorMessage}, nil
	}
	asked, err := tasks.WorkOf(item)
	if err != nil {
		return nil, err
	}
	var report tasks.LinkReport
	if len(item.Result) > 0 {
		if err := json.Unmarshal(item.Result, &report); err != nil {
			return nil, fmt.Errorf("the result of %s can't be read: %w", item.ID, err)
		}
	}
	switch a.Kind {
	case rollout.Collect:
		e := rollout.Collected{At: core.Now(), Key: a.Key}
		err := w.collected(ctx, tx, row, s, g, asked, report, &e)
		return e, err
	case rollout.Stage:
		return rollout.Staged{At: core.Now(), Key: a.Key}, nil
	case rollout.AskOthers:
		others, err := stated(a.Backend, g, asked, report)
		return rollout.Guarded{At: core.Now(), Key: a.Key, Others: others}, err
	case rollout.Activate:
		digest, err := w.activated(ctx, tx, row, s, a.Backend, g, report)
		return rollout.Activated{At: core.Now(), Key: a.Key, Update: digest}, err
	case rollout.Verify:
		return rollout.Verified{At: core.Now(), Key: a.Key}, nil
	}
	return nil, fmt.Errorf("nobody answers %s", a.Kind)
}

// collected checks the fingerprints against what is recorded. One that says
// anything else puts its container under suspicion.
func (w *rolloutWorker) collected(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, g core.LoadedPlace, asked tasks.LinkWork, r tasks.LinkReport, e *rollout.Collected) error {
	root, err := w.platform.core.RootKey(ctx, tx)
	if err != nil {
		return err
	}
	firm, err := tx.Firm.Query().Where(firm.Code(row.Firm)).Only(ctx)
	if err != nil {
		return err
	}
	for i := range g.Containers {
		signed, err := tasks.BytesOf(r.Fingerprints, i+1)
		if err != nil {
			return err
		}
		f, err := seal.OpenFingerprint(signed)
		if err != nil {
			return err
		}
		if !bytes.Equal(f.Nonce, asked.Nonce) {
			return license.Errorf(license.CodeFingerprintForged, "retry the rollout",
				"the fingerprint of %s answers another request", g.Backend(i+1))
		}
		if err := look(ctx, tx, row, s, g, i, f, firm, root, e); err != nil {
			var odd *containers.Suspect
			if errors.As(err, &odd) {
				return odd.Mark(ctx, w.platform.core, tx, &row.ID, signed)
			}
			return err
		}
	}
	if g.Single() {
		return nil
	}
	return comparable3(e.Found, s.Terms)
}

// look notes in e what a fingerprint of the container at index i shows. Where a
// rollout looks again, its own update is taken back if it isn't installed, and
// doesn't fit any more.
func look(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, g core.LoadedPlace, i int, f seal.Fingerprint, firm *ent.Firm, root ed25519.PublicKey, e *rollout.Collected) error {
	c := g.Containers[i]
	old, err := replacedBy(ctx, tx, f.Serial.String(), c)
	if err != nil {
		return err
	}
	if old != nil {
		return license.Errorf(license.CodeBackendAbsent, "give each TMR server the new one with --backend, one server after the other, then retry the rollout",
			"backend %d answers as %s, which was replaced by %s", i+1, old.Serial, c.Serial)
	}
	if e.Found[i], err = containers.FoundIn(ctx, tx, g, c, f, firm, row.ID, root); err != nil || g.Single() {
		return err
	}
	u, err := tx.Update.Query().Where(update.RolloutID(row.ID), update.ContainerID(c.ID)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	found := e.Found[i]
	switch {
	case len(u.Digest) > 0 && found.Previous == rollout.Digest(u.Digest):
		e.Found[i], e.Installed[i] = s.Steps[i].Found, true
		return nil
	case len(u.Digest) > 0 && containers.SameMembers(s, g) && u.Number == found.Number+1 && rollout.Digest(u.Previous) == found.Previous:
		return nil // it lost others; this one follows them still
	}
	return tx.Update.DeleteOne(u).Exec(ctx)
}

// comparable3 says whether the three hold the same terms of each product that
// changes, below the TMR-ID that it gets: else the update's predecessor would
// not be the same for all.
func comparable3(found [license.Backends]rollout.Found, terms []license.License) error {
	for _, l := range terms {
		var first *license.Options
		for i, f := range found {
			var here *license.Options
			for _, h := range f.Licenses {
				if h.Product == l.Product {
					here = &h.Options
				}
			}
			switch {
			case here != nil && here.TMRID >= l.Options.TMRID:
				return license.Errorf(license.CodeConflict, "have the vendor's operator raise the group's next TMR-ID",
					"container %s holds %s #%d already, which is not below #%d", f.Serial, l.Product, here.TMRID, l.Options.TMRID)
			case i == 0:
				first = here
			case (here == nil) != (first == nil), here != nil && !here.Equal(*first):
				return license.Errorf(license.CodeConflict, "have the vendor's operator look at the containers",
					"the containers hold different terms of %s", l.Product)
			}
		}
	}
	return nil
}

// stated reads the statements of the other two backends.
func stated(backend int, g core.LoadedPlace, asked tasks.LinkWork, r tasks.LinkReport) (others [license.Backends][]license.Held, err error) {
	for i, c := range g.Containers {
		if i+1 == backend {
			continue
		}
		signed, err := tasks.BytesOf(r.Statements, i+1)
		if err != nil {
			return others, err
		}
		s, err := seal.OpenStatement(signed, ed25519.PublicKey(c.SignKey))
		if err != nil {
			return others, err
		}
		if s.Serial.String() != c.Serial || !bytes.Equal(s.Nonce, asked.Nonce) {
			return others, license.Errorf(license.CodeGuardRefused, "retry the rollout",
				"the statement of backend %d answers another request", i+1)
		}
		others[i] = s.Licenses
	}
	return others, nil
}

// activated verifies a receipt, stores it, and counts the container's firm
// update counter on.
func (w *rolloutWorker) activated(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, backend int, g core.LoadedPlace, r tasks.LinkReport) (rollout.Digest, error) {
	c := g.Containers[backend-1]
	if len(r.Receipt) == 0 {
		return rollout.Digest{}, license.Errorf(license.CodeReceiptForged, "retry the rollout", "%s gave no receipt", g.Backend(backend))
	}
	receipt, err := seal.OpenReceipt(r.Receipt, ed25519.PublicKey(c.SignKey))
	if err != nil {
		return rollout.Digest{}, err
	}
	u, err := dueUpdate(ctx, tx, s, g, backend)
	if err != nil {
		return rollout.Digest{}, err
	}
	if receipt.Serial.String() != c.Serial || receipt.Firm != license.FirmCode(u.Edges.Firm.Code) || receipt.Number != u.Number {
		return rollout.Digest{}, license.Errorf(license.CodeReceiptForged, "retry the rollout",
			"the receipt of %s is for another update", g.Backend(backend))
	}
	digest := rollout.Digest(receipt.Update)
	if digest != s.Due(backend) {
		return digest, nil // the state machine holds the rollout
	}
	return digest, containers.CountInstalled(ctx, tx, c, u, r.Receipt)
}

// issue makes the updates in two steps, so that what is signed is
// recorded before it is signed: the first seals them and stores the bytes to be
// signed, the second signs just these.
func (w *rolloutWorker) issue(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, g core.LoadedPlace) (digests [license.Backends]rollout.Digest, prepared bool, err error) {
	f, err := tx.Firm.Query().Where(firm.Code(row.Firm)).Only(ctx)
	if err != nil {
		return digests, false, err
	}
	var missing []int
	var issued [license.Backends]*ent.Update
	for i, c := range g.Containers {
		u, err := tx.Update.Query().Where(update.RolloutID(row.ID), update.ContainerID(c.ID)).Only(ctx)
		switch {
		case ent.IsNotFound(err):
			missing = append(missing, i)
		case err != nil:
			return digests, false, err
		case len(u.Digest) == 0 && !seal.PreparedCert(u.Content, f.Cert):
			// The firm's key was rotated since, and it is not signed yet.
			if err := tx.Update.DeleteOne(u).Exec(ctx); err != nil {
				return digests, false, err
			}
			missing = append(missing, i)
		}
		issued[i] = u
	}
	if len(missing) > 0 {
		return digests, true, w.prepare(ctx, tx, row, s, g, f, missing)
	}
	for i := range g.Containers {
		if u := issued[i]; len(u.Digest) > 0 {
			digests[i] = rollout.Digest(u.Digest)
		} else if digests[i], err = w.platform.sign(ctx, tx, f, u); err != nil {
			return digests, false, err
		}
	}
	return digests, false, nil
}

// sign signs a recorded update.
func (p *Service) sign(ctx context.Context, tx *store.Tx, f *ent.Firm, u *ent.Update) (rollout.Digest, error) {
	signer, err := p.core.FirmSigner(ctx, f)
	if err != nil {
		return rollout.Digest{}, err
	}
	signed, err := seal.SignUpdate(signer, u.Content)
	if err != nil {
		return rollout.Digest{}, err
	}
	digest := seal.Digest(signed)
	return digest, tx.Update.UpdateOne(u).SetBytes(signed).SetDigest(digest[:]).Exec(ctx)
}

func (w *rolloutWorker) prepare(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, g core.LoadedPlace, f *ent.Firm, missing []int) error {
	var group *seal.Group
	var err error
	if !g.Single() {
		if group, err = sealedGroup(g); err != nil {
			return err
		}
	}
	for _, i := range missing {
		c := g.Containers[i]
		set, err := catalog.Grants(ctx, w.platform.core, tx, f, s.Brings(i+1))
		if err != nil {
			return err
		}
		payload := seal.Payload{Group: group, Set: set, Remove: s.Removes}
		step := s.Steps[i]
		to := seal.PublicIdentity{Sign: ed25519.PublicKey(c.SignKey), Seal: c.SealKey}
		content, err := seal.PrepareUpdate(f.Cert, to, seal.UpdateHeader{
			Firm: license.FirmCode(f.Code), Serial: step.Found.Serial, Identity: to.Digest(),
			Number: s.Number(i + 1), Previous: step.Found.Previous, IssuedAt: core.Now(),
		}, payload)
		if err != nil {
			return err
		}
		if err := tx.Update.Create().SetVendorID(row.VendorID).SetNillableCustomerID(row.CustomerID).
			SetRolloutID(row.ID).SetContainerID(c.ID).SetFirmID(f.ID).SetNumber(s.Number(i + 1)).
			SetPrevious(step.Found.Previous[:]).SetContent(content).SetTmrID(row.TmrID).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sealedGroup is what the containers are told of their group.
func sealedGroup(g core.LoadedPlace) (*seal.Group, error) {
	virtual, err := license.ParseSerial(g.Group.VirtualSerial)
	if err != nil {
		return nil, err
	}
	out := &seal.Group{Virtual: virtual, TokenKey: ed25519.PublicKey(g.Group.TokenKey)}
	copy(out.ActivationID[:], g.Group.ActivationID)
	for i, c := range g.Containers {
		serial, err := license.ParseSerial(c.Serial)
		if err != nil {
			return nil, err
		}
		out.Members[i] = seal.Member{Serial: serial, Key: ed25519.PublicKey(c.SignKey)}
	}
	return out, nil
}
