package telemetry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// asking asks something that may hang whatever its context says, as a database
// does that is cut off: nobody waits for it for longer than patience, and it is
// asked again only when it has answered. Who comes meanwhile gets the same
// answer. Safe for concurrent use.
type asking[T any] struct {
	ask func(context.Context) (T, error)

	mu  sync.Mutex
	now *answer[T] // nil: it is not asked
}

type answer[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// get gives the answer. Error: its own, or license.CodeUnavailable where there
// was none in time.
func (a *asking[T]) get() (T, error) {
	a.mu.Lock()
	now := a.now
	if now == nil {
		now = &answer[T]{done: make(chan struct{})}
		a.now = now
		go a.run(now)
	}
	a.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-now.done:
		return now.value, now.err
	case <-late.C:
		var none T
		return none, license.Errorf(license.CodeUnavailable, "look at the database and Redis, and at the network to them", "no answer within %s", patience)
	}
}

func (a *asking[T]) run(now *answer[T]) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // nobody above would
			now.err = fmt.Errorf("panic: %v", p)
		}
		a.mu.Lock()
		a.now = nil
		a.mu.Unlock()
		close(now.done)
	}()
	now.value, now.err = a.ask(ctx)
}
