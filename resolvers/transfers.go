package resolvers

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/resolvers/loading"
)

// transferred reads the transfer that a use case gave anew, as the viewer.
func (r *Resolver) transferred(ctx context.Context, mutation *string) func(*ent.Transfer, error) (*graph.TransferPayload, error) {
	return func(made *ent.Transfer, err error) (*graph.TransferPayload, error) {
		if err != nil {
			return nil, err
		}
		row, err := r.client.Transfer.Get(ctx, made.ID)
		if err != nil {
			return nil, err
		}
		return &graph.TransferPayload{Transfer: row, ClientMutationID: mutation}, nil
	}
}

// credits loads what the credits name by two statements in all.
func (r *Resolver) credits(ctx context.Context) ([]*graph.Credit, error) {
	all, err := r.platform.Credits(ctx)
	if err != nil {
		return nil, err
	}
	var products, customers []string
	for _, c := range all {
		products = append(products, c.Product)
		if c.Customer != nil {
			customers = append(customers, *c.Customer)
		}
	}
	rows, err := r.client.Product.Query().Where(product.IDIn(products...)).All(ctx)
	if err != nil {
		return nil, err
	}
	organizations, err := r.client.Organization.Query().Where(organization.IDIn(customers...)).All(ctx)
	if err != nil {
		return nil, err
	}
	byID := loading.By(rows, func(p *ent.Product) string { return p.ID })
	byCustomer := loading.By(organizations, func(o *ent.Organization) string { return o.ID })
	out := make([]*graph.Credit, 0, len(all))
	for _, c := range all {
		credit := &graph.Credit{Product: byID[c.Product], Quantity: c.Quantity}
		if c.Customer != nil {
			credit.Customer = byCustomer[*c.Customer]
		}
		out = append(out, credit)
	}
	return out, nil
}
