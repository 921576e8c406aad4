package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/ticket"
)

// linkFlags are a license server's link to the platform.
type linkFlags struct {
	Platform string `help:"The platform's address, to get updates and show the use over the link; a backend has no link." env:"QUORATE_PLATFORM"`
	Link     string `help:"File with this server's link token; link.token where it is left out." name:"link-token" env:"QUORATE_LINK_TOKEN_FILE"`
	Enroll   string `help:"One-time code of an administrator (quorate enroll create): this server makes its own link token with it and writes it to the file of --link-token. Not looked at once that is there." placeholder:"CODE" env:"QUORATE_ENROLL"`
	Insecure bool   `help:"Send the link token to another machine over plain http too, where everybody on the way can read it." env:"QUORATE_INSECURE"`
}

// linkToken is where a server's link token is, unless it is said.
const linkToken = "link.token"

// enrollPatience is how long a platform that does not answer is asked again
// before a server that can't be enrolled gives up.
const enrollPatience = 30 * time.Second

func (f linkFlags) file() string {
	if f.Link == "" {
		return linkToken
	}
	return f.Link
}

// token reads the link token, and refuses one that others could read on its way.
// It is "" where there is no link, and where the server is to be enrolled first.
func (f linkFlags) token() (string, error) {
	if f.Platform == "" {
		if f.Enroll != "" {
			return "", license.Errorf(license.CodeInvalidInput, "give --platform too", "a server enrolls at a platform, and none is given")
		}
		return "", nil
	}
	if !f.Insecure {
		if err := cli.CheckClear("link token", f.Platform); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(f.file()); errors.Is(err, os.ErrNotExist) {
		switch {
		case f.Enroll != "":
			_, err := ticket.Parse(f.Enroll)
			return "", err
		case f.Link == "":
			return "", license.Errorf(license.CodeInvalidInput, "name the file with --link-token, or give the code of quorate enroll create with --enroll", "the link to the platform needs this server's link token")
		}
	}
	b, err := cli.ReadSecretFile(f.file(), "link token")
	if err != nil {
		return "", err
	}
	return string(b), nil
}

// enroll makes the server's link token, has the platform take it, and gives it.
// The file is there, under another name, before the platform knows of the token:
// a server that was killed in between, or missed the answer, goes on with it.
func (f linkFlags) enroll(ctx context.Context, name string, serial license.Serial, logger *slog.Logger) (string, error) {
	pending := f.file() + ".new"
	b, err := cli.ReadSecretFile(pending, "link token")
	if license.CodeOf(err) == license.CodeNotFound {
		token, _, err := auth.NewToken(auth.LinkToken)
		if err != nil {
			return "", err
		}
		if err := durable.Create(pending, []byte(token+"\n")); err != nil {
			return "", &license.Error{Code: license.CodeInvalidInput, Message: "the link token can't be kept in " + pending, Fix: "name a file that can be written with --link-token", Err: err}
		}
		b = []byte(token)
	} else if err != nil {
		return "", err
	}
	digest, ok := auth.TokenHash(auth.LinkToken, string(b))
	if !ok {
		return "", license.Errorf(license.CodeInvalidInput, "remove it", "the link token in %s is damaged", pending)
	}
	if err := link.Enroll(ctx, link.Enrollment{
		URL: f.Platform, Code: f.Enroll, Server: name, Serial: serial, Digest: digest, Patience: enrollPatience,
	}); err != nil {
		return "", err
	}
	if err := os.Rename(pending, f.file()); err != nil {
		return "", fmt.Errorf("keep the link token: %w", err)
	}
	if err := durable.SyncFolder(filepath.Dir(f.file())); err != nil {
		return "", err
	}
	logger.InfoContext(ctx, "this server is enrolled", "platform", f.Platform, "server", name, "token", f.file())
	return string(b), nil
}
