package clocks

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
)

const (
	// certifyEvery is how often a container gets the time over the link.
	certifyEvery = 10 * time.Second
	// noteEvery is how often the audit log tells of one container's clock.
	noteEvery = time.Hour
	// clockOff is a difference that the audit log tells of.
	clockOff = 5 * time.Minute
)

// TimeQuestion asks for the time on behalf of one container.
type TimeQuestion struct {
	Serial  license.Serial
	Nonce   [16]byte  // the container's time nonce
	Clock   time.Time // by the asking server; zero: not told
	SetBack bool      // its clock was set back
}

// CertifyTime gives the platform's word for what time it is, signed with the
// root key, for containers of the calling server's own group: one certificate
// for each question, in their order, or none at all. That of a blocked container
// among others is empty, so that it holds nobody up. The audit log tells of a
// clock that is wrong by more than five minutes or was set back, once an hour.
// Errors: license.CodeUnauthenticated, CodeForbidden, CodeInvalidInput;
// CodeNotFound for others' containers too; CodeContainerBlocked; CodeThrottled
// when one of them asked within ten seconds.
func (p *Service) CertifyTime(ctx context.Context, questions []TimeQuestion) ([][]byte, error) {
	who, err := auth.Require(ctx, auth.Link)
	if err != nil {
		return nil, err
	}
	if len(questions) == 0 || len(questions) > license.Backends {
		return nil, license.Errorf(license.CodeInvalidInput, "ask for one to three containers", "%d questions for the time are not possible", len(questions))
	}
	var ids []string
	var blocked error
	rows := make([]*ent.Container, len(questions))
	ctx = core.System(ctx, "link")
	for i, q := range questions {
		if q.Nonce == ([16]byte{}) || slices.ContainsFunc(questions[:i], func(o TimeQuestion) bool { return o.Serial == q.Serial }) {
			return nil, license.Errorf(license.CodeInvalidInput, "ask once for each container, with its time nonce", "the question for %s has no nonce, or comes twice", q.Serial)
		}
		if rows[i], err = p.core.Store.Client().Container.Query().Where(ofServer(who), container.Serial(q.Serial.String())).Only(ctx); err != nil {
			return nil, core.NotFound(err, "container", q.Serial.String())
		}
		switch err := mayHaveTime(rows[i]); {
		case license.CodeOf(err) == license.CodeContainerBlocked:
			blocked = err
			continue
		case err != nil:
			return nil, err
		}
		ids = append(ids, rows[i].ID)
	}
	if len(ids) == 0 {
		return nil, blocked
	}
	if err := p.clocks.allow(ctx, ids); err != nil {
		return nil, err
	}
	root, err := p.core.RootSigner(ctx, p.core.Store.Client())
	if err != nil {
		return nil, err
	}
	certificates := make([][]byte, len(questions))
	for i, q := range questions {
		if !slices.Contains(ids, rows[i].ID) {
			continue
		}
		at := core.Now()
		if certificates[i], err = seal.SignTime(root, seal.TimeCertificate{Serial: q.Serial, Nonce: q.Nonce, At: at}); err != nil {
			return nil, err
		}
		if off := at.Sub(q.Clock).Abs() > clockOff; (q.SetBack || (off && !q.Clock.IsZero())) && p.clocks.note(ctx, rows[i].ID) {
			facts := clockFacts(at, q.Clock, q.SetBack)
			facts["server"] = who.ID
			if err := auditTime(ctx, p.core, rows[i].VendorID, rows[i], facts); err != nil {
				return nil, err
			}
		}
	}
	return certificates, nil
}

// ofServer are the containers that a linked server may ask for.
func ofServer(who auth.Principal) predicate.Container {
	if who.Container != "" {
		return container.ID(who.Container)
	}
	return container.And(container.TmrGroupID(who.Group), container.KindNEQ(property.ContainerVirtual))
}

// mayHaveTime refuses containers that nobody uses, or may use.
func mayHaveTime(c *ent.Container) error {
	if err := core.BlockedError(c); err != nil {
		return err
	}
	if len(c.SignKey) == 0 {
		return license.Errorf(license.CodeNotFound, "look it up in the list of those that you may see", "there is no container %s that asks for the time", c.Serial)
	}
	return nil
}

func clockFacts(at, clock time.Time, setBack bool) map[string]any {
	facts := map[string]any{"certified": at.UTC().Format(time.RFC3339)}
	if !clock.IsZero() {
		facts["clock"] = clock.UTC().Format(time.RFC3339)
	}
	if setBack {
		facts["setBack"] = true
	}
	return facts
}

func auditTime(ctx context.Context, in *core.Core, organization string, c *ent.Container, facts map[string]any) error {
	return in.Store.WithTx(ctx, func(tx *store.Tx) error {
		return core.Audit(ctx, tx, organization, "container.certifyTime", c.ID, nil, facts)
	})
}

// CertifiedTime are the time certificates for a request file.
type CertifiedTime struct {
	// Update is an update file with the certificates alone.
	Update     string
	At         time.Time
	Containers []*ent.Container
}

// CertifyTimeFile answers a request file, of a container or of a TMR group, with
// what time it is: where the license server has no link and nothing is due.
// Errors: license.CodeNotFound, CodeForbidden, CodeInvalidInput for a request
// that asks for no time, CodeFingerprintForged for one that another container
// signed, CodeUpdateForeign for one of another group or platform,
// CodeContainerBlocked, and those of armor.Parse.
func (p *Service) CertifyTimeFile(ctx context.Context, request string) (CertifiedTime, error) {
	who, err := auth.Require(ctx, auth.RunRollout)
	if err != nil {
		return CertifiedTime{}, err
	}
	f, err := armor.Parse([]byte(request))
	if err != nil {
		return CertifiedTime{}, err
	}
	if f.Kind != armor.Request {
		return CertifiedTime{}, license.Errorf(license.CodeInvalidInput, "give the request file that quorate request wrote", "that is a %s file, not a request", f.Kind)
	}
	parts, err := armor.Parts(f)
	if err != nil {
		return CertifiedTime{}, err
	}
	out := CertifiedTime{At: core.Now()}
	file := armor.File{Kind: armor.Update, Group: f.Group}
	root, err := p.core.RootSigner(core.System(ctx, "time"), p.core.Store.Client())
	if err != nil {
		return CertifiedTime{}, err
	}
	for _, part := range parts {
		c, err := p.requested(ctx, f.Group, part)
		if err != nil {
			return CertifiedTime{}, err
		}
		b, err := certificateFor(root, part, c, out.At)
		if err != nil {
			return CertifiedTime{}, err
		}
		file.Messages = append(file.Messages, b)
		out.Containers = append(out.Containers, c)
	}
	for i, c := range out.Containers {
		facts := clockFacts(out.At, parts[i].Request.At, setBack(parts[i]))
		facts["file"] = true
		if err := auditTime(ctx, p.core, core.AuditOwner(who, c.VendorID), c, facts); err != nil {
			return CertifiedTime{}, err
		}
	}
	text, err := armor.Encode(file)
	out.Update = string(text)
	return out, err
}

// requested is the container of a fingerprint in a file, among those that the
// caller may see.
func (p *Service) requested(ctx context.Context, group license.Serial, part armor.Part) (*ent.Container, error) {
	q := p.core.Store.Client().Container.Query().Where(container.Serial(part.Serial.String()))
	c, err := q.Only(ctx)
	if err != nil {
		return nil, core.NotFound(err, "container", part.Serial.String())
	}
	if group.IsZero() {
		return c, nil
	}
	g, err := p.core.Store.Client().TmrGroup.Query().Where(tmrgroup.VirtualSerial(group.String())).Only(ctx)
	if err != nil {
		return nil, core.NotFound(err, "TMR group", group.String())
	}
	if c.TmrGroupID == nil || *c.TmrGroupID != g.ID {
		return nil, license.Errorf(license.CodeUpdateForeign, "have the group's TMR server write the request", "the container %s is not of the group %s", part.Serial, group)
	}
	return c, nil
}

// certificateFor answers a fingerprint, of which it makes sure that the
// recorded container signed it.
func certificateFor(root seal.Signer, part armor.Part, c *ent.Container, at time.Time) ([]byte, error) {
	r := part.Request
	if err := mayHaveTime(c); err != nil {
		return nil, err
	}
	switch {
	case !bytes.Equal(r.Identity.Sign, c.SignKey) || !bytes.Equal(r.Identity.Seal, c.SealKey) || !bytes.Equal(r.ActivationID[:], c.ActivationID):
		return nil, license.Errorf(license.CodeFingerprintForged, "have the container that is known here make the request",
			"the request of %s is signed by another container of that serial number", part.Serial)
	case !root.Public().Equal(r.Root):
		return nil, license.Errorf(license.CodeUpdateForeign, "ask the platform that the container was created for", "the container %s trusts another platform", part.Serial)
	case r.TimeNonce == ([16]byte{}):
		return nil, license.Errorf(license.CodeInvalidInput, "have it written again, by quorate request", "the request of %s asks for no time", part.Serial)
	}
	return seal.SignTime(root, seal.TimeCertificate{Serial: part.Serial, Nonce: r.TimeNonce, At: at})
}

// setBack says whether a container has seen a later time than the one at which
// it made its fingerprint.
func setBack(part armor.Part) bool { return part.Request.Clock.Highest.After(part.Request.At) }

// Timed adds the time to an update file, for each container whose request asks
// for it: the file tells it, whether it is installed for its updates' sake or
// not.
func (k *Clocks) Timed(ctx context.Context, in *core.Core, update string, parts []armor.Part) (string, error) {
	ctx = core.System(ctx, "time")
	f, err := armor.Parse([]byte(update))
	if err != nil {
		return "", err
	}
	root, err := in.RootSigner(ctx, in.Store.Client())
	if err != nil {
		return "", err
	}
	at := core.Now()
	for _, part := range parts {
		if part.Request == nil || part.Request.TimeNonce == ([16]byte{}) {
			continue
		}
		c, err := in.Store.Client().Container.Query().Where(container.Serial(part.Serial.String())).Only(ctx)
		if err != nil {
			return "", err
		}
		b, err := certificateFor(root, part, c, at)
		if err != nil {
			return "", err
		}
		f.Messages = append(f.Messages, b)
		if ahead := part.Request.At.Sub(at) > clockOff; (ahead || setBack(part)) && k.note(ctx, c.ID) {
			if err := auditTime(ctx, in, c.VendorID, c, clockFacts(at, part.Request.At, setBack(part))); err != nil {
				return "", err
			}
		}
	}
	text, err := armor.Encode(f)
	return string(text), err
}

// Clocks counts which containers asked for the time.
type Clocks struct{ limits ratelimit.Limiter }

// NewClocks counts by limits.
func NewClocks(limits ratelimit.Limiter) *Clocks { return &Clocks{limits} }

// once takes one of each container, within a period, or none.
func (c *Clocks) once(ctx context.Context, what string, every time.Duration, ids ...string) (ratelimit.Quota, error) {
	all := ratelimit.Charge{Scope: "clocks", Cost: 1}
	for _, id := range ids {
		all.Buckets = append(all.Buckets, ratelimit.Bucket{Name: what + ":" + id, Rate: ratelimit.Rate{Burst: 1, Per: every}})
	}
	return c.limits.Take(ctx, all)
}

// allow counts a question of each container, or of none: license.CodeThrottled
// when one of them was answered within certifyEvery.
func (c *Clocks) allow(ctx context.Context, ids []string) error {
	q, err := c.once(ctx, "certified", certifyEvery, ids...)
	if err != nil || q.OK {
		return err
	}
	return ratelimit.Throttled(q.RetryAfter, fmt.Sprintf("wait %d s and ask again", ratelimit.Seconds(q.RetryAfter)),
		"the time was certified for this container a moment ago")
}

// note says whether the audit log is due to tell of a container's clock.
func (c *Clocks) note(ctx context.Context, id string) bool {
	q, err := c.once(ctx, "noted", noteEvery, id)
	return err == nil && q.OK
}
