// Package webhooks has who is told what happens: endpoints of organizations, and
// the deliveries to them, each with what came of it. core.Emit writes what is to
// be delivered, in the transaction in which it happened.
//
// A delivery is a row: what is due is read from it, and who makes an attempt has
// it for a time that is longer than the attempt. So a delivery is made by one
// replica at a time, and one whose worker died is made again: at least once, in
// no order.
package webhooks

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/webhook"
)

const (
	// mostEndpoints bounds how many endpoints an organization has.
	mostEndpoints = 20
	// rotation is how long the secret before signs too.
	rotation = 24 * time.Hour
	// patience is for how long an endpoint may fail before it is disabled.
	patience = 5 * 24 * time.Hour
	// kept is how long deliveries and their events are kept.
	kept = 30 * 24 * time.Hour
	// inFlight bounds how many attempts there are at an endpoint at one time; one
	// that fails has a single one.
	inFlight = 4
	// claim is how long a worker has a delivery for an attempt.
	claim = webhook.Timeout + 15*time.Second
	// turn is for how long a job goes on with one endpoint before others have
	// their turn.
	turn = 20 * time.Second
	// mostReplayed bounds how many deliveries are replayed at once.
	mostReplayed = 1000
	// mostNote bounds an endpoint's description, in bytes.
	mostNote = 200
)

// Sender makes an attempt; webhook.Sender is one.
type Sender interface {
	// Check says whether messages can be sent to a URL. Error: CodeInvalidInput.
	Check(url string) error
	// Send makes one attempt within webhook.Timeout.
	Send(ctx context.Context, url, id string, body []byte, secrets ...webhook.Secret) webhook.Result
}

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core   *core.Core
	sender Sender
	counts counts
}

// New makes a Service.
func New(c *core.Core, s Sender) *Service { return &Service{core: c, sender: s} }

// ReadWebhooks gives the client to read endpoints, events and deliveries with:
// URLs and answers are for those who may change them. Nothing may be changed
// through it. Error: CodeForbidden.
func (p *Service) ReadWebhooks(ctx context.Context) (*ent.Client, error) {
	if _, err := auth.Require(ctx, auth.ManageWebhook); err != nil {
		return nil, err
	}
	return p.core.Store.Client(), nil
}
