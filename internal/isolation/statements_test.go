package isolation_test

import (
	"context"

	"github.com/quorate/quorate/internal/auth"
)

// statement is SQL, and which part of the system it ran as: "" for a tenant.
type statement struct{ system, sql string }

// ran notes a statement.
func (w *walk) ran(ctx context.Context, sql string) {
	p, err := auth.From(ctx)
	if err != nil {
		p.Name = "nobody"
	} else if !p.IsSystem() {
		p.Name = ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.statements != nil {
		w.statements[statement{p.Name, sql}] = true
	}
}
