package platform_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/tasks"
)

func leaseEvent(position uint64, kind history.LeaseEventKind, handle string) history.LeaseEvent {
	return history.LeaseEvent{Position: position, Kind: kind, At: time.Unix(1_700_000_000+int64(position), 0), Handle: handle,
		Product: product, Mode: license.UserLimit, Client: "ws-1", User: "ada", Station: "ws-1", Process: 4711,
		Application: "chartplot", Seat: 3, N: 9}
}

func TestLeaseEventsMakeHistory(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		seen, refused := l.watch(event.Allocations, made.Virtual.ID), l.watch(event.Denials, made.Virtual.ID)
		denied := leaseEvent(40, history.LeaseDenied, "")
		denied.Reason, denied.At = license.CodeNoFreeSeat, time.Now()
		removed := leaseEvent(50, history.LeaseRemoved, "c")
		removed.By = "Olga"
		unknown := leaseEvent(60, history.LeaseGranted, "d")
		unknown.Product.Code = 99
		events := []history.LeaseEvent{
			leaseEvent(10, history.LeaseGranted, "a"), leaseEvent(20, history.LeaseGranted, "b"),
			leaseEvent(25, history.LeaseGranted, "e"), leaseEvent(30, history.LeaseReleased, "a"),
			denied, removed, unknown, leaseEvent(70, history.LeaseExpired, "e"),
		}
		check := func(what string) {
			t.Helper()
			c := l.Store().Client()
			state := func(handle string) *ent.Allocation {
				a, err := c.Allocation.Query().Where(allocation.Handle(handle), allocation.ContainerID(made.Virtual.ID)).Only(l.customer(made.Group))
				if err != nil {
					t.Fatalf("%s: %s: %v", what, handle, err)
				}
				return a
			}
			if a := state("a"); a.State != property.AllocationReleased || a.EndedAt == nil || a.Client != "ws-1" || a.User != "ada" ||
				a.ProcessID != 4711 || a.Seat != 3 || a.N != 9 || a.Licenses != 1 || !a.FirstAccess.Equal(time.Unix(1_700_000_010, 0)) {
				t.Errorf("%s: %+v", what, a)
			}
			if b := state("b"); b.State != property.AllocationActive || b.EndedAt != nil {
				t.Errorf("%s: %+v", what, b)
			}
			if r := state("c"); r.State != property.AllocationRemoved || r.EndedBy != "Olga" {
				t.Errorf("%s: an end without a beginning: %+v", what, r)
			}
			if e := state("e"); e.State != property.AllocationExpired {
				t.Errorf("%s: %+v", what, e)
			}
			if n := c.Allocation.Query().CountX(l.system()); n != 4 {
				t.Errorf("%s: %d allocations", what, n)
			}
			if n := c.Denial.Query().CountX(l.system()); n != 1 {
				t.Errorf("%s: %d denials", what, n)
			}
		}
		for i := range events { // in pieces, each one with what came before it
			if p, err := l.ApplyLeaseEvents(link, id, events[:i+1]); err != nil || p != events[i].Position {
				t.Fatalf("position %d, %v", p, err)
			}
			if events[i].Kind == history.LeaseDenied {
				wantSignal(t, "a denial", refused)
			} else {
				wantQuiet(t, "no denial", refused)
			}
		}
		check("in pieces")
		wantSignal(t, "events", seen)
		if p, err := l.ApplyLeaseEvents(link, id, events); err != nil || p != 70 {
			t.Errorf("position %d, %v", p, err)
		}
		check("again")
		wantQuiet(t, "repeated events", seen)
		if p, err := l.ApplyLeaseEvents(link, id, nil); err != nil || p != 70 {
			t.Errorf("position %d, %v", p, err)
		}
		if u, err := l.ContainerUsage(l.vendor(), made.Virtual.ID); err != nil || u.Taken != 1 || u.Denials != 1 || u.Total != 0 || u.Free != 0 {
			t.Errorf("%+v, %v", u, err)
		}
		if _, err := l.ApplyView(link, id, push(1, 1, stages()[0])); err != nil {
			t.Fatal(err)
		}
		if u, err := l.ContainerUsage(l.customer(made.Group), made.Virtual.ID); err != nil || u.Total != 20 || u.Free != 19 {
			t.Errorf("%+v, %v", u, err)
		}
		_, err := l.ContainerUsage(l.stranger(), made.Virtual.ID)
		wantCode(t, "a stranger's figures", err, license.CodeNotFound)

		_, err = l.ApplyLeaseEvents(link, id, []history.LeaseEvent{leaseEvent(90, history.LeaseGranted, "x"), leaseEvent(80, history.LeaseGranted, "y")})
		wantCode(t, "not in order", err, license.CodeInvalidInput)
		_, err = l.ApplyLeaseEvents(link, id, make([]history.LeaseEvent, history.MostLeaseEvents+1))
		wantCode(t, "too many", err, license.CodeTooLarge)
		_, err = l.ApplyLeaseEvents(link, "tmr_other", events)
		wantCode(t, "another group", err, license.CodeForbidden)
		_, err = l.ApplyLeaseEvents(l.vendor(), id, events)
		wantCode(t, "a member", err, license.CodeForbidden)
	})
}

// TestHostileEvents: what a program says of itself can't stop the stream.
func TestHostileEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		e := leaseEvent(1, history.LeaseGranted, "a")
		e.User, e.Client, e.Application, e.Mode = "a\x00b\xff", strings.Repeat("é", 500), strings.Repeat("x", 10_000), "ANY"
		odd := leaseEvent(2, "DANCED", "b")
		long := leaseEvent(3, history.LeaseGranted, strings.Repeat("h", 201))
		none := leaseEvent(4, history.LeaseGranted, "")
		nul := leaseEvent(5, history.LeaseGranted, "a\x00")
		many := leaseEvent(6, history.LeaseGranted, "c")
		many.N = 1 << 63
		late := leaseEvent(7, history.LeaseReleased, "a")
		late.At = time.UnixMilli(1<<63 - 1)
		if p, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, []history.LeaseEvent{e, odd, long, none, nul, many, late}); err != nil || p != 7 {
			t.Fatalf("position %d, %v", p, err)
		}
		a, err := l.Store().Client().Allocation.Query().Only(l.system())
		if err != nil || a.User != "ab�" || len(a.Client) > 200 || len(a.Application) != 200 || a.Mode != license.UserLimit ||
			a.State != property.AllocationReleased || time.Since(*a.EndedAt) > time.Minute {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

func TestReleaseAllocation(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, id := l.link(made), made.Group.ID
		if _, err := l.ApplyLeaseEvents(link, id, []history.LeaseEvent{leaseEvent(1, history.LeaseGranted, "a")}); err != nil {
			t.Fatal(err)
		}
		a := l.Store().Client().Allocation.Query().OnlyX(l.system())
		due := l.watch(event.Work, id)
		for range 2 {
			got, err := l.ReleaseAllocation(l.customer(made.Group), a.ID)
			if err != nil || got.State != property.AllocationActive {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		wantSignal(t, "release", due)
		w, err := l.Store().Client().Work.Query().Only(l.system())
		if err != nil || w.Kind != property.WorkRemove || *w.TmrGroupID != id || w.State != property.WorkPending {
			t.Fatalf("%+v, %v", w, err)
		}
		if n := l.audited("allocation.release"); n != 1 {
			t.Errorf("%d audit entries", n)
		}
		pulled, err := l.Pull(link, true, 0)
		if err != nil || len(pulled) != 1 || pulled[0].Handle != "a" || pulled[0].Product != product || pulled[0].By != "Carl Customer" {
			t.Errorf("%+v, %v", pulled, err)
		}
		// One that failed may be asked for again.
		l.Store().Client().Work.Update().Where(work.ID(w.ID)).SetState(property.WorkFailed).ExecX(l.system())
		if _, err := l.ReleaseAllocation(l.vendor(), a.ID); err != nil {
			t.Fatal(err)
		}
		if n := l.Store().Client().Work.Query().CountX(l.system()); n != 2 {
			t.Errorf("%d work items", n)
		}
		// One that was done just now is waited for.
		second := l.Store().Client().Work.Update().Where(work.StateEQ(property.WorkPending)).SetState(property.WorkDone)
		if n := second.SetDoneAt(time.Now()).SaveX(l.system()); n != 1 {
			t.Errorf("%d work items are due", n)
		}
		if got, err := l.ReleaseAllocation(l.vendor(), a.ID); err != nil || got.State != property.AllocationActive {
			t.Errorf("%+v, %v", got, err)
		}
		if n := l.Store().Client().Work.Query().CountX(l.system()); n != 2 {
			t.Errorf("%d work items", n)
		}
		_, err = l.ReleaseAllocation(l.with(auth.Viewer), a.ID)
		wantCode(t, "a viewer", err, license.CodeForbidden)
		_, err = l.ReleaseAllocation(l.stranger(), a.ID)
		wantCode(t, "a stranger", err, license.CodeNotFound)
		_, err = l.ReleaseAllocation(l.vendor(), "alc_x")
		wantCode(t, "none", err, license.CodeNotFound)
		_, err = l.ReleaseAllocation(t.Context(), a.ID)
		wantCode(t, "nobody", err, license.CodeUnauthenticated)
		if _, err := l.ApplyLeaseEvents(link, id, []history.LeaseEvent{leaseEvent(2, history.LeaseRemoved, "a")}); err != nil {
			t.Fatal(err)
		}
		_, err = l.ReleaseAllocation(l.vendor(), a.ID)
		wantCode(t, "one that has ended", err, license.CodeConflict)
	})
}

// TestARemovalWhoseEventWasLost ends in the history when it is asked for again.
func TestARemovalWhoseEventWasLost(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, []history.LeaseEvent{leaseEvent(1, history.LeaseGranted, "a")}); err != nil {
			t.Fatal(err)
		}
		a := l.Store().Client().Allocation.Query().OnlyX(l.system())
		if _, err := l.ReleaseAllocation(l.vendor(), a.ID); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
		l.Store().Client().Work.Update().SetState(property.WorkDone).SetDoneAt(at).ExecX(l.system())
		seen := l.watch(event.Allocations, made.Virtual.ID)
		got, err := l.ReleaseAllocation(l.vendor(), a.ID)
		if err != nil || got.State != property.AllocationRemoved || !got.EndedAt.Equal(at) {
			t.Errorf("%+v, %v", got, err)
		}
		wantSignal(t, "the end", seen)
		if n := l.audited("allocation.end"); n != 1 {
			t.Errorf("%d audit entries", n)
		}
		if stored := l.Store().Client().Allocation.GetX(l.system(), a.ID); stored.State != property.AllocationRemoved || stored.EndedBy != "Olga Owner" {
			t.Errorf("%+v", stored)
		}
		// If it lives after all, its next event says so, and it can be removed anew.
		again := leaseEvent(2, history.LeaseGranted, "a")
		again.At = time.Now()
		if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, []history.LeaseEvent{again}); err != nil {
			t.Fatal(err)
		}
		if got, err := l.ReleaseAllocation(l.vendor(), a.ID); err != nil || got.State != property.AllocationActive || got.EndedAt != nil {
			t.Errorf("%+v, %v", got, err)
		}
		if n := l.Store().Client().Work.Query().Where(work.StateEQ(property.WorkPending)).CountX(l.system()); n != 1 {
			t.Errorf("%d work items are due", n)
		}
	})
}

// TestARefusedRemovalAmidEvents: what its server says to a removal while events
// are written stays.
func TestARefusedRemovalAmidEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		if l.Store().Dialect() != dialect.Postgres {
			t.Skip("SQLite has one writer at a time")
		}
		made := l.provision()
		link, group := l.link(made), made.Group.ID
		share := func(position uint64, handle string, licenses uint32) history.LeaseEvent {
			e := leaseEvent(position, history.LeaseGranted, handle)
			e.Mode, e.Station, e.Licenses = license.StationShare, "desk", licenses
			return e
		}
		if _, err := l.ApplyLeaseEvents(link, group, []history.LeaseEvent{share(1, "a", 1)}); err != nil {
			t.Fatal(err)
		}
		a := l.Store().Client().Allocation.Query().OnlyX(l.system())
		if _, err := l.ReleaseAllocation(l.vendor(), a.ID); err != nil {
			t.Fatal(err)
		}
		due := l.Store().Client().Work.Query().OnlyX(l.system())
		var told bool
		l.Store().Client().Allocation.Use(func(next ent.Mutator) ent.Mutator {
			return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
				if !told {
					told = true
					if err := l.Report(link, tasks.LinkReport{WorkID: due.ID, Failed: license.Errorf(license.CodeBorrowed, "wait", "it is borrowed")}); err != nil {
						t.Error(err)
					}
				}
				return next.Mutate(ctx, m)
			})
		})
		if _, err := l.ApplyLeaseEvents(link, group, []history.LeaseEvent{share(2, "b", 3)}); err != nil {
			t.Fatal(err)
		}
		stored := l.Store().Client().Allocation.GetX(l.system(), a.ID)
		if stored.Licenses != 3 || stored.RemovalAt == nil || stored.RemovalCode != string(license.CodeBorrowed) || !stored.Borrowed {
			t.Errorf("%+v", stored)
		}
	})
}
