package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
)

// placeInput names a TMR group or a container, whichever an id or a serial
// number stands for.
func placeInput(idOrSerial string) map[string]any {
	serial, err := license.ParseSerial(idOrSerial)
	if strings.HasPrefix(idOrSerial, "con_") || (err == nil && serial.Kind() != license.KindVirtual) {
		return map[string]any{"container": idOrSerial}
	}
	return map[string]any{"tmrGroup": idOrSerial}
}

const containerFields = `id serial kind state suspectReason blockReason`

type registeredView struct {
	ID            string `json:"id"`
	Serial        string `json:"serial"`
	Kind          string `json:"kind"`
	State         string `json:"state"`
	SuspectReason string `json:"suspectReason"`
	BlockReason   string `json:"blockReason"`
}

// ContainerRegister makes a container known to the platform.
type ContainerRegister struct {
	cli.APIFlags
	Request  string `arg:"" help:"The request file that quorate request wrote at the customer's, or - for standard input."`
	Customer string `help:"The customer that runs it, by name; made where there is none. Left out: the vendor itself, or the customer whose token it is."`
	Vendor   string `help:"Who licenses to it, by id: your own organization, or your vendor. Only who is a vendor and a customer, too, has to say it; left out, it is your vendor if you have one."`
	Server   string `help:"The name of its license server (quorate server --name), for updates over the link; its link token is printed once."`
	Address  string `help:"Where programs reach that server, for people to read."`
}

// Help has the examples.
func (ContainerRegister) Help() string {
	return `A vendor's administrator registers containers for anybody, a customer's for the
customer. Who is both is meant as the customer where --vendor doesn't say
otherwise.

Examples:
  quorate container register one.lreq --customer "Shipping Company"
  quorate container register one.lreq --customer "Harbour" --vendor org_01993a4e-6d1c-7e43-9d0b-2f0c8a4a1b77
  quorate container register one.lreq --server office --address office:7400`
}

// Run sends the request file.
func (c *ContainerRegister) Run(ctx context.Context, std cli.Streams) error {
	request, err := readFileText(std, c.Request, armor.Request)
	if err != nil {
		return err
	}
	input := map[string]any{"request": request}
	if c.Customer != "" {
		input["customer"] = c.Customer
	}
	if c.Vendor != "" {
		input["vendor"] = c.Vendor
	}
	if c.Server != "" {
		input["server"] = map[string]any{"name": c.Server, "address": c.Address}
	}
	var out struct {
		RegisterContainer struct {
			Container registeredView `json:"container"`
			LinkToken *string        `json:"linkToken"`
		}
	}
	if err := c.Query(ctx, `mutation($input: RegisterContainerInput!) { registerContainer(input: $input) { container { `+containerFields+` } linkToken } }`,
		map[string]any{"input": input}, &out); err != nil {
		return err
	}
	made := out.RegisterContainer
	if c.JSON {
		return cli.WriteJSON(std.Out, made)
	}
	fmt.Fprintf(std.Out, "%s is registered as %s.\n", made.Container.Serial, made.Container.ID)
	switch {
	case made.LinkToken != nil:
		fmt.Fprintf(std.Out, "Link token of its license server, shown this once: %s\n", *made.LinkToken)
	case c.Server != "":
		fmt.Fprintf(std.Out, "Its license server %s has its link token already.\n", c.Server)
	}
	return nil
}

// ContainerDecide decides about a suspected container.
type ContainerDecide struct {
	cli.APIFlags
	Container string `arg:"" help:"The container's id or serial number."`
	Decision  string `arg:"" enum:"ACCEPT,BLOCK,accept,block" help:"ACCEPT: its state becomes the recorded one, and what it misses comes again. BLOCK: it gets no updates any more."`
	Note      string `help:"Why, for the audit log."`
}

// Help has the examples.
func (ContainerDecide) Help() string {
	return `Example:
  quorate container decide 130-1874829 ACCEPT --note "restored after a disk failure"`
}

// Run sends the decision.
func (c *ContainerDecide) Run(ctx context.Context, std cli.Streams) error {
	var out struct {
		DecideContainer struct{ Container registeredView }
	}
	if err := c.Query(ctx, `mutation($input: DecideContainerInput!) { decideContainer(input: $input) { container { `+containerFields+` } } }`,
		map[string]any{"input": map[string]any{"container": c.Container, "decision": strings.ToUpper(c.Decision), "note": c.Note}}, &out); err != nil {
		return err
	}
	decided := out.DecideContainer.Container
	if c.JSON {
		return cli.WriteJSON(std.Out, decided)
	}
	_, err := fmt.Fprintf(std.Out, "%s: %s\n", decided.Serial, decided.State)
	return err
}

const transferFields = `id kind state quantity product { reference } toContainer { serial } note`

type transferView struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Quantity int    `json:"quantity"`
	Product  struct {
		Reference string `json:"reference"`
	} `json:"product"`
	ToContainer *struct {
		Serial string `json:"serial"`
	} `json:"toContainer"`
	Note string `json:"note"`
}

func (t transferView) line() string {
	line := fmt.Sprintf("%s %d licenses of %s: %s", strings.ToLower(t.Kind), t.Quantity, t.Product.Reference, strings.ToLower(t.State))
	if t.ToContainer != nil {
		line += ", to " + t.ToContainer.Serial
	}
	if t.Note != "" {
		line += ": " + t.Note
	}
	return line
}

// transferFlags are what every transfer names.
type transferFlags struct {
	cli.APIFlags
	From     string `arg:"" help:"The id or serial number of a container outside of groups (130-1874829) or of a TMR group (131-4837572)."`
	Product  string `arg:"" help:"FIRM:PRODUCT, for example 6000010:14."`
	Quantity int    `arg:"" help:"How many licenses."`
	Reason   string `help:"Why."`
	Key      string `help:"The same key does it once, however often the command runs."`
}

func (c transferFlags) run(ctx context.Context, std cli.Streams, mutation, input string, more map[string]any) error {
	in := placeInput(c.From)
	in["product"], in["quantity"], in["reason"] = c.Product, c.Quantity, c.Reason
	if c.Key != "" {
		in["idempotencyKey"] = c.Key
	}
	for k, v := range more {
		in[k] = v
	}
	out := map[string]struct{ Transfer transferView }{}
	if err := c.Query(ctx, fmt.Sprintf(`mutation($input: %s!) { %s(input: $input) { transfer { %s } } }`, input, mutation, transferFields),
		map[string]any{"input": in}, &out); err != nil {
		return err
	}
	t := out[mutation].Transfer
	if c.JSON {
		return cli.WriteJSON(std.Out, t)
	}
	_, err := fmt.Fprintf(std.Out, "%s\n%s. The next rollout takes them: quorate rollout start %s, or quorate offline start %s REQUEST\n", t.ID, t.line(), c.From, c.From)
	return err
}

// ContainerReturn gives licenses back.
type ContainerReturn struct{ transferFlags }

// Help has the examples.
func (ContainerReturn) Help() string {
	return `They can be ordered again (quorate order --credit) when the container has confirmed
that they are gone.

Example:
  quorate container return 130-1874829 6000010:14 2 --reason "too many"`
}

// Run starts the transfer.
func (c *ContainerReturn) Run(ctx context.Context, std cli.Streams) error {
	return c.run(ctx, std, "returnLicenses", "TransferInput", nil)
}

// ContainerRevoke takes licenses away.
type ContainerRevoke struct{ transferFlags }

// Help has the examples.
func (ContainerRevoke) Help() string {
	return `Example:
  quorate container revoke 130-1874829 6000010:14 2 --reason "not paid"`
}

// Run starts the transfer.
func (c *ContainerRevoke) Run(ctx context.Context, std cli.Streams) error {
	return c.run(ctx, std, "revokeLicenses", "TransferInput", nil)
}

// ContainerMove moves licenses to another container.
type ContainerMove struct {
	transferFlags
	To string `required:"" help:"The id or serial number of the container that they go to."`
}

// Help has the examples.
func (ContainerMove) Help() string {
	return `They are ordered for the other container when the first one has confirmed that they
are gone.

Example:
  quorate container move 130-1874829 6000010:14 2 --to 130-27845973`
}

// Run starts the transfer.
func (c *ContainerMove) Run(ctx context.Context, std cli.Streams) error {
	return c.run(ctx, std, "moveLicenses", "MoveLicensesInput", map[string]any{"to": c.To})
}

// ContainerRehost replaces a lost container.
type ContainerRehost struct {
	cli.APIFlags
	Lost        string `arg:"" help:"The lost container's id or serial number."`
	Replacement string `arg:"" help:"That of its replacement, registered for the same customer."`
	Reason      string `required:"" help:"What has happened."`
}

// Help has the examples.
func (ContainerRehost) Help() string {
	return `Example:
  quorate container rehost 130-1874829 130-27845973 --reason "the machine burned"`
}

// Run blocks the container and orders its licenses for the other one.
func (c *ContainerRehost) Run(ctx context.Context, std cli.Streams) error {
	var out struct {
		RehostContainer struct {
			Container registeredView `json:"container"`
			Transfers []transferView `json:"transfers"`
		}
	}
	if err := c.Query(ctx, `mutation($input: RehostContainerInput!) { rehostContainer(input: $input) { container { `+containerFields+` } transfers { `+transferFields+` } } }`,
		map[string]any{"input": map[string]any{"container": c.Lost, "replacement": c.Replacement, "reason": c.Reason}}, &out); err != nil {
		return err
	}
	made := out.RehostContainer
	if c.JSON {
		return cli.WriteJSON(std.Out, made)
	}
	fmt.Fprintf(std.Out, "%s is blocked.\n", made.Container.Serial)
	for _, t := range made.Transfers {
		fmt.Fprintln(std.Out, t.line())
	}
	return nil
}
