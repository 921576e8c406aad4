package cli

import (
	"context"
	"strings"

	"github.com/quorate/quorate/internal/license"
)

// PlaceInput names a TMR group or a container to the platform, whichever an id or
// a serial number stands for.
func PlaceInput(idOrSerial string) map[string]any {
	serial, err := license.ParseSerial(idOrSerial)
	if strings.HasPrefix(idOrSerial, "con_") || (err == nil && serial.Kind() != license.KindVirtual) {
		return map[string]any{"container": idOrSerial}
	}
	return map[string]any{"tmrGroup": idOrSerial}
}

// CustomerID gives the id of a customer, who is named by it or by the name.
func CustomerID(ctx context.Context, f APIFlags, idOrName string) (string, error) {
	if strings.HasPrefix(idOrName, "org_") {
		return idOrName, nil
	}
	all, err := Pages[struct {
		ID, Name string
		Customer bool
	}](ctx, f, `query($first: Int!, $after: Cursor) { page: organizations(first: $first, after: $after) { edges { node { id name customer } } pageInfo { hasNextPage endCursor } } }`, nil, 0)
	for _, o := range all {
		if o.Customer && o.Name == idOrName {
			return o.ID, nil
		}
	}
	if err == nil {
		err = license.Errorf(license.CodeNotFound, "list them with: quorate customer ls", "there is no customer %q", license.Clip(idOrName, 64))
	}
	return "", err
}
