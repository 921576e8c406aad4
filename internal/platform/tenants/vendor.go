package tenants

import (
	"context"
	"strings"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// mostNamesakes is how many organizations of one name are told of.
const mostNamesakes = 10

// MakeVendor lets an organization, by its global id or its name, sell licenses of
// its own; it stays whose customer it is. Only the system does: firms' keys are
// certified by the platform's root. Called again it changes nothing, and made is
// false. Errors: CodeForbidden, CodeNotFound, CodeInvalidInput for a name that
// several have.
func (s *Service) MakeVendor(ctx context.Context, idOrName string) (out *ent.Organization, made bool, err error) {
	by, err := auth.From(ctx)
	if err != nil {
		return nil, false, err
	}
	if !by.IsSystem() {
		return nil, false, license.Errorf(license.CodeForbidden, "ask the platform's operator", "who is a vendor the platform's operator says")
	}
	err = s.core.Store.WithTx(ctx, func(tx *store.Tx) error {
		// A test environment has the name of its live organization.
		found, err := tx.Organization.Query().
			Where(organization.Or(organization.ID(idOrName), organization.And(organization.Name(idOrName), organization.LiveIDIsNil())), store.Locked).
			Order(ent.Asc(organization.FieldID)).Limit(mostNamesakes).All(ctx)
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return license.Errorf(license.CodeNotFound, "name it by its id or its name", "there is no organization %s", core.Clip(idOrName))
		case len(found) > 1:
			ids := make([]string, len(found))
			for i, o := range found {
				ids[i] = o.ID
			}
			return license.Errorf(license.CodeInvalidInput, "name it by its id: "+strings.Join(ids, ", "), "several organizations are called %q", core.Clip(idOrName))
		}
		out, made = found[0], false
		if out.Vendor {
			return nil
		}
		made = true
		if out, err = tx.Organization.UpdateOne(out).SetVendor(true).AddRevision(1).Save(ctx); err != nil {
			return err
		}
		return core.Audit(ctx, tx, out.ID, "organization.vendor", out.ID, map[string]any{"vendor": false}, map[string]any{"vendor": true})
	})
	if err != nil {
		return nil, false, err
	}
	return out, made, nil
}
