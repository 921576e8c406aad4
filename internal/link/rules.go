package link

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// RulesStatus is which rules a server has.
type RulesStatus struct {
	Digest  string // of the platform's set that it has; empty: none
	Own     bool   // a file of the administrator decides in place of it
	Problem string // why a newer set doesn't count; empty: there is none
}

// Rules is a server's set of rules: who may use which license. Safe for
// concurrent use.
type Rules interface {
	// Status is asked at each heartbeat and must not block.
	Status() RulesStatus
	// Take takes a set that the platform has. Having returned nil, it outlives a
	// restart.
	Take(version uint64, text string) error
}

const (
	rulesTime = 10 * time.Second
	// rulesAgain is how long a set that the server couldn't take is left alone.
	rulesAgain = time.Minute
	mostReason = 500 // bytes of a problem
)

func (a *Agent) rulesStatus() *quoratev1.RulesStatus {
	if a.conf.Rules == nil {
		return nil
	}
	s := a.conf.Rules.Status()
	return &quoratev1.RulesStatus{Digest: s.Digest, OwnFile: s.Own, Problem: license.Clip(s.Problem, mostReason)}
}

// wantRules has the platform's rules fetched where the server has others. It
// doesn't wait; the newest digest counts.
func (a *Agent) wantRules(digest string) {
	if a.conf.Rules == nil || digest == "" || digest == a.conf.Rules.Status().Digest {
		return
	}
	select {
	case <-a.wanted:
	default:
	}
	select {
	case a.wanted <- digest:
	default:
	}
}

// fetchRules fetches what is wanted, until ctx ends. A heartbeat asks again for
// what could not be had; what the server refuses is left alone for a while.
func (a *Agent) fetchRules(ctx context.Context) {
	state := trouble{logger: a.conf.Logger, what: "fetching rules from the platform"}
	var refused string
	var until time.Time
	for {
		var digest string
		select {
		case digest = <-a.wanted:
		case <-ctx.Done():
			return
		}
		if digest == a.conf.Rules.Status().Digest || digest == refused && time.Now().Before(until) {
			continue
		}
		rctx, cancel := context.WithTimeout(ctx, rulesTime)
		res, err := a.api.Rules(rctx, connect.NewRequest(&quoratev1.RulesRequest{Server: a.conf.Server}))
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				state.failed(err)
			}
			continue
		}
		state.fine()
		if err := a.conf.Rules.Take(res.Msg.GetVersion(), res.Msg.GetText()); err != nil {
			refused, until = digest, time.Now().Add(rulesAgain)
			a.conf.Logger.Warn("the platform's rules were not taken", "version", res.Msg.GetVersion(),
				"code", string(license.CodeOf(err)), "error", err.Error())
		}
	}
}
