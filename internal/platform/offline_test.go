package platform_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// TestAbortedWhileIssuing: somebody gives the rollout up before its updates are
// issued. Whoever started it is told so at once.
func TestAbortedWhileIssuing(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	_, id := l.waiting()
	row, err := l.Store().Client().Rollout.Get(l.system(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AbortRollout(l.vendor(), id); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = l.Issued(l.vendor(), row)
	wantCode(t, "given up", err, license.CodeRolloutState)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("after %v", took)
	}
}
