package admin

import (
	"context"
	"fmt"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/armor"
)

// ContainerReplace replaces a lost backend of a TMR group.
type ContainerReplace struct {
	cli.APIFlags
	Backend string `arg:"" help:"The id or serial number of the backend's container that is lost or broken."`
	Request string `arg:"" help:"The request file of the new container, created with the group's activation id, or - for standard input."`
	Reason  string `required:"" help:"What has happened."`
	ByFiles bool   `help:"The group gets its updates by files: start no rollout over the link."`
}

// Help has the examples.
func (ContainerReplace) Help() string {
	return `On the new machine a container is made with the group's activation id (quorate
container show of another backend tells it), and its license server started. The
old container is blocked at once. Give each TMR server the new backend, one server
after the other: the rollout waits for that, and brings all licenses.

Examples:
  quorate request --container backend2b.db -o new.lreq
  quorate container replace 130-27845973 new.lreq --reason "the disk broke"
  quorate container replace 130-27845973 new.lreq --reason "the disk broke" --by-files`
}

// Run puts the new container into the group.
func (c *ContainerReplace) Run(ctx context.Context, std cli.Streams) error {
	request, err := readFileText(std, c.Request, armor.Request)
	if err != nil {
		return err
	}
	var out struct {
		ReplaceBackend struct {
			TmrGroup struct {
				Name          string `json:"name"`
				VirtualSerial string `json:"virtualSerial"`
			} `json:"tmrGroup"`
			Replaced  registeredView `json:"replaced"`
			Container struct {
				registeredView
				Position int `json:"position"`
			} `json:"container"`
			Rollout *rolloutView `json:"rollout"`
		}
	}
	if err := c.Query(ctx, `mutation($input: ReplaceBackendInput!) { replaceBackend(input: $input) { tmrGroup { name virtualSerial } replaced { `+containerFields+` } container { `+containerFields+` position } rollout { `+rolloutFields+` } } }`,
		map[string]any{"input": map[string]any{"backend": c.Backend, "request": request, "reason": c.Reason, "byFiles": c.ByFiles}}, &out); err != nil {
		return err
	}
	made := out.ReplaceBackend
	if c.JSON {
		return cli.WriteJSON(std.Out, made)
	}
	group := made.TmrGroup.VirtualSerial
	fmt.Fprintf(std.Out, "%s is blocked; %s is backend %d of %s.\n", made.Replaced.Serial, made.Container.Serial, made.Container.Position, group)
	fmt.Fprintf(std.Out, "Give each TMR server the new one, one server after the other: --backend '%s@https://HOST:PORT?pin=…'\n", made.Container.Serial)
	switch {
	case made.Rollout != nil:
		fmt.Fprintf(std.Out, "%s\nWatch it with: quorate rollout status %s\n", made.Rollout.line(), made.Rollout.ID)
	case c.ByFiles:
		fmt.Fprintf(std.Out, "Then bring it the licenses: quorate request --server URL, and quorate offline start %s REQUEST\n", group)
	default:
		fmt.Fprintln(std.Out, "There are no licenses to bring to it.")
	}
	return nil
}
