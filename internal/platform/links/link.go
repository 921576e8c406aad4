package links

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/tasks"
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
// the leading server gets any; another one waits in vain. It is a sign of life
// when it comes, and none while it waits. It ends when the server's token is revoked or rotated.
// Errors: license.CodeUnauthenticated, CodeForbidden; ctx's, when it ends.
func (p *Service) Pull(ctx context.Context, leading bool, wait time.Duration) ([]tasks.LinkWork, error) {
	who, err := auth.Require(ctx, auth.Link)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(core.System(ctx, "link"))
	defer cancel()
	news, err := p.core.Bus.Subscribe(ctx, event.Work, core.LinkPlace(who))
	if err != nil {
		return nil, err
	}
	over := time.NewTimer(min(max(wait, 0), MostWait))
	defer over.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	server, err := p.serverSeen(ctx, who, leading, nil)
	if err != nil {
		return nil, err
	}
	for hash := server.LinkTokenHash; ; {
		if !bytes.Equal(hash, server.LinkTokenHash) {
			return nil, license.Errorf(license.CodeUnauthenticated, "give the server its new one, or enroll it again", "the link token was revoked")
		}
		due, err := p.dueWork(ctx, core.LinkPlace(who), leading)
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
		if server, err = p.core.Store.Client().TmrServer.Get(ctx, who.ID); err != nil {
			return nil, core.NotFound(err, "TMR server", who.ID)
		}
	}
}

func workAt(place string) predicate.Work {
	if core.IsGroup(place) {
		return work.TmrGroupID(place)
	}
	return work.ContainerID(place)
}

func (p *Service) dueWork(ctx context.Context, place string, leading bool) ([]tasks.LinkWork, error) {
	if !leading {
		return nil, nil
	}
	var rows []*ent.Work
	for late := true; late; {
		var err error
		if rows, err = p.core.Store.Client().Work.Query().Where(workAt(place), work.StateEQ(property.WorkPending)).
			Order(ent.Asc(work.FieldID)).Limit(mostWork).All(ctx); err != nil {
			return nil, err
		}
		late = false
		for _, row := range rows {
			if !history.Late(row) {
				continue
			}
			late = true
			if err := history.GiveUpNotice(ctx, p.core, row.ID); err != nil {
				return nil, err
			}
		}
	}
	due := make([]tasks.LinkWork, len(rows))
	for i, row := range rows {
		w, err := tasks.WorkOf(row)
		if err != nil {
			return nil, err
		}
		due[i] = w
	}
	return due, nil
}

// Report takes the result of a work item, and has the rollout that waits for it
// go on. The first result counts: repeating is no error and changes nothing.
// Errors: license.CodeUnauthenticated, CodeForbidden; CodeNotFound for work of
// another place too.
func (p *Service) Report(ctx context.Context, r tasks.LinkReport) error {
	who, err := auth.Require(ctx, auth.Link)
	if err != nil {
		return err
	}
	result, err := json.Marshal(r)
	if err != nil {
		return err
	}
	ctx = core.System(ctx, "link")
	return p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		row, err := tx.Work.Query().
			Where(work.ID(r.WorkID), workAt(core.LinkPlace(who)), func(s *sql.Selector) { store.Locked(s) }).Only(ctx)
		if err != nil {
			return core.NotFound(err, "work item", r.WorkID)
		}
		if row.State != property.WorkPending {
			return nil
		}
		change := tx.Work.UpdateOne(row).SetDoneAt(core.Now()).SetResult(result).SetState(property.WorkDone)
		if r.Failed != nil {
			change.SetState(property.WorkFailed).
				SetErrorCode(string(tasks.FailedCode(r.Failed.Code))).SetErrorMessage(core.ClipNote(r.Failed.Error()))
		}
		if err := change.Exec(ctx); err != nil {
			return err
		}
		if row.Kind == property.WorkRemove {
			return history.RemovalDone(ctx, p.core, tx, row.Key, r.Failed)
		}
		if row.Kind == property.WorkAsk {
			return history.NoticeDone(ctx, p.core, tx, row, r.Failed)
		}
		if row.RolloutID == nil {
			return nil
		}
		p.core.Publish(ctx, tx, event.WorkDone, *row.RolloutID)
		return p.core.Jobs.EnqueueTx(ctx, tx.SQL(), tasks.AdvanceRollout{Rollout: *row.RolloutID})
	})
}
