package event

import "context"

// Topics that the platform publishes on. The key is a global id.
const (
	TmrGroup    = "tmrGroup"    // a view, the link or the rollout of a group changed
	Rollout     = "rollout"     // a rollout or a rollout plan changed
	Allocations = "allocations" // allocations of a container changed
	Denials     = "denials"     // there are new denials of a container
	Served      = "served"      // what the license server of a container serves changed
	Work        = "work"        // a TMR group has new work
	WorkDone    = "workDone"    // a work item of a rollout was reported; the key is the rollout's id
	Servers     = "servers"     // a server of an organization is new, or its link is not as it was
	Sessions    = "sessions"    // a session has ended; the key is its id, the digest of the cookie
	Audit       = "audit"       // something was written to the audit log of an organization
	Rights      = "rights"      // who may do what changed, or what is shown to whom; the key is empty
)

// Bus tells subscribers that something changed; what, they read themselves,
// under their own viewer. Safe for concurrent use.
type Bus interface {
	// Publish tells the subscribers of (topic, key). It is called after the
	// commit of what changed, never before. It doesn't wait for subscribers. An
	// error means that subscribers in other processes may not hear of it.
	Publish(ctx context.Context, topic, key string) error

	// Subscribe gives a channel that gets a signal after each Publish from now
	// on. Signals that were not yet received fall together into one, so a slow
	// subscriber costs nothing and misses nothing: it reads the newest state.
	// After a loss of connection a driver signals every subscriber once. Read
	// the present state after subscribing. The channel is closed when ctx ends
	// or the bus is closed.
	Subscribe(ctx context.Context, topic, key string) (<-chan struct{}, error)

	// Listen gives all signals of the topics from now on, whatever their keys,
	// until ctx ends or the bus is closed.
	Listen(ctx context.Context, topics ...string) (*Listener, error)

	// Close closes all channels. Closing twice is safe.
	Close() error
}
