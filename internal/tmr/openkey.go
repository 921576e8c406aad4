package tmr

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// openTime bounds one try of one backend for a program. Two of them are less than
// the time that programs give one attempt at a license server.
const openTime = time.Second

// OpenKey opens a key that was wrapped for a product, on any backend that
// holds the license, and on another one where that fails. The caller has
// checked the token's handle; the backends check its signature. Errors:
// CodeNoLicense, CodeNoMajority, CodeKeyRefused, CodeTokenInvalid, and
// CodeUnavailable where no backend answers.
func (g *Group) OpenKey(ctx context.Context, p license.Product, wrapped, token []byte) ([]byte, error) {
	candidates, err := g.holders(p)
	if err != nil {
		return nil, err
	}
	req := &quoratev1.BackendOpenKeyRequest{Product: rpc.ProductProto(p), WrappedKey: wrapped, Token: token}
	return g.anyOf(ctx, candidates, func(ctx context.Context, m *member) ([]byte, error) {
		res, err := m.api.BackendOpenKey(ctx, connect.NewRequest(req))
		if err != nil {
			return nil, err
		}
		return res.Msg.GetKey(), nil
	})
}

// anyOf gives the answer of the first backend that has one; otherwise what one
// has refused it for, and CodeUnavailable where none answers: which one it is
// helps no program, and trying again may. There is at least one candidate.
func (g *Group) anyOf(
	ctx context.Context, candidates []*member, f func(context.Context, *member) ([]byte, error),
) ([]byte, error) {
	var absent, refused error
	for _, m := range candidates {
		answer, err := m.try(ctx, f)
		if err == nil {
			return answer, nil
		}
		switch license.CodeOf(err) {
		case license.CodeKeyRefused, license.CodeInvalidInput, license.CodeTooLarge:
			return nil, err // every backend would say the same
		case license.CodeBackendAbsent:
			absent = err
		default:
			refused = err
		}
		if ctx.Err() != nil {
			break
		}
		g.conf.Logger.Warn("backend did not answer a call for a program", "position", m.conf.Position, "code", string(license.CodeOf(err)))
	}
	if refused != nil {
		return nil, refused
	}
	return nil, &license.Error{
		Code: license.CodeUnavailable, Err: absent,
		Message: "none of the backends that have the license answers",
		Fix:     "check that the TMR server reaches the backends, then try again",
	}
}

func (m *member) try(ctx context.Context, f func(context.Context, *member) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	answer, err := f(ctx, m)
	if err != nil {
		return nil, m.named(err)
	}
	return answer, nil
}

// holders gives the backends that hold the license, the next one in turn
// first; those that don't show the TMR-ID in force come last.
func (g *Group) holders(p license.Product) ([]*member, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	view := g.history.last()
	l, ok := view.Find(p)
	switch {
	case view.PresentCount() < license.Majority, ok && !l.InForce:
		return nil, license.Errorf(license.CodeNoMajority, "start the missing backends",
			"fewer than two of three backends hold the license for %s", p)
	case !ok:
		return nil, license.Errorf(license.CodeNoLicense, "order it from the vendor", "there is no license for %s", p)
	case g.stopped:
		return nil, license.Errorf(license.CodeUnavailable, "try again on the other one", "the TMR server is stopping")
	}
	first := int(g.turn.Add(1) % license.Backends)
	var inForce, others []*member
	for i := range license.Backends {
		at := (first + i) % license.Backends
		m := g.members[at]
		switch {
		case l.Cells[at].InForce:
			inForce = append(inForce, m)
		case m.holds(p):
			others = append(others, m)
		}
	}
	return append(inForce, others...), nil
}

func (m *member) holds(p license.Product) bool {
	for _, h := range m.held {
		if m.present && h.Product == p && h.Options.TMRID != 0 {
			return true
		}
	}
	return false
}
