package platform

import (
	"context"
	"strings"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/apitoken"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/denial"
	"github.com/quorate/quorate/ent/enrollment"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/identityprovider"
	"github.com/quorate/quorate/ent/invitation"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/itemversion"
	"github.com/quorate/quorate/ent/member"
	"github.com/quorate/quorate/ent/membergroup"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/ent/rollout"
	"github.com/quorate/quorate/ent/rolloutplan"
	"github.com/quorate/quorate/ent/rolloutplanentry"
	"github.com/quorate/quorate/ent/ticket"
	"github.com/quorate/quorate/ent/ticketactivation"
	"github.com/quorate/quorate/ent/tmrgroup"
	"github.com/quorate/quorate/ent/tmrserver"
	"github.com/quorate/quorate/ent/transfer"
	"github.com/quorate/quorate/ent/webhookdelivery"
	"github.com/quorate/quorate/ent/webhookendpoint"
	"github.com/quorate/quorate/ent/webhookevent"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
)

// Read gives the client to read with, under the context's principal. It is
// for lists; nothing may be changed through it.
func (p *Platform) Read(ctx context.Context) (*ent.Client, error) { return p.core.Read(ctx) }

// Node gives anything of the public API by its global id. Error: CodeNotFound,
// for an id of no kind too.
func (p *Platform) Node(ctx context.Context, id string) (ent.Noder, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	table, ok := tableOf(id)
	if ok && ofWebhooks(table) {
		if _, err := p.ReadWebhooks(ctx); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, license.Errorf(license.CodeNotFound, "take an id that the API gave you", "nothing has the id %q", core.Clip(id))
	}
	n, err := c.Noder(ctx, id, ent.WithFixedNodeType(table))
	if err != nil {
		return nil, core.NotFound(err, "object", id)
	}
	return n, nil
}

// ofWebhooks: what not everybody of the organization may read.
func ofWebhooks(table string) bool {
	return table == webhookendpoint.Table || table == webhookevent.Table || table == webhookdelivery.Table
}

func tableOf(id string) (string, bool) {
	prefix, _, _ := strings.Cut(id, "_")
	switch prefix {
	case "org":
		return organization.Table, true
	case "mem":
		return member.Table, true
	case "tok":
		return apitoken.Table, true
	case "frm":
		return firm.Table, true
	case "prd":
		return product.Table, true
	case "itm":
		return item.Table, true
	case "con":
		return container.Table, true
	case "alc":
		return allocation.Table, true
	case "den":
		return denial.Table, true
	case "tmr":
		return tmrgroup.Table, true
	case "ord":
		return order.Table, true
	case "rol":
		return rollout.Table, true
	case "trf":
		return transfer.Table, true
	case "mgr":
		return membergroup.Table, true
	case "inv":
		return invitation.Table, true
	case "idp":
		return identityprovider.Table, true
	case "itv":
		return itemversion.Table, true
	case "tkt":
		return ticket.Table, true
	case "srv":
		return tmrserver.Table, true
	case "tac":
		return ticketactivation.Table, true
	case "enr":
		return enrollment.Table, true
	case "rpl":
		return rolloutplan.Table, true
	case "rpe":
		return rolloutplanentry.Table, true
	case "whe":
		return webhookendpoint.Table, true
	case "evt":
		return webhookevent.Table, true
	case "whd":
		return webhookdelivery.Table, true
	}
	return "", false
}

// Group gives a TMR group by its global id or its virtual serial number.
// Error: CodeNotFound.
func (p *Platform) Group(ctx context.Context, idOrSerial string) (*ent.TmrGroup, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	g, err := c.TmrGroup.Query().Where(core.GroupIs(idOrSerial)).Only(ctx)
	return g, core.NotFound(err, "TMR group", idOrSerial)
}

// Firm gives a firm by its global id or its code. Error: CodeNotFound.
func (p *Platform) Firm(ctx context.Context, idOrCode string) (*ent.Firm, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	f, err := c.Firm.Query().Where(core.FirmIs(idOrCode)).Only(ctx)
	return f, core.NotFound(err, "firm", idOrCode)
}

// Product gives a product by its global id or its reference. Error: CodeNotFound.
func (p *Platform) Product(ctx context.Context, idOrReference string) (*ent.Product, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.Product.Query().Where(core.ProductIs(idOrReference)).Only(ctx)
	return found, core.NotFound(err, "product", idOrReference)
}

// Container gives a container by its global id or its serial number. Error:
// CodeNotFound.
func (p *Platform) Container(ctx context.Context, idOrSerial string) (*ent.Container, error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.Container.Query().
		Where(core.ContainerIs(idOrSerial)).Only(ctx)
	return found, core.NotFound(err, "container", idOrSerial)
}
