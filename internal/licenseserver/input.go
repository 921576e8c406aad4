package licenseserver

import (
	"net"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Bounds of a request's fields, in bytes.
const (
	leastID     = 8
	mostID      = 64
	mostText    = 255
	mostToken   = 8 << 10
	mostWrapped = 16 << 10
)

func invalid(fix, format string, args ...any) error {
	return license.Errorf(license.CodeInvalidInput, fix, format, args...)
}

func checkID(field, id string) error {
	if len(id) < leastID || len(id) > mostID || strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	}) {
		return invalid("use a UUID", "the %s must be %d to %d letters, digits, hyphens or underscores", field, leastID, mostID)
	}
	return nil
}

func checkText(field, s string) error {
	switch {
	case len(s) > mostText:
		return invalid("shorten it", "the %s is %d bytes long, and %d are the most", field, len(s), mostText)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return invalid("send it as UTF-8 without control characters", "the %s is not plain text", field)
	}
	return nil
}

func checkBytes(field string, b []byte, most int) error {
	switch {
	case len(b) == 0:
		return invalid("send what the server gave", "the %s is missing", field)
	case len(b) > most:
		return invalid("send what the server gave", "the %s is %d bytes long, and %d are the most", field, len(b), most)
	}
	return nil
}

// clientFrom reads who asks. Where the program doesn't say its address, the one
// that it calls from stands in.
func clientFrom(m *quoratev1.Client, peer connect.Peer) (lease.Client, error) {
	for _, text := range []struct{ field, value string }{
		{"client's address", m.GetAddress()},
		{"client's user", m.GetUser()},
		{"client's application", m.GetApplication()},
		{"client's station", m.GetStation()},
	} {
		if err := checkText(text.field, text.value); err != nil {
			return lease.Client{}, err
		}
	}
	c := lease.Client{
		Address: m.GetAddress(), User: m.GetUser(), Process: m.GetProcess(), Application: m.GetApplication(),
	}
	if c.Address == "" {
		c.Address = peerHost(peer)
	}
	return c, nil
}

func (s *Server) modeFrom(m quoratev1.AccessMode) (license.AccessMode, error) {
	mode, err := rpc.ModeFrom(m)
	if err != nil {
		return "", err
	}
	if !slices.Contains(s.modes, mode) {
		return "", invalid("ask for one of the access modes that this server offers: "+joinModes(s.modes),
			"access mode %s is not offered here", mode)
	}
	return mode, nil
}

func joinModes(modes []license.AccessMode) string {
	names := make([]string, len(modes))
	for i, m := range modes {
		names[i] = string(m)
	}
	return strings.Join(names, ", ")
}

func peerHost(peer connect.Peer) string {
	host, _, err := net.SplitHostPort(peer.Addr)
	if err != nil {
		return ""
	}
	return host
}
