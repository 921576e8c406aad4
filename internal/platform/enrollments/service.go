// Package enrollments has how servers become known at the link: one-time codes,
// by which a server makes a token of its own its link token, and the end of
// tokens.
package enrollments

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/enrollment"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/ticket"
)

// Service has the use cases. Safe for concurrent use.
type Service struct{ core *core.Core }

// New makes a Service.
func New(c *core.Core) *Service { return &Service{core: c} }

// The time for which a code can be used.
const (
	DefaultValid = 24 * time.Hour
	mostValid    = 30 * 24 * time.Hour
)

// EnrollmentSpec tells of a server that is to come.
type EnrollmentSpec struct {
	At    core.Place
	Name  string
	Valid time.Duration // zero: DefaultValid
	// IdempotencyKey: the same key gives the same enrollment; empty is no key.
	IdempotencyKey string
}

// CreateEnrollment makes a code for a server of a TMR group or a container. It is
// shown this once: with a key that was used before it is empty. A server of this
// name that is there already keeps its token until the code is used. Errors:
// CodeNotFound, CodeForbidden, CodeInvalidInput, CodeConflict,
// CodeContainerBlocked.
func (p *Service) CreateEnrollment(ctx context.Context, s EnrollmentSpec) (*ent.Enrollment, string, error) {
	by, err := auth.Require(ctx, auth.Provision)
	if err != nil {
		return nil, "", err
	}
	if s.Valid == 0 {
		s.Valid = DefaultValid
	}
	if err := core.CheckName("server", s.Name); err != nil {
		return nil, "", err
	}
	if s.Valid < time.Minute || s.Valid > mostValid {
		return nil, "", core.AtField("hours", license.Errorf(license.CodeInvalidInput, "give 1 to 720 hours", "the code would be valid for too short or too long a time"))
	}
	code := ticket.New()
	var made *ent.Enrollment
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		at, err := core.FindPlace(ctx, tx, s.At)
		if err != nil {
			return err
		}
		if err := at.Blocked(); err != nil {
			return err
		}
		owner := core.AuditOwner(by, at.Vendor())
		ids, again, err := core.Once(ctx, tx, owner, "createEnrollment", s.IdempotencyKey, s, func() ([]string, error) {
			if err := nameFits(ctx, tx, at, s.Name); err != nil {
				return nil, err
			}
			group, single := at.Columns()
			made, err := tx.Enrollment.Create().SetVendorID(at.Vendor()).SetNillableCustomerID(at.Customer()).
				SetNillableTmrGroupID(group).SetNillableContainerID(single).SetName(s.Name).
				SetCodeDigest(code.Digest(ticket.Enrollment)).SetCreatedBy(core.ClipText(core.DisplayName(by))).
				SetExpiresAt(core.Now().Add(s.Valid)).Save(ctx)
			if err != nil {
				return nil, err
			}
			return []string{made.ID}, core.Audit(ctx, tx, owner, "enrollment.created", made.ID, nil,
				map[string]any{"name": s.Name, at.Noun(): at.ID(), "expiresAt": made.ExpiresAt.Format(time.RFC3339)})
		})
		if err != nil {
			return err
		}
		if again {
			code = ""
		}
		made, err = tx.Enrollment.Get(ctx, ids[0])
		return core.NotFound(err, "enrollment", ids[0])
	})
	if err != nil {
		return nil, "", err
	}
	return made, string(code), nil
}

// nameFits refuses a second license server of a container.
func nameFits(ctx context.Context, tx *store.Tx, at core.LoadedPlace, name string) error {
	if !at.Single() {
		return nil
	}
	other, err := tx.TmrServer.Query().Where(tmrserver.ContainerID(at.ID()), tmrserver.NameNEQ(name), tmrserver.RevokedAtIsNil()).First(ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return core.AtField("name", license.Errorf(license.CodeConflict, "take that name, or revoke that server first", "the container %s has the license server %q already", at.Serial(), other.Name))
}

// RevokeEnrollment has a code be worth nothing. Repeating it changes nothing.
// Errors: CodeNotFound, CodeForbidden, CodeConflict when it was used.
func (p *Service) RevokeEnrollment(ctx context.Context, id string) (*ent.Enrollment, error) {
	by, err := auth.Require(ctx, auth.Provision)
	if err != nil {
		return nil, err
	}
	var row *ent.Enrollment
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if row, err = tx.Enrollment.Query().Where(enrollment.ID(id), predicate.Enrollment(store.Locked)).Only(ctx); err != nil {
			return core.NotFound(err, "enrollment", id)
		}
		switch {
		case row.RevokedAt != nil:
			return nil
		case row.UsedAt != nil:
			return license.Errorf(license.CodeConflict, "revoke the server", "the server %q has used the code already", row.Name)
		}
		if row, err = tx.Enrollment.UpdateOne(row).SetRevokedAt(core.Now()).Save(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, core.AuditOwner(by, row.VendorID), "enrollment.revoked", row.ID, nil, map[string]any{"name": row.Name})
	})
	if err != nil {
		return nil, err
	}
	return row, nil
}

// Enrolling is a server that presents a code.
type Enrolling struct {
	Code string
	// Name is the server's, and Serial that of its container, or of its group's
	// virtual container: a code that is meant for another isn't used up.
	Name, Serial string
	// Digest is auth's of the link token that the server has made.
	Digest []byte
	// From is the address that the call comes from.
	From string
}

// wrongCodes are the pauses of an address that presents codes that there are not.
//
//nolint:gochecknoglobals // a constant
var wrongCodes = ratelimit.Pauses{Free: 20, First: time.Second, Most: 10 * time.Second}

// Enroll makes a token that a server has made its link token, once for each code.
// The same server may repeat it with the same token, when it has missed the
// answer. Anybody may call it. Errors: CodeInvalidInput, CodeNotFound for an
// unknown code, CodeConflict for one that was used, CodeForbidden for one that
// was revoked or is too old, CodeContainerBlocked, CodeThrottled.
func (p *Service) Enroll(ctx context.Context, e Enrolling) (*ent.TmrServer, error) {
	code, err := ticket.Parse(e.Code)
	if err != nil {
		return nil, err
	}
	if len(e.Digest) != sha256.Size {
		return nil, license.Errorf(license.CodeInvalidInput, "use the same version of Quorate on both sides", "the digest of the token has %d bytes", len(e.Digest))
	}
	ctx = core.System(ctx, "enrollment")
	sum := sha256.Sum256([]byte(e.From))
	key := "enroll:" + hex.EncodeToString(sum[:16])
	wait, err := p.core.Limits.Try(ctx, key, wrongCodes)
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		return nil, ratelimit.Throttled(wait, fmt.Sprintf("wait %d s and try again", ratelimit.Seconds(wait)), "too many codes were wrong")
	}
	var server *ent.TmrServer
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		digest := code.Digest(ticket.Enrollment)
		row, err := tx.Enrollment.Query().Where(enrollment.CodeDigest(digest), predicate.Enrollment(store.Locked)).Only(ctx)
		if ent.IsNotFound(err) || (err == nil && !ticket.Same(digest, row.CodeDigest)) {
			return license.Errorf(license.CodeNotFound, "have an administrator make one: quorate enroll create", "there is no such enrollment code")
		}
		if err != nil {
			return err
		}
		if server, err = use(ctx, tx, row, e); err == nil {
			p.core.PublishServer(ctx, tx, server)
		}
		return err
	})
	if license.CodeOf(err) != license.CodeNotFound {
		if forgotten := p.core.Limits.Forget(context.WithoutCancel(ctx), key); err == nil {
			err = forgotten
		}
	}
	if err != nil {
		return nil, err
	}
	return server, nil
}

func use(ctx context.Context, tx *store.Tx, row *ent.Enrollment, e Enrolling) (*ent.TmrServer, error) {
	at, err := core.PlaceOf(ctx, tx, core.PlaceID(row.TmrGroupID, row.ContainerID))
	if err != nil {
		return nil, err
	}
	known, err := tx.TmrServer.Query().Where(atPlace(row), tmrserver.Name(row.Name)).Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, err
	}
	const another = "have an administrator make another one: quorate enroll create"
	switch {
	case e.Name != row.Name:
		return nil, license.Errorf(license.CodeInvalidInput, fmt.Sprintf("start this server with --name %q, or take its own code", row.Name), "the enrollment code is of the server %q", row.Name)
	case e.Serial != at.Serial():
		return nil, license.Errorf(license.CodeInvalidInput, "take the code of this server", "the enrollment code is of a server of %s", at.Serial())
	case row.UsedAt != nil && known != nil && row.TmrServerID != nil && known.ID == *row.TmrServerID && known.RevokedAt == nil && auth.SameHash(e.Digest, known.LinkTokenHash):
		return known, nil // it has missed the answer
	case row.UsedAt != nil:
		return nil, license.Errorf(license.CodeConflict, another, "the enrollment code was used already")
	case row.RevokedAt != nil:
		return nil, license.Errorf(license.CodeForbidden, another, "the enrollment code was revoked")
	case !core.Now().Before(row.ExpiresAt):
		return nil, license.Errorf(license.CodeForbidden, another, "the enrollment code could be used until %s", row.ExpiresAt.UTC().Format(time.RFC3339))
	}
	if err := at.Blocked(); err != nil {
		return nil, err
	}
	if err := nameFits(ctx, tx, at, row.Name); err != nil {
		return nil, err
	}
	if known != nil {
		known, err = tx.TmrServer.UpdateOne(known).SetLinkTokenHash(e.Digest).ClearRevokedAt().AddRevision(1).Save(ctx)
	} else {
		known, err = tx.TmrServer.Create().SetVendorID(row.VendorID).SetNillableCustomerID(row.CustomerID).
			SetNillableTmrGroupID(row.TmrGroupID).SetNillableContainerID(row.ContainerID).
			SetName(row.Name).SetAddress("").SetLinkTokenHash(e.Digest).Save(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := tx.Enrollment.UpdateOne(row).SetUsedAt(core.Now()).SetTmrServerID(known.ID).Exec(ctx); err != nil {
		return nil, err
	}
	return known, core.Audit(ctx, tx, row.VendorID, "server.enrolled", known.ID, nil, map[string]any{"enrollment": row.ID, "name": row.Name, at.Noun(): at.ID()})
}

func atPlace(row *ent.Enrollment) predicate.TmrServer {
	if row.TmrGroupID != nil {
		return tmrserver.TmrGroupID(*row.TmrGroupID)
	}
	return tmrserver.ContainerID(*row.ContainerID)
}

// RevokeServer has a server's link token be worth nothing, at once: nobody knows
// a token of the digest that it has then. A call of its that waits ends. Repeating
// it changes nothing. Errors: CodeNotFound, CodeForbidden.
func (p *Service) RevokeServer(ctx context.Context, id string) (*ent.TmrServer, error) {
	return p.change(ctx, id, "server.revoked", func(tx *store.Tx, s *ent.TmrServer) (*ent.TmrServer, error) {
		if s.RevokedAt != nil {
			return s, nil
		}
		nobodys := make([]byte, sha256.Size)
		_, _ = rand.Read(nobodys) // never fails
		return tx.TmrServer.UpdateOne(s).SetLinkTokenHash(nobodys).SetRevokedAt(core.Now()).SetLeading(false).AddRevision(1).Save(ctx)
	})
}

// RotateLinkToken gives a server a new link token, shown this once; the old one
// ends at once. Errors: CodeNotFound, CodeForbidden, CodeConflict for one that
// was revoked.
func (p *Service) RotateLinkToken(ctx context.Context, id string) (string, error) {
	token, hash, err := auth.NewToken(auth.LinkToken)
	if err != nil {
		return "", err
	}
	_, err = p.change(ctx, id, "server.rotateLinkToken", func(tx *store.Tx, s *ent.TmrServer) (*ent.TmrServer, error) {
		if s.RevokedAt != nil {
			return nil, license.Errorf(license.CodeConflict, "enroll it again", "the server %q was revoked", s.Name)
		}
		return tx.TmrServer.UpdateOne(s).SetLinkTokenHash(hash).AddRevision(1).Save(ctx)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

func (p *Service) change(ctx context.Context, id, action string, f func(*store.Tx, *ent.TmrServer) (*ent.TmrServer, error)) (*ent.TmrServer, error) {
	by, err := auth.Require(ctx, auth.Provision)
	if err != nil {
		return nil, err
	}
	var out *ent.TmrServer
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		before, err := tx.TmrServer.Query().Where(tmrserver.ID(id), predicate.TmrServer(store.Locked)).Only(ctx)
		if err != nil {
			return core.NotFound(err, "server", id)
		}
		if out, err = f(tx, before); err != nil || out.Revision == before.Revision {
			return err
		}
		place := core.PlaceID(out.TmrGroupID, out.ContainerID)
		p.core.Publish(ctx, tx, event.Work, place) // whoever waits looks at once
		p.core.PublishServer(ctx, tx, out)
		return core.Audit(ctx, tx, core.AuditOwner(by, out.VendorID), action, out.ID, nil, map[string]any{"name": out.Name})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// State is what can be done with an enrollment.
type State string

// The states.
const (
	Open    State = "OPEN"
	Used    State = "USED"
	Expired State = "EXPIRED"
	Revoked State = "REVOKED"
)

// StateOf tells it.
func StateOf(e *ent.Enrollment) State {
	switch {
	case e.UsedAt != nil:
		return Used
	case e.RevokedAt != nil:
		return Revoked
	case !core.Now().Before(e.ExpiresAt):
		return Expired
	}
	return Open
}
