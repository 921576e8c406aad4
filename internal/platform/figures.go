package platform

import (
	"context"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/ent/work"
	"github.com/quorate/quorate/internal/platform/core"
)

// Figures are what operators see of all organizations together, by no name.
type Figures struct {
	Rollouts map[string]int // by state, those that have not ended
	// Linked servers were heard of just now; Unlinked ones were not, or never.
	Linked, Unlinked int
	// WorkPending is how much work rollouts wait for.
	WorkPending int
}

// Figures counts. It is for the operator of the platform, who is no member of
// anything: it checks nobody, and shows nothing of anybody.
func (p *Platform) Figures(ctx context.Context) (Figures, error) {
	ctx = core.System(ctx, "figures")
	f := Figures{Rollouts: map[string]int{}}
	going := rollout.StateNotIn(property.RolloutDone, property.RolloutAborted)
	c := p.core.Store.Client()
	var by []struct {
		State property.RolloutState `json:"state"`
		Count int                   `json:"count"`
	}
	if err := c.Rollout.Query().Where(going).GroupBy(rollout.FieldState).Aggregate(ent.Count()).Scan(ctx, &by); err != nil {
		return f, err
	}
	for _, s := range by {
		f.Rollouts[string(s.State)] = s.Count
	}
	all, err := c.TmrServer.Query().Count(ctx)
	if err != nil {
		return f, err
	}
	if f.Linked, err = c.TmrServer.Query().Where(tmrserver.SeenAtGT(time.Now().Add(-core.LinkPatience))).Count(ctx); err != nil {
		return f, err
	}
	f.Unlinked = max(0, all-f.Linked)
	f.WorkPending, err = c.Work.Query().Where(work.StateEQ(property.WorkPending), work.HasRolloutWith(going)).Count(ctx)
	return f, err
}

// RolloutStates are the states that Figures counts rollouts in.
func RolloutStates() []string {
	return []string{
		string(property.RolloutQueued), string(property.RolloutCollecting), string(property.RolloutIssuing), string(property.RolloutStaging),
		string(property.RolloutGuarding), string(property.RolloutActivating), string(property.RolloutConfirming), string(property.RolloutHeld),
	}
}
