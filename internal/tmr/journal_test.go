package tmr_test

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
)

func TestJournals(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		for i := range l.journals {
			l.journals[i] = journal.NewMemory()
			l.kill(i)
			l.start(i)
		}
		all := l.run().Journals()
		var promises [3]journal.Promise
		for i, j := range all {
			s, err := j.Claim(t.Context(), journal.Term{Epoch: uint64(i) + 5, Owner: "a"})
			if err != nil {
				t.Fatal(err)
			}
			promises[i] = journal.Promise{Term: s.Promised, Incarnation: s.Incarnation}
			if own, err := l.journals[i].State(t.Context()); err != nil || own.Promised != s.Promised || own.Incarnation != s.Incarnation {
				t.Errorf("backend %d has %+v, %v; it said %+v", i+1, own, err, s)
			}
		}
		_, err := all[2].Claim(t.Context(), journal.Term{Epoch: 6, Owner: "b"})
		if license.CodeOf(err) != license.CodeFenced || journal.PromisedBy(err) != 7 || !strings.Contains(license.Public(err).Message, "backend 3 ("+serials[2].String()) {
			t.Errorf("fenced: %v, promised %d", err, journal.PromisedBy(err))
		}
		l.kill(1)
		l.await(func(v license.View) bool { return v.PresentCount() == 2 })
		_, err = all[1].Confirm(t.Context(), promises[1])
		if license.CodeOf(err) != license.CodeBackendAbsent {
			t.Errorf("absent: %v", err)
		}
		l.start(1)
		l.await(func(v license.View) bool { return v.PresentCount() == 3 })
		if _, err := all[1].Confirm(t.Context(), promises[1]); err != nil {
			t.Errorf("back: %v", err)
		}
	})
}
