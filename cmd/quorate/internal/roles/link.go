package roles

import (
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// linkFlags are a license server's link to the platform.
type linkFlags struct {
	Platform string `help:"The platform's address, to get updates and show the use over the link; a backend has no link." env:"QUORATE_PLATFORM"`
	Link     string `help:"File with this server's link token." name:"link-token" env:"QUORATE_LINK_TOKEN_FILE"`
	Insecure bool   `help:"Send the link token to another machine over plain http too, where everybody on the way can read it." env:"QUORATE_INSECURE"`
}

// token reads the link token, "" where there is no link, and refuses one that
// others could read on its way.
func (f linkFlags) token() (string, error) {
	if f.Platform == "" {
		return "", nil
	}
	if !f.Insecure {
		if err := cli.CheckClear("link token", f.Platform); err != nil {
			return "", err
		}
	}
	if f.Link == "" {
		return "", license.Errorf(license.CodeInvalidInput, "name the file with --link-token", "the link to the platform needs this server's link token")
	}
	b, err := readSecretFile(f.Link, "link token")
	if err != nil {
		return "", err
	}
	return string(b), nil
}
