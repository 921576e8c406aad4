package offline_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/offline"
	"github.com/quorate/quorate/internal/seal"
)

func wantCode(t *testing.T, what string, err error, code license.Code) {
	t.Helper()
	if err == nil || license.CodeOf(err) != code {
		t.Errorf("%s: %v instead of %s", what, err, code)
	}
}

func TestApplyGoesThroughTheSevenStages(t *testing.T) {
	l := newLab(t)
	updates := l.issue(30, 8)
	l.statuses = l.statuses[len(l.statuses)-1:]
	var steps []string
	receipts, err := l.applier().Apply(t.Context(), l.virtual, updates, func(s offline.Step) {
		steps = append(steps, string(s.Kind)+string(rune('0'+s.Position)))
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1:#7 2:#7 3:#7 20", "1:- 2:#7 3:#7 20", "1:(#8) 2:#7 3:#7 20", "1:(#8) 2:- 3:#7 20",
		"1:#8 2:#8 3:(#7) 30", "1:#8 2:#8 3:- 30", "1:#8 2:#8 3:#8 30",
	}
	if !slices.Equal(l.statuses, want) {
		t.Errorf("the stages were\n%s", strings.Join(l.statuses, "\n"))
	}
	if got := strings.Join(steps, " "); got != "CHECKED0 STAGED0 GUARDED1 ACTIVATED1 VERIFIED1 GUARDED2 ACTIVATED2 VERIFIED2 GUARDED3 ACTIVATED3 VERIFIED3 DONE0" {
		t.Errorf("the steps were %s", got)
	}
	l.holds(30, 8)
	for i, b := range receipts {
		r, err := seal.OpenReceipt(b, l.identities[i].Public().Sign)
		if err != nil || r.Number != 2 || r.Update != seal.Digest(updates[i]) {
			t.Errorf("receipt %d: %+v, %v", i+1, r, err)
		}
	}

	// Again: the same receipts, and nothing happens.
	before := len(l.statuses)
	again := l.apply(updates)
	if !slices.EqualFunc(again, receipts, bytes.Equal) || len(l.statuses) != before {
		t.Errorf("applied twice: %s", strings.Join(l.statuses[before:], "\n"))
	}
	stored, err := l.applier().Receipts(t.Context())
	if err != nil || !slices.EqualFunc(stored, receipts, bytes.Equal) {
		t.Errorf("the receipts again: %v", err)
	}
}

// The order in which a file has its updates has no meaning.
func TestApplyFindsWhereUpdatesBelong(t *testing.T) {
	l := newLab(t)
	u := l.issue(30, 8)
	l.apply([][]byte{u[2], u[0], u[1]})
	l.holds(30, 8)
}

// Whatever call fails, before or after it had its effect: applying the file
// again goes on, and the license is there throughout.
func TestApplyIsResumedAfterAnyFailure(t *testing.T) {
	l := newLab(t)
	down := license.Errorf(license.CodeBackendAbsent, "", "the machine went down")
	quantity, id := uint32(20), uint32(7)
	for n := 0; ; n++ {
		quantity, id = quantity+10, id+1
		updates := l.issue(quantity, id)
		l.mu.Lock()
		seen := 0
		failing := false
		l.fault = func(string) error {
			if seen++; seen > n {
				failing = true
				return down // and so is every later call of this attempt
			}
			return nil
		}
		l.mu.Unlock()
		_, err := l.try(updates)
		if err != nil && !errors.Is(err, down) {
			t.Fatalf("after %d calls: %v", n, err)
		}
		l.mu.Lock()
		l.fault = nil
		l.marks = [3]bool{} // a TMR server that starts knows of none
		l.look()
		l.mu.Unlock()
		l.apply(updates)
		l.holds(quantity, id)
		if !failing {
			t.Logf("%d calls", n)
			break
		}
	}
	for position := 1; position <= 3; position++ { // the answer got lost
		quantity, id = quantity+10, id+1
		updates := l.issue(quantity, id)
		l.lost = func(call string) error {
			if call == "activate "+string(rune('0'+position)) {
				return down
			}
			return nil
		}
		if _, err := l.try(updates); !errors.Is(err, down) {
			t.Fatalf("backend %d: %v", position, err)
		}
		l.lost = nil
		l.apply(updates)
		l.holds(quantity, id)
	}
	if l.outage {
		t.Errorf("there was no license in force meanwhile:\n%s", strings.Join(l.statuses, "\n"))
	}
}

func TestApplySeveralUpdatesOfOneFile(t *testing.T) {
	l := newLab(t)
	second, third := l.issue(30, 8), l.issue(40, 9)
	both := slices.Concat(second, third)
	if receipts := l.apply(both); len(receipts) != 6 {
		t.Errorf("%d receipts", len(receipts))
	}
	l.holds(40, 9)
	if receipts := l.apply(both); len(receipts) != 3 { // the newest ones
		t.Errorf("%d receipts the second time", len(receipts))
	}
	l.holds(40, 9)
}

func TestRefusedFilesChangeNothing(t *testing.T) {
	l := newLab(t)
	first := l.issue(30, 8)
	l.apply(first)
	stranger := newLab(t)
	other := stranger.issue(30, 8)
	next := l.issue(40, 9)
	after := l.issue(50, 10)
	rival := *l
	rival.number, rival.previous = 1, [3][32]byte{}
	for i, c := range l.containers { // number 2 again, with another content
		state, err := c.Fingerprint(nil)
		if err != nil {
			t.Fatal(err)
		}
		f, err := seal.OpenFingerprint(state)
		if err != nil || f.Firms[0].Counter != 2 {
			t.Fatal(f.Firms, err)
		}
		rival.previous[i] = [32]byte{1}
	}
	conflict := rival.issue(30, 8)
	rival.number = 2
	wrongPrevious := rival.issue(40, 9)
	broken := slices.Clone(next)
	broken[2] = bytes.Clone(next[2])
	broken[2][len(broken[2])-1] ^= 1
	otherRoot := *l
	otherRoot.firm = seal.NewSigner(bytes.Repeat([]byte{9}, 32))
	var err error
	if otherRoot.cert, err = seal.SignFirmCert(seal.NewSigner(bytes.Repeat([]byte{8}, 32)), seal.FirmCert{Firm: firm, Key: otherRoot.firm.Public(), Serial: 1}); err != nil {
		t.Fatal(err)
	}
	otherRoot.number = 2
	untrusted := otherRoot.issue(40, 9)
	state := func() (versions [3]uint64) {
		for i, c := range l.containers {
			versions[i], _ = c.Licenses()
		}
		return versions
	}
	before := state()
	l.calls = nil
	for what, c := range map[string]struct {
		virtual license.Serial
		updates [][]byte
		code    license.Code
	}{
		"of another group":        {license.Serial{Mask: 131, Number: 1}, next, license.CodeUpdateForeign},
		"for containers replaced": {l.virtual, other, license.CodeUpdateForeign}, // same serials, other identities
		"with a number taken":     {l.virtual, conflict, license.CodeUpdateConflict},
		"with a gap":              {l.virtual, after, license.CodeUpdateGap},
		"that follows another":    {l.virtual, wrongPrevious, license.CodeUpdateConflict},
		"altered":                 {l.virtual, broken, license.CodeUpdateTampered},
		"of another platform":     {l.virtual, untrusted, license.CodeUpdateUntrusted},
		"for two of the three":    {l.virtual, next[:2], license.CodeUpdateTampered},
		"with nothing":            {l.virtual, nil, license.CodeUpdateTampered},
	} {
		_, err := l.applier().Apply(t.Context(), c.virtual, c.updates, func(s offline.Step) { t.Errorf("%s: came to %s", what, s.Kind) })
		wantCode(t, what, err, c.code)
	}
	if state() != before || slices.ContainsFunc(l.calls, func(c string) bool { return !strings.HasPrefix(c, "fingerprint") }) {
		t.Errorf("a refused file had an effect: %v", l.calls)
	}
	l.apply(next)
	before = state()
	l.calls = nil
	_, err = l.try(first)
	wantCode(t, "stale", err, license.CodeUpdateReplayed)
	if state() != before || slices.ContainsFunc(l.calls, func(c string) bool { return !strings.HasPrefix(c, "fingerprint") }) {
		t.Errorf("a refused file had an effect: %v", l.calls)
	}
}

func TestGuardHoldsTheApply(t *testing.T) {
	l := newLab(t)
	updates := l.issue(30, 8)
	absent := license.Errorf(license.CodeBackendAbsent, "", "backend 3 does not answer")
	l.fault = func(call string) error {
		if call == "statement 3" {
			return absent
		}
		return nil
	}
	if _, err := l.try(updates); !errors.Is(err, absent) {
		t.Errorf("with one of the other two away: %v", err)
	}
	l.holds(20, 7)
	empty, _ := l.create(3879234)
	right := l.containers[2]
	l.fault = nil
	l.containers[2] = empty
	_, err := l.try(updates)
	wantCode(t, "a container replaced", err, license.CodeUpdateForeign)
	l.containers[2] = right
	l.apply(updates)
	l.holds(30, 8)
}

func TestOnlyTheActiveServerAppliesAndOnlyOnce(t *testing.T) {
	l := newLab(t)
	updates := l.issue(30, 8)
	l.leads = false
	_, err := l.try(updates)
	wantCode(t, "apply on the standby", err, license.CodeNotLeader)
	_, err = l.applier().Request(t.Context())
	wantCode(t, "request on the standby", err, license.CodeNotLeader)
	_, err = l.applier().Receipts(t.Context())
	wantCode(t, "receipt on the standby", err, license.CodeNotLeader)
	l.leads = true

	a := l.applier()
	entered, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := a.Apply(t.Context(), l.virtual, updates, func(s offline.Step) {
			if s.Kind == offline.Checked {
				close(entered)
				<-leave
			}
		})
		done <- err
	}()
	<-entered
	_, err = a.Apply(t.Context(), l.virtual, updates, func(offline.Step) {})
	wantCode(t, "a second one meanwhile", err, license.CodeConflict)
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}

	updates = l.issue(40, 9) // the leadership is lost in between
	_, err = l.applier().Apply(t.Context(), l.virtual, updates, func(s offline.Step) {
		if s.Kind == offline.Verified && s.Position == 1 {
			l.leads = false
		}
	})
	wantCode(t, "after a switch", err, license.CodeNotLeader)
	ctx, cancel := context.WithCancel(t.Context())
	l.leads = true
	_, err = l.applier().Apply(ctx, l.virtual, updates, func(s offline.Step) {
		if s.Kind == offline.Verified && s.Position == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	l.apply(updates)
	l.holds(40, 9)
}

func TestApplyToOneContainer(t *testing.T) {
	l := newLab(t)
	c, _ := l.create(77)
	var updates [][]byte
	previous := [32]byte{}
	for n := uint64(1); n <= 3; n++ {
		private, _, err := seal.NewProductKey()
		if err != nil {
			t.Fatal(err)
		}
		u, err := seal.SealUpdate(l.firm, l.cert, c.Identity(), seal.UpdateHeader{
			Firm: firm, Serial: c.Serial(), Number: n, Previous: previous, IssuedAt: time.Now(),
		}, seal.Payload{Set: []seal.Grant{{License: license.Held{License: license.License{Product: chart(), Name: "Chart", Options: license.Options{Quantity: uint32(n)}}}, ProductKey: private}}}) //nolint:gosec // G115: small
		if err != nil {
			t.Fatal(err)
		}
		previous = seal.Digest(u)
		updates = append(updates, u)
	}
	apply := func(u ...[]byte) ([][]byte, error) {
		return offline.ApplyTo(c, armor.File{Kind: armor.Update, Messages: u}, func(offline.Step) {})
	}
	if r, err := apply(updates[0]); err != nil || len(r) != 1 {
		t.Fatal(len(r), err)
	}
	_, err := apply(updates[2])
	wantCode(t, "a gap", err, license.CodeUpdateGap)
	if r, err := apply(updates...); err != nil || len(r) != 3 { // the missing ones travel along
		t.Fatal(len(r), err)
	}
	if r, err := apply(updates...); err != nil || len(r) != 1 { // the newest one's
		t.Fatal(len(r), err)
	}
	_, err = apply(updates[0])
	wantCode(t, "stale", err, license.CodeUpdateReplayed)
	if _, held := c.Licenses(); len(held) != 1 || held[0].Options.Quantity != 3 {
		t.Errorf("it holds %+v", held)
	}
	if r, err := c.Receipts(); err != nil || len(r) != 1 {
		t.Errorf("%d receipts, %v", len(r), err)
	}

	group := l.issue(30, 8)
	_, err = offline.ApplyTo(l.containers[0], l.file(group), func(offline.Step) {})
	wantCode(t, "a group's file", err, license.CodeInvalidInput)
	_, err = offline.ApplyTo(l.containers[0], armor.File{Kind: armor.Update, Messages: group[:1]}, func(offline.Step) {})
	wantCode(t, "a group's update, past the guard", err, license.CodeGuardRefused)
	l.holds(20, 7)
	_, err = apply(group[0])
	wantCode(t, "another container's", err, license.CodeUpdateForeign)
}
