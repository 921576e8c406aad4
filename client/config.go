package client

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/station"
)

// mostText is what servers take of each text about the program, in bytes.
const mostText = 255

// Config says where the license servers are and who asks. Only Servers is
// needed, and not even that where the environment names them.
type Config struct {
	// Servers are the license servers' addresses: the virtual IP of a TMR pair,
	// or each server of the pair; all must serve the same licenses. The form is
	// "https://host:port?pin=sha256:…", where the pin (there may be several) is
	// the digest of the server's key that the operator gives out. Without a pin
	// the system's certificate authorities decide. "http://host:port" is for a
	// network that is trusted.
	//
	// "srv://example.com?pin=sha256:…" asks DNS for the servers of a domain: its
	// SRV records at _quorate._tcp.example.com, by their priorities and weights.
	// It asks when the first server is needed, and again when all of them fail.
	// Without a pin only servers in that domain are taken, with a certificate of
	// their own names; "srv+http://example.com" finds those of a trusted network.
	//
	// When it is empty, the environment's QUORATE_SERVER names them, with commas
	// between.
	Servers []string

	// Application, User and Address are shown to those who watch the licenses.
	// Empty ones are filled in with the program's name, the user's name and the
	// host's name.
	Application string
	User        string
	Address     string
	// Station is what a license may be shared on, and what has one exclusive
	// license at most. When it is empty the environment's QUORATE_STATION is it,
	// and otherwise the user session, terminal server session, virtual machine or
	// container that the program runs in, by a digest that names none of them.
	Station string

	// Version and ReleaseDate are the program's, for licenses that are limited
	// to some; WithVersion and WithReleaseDate go before them. A version is one
	// to four numbers with dots between. Of the date the day in UTC counts.
	Version     string
	ReleaseDate time.Time

	// Wait is how long Access and the reading methods keep trying to reach a
	// server when their context has no deadline. 0: 10 s.
	Wait time.Duration
	// Attempt bounds one attempt at one server. 0: 3 s.
	Attempt time.Duration
	// Margin is how much earlier than the lease the program ends its use of a
	// handle. 0: a twentieth of the lease, at most 2 s.
	Margin time.Duration

	// BorrowDir is the folder where borrowed licenses are kept, for this user alone.
	// When it is empty the environment's QUORATE_BORROWED is it, or quorate/borrowed
	// in the folder of the user's configuration.
	BorrowDir string

	// AdminToken authorizes Remove and Ask, has Handles and Waiting tell more, and
	// is sent with nothing else. Who can read the network reads it, unless the
	// server's address is https.
	AdminToken string
	// Logger tells of servers that fail and handles that end. nil: nothing.
	Logger *slog.Logger
	// Resolver is what names are looked up with. nil: as the system does it.
	Resolver *net.Resolver
	// DialContext makes the connections. nil: TCP.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (c Config) withDefaults() Config {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	c.Application = firstOf(c.Application, filepath.Base(os.Args[0]))
	if c.Station == "" {
		c.Station = firstOf(os.Getenv("QUORATE_STATION"), station.Here().Name())
	}
	c.Station = firstOf(c.Station)
	c.Address = firstOf(c.Address, host)
	if c.User == "" {
		if u, err := user.Current(); err == nil {
			c.User = u.Username
		}
	}
	c.User = firstOf(c.User, os.Getenv("USER"))
	if c.BorrowDir == "" {
		c.BorrowDir = os.Getenv("QUORATE_BORROWED")
	}
	if c.Wait <= 0 {
		c.Wait = 10 * time.Second
	}
	if c.Attempt <= 0 {
		c.Attempt = 3 * time.Second
	}
	if c.DialContext == nil && c.Resolver != nil {
		c.DialContext = (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second, Resolver: c.Resolver}).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// firstOf gives the first text that is not empty, fit to be sent.
func firstOf(texts ...string) string {
	for _, s := range texts {
		if s == "" {
			continue
		}
		s = strings.Map(func(r rune) rune {
			if r < ' ' || (r >= 0x7f && r < 0xa0) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(s, ""))
		if len(s) > mostText {
			s = strings.ToValidUTF8(s[:mostText], "")
		}
		return s
	}
	return ""
}
