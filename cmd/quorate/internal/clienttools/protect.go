package clienttools

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/protect"
)

// Protect are the commands on protected files.
type Protect struct {
	Encrypt   protectEncryptCmd   `cmd:"" help:"Protect a file for a product."`
	Decrypt   protectDecryptCmd   `cmd:"" help:"Read a protected file with a license."`
	Recipient protectRecipientCmd `cmd:"" help:"Show a product as a recipient, for the age tool."`
	Identity  protectIdentityCmd  `cmd:"" help:"Show license servers as an identity, for the age tool."`
}

// keyFlags say which product a file is for and where its public key comes from.
type keyFlags struct {
	cli.APIFlags
	Product string `help:"FIRM:PRODUCT, for example 6000010:14. Needed unless --key holds a recipient."`
	Key     string `help:"A file with the product's public key in Base64, or a recipient. Without it the platform is asked." placeholder:"FILE"`
}

const mostKeyFile = 64 << 10

func (f keyFlags) recipient(ctx context.Context) (*protect.Recipient, error) {
	var p license.Product
	if f.Product != "" {
		var err error
		if p, err = license.ParseProduct(f.Product); err != nil {
			return nil, err
		}
	}
	if f.Key != "" {
		return f.fromFile(p)
	}
	if f.Product == "" {
		return nil, license.Errorf(license.CodeInvalidInput, "name it with --product, for example 6000010:14", "no product is named")
	}
	public, err := f.fromPlatform(ctx, f.Product)
	if err != nil {
		return nil, err
	}
	return protect.NewRecipient(p, public)
}

// fromFile reads a recipient, or a public key for p.
func (f keyFlags) fromFile(p license.Product) (*protect.Recipient, error) {
	file, _, err := openInput(f.Key)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, mostKeyFile))
	if err != nil {
		return nil, &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("%s can't be read", f.Key), Fix: "check the file", Err: err}
	}
	var found []string
	for line := range strings.Lines(string(bytes.TrimSpace(raw))) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			found = append(found, line)
		}
	}
	bad := func(fix, format string, args ...any) error {
		return license.Errorf(license.CodeInvalidInput, fix, format, args...)
	}
	if len(found) != 1 {
		return nil, bad("it has one line, as quorate protect recipient writes it", "%s holds %d keys", f.Key, len(found))
	}
	if strings.HasPrefix(found[0], "age1") {
		r, err := protect.ParseRecipient(found[0])
		if err == nil && f.Product != "" && r.Product() != p {
			err = bad("leave --product out, or give another key", "%s is for %s, not for %s", f.Key, r.Product(), p)
		}
		return r, err
	}
	if f.Product == "" {
		return nil, bad("name it with --product, for example 6000010:14", "%s does not say which product it is for", f.Key)
	}
	public, err := base64.StdEncoding.DecodeString(found[0])
	if err != nil {
		return nil, bad("copy it from the platform: the product's publicKey", "%s holds no public key in Base64", f.Key)
	}
	return protect.NewRecipient(p, public)
}

// fromPlatform looks the product up, page by page.
func (f keyFlags) fromPlatform(ctx context.Context, product string) ([]byte, error) {
	const query = `query($after: Cursor) { products(first: 100, after: $after) {
		pageInfo { hasNextPage endCursor } edges { node { reference publicKey } } } }`
	variables := map[string]any{}
	for {
		var page struct {
			Products struct {
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
				Edges []struct {
					Node struct{ Reference, PublicKey string }
				}
			}
		}
		if err := f.Query(ctx, query, variables, &page); err != nil {
			return nil, err
		}
		for _, e := range page.Products.Edges {
			if e.Node.Reference != product {
				continue
			}
			public, err := base64.StdEncoding.DecodeString(e.Node.PublicKey)
			if err != nil {
				return nil, license.Errorf(license.CodeInvalidInput, "check that --url is a Quorate platform", "the platform's public key of %s is not Base64", product)
			}
			return public, nil
		}
		if !page.Products.PageInfo.HasNextPage || len(page.Products.Edges) == 0 {
			return nil, license.Errorf(license.CodeNotFound, "check the firm code and the product code on the platform", "the platform has no product %s", product)
		}
		variables["after"] = page.Products.PageInfo.EndCursor
	}
}

type protectEncryptCmd struct {
	keyFlags
	fileFlags
	Armor bool `help:"Write text instead of bytes, for mail and configuration files."`
}

func (protectEncryptCmd) Help() string {
	return `The file opens only where a license for the product is in use. It is an age
file: the age tool with its plugin opens it, too.

Examples:
  quorate protect encrypt --product 6000010:14 -o model.age model.bin
  quorate protect encrypt --key chart.recipient -o model.age model.bin
  tar c charts | quorate protect encrypt --product 6000010:14 --armor - > charts.txt`
}

func (c *protectEncryptCmd) Run(ctx context.Context, std cli.Streams) error {
	if c.JSON && c.Output == "" {
		return license.Errorf(license.CodeInvalidInput, "name the file to write with --output", "--json and the protected file can't both go to standard output")
	}
	if c.Output == "" && !c.Armor && isTerminal(std.Out) {
		return license.Errorf(license.CodeInvalidInput, "name a file with --output, or give --armor", "a protected file is no text for a terminal")
	}
	if err := c.check(); err != nil {
		return err
	}
	to, err := c.recipient(ctx)
	if err != nil {
		return err
	}
	var size int64
	err = c.convert(ctx, std, 0o644, func(dst io.Writer, src io.Reader) error {
		w, err := protect.Encrypt(dst, c.Armor, to)
		if err != nil {
			return err
		}
		if size, err = io.Copy(w, src); err != nil {
			return err
		}
		return w.Close()
	})
	if err != nil || !c.JSON {
		return err
	}
	return cli.WriteJSON(std.Out, struct {
		File    string `json:"file"`
		Product string `json:"product"`
		Bytes   int64  `json:"bytes"`
	}{c.Output, to.Product().String(), size})
}

type protectDecryptCmd struct {
	serverFlags
	fileFlags
	Product string `help:"Only for this product, FIRM:PRODUCT; else the one that the file names."`
}

func (protectDecryptCmd) Help() string {
	return `A license is held for the time of reading. What goes to standard output is
authentic; whether it is all of the file is known from the exit status. A file
named by --output is written whole or not at all, and only its owner may read
it.

Examples:
  quorate protect decrypt --server http://licenses:7400 -o model.bin model.age
  quorate protect decrypt --server http://licenses:7400 charts.txt | tar x`
}

func (c *protectDecryptCmd) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	var only license.Product
	if c.Product != "" {
		var err error
		if only, err = license.ParseProduct(c.Product); err != nil {
			return err
		}
	}
	if err := c.check(); err != nil {
		return err
	}
	sdk, err := c.open(ctx, cli.Quiet(logger), func(cfg *client.Config) { cfg.Application = "quorate protect" })
	if err != nil {
		return err
	}
	defer sdk.Close()
	asks := &asker{ctx: ctx, sdk: sdk, wait: c.Wait}
	return c.convert(ctx, std, 0o600, func(dst io.Writer, src io.Reader) error {
		content, err := protect.Open(src, protect.NewIdentity(only, asks.open))
		if err != nil {
			return err
		}
		_, err = io.Copy(dst, licensed{content, asks.handle})
		return err
	})
}

// asker takes a license for the product that a file names and has the license
// server open the file's key. The handle of the key that opened is kept.
type asker struct {
	ctx    context.Context //nolint:containedctx // of one command
	sdk    *client.Client
	wait   time.Duration
	handle *client.Handle
	away   error
}

// open is a protect.Opener. Once no server could be reached it asks no more.
func (a *asker) open(p license.Product, wrapped []byte) ([]byte, error) {
	if a.away != nil {
		return nil, a.away
	}
	key, err := a.ask(p, wrapped)
	if client.CodeOf(err) == client.CodeUnavailable {
		a.away = err
	}
	return key, err
}

func (a *asker) ask(p license.Product, wrapped []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(a.ctx, a.wait)
	defer cancel()
	h, err := a.sdk.Access(ctx, p.String())
	if err != nil {
		return nil, err
	}
	key, err := h.OpenKey(ctx, wrapped)
	if err != nil {
		_ = h.Release(a.ctx)
		return nil, err
	}
	a.handle = h
	return key, nil
}

// licensed ends with the handle.
type licensed struct {
	io.Reader
	handle *client.Handle
}

func (l licensed) Read(p []byte) (int, error) {
	if err := l.handle.Err(); err != nil {
		return 0, err
	}
	return l.Reader.Read(p)
}

type protectRecipientCmd struct {
	keyFlags
}

func (protectRecipientCmd) Help() string {
	return `A recipient holds the product and its public key; it is not a secret.

Example:
  quorate protect recipient --product 6000010:14 > chart.recipient
  age -R chart.recipient -o model.age model.bin`
}

func (c *protectRecipientCmd) Run(ctx context.Context, std cli.Streams) error {
	to, err := c.recipient(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, struct {
			Product   string `json:"product"`
			Recipient string `json:"recipient"`
		}{to.Product().String(), to.String()})
	}
	_, err = fmt.Fprintf(std.Out, "# files protected for %s\n%s\n", to.Product(), to)
	return err
}

type protectIdentityCmd struct {
	Server  []string `help:"A license server's address: http://HOST:PORT or https://HOST:PORT?pin=sha256:…; several, or the virtual IP, for a TMR group." env:"QUORATE_SERVER" required:"" placeholder:"URL"`
	Product string   `required:"" help:"FIRM:PRODUCT, for example 6000010:14."`
}

func (protectIdentityCmd) Help() string {
	return `An identity tells the age tool which license servers to ask; it holds no
secret. The plugin age-plugin-quorate must be in the PATH.

Example:
  quorate protect identity --server http://licenses:7400 --product 6000010:14 > chart.identity
  age -d -i chart.identity -o model.bin model.age`
}

func (c *protectIdentityCmd) Run(ctx context.Context, std cli.Streams) error {
	p, err := license.ParseProduct(c.Product)
	if err != nil {
		return err
	}
	l := protect.Locator{Product: p, Servers: c.Server}
	if err := l.Check(); err != nil {
		return err
	}
	sdk, err := client.Open(ctx, client.Config{Servers: c.Server}) // checks the addresses, and reaches none
	if err != nil {
		return err
	}
	defer sdk.Close()
	_, err = fmt.Fprintf(std.Out, "# files protected for %s, opened by asking %s\n%s\n", p, strings.Join(c.Server, " "), l)
	return err
}

// openInput opens a file to read; its size is -1 where it is not known.
func openInput(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, 0, license.Errorf(license.CodeNotFound, "check its name and its path", "there is no file %s", path)
	}
	if err != nil {
		return nil, 0, &license.Error{Code: license.CodeForbidden, Message: fmt.Sprintf("%s can't be opened", path), Fix: "check its permissions", Err: err}
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		_ = f.Close()
		return nil, 0, license.Errorf(license.CodeInvalidInput, "pack it first, for example with tar", "%s is a folder", path)
	}
	if err != nil || !info.Mode().IsRegular() {
		return f, -1, nil
	}
	return f, info.Size(), nil
}
