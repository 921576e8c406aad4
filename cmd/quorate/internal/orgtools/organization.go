package orgtools

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// Customer is the tree of commands on a vendor's customers.
type Customer struct {
	Create CustomerCreate `cmd:"" help:"Make a customer; then invite its first owner."`
	Ls     CustomerLs     `cmd:"" aliases:"list" help:"List the customers."`
	Rename CustomerRename `cmd:"" help:"Give a customer another name."`
}

// Organization is the tree of commands on one's own organization.
type Organization struct {
	Show  OrganizationShow  `cmd:"" help:"Show the organization, and what may be done with the token."`
	Set   OrganizationSet   `cmd:"" help:"Rename the organization, or choose what its vendor sees of its users."`
	Test  OrganizationTest  `cmd:"" help:"Make the organization's test environment."`
	Audit OrganizationAudit `cmd:"" help:"Show the organization's audit log, newest first."`
}

type organizationView struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Vendor         bool   `json:"vendor"`
	Customer       bool   `json:"customer"`
	Environment    string `json:"environment"`
	UserVisibility string `json:"userVisibility"`
	Revision       int    `json:"revision"`
}

const organizationFields = `id name vendor customer environment userVisibility revision`

type organizationMade struct {
	Made struct {
		Organization organizationView `json:"organization"`
	} `json:"made"`
}

// CustomerCreate makes a customer.
type CustomerCreate struct {
	cli.APIFlags
	Name string `arg:"" help:"The customer's name."`
	Key  string `help:"An idempotency key: repeated with it, the command makes nothing anew."`
}

// Help has the examples.
func (CustomerCreate) Help() string {
	return `Example:
  quorate customer create "Shipping Company"`
}

// Run makes the customer.
func (c *CustomerCreate) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, c.APIFlags, std, `mutation($input: CreateCustomerInput!) { made: createCustomer(input: $input) { organization { `+organizationFields+` } } }`,
		input(map[string]any{"name": c.Name, "idempotencyKey": onceKey(c.Key)}), func(out organizationMade) error {
			o := out.Made.Organization
			return say(std, "%s is a customer: %s (%s). Invite its owner: quorate invite create EMAIL --role OWNER --customer %s",
				o.Name, o.ID, strings.ToLower(o.Environment), o.ID)
		})
}

// CustomerLs lists customers.
type CustomerLs struct{ cli.APIFlags }

// Help has the examples.
func (CustomerLs) Help() string {
	return `Example:
  quorate customer ls`
}

func viewer(ctx context.Context, f cli.APIFlags) (viewerView, error) {
	var out struct{ Viewer viewerView }
	err := f.Query(ctx, `{ viewer { name role capabilities organization { `+organizationFields+` } } }`, nil, &out)
	return out.Viewer, err
}

type viewerView struct {
	Name         string           `json:"name"`
	Role         string           `json:"role"`
	Capabilities []string         `json:"capabilities"`
	Organization organizationView `json:"organization"`
}

// Run lists the organizations that are seen besides one's own.
func (c *CustomerLs) Run(ctx context.Context, std cli.Streams) error {
	me, err := viewer(ctx, c.APIFlags)
	if err != nil {
		return err
	}
	all, err := list[organizationView](ctx, c.APIFlags, "organizations", "", organizationFields, mostListed)
	if err != nil {
		return err
	}
	customers := []organizationView{}
	for _, o := range all {
		if o.ID != me.Organization.ID {
			customers = append(customers, o)
		}
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, customers)
	}
	return cli.WriteTable(std.Out, "ID NAME USERS", func(w io.Writer) {
		for _, o := range customers {
			fmt.Fprintf(w, "%s\t%s\t%s\n", o.ID, cli.Printable(o.Name), o.UserVisibility)
		}
	})
}

// change changes an organization as it is now.
func change(ctx context.Context, f cli.APIFlags, std cli.Streams, o organizationView, in map[string]any) error {
	in["organization"], in["revision"] = o.ID, o.Revision
	return do(ctx, f, std, `mutation($input: UpdateOrganizationInput!) { made: updateOrganization(input: $input) { organization { `+organizationFields+` } } }`,
		input(in), func(out organizationMade) error {
			if in["userVisibility"] == "" {
				return say(std, "It is called %s now.", out.Made.Organization.Name)
			}
			return say(std, "%s: its vendor sees of its users: %s", out.Made.Organization.Name, out.Made.Organization.UserVisibility)
		})
}

// CustomerRename renames a customer.
type CustomerRename struct {
	cli.APIFlags
	Customer string `arg:"" help:"The customer's id or name."`
	Name     string `arg:"" help:"Its new name."`
}

// Help has the examples.
func (CustomerRename) Help() string {
	return `Example:
  quorate customer rename "Shipping Company" "Shipping Group"`
}

// Run renames the customer.
func (c *CustomerRename) Run(ctx context.Context, std cli.Streams) error {
	all, err := list[organizationView](ctx, c.APIFlags, "organizations", "", organizationFields, mostListed)
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.ID == c.Customer || o.Name == c.Customer {
			return change(ctx, c.APIFlags, std, o, map[string]any{"name": c.Name, "userVisibility": ""})
		}
	}
	return license.Errorf(license.CodeNotFound, "look it up by: quorate customer ls", "there is no customer %s", license.Clip(c.Customer, 64))
}

// OrganizationShow shows one's organization.
type OrganizationShow struct{ cli.APIFlags }

// Help has the examples.
func (OrganizationShow) Help() string {
	return `Example:
  quorate organization show`
}

// Run shows the organization.
func (c *OrganizationShow) Run(ctx context.Context, std cli.Streams) error {
	me, err := viewer(ctx, c.APIFlags)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, me)
	}
	o := me.Organization
	return say(std, "%s (%s), %s\nYou are %s, %s, and may: %s", o.Name, o.ID, strings.ToLower(o.Environment), me.Name, me.Role, strings.Join(me.Capabilities, ", "))
}

// OrganizationSet changes one's organization.
type OrganizationSet struct {
	cli.APIFlags
	Name  string `help:"Its new name; a customer has it changed by its vendor."`
	Users string `enum:",TOTALS,PSEUDONYMS,ALL" default:"" help:"What its vendor sees of its users: TOTALS, PSEUDONYMS or ALL."`
}

// Help has the examples.
func (OrganizationSet) Help() string {
	return `Example:
  quorate organization set --users PSEUDONYMS`
}

// Run changes the organization.
func (c *OrganizationSet) Run(ctx context.Context, std cli.Streams) error {
	me, err := viewer(ctx, c.APIFlags)
	if err != nil {
		return err
	}
	return change(ctx, c.APIFlags, std, me.Organization, map[string]any{"name": c.Name, "userVisibility": c.Users})
}

// OrganizationTest makes a test environment.
type OrganizationTest struct {
	cli.APIFlags
	Key string `help:"An idempotency key: repeated with it, the command makes nothing anew."`
}

// Help has the examples.
func (OrganizationTest) Help() string {
	return `Example:
  quorate organization test`
}

// Run makes the test environment.
func (c *OrganizationTest) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, c.APIFlags, std, `mutation($input: CreateTestEnvironmentInput!) { made: createTestEnvironment(input: $input) { organization { `+organizationFields+` } } }`,
		input(map[string]any{"idempotencyKey": onceKey(c.Key)}), func(out organizationMade) error {
			return say(std, "The test environment of %s is %s. Switch to it in the dashboard.", out.Made.Organization.Name, out.Made.Organization.ID)
		})
}

// OrganizationAudit shows the audit log.
type OrganizationAudit struct {
	cli.APIFlags
	Actor  string   `help:"Only what this member, token or server did, by id."`
	Action string   `help:"Only this action, for example member.updated, or all that begin so: member."`
	Target string   `help:"Only what was done to this, by id."`
	Since  cli.Long `help:"Only what is not older, for example 24h or 7d." default:"30d" placeholder:"TIME"`
	Most   int      `help:"How many entries at most." default:"100"`
}

// Help has the examples.
func (OrganizationAudit) Help() string {
	return `Examples:
  quorate organization audit --action member. --since 7d
  quorate organization audit --target mem_0199… --json`
}

type auditView struct {
	ID      string `json:"id"`
	At      string `json:"at"`
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Target  string `json:"target"`
	Changes []struct {
		Name   string  `json:"name"`
		Before *string `json:"before"`
		After  *string `json:"after"`
	} `json:"changes"`
}

// graphQLString writes a text as a GraphQL string, which is as in JSON.
func graphQLString(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string always can be written
		return `""`
	}
	return string(b)
}

// Run shows the log.
func (c *OrganizationAudit) Run(ctx context.Context, std cli.Streams) error {
	filter := []string{"from: " + graphQLString(time.Now().Add(-time.Duration(c.Since)).UTC().Format(time.RFC3339))}
	for _, f := range []struct{ name, value string }{{"actor", c.Actor}, {"action", c.Action}, {"target", c.Target}} {
		if f.value != "" {
			filter = append(filter, fmt.Sprintf("%s: %s", f.name, graphQLString(f.value)))
		}
	}
	all, err := list[auditView](ctx, c.APIFlags, "auditEntries", ", filter: {"+strings.Join(filter, ", ")+"}",
		`id at actor action target changes { name before after }`, min(c.Most, mostListed))
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, all)
	}
	return cli.WriteTable(std.Out, "AT ACTOR ACTION TARGET CHANGES", func(w io.Writer) {
		for _, e := range all {
			var changes []string
			for _, c := range e.Changes {
				changes = append(changes, fmt.Sprintf("%s: %s → %s", c.Name, orDash(c.Before), orDash(c.After)))
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", when(&e.At), e.Actor, e.Action, e.Target, cli.Printable(strings.Join(changes, "; ")))
		}
	})
}
