package tmr

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// resignTime bounds giving a vote back that is of no use.
const resignTime = time.Second

// Campaign asks the three backends for their votes: the server that has two is
// the leader. Where nobody has two, the leader is nobody. A vote that did not
// make owner the leader is given back, so that it makes somebody else's two.
// Error: CodeNoMajority when fewer than two backends answer.
//
// An election says nothing about seats: only a claimed epoch does.
func (g *Group) Campaign(ctx context.Context, group license.Serial, owner string, ttl time.Duration) (string, error) {
	if err := g.elects(group); err != nil {
		return "", err
	}
	type answer struct {
		leader string
		err    error
	}
	answers := make(chan answer, license.Backends)
	req := &quoratev1.CampaignRequest{Owner: owner, TtlMs: uint32(ttl.Milliseconds())}
	for i := range g.members {
		go func() {
			m, err := g.at(i + 1)
			if err != nil {
				answers <- answer{err: err}
				return
			}
			res, err := m.api.Campaign(ctx, connect.NewRequest(req))
			if err != nil {
				answers <- answer{err: m.named(err)}
				return
			}
			answers <- answer{leader: res.Msg.GetLeader()}
		}()
	}
	votes := map[string]int{}
	answered := 0
	var failed error
	for range license.Backends {
		a := <-answers // each call ends with ctx
		if a.err != nil {
			failed = a.err
			continue
		}
		answered++
		if votes[a.leader]++; votes[a.leader] == license.Majority && a.leader == owner {
			return owner, nil
		}
	}
	leader := ""
	for who, n := range votes {
		if n >= license.Majority {
			leader = who
		}
	}
	if votes[owner] > 0 {
		g.giveBack(ctx, group, owner)
	}
	if answered < license.Majority {
		return "", &license.Error{
			Code: license.CodeNoMajority, Err: failed,
			Message: "fewer than two backends answer, so nobody can be elected",
			Fix:     "start the backends, or look at the network between them and this TMR server",
		}
	}
	return leader, nil
}

// giveBack resigns within a time of its own: ctx may be over.
func (g *Group) giveBack(ctx context.Context, group license.Serial, owner string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resignTime)
	defer cancel()
	if err := g.Resign(ctx, group, owner); err != nil {
		g.conf.Logger.Debug("a vote stays until its term is over", "error", err)
	}
}

// Resign gives owner's votes back. A backend that doesn't answer forgets them
// when their term is over.
func (g *Group) Resign(ctx context.Context, group license.Serial, owner string) error {
	if err := g.elects(group); err != nil {
		return err
	}
	results := make(chan error, license.Backends)
	for i := range g.members {
		go func() {
			m, err := g.at(i + 1)
			if err != nil {
				results <- nil // nothing to give back that can be reached
				return
			}
			if _, err = m.api.Resign(ctx, connect.NewRequest(&quoratev1.ResignRequest{Owner: owner})); err != nil {
				err = m.named(err)
			}
			results <- err
		}()
	}
	var failed error
	for range license.Backends {
		if err := <-results; err != nil {
			failed = err
		}
	}
	return failed
}

func (g *Group) elects(group license.Serial) error {
	if group != g.conf.Virtual {
		return license.Errorf(license.CodeInvalidInput, "ask for its own group", "this TMR server is of %s, not of %s", g.conf.Virtual, group)
	}
	return nil
}
