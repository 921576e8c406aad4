package convert

import (
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/platform/tickets"
)

// TicketStates are those that are asked for.
func TicketStates(in []graph.TicketState) []tickets.State {
	out := make([]tickets.State, len(in))
	for i, s := range in {
		out[i] = tickets.State(s)
	}
	return out
}

// Activation reads what of a ticket is to be activated, and where.
func Activation(in graph.ActivateTicketInput) tickets.Activation {
	a := tickets.Activation{Code: in.Code, Wait: !in.Rollout, Request: Value(in.Request), IdempotencyKey: Value(in.IdempotencyKey)}
	for _, p := range in.Places {
		t := tickets.Target{At: Place(p.TmrGroup, p.Container)}
		for _, s := range p.Lines {
			t.Shares = append(t.Shares, tickets.Share{Line: s.Line, Quantity: s.Quantity})
		}
		a.Targets = append(a.Targets, t)
	}
	return a
}
