package rpc

import (
	"crypto/tls"
	"errors"
)

var errPin = errors.New("the peer's key is not the pinned one")

// ServerTLS is for a server that proves key k. With clientPins a client must
// prove a key that one of them names, or the handshake fails. Without, any
// client is let in, and PeerPin tells the handler the key that it proved, if
// any.
func ServerTLS(k *Key, clientPins []string) *tls.Config {
	c := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{k.cert},
		NextProtos:   []string{"h2", "http/1.1"},
		ClientAuth:   tls.RequestClientCert,
	}
	if len(clientPins) > 0 {
		c.ClientAuth = tls.RequireAnyClientCert
		c.VerifyConnection = verifyPin(clientPins)
	}
	return c
}

// ClientTLS is for a client that proves key k (nil: none) to a server that
// must prove a key out of serverPins. Without any pin no server will do.
func ClientTLS(k *Key, serverPins []string) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2", "http/1.1"},
		// Chains and names say nothing here: VerifyConnection decides, and the
		// handshake proves that the peer has the key.
		InsecureSkipVerify: true, //nolint:gosec // replaced by the pin
		VerifyConnection:   verifyPin(serverPins),
	}
	if k != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &k.cert, nil
		}
	}
	return c
}

func verifyPin(pins []string) func(tls.ConnectionState) error {
	pins = append([]string(nil), pins...)
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 || !MatchPin(pins, pinOf(s.PeerCertificates[0])) {
			return errPin
		}
		return nil
	}
}
