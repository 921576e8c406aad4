package tasks

// PruneKeys is the job that removes idempotency keys of long ago.
type PruneKeys struct{}

// Kind names the job.
func (PruneKeys) Kind() string { return "prune_keys" }
