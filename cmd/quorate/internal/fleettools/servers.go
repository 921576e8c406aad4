// Package fleettools has the commands on the servers that link to the platform,
// and on their enrollment.
package fleettools

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// Servers are the commands on servers.
type Servers struct {
	List   List         `cmd:"" aliases:"ls" default:"withargs" help:"List the servers: who is linked, since when, and how fast."`
	Revoke ServerRevoke `cmd:"" help:"Have a server's link token be worth nothing, at once."`
	Rotate ServerRotate `cmd:"" help:"Give a server a new link token; the old one is worth nothing at once."`
}

const serverFields = `id name role state version latency links seenAt linkedAt lostAt startedAt revokedAt customer { name } container { serial } tmrGroup { virtualSerial }`

type serverView struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	State     string     `json:"state"`
	Version   string     `json:"version"`
	Latency   *int       `json:"latency"`
	Links     int        `json:"links"`
	SeenAt    *time.Time `json:"seenAt"`
	LinkedAt  *time.Time `json:"linkedAt"`
	LostAt    *time.Time `json:"lostAt"`
	StartedAt *time.Time `json:"startedAt"`
	RevokedAt *time.Time `json:"revokedAt"`
	Customer  *struct {
		Name string `json:"name"`
	} `json:"customer"`
	Container *struct {
		Serial string `json:"serial"`
	} `json:"container"`
	TmrGroup *struct {
		VirtualSerial string `json:"virtualSerial"`
	} `json:"tmrGroup"`
}

func (s serverView) place() string {
	switch {
	case s.Container != nil:
		return s.Container.Serial
	case s.TmrGroup != nil:
		return s.TmrGroup.VirtualSerial
	}
	return "-"
}

// List lists servers.
type List struct {
	cli.APIFlags
	State    []string `help:"Only those: online, stale, offline or never." placeholder:"STATE" enum:"online,stale,offline,never"`
	Customer string   `help:"Only those of this customer, by its id or name."`
	Place    string   `help:"Only those of this TMR group or container, by id or serial number."`
}

// Help has the examples.
func (List) Help() string {
	return `Examples:
  quorate servers
  quorate servers list --state offline,stale
  quorate servers list --place 131-4837572 --json`
}

// Run asks for all pages.
func (c *List) Run(ctx context.Context, std cli.Streams) error {
	vars := map[string]any{}
	if len(c.State) > 0 {
		var states []string
		for _, s := range c.State {
			states = append(states, strings.ToUpper(s))
		}
		vars["states"] = states
	}
	if c.Customer != "" {
		id, err := cli.CustomerID(ctx, c.APIFlags, c.Customer)
		if err != nil {
			return err
		}
		vars["customer"] = id
	}
	if c.Place != "" {
		for k, v := range cli.PlaceInput(c.Place) {
			vars[k] = v
		}
	}
	all, err := cli.Pages[serverView](ctx, c.APIFlags, `query($first: Int!, $after: Cursor, $states: [ServerState!], $customer: ID, $tmrGroup: ID, $container: ID) {
		page: servers(first: $first, after: $after, states: $states, customer: $customer, tmrGroup: $tmrGroup, container: $container) {
		edges { node { `+serverFields+` } } pageInfo { hasNextPage endCursor } } }`, vars, 0)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, all)
	}
	tab := cli.NewTable(std.Out)
	fmt.Fprintln(tab, "SERVER\tNAME\tOF\tSTATE\tROLE\tVERSION\tLATENCY\tSEEN\tCUSTOMER")
	for _, s := range all {
		latency, seen, customer := "-", "-", "-"
		if s.Latency != nil {
			latency = fmt.Sprintf("%d ms", *s.Latency)
		}
		if s.SeenAt != nil {
			seen = s.SeenAt.UTC().Format(time.RFC3339)
		}
		if s.Customer != nil {
			customer = s.Customer.Name
		}
		state := strings.ToLower(s.State)
		if s.RevokedAt != nil {
			state = "revoked"
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, cli.Printable(s.Name), s.place(), state, strings.ToLower(s.Role),
			cmp.Or(cli.Printable(s.Version), "-"), latency, seen, cli.Printable(customer))
	}
	return tab.Flush()
}

// ServerRevoke revokes a server.
type ServerRevoke struct {
	cli.APIFlags
	Server string `arg:"" help:"The server's id, as quorate servers prints it."`
}

// Help has the examples.
func (ServerRevoke) Help() string {
	return `What its programs hold stays. quorate enroll create makes it known again.

Example:
  quorate servers revoke srv_0193…`
}

// Run revokes it.
func (c *ServerRevoke) Run(ctx context.Context, std cli.Streams) error {
	var out struct{ RevokeServer struct{ Server serverView } }
	if err := c.Query(ctx, `mutation($input: ServerInput!) { revokeServer(input: $input) { server { `+serverFields+` } } }`,
		map[string]any{"input": map[string]any{"server": c.Server}}, &out); err != nil {
		return err
	}
	s := out.RevokeServer.Server
	if c.JSON {
		return cli.WriteJSON(std.Out, s)
	}
	_, err := fmt.Fprintf(std.Out, "The link token of %s is worth nothing.\n", cli.Printable(s.Name))
	return err
}

// ServerRotate gives a server a new token.
type ServerRotate struct {
	cli.APIFlags
	Server string `arg:"" help:"The server's id, as quorate servers prints it."`
}

// Help has the examples.
func (ServerRotate) Help() string {
	return `Example:
  quorate servers rotate srv_0193… > /etc/quorate/link.token`
}

// Run prints the token alone.
func (c *ServerRotate) Run(ctx context.Context, std cli.Streams) error {
	var out struct {
		RotateLinkToken struct {
			Server    serverView `json:"server"`
			LinkToken string     `json:"linkToken"`
		}
	}
	if err := c.Query(ctx, `mutation($input: ServerInput!) { rotateLinkToken(input: $input) { server { `+serverFields+` } linkToken } }`,
		map[string]any{"input": map[string]any{"server": c.Server}}, &out); err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, out.RotateLinkToken)
	}
	_, err := fmt.Fprintln(std.Out, out.RotateLinkToken.LinkToken)
	return err
}
