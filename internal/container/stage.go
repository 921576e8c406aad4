package container

import (
	"bytes"
	"crypto/rand"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// NonceLife is how long the nonce of a Stage serves for Activate.
const NonceLife = 5 * time.Second

const nonceSize = 32

// nonce goes along with the staged update, in memory only.
type nonce struct {
	digest [32]byte
	value  []byte // nil: none, or used
	at     time.Time
}

// age is by the clock that runs further: the monotonic one stops while the
// machine sleeps.
func (n nonce) age() time.Duration {
	now := time.Now()
	return max(now.Sub(n.at), now.Round(0).Sub(n.at.Round(0)))
}

// Staged is what Stage did.
type Staged struct {
	Digest [32]byte
	Number uint64
	// Installed: the update is in force already. Receipt is set, and there is
	// nothing to activate.
	Installed bool
	Receipt   []byte
	// Nonce is for the statements that go along with Activate. The next Stage
	// makes another.
	Nonce []byte
}

// Stage verifies and opens an update and writes it beside the licenses, which it
// doesn't disturb. It replaces an update that was staged before. Errors: those
// of seal.OpenUpdate; license.CodeUpdateUntrusted for a firm's key that another
// one has replaced, CodeUpdateForeign for another serial or group,
// CodeUpdateReplayed, CodeUpdateGap, CodeUpdateConflict, CodeInvalidInput for
// terms that no container may hold, CodeTooLarge for more than it has room for.
func (c *Container) Stage(update []byte) (Staged, error) {
	c.write.Lock()
	defer c.write.Unlock()
	s, err := c.load()
	if err != nil {
		return Staged{}, err
	}
	digest := seal.Digest(update)
	h, p, err := seal.OpenUpdate(update, s.root[:], s.identity)
	if err != nil {
		return Staged{}, err
	}
	if i, ok := s.firms[h.Firm]; ok && i.number == h.Number && i.digest == digest {
		return Staged{Digest: digest, Number: h.Number, Installed: true, Receipt: bytes.Clone(i.receipt)}, nil
	}
	if err := s.admit(h, p); err != nil {
		return Staged{}, err
	}
	cert, err := s.admitFirm(update)
	if err != nil {
		return Staged{}, err
	}
	n := nonce{digest: digest, value: make([]byte, nonceSize), at: time.Now()}
	if _, err := rand.Read(n.value); err != nil {
		return Staged{}, unavailable("a nonce could not be made", err)
	}
	if !bytes.Equal(s.staged, update) {
		err := c.change(func(s *state) (*state, error) {
			next := s.clone()
			next.staged = bytes.Clone(update)
			if _, known := s.firms[cert.Firm]; known { // so that there are never more keys than firms
				next.learn(cert)
			}
			return next, nil
		})
		if err != nil {
			return Staged{}, err
		}
	}
	c.nonce = n
	return Staged{Digest: digest, Number: h.Number, Nonce: bytes.Clone(n.value)}, nil
}

// admit says whether a verified update may be installed on this state.
func (s *state) admit(h seal.UpdateHeader, p seal.Payload) error {
	if h.Serial != s.serial {
		return license.Errorf(license.CodeUpdateForeign, "install it on the container it is for", "the update is for the container %s, this one is %s", h.Serial, s.serial)
	}
	i := s.firms[h.Firm]
	switch {
	case h.Number == i.number:
		return license.Errorf(license.CodeUpdateConflict, "tell the vendor: somebody issued two updates of one number", "another update of firm %d with the number %d is installed", h.Firm, h.Number)
	case h.Number < i.number:
		return license.Errorf(license.CodeUpdateReplayed, "install the newest update", "the update has the number %d, and number %d of firm %d is installed", h.Number, i.number, h.Firm)
	case h.Number != i.number+1:
		return license.Errorf(license.CodeUpdateGap, "install the missing updates first", "the update has the number %d, and only number %d of firm %d is installed", h.Number, i.number, h.Firm)
	case h.Previous != i.digest:
		return license.Errorf(license.CodeUpdateConflict, "tell the vendor: his record of this container is not what it holds", "the update with the number %d follows another update than the installed one of firm %d", h.Number, h.Firm)
	}
	if err := s.admitGroup(p.Group); err != nil {
		return err
	}
	for _, g := range p.Set {
		if err := s.admitGrant(g.License, p.Group); err != nil {
			return err
		}
	}
	if err := s.admitSize(p); err != nil {
		return err
	}
	if _, known := s.firms[h.Firm]; !known && len(s.firms) >= seal.MostFirms {
		return license.Errorf(license.CodeTooLarge, "use another container", "the container has updates of %d firms already", len(s.firms))
	}
	return nil
}

// admitSize says whether what the container would hold fits it, and its
// fingerprints.
func (s *state) admitSize(p seal.Payload) error {
	next := s.clone()
	next.apply(p)
	switch count := len(next.licenses); {
	case count > seal.MostLicenses:
		return license.Errorf(license.CodeTooLarge, "use another container for the rest", "the container would hold %d licenses: at most %d are possible", count, seal.MostLicenses)
	case !seal.HoldingsFit(next.held()):
		return license.Errorf(license.CodeTooLarge, "shorten texts and access lists, or use another container for the rest", "the %d licenses that the container would hold are too long for its fingerprints", count)
	case len(next.meteredProducts()) > seal.MostMeters:
		return tooManyMeters()
	}
	return nil
}

// admitFirm gives the certificate of a verified update if the firm's key is the
// newest that this container has seen, or follows from it by rotations.
func (s *state) admitFirm(update []byte) (seal.FirmCert, error) {
	cert, err := seal.UpdateCert(update, s.root[:])
	if err != nil {
		return cert, err
	}
	if known, ok := s.keys[cert.Firm]; ok {
		return cert, cert.Succeeds(known)
	}
	if s.firms[cert.Firm].number > 0 {
		// Installed when keys were not kept yet, so under the firm's first one.
		return cert, cert.Succeeds(seal.FirmCert{Firm: cert.Firm, Serial: 1})
	}
	return cert, nil
}

// learn keeps the firm's key of an admitted update.
func (s *state) learn(c seal.FirmCert) {
	s.keys[c.Firm] = seal.FirmCert{Firm: c.Firm, Serial: c.Serial, Key: c.Key}
}

// admitGroup checks that a group is this container's, and stays the same one.
func (s *state) admitGroup(g *seal.Group) error {
	if g == nil {
		return nil
	}
	if g.ActivationID != s.activation {
		return license.Errorf(license.CodeUpdateForeign, "use containers that were created for the group", "the update's TMR group has another activation id than the container %s", s.serial)
	}
	if _, ok := s.position(*g); !ok {
		return license.Errorf(license.CodeUpdateForeign, "install it on a member of the group", "the container %s is no member of the update's TMR group", s.serial)
	}
	if s.group != nil && s.group.Virtual != g.Virtual {
		return license.Errorf(license.CodeUpdateConflict, "use a new container for another group", "the container %s is in the TMR group %s, the update is for %s", s.serial, s.group.Virtual, g.Virtual)
	}
	return nil
}

// position gives this container's place in a group.
func (s *state) position(g seal.Group) (int, bool) {
	own := s.identity.Public().Sign
	for i, m := range g.Members {
		if m.Serial == s.serial && bytes.Equal(m.Key, own) {
			return i, true
		}
	}
	return 0, false
}

// admitGrant checks a license against the one that it replaces.
func (s *state) admitGrant(next license.Held, group *seal.Group) error {
	id := next.Options.TMRID
	if id != 0 && group == nil && s.group == nil {
		return license.Errorf(license.CodeInvalidInput, "roll it out to a TMR group", "the license for %s has a TMR-ID, and the container %s is in no TMR group", next.Product, s.serial)
	}
	if next.Predecessor != nil && id != 0 && next.Predecessor.TMRID >= id {
		return license.Errorf(license.CodeInvalidInput, "have the vendor issue it again", "the license for %s with TMR-ID #%d replaces #%d, which is not older", next.Product, id, next.Predecessor.TMRID)
	}
	if used := s.lastIssue(next.Product); next.Options.Issue < used {
		return license.Errorf(license.CodeUpdateConflict, "have the vendor issue it with the newest issue", "the license for %s has the issue %d, and units or its usage period were used under issue %d", next.Product, next.Options.Issue, used)
	}
	g, ok := s.licenses[next.Product]
	if !ok || id == 0 {
		return nil
	}
	now := g.License
	switch {
	case id < now.Options.TMRID, id == now.Options.TMRID && !next.Options.Equal(now.Options):
		return license.Errorf(license.CodeUpdateConflict, "have the vendor issue it with a new TMR-ID", "the license for %s has TMR-ID #%d, and the update brings other terms under #%d", next.Product, now.Options.TMRID, id)
	case next.Predecessor == nil:
		return nil
	}
	// What this container may be vouching for now: its license, or, where that
	// never came into force, the terms before it. A predecessor older than both
	// can't be what is in force.
	oldest := now.Options.TMRID
	if now.Predecessor != nil {
		oldest = min(oldest, now.Predecessor.TMRID)
	}
	if next.Predecessor.TMRID < oldest {
		return license.Errorf(license.CodeUpdateConflict, "have the vendor issue it again", "the update's terms before for %s are #%d, older than #%d, which the container holds", next.Product, next.Predecessor.TMRID, oldest)
	}
	return nil
}
