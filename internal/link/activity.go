package link

import (
	"context"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

const (
	// mostPushActivity bounds of how many handles one push tells how they are used.
	mostPushActivity = 2000
	// tellAgain is how often the use of a handle is told though it is the same: the
	// platform may not have known the handle yet, or have forgotten it.
	tellAgain = 5 * time.Minute
	// sameLease is how far apart two ends of a lease may be that are the same one:
	// the store tells how much of it is left.
	sameLease = 2 * time.Second
)

// use is how a handle is used, by this machine's clock.
type use struct {
	handle    string
	accesses  uint32
	last      time.Time
	idleSince time.Time // zero: in use, or not told
	expires   time.Time

	noted time.Time     // the store's own time of the last access
	idle  time.Duration // as the program told it then
	told  time.Time     // when it was told last; zero: never
}

func useOf(h lease.Handle, now time.Time) use {
	u := use{
		handle: h.Handle, accesses: h.Accesses, last: now.Add(-max(0, now.Sub(h.LastAccess))),
		expires: now.Add(max(0, h.Remaining)), noted: h.LastAccess, idle: h.Idle,
	}
	if h.Idle > 0 {
		u.idleSince = u.last.Add(-h.Idle)
	}
	return u
}

func (u use) same(v use) bool {
	return u.accesses == v.accesses && u.noted.Equal(v.noted) && u.idle == v.idle && u.expires.Sub(v.expires).Abs() < sameLease
}

// message tells it with times from now.
func (u use) message(now time.Time) *quoratev1.HandleActivity {
	m := &quoratev1.HandleActivity{
		Handle: u.handle, Accesses: u.accesses,
		LastAccessMs: max(0, now.Sub(u.last).Milliseconds()), ExpiresMs: max(0, u.expires.Sub(now).Milliseconds()),
	}
	if !u.idleSince.IsZero() {
		m.IdleMs = max(0, now.Sub(u.idleSince).Milliseconds())
	}
	return m
}

// toldUse knows by handle what was told.
type toldUse map[string]use

// due gives what is to be told: what has changed, and what was told long ago; of
// more than one push takes, those that have waited longest.
func (t *toldUse) due(handles []lease.Handle, now time.Time) (due []use) {
	living := make(toldUse, len(handles))
	for _, h := range handles {
		is := useOf(h, now)
		was, known := (*t)[h.Handle]
		if known {
			living[h.Handle] = was
		}
		if !known || !is.same(was) || now.Sub(was.told) >= tellAgain {
			is.told = was.told
			due = append(due, is)
		}
	}
	slices.SortStableFunc(due, func(a, b use) int { return a.told.Compare(b.told) })
	due = due[:min(len(due), mostPushActivity)]
	for i := range due {
		due[i].told = now
		living[due[i].handle] = due[i]
	}
	*t = living
	return due
}

// readActivity hands over how handles are used, now and then. What is handed over
// counts as told: who starts anew tells all.
func (a *Agent) readActivity(ctx context.Context, out chan<- []use) {
	state := trouble{logger: a.conf.Logger, what: "listing handles"}
	told := toldUse{}
	for ctx.Err() == nil {
		handles, err := a.conf.Handles(ctx)
		if err == nil {
			state.fine()
			if due := told.due(handles, time.Now()); len(due) > 0 {
				select {
				case out <- due:
				case <-ctx.Done():
				}
			}
		} else if ctx.Err() == nil {
			state.failed(err)
		}
		sleep(ctx, a.conf.Activity)
	}
}
