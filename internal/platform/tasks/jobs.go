package tasks

// AdvanceRollout is the job that takes a rollout as far as it goes.
type AdvanceRollout struct {
	Rollout string `json:"rollout"`
}

// Kind names the job in the queue.
func (AdvanceRollout) Kind() string { return "advance_rollout" }

// AdvancePlan is the job that takes a rollout plan as far as it goes.
type AdvancePlan struct {
	Plan string `json:"plan"`
}

// Kind names the job in the queue.
func (AdvancePlan) Kind() string { return "advance_plan" }
