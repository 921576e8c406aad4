package platform

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
)

const (
	// MostWait bounds how long Pull waits.
	MostWait = 25 * time.Second
	// mostWork is how many work items one Pull gives.
	mostWork = 16
	// lookAgain is how often a waiting Pull looks without having been told, in
	// case that the telling got lost.
	lookAgain = 2 * time.Second
)

// Pull gives the work that is due for the caller's TMR group or container, waiting up to
// wait (at most MostWait) for some. Work stays due until it is reported. Only
// the leading server gets any; another one waits in vain, so that the platform
// knows that it is there. Errors: license.CodeUnauthenticated, CodeForbidden;
// ctx's, when it ends.
func (p *Platform) Pull(ctx context.Context, leading bool, wait time.Duration) ([]LinkWork, error) {
	who, err := auth.Require(ctx, auth.Link)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(system(ctx, "link"))
	defer cancel()
	news, err := p.bus.Subscribe(ctx, event.Work, linkPlace(who))
	if err != nil {
		return nil, err
	}
	over := time.NewTimer(min(max(wait, 0), MostWait))
	defer over.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		if err := p.serverSeen(ctx, who, leading); err != nil {
			return nil, err
		}
		due, err := p.dueWork(ctx, linkPlace(who), leading)
		if err != nil || len(due) > 0 {
			return due, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-over.C:
			return nil, nil
		case _, open := <-news:
			if !open {
				news = nil // the bus is closed: the ticker has to do
			}
		case <-again.C:
		}
	}
}

// linkPlace is the id of what a server serves.
func linkPlace(who auth.Principal) string {
	if who.Group != "" {
		return who.Group
	}
	return who.Container
}

func workAt(place string) predicate.Work {
	if isGroup(place) {
		return work.TmrGroupID(place)
	}
	return work.ContainerID(place)
}

func (p *Platform) dueWork(ctx context.Context, place string, leading bool) ([]LinkWork, error) {
	if !leading {
		return nil, nil
	}
	rows, err := p.store.Client().Work.Query().
		Where(workAt(place), work.StateEQ(property.WorkPending), notLate()).
		Order(ent.Asc(work.FieldID)).Limit(mostWork).All(ctx)
	if err != nil {
		return nil, err
	}
	due := make([]LinkWork, len(rows))
	for i, row := range rows {
		if due[i], err = linkWork(row); err != nil {
			return nil, err
		}
	}
	return due, nil
}

// seenEvery is how old the time may be at which a server was last heard of,
// before it is written again: not each call is worth a write.
const seenEvery = 2 * time.Second

// serverSeen notes that a server of the link is there, and whether it leads.
func (p *Platform) serverSeen(ctx context.Context, who auth.Principal, leading bool) error {
	row, err := p.store.Client().TmrServer.Get(ctx, who.ID)
	if err != nil {
		return notFound(err, "TMR server", who.ID)
	}
	if row.Leading == leading && row.SeenAt != nil && time.Since(*row.SeenAt) < seenEvery {
		return nil
	}
	return p.store.WithTx(ctx, func(tx *store.Tx) error {
		at := now()
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
		if err := tx.TmrServer.Update().Where(tmrserver.ID(who.ID)).SetLeading(leading).SetSeenAt(at).Exec(ctx); err != nil {
			return err
		}
		if who.Group != "" && (row.Leading != leading || !heard(row.SeenAt)) {
			p.publish(ctx, tx, event.TmrGroup, who.Group)
		}
		return nil
	})
}

// Report takes the result of a work item, and has the rollout that waits for it
// go on. The first result counts: repeating is no error and changes nothing.
// Errors: license.CodeUnauthenticated, CodeForbidden; CodeNotFound for work of
// another place too.
func (p *Platform) Report(ctx context.Context, r LinkReport) error {
	who, err := auth.Require(ctx, auth.Link)
	if err != nil {
		return err
	}
	result, err := json.Marshal(r)
	if err != nil {
		return err
	}
	ctx = system(ctx, "link")
	return p.store.WithTx(ctx, func(tx *store.Tx) error {
		row, err := tx.Work.Query().
			Where(work.ID(r.WorkID), workAt(linkPlace(who)), func(s *sql.Selector) { store.Locked(s) }).Only(ctx)
		if err != nil {
			return notFound(err, "work item", r.WorkID)
		}
		if row.State != property.WorkPending {
			return nil
		}
		change := tx.Work.UpdateOne(row).SetDoneAt(now()).SetResult(result).SetState(property.WorkDone)
		if r.Failed != nil {
			change.SetState(property.WorkFailed).
				SetErrorCode(string(failedCode(r.Failed.Code))).SetErrorMessage(clipNote(r.Failed.Error()))
		}
		if err := change.Exec(ctx); err != nil {
			return err
		}
		if row.Kind == property.WorkRemove {
			return p.removalDone(ctx, tx, row.Key, r.Failed)
		}
		if row.Kind == property.WorkAsk {
			return p.noticeDone(ctx, tx, row, r.Failed)
		}
		if row.RolloutID == nil {
			return nil
		}
		p.publish(ctx, tx, event.WorkDone, *row.RolloutID)
		return p.jobs.EnqueueTx(ctx, tx.SQL(), AdvanceRollout{*row.RolloutID})
	})
}

// failedCode takes a server's code only where it looks like one.
func failedCode(c license.Code) license.Code {
	if c == "" || len(c) > 64 || strings.Trim(string(c), "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != "" {
		return license.CodeInternal
	}
	return c
}
