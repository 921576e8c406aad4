package vendortools

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/firmkeys"
)

// Firm are the commands on firms' keys, at the platform's database.
type Firm struct {
	Keys   firmKeysCmd   `cmd:"" help:"List the keys that a firm signs with and has signed with."`
	Rotate firmRotateCmd `cmd:"" help:"Replace a firm's signing key by a new one, which the old one signs over to."`
	Export firmExportCmd `cmd:"" help:"Write a firm's key to a file, encrypted with a passphrase."`
	Import firmImportCmd `cmd:"" help:"Take a firm's key from a file that export wrote."`
	Rewrap firmRewrapCmd `cmd:"" help:"Change the master key: seal all private keys with a new one."`
}

// firmFlags: these commands run at the platform, on its database.
type firmFlags struct {
	cli.DatabaseFlags
	Token string `help:"An API token of the vendor's owner." required:"" env:"QUORATE_TOKEN"`
	JSON  bool   `help:"Write JSON." name:"json"`
}

// with runs f as the token's owner. No master key is made here: a new one
// would open nothing.
func (c firmFlags) with(ctx context.Context, logger *slog.Logger, open Opener, f func(ctx context.Context, p *platform.Platform) error) error {
	if c.MasterKeyValue == "" && !cli.Exists(c.MasterKey) {
		return license.Errorf(license.CodeNotFound, "give --master-key the file that the platform runs with", "the master key %s is not there", c.MasterKey)
	}
	p, closing, err := open(ctx, c.DatabaseFlags, logger)
	if err != nil {
		return err
	}
	defer closing()
	who, err := p.Authenticate(ctx, c.Token)
	if err != nil {
		return err
	}
	return f(auth.With(ctx, who), p)
}

type firmKeysCmd struct {
	firmFlags
	Firm string `arg:"" help:"The firm code."`
}

func (firmKeysCmd) Help() string {
	return `Example:
  quorate firm keys 6000010`
}

type shownKey struct {
	Serial    int        `json:"serial"`
	PublicKey string     `json:"publicKey"`
	CreatedAt time.Time  `json:"createdAt"`
	RetiredAt *time.Time `json:"retiredAt,omitempty"`
}

func (c *firmKeysCmd) Run(ctx context.Context, std cli.Streams, logger *slog.Logger, open Opener) error {
	return c.with(ctx, logger, open, func(ctx context.Context, p *platform.Platform) error {
		keys, err := p.FirmKeys(ctx, c.Firm)
		if err != nil {
			return err
		}
		shown := make([]shownKey, 0, len(keys))
		for _, k := range keys {
			shown = append(shown, shownKey{k.Serial, base64.StdEncoding.EncodeToString(k.PublicKey), k.CreatedAt, k.RetiredAt})
		}
		if c.JSON {
			return cli.WriteJSON(std.Out, shown)
		}
		for _, k := range shown {
			retired := "in use"
			if k.RetiredAt != nil {
				retired = "until " + k.RetiredAt.UTC().Format(time.DateTime)
			}
			fmt.Fprintf(std.Out, "%4d  %s  from %s  %s\n", k.Serial, k.PublicKey, k.CreatedAt.UTC().Format(time.DateTime), retired)
		}
		return nil
	})
}

type firmRotateCmd struct {
	firmFlags
	Firm   string `arg:"" help:"The firm code."`
	Serial int    `help:"Rotate only if this is the present key, so that a repeated command rotates once."`
}

func (firmRotateCmd) Help() string {
	return `Updates are signed with the new key from now on and show how the old one
passed on to it, so containers that know the old one follow; once they have,
they take nothing signed with the old one. The old private key is not kept.
Export the new one afterwards.

Example:
  quorate firm rotate 6000010 --serial 1`
}

func (c *firmRotateCmd) Run(ctx context.Context, std cli.Streams, logger *slog.Logger, open Opener) error {
	if c.Serial < 0 {
		return license.Errorf(license.CodeInvalidInput, "see quorate firm keys", "keys are numbered from 1")
	}
	return c.with(ctx, logger, open, func(ctx context.Context, p *platform.Platform) error {
		f, err := p.RotateFirmKey(ctx, c.Firm, c.Serial)
		if err != nil {
			return err
		}
		public := base64.StdEncoding.EncodeToString(f.PublicKey)
		if c.JSON {
			return cli.WriteJSON(std.Out, map[string]any{"firm": f.Code, "publicKey": public})
		}
		_, err = fmt.Fprintf(std.Out, "firm %d signs with %s now\n", f.Code, public)
		return err
	})
}

type firmExportCmd struct {
	firmFlags
	Firm           string `arg:"" help:"The firm code."`
	Output         string `help:"The file to write; - for standard output. It is never overwritten." short:"o" required:""`
	PassphraseFile string `help:"File with the passphrase, 12 characters at least." required:""`
}

func (firmExportCmd) Help() string {
	return `The file is an armoured age file: who has the passphrase can speak for the firm.
Keep both apart from each other and from the database's backups.

Example:
  quorate firm export 6000010 -o firm-6000010.key.age --passphrase-file passphrase`
}

func (c *firmExportCmd) Run(ctx context.Context, std cli.Streams, logger *slog.Logger, open Opener) error {
	passphrase, err := cli.ReadSecretFile(c.PassphraseFile, "passphrase")
	if err != nil {
		return err
	}
	return c.with(ctx, logger, open, func(ctx context.Context, p *platform.Platform) error {
		file, err := p.ExportFirmKey(ctx, c.Firm, string(passphrase))
		if err != nil {
			return err
		}
		if c.Output == "-" {
			_, err = std.Out.Write(file)
			return err
		}
		if err := durable.Create(c.Output, file); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return license.Errorf(license.CodeConflict, "name another file", "there is a file at %s already", c.Output)
			}
			return &license.Error{Code: license.CodeUnavailable, Message: "the file " + c.Output + " can't be written", Fix: "check its folder and the free space", Err: err}
		}
		if c.JSON {
			return cli.WriteJSON(std.Out, map[string]string{"file": c.Output})
		}
		_, err = fmt.Fprintf(std.Out, "wrote %s\n", c.Output)
		return err
	})
}

type firmImportCmd struct {
	firmFlags
	Firm           license.FirmCode `arg:"" help:"The firm code that the file is to be of."`
	File           string           `arg:"" help:"The file; - for standard input."`
	PassphraseFile string           `help:"File with the passphrase that it was exported with." required:""`
}

func (firmImportCmd) Help() string {
	return `A firm that is not there is made, and certified by this platform's root key. Of
one that is there, the file must have the present key or one that it was rotated
to since (after restoring an older database). Let only one platform issue a
firm's updates at a time: containers count them.

Example:
  quorate firm import 6000010 firm-6000010.key.age --passphrase-file passphrase`
}

func (c *firmImportCmd) Run(ctx context.Context, std cli.Streams, logger *slog.Logger, open Opener) error {
	passphrase, err := cli.ReadSecretFile(c.PassphraseFile, "passphrase")
	if err != nil {
		return err
	}
	in := std.In
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return &license.Error{Code: license.CodeNotFound, Message: "the file " + c.File + " can't be read", Fix: "name the file that quorate firm export wrote", Err: err}
		}
		defer f.Close()
		in = f
	}
	file, err := io.ReadAll(io.LimitReader(in, firmkeys.MostFirmKeyFile+1))
	if err != nil {
		return err
	}
	return c.with(ctx, logger, open, func(ctx context.Context, p *platform.Platform) error {
		got, err := p.ImportFirmKey(ctx, c.Firm, file, string(passphrase))
		if err != nil {
			return err
		}
		if c.JSON {
			return cli.WriteJSON(std.Out, map[string]any{"firm": got.Firm.Code, "serial": got.Serial, "made": got.Made})
		}
		what := "has"
		if got.Made {
			what = "is made, with"
		}
		_, err = fmt.Fprintf(std.Out, "firm %d %s key %d\n", got.Firm.Code, what, got.Serial)
		return err
	})
}

type firmRewrapCmd struct {
	firmFlags
	NewMasterKey string `help:"File with the new master key; created when it is not there." required:""`
}

func (firmRewrapCmd) Help() string {
	return `Stop the platform's processes before, and start them with the new master key
afterwards. All keys are sealed anew in one transaction: if it breaks off, the
old master key still opens all of them; repeated, it does what is left. Keep the
old master key as long as backups of the database from before are kept.

Example:
  quorate firm rewrap --master-key master.key --new-master-key master-2027.key`
}

func (c *firmRewrapCmd) Run(ctx context.Context, std cli.Streams, logger *slog.Logger, open Opener) error {
	return c.with(ctx, logger, open, func(ctx context.Context, p *platform.Platform) error {
		next, err := core.LoadOrCreateMasterKey(c.NewMasterKey)
		if err != nil {
			return err
		}
		got, err := p.RewrapKeys(ctx, next)
		if err != nil {
			return err
		}
		if c.JSON {
			return cli.WriteJSON(std.Out, map[string]int{"sealed": got.Sealed, "already": got.Already})
		}
		_, err = fmt.Fprintf(std.Out, "%d keys sealed anew, %d were already; start the platform with --master-key %s\n", got.Sealed, got.Already, c.NewMasterKey)
		return err
	})
}
