package platform_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/core"
)

// impatient calls back, once, as soon as a rollout was written.
type impatient struct {
	event.Bus
	then func(rollout string)
}

func (b *impatient) Publish(ctx context.Context, topic, key string) error {
	err := b.Bus.Publish(ctx, topic, key)
	if then := b.then; topic == event.Rollout && then != nil {
		b.then = nil
		then(key)
	}
	return err
}

// TestAbortedWhileIssuing: somebody gives the rollout up before its updates are
// issued. Whoever started it is told so at once.
func TestAbortedWhileIssuing(t *testing.T) {
	l := newLab(t, databases.SQLite(t))
	c := newTimed(l)
	l.order(c.made, c.made.Item.ID, 20)
	keys, err := core.NewMasterKey(append([]byte{1}, bytes.Repeat([]byte{0}, core.MasterKeySize-1)...))
	if err != nil {
		t.Fatal(err)
	}
	bus := &impatient{Bus: l.bus}
	p, err := platform.New(platform.Config{Store: l.Store(), Bus: bus, Keys: keys, Jobs: l.jobs})
	if err != nil {
		t.Fatal(err)
	}
	given := false
	bus.then = func(rollout string) {
		row, err := p.AbortRollout(l.vendor(), rollout)
		if err != nil {
			t.Error(err)
		}
		given = row != nil
	}
	began := time.Now()
	_, err = p.StartOfflineRollout(l.vendor(), core.Place{Group: c.made.Group.ID}, c.request(nil))
	wantCode(t, "given up", err, license.CodeRolloutState)
	if took := time.Since(began); !given || took > 5*time.Second {
		t.Errorf("given up: %v; after %v", given, took)
	}
}
