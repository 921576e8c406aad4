package platform_test

import (
	"slices"
	"testing"
	"time"

	entticket "github.com/quorate/quorate/ent/ticket"
	"github.com/quorate/quorate/ent/ticketline"
	"github.com/quorate/quorate/internal/platform/tickets"
)

// TestTicketsAreFoundByState: the filter finds what StateOf tells, for every
// mixture of what a ticket's state is made of.
func TestTicketsAreFoundByState(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		s := newSale(l)
		c := s.Store().Client()
		want := map[tickets.State][]string{}
		for _, revoked := range []bool{false, true} {
			for _, end := range []time.Duration{0, -time.Hour, time.Hour} {
				for _, activated := range []int{0, 2, 4} {
					row, _ := s.ticket(4)
					change := c.Ticket.UpdateOneID(row.ID).SetNote("changed")
					if revoked {
						change.SetRevokedAt(time.Now())
					}
					if end != 0 {
						change.SetExpiresAt(time.Now().Add(end))
					}
					row = change.SaveX(s.system())
					c.TicketLine.Update().Where(ticketline.TicketID(row.ID)).SetActivated(activated).ExecX(s.system())
					state := tickets.StateOf(row, c.TicketLine.Query().Where(ticketline.TicketID(row.ID)).AllX(s.system()))
					want[state] = append(want[state], row.ID)
				}
			}
		}
		all := []tickets.State{tickets.Open, tickets.PartlyActivated, tickets.UsedUp, tickets.Expired, tickets.Revoked}
		for _, state := range all {
			got := c.Ticket.Query().Where(tickets.In(state)).Order(entticket.ByID()).IDsX(s.system())
			if len(want[state]) == 0 || !slices.Equal(got, want[state]) {
				t.Errorf("%s: %v, want %v", state, got, want[state])
			}
		}
		if n := c.Ticket.Query().Where(tickets.In(all...)).CountX(s.system()); n != 18 {
			t.Errorf("%d of 18 have a state", n)
		}
		if n := c.Ticket.Query().Where(tickets.In()).CountX(s.system()); n != 0 {
			t.Errorf("%d have no state", n)
		}
	})
}
