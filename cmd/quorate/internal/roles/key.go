package roles

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/seal"
)

// Key are the commands on servers' keys.
type Key struct {
	TLS   keyTLSCmd   `cmd:"" name:"tls" help:"Create a server's TLS key, or read it; print the pin that its peers know it by."`
	Token keyTokenCmd `cmd:"" help:"Create a TMR group's token key, or read it; print its public half. Both TMR servers have the same file."`
}

type keyTLSCmd struct {
	File string `arg:"" help:"The key's file; created when it is not there."`
}

func (keyTLSCmd) Help() string {
	return `Example:
  quorate key tls /var/lib/quorate/tls.key`
}

func (c *keyTLSCmd) Run(std cli.Streams) error {
	key, err := rpc.LoadOrCreateKey(c.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, key.Pin())
	return err
}

type keyTokenCmd struct {
	File string `arg:"" help:"The key's file; created when it is not there."`
}

func (keyTokenCmd) Help() string {
	return `Example:
  quorate key token /var/lib/quorate/token.key`
}

func (c *keyTokenCmd) Run(std cli.Streams) error {
	seed, err := readSeed(c.File, "token key", true)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, base64.StdEncoding.EncodeToString(seal.NewSigner(seed).Public()))
	return err
}

// readSeed reads a 32-byte secret in Base64 from a file that only the owner
// may read. It makes the file when it isn't there and create is set.
func readSeed(path, what string, create bool) ([]byte, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && create {
		seed, err := seal.NewSeed()
		if err != nil {
			return nil, err
		}
		return seed, durable.Create(path, []byte(base64.StdEncoding.EncodeToString(seed)+"\n"))
	}
	text, err := cli.ReadSecretFile(path, what)
	if err != nil {
		return nil, err
	}
	seed, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, license.Errorf(license.CodeInvalidInput, "restore it from a backup", "the %s %s is damaged", what, path)
	}
	return seed, nil
}
