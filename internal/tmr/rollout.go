package tmr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

const (
	// MarkTime is how long a backend counts as activating without Verify.
	MarkTime = 60 * time.Second
	// VerifyTime bounds how long Verify waits.
	VerifyTime = 30 * time.Second
	// callTime bounds one call to one backend.
	callTime = 10 * time.Second
)

// at gives the backend at a position if it is there.
func (g *Group) at(position int) (*member, error) {
	if position < 1 || position > license.Backends {
		return nil, license.Errorf(license.CodeInvalidInput, "use 1, 2 or 3", "there is no backend %d", position)
	}
	m := g.members[position-1]
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.stopped:
		return nil, license.Errorf(license.CodeUnavailable, "try again on the other one", "the TMR server is stopping")
	case !m.present:
		return nil, m.absentError(errors.New(m.reason))
	}
	return m, nil
}

func (m *member) absentError(cause error) error {
	return &license.Error{
		Code:    license.CodeBackendAbsent,
		Message: fmt.Sprintf("backend %d (%s) does not answer", m.conf.Position, m.conf.Serial),
		Fix:     "check that its license server runs and that the TMR server reaches it, then try again",
		Err:     cause,
	}
}

// named makes clear which backend an error came from, and keeps its code.
func (m *member) named(err error) error {
	var le *license.Error
	if !errors.As(err, &le) || le.Code == license.CodeUnavailable {
		return m.absentError(err)
	}
	named := *le
	named.Message = fmt.Sprintf("backend %d (%s): %s", m.conf.Position, m.conf.Serial, le.Message)
	named.Err = err
	return &named
}

// each calls f for some backends at once. All of them must succeed: a missing
// one is found before any is called.
func (g *Group) each(ctx context.Context, positions []int, f func(context.Context, *member) error) error {
	members := make([]*member, len(positions))
	for i, p := range positions {
		m, err := g.at(p)
		if err != nil {
			return err
		}
		members[i] = m
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var running sync.WaitGroup
	errs := make([]error, len(members))
	for i, m := range members {
		running.Go(func() {
			if err := f(ctx, m); err != nil {
				errs[i] = m.named(err)
				cancel()
			}
		})
	}
	running.Wait()
	return firstOf(errs)
}

// firstOf gives the error that the others may only follow from: not one of a
// call that was given up because another one had failed.
func firstOf(errs []error) error {
	var first error
	for _, err := range errs {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = err
		}
	}
	return first
}

// Collect gives each backend's fingerprint over a nonce. All three must be
// there. Errors: CodeBackendAbsent, and what the backend says.
func (g *Group) Collect(ctx context.Context, nonce []byte) (fingerprints [license.Backends][]byte, err error) {
	err = g.each(ctx, []int{1, 2, 3}, func(ctx context.Context, m *member) error {
		res, err := m.api.Fingerprint(ctx, connect.NewRequest(&quoratev1.FingerprintRequest{Nonce: nonce}))
		if err != nil {
			return err
		}
		fingerprints[m.conf.Position-1] = res.Msg.GetFingerprint()
		return nil
	})
	return fingerprints, err
}

// Fingerprint gives one backend's fingerprint over a nonce, whatever the other
// two do.
func (g *Group) Fingerprint(ctx context.Context, position int, nonce []byte) (fingerprint []byte, err error) {
	err = g.each(ctx, []int{position}, func(ctx context.Context, m *member) error {
		res, err := m.api.Fingerprint(ctx, connect.NewRequest(&quoratev1.FingerprintRequest{Nonce: nonce}))
		if err == nil {
			fingerprint = res.Msg.GetFingerprint()
		}
		return err
	})
	return fingerprint, err
}

// Receipts gives each backend's receipts of what is installed on it, one for
// each firm. All three must be there.
func (g *Group) Receipts(ctx context.Context) (receipts [license.Backends][][]byte, err error) {
	err = g.each(ctx, []int{1, 2, 3}, func(ctx context.Context, m *member) error {
		res, err := m.api.Receipts(ctx, connect.NewRequest(&quoratev1.ReceiptsRequest{}))
		if err == nil {
			receipts[m.conf.Position-1] = res.Msg.GetReceipts()
		}
		return err
	})
	return receipts, err
}

// Stage has updates verified and written beside the licenses of the backends
// that they are for. It disturbs nothing and may be repeated.
func (g *Group) Stage(ctx context.Context, updates []*quoratev1.BackendUpdate) error {
	var positions []int
	var of [license.Backends]*quoratev1.BackendUpdate
	for _, u := range updates {
		p := int(u.GetPosition())
		if p < 1 || p > license.Backends || of[p-1] != nil {
			return license.Errorf(license.CodeInvalidInput, "send at most one update for each of 1, 2, 3",
				"an update is for position %d, which does not exist or has one already", p)
		}
		of[p-1] = u
		positions = append(positions, p)
	}
	return g.each(ctx, positions, func(ctx context.Context, m *member) error {
		_, err := m.stage(ctx, of[m.conf.Position-1])
		return err
	})
}

func (m *member) stage(ctx context.Context, u *quoratev1.BackendUpdate) (*quoratev1.StageResponse, error) {
	res, err := m.api.Stage(ctx, connect.NewRequest(&quoratev1.StageRequest{Update: u.GetUpdate()}))
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(res.Msg.GetDigest(), u.GetDigest()) {
		return nil, license.Errorf(license.CodeUpdateTampered, "start the rollout's step again",
			"the update that arrived is not the one that was issued")
	}
	return res.Msg, nil
}

// Statements gives the signed statements of the two backends other than
// position, over a nonce. Position's own is nil.
func (g *Group) Statements(ctx context.Context, position int, nonce []byte) (statements [license.Backends][]byte, err error) {
	var others []int
	for p := 1; p <= license.Backends; p++ {
		if p != position {
			others = append(others, p)
		}
	}
	if len(others) != license.Majority {
		return statements, license.Errorf(license.CodeInvalidInput, "use 1, 2 or 3", "there is no backend %d", position)
	}
	err = g.each(ctx, others, func(ctx context.Context, m *member) error {
		res, err := m.api.Statement(ctx, connect.NewRequest(&quoratev1.StatementRequest{Nonce: nonce}))
		if err != nil {
			return err
		}
		statements[m.conf.Position-1] = res.Msg.GetStatement()
		return nil
	})
	return statements, err
}

// Activate swaps an update in on one backend and gives the receipt. The
// backend is marked as activating before anything changes, until Verify
// succeeds, MarkTime has passed, or the activation fails here. An update that
// is installed already gives its receipt again and sets no mark, so a repeat
// disturbs nothing. Only one backend is marked at a time, whoever asks, so that
// the other two are there if it fails: while another one is marked, and while
// an activation of this one runs, the error is CodeConflict.
func (g *Group) Activate(ctx context.Context, position int, u *quoratev1.BackendUpdate) (receipt []byte, err error) {
	m, err := g.at(position)
	if err != nil {
		return nil, err
	}
	if int(u.GetPosition()) != position {
		return nil, license.Errorf(license.CodeInvalidInput, "send the update of that backend",
			"the update for backend %d can't be activated on backend %d", u.GetPosition(), position)
	}
	if !g.begin(m) {
		return nil, license.Errorf(license.CodeConflict, "wait for it to end",
			"an activation runs on backend %d already", position)
	}
	defer g.end(m)
	ctx, cancel := context.WithTimeout(ctx, 2*callTime)
	defer cancel()
	staged, err := m.stage(ctx, u)
	if err != nil {
		return nil, m.named(err)
	}
	if staged.GetInstalled() {
		return staged.GetReceipt(), nil
	}
	if err := g.setMark(m); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.clearMark(m)
		}
	}()
	statements, err := g.Statements(ctx, position, staged.GetNonce())
	if err != nil {
		return nil, err
	}
	var two [][]byte
	for _, s := range statements {
		if s != nil {
			two = append(two, s)
		}
	}
	res, err := m.api.Activate(ctx, connect.NewRequest(&quoratev1.ActivateRequest{
		Digest: staged.GetDigest(), Statements: two,
	}))
	if err != nil {
		return nil, m.named(err)
	}
	return res.Msg.GetReceipt(), nil
}

func (g *Group) begin(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.busy {
		return false
	}
	m.busy = true
	return true
}

func (g *Group) end(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.busy = false
}

func (g *Group) setMark(m *member) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return nil
	}
	for _, other := range g.members {
		if other != m && other.mark != nil {
			return license.Errorf(license.CodeConflict, "wait until that one serves its update, a minute at most, then try again",
				"backend %d can't be activated while backend %d is", m.conf.Position, other.conf.Position)
		}
	}
	m.unmark()
	m.markN++
	n := m.markN
	m.mark = time.AfterFunc(MarkTime, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if m.mark != nil && m.markN == n {
			g.conf.Logger.Warn("backend was not verified in time", "position", m.conf.Position)
			m.mark = nil
			g.refresh()
		}
	})
	g.refresh()
	return nil
}

func (g *Group) clearMark(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.mark != nil {
		m.unmark()
		g.refresh()
	}
}

func (m *member) unmark() {
	if m.mark != nil {
		m.mark.Stop()
		m.mark = nil
	}
}

// Verify waits until a backend serves the expected TMR-IDs or higher ones,
// steadily for settle, then counts it as present again. It waits at most
// VerifyTime; where that doesn't do it fails with CodeBackendAbsent or
// CodeUnavailable and leaves the mark to end by itself.
func (g *Group) Verify(ctx context.Context, position int, expect map[license.Product]uint32, settle time.Duration) error {
	if position < 1 || position > license.Backends {
		return license.Errorf(license.CodeInvalidInput, "use 1, 2 or 3", "there is no backend %d", position)
	}
	if settle < 0 || settle >= VerifyTime {
		return license.Errorf(license.CodeInvalidInput, "use less than 30 s", "a settling time of %v does not work", settle)
	}
	m := g.members[position-1]
	ctx, cancel := context.WithTimeout(ctx, VerifyTime)
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var since time.Time // of the steady state; zero: not there
	for {
		g.mu.Lock()
		ok, stopped, changed := m.serves(expect), g.stopped, g.changed
		switch {
		case stopped || !ok:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		if ok && !stopped && time.Since(since) >= settle {
			if m.mark != nil {
				m.unmark()
				g.refresh()
			}
			g.mu.Unlock()
			return nil
		}
		present := m.present
		g.mu.Unlock()
		if stopped {
			return license.Errorf(license.CodeUnavailable, "try again on the other one", "the TMR server is stopping")
		}
		var settled <-chan time.Time
		if ok {
			timer.Reset(settle - time.Since(since))
			settled = timer.C
		}
		select {
		case <-changed:
		case <-settled:
		case <-g.done:
		case <-ctx.Done():
			if !present {
				return m.absentError(ctx.Err())
			}
			return &license.Error{
				Code:    license.CodeUnavailable,
				Message: fmt.Sprintf("backend %d (%s) does not serve the update steadily", position, m.conf.Serial),
				Fix:     "look into its license server's log, then try again",
				Err:     ctx.Err(),
			}
		}
	}
}

func (m *member) serves(expect map[license.Product]uint32) bool {
	if !m.present {
		return false
	}
	have := make(map[license.Product]uint32, len(m.held))
	for _, h := range m.held {
		have[h.Product] = h.Options.TMRID
	}
	for p, id := range expect {
		if have[p] < id {
			return false
		}
	}
	return true
}
