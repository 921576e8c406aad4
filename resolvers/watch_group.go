package resolvers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/views"
)

// viewsAtOnce bounds how many stored views are read at once.
const viewsAtOnce = 100

// groupWatch follows one TMR group: every stored view in order, none left out,
// and what else changes about the group, under the sequence of the last view.
type groupWatch struct {
	r    *Resolver
	id   string
	last int // sequence of the view that was emitted last

	shown   aspects
	emitted time.Time
}

// aspects are what is shown of a group beside its view. Some change by time
// alone, when a server falls silent.
type aspects struct {
	linked  bool
	clients int
	servers string
	rollout string
	ordered int
}

func (w *groupWatch) run(ctx context.Context, emit func(*ent.TmrGroup) error) error {
	signals, err := w.r.bus.Subscribe(ctx, event.TmrGroup, w.id)
	if err != nil {
		return err
	}
	g, err := w.r.client.TmrGroup.Get(ctx, w.id)
	if err != nil {
		return err
	}
	if w.shown, err = w.look(ctx, g, true); err != nil {
		return err
	}
	if err := w.emit(emit, g); err != nil {
		return err
	}
	w.last = g.Sequence
	tick := time.NewTicker(w.r.tick)
	defer tick.Stop()
	later := time.NewTimer(0)
	defer later.Stop()
	for {
		told := true
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-signals:
			if !open {
				return errBusClosed()
			}
		case <-later.C:
		case <-tick.C:
			told = false
		}
		wait, err := w.step(ctx, emit, told)
		if err != nil {
			return err
		}
		if wait > 0 {
			later.Reset(wait)
		}
	}
}

// step emits the views since the last one, or else the group as it is when
// something beside the view has changed. Such emissions are spaced: wait says
// when to look again.
func (w *groupWatch) step(ctx context.Context, emit func(*ent.TmrGroup) error, told bool) (wait time.Duration, err error) {
	g, err := w.r.client.TmrGroup.Get(ctx, w.id)
	if err != nil {
		return 0, err
	}
	now, err := w.look(ctx, g, told)
	if err != nil {
		return 0, err
	}
	if w.last < g.Sequence {
		w.shown = now
		return 0, w.views(ctx, emit, g)
	}
	if now == w.shown {
		return 0, nil
	}
	if wait := w.r.gap - time.Since(w.emitted); wait > 0 {
		return wait, nil
	}
	w.shown = now
	return 0, w.emit(emit, g)
}

// views emits g once per stored view since the last one.
func (w *groupWatch) views(ctx context.Context, emit func(*ent.TmrGroup) error, g *ent.TmrGroup) error {
	for w.last < g.Sequence {
		rows, err := w.r.platform.ViewsAfter(ctx, w.id, w.last, viewsAtOnce)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return fmt.Errorf("group %s: no views between %d and %d", w.id, w.last, g.Sequence)
		}
		for _, row := range rows {
			if err := w.emit(emit, views.GroupAt(g, row)); err != nil {
				return err
			}
			w.last = row.Sequence
		}
	}
	return nil
}

func (w *groupWatch) emit(emit func(*ent.TmrGroup) error, g *ent.TmrGroup) error {
	w.emitted = time.Now()
	return emit(g)
}

// look reads the aspects; the rollout and the orders only when told that
// something changed, since time alone does not change them.
func (w *groupWatch) look(ctx context.Context, g *ent.TmrGroup, told bool) (aspects, error) {
	a := aspects{linked: core.Linked(g), clients: g.Clients, rollout: w.shown.rollout, ordered: w.shown.ordered}
	l := newLoaders(w.r.client)
	servers, _, err := l.servers.load(ctx, g.ID)
	if err != nil {
		return a, err
	}
	var b strings.Builder
	for _, s := range servers {
		fmt.Fprintf(&b, "%q %q %s;", s.Name, s.Address, views.ServerRole(s))
	}
	a.servers = b.String()
	if !told {
		return a, nil
	}
	row, found, err := l.running.load(ctx, g.ID)
	if err != nil {
		return a, err
	}
	a.rollout = ""
	if found {
		a.rollout = fmt.Sprintf("%s %d", row.ID, row.Sequence)
	}
	a.ordered, _, err = l.ordered.load(ctx, g.ID)
	return a, err
}
