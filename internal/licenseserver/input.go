package licenseserver

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
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
	mostContext = 4 << 10
	mostVersion = 64
)

// latest is the last second of the year 9999.
const latest = 253402300799

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

func checkText(field, s string) error { return checkTextTo(field, s, mostText) }

func checkTextTo(field, s string, most int) error {
	switch {
	case len(s) > most:
		return invalid("shorten it", "the %s is %d bytes long, and %d are the most", field, len(s), most)
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

// asking is what AccessRequest and ExplainRequest have in common.
type asking interface {
	GetProduct() *quoratev1.Product
	GetMode() quoratev1.AccessMode
	GetFeatures() uint32
	GetClient() *quoratev1.Client
	GetReleaseDateUnix() int64
	GetVersion() string
	GetLicenses() uint32
	GetBorrowMs() int64
}

// question is who asks for what, checked.
type question struct {
	product license.Product
	mode    license.AccessMode
	client  lease.Client
	ask     license.Ask
	station string
	// licenses that are asked for, and for how long they are borrowed; 0: not.
	licenses uint32
	borrow   time.Duration
	// forwarded: a proxy passed it on.
	forwarded bool
}

func (s *Server) questionFrom(m asking, peer connect.Peer, header http.Header) (q question, err error) {
	if q.product, err = rpc.ProductFrom(m.GetProduct()); err != nil {
		return q, err
	}
	if q.mode, err = s.modeFrom(m.GetMode()); err != nil {
		return q, err
	}
	if q.client, err = clientFrom(m.GetClient(), peer); err != nil {
		return q, err
	}
	q.station = m.GetClient().GetStation()
	if q.station == "" && (q.mode == license.StationShare || q.mode == license.Exclusive) {
		return q, invalid("name the station: the user's session, the virtual machine or the container", "access mode %s needs a station", q.mode)
	}
	if q.licenses = max(m.GetLicenses(), 1); q.licenses > lease.MostLicenses {
		return q, invalid("ask for fewer", "%d licenses are more than %d", q.licenses, lease.MostLicenses)
	}
	if q.borrow, err = s.borrowFrom(m.GetBorrowMs()); err != nil {
		return q, err
	}
	q.ask, q.forwarded = askFrom(q.client, peer), rpc.Forwarded(header)
	q.ask.Features = m.GetFeatures()
	switch at := m.GetReleaseDateUnix(); {
	case at < 0 || at > latest:
		return q, invalid("send it in seconds since 1970, up to the year 9999", "the release date %d is out of range", at)
	case at != 0:
		q.ask.ReleaseDate = rpc.FromUnixSeconds(at)
	}
	if len(m.GetVersion()) > mostVersion {
		return q, invalid("shorten it", "the version is %d bytes long, and %d are the most", len(m.GetVersion()), mostVersion)
	}
	q.ask.Version = license.Version(m.GetVersion())
	return q, q.ask.Version.Validate()
}

// borrowFrom reads for how long a license is borrowed; zero: it isn't.
func (s *Server) borrowFrom(ms int64) (time.Duration, error) {
	most := s.cfg.BorrowMost
	switch {
	case ms == 0:
		return 0, nil
	case !lends(s.cfg.Source.Serial()):
		return 0, invalid("use the license online, or borrow one of a license server without TMR", "a TMR server or a cloud container lends no licenses")
	case most == 0:
		return 0, invalid("ask the operator: quorate server --borrow-max sets how long licenses may be borrowed", "this server lends no licenses")
	case ms < ShortestLease.Milliseconds() || ms > most.Milliseconds():
		return 0, invalid("ask for at most that", "a license can't be borrowed for %d ms: from 1 s to %s are possible here", ms, most)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// request is what q asks of the store; the license completes it.
func (s *Server) request(id string, q question) lease.Request {
	r := lease.Request{
		ID: id, Pool: s.pool(q.product), Mode: q.mode, Station: q.station, Client: q.client,
		Lease: s.cfg.Lease, Licenses: q.licenses,
	}
	if q.borrow > 0 {
		r.Borrowed, r.Lease = true, q.borrow
	}
	return r
}

// askFrom is what access lists look at: names as the program states them, the
// address as this server sees it.
func askFrom(c lease.Client, peer connect.Peer) license.Ask {
	a := license.Ask{User: c.User, Host: c.Address, Application: c.Application}
	if at, err := netip.ParseAddrPort(peer.Addr); err == nil {
		a.Address = at.Addr().Unmap()
	}
	return a
}

// of completes what is asked of a license. Where the program runs matters to
// those that are local only; finding out takes a look at the machine's cards.
func (q question) of(s *Server, f Found) license.Ask {
	a := q.ask
	a.Local = f.Options.Quantity == 0 && s.cfg.LocalPrograms && a.Address.IsValid() && !q.forwarded &&
		(a.Address.IsLoopback() || s.owns(a.Address))
	return a
}

// ownAddress says whether an address is one of this machine's.
func ownAddress(a netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(all, func(own net.Addr) bool {
		p, err := netip.ParsePrefix(own.String())
		return err == nil && p.Addr().Unmap() == a.WithZone("")
	})
}

func peerHost(peer connect.Peer) string {
	host, _, err := net.SplitHostPort(peer.Addr)
	if err != nil {
		return ""
	}
	return host
}
