package history

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/predicate"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/store"
)

const (
	mostNoticeText = 500 // bytes
	// askEvery is how often a holder can be asked: a notice replaces the one before.
	askEvery = 10 * time.Second
	// NoticeTime is how long a notice waits for its license server: one from
	// yesterday asks for nothing any more.
	NoticeTime = 15 * time.Minute
	// askPrefix is what the keys of notices begin with, before the allocation's id
	// and a number.
	askPrefix = "ask/"
)

// AskAllocation has the holder of a living allocation asked to release it: its
// program gets the text with its next renewal. With the same text, while that is
// on its way, it changes nothing. Errors: CodeNotFound, CodeForbidden,
// CodeInvalidInput for the text, CodeConflict when the allocation has ended, its
// server has no link or another text is on its way, CodeThrottled,
// CodeContainerBlocked.
func (p *Service) AskAllocation(ctx context.Context, id, text string) (*ent.Allocation, error) {
	by, err := auth.Require(ctx, auth.Release)
	if err != nil {
		return nil, err
	}
	if err := checkNotice(text); err != nil {
		return nil, err
	}
	var found *ent.Allocation
	err = p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		a, at, err := reachable(ctx, tx, id, "ask at its license server: quorate ask")
		if err != nil {
			return err
		}
		found = a
		return p.requestNotice(ctx, tx, by, a, at, text)
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func checkNotice(text string) error {
	odd := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
	switch {
	case len(text) > mostNoticeText:
		return core.AtField("text", license.Errorf(license.CodeInvalidInput, "shorten it", "the text is %d bytes long, and %d are the most", len(text), mostNoticeText))
	case !utf8.ValidString(text) || strings.ContainsFunc(text, odd):
		return core.AtField("text", license.Errorf(license.CodeInvalidInput, "write it on one line, without control characters", "the text is not plain text"))
	}
	return nil
}

// reachable locks a living allocation whose server has a link; fix is what to do
// where it has none.
func reachable(ctx context.Context, tx *store.Tx, id, fix string) (*ent.Allocation, core.LoadedPlace, error) {
	a, err := tx.Allocation.Query().Where(allocation.ID(id), store.Locked).
		WithProduct(func(q *ent.ProductQuery) { q.WithFirm() }).
		WithContainer(func(q *ent.ContainerQuery) { q.WithTmrGroup().WithServers() }).Only(ctx)
	if err != nil {
		return nil, core.LoadedPlace{}, core.NotFound(err, "allocation", id)
	}
	if a.State != property.AllocationActive {
		return nil, core.LoadedPlace{}, license.Errorf(license.CodeConflict, "reload the list", "the allocation has ended already")
	}
	at := core.LoadedPlace{Group: a.Edges.Container.Edges.TmrGroup, Containers: []*ent.Container{a.Edges.Container}}
	if a.Edges.Product == nil || a.Edges.Product.Edges.Firm == nil || (at.Single() && len(a.Edges.Container.Edges.Servers) == 0) {
		return nil, core.LoadedPlace{}, license.Errorf(license.CodeConflict, fix, "the allocation's server has no link")
	}
	return a, at, at.Blocked() // nothing reaches its server any more
}

func (p *Service) requestNotice(ctx context.Context, tx *store.Tx, by auth.Principal, a *ent.Allocation, at core.LoadedPlace, text string) error {
	prefix := askPrefix + a.ID + "/"
	n, err := tx.Work.Query().Where(work.KeyHasPrefix(prefix)).Count(ctx)
	if err != nil {
		return err
	}
	waiting, err := tx.Work.Query().Where(work.KeyHasPrefix(prefix), work.StateEQ(property.WorkPending), work.Not(lateNotice())).Exist(ctx)
	if err != nil {
		return err
	}
	if waiting {
		if a.NoticeText == text {
			return nil
		}
		return license.Errorf(license.CodeConflict, "wait until it has arrived", "another notice is on its way to the license server")
	}
	if a.NoticeAt != nil {
		if wait := askEvery - time.Since(*a.NoticeAt); wait > 0 {
			return &license.Error{Code: license.CodeThrottled, Message: "the holder was asked a moment ago", Fix: "ask again in some seconds",
				Details: map[string]any{"retryMs": wait.Milliseconds()}}
		}
	}
	w, err := tasks.AddWork(ctx, p.core, tx, at, nil, prefix+strconv.Itoa(n+1), tasks.LinkWork{
		Kind: property.WorkAsk, Product: core.ProductOf(a.Edges.Product), Handle: a.Handle, By: core.DisplayName(by), Text: text,
	})
	if err != nil {
		return err
	}
	if err := tx.Allocation.UpdateOneID(a.ID).SetNoticeAt(w.CreatedAt).SetNoticeBy(core.ClipText(core.DisplayName(by))).SetNoticeText(text).
		ClearNoticeTakenAt().SetNoticeCode("").SetNoticeMessage("").Exec(ctx); err != nil {
		return err
	}
	p.core.Publish(ctx, tx, event.Allocations, a.ContainerID)
	return core.Audit(ctx, tx, core.AuditOwner(by, a.VendorID), "allocation.ask", a.ID, map[string]any{"client": a.Client, "user": a.User}, map[string]any{"text": text})
}

// Late says whether a work item is a notice that was asked for too long ago.
func Late(w *ent.Work) bool {
	return w.Kind == property.WorkAsk && !w.CreatedAt.After(lateBefore())
}

func lateBefore() time.Time { return core.Now().Add(-NoticeTime) }

func lateNotice() predicate.Work {
	return work.And(work.StateEQ(property.WorkPending), work.KindEQ(property.WorkAsk), work.CreatedAtLTE(lateBefore()))
}

// GiveUpNotice ends a late notice that nobody has taken, and tells so at its
// allocation. For one that was reported meanwhile it does nothing.
func GiveUpNotice(ctx context.Context, p *core.Core, id string) error {
	return p.Store.WithTx(ctx, func(tx *store.Tx) error {
		w, err := tx.Work.Query().Where(work.ID(id), lateNotice(), func(s *sql.Selector) { store.Locked(s) }).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		late := license.Errorf(license.CodeUnavailable, "ask again when it is", "its license server was not there in time")
		if err := tx.Work.UpdateOne(w).SetDoneAt(core.Now()).SetState(property.WorkFailed).
			SetErrorCode(string(late.Code)).SetErrorMessage(core.ClipNote(late.Error())).Exec(ctx); err != nil {
			return err
		}
		return NoticeDone(ctx, p, tx, w, late)
	})
}

// giveUpNotices does so for some of the late ones of all places, and says how
// many they were.
func giveUpNotices(ctx context.Context, p *core.Core) (int, error) {
	ids, err := p.Store.Client().Work.Query().Where(lateNotice()).Order(ent.Asc(work.FieldID)).Limit(atOnce).IDs(ctx)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := GiveUpNotice(ctx, p, id); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// NoticeDone notes at the allocation what its license server said to a notice,
// unless a later one has taken its place.
func NoticeDone(ctx context.Context, p *core.Core, tx *store.Tx, w *ent.Work, failed *license.Error) error {
	id, _, _ := strings.Cut(strings.TrimPrefix(w.Key, askPrefix), "/")
	a, err := tx.Allocation.Query().Where(allocation.ID(id), store.Locked).Only(ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil || a.NoticeAt == nil || !a.NoticeAt.Equal(w.CreatedAt) {
		return err
	}
	change := tx.Allocation.UpdateOneID(id)
	if failed == nil {
		change.SetNoticeTakenAt(core.Now())
	} else {
		change.SetNoticeCode(string(tasks.FailedCode(failed.Code))).SetNoticeMessage(core.ClipNote(failed.Error()))
	}
	p.Publish(ctx, tx, event.Allocations, a.ContainerID)
	return change.Exec(ctx)
}
