package link

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff doubles from first to most, with jitter.
type backoff struct {
	first, most, next time.Duration
}

func (b *backoff) reset() { b.next = 0 }

// wait returns false when ctx ended.
func (b *backoff) wait(ctx context.Context) bool { return sleep(ctx, b.draw()) }

// draw gives the next pause.
func (b *backoff) draw() time.Duration {
	b.next = min(max(b.first, 2*b.next), b.most)
	return b.next/2 + rand.N(b.next/2+1)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
