package workers_test

import (
	"testing"

	"github.com/quorate/quorate/ent/auditentry"
	entcontainer "github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/tasks"
)

func TestManipulationIsSuspected(t *testing.T) {
	t.Parallel()
	l := filled(t, t.TempDir()+"/quorate.db")
	db, ctx := l.store.Client(), l.system()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	counter := db.FirmCounter.Query().FirstX(ctx)
	first := db.Container.GetX(ctx, counter.ContainerID)
	swap := func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.containers[0], l.containers[1] = l.containers[1], l.containers[0]
		return nil
	}
	l.order(10)
	for name, c := range map[string]struct{ change, undo func() error }{
		"the container forgot an update": {
			func() error { return db.FirmCounter.UpdateOne(counter).SetCounter(2).Exec(ctx) },
			func() error { return db.FirmCounter.UpdateOne(counter).SetCounter(1).Exec(ctx) },
		},
		"another update was installed": {
			func() error { return db.FirmCounter.UpdateOne(counter).SetDigest(make([]byte, 32)).Exec(ctx) },
			func() error { return db.FirmCounter.UpdateOne(counter).SetDigest(counter.Digest).Exec(ctx) },
		},
		"updates that are not recorded": {
			func() error {
				must(db.Update.Update().Where(update.ContainerID(first.ID)).SetDigest(make([]byte, 32)).Exec(ctx))
				return db.FirmCounter.UpdateOne(counter).SetCounter(0).Exec(ctx)
			},
			func() error {
				must(db.Update.Update().Where(update.ContainerID(first.ID)).SetDigest(counter.Digest).Exec(ctx))
				return db.FirmCounter.UpdateOne(counter).SetCounter(1).Exec(ctx)
			},
		},
		"other keys": {
			func() error { return db.Container.UpdateOne(first).SetSignKey(make([]byte, 32)).Exec(ctx) },
			func() error { return db.Container.UpdateOne(first).SetSignKey(first.SignKey).Exec(ctx) },
		},
		"swapped backends": {swap, swap},
	} {
		must(c.change())
		r := l.until(l.start().ID, property.RolloutHeld)
		if *r.ErrorCode != string(license.CodeManipulation) {
			t.Errorf("%s: held with %s: %s", name, *r.ErrorCode, *r.ErrorMessage)
		}
		if n := db.Container.Query().Where(entcontainer.ManipulationSuspected(true)).CountX(ctx); n != 1 {
			t.Errorf("%s: %d containers are flagged", name, n)
		}
		if n := db.AuditEntry.Query().Where(auditentry.Action("container.suspect")).CountX(ctx); n == 0 {
			t.Errorf("%s: not in the audit log", name)
		}
		if n := db.Update.Query().CountX(ctx); n != 3 {
			t.Errorf("%s: %d updates, want the three of the first rollout", name, n)
		}
		must(c.undo())
		must(db.Container.Update().SetManipulationSuspected(false).Exec(ctx))
		_, err := l.AbortRollout(l.as(l.owner), r.ID)
		must(err)
	}
}

func TestForgedAnswers(t *testing.T) {
	t.Parallel()
	l := newLab(t, migrated.SQLite(t))
	l.link()
	l.work(nil)
	quantity, id := uint32(0), uint32(6)
	flip := func(b []byte) []byte {
		b = append([]byte(nil), b...)
		b[len(b)/2] ^= 1
		return b
	}
	for name, c := range map[string]struct {
		forge func(w tasks.LinkWork, r *tasks.LinkReport)
		code  license.Code
	}{
		"fingerprint": {func(w tasks.LinkWork, r *tasks.LinkReport) {
			if w.Kind == tasks.WorkCollect {
				r.Fingerprints[1].Data = flip(r.Fingerprints[1].Data)
			}
		}, license.CodeFingerprintForged},
		"missing fingerprint": {func(w tasks.LinkWork, r *tasks.LinkReport) {
			if w.Kind == tasks.WorkCollect {
				r.Fingerprints = r.Fingerprints[:2]
			}
		}, license.CodeBackendAbsent},
		"one fingerprint for two": {func(w tasks.LinkWork, r *tasks.LinkReport) {
			if w.Kind == tasks.WorkCollect {
				r.Fingerprints[1].Data = r.Fingerprints[0].Data
			}
		}, license.CodeManipulation},
		"statement": {func(w tasks.LinkWork, r *tasks.LinkReport) {
			if w.Kind == tasks.WorkGuard {
				r.Statements[1].Data = flip(r.Statements[1].Data)
			}
		}, license.CodeGuardRefused},
		"one statement for two": {func(w tasks.LinkWork, r *tasks.LinkReport) {
			if w.Kind == tasks.WorkGuard {
				r.Statements[1].Data = r.Statements[0].Data
			}
		}, license.CodeGuardRefused},
		"receipt": {func(w tasks.LinkWork, r *tasks.LinkReport) {
			if w.Kind == tasks.WorkActivate {
				r.Receipt = flip(r.Receipt)
			}
		}, license.CodeReceiptForged},
		"no receipt": {func(w tasks.LinkWork, r *tasks.LinkReport) {
			if w.Kind == tasks.WorkActivate {
				r.Receipt = nil
			}
		}, license.CodeReceiptForged},
	} {
		l.setForge(c.forge)
		l.order(10)
		quantity, id = quantity+10, id+1
		r := l.until(l.start().ID, property.RolloutHeld)
		if *r.ErrorCode != string(c.code) {
			t.Errorf("%s: held with %s, want %s: %s", name, *r.ErrorCode, c.code, *r.ErrorMessage)
		}
		l.setForge(nil)
		if _, err := l.RetryRollout(l.as(l.owner), r.ID); err != nil {
			t.Fatal(err)
		}
		l.until(r.ID, property.RolloutDone)
		l.holds(r.ID, quantity, id)
	}
}
