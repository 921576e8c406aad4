package clienttools

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/protect"
)

// pluginName is what age calls the plugin for our recipients and identities.
// The same binary under this name is the plugin.
const pluginName = "age-plugin-" + protect.PluginName

// IsPlugin says whether this process was started as the plugin.
func IsPlugin(arg0 string) bool {
	return strings.TrimSuffix(filepath.Base(arg0), ".exe") == pluginName
}

// pluginWait is how long a license server may be away while age waits.
const pluginWait = 10 * time.Second

// RunPlugin speaks age's plugin protocol on the streams.
func RunPlugin(ctx context.Context, args []string, std cli.Streams) int {
	p, err := plugin.New(protect.PluginName)
	if err != nil {
		fmt.Fprintln(std.Err, pluginName+":", err)
		return cli.ExitFailure
	}
	fs := flag.NewFlagSet(pluginName, flag.ContinueOnError)
	fs.SetOutput(std.Err)
	fs.Usage = func() {
		fmt.Fprintln(std.Err, pluginName+" is started by age, for files that are protected for a product. See quorate protect --help.")
	}
	p.RegisterFlags(fs)
	if err := fs.Parse(args); err != nil || fs.NArg() > 0 || len(args) == 0 {
		if err == nil {
			fs.Usage()
		}
		return cli.ExitUsage
	}
	p.HandleRecipient(func(data []byte) (age.Recipient, error) {
		r, err := protect.DecodeRecipient(data)
		if err != nil {
			return nil, told(err)
		}
		return r, nil
	})
	p.HandleIdentity(func(data []byte) (age.Identity, error) {
		l, err := protect.DecodeIdentity(data)
		if err != nil {
			return nil, told(err)
		}
		return &pluginIdentity{ctx, l}, nil
	})
	p.HandleIdentityAsRecipient(func([]byte) (age.Recipient, error) {
		return nil, told(license.Errorf(license.CodeInvalidInput, "encrypt for the recipient that quorate protect recipient shows", "an identity holds no public key"))
	})
	p.SetIO(std.In, std.Out, std.Err)
	return p.Main()
}

// pluginIdentity holds a license while a file's key is opened.
type pluginIdentity struct {
	ctx     context.Context //nolint:containedctx // of one process
	locator protect.Locator
}

func (i *pluginIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	sdk, err := client.Open(i.ctx, client.Config{Servers: i.locator.Servers, Application: "age", Wait: pluginWait})
	if err != nil {
		return nil, told(err)
	}
	defer sdk.Close()
	asks := &asker{ctx: i.ctx, sdk: sdk, wait: pluginWait}
	key, err := protect.NewIdentity(i.locator.Product, asks.open).Unwrap(stanzas)
	if err != nil && !errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, told(err)
	}
	return key, err
}

// told is an error as age shows it: what is wrong, what to do, and the code.
func told(err error) error {
	var b strings.Builder
	cli.Report(&b, err)
	return errors.New(strings.TrimSpace(strings.TrimPrefix(b.String(), "quorate: ")))
}
