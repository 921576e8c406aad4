package links

import (
	"context"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// LostAfter is how long a server may be silent before it is told that it is lost.
const LostAfter = time.Minute

// mostVersion bounds how a server's version is shown, in bytes.
const mostVersion = 64

// ProcessStatus is what a server tells of itself.
type ProcessStatus struct {
	Version string
	Running time.Duration // for how long its program has been
	// RoundTrip is how long its last push took to and fro; 0: not measured.
	RoundTrip time.Duration
}

// ServerState is what is heard of a server.
type ServerState string

// The states.
const (
	ServerOnline  ServerState = "ONLINE"
	ServerStale   ServerState = "STALE"   // silent, and not given up for lost yet
	ServerOffline ServerState = "OFFLINE" // lost, or revoked
	ServerNever   ServerState = "NEVER"   // it was never linked
)

// ServerStateOf tells it.
func ServerStateOf(s *ent.TmrServer) ServerState {
	switch {
	case s.RevokedAt != nil:
		return ServerOffline
	case s.SeenAt == nil:
		return ServerNever
	case core.Heard(s.SeenAt):
		return ServerOnline
	case time.Since(*s.SeenAt) < LostAfter:
		return ServerStale
	}
	return ServerOffline
}

// ServersIn finds the servers of which this is heard, as ServerStateOf tells.
func ServersIn(states ...ServerState) predicate.TmrServer {
	now := core.Now()
	heard, lost := now.Add(-core.LinkPatience), now.Add(-LostAfter)
	any := []predicate.TmrServer{tmrserver.IDIn()} // none
	for _, s := range states {
		switch s {
		case ServerOnline:
			any = append(any, tmrserver.And(tmrserver.RevokedAtIsNil(), tmrserver.SeenAtGTE(heard)))
		case ServerStale:
			any = append(any, tmrserver.And(tmrserver.RevokedAtIsNil(), tmrserver.SeenAtLT(heard), tmrserver.SeenAtGT(lost)))
		case ServerOffline:
			any = append(any, tmrserver.Or(tmrserver.RevokedAtNotNil(), tmrserver.SeenAtLTE(lost)))
		case ServerNever:
			any = append(any, tmrserver.And(tmrserver.RevokedAtIsNil(), tmrserver.SeenAtIsNil()))
		}
	}
	return tmrserver.Or(any...)
}

// serverSeen notes that a server of the link is there, whether it leads, and what
// it tells of itself, where that is worth a write. It gives the server as it was.
func (p *Service) serverSeen(ctx context.Context, who auth.Principal, leading bool, told *ProcessStatus) (*ent.TmrServer, error) {
	row, err := p.core.Store.Client().TmrServer.Get(ctx, who.ID)
	if err != nil {
		return nil, core.NotFound(err, "TMR server", who.ID)
	}
	defer p.silence.heard(row) // when it is written
	fresh := row.SeenAt != nil && time.Since(*row.SeenAt) < core.SeenEvery
	if row.Leading == leading && fresh && (told == nil || row.Version == version(told)) {
		return row, nil
	}
	return row, p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		at := core.Now()
		// Lock order: the group or container, then its servers.
		if leading && who.Container != "" {
			if err := tx.Container.Update().Where(container.ID(who.Container)).SetLinkedAt(at).Exec(ctx); err != nil {
				return err
			}
		}
		if leading && who.Group != "" {
			if err := tx.TmrGroup.Update().Where(tmrgroup.ID(who.Group)).SetLinkedAt(at).Exec(ctx); err != nil {
				return err
			}
			if err := tx.TmrServer.Update().
				Where(tmrserver.TmrGroupID(who.Group), tmrserver.IDNEQ(who.ID), tmrserver.Leading(true)).
				SetLeading(false).Exec(ctx); err != nil {
				return err
			}
		}
		return p.note(ctx, tx, who, leading, told, at)
	})
}

func version(told *ProcessStatus) string {
	v := core.ClipText(told.Version)
	return v[:min(len(v), mostVersion)]
}

// note writes a server's figures, and tells of one that is back. Calls to several
// replicas take turns at the row.
func (p *Service) note(ctx context.Context, tx *store.Tx, who auth.Principal, leading bool, told *ProcessStatus, at time.Time) error {
	row, err := tx.TmrServer.Query().Where(tmrserver.ID(who.ID), predicate.TmrServer(store.Locked)).Only(ctx)
	if err != nil {
		return core.NotFound(err, "TMR server", who.ID)
	}
	if row.RevokedAt != nil {
		return nil // the call was there before
	}
	change := tx.TmrServer.UpdateOne(row).SetLeading(leading).SetSeenAt(at)
	linked := row.LinkedAt == nil || !core.Heard(row.SeenAt)
	if told != nil {
		started := at.Add(-told.Running).Truncate(time.Second)
		// Nor a call that took long, nor two replicas whose clocks differ a little,
		// make another start.
		if row.StartedAt == nil || started.Sub(*row.StartedAt) > 2*time.Second {
			linked = linked || row.StartedAt != nil
			change.SetStartedAt(core.Plausible(started))
		}
		change.SetVersion(version(told))
		if told.RoundTrip > 0 {
			change.SetLatency(int(min(told.RoundTrip.Milliseconds(), time.Hour.Milliseconds())))
		}
	}
	if linked || lost(row) {
		began := at
		if row.LostAt != nil && !row.LostAt.Before(began) {
			began = row.LostAt.Add(time.Microsecond) // by another replica's clock
		}
		change.SetLinkedAt(began).AddLinks(1)
	}
	after, err := change.Save(ctx)
	if err != nil {
		return err
	}
	if after.Leading != row.Leading || after.Links != row.Links || after.Version != row.Version {
		p.core.PublishServer(ctx, tx, after)
	}
	if !lost(row) {
		return nil
	}
	return p.tell(ctx, tx, row, core.EventServerBack, map[string]any{"lostAt": row.LostAt.UTC().Format(time.RFC3339)})
}

// lost says whether a server was told to be, and is not back.
func lost(s *ent.TmrServer) bool {
	return s.LostAt != nil && (s.LinkedAt == nil || !s.LostAt.Before(*s.LinkedAt))
}

// WatchServers is the job that looks for lost servers.
type WatchServers struct{}

// Kind names the job in the queue.
func (WatchServers) Kind() string { return "watch_servers" }

// mostLost bounds one look.
const mostLost = 1000

// LostServers tells of the servers that were silent for LostAfter, once for each
// time, and says how many there were. A platform that has just been started waits
// that long itself: while it was down nobody could be heard.
func (p *Service) LostServers(ctx context.Context) (int, error) {
	if time.Since(p.since) < LostAfter {
		return 0, nil
	}
	ctx = core.System(ctx, "link")
	since := core.Now().Add(-LostAfter)
	silent := []predicate.TmrServer{
		tmrserver.SeenAtLT(since), tmrserver.RevokedAtIsNil(), tmrserver.LinkedAtNotNil(),
		tmrserver.Or(tmrserver.LostAtIsNil(), lostBeforeLink()),
	}
	ids, err := p.core.Store.Client().TmrServer.Query().Where(silent...).Order(ent.Asc(tmrserver.FieldID)).Limit(mostLost).IDs(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, id := range ids {
		err := p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
			row, err := tx.TmrServer.Query().Where(append(silent, tmrserver.ID(id), predicate.TmrServer(store.Locked))...).Only(ctx)
			if ent.IsNotFound(err) {
				return nil // it is back, or another replica was faster
			}
			if err != nil {
				return err
			}
			n++
			if row, err = tx.TmrServer.UpdateOne(row).SetLostAt(core.Now()).SetLeading(false).Save(ctx); err != nil {
				return err
			}
			p.core.PublishServer(ctx, tx, row)
			return p.tell(ctx, tx, row, core.EventServerLost, map[string]any{"seenAt": row.SeenAt.UTC().Format(time.RFC3339)})
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// tell writes a server's coming or going to the audit log and to webhooks.
func (p *Service) tell(ctx context.Context, tx *store.Tx, s *ent.TmrServer, kind core.EventKind, more map[string]any) error {
	data := core.AtPlace(s.TmrGroupID, s.ContainerID, map[string]any{"server": s.ID, "name": s.Name})
	for k, v := range more {
		data[k] = v
	}
	if err := core.Audit(ctx, tx, s.VendorID, string(kind), s.ID, nil, data); err != nil {
		return err
	}
	return p.core.EmitShared(ctx, tx, s.VendorID, s.CustomerID, kind, data)
}

func lostBeforeLink() predicate.TmrServer {
	return func(s *sql.Selector) {
		s.Where(sql.ColumnsLT(s.C(tmrserver.FieldLostAt), s.C(tmrserver.FieldLinkedAt)))
	}
}
