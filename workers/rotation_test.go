package workers_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/update"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/seal"
)

func (l *lab) rotate() *ent.Firm {
	l.t.Helper()
	f, err := l.RotateFirmKey(l.as(l.owner), "6000010", 0)
	if err != nil {
		l.t.Fatal(err)
	}
	return f
}

// certOf gives the certificate that a rollout's updates carry.
func (l *lab) certOf(id string) seal.FirmCert {
	l.t.Helper()
	all, err := l.store.Client().Update.Query().Where(update.RolloutID(id)).All(l.system())
	if err != nil || len(all) != 3 {
		l.t.Fatalf("%d updates, %v", len(all), err)
	}
	root, err := l.RootKey(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	var cert seal.FirmCert
	for _, u := range all {
		if cert, err = seal.UpdateCert(u.Bytes, root); err != nil {
			l.t.Fatal(err)
		}
	}
	return cert
}

// TestRolloutAfterRotation: containers that know the firm's first key follow it
// over two rotations, and take nothing more of the keys before.
func TestRolloutAfterRotation(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := filled(t, dsn)
		before, err := l.store.Client().Firm.Query().Only(l.system())
		if err != nil {
			t.Fatal(err)
		}
		l.rotate()
		firm := l.rotate()
		l.order(10)
		second := l.until(l.start().ID, property.RolloutDone)
		l.holds(second.ID, 30, 8)
		if cert := l.certOf(second.ID); cert.Serial != 3 || len(cert.Rotations) != 2 || !bytes.Equal(cert.Key, firm.PublicKey) {
			t.Errorf("the updates carry key %d with %d rotations", cert.Serial, len(cert.Rotations))
		}
		// A platform that was restored from before the rotations signs with the
		// first key: a container that has seen the third one refuses that.
		l.refuses(before)
		l.rotate()
		l.order(10)
		third := l.until(l.start().ID, property.RolloutDone)
		l.holds(third.ID, 40, 9)
	})
}

// TestRotationDuringRollout: one that comes after the updates were signed
// leaves the rollout with the key that it began with.
func TestRotationDuringRollout(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		rotated := false
		l.fail = func(w tasks.LinkWork) error {
			if w.Kind == property.WorkStage && !rotated {
				rotated = true
				l.rotate()
			}
			return nil
		}
		l.link()
		l.work(nil)
		l.order(20)
		first := l.until(l.start().ID, property.RolloutDone)
		l.holds(first.ID, 20, 7)
		if cert := l.certOf(first.ID); cert.Serial != 1 {
			t.Errorf("the rollout went on with key %d", cert.Serial)
		}
		l.order(10)
		second := l.until(l.start().ID, property.RolloutDone)
		l.holds(second.ID, 30, 8)
		if cert := l.certOf(second.ID); cert.Serial != 2 {
			t.Errorf("the next one has key %d", cert.Serial)
		}
	})
}

// TestRotationBeforeSigning: one that comes between writing down what is to be
// signed and signing it has the updates made again, under the new key.
func TestRotationBeforeSigning(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		var rotated atomic.Bool
		prepared := make(chan struct{}, 100)
		l.store.Client().Update.Use(func(next ent.Mutator) ent.Mutator {
			return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
				if m.Op().Is(ent.OpUpdateOne) && !rotated.Load() {
					select {
					case prepared <- struct{}{}:
					default:
					}
					return nil, errors.New("the power is gone")
				}
				return next.Mutate(ctx, m)
			})
		})
		l.link()
		l.work(nil)
		l.order(20)
		r := l.start()
		<-prepared
		l.rotate()
		rotated.Store(true)
		l.until(r.ID, property.RolloutDone)
		l.holds(r.ID, 20, 7)
		if cert := l.certOf(r.ID); cert.Serial != 2 {
			t.Errorf("the updates have key %d", cert.Serial)
		}
	})
}

// refuses offers backend 1 its next update, signed with the key that the firm
// had before.
func (l *lab) refuses(before *ent.Firm) {
	l.t.Helper()
	signed, err := l.containers[0].Fingerprint(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	f, err := seal.OpenFingerprint(signed)
	if err != nil {
		l.t.Fatal(err)
	}
	keys, err := core.LoadMasterKey(l.key)
	if err != nil {
		l.t.Fatal(err)
	}
	seed, err := keys.Open(l.t.Context(), "firm:6000010", before.SealedKey)
	if err != nil {
		l.t.Fatal(err)
	}
	sealed, err := seal.SealUpdate(seal.NewSigner(seed), before.Cert, f.Identity, seal.UpdateHeader{
		Firm: chart.Firm, Serial: f.Serial, Number: f.Firms[0].Counter + 1, Previous: f.Firms[0].Digest,
	}, seal.Payload{})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.containers[0].Stage(sealed); license.CodeOf(err) != license.CodeUpdateUntrusted {
		l.t.Errorf("the first key after the third: %v", err)
	}
}
