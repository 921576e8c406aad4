package tenants

import (
	"context"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
)

// AuditQuestion says which entries of the audit log are wanted. What is empty
// doesn't matter.
type AuditQuestion struct {
	// Actor is who did it: the id of a member, a token or a server.
	Actor string
	// Action is what was done, for example "member.updated", or the beginning of
	// it with a dot at its end: "member.".
	Action string
	// Target is the id of what it was done to.
	Target   string
	From, To time.Time // From counts, To doesn't
}

// AuditEntries gives the condition of a question about the audit log of the
// caller's organization. Errors: CodeForbidden, CodeInvalidInput.
func (s *Service) AuditEntries(ctx context.Context, q AuditQuestion) (func(*sql.Selector), error) {
	if _, err := person(ctx, auth.ReadAudit); err != nil {
		return nil, err
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return nil, core.AtField("to", license.Errorf(license.CodeInvalidInput, "let it end after it begins", "the period is empty"))
	}
	return func(at *sql.Selector) {
		if q.Actor != "" {
			var any []*sql.Predicate
			for _, kind := range []auth.Kind{auth.KindMember, auth.KindToken, auth.KindServer} {
				any = append(any, sql.EQ(at.C(auditentry.FieldActor), string(kind)+" "+q.Actor))
			}
			at.Where(sql.Or(append(any, sql.EQ(at.C(auditentry.FieldActor), q.Actor))...))
		}
		switch {
		case q.Action == "":
		case strings.HasSuffix(q.Action, "."):
			at.Where(sql.HasPrefix(at.C(auditentry.FieldAction), q.Action))
		default:
			at.Where(sql.EQ(at.C(auditentry.FieldAction), q.Action))
		}
		if q.Target != "" {
			at.Where(sql.EQ(at.C(auditentry.FieldTarget), q.Target))
		}
		if !q.From.IsZero() {
			at.Where(sql.GTE(at.C(auditentry.FieldCreatedAt), q.From))
		}
		if !q.To.IsZero() {
			at.Where(sql.LT(at.C(auditentry.FieldCreatedAt), q.To))
		}
	}, nil
}
