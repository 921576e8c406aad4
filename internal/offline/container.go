package offline

import (
	"fmt"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
)

// Container is a container whose server doesn't run; *container.Container is
// one.
type Container interface {
	Serial() license.Serial
	Stage(update []byte) (container.Staged, error)
	Activate(digest [32]byte, statements [][]byte) (receipt []byte, err error)
	Moment() license.Moment
	Certify(certificate []byte) error
}

// ApplyTo installs the updates of a file for one container, in order, and gives
// their receipts. It may be repeated: what is installed gives its receipt
// again. A container that already holds licenses of a TMR group refuses, since
// nobody can say that the other two carry them meanwhile. Errors: those of
// container.Stage, container.Activate and, for a time certificate, which comes
// first, container.Certify; a stale one stops no update. license.CodeInvalidInput
// for a whole group's file.
func ApplyTo(c Container, f armor.File, tell func(Step)) ([][]byte, error) {
	parts, err := armor.Parts(f)
	if err != nil {
		return nil, err
	}
	switch {
	case f.Kind != armor.Update:
		return nil, license.Errorf(license.CodeInvalidInput, "apply the update file that the platform gave", "that is a %s file, not an update", f.Kind)
	case !f.Group.IsZero():
		return nil, license.Errorf(license.CodeInvalidInput, "apply it through the group's active TMR server: quorate apply --server URL",
			"the file is for the whole TMR group %s: its backends are updated one at a time, each while the others carry the licenses", f.Group)
	}
	parts, times := armor.Split(parts)
	for _, p := range parts {
		if p.Serial != c.Serial() { // told before its time certificate, which would be refused as forged
			return nil, license.Errorf(license.CodeUpdateForeign, "apply it to the container that it is for", "the update is for the container %s, this one is %s", p.Serial, c.Serial())
		}
	}
	if err := certifyOne(c, times, len(parts) > 0, tell); err != nil {
		return nil, err
	}
	var receipts [][]byte
	for i, p := range parts {
		staged, err := c.Stage(p.Message)
		if license.CodeOf(err) == license.CodeUpdateReplayed && followed(parts[i+1:], p) {
			continue // passed by one that comes
		}
		if err != nil {
			return nil, err
		}
		h := p.Update.Header
		if staged.Installed {
			receipts = append(receipts, staged.Receipt)
			tell(Step{Kind: Activated, Message: fmt.Sprintf("update %d of firm %d is installed in %s already", h.Number, h.Firm, p.Serial)})
			continue
		}
		receipt, err := c.Activate(staged.Digest, nil)
		if err != nil {
			return nil, err
		}
		receipts = append(receipts, receipt)
		tell(Step{Kind: Activated, Message: fmt.Sprintf("update %d of firm %d is installed in %s", h.Number, h.Firm, p.Serial)})
	}
	return receipts, nil
}

func followed(rest []armor.Part, p armor.Part) bool {
	for _, other := range rest {
		if other.Update.Header.Firm == p.Update.Header.Firm && other.Update.Header.Number > p.Update.Header.Number {
			return true
		}
	}
	return false
}
