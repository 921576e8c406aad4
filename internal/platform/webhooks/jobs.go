package webhooks

// Prune is the job that removes what is too old.
type Prune struct{}

// Kind names the job in the queue.
func (Prune) Kind() string { return "prune_webhooks" }
