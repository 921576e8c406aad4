package platform_test

import (
	"bytes"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/usageentry"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/usage"
)

// config is that of the lab's platform, with another policy.
func (l *lab) config(policy history.UsagePolicy) platform.Config {
	l.t.Helper()
	keys, err := core.NewMasterKey(bytes.Repeat([]byte{0}, core.MasterKeySize))
	if err != nil {
		l.t.Fatal(err)
	}
	return platform.Config{Store: l.Store(), Bus: l.bus, Keys: keys, Jobs: l.jobs, Usage: policy}
}

func (l *lab) again(policy history.UsagePolicy) *platform.Platform {
	l.t.Helper()
	p, err := platform.New(l.config(policy))
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// logFile is the firm's log as a file.
func (l *lab) logFile(vendor string) []byte {
	l.t.Helper()
	var b bytes.Buffer
	ctx := l.as(auth.Principal{Kind: auth.KindMember, ID: "mem_v", Organization: vendor, Role: auth.Viewer, Name: "Vera"})
	if err := l.EachLogEntry(ctx, "6000010", 0, func(h usage.Hash, line string) error { return usage.WriteLine(&b, h, line) }); err != nil {
		l.t.Fatal(err)
	}
	return b.Bytes()
}

func verifyFiles(t *testing.T, files ...[]byte) (v usage.Verifier, found []usage.Finding) {
	t.Helper()
	for _, f := range files {
		if err := v.Read(bytes.NewReader(f), func(f usage.Finding) { found = append(found, f) }); err != nil {
			t.Fatal(err)
		}
	}
	return v, found
}

func (l *lab) exportLog(vendor string) (usage.Verifier, []usage.Finding) {
	l.t.Helper()
	return verifyFiles(l.t, l.logFile(vendor))
}

// secondGroup is another group of the same firm, for another customer.
func (l *lab) secondGroup() provision.Provisioned {
	l.t.Helper()
	s := l.spec()
	s.Customer, s.Group.Name, s.Group.Virtual = "Port", "Harbour", license.Serial{Mask: 131, Number: 99}
	for i := range s.Group.Fingerprints {
		s.Group.Fingerprints[i] = l.fingerprint(seal.Fingerprint{Serial: license.Serial{Mask: 130, Number: uint64(500 + i)}, ActivationID: [16]byte{9}})
	}
	made, err := l.Provision(l.vendor(), s)
	if err != nil {
		l.t.Fatal(err)
	}
	return made
}

// TestTheLogOfTwoGroups of one firm, told at once, is one chain.
func TestTheLogOfTwoGroups(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		groups := []provision.Provisioned{l.provision(), l.secondGroup()}
		var all sync.WaitGroup
		const pushes, size = 12, 5
		for _, made := range groups {
			link := l.link(made)
			for range 2 { // two servers of each tell the same
				all.Go(func() {
					for i := range pushes {
						var events []history.LeaseEvent
						for j := range size {
							e := leaseEvent(uint64(i*size+j+1), history.LeaseGranted, string(rune('a'+j)))
							e.Seq = e.Position
							events = append(events, e)
						}
						if _, err := l.ApplyLeaseEvents(link, made.Group.ID, events); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		all.Wait()
		l.verifyLog(groups[0].Group.VendorID, 2*pushes*size, 0)
		head, err := l.UsageLog(l.vendor(), "6000010")
		if err != nil || head.First != 1 || head.Last != 2*pushes*size {
			t.Errorf("%+v, %v", head, err)
		}
		if gaps, err := l.UsageGaps(l.vendor(), head, 0); err != nil || len(gaps) != 0 {
			t.Errorf("%+v, %v", gaps, err)
		}
		for name, ctx := range map[string]func() error{
			"a customer": func() error { _, err := l.UsageLog(l.customer(groups[0].Group), "6000010"); return err },
			"a stranger": func() error { _, err := l.UsageLog(l.stranger(), "6000010"); return err },
			"the entries, for a customer": func() error {
				return l.EachLogEntry(l.customer(groups[0].Group), "6000010", 0, func(usage.Hash, string) error { t.Error("an entry"); return nil })
			},
		} {
			wantCode(t, name, ctx(), license.CodeNotFound)
		}
	})
}

// TestTheLogShowsGaps: events that never came, and a source that began anew. What
// the history can't make sense of is in the log too.
func TestTheLogShowsGaps(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		position := uint64(0)
		tell := func(seqs ...uint64) {
			t.Helper()
			for _, seq := range seqs {
				position++
				e := leaseEvent(position, history.LeaseGranted, "a")
				e.Seq = seq
				if seq == 3 {
					e.Product.Code = 99 // which the platform doesn't know
				}
				if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, []history.LeaseEvent{e}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if head, err := l.UsageLog(l.vendor(), "6000010"); err != nil || head.Last != 0 {
			t.Errorf("%+v, %v", head, err)
		}
		tell(1, 2, 3, 4, 7, 8, 0, 9, 2, 3)
		_, found := l.exportLog(made.Group.VendorID)
		if len(found) != 2 || found[0].Kind != usage.Missing || found[0].Count != 2 || found[0].Number != 5 || found[1].Kind != usage.Restarted || found[1].Number != 9 {
			t.Errorf("%+v", found)
		}
		head, err := l.UsageLog(l.vendor(), "6000010")
		if err != nil {
			t.Fatal(err)
		}
		gaps, err := l.UsageGaps(l.vendor(), head, 0)
		if err != nil || len(gaps) != 2 || gaps[0].Missing != 2 || gaps[0].Number != 5 || gaps[1].Missing != -1 || gaps[0].Source != made.Group.VirtualSerial || gaps[0].Entry.Seq != 7 {
			t.Errorf("%+v, %v", gaps, err)
		}
		if rest, err := l.UsageGaps(l.vendor(), head, gaps[0].Number); err != nil || len(rest) != 1 {
			t.Errorf("%+v, %v", rest, err)
		}
		// Somebody who alters the table is found out.
		row := l.Store().Client().UsageEntry.Query().Where(usageentry.Number(4)).OnlyX(l.system())
		l.Store().Client().UsageEntry.DeleteOneID(row.ID).ExecX(l.system())
		if _, found = l.exportLog(made.Group.VendorID); len(found) == 0 || found[0].Kind != usage.Broken || found[0].Number != 5 {
			t.Errorf("%+v", found)
		}
	})
}

// TestARestoredPlatform has the events again: the log goes on from the backup as
// it did before, or shows what is missing where a server doesn't keep them any
// more; the export from before tells the difference.
func TestARestoredPlatform(t *testing.T) {
	dir := t.TempDir()
	l := newLab(t, filepath.Join(dir, "db"))
	made := l.provision()
	var events []history.LeaseEvent
	for i := range 12 {
		kind := history.LeaseGranted
		if i%3 == 2 {
			kind = history.LeaseReleased
		}
		e := leaseEvent(uint64(i+1), kind, string(rune('a'+i/3)))
		e.Seq = uint64(i + 1)
		events = append(events, e)
	}
	take := func(l *lab, events []history.LeaseEvent) {
		t.Helper()
		if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, events); err != nil {
			t.Fatal(err)
		}
	}
	take(l, events[:5])
	for _, name := range []string{"same", "gap"} {
		if _, err := l.Store().DB().ExecContext(t.Context(), "VACUUM INTO ?", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	take(l, events[5:])
	vendor := made.Group.VendorID
	hash, before := l.verifyLog(vendor, 12, 0), l.logFile(vendor)
	points := func(l *lab) []usage.Point {
		u, err := l.Usage(l.vendor(), history.UsageQuestion{Container: made.Group.ID, Product: product.String(), Resolution: "DAY", From: events[0].At})
		if err != nil {
			t.Fatal(err)
		}
		return u.Points[:len(u.Points)-1]
	}
	open := func(name string) *lab {
		t.Helper()
		s := newStore(t, filepath.Join(dir, name))
		r := &lab{t: t, first: l.first, owner: l.owner}
		r.Platform, r.jobs, r.bus = newPlatform(t, s, 1)
		return r
	}
	same := open("same")
	take(same, events[3:]) // as the server goes on from the position that it is told
	if got := same.verifyLog(vendor, 12, 0); got != hash || !bytes.Equal(same.logFile(vendor), before) {
		t.Error("the log has become another one")
	}
	if a, b := points(l), points(same); len(a) == 0 || len(a) != len(b) || a[0] != b[0] {
		t.Errorf("the series have become others: %+v, %+v", a, b)
	}
	gap := open("gap")
	take(gap, events[8:])
	_, found := gap.exportLog(vendor)
	if len(found) != 1 || found[0].Kind != usage.Missing || found[0].Count != 3 {
		t.Errorf("%+v", found)
	}
	more := leaseEvent(20, history.LeaseGranted, "z")
	for i := range 6 {
		more.Position, more.Seq, more.At = uint64(20+i), uint64(13+i), time.Now()
		take(gap, []history.LeaseEvent{more})
	}
	if _, found := verifyFiles(t, before, gap.logFile(vendor)); len(found) == 0 || found[0].Kind != usage.Forked {
		t.Errorf("the earlier export is not told apart: %+v", found)
	}
}

// TestTheLogOfManyEvents is given in pages, and from an entry on.
func TestTheLogOfManyEvents(t *testing.T) {
	l := newLab(t, filepath.Join(t.TempDir(), "db"))
	made := l.provision()
	for page := range 3 {
		events := make([]history.LeaseEvent, 700)
		for i := range events {
			events[i] = leaseEvent(uint64(page*700+i+1), history.LeaseDenied, "")
			events[i].Seq = events[i].Position
		}
		if _, err := l.ApplyLeaseEvents(l.link(made), made.Group.ID, events); err != nil {
			t.Fatal(err)
		}
	}
	l.verifyLog(made.Group.VendorID, 2100, 0)
	n := 0
	if err := l.EachLogEntry(l.vendor(), "6000010", 2000, func(usage.Hash, string) error { n++; return nil }); err != nil || n != 100 {
		t.Errorf("%d entries, %v", n, err)
	}
	if got := l.Store().Client().Denial.Query().CountX(l.system()); got != 2100 {
		t.Errorf("%d denials", got)
	}
}

func newStore(t *testing.T, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
