package resolvers

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// eventWriter writes server-sent events and, between them, signs of life.
type eventWriter struct {
	mu      sync.Mutex
	w       io.Writer
	control *http.ResponseController
}

// send says whether the event went out.
func (e *eventWriter) send(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	// A test's recorder has no deadlines; a real connection has.
	_ = e.control.SetWriteDeadline(time.Now().Add(sendTimeout))
	if _, err := io.WriteString(e.w, text); err != nil {
		return false
	}
	return e.control.Flush() == nil
}

// next sends a message; false when the reader is gone.
func (e *eventWriter) next(payload []byte) bool {
	return e.send("event: next\ndata: " + string(payload) + "\n\n")
}

// complete sends the proper end.
func (e *eventWriter) complete() { e.send("event: complete\ndata:\n\n") }

// keepAlive sends comments until ctx ends or the returned function is called,
// which waits for the last one: nothing is written after the handler returned.
func (e *eventWriter) keepAlive(ctx context.Context, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				e.send(": ping\n\n")
			}
		}
	}()
	return func() { cancel(); <-done }
}
