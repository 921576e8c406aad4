package platform_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/denial"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/usagebucket"
	"github.com/quorate/quorate/ent/usageentry"
	"github.com/quorate/quorate/ent/usageseries"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/usage"
)

// randomEvents is a stream as a server of one license tells it.
func randomEvents(rnd *rand.Rand, n int, from time.Time) (all []history.LeaseEvent) {
	kinds := []history.LeaseEventKind{history.LeaseGranted, history.LeaseGranted, history.LeaseGranted, history.LeaseReleased,
		history.LeaseExpired, history.LeaseRemoved, history.LeaseDenied}
	modes := []license.AccessMode{license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit}
	steps := []time.Duration{0, 0, time.Millisecond, time.Second, time.Minute, 20 * time.Minute, 2 * time.Hour, -time.Second}
	for i := range n {
		h := rnd.IntN(12)
		from = from.Add(steps[rnd.IntN(len(steps))])
		all = append(all, history.LeaseEvent{
			Position: uint64(i+1) * 3, Seq: uint64(i + 1), Kind: kinds[rnd.IntN(len(kinds))], At: from, Handle: fmt.Sprint("h", h), Product: product,
			Mode: modes[h%4], Licenses: uint32(rnd.IntN(4)), User: []string{"", "ada", "bob"}[h%3], Station: []string{"s1", "s2"}[h%2],
		})
	}
	return all
}

// reckoned makes the series of a stream in memory, in one go.
func reckoned(events []history.LeaseEvent, at time.Time) *usage.Track {
	t, pool := usage.NewTrack(usage.Series{}, nil), usage.NewPool()
	for _, e := range events {
		counted := usage.Event{At: t.Time(e.At, at), Kind: usage.Kind(e.Kind)}
		switch e.Kind {
		case history.LeaseDenied:
		case history.LeaseGranted:
			counted.Effect = pool.Grant(usage.Handle{ID: e.Handle, User: e.User, Station: e.Station, Mode: e.Mode, Asked: int(e.Licenses), First: counted.At})
		default:
			if h := pool.Handle(e.Handle); h != nil && !h.Living { // an end counts once
				continue
			}
			counted.Effect = pool.End(usage.Handle{ID: e.Handle, User: e.User, Station: e.Station, Mode: e.Mode}, counted.At)
		}
		t.Event(counted)
	}
	return t
}

// TestUsageIsWhatTheEventsSay: whatever pieces the stream comes in, and however
// often, by several servers at once, the platform tells the series that the
// stream makes in memory. The pieces end in the middle of everything, which is
// what a restart of the platform is.
func TestUsageIsWhatTheEventsSay(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link, group := l.link(made), made.Group.ID
		rnd := rand.New(rand.NewPCG(1, uint64(len(t.Name())))) //nolint:gosec // G404: a test
		begin := time.Now().UTC().Truncate(time.Hour).Add(-60 * time.Hour)
		events := randomEvents(rnd, 200, begin)
		for done := 0; done < len(events); {
			upTo := min(done+1+rnd.IntN(40), len(events))
			var pushed sync.WaitGroup
			for range 2 {
				pushed.Go(func() {
					if _, err := l.ApplyLeaseEvents(link, group, events[max(done-5, 0):upTo]); err != nil {
						t.Error(err)
					}
				})
			}
			pushed.Wait()
			done = upTo
		}
		last := events[len(events)-1].At
		want := reckoned(events, time.Now())
		for name, r := range map[property.UsageResolution]usage.Resolution{property.UsageMinute: usage.Minute, property.UsageHour: usage.Hour, property.UsageDay: usage.Day} {
			var all []usage.Point
			for p, err := range usage.Fill(r, begin, last, time.Now(), want.Series, func(yield func(usage.Bucket, error) bool) {
				for _, b := range want.Touched(r) {
					if !yield(*b, nil) {
						return
					}
				}
			}) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, p)
			}
			from, got := begin, []usage.Point{}
			for from.Before(last) {
				to := from.Add(min(time.Duration(r)*500, last.Sub(from)))
				u, err := l.Usage(l.customer(made.Group), history.UsageQuestion{Container: group, Product: product.String(), Resolution: name, From: from, To: to})
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, u.Points...)
				from = to
			}
			over := func(p usage.Point) bool { return !p.Over() } // the one that goes on has no end yet
			if got, all = slices.DeleteFunc(got, over), slices.DeleteFunc(all, over); !slices.Equal(got, all) {
				t.Errorf("%s: %d points, and %d in memory", name, len(got), len(all))
				for i := range min(len(got), len(all)) {
					if got[i] != all[i] {
						t.Fatalf("got\n%+v, want\n%+v", got[i], all[i])
					}
				}
			}
		}
		u, err := l.ContainerUsage(l.vendor(), made.Virtual.ID)
		row := l.Store().Client().UsageSeries.Query().OnlyX(l.system())
		if err != nil || int64(u.Taken) != want.Taken || row.Taken != want.Taken || row.Users != want.Users || row.Granted != want.Granted || row.Denied != want.Denied {
			t.Errorf("%+v, %v; %+v; want %+v", u, err, row, want.Series)
		}
		l.verifyLog(made.Group.VendorID, len(events), 0)
	})
}

// verifyLog exports the firm's log and verifies it.
func (l *lab) verifyLog(vendor string, entries, findings int) (hash string) {
	l.t.Helper()
	v, found := l.exportLog(vendor)
	if v.Entries != entries || len(found) != findings {
		l.t.Errorf("%d entries instead of %d, %v", v.Entries, entries, found)
	}
	return v.Hash.String()
}

func TestUsageQuestions(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		customer := l.customer(made.Group)
		at := time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour)
		grant := leaseEvent(1, history.LeaseGranted, "a")
		grant.At = at.Add(30 * time.Minute)
		view := push(1, 1, stages()[0])
		view.Views[0].At = at.Add(15 * time.Minute)
		if _, err := l.Push(l.link(made), links.LinkPush{Leading: true, ViewPush: view, Events: []history.LeaseEvent{grant}}); err != nil {
			t.Fatal(err)
		}
		ask := history.UsageQuestion{Container: made.Group.VirtualSerial, Product: product.String(), Resolution: property.UsageHour, From: at.Add(-time.Hour)}
		u, err := l.Usage(customer, ask)
		if err != nil || len(u.Points) != 4 || !u.Since.Equal(at.Add(15*time.Minute)) || u.Container.ID != made.Virtual.ID {
			t.Fatalf("%+v, %v", u, err)
		}
		first := u.Points[0]
		if !first.Start.Equal(at) || first.MostTaken != 1 || first.MostQuantity != 20 || first.TakenMs != 30*60*1000 || first.Average() != 0.5 || first.Users != 1 || first.Granted != 1 {
			t.Errorf("%+v", first)
		}
		if second := u.Points[1]; second.TakenMs != 60*60*1000 || second.MostQuantity != 20 || second.Granted != 0 || second.Users != 1 || second.FullMs != 0 {
			t.Errorf("nothing happened, and it is %+v", second)
		}
		if last := u.Points[3]; last.Over() || last.MostTaken != 1 {
			t.Errorf("%+v", last)
		}
		// The quantity comes down to what is taken.
		small := push(1, 2, viewOf(2, [3]uint32{1, 1, 1}, [3]uint32{8, 8, 8}))
		small.Views[0].At = at.Add(time.Hour)
		if _, err := l.Push(l.link(made), links.LinkPush{Leading: true, ViewPush: small}); err != nil {
			t.Fatal(err)
		}
		if u, err = l.Usage(customer, ask); err != nil || u.Points[1].MostQuantity != 20 || u.Points[1].Full() != time.Hour || u.Points[2].MostQuantity != 1 {
			t.Errorf("%+v, %v", u.Points, err)
		}
		for name, change := range map[string]func(*history.UsageQuestion){
			string(license.CodeNotFound):           func(q *history.UsageQuestion) { q.Container = "131-1" },
			string(license.CodeNotFound) + " ":     func(q *history.UsageQuestion) { q.Product = "6000010:15" },
			string(license.CodeInvalidInput):       func(q *history.UsageQuestion) { q.To = q.From },
			string(license.CodeInvalidInput) + " ": func(q *history.UsageQuestion) { q.Resolution = "SECOND" },
			string(license.CodeTooLarge):           func(q *history.UsageQuestion) { q.Resolution, q.From = property.UsageMinute, at.Add(-48*time.Hour) },
		} {
			q := ask
			change(&q)
			_, err := l.Usage(customer, q)
			wantCode(t, name, err, license.Code(name[:len(name)-len(" ")+btoi(name[len(name)-1] != ' ')]))
		}
		old := ask
		old.From, old.To = at.Add(-3000*24*time.Hour), at.Add(-2999*24*time.Hour)
		if u, err := l.Usage(customer, old); err != nil || len(u.Points) != 0 || u.From.Before(old.From) {
			t.Errorf("what is not kept: %+v, %v", u.Points, err)
		}
		_, err = l.Usage(l.stranger(), ask)
		wantCode(t, "a stranger", err, license.CodeNotFound)
		_, err = l.Usage(t.Context(), ask)
		wantCode(t, "nobody", err, license.CodeUnauthenticated)
		ask.Product = ""
		_, err = l.Usage(customer, ask)
		wantCode(t, "no product", err, license.CodeNotFound)
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestLateEvents count when they happened, though the quantity has changed since.
func TestLateEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		at := time.Now().UTC().Truncate(time.Hour).Add(-5 * time.Hour)
		view := push(1, 1, stages()[0])
		view.Views[0].At = at.Add(4 * time.Hour)
		link := l.link(made)
		if _, err := l.Push(link, links.LinkPush{Leading: true, ViewPush: view}); err != nil {
			t.Fatal(err)
		}
		late := leaseEvent(1, history.LeaseGranted, "a")
		late.At = at
		if _, err := l.Push(link, links.LinkPush{Leading: true, ViewPush: view, Events: []history.LeaseEvent{late}}); err != nil {
			t.Fatal(err)
		}
		u, err := l.Usage(l.vendor(), history.UsageQuestion{Container: made.Group.ID, Product: product.String(), Resolution: property.UsageHour, From: at})
		u.Container, u.Product = nil, nil
		if err != nil || len(u.Points) != 6 || u.Points[0].TakenMs != 3_600_000 || u.Points[0].MostQuantity != 0 || u.Points[4].MostQuantity != 20 {
			t.Errorf("%+v, %v", u, err)
		}
		// A clock that is ahead tells nothing of the future.
		ahead := leaseEvent(2, history.LeaseReleased, "a")
		ahead.At = time.Now().Add(90 * 24 * time.Hour)
		if _, err := l.ApplyLeaseEvents(link, made.Group.ID, []history.LeaseEvent{ahead}); err != nil {
			t.Fatal(err)
		}
		if a := l.Store().Client().Allocation.Query().OnlyX(l.system()); a.EndedAt == nil || a.EndedAt.After(time.Now()) {
			t.Errorf("%+v", a)
		}
	})
}

// TestStationShareInTheHistory: of the handles of one station one shows what the
// station takes.
func TestStationShareInTheHistory(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		position := uint64(0)
		tell := func(kind history.LeaseEventKind, handle string, mode license.AccessMode, licenses uint32) {
			t.Helper()
			position++
			e := leaseEvent(position, kind, handle)
			e.Mode, e.Licenses, e.Station = mode, licenses, "ws-1"
			if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, []history.LeaseEvent{e}); err != nil {
				t.Fatal(err)
			}
		}
		want := func(taken int, takes map[string]int) {
			t.Helper()
			u, err := l.ContainerUsage(l.vendor(), made.Virtual.ID)
			if err != nil || u.Taken != taken || int64(taken) != l.Store().Client().UsageSeries.Query().OnlyX(l.system()).Taken {
				t.Errorf("%+v, %v", u, err)
			}
			for handle, n := range takes {
				if a := l.Store().Client().Allocation.Query().Where(allocation.Handle(handle)).OnlyX(l.system()); a.Licenses != n {
					t.Errorf("%s takes %d instead of %d", handle, a.Licenses, n)
				}
			}
		}
		tell(history.LeaseGranted, "a", license.StationShare, 1)
		tell(history.LeaseGranted, "b", license.StationShare, 3)
		tell(history.LeaseGranted, "c", license.NoUserLimit, 1)
		tell(history.LeaseGranted, "d", license.UserLimit, 2)
		want(5, map[string]int{"a": 3, "b": 0, "c": 0, "d": 2})
		tell(history.LeaseReleased, "a", license.StationShare, 1)
		want(5, map[string]int{"b": 3})
		tell(history.LeaseExpired, "b", license.StationShare, 3)
		tell(history.LeaseReleased, "d", license.UserLimit, 2)
		want(0, nil)
		if a := l.Store().Client().Allocation.Query().Where(allocation.Handle("b")).OnlyX(l.system()); a.Asked != 3 {
			t.Errorf("%+v", a)
		}
	})
}

// TestAHistoryFromBefore there were series: a series begins with what lives.
func TestAHistoryFromBefore(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		for i, user := range []string{"ada", "ada", "", "bob"} {
			state := property.AllocationActive
			if user == "bob" {
				state = property.AllocationReleased
			}
			of := l.Store().Client().Product.Query().OnlyX(l.system())
			l.Store().Client().Allocation.Create().SetVendorID(made.Group.VendorID).SetNillableCustomerID(made.Group.CustomerID).
				SetContainerID(made.Virtual.ID).SetProductID(of.ID).SetHandle(fmt.Sprint("old", i)).SetMode(license.UserLimit).
				SetSeat(1).SetN(1).SetClient("").SetUser(user).SetStation("s").SetProcessID(1).SetApplication("").
				SetState(state).SetFirstAccess(time.Now().Add(-time.Hour)).SetLastAccess(time.Now()).SaveX(l.system())
		}
		e := leaseEvent(1, history.LeaseGranted, "new")
		e.At = time.Now()
		if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, []history.LeaseEvent{e}); err != nil {
			t.Fatal(err)
		}
		if row := l.Store().Client().UsageSeries.Query().OnlyX(l.system()); row.Taken != 4 || row.Users != 1 || row.Stations != 2 {
			t.Errorf("%+v", row)
		}
	})
}

func TestDenialsTellWhatRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		e := leaseEvent(1, history.LeaseDenied, "a")
		e.Reason, e.Rule, e.Licenses, e.Mode = license.CodeLimitReached, "product/cap guests", 4, license.Exclusive
		if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, []history.LeaseEvent{e}); err != nil {
			t.Fatal(err)
		}
		d := l.Store().Client().Denial.Query().OnlyX(l.customer(made.Group))
		if d.Rule != e.Rule || d.Licenses != 4 || d.Mode != license.Exclusive || d.Station != "ws-1" || d.Reason != "LIMIT_REACHED" {
			t.Errorf("%+v", d)
		}
	})
}

func TestPruneUsage(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		now := time.Now().UTC().Truncate(time.Hour)
		link, id := l.link(made), made.Group.ID
		times := []time.Duration{-2500 * 24 * time.Hour, -500 * 24 * time.Hour, -100 * 24 * time.Hour, -10 * 24 * time.Hour, -time.Hour}
		var events []history.LeaseEvent
		for i, ago := range times {
			for j, kind := range []history.LeaseEventKind{history.LeaseGranted, history.LeaseDenied, history.LeaseReleased} {
				e := leaseEvent(uint64(10*i+j+1), kind, fmt.Sprint("h", i))
				e.At, e.Seq = now.Add(ago).Add(time.Duration(j)*time.Second), uint64(3*i+j+1)
				events = append(events, e)
			}
		}
		stays := leaseEvent(100, history.LeaseGranted, "stays")
		stays.At, stays.Seq = now.Add(-30*time.Minute), 16
		if _, err := l.ApplyLeaseEvents(link, id, append(events, stays)); err != nil {
			t.Fatal(err)
		}
		c := l.Store().Client()
		entries := c.UsageEntry.Query().Order(ent.Asc(usageentry.FieldNumber)).AllX(l.system())
		ask := func(r property.UsageResolution, from time.Duration) history.UsageOverTime {
			t.Helper()
			u, err := l.Usage(l.vendor(), history.UsageQuestion{Container: id, Product: product.String(), Resolution: r, From: now.Add(from)})
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		day := ask(property.UsageDay, -500*24*time.Hour)
		for range 2 { // the second time there is nothing to do
			if _, err := l.PruneUsage(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		count := func(seconds int) int {
			return c.UsageBucket.Query().Where(usagebucket.Seconds(seconds)).CountX(l.system())
		}
		if m, h, d := count(60), count(3600), count(86400); m != 2 || h != 2 || d < 4 || d > 5 {
			t.Errorf("%d minutes, %d hours, %d days are left", m, h, d)
		}
		if n := c.Denial.Query().CountX(l.system()); n != 2 {
			t.Errorf("%d denials are left", n)
		}
		if n := c.Denial.Query().Where(denial.AtLT(now.Add(-90 * 24 * time.Hour))).CountX(l.system()); n != 0 {
			t.Errorf("%d old denials are left", n)
		}
		if n := c.Allocation.Query().CountX(l.system()); n != 4 {
			t.Errorf("%d allocations are left", n)
		}
		if after := ask(property.UsageDay, -500*24*time.Hour); !slices.Equal(after.Points[:len(after.Points)-1], day.Points[:len(day.Points)-1]) {
			t.Error("the days have changed")
		}
		// Minutes are told from where they are kept on, and go on as they were.
		u := ask(property.UsageMinute, -24*time.Hour)
		if len(u.Points) < 1380 || u.Points[0].MostTaken != 0 || u.Points[len(u.Points)-1].MostTaken != 1 {
			t.Errorf("%d points, the first %+v, the last %+v", len(u.Points), u.Points[0], u.Points[len(u.Points)-1])
		}
		if old := ask(property.UsageHour, -300*24*time.Hour); old.Since.IsZero() || old.Points[0].MostTaken != 0 || old.From.Before(now.Add(-90*24*time.Hour)) {
			t.Errorf("from %s: %+v", old.From, old.Points[0])
		}
		// The log was written just now, so nothing of it is old. Once it is, a chain is left.
		c.UsageEntry.Delete().ExecX(l.system())
		for i, e := range entries {
			made := now.Add(-1000 * 24 * time.Hour)
			if i >= 10 {
				made = now
			}
			c.UsageEntry.Create().SetVendorID(e.VendorID).SetLogID(e.LogID).SetNumber(e.Number).SetHash(e.Hash).SetLine(e.Line).
				SetSource(e.Source).SetSeq(e.Seq).SetCreatedAt(made).ExecX(l.system())
		}
		if n, err := l.PruneUsage(t.Context()); err != nil || n != 10 {
			t.Errorf("%d rows went, %v", n, err)
		}
		l.verifyLog(made.Group.VendorID, 6, 0)
		// Longer times of keeping bring nothing back, and make nothing up.
		longer := l.again(history.UsagePolicy{Minutes: 30 * 24 * time.Hour})
		u, err := longer.Usage(l.vendor(), history.UsageQuestion{Container: id, Product: product.String(), Resolution: property.UsageMinute,
			From: now.Add(-8 * 24 * time.Hour), To: now.Add(-7 * 24 * time.Hour)})
		if err != nil || len(u.Points) != 0 || u.From.Before(now.Add(-7*24*time.Hour)) {
			t.Errorf("%d points from %s, %v", len(u.Points), u.From, err)
		}
	})
}

func TestUsagePolicyIsChecked(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	for name, policy := range map[string]history.UsagePolicy{
		"minutes": {Minutes: time.Hour}, "log": {Log: -1}, "denials": {Denials: 47 * time.Hour},
	} {
		_, err := platform.New(l.config(policy))
		wantCode(t, name, err, license.CodeInvalidInput)
	}
}

// TestWhyARemovalFailed: who asked sees it.
func TestWhyARemovalFailed(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		link := l.link(made)
		if _, err := l.ApplyLeaseEvents(link, made.Group.ID, []history.LeaseEvent{leaseEvent(1, history.LeaseGranted, "a")}); err != nil {
			t.Fatal(err)
		}
		get := func() *ent.Allocation { return l.Store().Client().Allocation.Query().OnlyX(l.vendor()) }
		for _, code := range []license.Code{license.CodeTooYoung, license.CodeBorrowed} {
			if _, err := l.ReleaseAllocation(l.customer(made.Group), get().ID); err != nil {
				t.Fatal(err)
			}
			if a := get(); a.RemovalAt == nil || a.RemovalBy != "Carl Customer" || a.RemovalCode != "" {
				t.Errorf("%+v", a)
			}
			due, err := l.Pull(link, true, 0)
			if err != nil || len(due) != 1 {
				t.Fatalf("%+v, %v", due, err)
			}
			seen := l.watch("allocations", made.Virtual.ID)
			if err := l.Report(link, tasks.LinkReport{WorkID: due[0].ID, Failed: license.Errorf(code, "wait", "no")}); err != nil {
				t.Fatal(err)
			}
			wantSignal(t, "a refusal", seen)
			if a := get(); a.RemovalCode != string(code) || a.RemovalMessage == "" || a.State != property.AllocationActive || a.Borrowed != (code == license.CodeBorrowed) {
				t.Errorf("%+v", a)
			}
		}
		// Given anew, it begins anew.
		if _, err := l.ApplyLeaseEvents(link, made.Group.ID, []history.LeaseEvent{leaseEvent(2, history.LeaseReleased, "a"), leaseEvent(3, history.LeaseGranted, "a")}); err != nil {
			t.Fatal(err)
		}
		if a := get(); a.RemovalAt != nil || a.RemovalCode != "" || a.Borrowed {
			t.Errorf("%+v", a)
		}
		if n := l.Store().Client().UsageSeries.Query().Where(usageseries.Taken(1)).CountX(l.system()); n != 1 {
			t.Error("the series doesn't count it once")
		}
	})
}
