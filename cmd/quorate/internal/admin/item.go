// Package admin holds the commands that ask the platform's API, and nothing else
// of it.
package admin

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// Item are the commands on items.
type Item struct {
	Create itemCreateCmd `cmd:"" help:"Make an item: a license definition of a product."`
	Update itemUpdateCmd `cmd:"" help:"Change an item's options, or take them away."`
	Renew  itemRenewCmd  `cmd:"" help:"Let the usage period and the unit counter of an item's licenses begin anew."`
	Show   itemShowCmd   `cmd:"" help:"Show an item with its options."`
	Ls     itemLsCmd     `cmd:"" name:"ls" aliases:"list" help:"List the items."`
}

const itemFields = `id name revision quantity activation expiration usagePeriod units issue featureMap maintenanceFrom maintenanceUntil
	minimumVersion text accessList linger hasProtectedData protectedDataName hasSecretData tmr product { reference name }`

type itemView struct {
	ID                string     `json:"id"`
	Name              string     `json:"name"`
	Revision          int        `json:"revision"`
	Quantity          int        `json:"quantity"`
	Activation        *time.Time `json:"activation"`
	Expiration        *time.Time `json:"expiration"`
	UsagePeriod       *int       `json:"usagePeriod"`
	Units             *string    `json:"units"`
	Issue             int        `json:"issue"`
	FeatureMap        string     `json:"featureMap"`
	MaintenanceFrom   *time.Time `json:"maintenanceFrom"`
	MaintenanceUntil  *time.Time `json:"maintenanceUntil"`
	MinimumVersion    *string    `json:"minimumVersion"`
	Text              *string    `json:"text"`
	AccessList        []string   `json:"accessList"`
	Linger            *int       `json:"linger"`
	HasProtectedData  bool       `json:"hasProtectedData"`
	ProtectedDataName *string    `json:"protectedDataName"`
	HasSecretData     bool       `json:"hasSecretData"`
	TMR               bool       `json:"tmr"`
	Product           struct {
		Reference string `json:"reference"`
		Name      string `json:"name"`
	} `json:"product"`
}

// options are an item's options that are not as for any, in words.
func (v itemView) options() (all [][2]string) {
	add := func(name, format string, args ...any) {
		all = append(all, [2]string{name, fmt.Sprintf(format, args...)})
	}
	if v.Quantity == 0 {
		add("quantity", "local only: any number of programs on the license server's own machine")
	} else {
		add("quantity", "%d", v.Quantity)
	}
	if v.Activation != nil {
		add("counts from", "%s", v.Activation.UTC().Format(time.RFC3339))
	}
	if v.Expiration != nil {
		add("expires", "%s", v.Expiration.UTC().Format(time.RFC3339))
	}
	if v.UsagePeriod != nil {
		add("usage period", "%s from the first use", longText(*v.UsagePeriod))
	}
	if v.Units != nil {
		add("units", "%s with each license", *v.Units)
	}
	if v.Issue > 0 {
		add("issue", "%d: renewed", v.Issue)
	}
	if n, err := strconv.ParseUint(v.FeatureMap, 10, 32); err == nil && n != 0 {
		add("features", "%#x", n)
	}
	if v.MaintenanceFrom != nil || v.MaintenanceUntil != nil {
		day := func(t *time.Time) string {
			if t == nil {
				return ""
			}
			return t.UTC().Format(time.DateOnly)
		}
		add("maintenance", "releases of %s..%s", day(v.MaintenanceFrom), day(v.MaintenanceUntil))
	}
	if v.MinimumVersion != nil {
		add("minimum version", "%s", *v.MinimumVersion)
	}
	if v.Text != nil {
		add("text", "%q", *v.Text)
	}
	for _, r := range v.AccessList {
		if denied, ok := strings.CutPrefix(r, "!"); ok {
			add("denied", "%s", denied)
		} else {
			add("allowed", "%s", r)
		}
	}
	if v.Linger != nil {
		add("linger", "%s", longText(*v.Linger))
	}
	if v.HasProtectedData {
		add("protected data", "there, %s", *cmp.Or(v.ProtectedDataName, new(string)))
	}
	if v.HasSecretData {
		add("secret data", "there")
	}
	if v.TMR {
		add("TMR", "may be ordered for TMR groups")
	}
	return all
}

func printItem(w io.Writer, v itemView, asJSON bool) error {
	if asJSON {
		return cli.WriteJSON(w, v)
	}
	t := cli.NewTable(w)
	fmt.Fprintf(t, "item\t%s\nid\t%s\n", v.Name, v.ID)
	fmt.Fprintf(t, "product\t%s  %s\nrevision\t%d\n", v.Product.Reference, v.Product.Name, v.Revision)
	for _, o := range v.options() {
		fmt.Fprintf(t, "%s\t%s\n", o[0], o[1])
	}
	return t.Flush()
}

type itemCreateCmd struct {
	cli.APIFlags
	Product string `arg:"" help:"The product's id or firm and product code, for example 6000010:14."`
	Name    string `arg:"" help:"The item's name, unique for the product."`
	itemFlags
}

func (itemCreateCmd) Help() string {
	return `Examples:
  quorate item create 6000010:14 "Chart Processing, 20 users" --quantity 20 --tmr
  quorate item create 6000010:14 "Trial" --usage-period 90d --units 500 --features 0x5 --linger 90s
  quorate item create 6000010:14 "For Anna" --allow user:anna --allow subnet:10.1.0.0/16 --deny host:kiosk
  quorate item create 6000010:14 "Maintained" --maintenance 2026-01-01..2027-01-01 --minimum-version 10.4 \
      --protected-data settings.bin --secret-data seed.key`
}

func (c *itemCreateCmd) Run(ctx context.Context, std cli.Streams) error {
	input, err := c.input()
	if err != nil {
		return err
	}
	input["product"], input["name"] = c.Product, c.Name
	var out struct{ CreateItem struct{ Item itemView } }
	err = c.Query(ctx, `mutation($input: CreateItemInput!) { createItem(input: $input) { item { `+itemFields+` } } }`,
		map[string]any{"input": input}, &out)
	if err != nil {
		return err
	}
	return printItem(std.Out, out.CreateItem.Item, c.JSON)
}

type itemUpdateCmd struct {
	cli.APIFlags
	Item     string   `arg:"" help:"The item's id or name."`
	Name     string   `help:"A new name."`
	Revision int      `help:"The revision that you have seen: refuse the change if it is another one by now. Left out: whichever is there."`
	Remove   []string `help:"Take an option away: activation, expiration, usage-period, units, features, maintenance, minimum-version, text, access-list, linger, protected-data, secret-data." placeholder:"OPTION"`
	itemFlags
}

func (itemUpdateCmd) Help() string {
	return `What is not given stays as it is; --allow and --deny replace the whole access list.
Licenses that were rolled out follow with the next quorate rollout start.

Examples:
  quorate item update itm_0199… --expiration 2027-12-01 --remove units,text
  quorate item update "Chart Processing, 20 users" --linger 90s --revision 3 --json`
}

func (c *itemUpdateCmd) Run(ctx context.Context, std cli.Streams) error {
	input, err := c.input()
	if err != nil {
		return err
	}
	for _, name := range c.Remove {
		fields, ok := itemOptionFields[name]
		if !ok {
			return license.Errorf(license.CodeInvalidInput, "see quorate item update --help for their names", "there is no option %q", name)
		}
		for _, f := range fields {
			if input[f] != nil {
				return license.Errorf(license.CodeInvalidInput, "leave --remove out, or the option", "%s is given and taken away", name)
			}
			input[f] = nil
		}
	}
	it, err := findItem(ctx, c.APIFlags, c.Item)
	if err != nil {
		return err
	}
	input["item"], input["revision"] = it.ID, cmp.Or(c.Revision, it.Revision)
	if c.Name != "" {
		input["name"] = c.Name
	}
	var out struct{ UpdateItem struct{ Item itemView } }
	err = c.Query(ctx, `mutation($input: UpdateItemInput!) { updateItem(input: $input) { item { `+itemFields+` } } }`,
		map[string]any{"input": input}, &out)
	if err != nil {
		return err
	}
	return printItem(std.Out, out.UpdateItem.Item, c.JSON)
}

type itemRenewCmd struct {
	cli.APIFlags
	Item     string `arg:"" help:"The item's id or name."`
	Revision int    `help:"The revision that you have seen, so that repeating renews once. Left out: whichever is there."`
}

func (itemRenewCmd) Help() string {
	return `Takes effect with the next quorate rollout start.

Example:
  quorate item renew itm_0199… --revision 3`
}

func (c *itemRenewCmd) Run(ctx context.Context, std cli.Streams) error {
	it, err := findItem(ctx, c.APIFlags, c.Item)
	if err != nil {
		return err
	}
	var out struct{ RenewItem struct{ Item itemView } }
	err = c.Query(ctx, `mutation($input: RenewItemInput!) { renewItem(input: $input) { item { `+itemFields+` } } }`,
		map[string]any{"input": map[string]any{"item": it.ID, "revision": cmp.Or(c.Revision, it.Revision)}}, &out)
	if err != nil {
		return err
	}
	return printItem(std.Out, out.RenewItem.Item, c.JSON)
}

type itemShowCmd struct {
	cli.APIFlags
	Item string `arg:"" help:"The item's id or name."`
}

func (itemShowCmd) Help() string {
	return `Protected and secret data is not shown, only that it is there.

Example:
  quorate item show "Chart Processing, 20 users"`
}

func (c *itemShowCmd) Run(ctx context.Context, std cli.Streams) error {
	it, err := findItem(ctx, c.APIFlags, c.Item)
	if err != nil {
		return err
	}
	return printItem(std.Out, it, c.JSON)
}

type itemLsCmd struct{ cli.APIFlags }

func (itemLsCmd) Help() string {
	return `Examples:
  quorate item ls
  quorate item ls --json`
}

func (c *itemLsCmd) Run(ctx context.Context, std cli.Streams) error {
	all, err := listItems(ctx, c.APIFlags)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, all)
	}
	t := cli.NewTable(std.Out)
	for _, v := range all {
		var options []string
		for _, o := range v.options()[1:] {
			options = append(options, o[0])
		}
		quantity := strconv.Itoa(v.Quantity)
		if v.Quantity == 0 {
			quantity = "local"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", v.ID, v.Product.Reference, v.Name, quantity, strings.Join(options, ", "))
	}
	return t.Flush()
}

// listItems gives all that one may see.
func listItems(ctx context.Context, api cli.APIFlags) ([]itemView, error) {
	all := []itemView{}
	variables := map[string]any{}
	for {
		var page struct {
			Items struct {
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
				Edges []struct{ Node itemView }
			}
		}
		if err := api.Query(ctx, `query($after: Cursor) { items(first: 100, after: $after) {
			pageInfo { hasNextPage endCursor } edges { node { `+itemFields+` } } } }`, variables, &page); err != nil {
			return nil, err
		}
		for _, e := range page.Items.Edges {
			all = append(all, e.Node)
		}
		if !page.Items.PageInfo.HasNextPage {
			return all, nil
		}
		variables["after"] = page.Items.PageInfo.EndCursor
	}
}

// findItem finds an item by its id or its name.
func findItem(ctx context.Context, api cli.APIFlags, idOrName string) (itemView, error) {
	if strings.HasPrefix(idOrName, "itm_") {
		var out struct{ Node *itemView }
		err := api.Query(ctx, `query($id: ID!) { node(id: $id) { ... on Item { `+itemFields+` } } }`, map[string]any{"id": idOrName}, &out)
		if err == nil && (out.Node == nil || out.Node.ID == "") {
			err = noItem(idOrName)
		}
		if err != nil {
			return itemView{}, err
		}
		return *out.Node, nil
	}
	all, err := listItems(ctx, api)
	if err != nil {
		return itemView{}, err
	}
	var found []itemView
	for _, v := range all {
		if v.Name == idOrName {
			found = append(found, v)
		}
	}
	switch len(found) {
	case 0:
		return itemView{}, noItem(idOrName)
	case 1:
		return found[0], nil
	}
	return itemView{}, license.Errorf(license.CodeInvalidInput, "give its id, as quorate item ls shows it", "%d items are called %q", len(found), idOrName)
}

func noItem(idOrName string) error {
	return license.Errorf(license.CodeNotFound, "list them with quorate item ls", "there is no item %q", idOrName)
}

// longText writes seconds as cli.ParseLong reads them.
func longText(seconds int) string {
	const day = 24 * 60 * 60
	if seconds >= day && seconds%day == 0 {
		return strconv.Itoa(seconds/day) + "d"
	}
	return (time.Duration(seconds) * time.Second).String()
}
