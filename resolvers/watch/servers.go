package watch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/views"
)

// Servers follows the links of servers. How fast a link is nobody tells: it
// comes with what else has changed, or when they are looked at by the clock.
func (r *Streams) Servers(ctx context.Context, s Scope) (Plan[*graph.ServersChange], error) {
	customer := s.customer
	by, err := auth.From(ctx)
	of := by.Organization
	if customer != "" {
		of = customer
	}
	src := live.Source{
		Key: "servers:" + customer, Topics: []event.Signal{{Topic: event.Servers, Key: of}}, Every: 10 * r.tick,
		Read: func(ctx context.Context, _ live.Heard) (live.Reading, error) {
			q := r.client.TmrServer.Query()
			if customer != "" {
				q.Where(tmrserver.CustomerID(customer))
			}
			rows, err := q.Select(serverStamps...).Limit(mostWatched + 1).All(ctx)
			if err == nil && len(rows) > mostWatched {
				err = tooMuch()
			}
			items := make(live.Items, len(rows))
			for _, s := range rows {
				items[s.ID] = serverStamp(s)
			}
			return live.Reading{Items: items}, err
		},
	}
	return Plan[*graph.ServersChange]{src, func(ctx context.Context, c live.Change) (*graph.ServersChange, live.Items, error) {
		t := toldOf(c)
		out, shows := &graph.ServersChange{
			Sequence: t.Sequence, Since: t.Since, Snapshot: t.Snapshot, Position: t.Position, Upserted: []*ent.TmrServer{}, Removed: removed(c),
		}, live.Items{}
		for chunk := range slices.Chunk(c.Ids(), rowsAtOnce) {
			rows, err := r.client.TmrServer.Query().Where(tmrserver.IDIn(chunk...)).WithTmrGroup().WithContainer().Order(ent.Asc(tmrserver.FieldID)).All(ctx)
			if err != nil {
				return nil, nil, err
			}
			for _, s := range rows {
				out.Upserted, shows[s.ID] = append(out.Upserted, s), serverStamp(s)
			}
		}
		return out, shows, nil
	}}, err
}

// serverStamps are the columns that tell two states of a server's link apart.
//
//nolint:gochecknoglobals // a constant list
var serverStamps = []string{
	tmrserver.FieldName, tmrserver.FieldAddress, tmrserver.FieldLeading, tmrserver.FieldSeenAt, tmrserver.FieldLatency, tmrserver.FieldVersion,
	tmrserver.FieldStartedAt, tmrserver.FieldLinkedAt, tmrserver.FieldLostAt, tmrserver.FieldLinks, tmrserver.FieldRevokedAt, tmrserver.FieldRevision,
}

// serverStamp leaves out when a server was last heard of: only whether that is
// now, lately or long ago is told.
func serverStamp(s *ent.TmrServer) uint64 {
	silent := "long"
	switch {
	case s.SeenAt == nil:
		silent = "never"
	case core.Heard(s.SeenAt):
		silent = "no"
	case time.Since(*s.SeenAt) < time.Minute:
		silent = "lately"
	}
	return stampOf(s.Name, s.Address, silent, string(views.ServerRole(s)), s.Version, fmt.Sprint(value(s.Latency), s.Links, s.Revision),
		at(s.StartedAt), at(s.LinkedAt), at(s.LostAt), at(s.RevokedAt))
}
