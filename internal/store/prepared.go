package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"

	"github.com/lib/pq"
)

// Bounds of what a connection keeps prepared: PostgreSQL has a parsed tree of
// each in memory, for each connection.
const (
	mostPrepared  = 64
	mostSeen      = 256
	longestToKeep = 16 << 10 // bytes of a text
)

// planEachTime has PostgreSQL plan a prepared statement by the values that it is
// executed with: a plan for all tenants alike would read one's few rows by going
// through everybody's. Versions before 12 have no such setting, and decide.
const planEachTime = `SELECT CASE WHEN current_setting('plan_cache_mode', true) IS NOT NULL
	THEN set_config('plan_cache_mode', 'force_custom_plan', false) END`

// prepared are statements that a connection has ready by their texts, so that
// PostgreSQL parses and rewrites them once, and one round trip executes them. A
// text is prepared when it is met for the second time. It is used by one
// goroutine at a time, as its connection is.
type prepared struct {
	kept map[string]*keptStmt
	seen map[string]struct{}
	uses uint64
	// schema counts for all connections of a process how often one of them has
	// met another schema than it knew; at is how far this one has followed.
	schema *atomic.Uint64
	at     uint64
}

type keptStmt struct {
	wholeStmt
	used uint64
}

// of gives a text's statement; nil when it is executed as it is.
func (p *prepared) of(ctx context.Context, conn driver.ConnPrepareContext, query string, args []driver.NamedValue) (wholeStmt, error) {
	if len(args) == 0 || len(query) > longestToKeep {
		return nil, nil
	}
	if now := p.schema.Load(); now != p.at {
		p.at = now
		for len(p.kept) > 0 {
			if err := p.dropOldest(); err != nil {
				return nil, err
			}
		}
	}
	p.uses++
	if s := p.kept[query]; s != nil {
		s.used = p.uses
		return s.wholeStmt, nil
	}
	if _, ok := p.seen[query]; !ok {
		if p.seen == nil || len(p.seen) >= mostSeen {
			p.seen = make(map[string]struct{}, mostSeen)
		}
		p.seen[query] = struct{}{}
		return nil, nil
	}
	if len(p.kept) >= mostPrepared {
		if err := p.dropOldest(); err != nil {
			return nil, err
		}
	}
	made, err := conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := made.(wholeStmt)
	if !ok {
		return nil, made.Close()
	}
	if p.kept == nil {
		p.kept = make(map[string]*keptStmt, mostPrepared)
	}
	delete(p.seen, query)
	p.kept[query] = &keptStmt{s, p.uses}
	return s, nil
}

func (p *prepared) dropOldest() error {
	oldest, at := "", p.uses+1
	for query, s := range p.kept {
		if s.used < at {
			oldest, at = query, s.used
		}
	}
	s := p.kept[oldest]
	delete(p.kept, oldest)
	return s.Close()
}

// outdated says whether a statement failed because it was prepared before the
// schema changed, or isn't there any more; then it is forgotten, and what other
// connections have prepared is, too. Nothing was executed.
func (p *prepared) outdated(query string, err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	if !ok || e.Code != "0A000" && e.Code != "26000" || p.kept[query] == nil {
		return false
	}
	_ = p.kept[query].Close() // there may be none
	delete(p.kept, query)
	p.schema.Add(1)
	return true
}
