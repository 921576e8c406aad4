package tmr

import (
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/journalrpc"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// Journals are the journals of seats that the backends keep, as they are reached
// over the group's connections. A backend that is absent is not waited for: its
// journal answers CodeBackendAbsent, as after any failure of a call, which says
// nothing about whether the call took effect. Calls end with their context.
func (g *Group) Journals() (all [license.Backends]journal.Journal) {
	for i, m := range g.members {
		all[i] = journalrpc.Client{
			Backend: func() (quoratev1connect.BackendServiceClient, error) {
				b, err := g.at(m.conf.Position)
				if err != nil {
					return nil, err
				}
				return b.api, nil
			},
			Named: m.named,
		}
	}
	return all
}
