package platform_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/usagebucket"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/links"
)

// allocationOf gives the row of a handle.
func (l *lab) allocationOf(handle string) *ent.Allocation {
	l.t.Helper()
	return l.Store().Client().Allocation.Query().Where(allocation.Handle(handle)).OnlyX(l.system())
}

// isAgo says whether a time is so long ago, but for what a call takes.
func isAgo(at *time.Time, ago time.Duration) bool {
	return at != nil && (time.Since(*at)-ago).Abs() < 5*time.Second
}

// TestActivity: how handles are used is noted for those that live in the link's
// own container or group, and for no other.
func TestActivity(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(77)
		group, gid := l.link(o.made), o.made.Group.ID
		office, oid := l.as(o.server), o.row.ID
		for _, place := range []struct {
			name, id, container string
			push                func(links.LinkPush) error
		}{
			{"container", oid, oid, func(p links.LinkPush) error { _, err := l.Push(office, p); return err }},
			{"group", gid, o.made.Virtual.ID, func(p links.LinkPush) error { _, err := l.Push(group, p); return err }},
		} {
			a, b := place.name+"-a", place.name+"-b"
			seen := l.watch(event.Allocations, place.container)
			push := leads(2, leaseEvent(10, history.LeaseGranted, a), leaseEvent(20, history.LeaseGranted, b))
			push.Activity = []history.HandleActivity{
				{Handle: a, Accesses: 2, LastAccess: time.Minute, Idle: time.Hour, Expires: 2 * time.Minute},
				{Handle: "nobody's", Accesses: 1}, {Handle: strings.Repeat("x", 300), Accesses: 1}, {Handle: "", Accesses: 1},
			}
			tell := func(told ...history.HandleActivity) *ent.Allocation {
				t.Helper()
				p := leads(2)
				p.Activity = told
				if err := place.push(p); err != nil {
					t.Fatal(err)
				}
				return l.allocationOf(a)
			}
			if got := l.Store().Client().Allocation.Query().Where(allocation.Handle(a)).CountX(l.system()); got != 0 {
				t.Fatalf("%d rows", got)
			}
			if err := place.push(push); err != nil { // its grant comes with the same push
				t.Fatal(err)
			}
			wantSignal(t, "news", seen)
			if row := l.allocationOf(a); row.Accesses != 2 || !isAgo(row.LastAccessAt, time.Minute) || !isAgo(row.IdleSince, time.Hour) || !isAgo(row.ExpiresAt, -2*time.Minute) ||
				!row.LastAccess.Equal(row.FirstAccess) {
				t.Errorf("%s: %+v", place.name, row)
			}
			if row := l.allocationOf(b); row.Accesses != 0 || row.LastAccessAt != nil || row.IdleSince != nil || row.ExpiresAt != nil {
				t.Errorf("%s: not told of: %+v", place.name, row)
			}
			for drained := false; !drained; {
				select {
				case <-seen:
				default:
					drained = true
				}
			}
			tell(history.HandleActivity{Handle: a, Accesses: 2, LastAccess: time.Minute, Idle: time.Hour, Expires: 2 * time.Minute})
			wantQuiet(t, "the same again", seen)
			if row := tell(history.HandleActivity{Handle: a, Accesses: 2, Expires: time.Minute}); row.IdleSince != nil || !isAgo(row.LastAccessAt, 0) || !isAgo(row.ExpiresAt, -time.Minute) {
				t.Errorf("%s: in use again: %+v", place.name, row)
			}
			wantSignal(t, "another use", seen)
			tell(history.HandleActivity{Handle: a, Accesses: 2, LastAccess: time.Second, Idle: 50 * time.Minute, Expires: time.Minute})
			// A server that has just taken over knows the first access alone, but the lease.
			if row := tell(history.HandleActivity{Handle: a, Accesses: 1, LastAccess: 3 * time.Hour, Expires: 9 * time.Minute}); !isAgo(row.LastAccessAt, 0) ||
				!isAgo(row.IdleSince, 50*time.Minute) || row.Accesses != 1 || !isAgo(row.ExpiresAt, -9*time.Minute) {
				t.Errorf("%s: after a takeover: %+v", place.name, row)
			}
			if row := tell(history.HandleActivity{Handle: a, Expires: 9 * time.Minute}); row.Accesses != 1 {
				t.Errorf("%s: not told, and %d accesses", place.name, row.Accesses)
			}
			hostile := tell(history.HandleActivity{Handle: a, Accesses: math.MaxUint32, LastAccess: -time.Hour, Idle: math.MaxInt64, Expires: math.MaxInt64})
			if hostile.LastAccessAt.After(time.Now()) || hostile.IdleSince.Year() < 2000 || hostile.ExpiresAt.Year() > 2100 || hostile.Accesses > math.MaxInt32 {
				t.Errorf("%s: %+v", place.name, hostile)
			}

			// Nobody tells of what is another's.
			other := map[string]string{"container": "group-a", "group": "container-b"}[place.name]
			before := l.Store().Client().Allocation.Query().Where(allocation.Handle(other)).AllX(l.system())
			tell(history.HandleActivity{Handle: other, Accesses: 9, Expires: time.Hour})
			for _, was := range before {
				if is := l.allocationOf(other); is.Accesses != was.Accesses || is.ExpiresAt != nil {
					t.Errorf("%s changes %+v", place.name, is)
				}
			}
			if err := place.push(leads(1, leaseEvent(30, history.LeaseReleased, a))); err != nil {
				t.Fatal(err)
			}
			ended := l.allocationOf(a)
			if row := tell(history.HandleActivity{Handle: a, Accesses: 3, LastAccess: 0, Expires: time.Hour}); row.State != property.AllocationReleased ||
				row.ExpiresAt != nil || !row.LastAccessAt.Equal(*ended.LastAccessAt) || row.Accesses != ended.Accesses {
				t.Errorf("%s: it has ended: %+v", place.name, row)
			}
		}
		many := leads(1)
		many.Activity = make([]history.HandleActivity, history.MostActivity+1)
		_, err := l.Push(office, many)
		wantCode(t, "too many", err, license.CodeTooLarge)
		wantCode(t, "another's", l.ApplyActivity(office, gid, many.Activity[:1]), license.CodeForbidden)
		wantCode(t, "a member", l.ApplyActivity(l.vendor(), oid, many.Activity[:1]), license.CodeForbidden)
		standby := links.LinkPush{Activity: []history.HandleActivity{{Handle: "container-b", Accesses: 5, Expires: time.Hour}}}
		if _, err := l.Push(office, standby); err != nil || l.allocationOf("container-b").Accesses != 0 {
			t.Errorf("one that does not lead: %v", err)
		}
	})
}

// TestMuchActivity: as much as one push brings.
func TestMuchActivity(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(77)
		var events []history.LeaseEvent
		push := leads(900)
		for i := range 900 {
			events = append(events, leaseEvent(uint64(i+1), history.LeaseGranted, fmt.Sprint("h", i)))
			push.Activity = append(push.Activity, history.HandleActivity{Handle: fmt.Sprint("h", i), Accesses: uint32(i + 1), Idle: time.Duration(i%2) * time.Hour, Expires: time.Minute})
		}
		push.Events = events
		o.push(push)
		rows := l.Store().Client().Allocation.Query().AllX(l.system())
		for _, row := range rows {
			var i int
			if _, err := fmt.Sscanf(row.Handle, "h%d", &i); err != nil || row.Accesses != i+1 || (row.IdleSince != nil) != (i%2 == 1) || !isAgo(row.ExpiresAt, -time.Minute) {
				t.Fatalf("%+v, %v", row, err)
			}
		}
		if len(rows) != 900 {
			t.Errorf("%d rows", len(rows))
		}
	})
}

// TestTheEndOfAnAllocationCountsOnce, also where its event comes after somebody
// has ended it in the history.
func TestTheEndOfAnAllocationCountsOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		at := func(position uint64, kind history.LeaseEventKind) history.LeaseEvent {
			e := leaseEvent(position, kind, "a")
			e.At = time.Now()
			return e
		}
		apply := func(events ...history.LeaseEvent) *ent.UsageSeries {
			t.Helper()
			if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, events); err != nil {
				t.Fatal(err)
			}
			return l.Store().Client().UsageSeries.Query().OnlyX(l.system())
		}
		buckets := func() (removed, expired int) {
			for _, b := range l.Store().Client().UsageBucket.Query().Where(usagebucket.Seconds(86400)).AllX(l.system()) {
				removed, expired = removed+int(b.Removed), expired+int(b.Expired)
			}
			return removed, expired
		}
		apply(leaseEvent(1, history.LeaseGranted, "a"))
		id := l.allocationOf("a").ID
		if _, err := l.ReleaseAllocation(l.vendor(), id); err != nil {
			t.Fatal(err)
		}
		l.Store().Client().Work.Update().SetState(property.WorkDone).SetDoneAt(time.Now().Add(-time.Hour).UTC()).ExecX(l.system())
		if got, err := l.ReleaseAllocation(l.vendor(), id); err != nil || got.State != property.AllocationRemoved {
			t.Fatalf("%+v, %v", got, err)
		}
		was := l.allocationOf("a")
		s := apply(at(2, history.LeaseRemoved))
		if removed, _ := buckets(); s.Removed != 1 || removed != 1 || s.Taken != 0 || s.Users != 0 {
			t.Errorf("removed %d times, in the buckets %d times: %+v", s.Removed, removed, s)
		}
		if is := l.allocationOf("a"); is.State != property.AllocationRemoved || !is.EndedAt.Equal(*was.EndedAt) || is.EndedBy != was.EndedBy {
			t.Errorf("%+v, was %+v", is, was)
		}
		// One that is given anew ends anew.
		s = apply(at(3, history.LeaseGranted), at(4, history.LeaseExpired))
		if removed, expired := buckets(); s.Granted != 2 || s.Removed != 1 || s.Expired != 1 || removed != 1 || expired != 1 {
			t.Errorf("%+v, in the buckets %d and %d", s, removed, expired)
		}
		// The log has what the server told, whatever the history made of it.
		l.verifyLog(made.Group.VendorID, 4, 0)
	})
}
