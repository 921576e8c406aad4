// Package outbound calls addresses that customers gave. What they lead to is
// checked where the connection is made, after names were resolved, so no name
// and no redirect leads into the operator's own networks.
package outbound

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// Bounds of a call.
const (
	timeout     = 10 * time.Second
	dialTimeout = 5 * time.Second
	mostAnswer  = 1 << 20
	mostHeader  = 64 << 10
)

// Client makes a client that follows no redirects, asks no proxy and reads no
// long answers. Unless private is set it reaches public addresses only. Error
// of its calls: one that unwraps to license.CodeForbidden for what it may not
// reach.
func Client(private bool) *http.Client {
	dialer := Dialer(func(a netip.Addr) bool { return private || Public(a) }, errPrivate)
	dialer.Timeout = dialTimeout
	return &http.Client{
		Timeout: timeout,
		Transport: bounded{&http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: timeout,
			MaxResponseHeaderBytes: mostHeader, MaxIdleConnsPerHost: 2, MaxIdleConns: 20, IdleConnTimeout: 30 * time.Second,
			ForceAttemptHTTP2: true,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Dialer makes one that connects to what may be called alone: it is asked of
// each address that a name has resolved to, just before the connection is made.
// refused makes the error for the others.
func Dialer(may func(netip.Addr) bool, refused func() error) *net.Dialer {
	return &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !may(at.Addr()) {
			return refused()
		}
		return nil
	}}
}

func errPrivate() error {
	return license.Errorf(license.CodeForbidden, "use a public address, or have the operator allow private networks",
		"the address is in a private network")
}

// Public says whether an address is one of the public internet, and for whoever
// is there. What isn't known to be is not. What a NAT64 gateway makes of an IPv4
// address is as that one.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if a.Is6() && netip.MustParsePrefix("64:ff9b::/96").Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.Is6() && !netip.MustParsePrefix("2000::/3").Contains(a) { // nothing else is given out
		return false
	}
	if !a.IsValid() || a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4",
		"168.63.129.16/32", // shows a machine of Azure its own secrets
		// Those that carry IPv4 addresses in them, or nothing at all.
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		if netip.MustParsePrefix(text).Contains(a) {
			return false
		}
	}
	return true
}

// CheckURL refuses what isn't an absolute https address without user, query and
// fragment; plain http may be used to this machine, where private networks may
// be reached. Error: license.CodeInvalidInput.
func CheckURL(text string, private bool) error {
	u, err := url.Parse(text)
	bad := err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" || len(text) > 2000
	if !bad && u.Scheme != "https" {
		bad = u.Scheme != "http" || !private || !loopback(u.Hostname())
	}
	if bad {
		return license.Errorf(license.CodeInvalidInput, "write it as https://host/path", "the address is not one of HTTPS")
	}
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// bounded breaks off answers that are too long.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusSwitchingProtocols { // what follows no deadline would end
		_ = res.Body.Close()
		return nil, license.Errorf(license.CodeUnavailable, "have it answer by HTTP", "the server switches to another protocol")
	}
	res.Body = &limited{ReadCloser: res.Body, left: mostAnswer}
	return res, nil
}

type limited struct {
	io.ReadCloser
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, license.Errorf(license.CodeTooLarge, "have it send less", "the answer is too long")
	}
	n, err := l.ReadCloser.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// Reach is for errors of calls: what the caller may know of them.
func Reach(ctx context.Context, err error, what string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if license.CodeOf(err) == license.CodeForbidden {
		return err
	}
	return &license.Error{Code: license.CodeUnavailable, Err: err, Message: what + " can't be reached, or is not what it should be",
		Fix: "check its address, and that it answers"}
}
