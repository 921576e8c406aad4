package admin

import (
	"context"
	"fmt"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
)

// Offline are the platform's side of rollouts by files.
type Offline struct {
	Start   offlineStartCmd   `cmd:"" help:"Take the request file of a TMR group or a container, and write the update file for it."`
	Finish  offlineFinishCmd  `cmd:"" help:"Take the receipt file: the rollout is done."`
	Certify offlineCertifyCmd `cmd:"" help:"Take a request file, of a container or a TMR group, and write the time certificates for it."`
}

type offlineStartCmd struct {
	cli.APIFlags
	Group   string `arg:"" help:"The id or serial number of a TMR group (131-4837572) or of a container outside of groups (130-1874829)."`
	Request string `arg:"" help:"The request file that quorate request wrote at the customer's, or - for standard input."`
	Output  string `help:"Where to write the update: a file, or - for standard output." short:"o" default:"-"`
}

func (offlineStartCmd) Help() string {
	return `The rollout then waits for the receipts. Given a newer request of the same place
meanwhile, this writes the same update again, and counts as installed what the
request shows to be installed.

Examples:
  quorate offline start 131-4837572 group.lreq -o group.lupd
  quorate offline start 130-1874829 one.lreq -o one.lupd`
}

func (c *offlineStartCmd) Run(ctx context.Context, std cli.Streams) error {
	if err := filetools.Writable(c.Output, armor.Update); err != nil {
		return err
	}
	request, err := readFileText(std, c.Request, armor.Request)
	if err != nil {
		return err
	}
	input := placeInput(c.Group)
	input["request"] = request
	var out struct {
		StartOfflineRollout struct {
			Rollout rolloutView
			Update  *string
		}
	}
	err = c.Query(ctx, `mutation($input: StartOfflineRolloutInput!) { startOfflineRollout(input: $input) { rollout { `+rolloutFields+` } update } }`,
		map[string]any{"input": input}, &out)
	if err != nil {
		return err
	}
	if u := out.StartOfflineRollout.Update; u != nil {
		if err := filetools.WriteText(std.Out, c.Output, armor.Update, []byte(*u)); err != nil {
			return err
		}
	}
	if c.Output == "-" { // the update is there
		return printRollout(std.Err, out.StartOfflineRollout.Rollout, c.JSON)
	}
	return printRollout(std.Out, out.StartOfflineRollout.Rollout, c.JSON)
}

type offlineFinishCmd struct {
	cli.APIFlags
	ID      string `arg:"" name:"id" help:"The rollout's id, as quorate offline start prints it."`
	Receipt string `arg:"" help:"The receipt file that quorate apply wrote at the customer's, or - for standard input."`
}

func (offlineFinishCmd) Help() string {
	return `Example:
  quorate offline finish rol_0199… group.lrcp`
}

func (c *offlineFinishCmd) Run(ctx context.Context, std cli.Streams) error {
	receipt, err := readFileText(std, c.Receipt, armor.Receipt)
	if err != nil {
		return err
	}
	var out struct{ FinishOfflineRollout struct{ Rollout rolloutView } }
	err = c.Query(ctx, `mutation($input: FinishOfflineRolloutInput!) { finishOfflineRollout(input: $input) { rollout { `+rolloutFields+` } } }`,
		map[string]any{"input": map[string]any{"rollout": c.ID, "receipt": receipt}}, &out)
	if err != nil {
		return err
	}
	return printRollout(std.Out, out.FinishOfflineRollout.Rollout, c.JSON)
}

type offlineCertifyCmd struct {
	cli.APIFlags
	Request string `arg:"" help:"The request file that quorate request wrote at the customer's, or - for standard input."`
	Output  string `help:"Where to write the update file with the certificates: a file, or - for standard output." short:"o" default:"-"`
}

func (offlineCertifyCmd) Help() string {
	return `For a license server without a link whose clock was set back, where no update is due:
an update brings the time anyway. quorate apply installs it; a certificate serves once,
for the newest request of its container.

Examples:
  quorate offline certify one.lreq -o one.lupd
  quorate offline certify group.lreq -o group.lupd`
}

func (c *offlineCertifyCmd) Run(ctx context.Context, std cli.Streams) error {
	if err := filetools.Writable(c.Output, armor.Update); err != nil {
		return err
	}
	request, err := readFileText(std, c.Request, armor.Request)
	if err != nil {
		return err
	}
	var out struct {
		CertifyTime struct {
			Update      string `json:"update"`
			CertifiedAt string `json:"certifiedAt"`
			Containers  []struct {
				Serial string `json:"serial"`
			} `json:"containers"`
		}
	}
	err = c.Query(ctx, `mutation($input: CertifyTimeInput!) { certifyTime(input: $input) { update certifiedAt containers { serial } } }`,
		map[string]any{"input": map[string]any{"request": request}}, &out)
	if err != nil {
		return err
	}
	if err := filetools.WriteText(std.Out, c.Output, armor.Update, []byte(out.CertifyTime.Update)); err != nil {
		return err
	}
	told := std.Out
	if c.Output == "-" { // the file is there
		told = std.Err
	}
	if c.JSON {
		return cli.WriteJSON(told, map[string]any{"certifiedAt": out.CertifyTime.CertifiedAt, "containers": out.CertifyTime.Containers})
	}
	for _, k := range out.CertifyTime.Containers {
		if _, err := fmt.Fprintf(told, "%s: the time %s\n", k.Serial, out.CertifyTime.CertifiedAt); err != nil {
			return err
		}
	}
	return nil
}

// readFileText gives a file's text, after it was read as what it has to be: a
// mistaken file is refused here already.
func readFileText(std cli.Streams, path string, kind armor.Kind) (string, error) {
	f, err := filetools.ReadArmored(std.In, path)
	if err != nil {
		return "", err
	}
	if f.Kind != kind {
		return "", license.Errorf(license.CodeInvalidInput, fmt.Sprintf("give a %s file", kind), "%s is a %s file, not a %s", path, f.Kind, kind)
	}
	text, err := armor.Encode(f)
	return string(text), err
}
