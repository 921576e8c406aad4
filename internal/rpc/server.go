package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
)

const (
	headerTime = 5 * time.Second
	bodyTime   = 30 * time.Second
	answerTime = 10 * time.Second // for an answer to be read, or a message of a stream
	idleTime   = 2 * time.Minute
	drainTime  = 5 * time.Second
)

type contextKey int

const (
	peerKey contextKey = iota
	closingKey
	controlKey
)

// PeerPin gives the pin of the key that the caller has proved by TLS, or ""
// where there is none. It works in handlers behind Handler.
func PeerPin(ctx context.Context) string {
	pin, _ := ctx.Value(peerKey).(string)
	return pin
}

// WithPeerPin gives a context as a caller with that pin has it: for servers in
// memory, which have no TLS.
func WithPeerPin(ctx context.Context, pin string) context.Context {
	return context.WithValue(ctx, peerKey, pin)
}

// Closing is closed when the server that Serve runs begins to shut down. A
// handler that streams or waits ends then; nil, which blocks for ever, where
// Serve doesn't run the server.
func Closing(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(closingKey).(chan struct{})
	return c
}

// Handler bounds a request's body, in bytes and time, and the time for an answer
// that is not read, and lets PeerPin work.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if control.SetWriteDeadline(time.Now().Add(bodyTime+MostCall+answerTime)) == nil {
			r = r.WithContext(context.WithValue(r.Context(), controlKey, control))
		}
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			r = r.WithContext(WithPeerPin(r.Context(), pinOf(r.TLS.PeerCertificates[0])))
		}
		if r.Body != nil && r.Body != http.NoBody {
			if control.SetReadDeadline(time.Now().Add(bodyTime)) == nil {
				// The deadline ends with the body: a stream outlives it.
				r.Body = &timedBody{ReadCloser: r.Body, end: func() { _ = control.SetReadDeadline(time.Time{}) }}
			}
			r.Body = http.MaxBytesReader(w, r.Body, MostMessage+1<<16)
		}
		next.ServeHTTP(w, r)
	})
}

// patient is a stream that may last, where Handler bounds answers: each message
// alone has to be read in time.
type patient struct {
	connect.StreamingHandlerConn
	control *http.ResponseController
}

// stream runs a stream's handler; what ends the stream has to be read in time, too.
func stream(ctx context.Context, conn connect.StreamingHandlerConn, next connect.StreamingHandlerFunc) error {
	control, _ := ctx.Value(controlKey).(*http.ResponseController)
	if control == nil {
		return next(ctx, conn)
	}
	_ = control.SetWriteDeadline(time.Time{})
	defer func() { _ = control.SetWriteDeadline(time.Now().Add(answerTime)) }()
	return next(ctx, patient{conn, control})
}

func (p patient) Send(m any) error {
	_ = p.control.SetWriteDeadline(time.Now().Add(answerTime))
	err := p.StreamingHandlerConn.Send(m)
	if err == nil {
		_ = p.control.SetWriteDeadline(time.Time{})
	}
	return err
}

type timedBody struct {
	io.ReadCloser
	end func()
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && b.end != nil {
		b.end()
		b.end = nil
	}
	return n, err
}

// NewServer makes a server for HTTP/1.1 and HTTP/2, over TLS where its
// TLSConfig is set and in the clear where not. Slow headers and bodies are cut
// off; streams may last.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           Handler(handler),
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    32 << 10,
		Protocols:         protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 1000,
			SendPingTimeout:      15 * time.Second,
			PingTimeout:          5 * time.Second,
			WriteByteTimeout:     10 * time.Second,
		},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// Serve runs the server on ln until ctx ends. Then it lets calls end, for a
// few seconds, and closes what is left. It returns nil after such an end, and
// closes ln in any case.
func Serve(ctx context.Context, server *http.Server, ln net.Listener) error {
	closing := make(chan struct{})
	server.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), closingKey, closing)
	}
	failed := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(ln, "", "")
		} else {
			failed <- server.Serve(ln)
		}
	}()
	select {
	case err := <-failed:
		close(closing)
		_ = server.Close()
		return err
	case <-ctx.Done():
	}
	close(closing)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if server.Shutdown(drain) != nil {
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
