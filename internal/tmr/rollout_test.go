package tmr_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/tmr"
)

var nonce = []byte("0123456789abcdef")

func TestCollectAndStatements(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		fingerprints, err := g.Collect(t.Context(), nonce)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range fingerprints {
			if string(f) != "fingerprint "+serials[i].String()+" "+string(nonce) {
				t.Errorf("fingerprint %d is %q", i+1, f)
			}
		}
		statements, err := g.Statements(t.Context(), 2, nonce)
		if err != nil || statements[1] != nil || string(statements[2]) != "statement "+serials[2].String()+" "+string(nonce) ||
			string(statements[0]) != "statement "+serials[0].String()+" "+string(nonce) {
			t.Errorf("statements %q, %v", statements, err)
		}
		if _, err := g.Statements(t.Context(), 4, nonce); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("position 4: %v", err)
		}
		l.kill(0)
		l.await(func(v license.View) bool { return v.Backends[0] == license.Absent })
		if _, err := g.Collect(t.Context(), nonce); license.CodeOf(err) != license.CodeBackendAbsent || !strings.Contains(err.Error(), serials[0].String()) {
			t.Errorf("collecting without backend 1: %v", err)
		}
		if _, err := g.Statements(t.Context(), 1, nonce); err != nil {
			t.Errorf("statements for backend 1 need the others alone: %v", err)
		}
		if n := l.containers[1].Calls("Fingerprint"); n != 1 {
			t.Errorf("backend 2 was asked %d times", n)
		}
	})
}

func TestStageRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		one := update(0, held(30, 8))
		other := update(1, held(30, 8))
		other.Digest = make([]byte, 32)
		damaged := update(2, held(30, 8))
		damaged.Update = damaged.Update[1:]
		for name, c := range map[string]struct {
			updates []*quoratev1.BackendUpdate
			want    license.Code
		}{
			"twice for one":  {[]*quoratev1.BackendUpdate{one, one}, license.CodeInvalidInput},
			"no position":    {[]*quoratev1.BackendUpdate{{}}, license.CodeInvalidInput},
			"another digest": {[]*quoratev1.BackendUpdate{other}, license.CodeUpdateTampered},
			"damaged":        {[]*quoratev1.BackendUpdate{damaged}, license.CodeUpdateTampered},
		} {
			if err := g.Stage(t.Context(), c.updates); license.CodeOf(err) != c.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := g.Stage(t.Context(), []*quoratev1.BackendUpdate{damaged}); !strings.Contains(err.Error(), "backend 3 ("+serials[2].String()+")") {
			t.Errorf("who refused it isn't told: %v", err)
		}
	})
}

func TestActivateMarksAndVerifyClears(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		u := update(0, held(30, 8))
		if _, err := g.Activate(t.Context(), 2, u); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("another backend's update: %v", err)
		}
		var during string
		l.containers[0].Fault(func(call string, done bool) error {
			if call == "Activate" && !done {
				during = g.View().Status()
			}
			return nil
		})
		if _, err := g.Activate(t.Context(), 1, u); err != nil {
			t.Fatal(err)
		}
		if during != "1:- 2:#7 3:#7" {
			t.Errorf("while it was swapped in: %s", during)
		}
		synctest.Wait()
		if v := g.View(); v.Status() != "1:- 2:#7 3:#7" || v.Backends[0] != license.Activating {
			t.Errorf("before Verify: %s %v", v.Status(), v.Backends)
		}
		began := time.Now()
		if err := g.Verify(t.Context(), 1, map[license.Product]uint32{product: 8}, 700*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 700*time.Millisecond {
			t.Errorf("it settled in %v", took)
		}
		if s := g.View().Status(); s != "1:(#8) 2:#7 3:#7" {
			t.Errorf("after Verify: %s", s)
		}
		// Repeats disturb nothing.
		version := g.View().Version
		if receipt, err := g.Activate(t.Context(), 1, u); err != nil || string(receipt) != "receipt "+serials[0].String() {
			t.Errorf("activated again: %q, %v", receipt, err)
		}
		if err := g.Verify(t.Context(), 1, map[license.Product]uint32{product: 8}, 0); err != nil {
			t.Errorf("verified again: %v", err)
		}
		if v := g.View(); v.Version != version {
			t.Errorf("the repeats made a view: %s", v.Status())
		}
		if n := l.containers[0].Calls("Activate"); n != 1 {
			t.Errorf("%d activations", n)
		}
	})
}

func TestFailedActivateClearsTheMark(t *testing.T) {
	for name, c := range map[string]struct {
		where int
		call  string
		done  bool
		want  string
		code  license.Code
	}{
		"refused":              {0, "Activate", false, "1:#7 2:#7 3:#7", license.CodeGuardRefused},
		"failed but persisted": {0, "Activate", true, "1:(#8) 2:#7 3:#7", license.CodeGuardRefused},
		"no statement":         {2, "Statement", false, "1:#7 2:#7 3:#7", license.CodeGuardRefused},
		"not staged":           {0, "Stage", false, "1:#7 2:#7 3:#7", license.CodeGuardRefused},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				g := l.run()
				l.containers[c.where].Fault(func(call string, done bool) error {
					if call == c.call && done == c.done {
						return license.Errorf(license.CodeGuardRefused, "x", "told to fail")
					}
					return nil
				})
				_, err := g.Activate(t.Context(), 1, update(0, held(30, 8)))
				if license.CodeOf(err) != c.code {
					t.Errorf("got %v", err)
				}
				synctest.Wait()
				if s := g.View().Status(); s != c.want {
					t.Errorf("status %s", s)
				}
			})
		})
	}
}

func TestActivateOnADyingBackend(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		l.containers[0].Fault(func(call string, done bool) error {
			if call == "Activate" && !done {
				l.network.Cut(addr(0))
			}
			return nil
		})
		began := time.Now()
		if _, err := g.Activate(t.Context(), 1, update(0, held(30, 8))); license.CodeOf(err) != license.CodeBackendAbsent {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		l.network.Heal(addr(0))
		l.await(l.status("1:(#8) 2:#7 3:#7"))
		if receipt, err := g.Activate(t.Context(), 1, update(0, held(30, 8))); err != nil || len(receipt) == 0 {
			t.Errorf("repeated: %q, %v", receipt, err)
		}
	})
}

func TestOneActivationAtATime(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		hold := make(chan struct{})
		l.containers[0].Fault(func(call string, done bool) error {
			if call == "Stage" && !done {
				<-hold
			}
			return nil
		})
		first := make(chan error, 1)
		go func() {
			_, err := g.Activate(t.Context(), 1, update(0, held(30, 8)))
			first <- err
		}()
		synctest.Wait()
		if _, err := g.Activate(t.Context(), 1, update(0, held(30, 8))); license.CodeOf(err) != license.CodeConflict {
			t.Errorf("the second: %v", err)
		}
		close(hold)
		if err := <-first; err != nil {
			t.Errorf("the first: %v", err)
		}
	})
}

// TestOneBackendAtATime: while one backend activates or waits for Verify, no
// other one is activated, whoever asks: a rollout over the link and one by files
// may meet.
func TestOneBackendAtATime(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		one, two := update(0, held(30, 8)), update(1, held(30, 8))
		var meanwhile error
		l.containers[0].Fault(func(call string, done bool) error {
			if call == "Activate" && !done {
				_, meanwhile = g.Activate(t.Context(), 2, two)
			}
			return nil
		})
		if _, err := g.Activate(t.Context(), 1, one); err != nil {
			t.Fatal(err)
		}
		if license.CodeOf(meanwhile) != license.CodeConflict || !strings.Contains(meanwhile.Error(), "backend 1") {
			t.Errorf("while backend 1 activates: %v", meanwhile)
		}
		if _, err := g.Activate(t.Context(), 2, two); license.CodeOf(err) != license.CodeConflict {
			t.Errorf("before backend 1 is verified: %v", err)
		}
		if s := g.View().Status(); s != "1:- 2:#7 3:#7" || l.containers[1].Calls("Activate") != 0 {
			t.Errorf("%s, %d activations of backend 2", s, l.containers[1].Calls("Activate"))
		}
		if err := g.Verify(t.Context(), 1, map[license.Product]uint32{product: 8}, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := g.Activate(t.Context(), 2, two); err != nil {
			t.Errorf("after that: %v", err)
		}
		// What is installed gives its receipt whatever the others do.
		if _, err := g.Activate(t.Context(), 1, one); err != nil {
			t.Errorf("a repeat: %v", err)
		}
	})
}

func TestMarkEndsByItself(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		began := time.Now()
		if _, err := g.Activate(t.Context(), 1, update(0, held(30, 8))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(tmr.MarkTime - time.Millisecond)
		if s := g.View().Status(); s != "1:- 2:#7 3:#7" {
			t.Errorf("after %v: %s", time.Since(began), s)
		}
		time.Sleep(2 * time.Millisecond)
		if s := g.View().Status(); s != "1:(#8) 2:#7 3:#7" {
			t.Errorf("after %v: %s", time.Since(began), s)
		}
	})
}

func TestVerify(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		expect := map[license.Product]uint32{product: 8}
		for name, err := range map[string]error{
			"position":      g.Verify(t.Context(), 0, expect, 0),
			"settling time": g.Verify(t.Context(), 1, expect, time.Hour),
		} {
			if license.CodeOf(err) != license.CodeInvalidInput {
				t.Errorf("%s: %v", name, err)
			}
		}
		began := time.Now()
		err := g.Verify(t.Context(), 1, expect, time.Second)
		if license.CodeOf(err) != license.CodeUnavailable || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != tmr.VerifyTime {
			t.Errorf("it never comes: %v after %v", err, time.Since(began))
		}
		// An unsteady backend: each change back starts the settling anew.
		began = time.Now()
		go func() {
			for range 3 {
				l.containers[0].Set(held(30, 8))
				time.Sleep(600 * time.Millisecond)
				l.containers[0].Set(held(20, 7))
				time.Sleep(100 * time.Millisecond)
			}
			l.containers[0].Set(held(30, 8))
		}()
		if err := g.Verify(t.Context(), 1, expect, time.Second); err != nil || time.Since(began) != 3100*time.Millisecond {
			t.Errorf("unsteady: %v after %v", err, time.Since(began))
		}
		if err := g.Verify(t.Context(), 1, map[license.Product]uint32{product: 7}, 0); err != nil {
			t.Errorf("a higher TMR-ID than expected: %v", err)
		}
		l.kill(0)
		synctest.Wait()
		if err := g.Verify(t.Context(), 1, expect, 0); license.CodeOf(err) != license.CodeBackendAbsent {
			t.Errorf("an absent one: %v", err)
		}
	})
}

// Of several calls at once the error that is told is the one that made the
// others stop.
func TestTheFirstErrorIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		hold := make(chan struct{})
		l.containers[0].Fault(func(string, bool) error { <-hold; return nil })
		l.containers[2].Fault(func(string, bool) error {
			return license.Errorf(license.CodeContainerCorrupt, "x", "told to fail")
		})
		if _, err := g.Collect(t.Context(), nonce); license.CodeOf(err) != license.CodeContainerCorrupt || !strings.Contains(err.Error(), "backend 3") {
			t.Errorf("got %v", err)
		}
		close(hold)
	})
}

func TestFingerprintOfOneAndReceiptsOfAll(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		if receipts, err := g.Receipts(t.Context()); err != nil || len(receipts[0])+len(receipts[1])+len(receipts[2]) != 0 {
			t.Errorf("receipts of nothing: %q, %v", receipts, err)
		}
		for i := range serials {
			if _, err := g.Activate(t.Context(), i+1, update(i, held(30, 8))); err != nil {
				t.Fatal(err)
			}
			if err := g.Verify(t.Context(), i+1, map[license.Product]uint32{product: 8}, 0); err != nil {
				t.Fatal(err)
			}
		}
		receipts, err := g.Receipts(t.Context())
		for i, r := range receipts {
			if len(r) != 1 || string(r[0]) != "receipt "+serials[i].String() {
				t.Errorf("receipts %d: %q, %v", i+1, r, err)
			}
		}
		l.kill(0)
		l.await(func(v license.View) bool { return v.Backends[0] == license.Absent })
		f, err := g.Fingerprint(t.Context(), 2, nonce) // whatever backend 1 does
		if err != nil || string(f) != "fingerprint "+serials[1].String()+" "+string(nonce) {
			t.Errorf("fingerprint %q, %v", f, err)
		}
		if _, err := g.Fingerprint(t.Context(), 1, nonce); license.CodeOf(err) != license.CodeBackendAbsent {
			t.Errorf("fingerprint of the absent one: %v", err)
		}
		if _, err := g.Receipts(t.Context()); license.CodeOf(err) != license.CodeBackendAbsent {
			t.Errorf("receipts with one absent: %v", err)
		}
	})
}
