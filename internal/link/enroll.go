package link

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// Enrollment is a server that wants a token of its own to be its link token.
type Enrollment struct {
	URL    string // of the platform
	Code   string // one-time; goes into no log and no error
	Server string // this server's name
	Serial license.Serial
	// Digest is SHA-256 of the token.
	Digest []byte
	TLS    *tls.Config
	// Dial makes connections; nil dials TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Patience is how long a platform that does not answer is asked again.
	Patience time.Duration
}

// Enroll has the platform take the token, by the code. Repeating it with the same
// token has the effect of once. Errors: license.CodeUnavailable, CodeNotFound for
// an unknown code, CodeConflict for one that was used, CodeForbidden for one that
// is worth nothing any more, CodeInvalidInput for another server's.
func Enroll(ctx context.Context, e Enrollment) error {
	if err := checkURL(e.URL); err != nil {
		return err
	}
	client := rpc.NewClient(rpc.ClientConfig{TLS: e.TLS, Dial: e.Dial})
	defer client.Close()
	api := quoratev1connect.NewLinkServiceClient(client, e.URL, rpc.ClientOptions())
	until := time.Now().Add(e.Patience)
	retry := backoff{first: 200 * time.Millisecond, most: 5 * time.Second}
	for {
		call, cancel := context.WithTimeout(ctx, reportTime)
		_, err := api.Enroll(call, connect.NewRequest(&quoratev1.EnrollRequest{
			Code: e.Code, Server: e.Server, Serial: e.Serial.String(), TokenDigest: e.Digest,
		}))
		cancel()
		if err == nil || refused(err) || !time.Now().Before(until) || !retry.wait(ctx) {
			return err
		}
	}
}
