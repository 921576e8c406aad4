package platform

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/firmcounter"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

const nonceSize = 32

// ask makes the work item for an action that a TMR server carries out.
func (w *rolloutWorker) ask(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, a rollout.Action, g place) (_ rollout.Event, err error) {
	item := LinkWork{Position: a.Backend}
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
		item.Updates = []BackendUpdate{toBackend(a.Backend, u)}
	case rollout.Verify:
		item.Kind = property.WorkVerify
		item.Settle = w.platform.settle
		for _, l := range s.After(a.Backend) {
			item.Expect = append(item.Expect, Expected{Product: l.Product, TMRID: l.Options.TMRID})
		}
	default:
		return nil, fmt.Errorf("nobody does %s", a.Kind)
	}
	_, err = w.platform.addWork(ctx, tx, g, &row.ID, row.ID+"/"+a.Key, item)
	return nil, err
}

func newNonce() []byte {
	n := make([]byte, nonceSize)
	_, _ = rand.Read(n) // never fails
	return n
}

// answer turns a reported work item into the event that it amounts to. Nothing
// in it is believed but what a container has signed.
func (w *rolloutWorker) answer(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, a rollout.Action, g place, item *ent.Work) (rollout.Event, error) {
	if item.State == property.WorkFailed {
		return rollout.Failed{At: now(), Key: a.Key, Code: license.Code(item.ErrorCode), Message: item.ErrorMessage}, nil
	}
	asked, err := linkWork(item)
	if err != nil {
		return nil, err
	}
	var report LinkReport
	if len(item.Result) > 0 {
		if err := json.Unmarshal(item.Result, &report); err != nil {
			return nil, fmt.Errorf("the result of %s can't be read: %w", item.ID, err)
		}
	}
	switch a.Kind {
	case rollout.Collect:
		found, err := w.collected(ctx, tx, row, s, g, asked, report)
		return rollout.Collected{At: now(), Key: a.Key, Found: found}, err
	case rollout.Stage:
		return rollout.Staged{At: now(), Key: a.Key}, nil
	case rollout.AskOthers:
		others, err := stated(a.Backend, g, asked, report)
		return rollout.Guarded{At: now(), Key: a.Key, Others: others}, err
	case rollout.Activate:
		digest, err := w.activated(ctx, tx, row, s, a.Backend, g, report)
		return rollout.Activated{At: now(), Key: a.Key, Update: digest}, err
	case rollout.Verify:
		return rollout.Verified{At: now(), Key: a.Key}, nil
	}
	return nil, fmt.Errorf("nobody answers %s", a.Kind)
}

// collected checks the fingerprints against what is recorded. One that says
// anything else puts its container under suspicion.
func (w *rolloutWorker) collected(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, g place, asked LinkWork, r LinkReport) (found [license.Backends]rollout.Found, err error) {
	root, err := w.platform.rootKey(ctx, tx)
	if err != nil {
		return found, err
	}
	firm, err := tx.Firm.Query().Where(firm.Code(row.Firm)).Only(ctx)
	if err != nil {
		return found, err
	}
	for i, c := range g.containers {
		signed, err := of(r.Fingerprints, i+1)
		if err != nil {
			return found, err
		}
		f, err := seal.OpenFingerprint(signed)
		if err != nil {
			return found, err
		}
		if !bytes.Equal(f.Nonce, asked.Nonce) {
			return found, license.Errorf(license.CodeFingerprintForged, "retry the rollout",
				"the fingerprint of %s answers another request", g.backend(i+1))
		}
		if found[i], err = foundIn(ctx, tx, g, c, f, firm, root); err != nil {
			var odd *suspect
			if errors.As(err, &odd) {
				return found, odd.mark(ctx, tx, &row.ID, signed)
			}
			return found, err
		}
	}
	if g.single() {
		return found, nil
	}
	return found, comparable3(found, s.Terms)
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
func stated(backend int, g place, asked LinkWork, r LinkReport) (others [license.Backends][]license.Held, err error) {
	for i, c := range g.containers {
		if i+1 == backend {
			continue
		}
		signed, err := of(r.Statements, i+1)
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
func (w *rolloutWorker) activated(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, backend int, g place, r LinkReport) (rollout.Digest, error) {
	c := g.containers[backend-1]
	if len(r.Receipt) == 0 {
		return rollout.Digest{}, license.Errorf(license.CodeReceiptForged, "retry the rollout", "%s gave no receipt", g.backend(backend))
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
			"the receipt of %s is for another update", g.backend(backend))
	}
	digest := rollout.Digest(receipt.Update)
	if digest != s.Due(backend) {
		return digest, nil // the state machine holds the rollout
	}
	return digest, countInstalled(ctx, tx, c, u, r.Receipt)
}

// countInstalled stores the receipt of an installed update, where there is one,
// and counts the container's firm update counter on.
func countInstalled(ctx context.Context, tx *store.Tx, c *ent.Container, u *ent.Update, receipt []byte) error {
	if receipt != nil {
		if err := tx.Update.UpdateOne(u).SetReceipt(receipt).Exec(ctx); err != nil {
			return err
		}
	}
	n, err := tx.FirmCounter.Update().Where(firmcounter.ContainerID(c.ID), firmcounter.FirmID(u.FirmID)).
		SetCounter(u.Number).SetDigest(u.Digest).Save(ctx)
	if err != nil || n == 1 {
		return err
	}
	return tx.FirmCounter.Create().SetVendorID(c.VendorID).SetNillableCustomerID(c.CustomerID).
		SetContainerID(c.ID).SetFirmID(u.FirmID).SetCounter(u.Number).SetDigest(u.Digest).Exec(ctx)
}

// issue makes the updates in two steps, so that what is signed is
// recorded before it is signed: the first seals them and stores the bytes to be
// signed, the second signs just these.
func (w *rolloutWorker) issue(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, g place) (digests [license.Backends]rollout.Digest, prepared bool, err error) {
	f, err := tx.Firm.Query().Where(firm.Code(row.Firm)).Only(ctx)
	if err != nil {
		return digests, false, err
	}
	updates, err := tx.Update.Query().Where(update.RolloutID(row.ID)).All(ctx)
	if err != nil {
		return digests, false, err
	}
	if len(updates) == 0 {
		return digests, true, w.prepare(ctx, tx, row, s, g, f)
	}
	if slices.ContainsFunc(updates, func(u *ent.Update) bool { return !seal.PreparedCert(u.Content, f.Cert) }) {
		// The firm's key was rotated since, and nothing is signed yet.
		if _, err := tx.Update.Delete().Where(update.RolloutID(row.ID)).Exec(ctx); err != nil {
			return digests, false, err
		}
		return digests, true, w.prepare(ctx, tx, row, s, g, f)
	}
	signer, err := w.platform.firmSigner(ctx, f)
	if err != nil {
		return digests, false, err
	}
	for i, c := range g.containers {
		for _, u := range updates {
			if u.ContainerID != c.ID {
				continue
			}
			signed, err := seal.SignUpdate(signer, u.Content)
			if err != nil {
				return digests, false, err
			}
			digests[i] = seal.Digest(signed)
			if err := tx.Update.UpdateOne(u).SetBytes(signed).SetDigest(digests[i][:]).Exec(ctx); err != nil {
				return digests, false, err
			}
		}
		if digests[i] == (rollout.Digest{}) {
			return digests, false, errors.New("an update is missing")
		}
	}
	return digests, false, nil
}

func (w *rolloutWorker) prepare(ctx context.Context, tx *store.Tx, row *ent.Rollout, s rollout.State, g place, f *ent.Firm) error {
	var group *seal.Group
	var err error
	if !g.single() {
		if group, err = sealedGroup(g); err != nil {
			return err
		}
	}
	for i, c := range g.containers {
		set, err := w.platform.grants(ctx, tx, f, s.Brings(i+1))
		if err != nil {
			return err
		}
		payload := seal.Payload{Group: group, Set: set, Remove: s.Removes}
		step := s.Steps[i]
		to := seal.PublicIdentity{Sign: ed25519.PublicKey(c.SignKey), Seal: c.SealKey}
		content, err := seal.PrepareUpdate(f.Cert, to, seal.UpdateHeader{
			Firm: license.FirmCode(f.Code), Serial: step.Found.Serial, Identity: to.Digest(),
			Number: s.Number(i + 1), Previous: step.Found.Previous, IssuedAt: now(),
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
func sealedGroup(g place) (*seal.Group, error) {
	virtual, err := license.ParseSerial(g.group.VirtualSerial)
	if err != nil {
		return nil, err
	}
	out := &seal.Group{Virtual: virtual, TokenKey: ed25519.PublicKey(g.group.TokenKey)}
	copy(out.ActivationID[:], g.group.ActivationID)
	for i, c := range g.containers {
		serial, err := license.ParseSerial(c.Serial)
		if err != nil {
			return nil, err
		}
		out.Members[i] = seal.Member{Serial: serial, Key: ed25519.PublicKey(c.SignKey)}
	}
	return out, nil
}
