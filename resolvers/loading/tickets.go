package loading

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/ticketline"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/internal/platform/core"
)

func linesOfTickets(ctx context.Context, c *ent.Client, ids []string) (map[string][]*ent.TicketLine, error) {
	rows, err := c.TicketLine.Query().Where(ticketline.TicketIDIn(ids...)).Order(ent.Asc(ticketline.FieldPosition)).WithItem(core.WithProduct).All(ctx)
	all := map[string][]*ent.TicketLine{}
	for _, l := range rows {
		all[l.TicketID] = append(all[l.TicketID], l)
	}
	return all, err
}

// goneOfActivations is how many licenses left the places where activations
// brought them, or are about to.
func goneOfActivations(ctx context.Context, c *ent.Client, ids []string) (map[string]int, error) {
	var sums []struct {
		Activation string `json:"ticket_activation_id"`
		Sum        int    `json:"sum"`
	}
	err := c.Transfer.Query().Where(transfer.TicketActivationIDIn(ids...), core.TransferCounts()).
		GroupBy(transfer.FieldTicketActivationID).Aggregate(ent.As(ent.Sum(transfer.FieldQuantity), "sum")).Scan(ctx, &sums)
	all := map[string]int{}
	for _, s := range sums {
		all[s.Activation] = s.Sum
	}
	return all, err
}
