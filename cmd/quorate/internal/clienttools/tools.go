// Package clienttools holds the commands that ask license servers: they run
// programs with a license, list, explain and free licenses, and protect files.
package clienttools

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// addressFlags name the license servers that a client tool talks to.
type addressFlags struct {
	Server []string `help:"A license server's address: http://HOST:PORT or https://HOST:PORT?pin=sha256:…; several, or the virtual IP, for a TMR group; srv://DOMAIN asks DNS." env:"QUORATE_SERVER" required:"" placeholder:"URL"`
}

// serverFlags also say how long to try.
type serverFlags struct {
	addressFlags
	Wait time.Duration `help:"How long to keep trying when no server answers." default:"5s"`
}

// trying is how long commands try to reach a server that have no --wait for it.
const trying = 5 * time.Second

func (f addressFlags) openFor(ctx context.Context, wait time.Duration, logger *slog.Logger, change func(*client.Config)) (*client.Client, error) {
	cfg := client.Config{Servers: f.Server, Wait: wait, Logger: logger}
	if change != nil {
		change(&cfg)
	}
	return client.Open(ctx, cfg)
}

func (f serverFlags) open(ctx context.Context, logger *slog.Logger, change func(*client.Config)) (*client.Client, error) {
	return f.openFor(ctx, f.Wait, logger, change)
}

// accessFlags say what sort of access it is.
type accessFlags struct {
	Mode     string `help:"The access mode: user-limit (each takes a license), station-share (all of one station share one), exclusive (one on a station, which takes one), no-user-limit (none is taken)." enum:"user-limit,station-share,exclusive,no-user-limit" default:"user-limit"`
	Licenses uint32 `help:"Take so many licenses at once." placeholder:"N"`
	Station  string `help:"The station that a license may be shared on; otherwise the user session, virtual machine or container that this is." env:"QUORATE_STATION" placeholder:"NAME"`
	Borrow   string `help:"Borrow it for so long, for example 3d or 8h: no server is needed meanwhile, and it outlives the program (quorate return)." placeholder:"TIME"`
}

func (f accessFlags) options() ([]client.Option, error) {
	opts := []client.Option{client.WithMode(client.Mode(strings.ToUpper(strings.ReplaceAll(f.Mode, "-", "_"))))}
	if f.Licenses != 0 {
		opts = append(opts, client.WithLicenses(f.Licenses))
	}
	if f.Borrow != "" {
		d, err := cli.ParseLong(f.Borrow)
		if err != nil {
			return nil, err
		}
		if d == 0 {
			return nil, license.Errorf(license.CodeInvalidInput, "give a time such as 3d or 8h", "nothing can be borrowed for no time")
		}
		opts = append(opts, client.WithBorrow(d))
	}
	return opts, nil
}

// modeText is how people read an access mode.
func modeText(m client.Mode) string { return strings.ToLower(strings.ReplaceAll(string(m), "_", " ")) }

// who is user@host, as far as it is known.
func who(user, host string) string {
	if user == "" {
		return host
	}
	return user + "@" + host
}
