package backend

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

const (
	mostOwner = 128 // bytes
	mostTerm  = time.Minute
)

// vote is this backend's voice in the election of the TMR server that leads. It
// is kept in memory: a backend that is started anew may give it to another one
// at once, which costs an election and no seats.
type vote struct {
	mu    sync.Mutex
	owner string
	until time.Time
}

// ask gives the vote to owner where nobody else has it, and says who has it.
func (v *vote) ask(owner string, ttl time.Duration) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	if v.owner == owner || !now.Before(v.until) {
		v.owner, v.until = owner, now.Add(ttl)
	}
	return v.owner
}

func (v *vote) resign(owner string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.owner == owner {
		v.owner, v.until = "", time.Time{}
	}
}

// Campaign implements the service.
func (s service) Campaign(
	ctx context.Context, req *connect.Request[quoratev1.CampaignRequest],
) (*connect.Response[quoratev1.CampaignResponse], error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	owner, ttl := req.Msg.GetOwner(), time.Duration(req.Msg.GetTtlMs())*time.Millisecond
	if owner == "" || len(owner) > mostOwner || ttl <= 0 || ttl > mostTerm {
		return nil, license.Errorf(license.CodeInvalidInput, "name the server, and a term of up to a minute",
			"a campaign needs an owner of 1 to %d bytes and a term of up to %s", mostOwner, mostTerm)
	}
	return connect.NewResponse(&quoratev1.CampaignResponse{Leader: s.vote.ask(owner, ttl)}), nil
}

// Resign implements the service.
func (s service) Resign(
	ctx context.Context, req *connect.Request[quoratev1.ResignRequest],
) (*connect.Response[quoratev1.ResignResponse], error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	s.vote.resign(req.Msg.GetOwner())
	return connect.NewResponse(&quoratev1.ResignResponse{}), nil
}
