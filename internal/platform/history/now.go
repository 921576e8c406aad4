package history

import (
	"cmp"
	"context"
	"slices"

	"entgo.io/ent/dialect/sql"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/allocation"
	"github.com/quorate/quorate/ent/container"
	"github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
)

// ProductUse is the use of one product in a container now.
type ProductUse struct {
	Product      license.Product
	Name         string
	FeatureMap   uint32
	Total, Taken int
	Modes        []ModeUse // those with a handle
}

// ModeUse are the handles of one access mode.
type ModeUse struct {
	Mode                        license.AccessMode
	Handles, Licenses, Borrowed int
}

// RowFilter is a filter of allocations or denials by the container or TMR group,
// and the product, that are not empty. Error: CodeNotFound.
func (p *Service) RowFilter(ctx context.Context, containerID, productID string) (func(*sql.Selector), error) {
	c, err := p.core.Read(ctx)
	if err != nil {
		return nil, err
	}
	return filterBy(ctx, c, containerID, productID)
}

// ContainersUse gives the use of containers now, by id and product, in as many
// statements for many as for one.
func ContainersUse(ctx context.Context, c *ent.Client, ids []string) (map[string][]ProductUse, error) {
	rows, err := c.Container.Query().Where(container.IDIn(ids...)).WithTmrGroup().All(ctx)
	if err != nil {
		return nil, err
	}
	type key struct {
		container string
		product   license.Product
	}
	found := map[key]*ProductUse{}
	at := func(containerID string, p license.Product, name string) *ProductUse {
		k := key{containerID, p}
		if found[k] == nil {
			found[k] = &ProductUse{Product: p, Name: name}
		}
		return found[k]
	}
	for _, row := range rows {
		for _, l := range licensesOn(row) {
			if p, err := license.ParseProduct(l.Product); err == nil {
				u := at(row.ID, p, l.Name)
				u.Total += l.Quantity
				u.FeatureMap = l.FeatureMap
			}
		}
	}
	sums, products, err := livingHandles(ctx, c, ids)
	if err != nil {
		return nil, err
	}
	for _, s := range sums {
		p := products[s.Product]
		if p == nil || p.Edges.Firm == nil {
			continue
		}
		u := at(s.Container, core.ProductOf(p), p.Name)
		u.Taken += s.Licenses
		i := slices.IndexFunc(u.Modes, func(m ModeUse) bool { return m.Mode == s.Mode })
		if i < 0 {
			i, u.Modes = len(u.Modes), append(u.Modes, ModeUse{Mode: s.Mode})
		}
		m := &u.Modes[i]
		m.Handles, m.Licenses = m.Handles+s.Handles, m.Licenses+s.Licenses
		if s.Borrowed {
			m.Borrowed += s.Licenses
		}
	}
	all := make(map[string][]ProductUse, len(ids))
	for k, u := range found {
		slices.SortFunc(u.Modes, func(a, b ModeUse) int { return cmp.Compare(a.Mode, b.Mode) })
		all[k.container] = append(all[k.container], *u)
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b ProductUse) int { return a.Product.Compare(b.Product) })
	}
	return all, nil
}

// licensesOn are the licenses in force of a container outside of groups, or of a
// group's virtual one.
func licensesOn(row *ent.Container) (all []property.ServedLicense) {
	switch g := row.Edges.TmrGroup; {
	case g == nil:
		for _, l := range row.Served {
			if l.Reason == "" {
				all = append(all, l)
			}
		}
	case row.Kind == property.ContainerVirtual:
		for _, l := range g.Licenses {
			if l.InForce {
				all = append(all, property.ServedLicense{Product: l.Product, Name: l.Name, Quantity: l.Quantity, FeatureMap: l.FeatureMap})
			}
		}
	}
	return all
}

type handleSum struct {
	Container string             `sql:"container_id"`
	Product   string             `sql:"product_id"`
	Mode      license.AccessMode `sql:"mode"`
	Borrowed  bool               `sql:"borrowed"`
	Handles   int                `sql:"handles"`
	Licenses  int                `sql:"taken"`
}

func livingHandles(ctx context.Context, c *ent.Client, containers []string) ([]handleSum, map[string]*ent.Product, error) {
	var sums []handleSum
	if err := c.Allocation.Query().
		Where(allocation.ContainerIDIn(containers...), allocation.StateEQ(property.AllocationActive)).
		GroupBy(allocation.FieldContainerID, allocation.FieldProductID, allocation.FieldMode, allocation.FieldBorrowed).
		Aggregate(ent.As(ent.Count(), "handles"), ent.As(ent.Sum(allocation.FieldLicenses), "taken")).Scan(ctx, &sums); err != nil {
		return nil, nil, err
	}
	var ids []string
	for _, s := range sums {
		if !slices.Contains(ids, s.Product) {
			ids = append(ids, s.Product)
		}
	}
	rows, err := c.Product.Query().Where(product.IDIn(ids...)).WithFirm().All(ctx)
	if err != nil {
		return nil, nil, err
	}
	byID := make(map[string]*ent.Product, len(rows))
	for _, p := range rows {
		byID[p.ID] = p
	}
	return sums, byID, nil
}
