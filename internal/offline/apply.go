package offline

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/seal"
)

// Group is the live group of a TMR server; *tmr.Group is one.
type Group interface {
	View() license.View
	Collect(ctx context.Context, nonce []byte) ([license.Backends][]byte, error)
	Fingerprint(ctx context.Context, position int, nonce []byte) ([]byte, error)
	Stage(ctx context.Context, updates []*quoratev1.BackendUpdate) error
	Statements(ctx context.Context, position int, nonce []byte) ([license.Backends][]byte, error)
	Activate(ctx context.Context, position int, u *quoratev1.BackendUpdate) (receipt []byte, err error)
	Verify(ctx context.Context, position int, expect map[license.Product]uint32, settle time.Duration) error
	Receipts(ctx context.Context) ([license.Backends][][]byte, error)
	Certify(ctx context.Context, certificates [][]byte) error
}

// StepKind is what was done.
type StepKind string

// The steps, in order; from Guarded to Verified for each backend.
const (
	Checked   StepKind = "CHECKED"   // the file is right for the three containers
	Certified StepKind = "CERTIFIED" // a container's time is certified
	Warned    StepKind = "WARNED"    // something is not as it should be, and no reason to stop
	Staged    StepKind = "STAGED"    // they are written beside the licenses
	Guarded   StepKind = "GUARDED"   // the other two carry the licenses
	Activated StepKind = "ACTIVATED" // the update is installed, with a receipt
	Verified  StepKind = "VERIFIED"  // the backend serves it steadily
	Done      StepKind = "DONE"
)

// Step is progress.
type Step struct {
	Kind     StepKind
	Position int // of the backend; 0: all three
	Message  string
}

// Applier does offline what a rollout does online. Safe for concurrent use.
type Applier struct {
	group   Group
	virtual license.Serial
	leading func() bool
	settle  time.Duration
	busy    sync.Mutex
}

// DefaultSettle is how long a backend has to serve an update before the next
// one's turn comes.
const DefaultSettle = time.Second

// NewApplier makes an applier for the group behind a virtual container. leading
// says whether this server is the active one; settle 0 is DefaultSettle.
func NewApplier(g Group, virtual license.Serial, leading func() bool, settle time.Duration) *Applier {
	if settle == 0 {
		settle = DefaultSettle
	}
	return &Applier{group: g, virtual: virtual, leading: leading, settle: settle}
}

func (a *Applier) lead() error {
	if a.leading() {
		return nil
	}
	return license.Errorf(license.CodeNotLeader, "run it on the machine of the other TMR server, which is active",
		"this TMR server is not the active one")
}

// Request gives the fingerprints of all three containers, by position.
func (a *Applier) Request(ctx context.Context) ([][]byte, error) {
	if err := a.lead(); err != nil {
		return nil, err
	}
	prints, err := a.group.Collect(ctx, newNonce())
	return prints[:], err
}

// Receipts gives the receipts of what is installed on the three, by position
// and firm.
func (a *Applier) Receipts(ctx context.Context) ([][]byte, error) {
	if err := a.lead(); err != nil {
		return nil, err
	}
	of, err := a.group.Receipts(ctx)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for i, receipts := range of {
		if len(receipts) == 0 {
			return nil, license.Errorf(license.CodeNotFound, "apply an update first", "backend %d has no update installed, so no receipt", i+1)
		}
		all = append(all, receipts...)
	}
	return all, nil
}

// Apply installs the updates of a group's file on all three backends, one at a
// time, tells of each step, and gives the receipts by position. Time
// certificates among the updates go to their containers first; one that is stale
// stops no update. It may be repeated at any time. Errors: license.CodeNotLeader,
// CodeConflict while another one runs, the codes of armor.Parse and
// container.Stage for updates that are refused, CodeTimeForged, CodeTimeStale and
// CodeClockSetBack where there are no updates, CodeGuardRefused,
// CodeBackendAbsent.
func (a *Applier) Apply(ctx context.Context, virtual license.Serial, updates [][]byte, tell func(Step)) ([][]byte, error) {
	if !a.busy.TryLock() {
		return nil, license.Errorf(license.CodeConflict, "wait for it to end, then apply the file again: what is installed is not installed twice",
			"an update is being applied to the group already")
	}
	defer a.busy.Unlock()
	if err := a.lead(); err != nil {
		return nil, err
	}
	if virtual != a.virtual {
		return nil, license.Errorf(license.CodeUpdateForeign, "apply it to the group that it is for",
			"the updates are for the group %s, this one is %s", virtual, a.virtual)
	}
	parts, err := armor.Parts(armor.File{Kind: armor.Update, Group: virtual, Messages: updates})
	if err != nil {
		return nil, err
	}
	due, times := armor.Split(parts)
	rounds, err := rounds(due)
	if err != nil {
		return nil, err
	}
	containers, err := a.collect(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkTimes(times, containers); err != nil {
		return nil, err
	}
	if err := check(rounds, containers); err != nil {
		return nil, err
	}
	if len(due) == 0 {
		if err := a.certify(ctx, times, containers, false, tell); err != nil {
			return nil, err
		}
		tell(Step{Kind: Done, Message: "the time is certified"})
		return nil, nil
	}
	tell(Step{Kind: Checked, Message: "the updates are for these three containers, and come next"})
	if err := a.certify(ctx, times, containers, true, tell); err != nil {
		return nil, err
	}
	var receipts [][]byte
	for i, r := range rounds {
		if i > 0 {
			if containers, err = a.collect(ctx); err != nil {
				return nil, err
			}
		}
		done, err := a.round(ctx, r, containers, tell)
		if err != nil {
			return nil, err
		}
		receipts = append(receipts, done...)
	}
	tell(Step{Kind: Done, Message: "all three backends have it, with receipts"})
	return receipts, nil
}

// held is what a container signed just now.
type held struct {
	seal.Fingerprint
	position int
}

func (h held) firm(code license.FirmCode) seal.FirmState {
	for _, s := range h.Firms {
		if s.Firm == code {
			return s
		}
	}
	return seal.FirmState{Firm: code}
}

func (h held) has(u *armor.Issued) bool { return h.firm(u.Header.Firm).Digest == u.Digest }

// passed says whether a later update is installed.
func (h held) passed(u *armor.Issued) bool { return h.firm(u.Header.Firm).Counter > u.Header.Number }

func (a *Applier) collect(ctx context.Context) ([license.Backends]held, error) {
	var all [license.Backends]held
	nonce := newNonce()
	prints, err := a.group.Collect(ctx, nonce)
	if err != nil {
		return all, err
	}
	for i, b := range prints {
		if all[i], err = opened(i+1, b, nonce); err != nil {
			return all, err
		}
	}
	return all, nil
}

func opened(position int, fingerprint, nonce []byte) (held, error) {
	f, err := seal.OpenFingerprint(fingerprint)
	if err != nil {
		return held{}, err
	}
	if !bytes.Equal(f.Nonce, nonce) {
		return held{}, license.Errorf(license.CodeFingerprintForged, "apply the file again",
			"the fingerprint of backend %d answers another request", position)
	}
	return held{f, position}, nil
}

// check finds which update is for which backend, and refuses what can't be
// installed. It changes nothing but the order within rounds.
func check(rounds []round, containers [license.Backends]held) error {
	at := containers // as the rounds go
	for i, r := range rounds {
		var sorted round
		for _, p := range r {
			if p.Update == nil {
				continue
			}
			c, err := owner(p, &at)
			if err != nil {
				return err
			}
			if _, err := seal.VerifyUpdate(p.Message, c.Root); err != nil {
				return err
			}
			last := i == len(rounds)-1 || !follows(rounds[i+1:], p.Serial, p.Update.Header.Firm)
			state, err := next(c.firm(p.Update.Header.Firm), p, last)
			if err != nil {
				return err
			}
			c.Firms = []seal.FirmState{state} // of this firm, for the rounds to come
			for _, other := range containers[c.position-1].Firms {
				if other.Firm != state.Firm {
					c.Firms = append(c.Firms, other)
				}
			}
			sorted[c.position-1] = p
		}
		rounds[i] = sorted
	}
	return nil
}

func follows(rounds []round, s license.Serial, firm license.FirmCode) bool {
	for _, r := range rounds {
		for _, p := range r {
			if p.Update != nil && p.Serial == s && p.Update.Header.Firm == firm {
				return true
			}
		}
	}
	return false
}

func owner(p armor.Part, containers *[license.Backends]held) (*held, error) {
	for i := range containers {
		c := &containers[i]
		if c.Serial != p.Serial {
			continue
		}
		if p.Update.Header.Identity != c.Identity.Digest() {
			return nil, license.Errorf(license.CodeUpdateForeign, "write a new request and have the platform issue the update for it",
				"the update is for another container with the serial number %s", p.Serial)
		}
		return c, nil
	}
	return nil, license.Errorf(license.CodeUpdateForeign, "apply it to the group that it is for",
		"the update is for the container %s, which is no backend of this group", p.Serial)
}

// next gives the state after an update; one that is installed leaves it as it
// is, and so does one before that if others follow in the file.
func next(s seal.FirmState, p armor.Part, last bool) (seal.FirmState, error) {
	h, digest := p.Update.Header, p.Update.Digest
	switch {
	case h.Number == s.Counter && digest == s.Digest, h.Number < s.Counter && !last:
		return s, nil
	case h.Number == s.Counter:
		return s, license.Errorf(license.CodeUpdateConflict, "tell the vendor: somebody issued two updates of one number",
			"another update of firm %d with the number %d is installed in %s", h.Firm, h.Number, p.Serial)
	case h.Number < s.Counter:
		return s, license.Errorf(license.CodeUpdateReplayed, "apply the newest file, or write a new request",
			"the file is stale: its update for %s has the number %d, and number %d of firm %d is installed", p.Serial, h.Number, s.Counter, h.Firm)
	case h.Number != s.Counter+1:
		return s, license.Errorf(license.CodeUpdateGap, "apply the files before it first, or write a new request",
			"the update for %s has the number %d, and only number %d of firm %d is installed", p.Serial, h.Number, s.Counter, h.Firm)
	case h.Previous != s.Digest:
		return s, license.Errorf(license.CodeUpdateConflict, "tell the vendor: his record of this container is not what it holds",
			"the update number %d follows another update than the one in %s", h.Number, p.Serial)
	}
	return seal.FirmState{Firm: h.Firm, Counter: h.Number, Digest: digest}, nil
}

func newNonce() []byte {
	n := make([]byte, 32)
	_, _ = rand.Read(n) // never fails
	return n
}

// round brings one update to each backend.
func (a *Applier) round(ctx context.Context, r round, containers [license.Backends]held, tell func(Step)) ([][]byte, error) {
	var due []*quoratev1.BackendUpdate
	for i, p := range r {
		if p.Update != nil && !containers[i].has(p.Update) && !containers[i].passed(p.Update) {
			due = append(due, r.of(i+1))
		}
	}
	if len(due) > 0 {
		if err := a.group.Stage(ctx, due); err != nil {
			return nil, err
		}
		tell(Step{Kind: Staged, Message: fmt.Sprintf("staged on %d of three backends", len(due))})
	}
	var receipts [][]byte
	for i := range r {
		if r[i].Update == nil || containers[i].passed(r[i].Update) {
			continue
		}
		receipt, err := a.turn(ctx, r, &containers, i+1, tell)
		if err != nil {
			return nil, err
		}
		receipts = append(receipts, receipt)
	}
	return receipts, nil
}

// turn is one backend's. It ends with the backend serving the update.
func (a *Applier) turn(ctx context.Context, r round, containers *[license.Backends]held, position int, tell func(Step)) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := a.lead(); err != nil {
		return nil, err
	}
	p, own := r[position-1], &containers[position-1]
	fresh := !own.has(p.Update)
	if fresh {
		if err := a.guard(ctx, *containers, position); err != nil {
			return nil, err
		}
		tell(Step{Kind: Guarded, Position: position, Message: "the other two carry the licenses"})
	}
	receipt, err := a.group.Activate(ctx, position, r.of(position))
	if err != nil {
		return nil, err
	}
	if err := confirms(receipt, p, *own); err != nil {
		return nil, err
	}
	if fresh {
		tell(Step{Kind: Activated, Position: position, Message: fmt.Sprintf("update %d is installed in %s", p.Update.Header.Number, p.Serial)})
	}
	nonce := newNonce()
	b, err := a.group.Fingerprint(ctx, position, nonce)
	if err != nil {
		return nil, err
	}
	if *own, err = opened(position, b, nonce); err != nil {
		return nil, err
	}
	expect := map[license.Product]uint32{}
	for _, l := range own.Licenses {
		expect[l.Product] = l.Options.TMRID
	}
	if err := a.group.Verify(ctx, position, expect, a.settle); err != nil {
		return nil, err
	}
	message := "serves the update"
	if !fresh {
		message = "has the update already, and serves it"
	}
	tell(Step{Kind: Verified, Position: position, Message: message})
	return receipt, nil
}

// guard asks the other two what they hold.
func (a *Applier) guard(ctx context.Context, containers [license.Backends]held, position int) error {
	nonce := newNonce()
	statements, err := a.group.Statements(ctx, position, nonce)
	if err != nil {
		return err
	}
	var all [license.Backends][]license.Held
	for i, c := range containers {
		if i+1 == position {
			all[i] = c.Licenses
			continue
		}
		s, err := seal.OpenStatement(statements[i], c.Identity.Sign)
		if err != nil {
			return err
		}
		if s.Serial != c.Serial || !bytes.Equal(s.Nonce, nonce) {
			return license.Errorf(license.CodeGuardRefused, "apply the file again", "the statement of backend %d answers another request", i+1)
		}
		all[i] = s.Licenses
	}
	return rollout.Guard(all, position)
}

// confirms says whether a receipt is that of an update.
func confirms(receipt []byte, p armor.Part, c held) error {
	r, err := seal.OpenReceipt(receipt, c.Identity.Sign)
	if err != nil {
		return err
	}
	if h := p.Update.Header; r.Serial != p.Serial || r.Firm != h.Firm || r.Number != h.Number || r.Update != p.Update.Digest {
		return license.Errorf(license.CodeReceiptForged, "look into the license server of this backend",
			"backend %d gave a receipt for another update", c.position)
	}
	return nil
}
