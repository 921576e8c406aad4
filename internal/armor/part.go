package armor

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// Part is what one message says of itself. Exactly one of the four is set.
type Part struct {
	Serial  license.Serial
	At      time.Time
	Message []byte

	Request *seal.Fingerprint // its own signature holds
	Update  *Issued           // the signature by its firm key holds
	Receipt *seal.Receipt     // nothing was verified
	// Time is a time certificate, which stands among the updates. Nothing was
	// verified: only the root key could.
	Time *seal.TimeCertificate
}

// Issued is an update as it can be read from outside.
type Issued struct {
	Header seal.UpdateHeader
	Key    seal.FirmCert // the certificate as it claims to be
	Digest [32]byte
}

// mostListed is how many firms a header lists.
const mostListed = 8

func (p Part) header() string {
	switch {
	case p.Update != nil:
		return fmt.Sprintf("%s; firm %d; number %d", p.Serial, p.Update.Header.Firm, p.Update.Header.Number)
	case p.Receipt != nil:
		return fmt.Sprintf("%s; firm %d; number %d", p.Serial, p.Receipt.Firm, p.Receipt.Number)
	case p.Time != nil:
		return fmt.Sprintf("%s; time %s", p.Serial, p.Time.At.UTC().Format(time.RFC3339))
	}
	var b strings.Builder
	b.WriteString(p.Serial.String())
	for i, s := range p.Request.Firms {
		if i == mostListed {
			fmt.Fprintf(&b, "; %d firms in all", len(p.Request.Firms))
			break
		}
		fmt.Fprintf(&b, "; firm %d; number %d", s.Firm, s.Counter)
	}
	return b.String()
}

// Parts reads the messages of a file, in order, and checks that they belong
// together: one container, or three of one group; no fingerprint, update or
// receipt twice, and one time certificate of each container at most. Errors:
// those of Parse.
func Parts(f File) ([]Part, error) {
	s, ok := f.Kind.spec()
	if !ok {
		return nil, license.Errorf(license.CodeInvalidInput, "make a request, an update or a receipt", "%q is no kind of file", f.Kind)
	}
	grouped := f.Group != (license.Serial{})
	if grouped && (f.Group.Kind() != license.KindVirtual || f.Group.Number == 0) {
		return nil, s.damage("its group %s is no virtual container", f.Group)
	}
	type message struct {
		serial license.Serial
		firm   license.FirmCode
		number uint64
		time   bool
	}
	seen := map[message]bool{}
	containers := map[license.Serial]bool{}
	parts := make([]Part, 0, len(f.Messages))
	for _, b := range f.Messages {
		p, err := f.Kind.part(b)
		if err != nil {
			return nil, err
		}
		m := message{serial: p.Serial}
		switch {
		case p.Update != nil:
			m.firm, m.number = p.Update.Header.Firm, p.Update.Header.Number
		case p.Receipt != nil:
			m.firm, m.number = p.Receipt.Firm, p.Receipt.Number
		case p.Time != nil:
			m.time = true
		}
		if seen[m] {
			return nil, s.damage("it has something twice for the container %s", p.Serial)
		}
		seen[m], containers[p.Serial] = true, true
		parts = append(parts, p)
	}
	switch {
	case grouped && len(containers) != license.Backends:
		return nil, s.damage("it is for a TMR group, and has %d containers instead of %d", len(containers), license.Backends)
	case !grouped && len(containers) != 1:
		return nil, s.damage("it is for one container, and has %d", len(containers))
	}
	for _, p := range parts {
		if p.Request != nil && (p.Request.ActivationID != parts[0].Request.ActivationID || !p.Request.Root.Equal(parts[0].Request.Root)) {
			return nil, s.damage("its containers %s and %s belong to different groups or platforms", parts[0].Serial, p.Serial)
		}
	}
	return parts, nil
}

func (k Kind) part(b []byte) (Part, error) {
	switch {
	case k == Update && seal.IsTime(b):
		c, err := seal.ClaimTime(b)
		return Part{Serial: c.Serial, At: c.At, Message: b, Time: &c}, err
	case k == Request:
		f, err := seal.OpenFingerprint(b)
		return Part{Serial: f.Serial, At: f.At, Message: b, Request: &f}, err
	case k == Update:
		h, cert, err := seal.ClaimUpdate(b)
		return Part{Serial: h.Serial, At: h.IssuedAt, Message: b, Update: &Issued{Header: h, Key: cert, Digest: seal.Digest(b)}}, err
	default:
		r, err := seal.ClaimReceipt(b)
		return Part{Serial: r.Serial, At: r.At, Message: b, Receipt: &r}, err
	}
}

// Split tells the updates of a file, in order, from its time certificates.
func Split(parts []Part) (updates, times []Part) {
	for _, p := range parts {
		if p.Time != nil {
			times = append(times, p)
		} else {
			updates = append(updates, p)
		}
	}
	return updates, times
}
