package catalog

import (
	"bytes"
	"context"
	"encoding/hex"
	"math"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/firm"
	"github.com/quorate/quorate/ent/item"
	"github.com/quorate/quorate/ent/order"
	"github.com/quorate/quorate/ent/predicate"
	entproduct "github.com/quorate/quorate/ent/product"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// ItemSpec says what an item shall be: a license definition of a product.
type ItemSpec struct {
	Name string
	// Options of its licenses. A Quantity of zero makes them local only, any
	// other is what one order suggests. Units are those that each ordered license
	// brings. The TMR-ID, the issue and the names of data are the platform's own:
	// what is given here for them is not looked at.
	Options license.Options
	// TMR lets it be ordered for TMR groups.
	TMR bool
	// Protected and Secret are the licenses' data. Nil: as it is, which for a new
	// item is none; empty: none.
	Protected, Secret Data `json:"-"`
	// Key, of CreateItem: the same one with the same data gives the same item.
	Key string `json:"-"`
}

// CreateFirm makes a firm with a new signing key for the caller's organization,
// which is to be a vendor. Errors: CodeForbidden, CodeInvalidInput,
// CodeConflict where the firm code is taken.
func (p *Service) CreateFirm(ctx context.Context, s FirmSpec) (*ent.Firm, error) {
	by, err := auth.Require(ctx, auth.EditCatalog)
	if err != nil {
		return nil, err
	}
	if s.Code == 0 {
		return nil, core.AtField("code", license.Errorf(license.CodeInvalidInput, "give the firm code that the vendor has, for example 6000010", "there is no firm code 0"))
	}
	if err := checkName("name", s.Name, mostItemName); err != nil {
		return nil, err
	}
	var made *ent.Firm
	err = p.inCatalog(ctx, by, func(tx *store.Tx) error {
		id, err := once(ctx, tx, by, "createFirm", s.Key, s, func() (string, error) {
			root, err := p.core.RootSigner(core.System(ctx, "create firm"), tx.Client)
			if err != nil {
				return "", err
			}
			made, err := MakeFirm(ctx, p.core, tx, root, by.Organization, s)
			if err != nil {
				return "", err
			}
			return made.ID, core.Audit(ctx, tx, by.Organization, "firm.create", made.ID, nil, map[string]any{"code": made.Code, "name": made.Name})
		})
		if err != nil {
			return err
		}
		made, err = tx.Firm.Get(ctx, id)
		return core.NotFound(err, "firm", id)
	})
	if ent.IsConstraintError(err) {
		return nil, license.Errorf(license.CodeConflict, "choose another code", "the firm code %d is taken", s.Code)
	}
	return made, err
}

// CreateProduct makes a product, with new keys, of a firm (its global id or its
// code). Errors: CodeNotFound, CodeForbidden, CodeInvalidInput, CodeConflict
// where the firm has such a product code already.
func (p *Service) CreateProduct(ctx context.Context, firmIDOrCode string, s ProductSpec) (*ent.Product, error) {
	by, err := auth.Require(ctx, auth.EditCatalog)
	if err != nil {
		return nil, err
	}
	if err := checkName("name", s.Name, license.MostProductName); err != nil {
		return nil, err
	}
	var made *ent.Product
	err = p.inCatalog(ctx, by, func(tx *store.Tx) error {
		q := tx.Firm.Query().Where(core.FirmIs(firmIDOrCode))
		if !by.IsSystem() {
			q.Where(firm.VendorID(by.Organization))
		}
		f, err := q.Only(ctx)
		if err != nil {
			return core.NotFound(err, "firm", firmIDOrCode)
		}
		id, err := once(ctx, tx, by, "createProduct", s.Key, []any{f.ID, s}, func() (string, error) {
			made, err := MakeProduct(ctx, p.core, tx, f, s)
			if err != nil {
				return "", err
			}
			return made.ID, core.Audit(ctx, tx, core.AuditOwner(by, f.VendorID), "product.create", made.ID, nil,
				map[string]any{"firm": f.ID, "code": made.Code, "name": made.Name})
		})
		if err != nil {
			return err
		}
		made, err = tx.Product.Get(ctx, id)
		return core.NotFound(err, "product", id)
	})
	if ent.IsConstraintError(err) {
		return nil, license.Errorf(license.CodeConflict, "choose another code", "the firm has a product %d already", s.Code)
	}
	return made, err
}

// CreateItem makes an item of a product (its global id, or firm and product
// code as in 6000010:14). Errors: CodeNotFound, CodeForbidden,
// CodeInvalidInput with the field among the details, CodeConflict where the
// product has an item of that name already, and for a key of another item.
func (p *Service) CreateItem(ctx context.Context, product string, s ItemSpec) (*ent.Item, error) {
	by, err := auth.Require(ctx, auth.EditCatalog)
	if err != nil {
		return nil, err
	}
	if err := CheckItem(s); err != nil {
		return nil, err
	}
	var made *ent.Item
	err = p.inCatalog(ctx, by, func(tx *store.Tx) error {
		q := tx.Product.Query().Where(core.ProductIs(product))
		if !by.IsSystem() {
			q.Where(entproduct.VendorID(by.Organization))
		}
		of, err := q.Only(ctx)
		if err != nil {
			return core.NotFound(err, "product", product)
		}
		input := []any{of.ID, s}
		if s.Key != "" && len(s.Protected)+len(s.Secret) > 0 {
			proof, err := dataProof(ctx, p.core, of, s)
			if err != nil {
				return err
			}
			input = append(input, proof)
		}
		id, err := once(ctx, tx, by, "createItem", s.Key, input, func() (string, error) {
			made, err := MakeItem(ctx, p.core, tx, of, s)
			if err != nil {
				return "", err
			}
			return made.ID, core.Audit(ctx, tx, core.AuditOwner(by, made.VendorID), "item.create", made.ID, nil, itemFacts(made))
		})
		if err != nil {
			return err
		}
		made, err = tx.Item.Get(ctx, id)
		return core.NotFound(err, "item", id)
	})
	return made, itemConflict(err, s.Name)
}

// UpdateItem changes an item. revision is the one that the caller has seen.
// Licenses that were rolled out follow with the next rollout (see StartRollout).
// A change that changes nothing leaves the revision. Errors: CodeNotFound,
// CodeForbidden, CodeInvalidInput with the field among the details, CodeConflict
// with the present revision where it is another one, where the name is taken, or
// where an item that was ordered for TMR groups is to be no TMR item any more.
func (p *Service) UpdateItem(ctx context.Context, id string, revision int, change func(*ItemSpec)) (*ent.Item, error) {
	name := ""
	out, err := p.changeItem(ctx, id, revision, "item.update", func(tx *store.Tx, it *ent.Item) (*ent.Item, error) {
		s := itemSpec(it)
		change(&s)
		name = s.Name
		if err := CheckItem(s); err != nil {
			return nil, err
		}
		if it.Tmr && !s.TMR {
			ordered, err := tx.Order.Query().Where(order.ItemID(it.ID), order.HasTmrGroup()).Exist(ctx)
			if err != nil {
				return nil, err
			}
			if ordered {
				return nil, core.AtField("tmr", license.Errorf(license.CodeConflict, "make another item for what is not for TMR groups",
					"the item %q was ordered for TMR groups", it.Name))
			}
		}
		u := tx.Item.UpdateOne(it).SetRevision(it.Revision + 1)
		dataChanged, err := setItem(ctx, p.core, u.Mutation(), it, it.ProductID, s)
		if err != nil {
			return nil, err
		}
		if old := itemSpec(it); !dataChanged && s.Name == old.Name && s.TMR == old.TMR && s.Options.Equal(old.Options) {
			return it, nil
		}
		return u.Save(ctx)
	})
	return out, itemConflict(err, name)
}

// RenewItem gives what is used up of an item's licenses anew: with the next
// rollout, their usage period and their unit counter start from the beginning.
// revision is the one that the caller has seen, so that asking twice renews
// once. Errors: CodeNotFound, CodeForbidden, CodeConflict with the present
// revision where it is another one.
func (p *Service) RenewItem(ctx context.Context, id string, revision int) (*ent.Item, error) {
	return p.changeItem(ctx, id, revision, "item.renew", func(tx *store.Tx, it *ent.Item) (*ent.Item, error) {
		if it.Issue >= math.MaxUint32 {
			return nil, license.Errorf(license.CodeConflict, "make another item", "the item %q was renewed too often", it.Name)
		}
		return tx.Item.UpdateOne(it).SetRevision(it.Revision + 1).SetIssue(it.Issue + 1).Save(ctx)
	})
}

func (p *Service) changeItem(ctx context.Context, id string, revision int, action string, change func(*store.Tx, *ent.Item) (*ent.Item, error)) (*ent.Item, error) {
	by, err := auth.Require(ctx, auth.EditCatalog)
	if err != nil {
		return nil, err
	}
	var out *ent.Item
	err = p.inCatalog(ctx, by, func(tx *store.Tx) error {
		q := tx.Item.Query().Where(item.ID(id), predicate.Item(store.Locked))
		if !by.IsSystem() {
			q.Where(item.VendorID(by.Organization))
		}
		it, err := q.Only(ctx)
		if err != nil {
			return core.NotFound(err, "item", id)
		}
		if it.Revision != revision {
			return core.Outdated("item", it.Revision)
		}
		before := itemFacts(it)
		was := it.Revision
		if out, err = change(tx, it); err != nil || out.Revision == was {
			return err
		}
		if err := keepVersion(ctx, tx, it, out); err != nil {
			return err
		}
		if err := p.core.EmitShared(ctx, tx, it.VendorID, it.CustomerID, core.EventItemChanged,
			map[string]any{"item": out.ID, "product": out.ProductID, "revision": out.Revision}); err != nil {
			return err
		}
		return core.Audit(ctx, tx, core.AuditOwner(by, it.VendorID), action, it.ID, before, itemFacts(out))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// once is core.Once for what makes one thing.
func once(ctx context.Context, tx *store.Tx, by auth.Principal, operation, key string, input any, make func() (string, error)) (string, error) {
	ids, _, err := core.Once(ctx, tx, by.Organization, operation, key, input, func() ([]string, error) {
		id, err := make()
		return []string{id}, err
	})
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// inCatalog does a change that only vendors may do, in one transaction.
func (p *Service) inCatalog(ctx context.Context, by auth.Principal, change func(*store.Tx) error) error {
	return p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		if !by.IsSystem() {
			if err := p.core.VendorOnly(ctx, tx, by); err != nil {
				return err
			}
		}
		return change(tx)
	})
}

// MakeItem writes an item that was checked.
func MakeItem(ctx context.Context, p *core.Core, tx *store.Tx, of *ent.Product, s ItemSpec) (*ent.Item, error) {
	create := tx.Item.Create().SetVendorID(of.VendorID).SetProductID(of.ID)
	if _, err := setItem(ctx, p, create.Mutation(), &ent.Item{}, of.ID, s); err != nil {
		return nil, err
	}
	made, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}
	return made, keepVersion(ctx, tx, nil, made)
}

// setItem writes all that a specification says of an item, which was checked.
// It tells whether the data is another one.
func setItem(ctx context.Context, p *core.Core, m *ent.ItemMutation, old *ent.Item, productID string, s ItemSpec) (dataChanged bool, err error) {
	o := s.Options
	m.SetName(s.Name)
	m.SetTmr(s.TMR)
	m.SetQuantity(int(o.Quantity))
	m.SetFeatureMap(o.FeatureMap)
	set(o.Activation, m.SetActivation, m.ClearActivation)
	set(o.Expiration, m.SetExpiration, m.ClearExpiration)
	set(o.Maintenance.From, m.SetMaintenanceFrom, m.ClearMaintenanceFrom)
	set(o.Maintenance.Until, m.SetMaintenanceUntil, m.ClearMaintenanceUntil)
	set(int(o.UsagePeriod/time.Second), m.SetUsagePeriod, m.ClearUsagePeriod)
	set(int(o.Linger/time.Second), m.SetLinger, m.ClearLinger)
	set(string(o.MinimumVersion), m.SetMinimumVersion, m.ClearMinimumVersion)
	set(o.Text, m.SetText, m.ClearText)
	if o.Units != nil {
		m.SetUnits(*o.Units)
	} else {
		m.ClearUnits()
	}
	if len(o.AccessList) == 0 {
		m.ClearAccessList()
	} else {
		rules := make([]string, len(o.AccessList))
		for i, r := range o.AccessList {
			rules[i] = r.String()
		}
		m.SetAccessList(rules)
	}
	for _, d := range []struct {
		kind              string
		content           Data
		name, sealed      []byte
		setName, setData  func([]byte)
		clearName, clearD func()
	}{
		{ProtectedData, s.Protected, old.ProtectedName, old.ProtectedData, m.SetProtectedName, m.SetProtectedData, m.ClearProtectedName, m.ClearProtectedData},
		{SecretData, s.Secret, old.SecretName, old.SecretData, m.SetSecretName, m.SetSecretData, m.ClearSecretName, m.ClearSecretData},
	} {
		if d.content == nil {
			continue
		}
		name, sealed, err := sealData(ctx, p, d.kind, productID, d.content, d.name, d.sealed)
		if err != nil {
			return false, err
		}
		dataChanged = dataChanged || !bytes.Equal(name, d.name)
		if name == nil {
			d.clearName()
			d.clearD()
			continue
		}
		d.setName(name)
		d.setData(sealed)
	}
	return dataChanged, nil
}

// set sets a column, or clears it for the zero value.
func set[T comparable](v T, set func(T), clear func()) {
	var zero T
	if v == zero {
		clear()
		return
	}
	set(v)
}

// itemSpec is an item as it is, with its data left as it is.
func itemSpec(it *ent.Item) ItemSpec {
	return ItemSpec{Name: it.Name, TMR: it.Tmr, Options: ItemOptions(it)}
}

// itemFacts are what the audit log tells of an item: of data only the names.
func itemFacts(it *ent.Item) map[string]any {
	facts := map[string]any{
		"name": it.Name, "product": it.ProductID, "tmr": it.Tmr, "revision": it.Revision,
		"quantity": it.Quantity, "featureMap": it.FeatureMap, "issue": it.Issue,
	}
	o := ItemOptions(it)
	for name, t := range map[string]time.Time{
		"activation": o.Activation, "expiration": o.Expiration,
		"maintenanceFrom": o.Maintenance.From, "maintenanceUntil": o.Maintenance.Until,
	} {
		if !t.IsZero() {
			facts[name] = t.Format(time.RFC3339)
		}
	}
	for name, d := range map[string]*int{"usagePeriod": it.UsagePeriod, "linger": it.Linger} {
		if d != nil {
			facts[name] = *d
		}
	}
	for name, text := range map[string]string{
		"minimumVersion": string(o.MinimumVersion), "text": o.Text,
		"protectedData": hex.EncodeToString(it.ProtectedName), "secretData": hex.EncodeToString(it.SecretName),
	} {
		if text != "" {
			facts[name] = text
		}
	}
	if it.Units != nil {
		facts["units"] = *it.Units
	}
	if len(it.AccessList) > 0 {
		facts["accessList"] = it.AccessList
	}
	return facts
}

func itemConflict(err error, name string) error {
	if ent.IsConstraintError(err) {
		return core.AtField("name", license.Errorf(license.CodeConflict, "choose another name", "the product has an item %q already", core.Clip(name)))
	}
	return err
}
