package rpc

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
)

// Administrator lets the administrator's token pass, or where none is
// configured a peer on the loopback interface that no proxy speaks for. doing says what it is asked for,
// as in "removing a handle". Errors: license.CodeUnauthenticated,
// CodeForbidden.
func Administrator(token string, header http.Header, peer connect.Peer, doing string) error {
	if token == "" {
		if host, _, err := net.SplitHostPort(peer.Addr); err == nil && !Forwarded(header) {
			if addr, err := netip.ParseAddr(host); err == nil && addr.Unmap().IsLoopback() {
				return nil
			}
		}
		return license.Errorf(license.CodeForbidden,
			"run the command on the license server itself, or configure an administrator's token there",
			"%s is possible only from the license server's own machine", doing)
	}
	scheme, given, ok := strings.Cut(header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return license.Errorf(license.CodeUnauthenticated,
			"send the license server's administrator token", "%s needs the administrator's token", doing)
	}
	// Digests have one length, so that the comparison tells nothing of the
	// token's either.
	want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(strings.TrimSpace(given)))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return license.Errorf(license.CodeForbidden,
			"check the license server's administrator token", "the administrator's token is wrong")
	}
	return nil
}

// Forwarded says whether a proxy passes a request on, by its own account: then
// the peer is the proxy, wherever the request came from.
func Forwarded(h http.Header) bool {
	for name := range h {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return true
		}
	}
	return false
}
