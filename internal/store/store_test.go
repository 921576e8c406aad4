package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/store"
)

func TestTransactions(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ctx := system(t)
		count := func() int {
			n, err := s.Client().Organization.Query().Count(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		add := func(tx *store.Tx, name string) {
			if err := tx.Organization.Create().SetName(name).Exec(ctx); err != nil {
				t.Fatal(err)
			}
		}
		told := []string{}

		boom := errors.New("boom")
		err := s.WithTx(ctx, func(tx *store.Tx) error {
			add(tx, "a")
			tx.AfterCommit(func() { told = append(told, "rolled back") })
			return boom
		})
		if !errors.Is(err, boom) || count() != 0 || len(told) != 0 {
			t.Errorf("after an error: %v, %d rows, told %v", err, count(), told)
		}

		func() {
			defer func() { _ = recover() }()
			_ = s.WithTx(ctx, func(tx *store.Tx) error {
				add(tx, "a")
				panic("boom")
			})
		}()
		if n := count(); n != 0 {
			t.Errorf("after a panic: %d rows", n)
		}

		err = s.WithTx(ctx, func(tx *store.Tx) error {
			add(tx, "a")
			// The job queue joins the same transaction.
			var seen int
			if err := tx.SQL().QueryRowContext(ctx, "SELECT count(*) FROM organizations").Scan(&seen); err != nil || seen != 1 {
				t.Errorf("database/sql's transaction sees %d rows, %v", seen, err)
			}
			tx.AfterCommit(func() { told = append(told, fmt.Sprint("first of ", count())) })
			tx.AfterCommit(func() { told = append(told, "second") })
			return nil
		})
		if err != nil || fmt.Sprint(told) != "[first of 1 second]" {
			t.Errorf("after a commit: %v, told %v", err, told)
		}
	})
}

// TestLockedRowsTakeTurns: two that read, decide and write don't overtake each other.
func TestLockedRowsTakeTurns(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ctx := system(t)
		org := s.Client().Organization.Create().SetName("0").SaveX(ctx)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 5 {
					if err := s.WithTx(ctx, func(tx *store.Tx) error {
						o, err := tx.Organization.Query().Where(organization.ID(org.ID), store.Locked).Only(ctx)
						if err != nil {
							return err
						}
						n := 0
						if _, err := fmt.Sscan(o.Name, &n); err != nil {
							return err
						}
						return tx.Organization.UpdateOne(o).SetName(fmt.Sprint(n + 1)).Exec(ctx)
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if got := s.Client().Organization.GetX(ctx, org.ID).Name; got != "20" {
			t.Errorf("%s of 20 steps counted", got)
		}
	})
}

// TestOneRunningRolloutPerGroup is kept by the database itself.
func TestOneRunningRolloutPerGroup(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		w := build(t, s, 0)
		second := func(number int, running bool) error {
			return s.Client().Rollout.Create().SetVendorID(w.vendor.ID).SetTmrGroupID(w.group.ID).SetNumber(number).
				SetRunning(running).SetState(property.RolloutQueued).SetStartedBy("me").Exec(system(t))
		}
		if err := second(2, true); !ent.IsConstraintError(err) {
			t.Errorf("a second running rollout: %v", err)
		}
		for n := 2; n < 4; n++ {
			if err := second(n, false); err != nil {
				t.Errorf("a queued rollout: %v", err)
			}
		}
	})
}

func TestTimesAreExact(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		w := build(t, s, 0)
		at := time.Date(2026, 11, 22, 9, 8, 7, 654321000, time.FixedZone("x", 3600))
		got := s.Client().TmrGroup.UpdateOne(w.group).SetViewedAt(at).SaveX(system(t))
		got = s.Client().TmrGroup.GetX(system(t), got.ID)
		if !got.ViewedAt.Equal(at) {
			t.Errorf("%s became %s", at, got.ViewedAt)
		}
		again := s.Client().TmrGroup.GetX(system(t), got.ID)
		if !again.CreatedAt.Equal(w.group.CreatedAt) {
			t.Errorf("%s became %s", w.group.CreatedAt, again.CreatedAt)
		}
	})
}

func TestOpenTwiceAndAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				s, err := store.Open(t.Context(), dsn)
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Ping(t.Context()); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		s := open(t, dsn)
		if _, err := s.Client().Organization.Query().Count(system(t)); err != nil {
			t.Error(err)
		}
	})
}

func TestForeignMigrationsAreRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		if _, err := s.DB().ExecContext(t.Context(), "INSERT INTO schema_revisions VALUES ('29990101000000', 'x', 'y', 'z')"); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(t.Context(), dsn); license.CodeOf(err) != license.CodeConflict {
			t.Errorf("a database of a newer program: %v", err)
		}
		if _, err := s.DB().ExecContext(t.Context(), "DELETE FROM schema_revisions WHERE version = '29990101000000'"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.DB().ExecContext(t.Context(), "UPDATE schema_revisions SET hash = 'other'"); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(t.Context(), dsn); license.CodeOf(err) != license.CodeConflict {
			t.Errorf("another migration of the same version: %v", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.db")
	if err := os.WriteFile(broken, []byte("this is no database, whatever its name says"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dsn := range []string{"", broken, "postgres://127.0.0.1:1/none?connect_timeout=1&sslmode=disable", filepath.Join(t.TempDir(), "no", "folder", "db")} {
		if s, err := store.Open(t.Context(), dsn); err == nil {
			_ = s.Close()
			t.Errorf("%q opens", dsn)
		}
	}
	if got, err := os.ReadFile(broken); err != nil || string(got) != "this is no database, whatever its name says" {
		t.Errorf("the broken file was changed: %q, %v", got, err)
	}
}

// TestAddressesAreNotRepeated: an address that can't be read may hold a password.
func TestAddressesAreNotRepeated(t *testing.T) {
	for _, dsn := range []string{
		"postgres://u:s3cret@host:bad/db", "postgres://u:s3 cret@127.0.0.1:1/db", "postgres://u:s3cret%zz@host/db",
		"postgresql://u:s3cret@[::1/db", "postgres://u:s3cret/@host/db",
	} {
		_, err := store.Open(t.Context(), dsn)
		if license.CodeOf(err) != license.CodeInvalidInput || strings.Contains(fmt.Sprintf("%+v", err), "s3") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

// TestFilesAreTheOwnersAlone: the database holds password hashes and sealed keys.
func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "a b?%.db"))
	if err := s.Client().Organization.Create().SetName("x").Exec(system(t)); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		sessions, ctx := s.Sessions(), t.Context() // no principal: nobody is signed in yet
		if _, ok, err := sessions.FindCtx(ctx, "a"); ok || err != nil {
			t.Errorf("an unknown session: %v, %v", ok, err)
		}
		for _, data := range []string{"one", "two"} {
			if err := sessions.CommitCtx(ctx, "a", []byte(data), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if got, ok, err := sessions.FindCtx(ctx, "a"); !ok || err != nil || string(got) != data {
				t.Errorf("%q, %v, %v instead of %q", got, ok, err, data)
			}
		}
		if s.Client().Session.Query().OnlyIDX(system(t)) == "a" {
			t.Error("the cookie's value is stored")
		}
		if err := sessions.CommitCtx(ctx, "old", []byte("x"), time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := sessions.FindCtx(ctx, "old"); ok || err != nil {
			t.Errorf("an ended session: %v, %v", ok, err)
		}
		if err := sessions.DeleteExpired(ctx); err != nil {
			t.Fatal(err)
		}
		if n := s.Client().Session.Query().CountX(system(t)); n != 1 {
			t.Errorf("%d sessions are left", n)
		}
		if err := errors.Join(sessions.Delete("a"), sessions.Delete("a")); err != nil {
			t.Error(err)
		}
		if _, ok, err := sessions.Find("a"); ok || err != nil {
			t.Errorf("a deleted session: %v, %v", ok, err)
		}
	})
}
