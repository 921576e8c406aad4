package workers_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/seal"
)

// single is a container outside of TMR groups, with its file.
type single struct {
	*container.Container
	l        *lab
	path     string
	serial   string
	row      *ent.Container
	token    string
	identity *seal.Identity
}

// single makes and registers a container of the lab's customer.
func (l *lab) single(number uint64, server *provision.ServerSpec) *single {
	l.t.Helper()
	identity, err := seal.NewIdentity()
	if err != nil {
		l.t.Fatal(err)
	}
	root, err := l.RootKey(l.as(l.owner))
	if err != nil {
		l.t.Fatal(err)
	}
	s := &single{l: l, path: filepath.Join(l.t.TempDir(), "one.qrc"), serial: fmt.Sprintf("130-%d", number), identity: identity}
	if s.Container, err = container.Create(s.path, container.Params{
		Serial: license.Serial{Mask: 130, Number: number}, Root: root, ActivationID: [16]byte{9}, Identity: identity,
	}); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { s.Container.Close() })
	made, err := l.RegisterContainer(l.as(l.owner), provision.RegisterSpec{Request: s.request(), Customer: "Customer", Server: server})
	if err != nil {
		l.t.Fatal(err)
	}
	s.row, s.token = made.Container, made.Token
	return s
}

func (s *single) place() core.Place { return core.Place{Container: s.serial} }

func (s *single) request() string {
	s.l.t.Helper()
	b, err := s.Fingerprint(nil)
	if err != nil {
		s.l.t.Fatal(err)
	}
	return s.l.text(armor.File{Kind: armor.Request, Messages: [][]byte{b}})
}

func (s *single) order(quantity int) {
	s.l.t.Helper()
	if _, err := s.l.Order(s.l.as(s.l.owner), orders.OrderRequest{Item: s.l.item, Container: s.serial, Quantity: quantity}); err != nil {
		s.l.t.Fatal(err)
	}
}

func (s *single) start() rollouts.OfflineRollout {
	s.l.t.Helper()
	r, err := s.l.StartOfflineRollout(s.l.as(s.l.owner), s.place(), s.request())
	if err != nil {
		s.l.t.Fatal(err)
	}
	return r
}

// apply installs the first updates of a file, all of them when most is 0, and
// gives the text of the receipts.
func (s *single) apply(update string, most int) string {
	s.l.t.Helper()
	f, err := armor.Parse([]byte(update))
	if err != nil {
		s.l.t.Fatal(err)
	}
	parts, err := armor.Parts(f)
	if err != nil {
		s.l.t.Fatal(err)
	}
	out := armor.File{Kind: armor.Receipt}
	for i, p := range parts {
		if p.Update == nil || (most > 0 && len(out.Messages) == most) {
			continue
		}
		b, err := s.install(p.Message)
		if license.CodeOf(err) == license.CodeUpdateReplayed && i < len(parts)-1 {
			continue // one that comes is installed
		}
		if err != nil {
			s.l.t.Fatal(err)
		}
		out.Messages = append(out.Messages, b)
	}
	return s.l.text(out)
}

func (s *single) install(update []byte) ([]byte, error) {
	staged, err := s.Stage(update)
	if err != nil || staged.Installed {
		return staged.Receipt, err
	}
	return s.Activate(staged.Digest, nil)
}

// roll brings what is due to the container by files.
func (s *single) roll() *ent.Rollout {
	s.l.t.Helper()
	r := s.start()
	return s.l.finish(r.Row.ID, s.apply(r.Update, 0))
}

// holds asserts the quantity that the container has; 0: no license at all.
func (s *single) holds(quantity uint32) {
	s.l.t.Helper()
	_, held := s.Licenses()
	switch {
	case quantity == 0 && len(held) == 0:
	case len(held) != 1 || held[0].Options.Quantity != quantity || held[0].Options.TMRID != 0 || held[0].Predecessor != nil:
		s.l.t.Errorf("%s holds %+v, want %d", s.serial, held, quantity)
	}
}

func (s *single) state(want property.ContainerState) {
	s.l.t.Helper()
	states, err := containers.ContainerStates(s.l.as(s.l.owner), s.l.store.Client(), []string{s.row.ID})
	if err != nil || states[s.row.ID] != want || len(states) != 1 {
		s.l.t.Errorf("%s is %v, %v, want %s", s.serial, states, err, want)
	}
}

// copied gives a copy of the container's file; restore puts it back.
func (s *single) copied() []byte {
	s.l.t.Helper()
	return s.l.read(s.path)
}

func (s *single) restore(file []byte) {
	s.l.t.Helper()
	s.Container.Close()
	s.l.write(s.path, file)
	var err error
	if s.Container, err = container.Open(s.path); err != nil {
		s.l.t.Fatal(err)
	}
}

// forged is a request of another container under a serial number.
func (l *lab) forged(s *single, change func(*seal.Fingerprint)) string {
	l.t.Helper()
	identity, err := seal.NewIdentity()
	if err != nil {
		l.t.Fatal(err)
	}
	root, err := l.RootKey(l.as(l.owner))
	if err != nil {
		l.t.Fatal(err)
	}
	serial, err := license.ParseSerial(s.serial)
	if err != nil {
		l.t.Fatal(err)
	}
	f := seal.Fingerprint{Serial: serial, Root: root, ActivationID: [16]byte{9}, At: time.Now().UTC().Truncate(time.Second)}
	if change != nil {
		change(&f)
	}
	b, err := seal.SignFingerprint(identity, f)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.text(armor.File{Kind: armor.Request, Messages: [][]byte{b}})
}

// serve runs the container's license server's side of the link.
func (s *single) serve(before func(w tasks.LinkWork) error) {
	who, err := s.l.AuthenticateLink(s.l.t.Context(), s.token)
	if err != nil {
		s.l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(auth.With(context.Background(), who))
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			due, err := s.l.Pull(ctx, true, 100*time.Millisecond)
			if err != nil && ctx.Err() == nil {
				s.l.t.Errorf("pull: %v", err)
				return
			}
			for _, w := range due {
				r := s.execute(w, before)
				for range 2 {
					if err := s.l.Report(ctx, r); err != nil && ctx.Err() == nil {
						s.l.t.Errorf("report: %v", err)
					}
				}
			}
		}
	})
	s.l.t.Cleanup(func() { cancel(); all.Wait() })
}

func (s *single) execute(w tasks.LinkWork, before func(w tasks.LinkWork) error) tasks.LinkReport {
	r := tasks.LinkReport{WorkID: w.ID}
	err := s.carryOut(w, &r)
	if err == nil && before != nil {
		err = before(w)
	}
	var e *license.Error
	if err != nil {
		if !errors.As(err, &e) {
			s.l.t.Errorf("%s: %v", w.Kind, err)
			e = license.Public(err)
		}
		r = tasks.LinkReport{WorkID: w.ID, Failed: e}
	}
	return r
}

func (s *single) carryOut(w tasks.LinkWork, r *tasks.LinkReport) error {
	switch w.Kind {
	case property.WorkCollect:
		b, err := s.Fingerprint(w.Nonce)
		r.Fingerprints = []tasks.BackendBytes{{Position: 1, Data: b}}
		return err
	case property.WorkStage:
		for i, u := range w.Updates {
			if i < len(w.Updates)-1 {
				if _, err := s.install(u.Update); err != nil && license.CodeOf(err) != license.CodeUpdateReplayed {
					return err
				}
				continue
			}
			_, err := s.Stage(u.Update)
			return err
		}
	case property.WorkActivate:
		var err error
		r.Receipt, err = s.install(w.Updates[0].Update)
		return err
	case property.WorkVerify:
		return nil
	}
	if w.Kind == property.WorkGuard {
		s.l.t.Error("a single container is asked for statements")
	}
	return nil
}

func (l *lab) read(path string) []byte {
	l.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *lab) write(path string, b []byte) {
	l.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		l.t.Fatal(err)
	}
}
