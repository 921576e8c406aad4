package catalog

import (
	"context"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/predicate"
	entproduct "github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// UpdateFirm gives a firm (its global id or its code) another name. revision is
// the one that the caller has seen. Errors: CodeNotFound, CodeForbidden,
// CodeInvalidInput, CodeConflict with the present revision where it is another.
func (p *Service) UpdateFirm(ctx context.Context, idOrCode string, revision int, name string) (*ent.Firm, error) {
	by, err := auth.Require(ctx, auth.EditCatalog)
	if err != nil {
		return nil, err
	}
	if err := checkName("name", name, mostItemName); err != nil {
		return nil, err
	}
	var out *ent.Firm
	err = p.inCatalog(ctx, by, func(tx *store.Tx) error {
		q := tx.Firm.Query().Where(core.FirmIs(idOrCode), predicate.Firm(store.Locked))
		if !by.IsSystem() {
			q.Where(firm.VendorID(by.Organization))
		}
		f, err := q.Only(ctx)
		if err != nil {
			return core.NotFound(err, "firm", idOrCode)
		}
		if f.Revision != revision {
			return core.Outdated("firm", f.Revision)
		}
		if out = f; f.Name == name {
			return nil
		}
		if out, err = tx.Firm.UpdateOne(f).SetName(name).SetRevision(f.Revision + 1).Save(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, core.AuditOwner(by, f.VendorID), "firm.update", f.ID, map[string]any{"name": f.Name}, map[string]any{"name": name})
	})
	return out, err
}

// UpdateProduct gives a product (its global id or its reference) another name,
// which its licenses have from the next rollout on. revision is the one that the
// caller has seen. Errors as those of UpdateFirm.
func (p *Service) UpdateProduct(ctx context.Context, idOrReference string, revision int, name string) (*ent.Product, error) {
	by, err := auth.Require(ctx, auth.EditCatalog)
	if err != nil {
		return nil, err
	}
	if err := checkName("name", name, license.MostProductName); err != nil {
		return nil, err
	}
	var out *ent.Product
	err = p.inCatalog(ctx, by, func(tx *store.Tx) error {
		q := tx.Product.Query().Where(core.ProductIs(idOrReference), predicate.Product(store.Locked))
		if !by.IsSystem() {
			q.Where(entproduct.VendorID(by.Organization))
		}
		of, err := q.Only(ctx)
		if err != nil {
			return core.NotFound(err, "product", idOrReference)
		}
		if of.Revision != revision {
			return core.Outdated("product", of.Revision)
		}
		if out = of; of.Name == name {
			return nil
		}
		if out, err = tx.Product.UpdateOne(of).SetName(name).SetRevision(of.Revision + 1).Save(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, core.AuditOwner(by, of.VendorID), "product.update", of.ID, map[string]any{"name": of.Name}, map[string]any{"name": name})
	})
	return out, err
}
