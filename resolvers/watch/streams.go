// Package watch plans the subscriptions: what each of them watches, and how a
// change of it is told. Carrying a plan out (internal/live), and who may have what
// it gives, is not its matter: what is read and told is read as the principal of
// the context.
package watch

import (
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/resolvers/convert"
)

// Streams plans subscriptions. Safe for concurrent use.
type Streams struct {
	platform *platform.Platform
	client   *ent.Client   // reads under the principal of the context
	tick     time.Duration // how often a stream looks for what no signal tells
	owners   owners
}

// New makes Streams of a platform.
func New(p *platform.Platform) *Streams {
	return &Streams{platform: p, client: p.Store().Client(), tick: time.Second}
}

func value[T any](v *T) T { return convert.Value(v) }
