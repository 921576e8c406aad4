package containers

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/quorate/quorate/ent"
	entfirm "github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/firmcounter"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

// Suspect is the error about a container whose state nobody knows.
type Suspect struct {
	Container *ent.Container
	Reason    string
}

func (e *Suspect) Error() string { return e.Reason }

// Mark puts the container under suspicion until a person decides, keeps the
// fingerprint for that, and gives the error to tell. The transaction has to be
// committed. fingerprint may be nil.
func (e *Suspect) Mark(ctx context.Context, p *core.Core, tx *store.Tx, rollout *string, fingerprint []byte) error {
	c := e.Container
	change := tx.Container.UpdateOne(c).SetManipulationSuspected(true).SetSuspectReason(core.ClipNote(e.Reason))
	if fingerprint != nil {
		change.SetSuspectFingerprint(fingerprint)
	}
	if err := change.Exec(ctx); err != nil {
		return err
	}
	after := map[string]any{"manipulationSuspected": true, "reason": e.Reason}
	if rollout != nil {
		after["rollout"] = *rollout
	}
	if err := core.Audit(ctx, tx, c.VendorID, "container.suspect", c.ID,
		map[string]any{"manipulationSuspected": c.ManipulationSuspected}, after); err != nil {
		return err
	}
	if err := p.EmitContainer(ctx, tx, c, core.EventContainerSuspected, e.Reason); err != nil {
		return err
	}
	return license.Errorf(license.CodeManipulation,
		"find out whether the container was copied or restored from a backup; a person has to decide what becomes of it",
		"the state of container %s is not the recorded one: %s", c.Serial, e.Reason)
}

// Undecided is the error while a person has to decide about a container that
// is in no group.
func Undecided(c *ent.Container) error {
	if !c.ManipulationSuspected || c.TmrGroupID != nil {
		return nil
	}
	return license.Errorf(license.CodeManipulation, "decide whether its state is accepted, or block it",
		"the container %s is suspected: %s", c.Serial, c.SuspectReason)
}

// FoundIn checks a fingerprint of a place's container against what is recorded.
// An update that the platform issued and has no receipt for counts as installed
// where the fingerprint shows it. What a container misses is to be installed
// first; own is the rollout that it is looked at for, "" for one that is to be
// made. The error is *suspect for a state that the platform doesn't know.
func FoundIn(ctx context.Context, tx *store.Tx, t core.LoadedPlace, c *ent.Container, f seal.Fingerprint, firm *ent.Firm, own string, root ed25519.PublicKey) (rollout.Found, error) {
	if err := core.BlockedError(c); err != nil {
		return rollout.Found{}, err
	}
	if err := Undecided(c); err != nil {
		return rollout.Found{}, err
	}
	if err := adopt(ctx, tx, c, f); err != nil {
		return rollout.Found{}, err
	}
	if reason := Suspicion(f, c, root); reason != "" {
		return rollout.Found{}, &Suspect{c, reason}
	}
	if err := GoesOn(ctx, tx, f, c); err != nil {
		return rollout.Found{}, err
	}
	var state seal.FirmState
	if firm != nil {
		state = FirmState(f, license.FirmCode(firm.Code))
	}
	found := rollout.Found{Serial: f.Serial, Number: state.Counter, Previous: state.Digest, Licenses: f.Licenses}
	if firm == nil {
		return found, nil
	}
	if !t.Single() {
		return found, lost(ctx, tx, t, c, f, license.FirmCode(firm.Code), own, &found)
	}
	newest, err := newestUpdate(ctx, tx, c.ID, firm.ID)
	if err == nil && newest != nil && newest.Number > found.Number {
		// It gets the missing ones first.
		found.Number, found.Licenses = newest.Number, nil
		copy(found.Previous[:], newest.Digest)
	}
	return found, err
}

// adopt counts what a fingerprint shows installed beyond the receipts, where it
// is what was issued. It changes c's counters too.
func adopt(ctx context.Context, tx *store.Tx, c *ent.Container, f seal.Fingerprint) error {
	if !KeysMatch(f, c) {
		return nil // suspicion tells
	}
	moved := false
	for _, s := range f.Firms {
		if s.Counter <= RecordedState(c, s.Firm).Counter {
			continue
		}
		u, err := IssuedUpdate(ctx, tx, c, s)
		if err != nil {
			return err
		}
		if u == nil {
			continue
		}
		if err := CountInstalled(ctx, tx, c, u, nil); err != nil {
			return err
		}
		moved = true
	}
	if !moved {
		return nil
	}
	fresh, err := core.PlaceOf(ctx, tx, c.ID)
	if err == nil {
		c.Edges.Counters = fresh.Containers[0].Edges.Counters
	}
	return err
}

// IssuedUpdate is the issued update that brings a container into a state, or
// nil.
func IssuedUpdate(ctx context.Context, tx *store.Tx, c *ent.Container, s seal.FirmState) (*ent.Update, error) {
	u, err := tx.Update.Query().Where(update.ContainerID(c.ID), update.Number(s.Counter), update.Digest(s.Digest[:]),
		update.HasFirmWith(entfirm.Code(int(s.Firm)))).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return u, err
}

// older says whether a fingerprint was made before the last one that was
// accepted, by the container's own count.
func older(f seal.Fingerprint, c *ent.Container) bool {
	return len(f.Trail) > 0 && f.Trail[len(f.Trail)-1].Count < c.TrailCount && KeysMatch(f, c)
}

// strayed says in which way a fingerprint doesn't follow from the last one that
// was accepted: then there are two containers, or one that was restored. "" when
// it follows, or nothing can be said.
func strayed(f seal.Fingerprint, c *ent.Container) string {
	if c.TrailCount == 0 {
		return ""
	}
	if len(f.Trail) == 0 {
		return "it does not tell its last fingerprints any more"
	}
	if older(f, c) {
		return fmt.Sprintf("it has counted %d fingerprints, and number %d was seen", f.Trail[len(f.Trail)-1].Count, c.TrailCount)
	}
	if f.Trail[0].Count > c.TrailCount {
		return "" // so long ago that it isn't told any more
	}
	for _, s := range f.Trail {
		if s.Count == c.TrailCount && bytes.Equal(s.Value[:], c.TrailValue) {
			return ""
		}
	}
	return fmt.Sprintf("its fingerprint %d is not the one that was seen: it was copied, or restored from a backup", c.TrailCount)
}

// GoesOn says whether a fingerprint in the recorded state follows from the last
// one that was accepted, and notes it. A file may just be an old one.
func GoesOn(ctx context.Context, tx *store.Tx, f seal.Fingerprint, c *ent.Container) error {
	if older(f, c) && len(f.Nonce) == 0 {
		return license.Errorf(license.CodeRequestStale, "have the license server write a new request",
			"the request of %s is older than one that was handed in already", c.Serial)
	}
	if reason := strayed(f, c); reason != "" {
		return &Suspect{c, reason}
	}
	return Follows(ctx, tx, f, c)
}

// Follows notes an accepted fingerprint as the last one, and what was used.
func Follows(ctx context.Context, tx *store.Tx, f seal.Fingerprint, c *ent.Container) error {
	if len(f.Trail) == 0 {
		return nil
	}
	last := f.Trail[len(f.Trail)-1]
	c.TrailCount, c.TrailValue, c.Meters = last.Count, last.Value[:], metersOf(c.Meters, f)
	return tx.Container.UpdateOneID(c.ID).SetTrailCount(last.Count).SetTrailValue(last.Value[:]).SetMeters(c.Meters).Exec(ctx)
}

// KeysMatch says whether a fingerprint has the serial number and the keys that
// are recorded.
func KeysMatch(f seal.Fingerprint, c *ent.Container) bool {
	return f.Serial.String() == c.Serial && bytes.Equal(f.Identity.Sign, c.SignKey) && bytes.Equal(f.Identity.Seal, c.SealKey)
}

// Suspicion says in which way a fingerprint is not that of the recorded
// container in its recorded state; "" when it is.
func Suspicion(f seal.Fingerprint, c *ent.Container, root ed25519.PublicKey) string {
	recorded := map[license.FirmCode]seal.FirmState{}
	for _, n := range c.Edges.Counters {
		s := seal.FirmState{Firm: license.FirmCode(n.Edges.Firm.Code), Counter: n.Counter}
		copy(s.Digest[:], n.Digest)
		if s.Counter > 0 {
			recorded[s.Firm] = s
		}
	}
	switch {
	case f.Serial.String() != c.Serial:
		return "it answers as " + f.Serial.String()
	case !bytes.Equal(f.ActivationID[:], c.ActivationID):
		return "it has another activation id"
	case !bytes.Equal(f.Identity.Sign, c.SignKey) || !bytes.Equal(f.Identity.Seal, c.SealKey):
		return "its keys are not the recorded ones"
	case !root.Equal(f.Root):
		return "it trusts another platform"
	}

	for _, s := range f.Firms {
		r := recorded[s.Firm]
		delete(recorded, s.Firm)
		if s.Counter != r.Counter {
			return fmt.Sprintf("its update counter for firm %d is %d, recorded is %d", s.Firm, s.Counter, r.Counter)
		}
		if s.Digest != r.Digest {
			return fmt.Sprintf("its update %d for firm %d is not the one that was issued", s.Counter, s.Firm)
		}
	}
	for code, r := range recorded {
		return fmt.Sprintf("its update counter for firm %d is 0, recorded is %d", code, r.Counter)
	}
	return ""
}

// FirmState is how far a container is with a firm's updates, as it shows.
func FirmState(f seal.Fingerprint, code license.FirmCode) seal.FirmState {
	for _, s := range f.Firms {
		if s.Firm == code {
			return s
		}
	}
	return seal.FirmState{Firm: code}
}

// RecordedState is how far a container is with a firm's updates, as recorded.
func RecordedState(c *ent.Container, firm license.FirmCode) seal.FirmState {
	s := seal.FirmState{Firm: firm}
	for _, n := range c.Edges.Counters {
		if license.FirmCode(n.Edges.Firm.Code) == firm {
			s.Counter = n.Counter
			copy(s.Digest[:], n.Digest)
		}
	}
	return s
}

// newestUpdate is the last one issued by a firm for a container, or nil.
func newestUpdate(ctx context.Context, tx *store.Tx, container, firm string) (*ent.Update, error) {
	u, err := tx.Update.Query().Where(update.ContainerID(container), update.FirmID(firm), update.DigestNotNil()).
		Order(ent.Desc(update.FieldNumber)).First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return u, err
}

// CountInstalled stores the receipt of an installed update, where there is one,
// and counts the container's firm update counter on.
func CountInstalled(ctx context.Context, tx *store.Tx, c *ent.Container, u *ent.Update, receipt []byte) error {
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
