package resolvers

import (
	"context"

	"entgo.io/contrib/entgql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/ticketactivation"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/platform/tickets"
)

// set takes what an input gives.
func set[T any](to *T, given *T) {
	if given != nil {
		*to = *given
	}
}

// newestFirst is ent's order by id, turned round: ids begin with the time.
func newestFirst[T any](order *T) *T {
	reversed := *order
	switch o := any(&reversed).(type) {
	case *ent.TicketOrder:
		o.Direction = entgql.OrderDirectionDesc
	case *ent.EnrollmentOrder:
		o.Direction = entgql.OrderDirectionDesc
	}
	return &reversed
}

// ticketed reads the ticket that a use case gave anew, as the viewer.
func (r *Resolver) ticketed(ctx context.Context, mutation *string) func(*ent.Ticket, error) (*graph.TicketPayload, error) {
	return func(made *ent.Ticket, err error) (*graph.TicketPayload, error) {
		if err != nil {
			return nil, err
		}
		row, err := r.client.Ticket.Get(ctx, made.ID)
		if err != nil {
			return nil, err
		}
		return &graph.TicketPayload{Ticket: row, ClientMutationID: mutation}, nil
	}
}

// activated reads what an activation made anew, as the viewer.
func (r *Resolver) activated(ctx context.Context, mutation *string) func(tickets.Activated, error) (*graph.ActivateTicketPayload, error) {
	return func(made tickets.Activated, err error) (*graph.ActivateTicketPayload, error) {
		if err != nil {
			return nil, err
		}
		out := &graph.ActivateTicketPayload{ClientMutationID: mutation}
		if out.Ticket, err = r.client.Ticket.Get(ctx, made.Ticket.ID); err != nil {
			return nil, err
		}
		activations := make([]string, len(made.Activations))
		for i, a := range made.Activations {
			activations[i] = a.ID
		}
		if out.Activations, err = r.client.TicketActivation.Query().Where(ticketactivation.IDIn(activations...)).
			Order(ent.Asc(ticketactivation.FieldID)).WithOrder().WithContainer().WithTmrGroup().All(ctx); err != nil {
			return nil, err
		}
		rollouts := make([]string, len(made.Rollouts))
		for i, row := range made.Rollouts {
			rollouts[i] = row.ID
		}
		if out.Rollouts, err = r.client.Rollout.Query().Where(rollout.IDIn(rollouts...)).Order(ent.Asc(rollout.FieldID)).
			WithContainer().WithTmrGroup().All(ctx); err != nil {
			return nil, err
		}
		if made.Update != "" {
			out.Update = &made.Update
		}
		if made.Problem != nil {
			out.Problem = &graph.ActivationProblem{Code: string(made.Problem.Code), Message: made.Problem.Message, Fix: made.Problem.Fix}
		}
		return out, nil
	}
}

// ticketLines gives a ticket's lines with their items. One that is nobody's yet
// was loaded with them, by its code: who has that may see them.
func (r *Resolver) ticketLines(ctx context.Context, t *ent.Ticket) ([]*ent.TicketLine, error) {
	if lines, err := t.Edges.LinesOrErr(); err == nil {
		return lines, nil
	}
	lines, _, err := r.loaders(ctx).TicketLines.Load(ctx, t.ID)
	return lines, err
}
