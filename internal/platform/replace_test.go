package platform_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/seal"
)

// newcomer is the request of a container that could come into the group.
func (l *lab) newcomer(number uint64, change func(*seal.Fingerprint)) string {
	l.t.Helper()
	f := seal.Fingerprint{Serial: license.Serial{Mask: 130, Number: number}}
	if change != nil {
		change(&f)
	}
	text, err := armor.Encode(armor.File{Kind: armor.Request, Messages: [][]byte{l.fingerprint(f)}})
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

func TestReplaceBackend(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		spec := rollouts.ReplaceSpec{Backend: "130-27845973", Request: l.newcomer(500, nil), Reason: "the disk broke"}
		told := l.watch("tmrGroup", made.Group.ID)
		first, err := l.ReplaceBackend(l.vendor(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if first.Rollout != nil || first.Group.ID != made.Group.ID {
			t.Errorf("a group that never got anything: rollout %v, group %s", first.Rollout, first.Group.ID)
		}
		wantSignal(t, "the group's watchers", told)
		if c := first.New; c.Serial != "130-500" || *c.TmrGroupID != made.Group.ID || *c.Position != 2 || c.Kind != property.ContainerUniversal || *c.CustomerID != *made.Group.CustomerID {
			t.Errorf("the new one: %s at %d", c.Serial, *c.Position)
		}
		if c := first.Old; c.TmrGroupID != nil || c.Position != nil || c.BlockedAt == nil || !strings.Contains(c.BlockReason, "the disk broke") || *c.ReplacedByID != first.New.ID {
			t.Errorf("the old one: %q, %v", c.BlockReason, c.ReplacedByID)
		}
		spec.Backend = first.Old.ID
		again, err := l.ReplaceBackend(l.vendor(), spec)
		if err != nil || again.New.ID != first.New.ID || again.Group.ID != made.Group.ID || l.audited("backend.replace") != 1 {
			t.Errorf("again: %v, %d audit entries", err, l.audited("backend.replace"))
		}
		spec.Request = l.newcomer(501, nil)
		_, err = l.ReplaceBackend(l.vendor(), spec)
		wantCode(t, "replaced by another one", err, license.CodeConflict)

		l.order(made, made.Item.ID, 20)
		row := l.rollOut(made)
		going, err := l.ReplaceBackend(l.vendor(), rollouts.ReplaceSpec{Backend: "130-500", Request: l.newcomer(502, nil)})
		if err != nil || going.Rollout == nil || going.Rollout.ID != row.ID || going.Rollout.State != property.RolloutCollecting {
			t.Errorf("while a rollout runs: %+v, %v", going.Rollout, err)
		}
		states, err := containers.ContainerStates(l.system(), l.Store().Client(), []string{first.Old.ID, first.New.ID, going.New.ID, made.Virtual.ID})
		if err != nil || states[first.Old.ID] != property.ContainerBlocked || states[first.New.ID] != property.ContainerBlocked ||
			states[going.New.ID] != property.ContainerUpdateDue || states[made.Virtual.ID] != property.ContainerUpdateDue {
			t.Errorf("%v, %v", states, err)
		}
		_, err = l.StartRollout(l.vendor(), core.Place{Container: "130-500"}, "")
		wantCode(t, "a rollout to the replaced one", err, license.CodeContainerBlocked)
		_, err = l.RehostContainer(l.vendor(), "130-500", "130-502", "x", "")
		wantCode(t, "re-hosted", err, license.CodeInvalidInput)
	})
}

func TestReplaceBackendIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		b := l.box(77, "Shipping Company")
		good := rollouts.ReplaceSpec{Backend: "130-27845973", Request: l.newcomer(500, nil)}
		for name, try := range map[string]struct {
			change func(*rollouts.ReplaceSpec)
			code   license.Code
		}{
			"unknown":          {func(s *rollouts.ReplaceSpec) { s.Backend = "130-1" }, license.CodeNotFound},
			"in no group":      {func(s *rollouts.ReplaceSpec) { s.Backend = b.serial }, license.CodeInvalidInput},
			"virtual":          {func(s *rollouts.ReplaceSpec) { s.Backend = "131-4837572" }, license.CodeInvalidInput},
			"no file":          {func(s *rollouts.ReplaceSpec) { s.Request = "" }, license.CodeFormatUnknown},
			"a long reason":    {func(s *rollouts.ReplaceSpec) { s.Reason = strings.Repeat("x", 1001) }, license.CodeInvalidInput},
			"a registered one": {func(s *rollouts.ReplaceSpec) { s.Request = b.request() }, license.CodeInvalidInput},
			"a member":         {func(s *rollouts.ReplaceSpec) { s.Request = l.newcomer(1874829, nil) }, license.CodeInvalidInput},
			"itself":           {func(s *rollouts.ReplaceSpec) { s.Request = l.newcomer(27845973, nil) }, license.CodeInvalidInput},
			"a serial in use":  {func(s *rollouts.ReplaceSpec) { s.Request = l.newcomer(77, nil) }, license.CodeConflict},
			"another platform's": {func(s *rollouts.ReplaceSpec) {
				s.Request = l.newcomer(500, func(f *seal.Fingerprint) { f.Root = make([]byte, 32) })
			}, license.CodeConflict},
			"another activation id": {func(s *rollouts.ReplaceSpec) {
				s.Request = l.newcomer(500, func(f *seal.Fingerprint) { f.ActivationID = [16]byte{5} })
			}, license.CodeInvalidInput},
			"one with updates": {func(s *rollouts.ReplaceSpec) {
				s.Request = l.newcomer(500, func(f *seal.Fingerprint) {
					f.Firms = []seal.FirmState{{Firm: product.Firm, Counter: 1, Digest: [32]byte{1}}}
				})
			}, license.CodeManipulation},
		} {
			spec := good
			try.change(&spec)
			_, err := l.ReplaceBackend(l.vendor(), spec)
			wantCode(t, name, err, try.code)
		}
		_, err := l.ReplaceBackend(l.customer(made.Group), good)
		wantCode(t, "the customer", err, license.CodeForbidden)
		_, err = l.ReplaceBackend(l.with(auth.Operator), good)
		wantCode(t, "an operator", err, license.CodeForbidden)
		_, err = l.ReplaceBackend(l.stranger(), good)
		wantCode(t, "another vendor", err, license.CodeNotFound)
		l.jobs.fail = true
		l.order(made, made.Item.ID, 20)
		if _, err := l.ReplaceBackend(l.vendor(), good); err == nil {
			t.Error("killed in it, and done")
		}
		if c := l.Store().Client().Container.GetX(l.system(), made.Containers[1].ID); c.BlockedAt != nil || c.TmrGroupID == nil || l.audited("backend.replace") != 0 {
			t.Error("half of it happened")
		}
		got, err := l.ReplaceBackend(l.vendor(), good)
		if err != nil || got.Rollout == nil || got.Rollout.Number != 1 {
			t.Errorf("what was ordered is not rolled out: %+v, %v", got.Rollout, err)
		}
	})
}

// TestReplaceBackendAtOnce: of several at the same time one comes in.
func TestReplaceBackendAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		made := l.provision()
		l.order(made, made.Item.ID, 20)
		l.rollOut(made)
		requests := []string{l.newcomer(500, nil), l.newcomer(501, nil), l.newcomer(502, nil)}
		var all sync.WaitGroup
		codes := make([]license.Code, len(requests))
		for i, r := range requests {
			all.Go(func() {
				_, err := l.ReplaceBackend(l.vendor(), rollouts.ReplaceSpec{Backend: "130-27845973", Request: r})
				if err != nil {
					codes[i] = license.CodeOf(err)
				}
			})
		}
		all.Wait()
		done := 0
		for _, c := range codes {
			switch c {
			case "":
				done++
			case license.CodeConflict, license.CodeUnavailable:
			default:
				t.Errorf("refused with %s", c)
			}
		}
		if done != 1 || l.audited("backend.replace") != 1 {
			t.Errorf("%d came in, %d are in the audit log", done, l.audited("backend.replace"))
		}
	})
}
