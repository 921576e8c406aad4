package tickets

import (
	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent/predicate"
	entticket "github.com/quorate/quorate/ent/ticket"
	"github.com/quorate/quorate/ent/ticketline"
	"github.com/quorate/quorate/internal/platform/core"
)

// In finds the tickets of which one of these states can be told, as StateOf tells it.
func In(states ...State) predicate.Ticket {
	expired := entticket.ExpiresAtLTE(core.Now())
	left := entticket.HasLinesWith(func(s *sql.Selector) {
		s.Where(sql.ColumnsLT(s.C(ticketline.FieldActivated), s.C(ticketline.FieldQuantity)))
	})
	begun := entticket.HasLinesWith(ticketline.ActivatedGT(0))
	usable := entticket.And(entticket.RevokedAtIsNil(), left, entticket.Or(entticket.ExpiresAtIsNil(), entticket.Not(expired)))
	any := []predicate.Ticket{entticket.IDIn()} // none
	for _, s := range states {
		switch s {
		case Open:
			any = append(any, entticket.And(usable, entticket.Not(begun)))
		case PartlyActivated:
			any = append(any, entticket.And(usable, begun))
		case UsedUp:
			any = append(any, entticket.And(entticket.RevokedAtIsNil(), entticket.Not(left)))
		case Expired:
			any = append(any, entticket.And(entticket.RevokedAtIsNil(), left, expired))
		case Revoked:
			any = append(any, entticket.RevokedAtNotNil())
		}
	}
	return entticket.Or(any...)
}
