package client

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// mostText is what servers take of each text about the program, in bytes.
const mostText = 255

// Config says where the license servers are and who asks. Only Servers is
// needed.
type Config struct {
	// Servers are the license servers' addresses: the virtual IP of a TMR pair,
	// or each server of the pair; all must serve the same licenses. The form is
	// "https://host:port?pin=sha256:…", where the pin (there may be several) is
	// the digest of the server's key that the operator gives out. Without a pin
	// the system's certificate authorities decide. "http://host:port" is for a
	// network that is trusted.
	Servers []string

	// Application, User, Station and Address are shown to those who watch the
	// licenses. Empty ones are filled in with the program's name, the user's
	// name, and twice the host's name.
	Application string
	User        string
	Station     string // what a license may be shared on: a computer, session or virtual machine
	Address     string

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

	// AdminToken authorizes Remove, and is sent with nothing else. Who can read
	// the network reads it, unless the server's address is https.
	AdminToken string
	// Logger tells of servers that fail and handles that end. nil: nothing.
	Logger *slog.Logger
	// DialContext makes the connections. nil: TCP.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (c Config) withDefaults() Config {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	c.Application = firstOf(c.Application, filepath.Base(os.Args[0]))
	c.Station = firstOf(c.Station, host)
	c.Address = firstOf(c.Address, host)
	if c.User == "" {
		if u, err := user.Current(); err == nil {
			c.User = u.Username
		}
	}
	c.User = firstOf(c.User, os.Getenv("USER"))
	if c.Wait <= 0 {
		c.Wait = 10 * time.Second
	}
	if c.Attempt <= 0 {
		c.Attempt = 3 * time.Second
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

// server is one license server of the list.
type server struct {
	name string // for people: scheme and host
	http *rpc.Client
	api  quoratev1connect.LicenseServiceClient
}

func badServer(address, what string) error {
	return &Error{
		Code:    CodeInvalidInput,
		Message: fmt.Sprintf("%q is not a license server's address: %s", address, what),
		Fix:     "write it as https://host:port?pin=sha256:… or http://host:port",
	}
}

func newServer(address string, c Config) (*server, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, badServer(address, "it can't be read")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, badServer(address, "it starts with neither https:// nor http://")
	case u.Hostname() == "":
		return nil, badServer(address, "it has no host")
	case u.User != nil || u.Fragment != "":
		return nil, badServer(address, "a user and a fragment have no meaning here")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, badServer(address, "what stands behind the question mark can't be read")
	}
	pins := query["pin"]
	delete(query, "pin")
	switch {
	case len(query) > 0:
		return nil, badServer(address, "only pin may stand behind the question mark")
	case len(pins) > 0 && u.Scheme != "https":
		return nil, badServer(address, "a pin needs https")
	}
	for _, pin := range pins {
		if err := rpc.CheckPin(pin); err != nil {
			return nil, failure(err)
		}
	}
	config := rpc.ClientConfig{Dial: c.DialContext}
	if len(pins) > 0 {
		config.TLS = rpc.ClientTLS(nil, pins)
	}
	base := u.Scheme + "://" + u.Host
	s := &server{name: base, http: rpc.NewClient(config)}
	s.api = quoratev1connect.NewLicenseServiceClient(s.http, base+strings.TrimSuffix(u.Path, "/"), rpc.ClientOptions())
	return s, nil
}
