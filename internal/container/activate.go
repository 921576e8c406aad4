package container

import (
	"bytes"
	"crypto/subtle"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// guardFix is what to do after the guard refused: its nonce is used up.
const guardFix = "see that the other two backends are up and hold the license, then stage the update again and activate it with new statements"

// Activate swaps the staged update in, in one transaction, and gives the signed
// receipt; for an update that is installed already, the stored one. In a TMR
// group the statements of the two other members, over the nonce of the last
// Stage, must show that they alone carry what is in force. Errors:
// license.CodeUpdateNotStaged, CodeGuardRefused (the nonce is used up then), and
// those of Stage.
func (c *Container) Activate(digest [32]byte, statements [][]byte) ([]byte, error) {
	c.write.Lock()
	defer c.write.Unlock()
	before, err := c.load()
	if err != nil {
		return nil, err
	}
	for _, i := range before.firms {
		if i.digest == digest && i.number != 0 {
			return bytes.Clone(i.receipt), nil
		}
	}
	if before.staged == nil || seal.Digest(before.staged) != digest {
		return nil, license.Errorf(license.CodeUpdateNotStaged, "stage it first", "the update to activate is not staged")
	}
	h, p, err := seal.OpenUpdate(before.staged, before.root[:], before.identity)
	if err != nil {
		return nil, err
	}
	if err := before.admit(h, p); err != nil {
		return nil, err
	}
	cert, err := before.admitFirm(before.staged)
	if err != nil {
		return nil, err
	}
	if err := c.guard(before, digest, p, statements); err != nil {
		return nil, err
	}
	receipt, err := seal.SignReceipt(before.identity, seal.Receipt{
		Serial: before.serial, Firm: h.Firm, Number: h.Number, Update: digest, At: time.Now(),
	})
	if err != nil {
		return nil, err
	}
	err = c.change(func(s *state) (*state, error) {
		next := s.clone()
		next.apply(p)
		next.learn(cert)
		next.firms[h.Firm] = installed{number: h.Number, digest: digest, receipt: receipt}
		next.staged = nil
		next.version++
		return next, nil
	})
	if err != nil {
		return nil, err
	}
	return bytes.Clone(receipt), nil
}

// apply changes what is held; what was used stays.
func (s *state) apply(p seal.Payload) {
	for _, g := range p.Set {
		s.licenses[g.License.Product] = g
	}
	for _, q := range p.Remove {
		delete(s.licenses, q)
	}
	for _, g := range p.Set {
		s.settleMeters(g.License.Product)
	}
	if p.Group != nil {
		s.group = p.Group
	}
}

// guard refuses an activation that the other two members could not bridge. It
// uses the nonce up. It needs c.write.
func (c *Container) guard(s *state, digest [32]byte, p seal.Payload, statements [][]byte) error {
	own := c.nonce
	c.nonce = nonce{}
	group := p.Group
	if group == nil {
		group = s.group
	}
	if group == nil {
		return nil
	}
	held := s.held()
	gives := false
	for _, h := range held {
		gives = gives || h.Options.TMRID != 0
	}
	if !gives && len(statements) == 0 {
		return nil
	}
	switch {
	case own.value == nil || own.digest != digest:
		return license.Errorf(license.CodeGuardRefused, guardFix, "the nonce for the statements is used up, or was made before the license server started")
	case own.age() > NonceLife:
		return license.Errorf(license.CodeGuardRefused, guardFix, "the nonce for the statements is older than %s", NonceLife)
	}
	position, ok := s.position(*group)
	if !ok {
		return license.Errorf(license.CodeGuardRefused, guardFix, "the container %s is no member of its TMR group", s.serial)
	}
	alone, err := witnesses(*group, position, own.value, statements)
	if err != nil {
		return err
	}
	together := alone
	together[position] = license.Observation{Presence: license.Present, Licenses: held}
	without := license.Merge(license.View{}, alone)
	for _, now := range license.Merge(license.View{}, together).Licenses {
		if !now.InForce {
			continue
		}
		left, _ := without.Find(now.Product)
		if !left.InForce || left.Options.TMRID < now.Options.TMRID {
			return license.Errorf(license.CodeGuardRefused, guardFix, "the other two backends alone would not carry the license for %s with TMR-ID #%d", now.Product, now.Options.TMRID)
		}
	}
	return nil
}

// witnesses verifies one statement of each other member.
func witnesses(group seal.Group, own int, nonce []byte, statements [][]byte) ([license.Backends]license.Observation, error) {
	var obs [license.Backends]license.Observation
	if len(statements) != license.Backends-1 {
		return obs, license.Errorf(license.CodeGuardRefused, guardFix, "%d statements were given: one of each of the two other members is needed", len(statements))
	}
	for _, b := range statements {
		at, s, err := witness(group, own, b)
		if err != nil {
			return obs, err
		}
		if obs[at].Presence == license.Present {
			return obs, license.Errorf(license.CodeGuardRefused, guardFix, "both statements are of the container %s", s.Serial)
		}
		if subtle.ConstantTimeCompare(s.Nonce, nonce) != 1 {
			return obs, license.Errorf(license.CodeGuardRefused, guardFix, "the statement of the container %s is not over this update's nonce", s.Serial)
		}
		obs[at] = license.Observation{Presence: license.Present, Licenses: s.Licenses}
	}
	return obs, nil
}

func witness(group seal.Group, own int, b []byte) (int, seal.Statement, error) {
	var err error
	for i, m := range group.Members {
		if i == own {
			continue
		}
		var s seal.Statement
		if s, err = seal.OpenStatement(b, m.Key); err == nil && s.Serial == m.Serial {
			return i, s, nil
		}
	}
	// A statement that is broken in itself says so; one that is sound but of
	// somebody else doesn't verify with either key.
	if code := license.CodeOf(err); code == license.CodeFormatUnknown || code == license.CodeTooLarge {
		return 0, seal.Statement{}, err
	}
	return 0, seal.Statement{}, license.Errorf(license.CodeGuardRefused, guardFix, "a statement is not signed by one of the two other members")
}
