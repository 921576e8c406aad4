package workers_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
)

// TestItemDataAndChangesReachTheContainers: a changed item is rolled out without
// an order; the containers hold its options, its data and the product's key.
func TestItemDataAndChangesReachTheContainers(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		held := func() license.Options {
			t.Helper()
			_, all := l.containers[0].Licenses()
			if len(all) != 1 {
				t.Fatalf("%d licenses", len(all))
			}
			return all[0].Options
		}
		change := func(revision int, f func(*catalog.ItemSpec)) {
			t.Helper()
			if _, err := l.UpdateItem(l.as(l.owner), l.item, revision, f); err != nil {
				t.Fatal(err)
			}
			l.until(l.start().ID, property.RolloutDone)
		}
		read := func(want string) {
			t.Helper()
			for i, c := range l.containers {
				got, err := c.ProtectedData(chart, held().Protected)
				if err != nil || string(got) != want {
					t.Errorf("backend %d has %q, %v", i+1, got, err)
				}
			}
		}
		n := uint64(50)
		change(1, func(s *catalog.ItemSpec) {
			s.Options.Units, s.Options.Linger, s.Options.AccessList = &n, time.Minute, []license.AccessRule{{Kind: license.AccessUser, Value: "anna"}}
			s.Protected, s.Secret = catalog.Data("readable"), catalog.Data("unreadable")
		})
		o := held()
		if o.Quantity != 20 || o.Units == nil || *o.Units != 1000 || o.Linger != time.Minute || len(o.AccessList) != 1 || o.TMRID != 8 {
			t.Errorf("held: %+v", o)
		}
		read("readable")
		first, err := l.containers[0].UseSecret(chart, o.Secret, []byte("context"))
		if err != nil {
			t.Fatal(err)
		}
		change(2, func(s *catalog.ItemSpec) {
			s.Protected, s.Secret = catalog.Data("another"), catalog.Data("unreadable")
			s.Options.Units = nil
		})
		read("another")
		if o := held(); o.Units != nil || o.Linger != time.Minute || o.TMRID != 9 {
			t.Errorf("held: %+v", o)
		}
		if again, err := l.containers[2].UseSecret(chart, held().Secret, []byte("context")); err != nil || string(again) != string(first) {
			t.Errorf("the secret is another one: %v", err)
		}
		change(3, func(s *catalog.ItemSpec) { s.Protected, s.Secret = catalog.Data{}, catalog.Data{} })
		if o := held(); o.Protected != (license.DataName{}) || o.Secret != (license.DataName{}) {
			t.Errorf("held: %+v", o)
		}
		if _, err := l.RenewItem(l.as(l.owner), l.item, 4); err != nil {
			t.Fatal(err)
		}
		l.until(l.start().ID, property.RolloutDone)
		if o := held(); o.Issue != 1 || o.Quantity != 20 {
			t.Errorf("held: %+v", o)
		}
	})
}

// TestDataChangedMeanwhile: a rollout whose data was changed before its updates
// were made is held, and another one brings the new content.
func TestDataChangedMeanwhile(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		change := func(revision int, content string) {
			t.Helper()
			if _, err := l.UpdateItem(l.as(l.owner), l.item, revision, func(s *catalog.ItemSpec) { s.Secret = catalog.Data(content) }); err != nil {
				t.Fatal(err)
			}
		}
		change(1, "before")
		l.order(20)
		row := l.start()
		change(2, "after")
		l.link()
		l.work(nil)
		held := l.until(row.ID, property.RolloutHeld)
		if held.ErrorCode == nil || *held.ErrorCode != string(license.CodeConflict) {
			t.Errorf("held by %+v", held)
		}
		if _, err := l.AbortRollout(l.as(l.owner), row.ID); err != nil {
			t.Fatal(err)
		}
		l.until(l.start().ID, property.RolloutDone)
		_, all := l.containers[0].Licenses()
		if _, err := l.containers[0].UseSecret(chart, all[0].Options.Secret, []byte("context")); err != nil {
			t.Error(err)
		}
	})
}
