package fleettools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// Enroll are the commands on one-time codes for servers.
type Enroll struct {
	Create EnrollCreate `cmd:"" help:"Make a code by which a server gets its link token, once."`
	List   EnrollList   `cmd:"" aliases:"ls" help:"List the codes that were made: for whom, and whether they were used."`
	Revoke EnrollRevoke `cmd:"" help:"Have a code be worth nothing."`
}

const enrollmentFields = `id name state createdBy createdAt expiresAt usedAt container { serial } tmrGroup { virtualSerial }`

type enrollmentView struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	State     string     `json:"state"`
	CreatedBy string     `json:"createdBy"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt time.Time  `json:"expiresAt"`
	UsedAt    *time.Time `json:"usedAt"`
	Container *struct {
		Serial string `json:"serial"`
	} `json:"container"`
	TmrGroup *struct {
		VirtualSerial string `json:"virtualSerial"`
	} `json:"tmrGroup"`
}

func (e enrollmentView) place() string {
	return serverView{Container: e.Container, TmrGroup: e.TmrGroup}.place()
}

// EnrollCreate makes a code.
type EnrollCreate struct {
	cli.APIFlags
	Place string `arg:"" help:"The id or serial number of a container outside of groups (130-1874829) or of a TMR group (131-4837572)."`
	Name  string `arg:"" help:"The server's name (quorate server --name, quorate tmr --name). One that is there already gets a new token by the code."`
	Hours int    `help:"For how many hours the code can be used, 1 to 720." default:"24"`
	Key   string `help:"The same key makes one code, however often the command runs; it is shown the first time."`
}

// Help has the examples.
func (EnrollCreate) Help() string {
	return `Example (the second line at the server):
  quorate enroll create 130-1874829 office
  quorate server --name office --platform https://licenses.example.com --enroll CODE`
}

// Run makes it.
func (c *EnrollCreate) Run(ctx context.Context, std cli.Streams) error {
	in := cli.PlaceInput(c.Place)
	in["name"], in["hours"] = c.Name, c.Hours
	if c.Key != "" {
		in["idempotencyKey"] = c.Key
	}
	var out struct {
		CreateEnrollment struct {
			Enrollment enrollmentView `json:"enrollment"`
			Code       *string        `json:"code"`
		}
	}
	if err := c.Query(ctx, `mutation($input: CreateEnrollmentInput!) { createEnrollment(input: $input) { enrollment { `+enrollmentFields+` } code } }`,
		map[string]any{"input": in}, &out); err != nil {
		return err
	}
	made := out.CreateEnrollment
	if c.JSON {
		return cli.WriteJSON(std.Out, made)
	}
	if made.Code == nil {
		_, err := fmt.Fprintf(std.Out, "%s was made before; its code was shown then.\n", made.Enrollment.ID)
		return err
	}
	_, err := fmt.Fprintf(std.Out, "%s\n%s, for the server %s of %s, once until %s.\n", *made.Code, made.Enrollment.ID,
		cli.Printable(made.Enrollment.Name), made.Enrollment.place(), made.Enrollment.ExpiresAt.UTC().Format(time.RFC3339))
	return err
}

// EnrollList lists codes.
type EnrollList struct{ cli.APIFlags }

// Help has the examples.
func (EnrollList) Help() string {
	return `Example:
  quorate enroll list`
}

// Run asks for all of them.
func (c *EnrollList) Run(ctx context.Context, std cli.Streams) error {
	all, err := cli.Pages[enrollmentView](ctx, c.APIFlags, `query($first: Int!, $after: Cursor) { page: enrollments(first: $first, after: $after) {
		edges { node { `+enrollmentFields+` } } pageInfo { hasNextPage endCursor } } }`, nil, 0)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, all)
	}
	tab := cli.NewTable(std.Out)
	fmt.Fprintln(tab, "ENROLLMENT\tSERVER\tOF\tSTATE\tUNTIL\tMADE BY")
	for _, e := range all {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, cli.Printable(e.Name), e.place(), strings.ToLower(e.State), e.ExpiresAt.UTC().Format(time.RFC3339), cli.Printable(e.CreatedBy))
	}
	return tab.Flush()
}

// EnrollRevoke revokes a code.
type EnrollRevoke struct {
	cli.APIFlags
	Enrollment string `arg:"" help:"Its id, as quorate enroll list prints it."`
}

// Help has the examples.
func (EnrollRevoke) Help() string {
	return `Example:
  quorate enroll revoke enr_0193…`
}

// Run revokes it.
func (c *EnrollRevoke) Run(ctx context.Context, std cli.Streams) error {
	var out struct {
		RevokeEnrollment struct{ Enrollment enrollmentView }
	}
	if err := c.Query(ctx, `mutation($input: RevokeEnrollmentInput!) { revokeEnrollment(input: $input) { enrollment { `+enrollmentFields+` } } }`,
		map[string]any{"input": map[string]any{"enrollment": c.Enrollment}}, &out); err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, out.RevokeEnrollment.Enrollment)
	}
	_, err := fmt.Fprintf(std.Out, "%s: %s\n", out.RevokeEnrollment.Enrollment.ID, strings.ToLower(out.RevokeEnrollment.Enrollment.State))
	return err
}
