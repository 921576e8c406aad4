package platform_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/tasks"
)

// TestAskAllocation: a notice goes down the link, and what came of it is shown.
func TestAskAllocation(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(77)
		o.push(leads(2, leaseEvent(1, history.LeaseGranted, "a"), leaseEvent(2, history.LeaseGranted, "b")))
		a, b := l.allocationOf("a").ID, l.allocationOf("b").ID
		due, seen := l.watch(event.Work, o.row.ID), l.watch(event.Allocations, o.row.ID)
		for range 2 { // the same again changes nothing
			if _, err := l.AskAllocation(l.customer(o.made.Group), a, "I need it at ten"); err != nil {
				t.Fatal(err)
			}
		}
		wantSignal(t, "the notice", due)
		wantSignal(t, "who asks", seen)
		if n := l.audited("allocation.ask"); n != 1 {
			t.Errorf("%d audit entries", n)
		}
		row := l.allocationOf("a")
		if row.State != property.AllocationActive || row.NoticeBy != "Carl Customer" || row.NoticeText != "I need it at ten" || row.NoticeAt == nil || row.NoticeTakenAt != nil {
			t.Errorf("%+v", row)
		}
		_, err := l.AskAllocation(l.vendor(), a, "another text")
		wantCode(t, "while one is on its way", err, license.CodeConflict)
		if pulled, err := l.Pull(l.link(o.made), true, 0); err != nil || len(pulled) != 0 {
			t.Errorf("the group's server gets %+v, %v", pulled, err)
		}
		pulled, err := l.Pull(l.as(o.server), true, 0)
		if err != nil || len(pulled) != 1 || pulled[0].Kind != tasks.WorkAsk || pulled[0].Handle != "a" || pulled[0].Product != product ||
			pulled[0].By != "Carl Customer" || pulled[0].Text != "I need it at ten" {
			t.Fatalf("%+v, %v", pulled, err)
		}
		if err := l.Report(l.as(o.server), tasks.LinkReport{WorkID: pulled[0].ID}); err != nil {
			t.Fatal(err)
		}
		wantSignal(t, "it is taken", seen)
		if row := l.allocationOf("a"); row.NoticeTakenAt == nil || row.NoticeCode != "" {
			t.Errorf("%+v", row)
		}
		_, err = l.AskAllocation(l.vendor(), a, "another text")
		wantCode(t, "a moment after", err, license.CodeThrottled)

		// One that its server refused, and then a later one.
		if _, err := l.AskAllocation(l.vendor(), b, ""); err != nil {
			t.Fatal(err)
		}
		pulled, err = l.Pull(l.as(o.server), true, 0)
		if err != nil || len(pulled) != 1 {
			t.Fatalf("%+v, %v", pulled, err)
		}
		refused := license.Errorf(license.CodeHandleUnknown, "look", "there is none")
		if err := l.Report(l.as(o.server), tasks.LinkReport{WorkID: pulled[0].ID, Failed: refused}); err != nil {
			t.Fatal(err)
		}
		if row := l.allocationOf("b"); row.NoticeTakenAt != nil || row.NoticeCode != "HANDLE_UNKNOWN" || !strings.Contains(row.NoticeMessage, "there is none") {
			t.Errorf("%+v", row)
		}
		past := time.Now().Add(-time.Minute).UTC()
		l.Store().Client().Allocation.UpdateOneID(b).SetNoticeAt(past).ExecX(l.system())
		if _, err := l.AskAllocation(l.vendor(), b, "once more"); err != nil {
			t.Fatal(err)
		}
		if row := l.allocationOf("b"); row.NoticeCode != "" || row.NoticeMessage != "" || row.NoticeText != "once more" {
			t.Errorf("%+v", row)
		}

		// One that waits too long is given up, and another may follow.
		late := l.Store().Client().Work.Query().Where(work.StateEQ(property.WorkPending)).OnlyX(l.system())
		past = time.Now().Add(-history.NoticeTime - time.Minute).UTC()
		if _, err := l.Store().DB().ExecContext(l.system(), "UPDATE "+work.Table+" SET created_at = $1 WHERE id = $2", past, late.ID); err != nil {
			t.Fatal(err)
		}
		l.Store().Client().Allocation.UpdateOneID(b).SetNoticeAt(past).ExecX(l.system())
		gone := l.watch(event.Allocations, o.row.ID)
		if pulled, err := l.Pull(l.as(o.server), true, 0); err != nil || len(pulled) != 0 {
			t.Errorf("a late notice: %+v, %v", pulled, err)
		}
		wantSignal(t, "it is given up", gone)
		if row := l.allocationOf("b"); row.NoticeTakenAt != nil || row.NoticeCode != "UNAVAILABLE" || row.NoticeMessage == "" {
			t.Errorf("a late notice: %+v", row)
		}
		if w := l.Store().Client().Work.GetX(l.system(), late.ID); w.State != property.WorkFailed || w.DoneAt == nil || w.ErrorCode != "UNAVAILABLE" {
			t.Errorf("its work: %+v", w)
		}
		if _, err := l.AskAllocation(l.vendor(), b, "for tomorrow"); err != nil {
			t.Fatal(err)
		}
		if pulled, err := l.Pull(l.as(o.server), true, 0); err != nil || len(pulled) != 1 || pulled[0].Text != "for tomorrow" {
			t.Errorf("%+v, %v", pulled, err)
		}
		// What a server says of the earlier one at last is nothing of the later one.
		if err := l.Report(l.as(o.server), tasks.LinkReport{WorkID: late.ID}); err != nil {
			t.Fatal(err)
		}
		if row := l.allocationOf("b"); row.NoticeTakenAt != nil || row.NoticeText != "for tomorrow" {
			t.Errorf("%+v", row)
		}

		for name, c := range map[string]struct {
			id, text string
			code     license.Code
		}{
			"a long text":   {a, strings.Repeat("x", 501), license.CodeInvalidInput},
			"two lines":     {a, "a\nb", license.CodeInvalidInput},
			"turned around": {a, "a\u202eb", license.CodeInvalidInput},
			"no text":       {a, "\xff", license.CodeInvalidInput},
			"none":          {"alc_x", "", license.CodeNotFound},
		} {
			_, err := l.AskAllocation(l.vendor(), c.id, c.text)
			wantCode(t, name, err, c.code)
		}
		_, err = l.AskAllocation(l.with(auth.Viewer), a, "")
		wantCode(t, "a viewer", err, license.CodeForbidden)
		_, err = l.AskAllocation(l.stranger(), a, "")
		wantCode(t, "a stranger", err, license.CodeNotFound)
		_, err = l.AskAllocation(t.Context(), a, "")
		wantCode(t, "nobody", err, license.CodeUnauthenticated)
		o.push(leads(1, leaseEvent(3, history.LeaseReleased, "a")))
		_, err = l.AskAllocation(l.vendor(), a, "")
		wantCode(t, "one that has ended", err, license.CodeConflict)
		if _, err := l.DecideContainer(l.vendor(), o.serial, property.DecideBlock, "stolen"); err != nil {
			t.Fatal(err)
		}
		_, err = l.AskAllocation(l.vendor(), b, "")
		wantCode(t, "of a blocked container", err, license.CodeContainerBlocked)
	})
}

// TestLateNoticesNobodyFetches are given up, too, where the server never comes.
func TestLateNoticesNobodyFetches(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(77)
		o.push(leads(1, leaseEvent(1, history.LeaseGranted, "a")))
		if _, err := l.AskAllocation(l.vendor(), l.allocationOf("a").ID, "now"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.PruneUsage(t.Context()); err != nil {
			t.Fatal(err)
		}
		if row := l.allocationOf("a"); row.NoticeCode != "" {
			t.Errorf("in time: %+v", row)
		}
		past := time.Now().Add(-history.NoticeTime - time.Minute).UTC()
		if _, err := l.Store().DB().ExecContext(l.system(), "UPDATE "+work.Table+" SET created_at = $1", past); err != nil {
			t.Fatal(err)
		}
		l.Store().Client().Allocation.Update().SetNoticeAt(past).ExecX(l.system())
		if _, err := l.PruneUsage(t.Context()); err != nil {
			t.Fatal(err)
		}
		if row := l.allocationOf("a"); row.NoticeCode != "UNAVAILABLE" {
			t.Errorf("late: %+v", row)
		}
	})
}

// TestAGrantBeginsAnew: what was asked of the holder before is over.
func TestAGrantBeginsAnew(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		o := l.office(77)
		o.push(leads(1, leaseEvent(1, history.LeaseGranted, "a")))
		now := time.Now().UTC()
		l.Store().Client().Allocation.Update().SetNoticeAt(now).SetNoticeBy("me").SetNoticeText("please").SetNoticeTakenAt(now).
			SetNoticeCode("X").SetNoticeMessage("x").SetIdleSince(now).ExecX(l.system())
		o.push(leads(0, leaseEvent(2, history.LeaseReleased, "a")))
		if row := l.allocationOf("a"); row.NoticeAt == nil || row.NoticeText != "please" || row.NoticeCode != "X" {
			t.Errorf("after its end: %+v", row)
		}
		o.push(leads(1, leaseEvent(3, history.LeaseGranted, "a")))
		if row := l.allocationOf("a"); row.NoticeAt != nil || row.NoticeBy != "" || row.NoticeText != "" || row.NoticeTakenAt != nil ||
			row.NoticeCode != "" || row.NoticeMessage != "" || row.IdleSince != nil {
			t.Errorf("granted again: %+v", row)
		}
	})
}
