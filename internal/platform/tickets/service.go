// Package tickets has what was sold and is not activated yet: tickets with their
// codes, activated in parts by whoever they are for. What an activation brings is
// an order; rollouts bring it to containers, and returns bring it back
// (internal/platform/orders).
package tickets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/quorate/quorate/ent"
	entticket "github.com/quorate/quorate/ent/ticket"
	"github.com/quorate/quorate/ent/ticketline"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/ticket"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core     *core.Core
	rollouts *rollouts.Service
}

// New makes a Service.
func New(c *core.Core, bring *rollouts.Service) *Service {
	return &Service{core: c, rollouts: bring}
}

// codePurpose says what a sealed code is.
const codePurpose = core.TicketPurpose

// wrongCodes is how many codes that there are not one may ask for: so many at
// once, and one a minute then.
//
//nolint:gochecknoglobals // a constant
var wrongCodes = ratelimit.Rate{Burst: 20, Per: 20 * time.Minute}

// byCode finds a ticket that the caller may have the code of: his own, one that
// he made, or one of his vendor's that is nobody's yet. Any other is not found,
// as is a code that was never given out. Who asks for many of these has to wait;
// the right ones in between change nothing about that.
func (p *Service) byCode(ctx context.Context, by auth.Principal, text string) (*ent.Ticket, error) {
	code, err := ticket.Parse(text)
	if err != nil {
		return nil, core.AtField("code", err)
	}
	if err := p.wrong(ctx, by, 0); err != nil {
		return nil, err
	}
	digest := code.Digest(ticket.Ticket)
	found, err := p.core.Store.Client().Ticket.Query().Where(entticket.CodeDigest(digest)).WithLines(func(q *ent.TicketLineQuery) {
		q.Order(ent.Asc(ticketline.FieldPosition)).WithItem(core.WithProduct)
	}).Only(core.System(ctx, "ticket"))
	if err != nil && !ent.IsNotFound(err) {
		return nil, err // nobody knows whether it was wrong
	}
	if err == nil && ticket.Same(digest, found.CodeDigest) && mayHave(by, found) {
		return found, nil
	}
	if err := p.wrong(context.WithoutCancel(ctx), by, 1); err != nil {
		return nil, err
	}
	return nil, core.AtField("code", license.Errorf(license.CodeNotFound, "compare it with the ticket, or ask the vendor", "there is no ticket of this code"))
}

// wrong counts codes that were wrong, or with 0 only asks. The error is
// CodeThrottled for who has no more: those that he tries at the same time are not
// all answered.
func (p *Service) wrong(ctx context.Context, by auth.Principal, n int) error {
	sum := sha256.Sum256([]byte(by.Actor()))
	q, err := p.core.Limits.Take(ctx, ratelimit.Charge{
		Scope: "ticket:" + hex.EncodeToString(sum[:16]), Cost: n, Buckets: []ratelimit.Bucket{{Name: "wrong", Rate: wrongCodes}},
	})
	if err != nil || q.OK && q.Remaining+n > 0 {
		return err
	}
	next := wrongCodes.Per / time.Duration(wrongCodes.Burst)
	wait := q.Reset - wrongCodes.Per + next
	return ratelimit.Throttled(wait, fmt.Sprintf("wait %d s and try again", ratelimit.Seconds(wait)), "too many codes were wrong")
}

func mayHave(by auth.Principal, t *ent.Ticket) bool {
	switch {
	case by.IsSystem() || by.Organization == t.VendorID:
		return true
	case t.CustomerID != nil:
		return by.Organization == *t.CustomerID
	}
	return by.Provider == t.VendorID
}

// TicketByCode gives the ticket of a code, with its lines and their items, also
// where it is nobody's yet. Errors: CodeInvalidInput for a mistyped one,
// CodeNotFound for another's too, CodeThrottled.
func (p *Service) TicketByCode(ctx context.Context, code string) (*ent.Ticket, error) {
	by, err := auth.Require(ctx, auth.Read)
	if err != nil {
		return nil, err
	}
	return p.byCode(ctx, by, code)
}

// TicketCode gives a ticket's code again. Error: CodeForbidden for who may not
// activate it.
func (p *Service) TicketCode(ctx context.Context, t *ent.Ticket) (string, error) {
	by, err := auth.Require(ctx, auth.Order)
	if err != nil {
		return "", err
	}
	if !mayHave(by, t) {
		return "", license.Errorf(license.CodeForbidden, "ask the vendor", "the ticket is not yours")
	}
	code, err := p.core.Keys.Open(core.System(ctx, "ticket"), codePurpose, t.SealedCode)
	return string(code), err
}

// State is what can be done with a ticket.
type State string

// The states.
const (
	Open            State = "OPEN"
	PartlyActivated State = "PARTLY_ACTIVATED"
	UsedUp          State = "USED_UP"
	Expired         State = "EXPIRED"
	Revoked         State = "REVOKED"
)

// StateOf tells it of a ticket with these lines.
func StateOf(t *ent.Ticket, lines []*ent.TicketLine) State {
	activated, left := 0, 0
	for _, l := range lines {
		activated += l.Activated
		left += l.Quantity - l.Activated
	}
	switch {
	case t.RevokedAt != nil:
		return Revoked
	case left == 0:
		return UsedUp
	case t.ExpiresAt != nil && !core.Now().Before(*t.ExpiresAt):
		return Expired
	case activated > 0:
		return PartlyActivated
	}
	return Open
}

// usable is the error for a ticket of which nothing can be activated any more.
func usable(t *ent.Ticket) error {
	switch {
	case t.RevokedAt != nil:
		why := t.RevokeReason
		if why != "" {
			why = ": " + why
		}
		return license.Errorf(license.CodeTicketRevoked, "ask the vendor", "the ticket …-%s was revoked%s", t.Hint, why)
	case t.ExpiresAt != nil && !core.Now().Before(*t.ExpiresAt):
		return license.Errorf(license.CodeTicketExpired, "ask the vendor for a later date", "the ticket …-%s could be activated until %s",
			t.Hint, t.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return nil
}
