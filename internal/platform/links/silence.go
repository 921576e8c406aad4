package links

import (
	"context"
	"sync"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// silence tells of servers that fall silent, which nothing is written of: each
// replica watches the servers that have called it. A replica that ends tells
// nothing; whoever watches servers looks now and then by himself.
type silence struct {
	core *core.Core

	mu     sync.Mutex
	timers map[string]*time.Timer // by the server's id
}

// heard begins the server's patience anew.
func (s *silence) heard(row *ent.TmrServer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.timers[row.ID]; t != nil {
		t.Reset(core.LinkPatience + time.Millisecond)
		return
	}
	id := row.ID
	s.timers[id] = time.AfterFunc(core.LinkPatience+time.Millisecond, func() { s.over(id) })
}

// over tells of a server, unless another replica has heard of it.
func (s *silence) over(id string) {
	s.mu.Lock()
	delete(s.timers, id)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(core.System(context.Background(), "link"), core.LinkPatience)
	defer cancel()
	_ = s.core.Store.WithTx(ctx, func(tx *store.Tx) error { // failing, it tells nothing either
		row, err := tx.TmrServer.Get(ctx, id)
		if err != nil || core.Heard(row.SeenAt) {
			return err
		}
		s.core.PublishServer(ctx, tx, row)
		return nil
	})
}
