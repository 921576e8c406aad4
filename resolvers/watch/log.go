package watch

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/auditentry"
	"github.com/quorate/quorate/ent/denial"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/live"
)

// Denials follows the newest denials. They never change, so all have one
// stamp.
func (r *Streams) Denials(ctx context.Context, s Scope) (Plan[*graph.DenialsChange], error) {
	src, err := r.source(ctx, "denials", s, false, event.Denials)
	src.Window = newest
	src.Read = func(ctx context.Context, _ live.Heard) (live.Reading, error) {
		ids, err := r.client.Denial.Query().Where(s.rows).Order(ent.Desc(denial.FieldID)).Limit(newest).IDs(ctx)
		return live.Reading{Items: once(ids)}, err
	}
	return Plan[*graph.DenialsChange]{src, func(ctx context.Context, c live.Change) (*graph.DenialsChange, live.Items, error) {
		rows, err := r.client.Denial.Query().Where(denial.IDIn(c.Ids()...)).WithContainer().WithProduct().Order(ent.Asc(denial.FieldID)).All(ctx)
		t := toldOf(c)
		return &graph.DenialsChange{Sequence: t.Sequence, Since: t.Since, Snapshot: t.Snapshot, Position: t.Position, Added: rows}, c.Upserted, err
	}}, err
}

// Audit follows the newest entries of the organization's audit log.
func (r *Streams) Audit(ctx context.Context) (Plan[*graph.AuditEntriesChange], error) {
	by, err := auth.Require(ctx, auth.ReadAudit)
	if err != nil {
		return Plan[*graph.AuditEntriesChange]{}, err
	}
	src := live.Source{
		Key: "audit", Topics: []event.Signal{{Topic: event.Audit, Key: by.Organization}}, Every: 10 * r.tick, Window: newest,
		Read: func(ctx context.Context, _ live.Heard) (live.Reading, error) {
			ids, err := r.client.AuditEntry.Query().Order(ent.Desc(auditentry.FieldID)).Limit(newest).IDs(ctx)
			return live.Reading{Items: once(ids)}, err
		},
	}
	return Plan[*graph.AuditEntriesChange]{src, func(ctx context.Context, c live.Change) (*graph.AuditEntriesChange, live.Items, error) {
		rows, err := r.client.AuditEntry.Query().Where(auditentry.IDIn(c.Ids()...)).Order(ent.Asc(auditentry.FieldID)).All(ctx)
		t := toldOf(c)
		return &graph.AuditEntriesChange{Sequence: t.Sequence, Since: t.Since, Snapshot: t.Snapshot, Position: t.Position, Added: rows}, c.Upserted, err
	}}, nil
}

func once(ids []string) live.Items {
	items := make(live.Items, len(ids))
	for _, id := range ids {
		items[id] = 1
	}
	return items
}
