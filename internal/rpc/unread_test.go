package rpc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// talker answers with more than one write takes, now or bit by bit for ever.
type talker struct {
	quoratev1connect.UnimplementedBackendServiceHandler
	pause time.Duration // between two messages of a stream
}

func (talker) Statement(context.Context, *connect.Request[quoratev1.StatementRequest]) (*connect.Response[quoratev1.StatementResponse], error) {
	return connect.NewResponse(&quoratev1.StatementResponse{Statement: make([]byte, 64<<10)}), nil
}

func (h talker) Watch(ctx context.Context, _ *connect.Request[quoratev1.WatchRequest], stream *connect.ServerStream[quoratev1.WatchResponse]) error {
	for {
		if err := stream.Send(&quoratev1.WatchResponse{}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(h.pause):
		}
	}
}

// oneConn is a listener of one connection.
type oneConn struct {
	conn chan net.Conn
	done chan struct{}
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// unread runs a server in a bubble, over a connection without a buffer. ended is
// closed when the handler of the first call has returned, its answer included.
func unread(t *testing.T, h talker, f func(t *testing.T, conn net.Conn, ended <-chan struct{})) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.Handle(quoratev1connect.NewBackendServiceHandler(h, rpc.HandlerOptions(slog.New(slog.DiscardHandler))))
		ended := make(chan struct{})
		server := rpc.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			mux.ServeHTTP(w, r)
			_ = http.NewResponseController(w).Flush()
		}), slog.New(slog.DiscardHandler))
		client, conn := net.Pipe()
		ln := &oneConn{conn: make(chan net.Conn, 1), done: make(chan struct{})}
		ln.conn <- conn
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- rpc.Serve(ctx, server, ln) }()
		f(t, client, ended)
		_ = client.Close()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func within(t *testing.T, ended <-chan struct{}, d time.Duration) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(d): // of the bubble
		t.Errorf("the handler of an answer that nobody reads runs for longer than %v", d)
	}
}

const mostUnread = rpc.MostCall + time.Minute

func TestUnreadAnswer(t *testing.T) {
	for name, path := range map[string]string{"call": "Statement", "stream": "Watch"} {
		t.Run(name, func(t *testing.T) {
			unread(t, talker{pause: time.Second}, func(t *testing.T, conn net.Conn, ended <-chan struct{}) {
				kind, body := "application/json", "{}"
				if path == "Watch" {
					kind, body = "application/connect+json", "\x00\x00\x00\x00\x02{}"
				}
				r, err := http.NewRequest(http.MethodPost, "http://x/quorate.v1.BackendService/"+path, bytes.NewReader([]byte(body)))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", kind)
				if err := r.Write(conn); err != nil {
					t.Fatal(err)
				}
				within(t, ended, mostUnread)
			})
		})
	}
}

// frame is one of HTTP/2, with a payload below 256 bytes.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	f := []byte{0, 0, byte(len(payload)), kind, flags, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(f[5:], stream)
	return append(f, payload...)
}

// A window of zero keeps an answer back over HTTP/2, while all else goes on.
func TestUnreadAnswerOfHTTP2(t *testing.T) {
	const data, headers, settings, ping = 0, 1, 4, 6
	for name, path := range map[string]string{"call": "Statement", "stream": "Watch"} {
		t.Run(name, func(t *testing.T) {
			unread(t, talker{pause: time.Second}, func(t *testing.T, conn net.Conn, ended <-chan struct{}) {
				var fields []byte
				kind, body := "application/json", "{}"
				if path == "Watch" {
					kind, body = "application/connect+json", "\x00\x00\x00\x00\x02{}"
				}
				for _, kv := range [][2]string{
					{":method", "POST"}, {":scheme", "http"}, {":authority", "x"},
					{":path", "/quorate.v1.BackendService/" + path}, {"content-type", kind},
				} {
					fields = append(fields, 0, byte(len(kv[0])))
					fields = append(append(append(fields, kv[0]...), byte(len(kv[1]))), kv[1]...)
				}
				answers := make(chan []byte, 16)
				go func() { // acknowledges what it has to
					defer close(answers)
					head := make([]byte, 9)
					for {
						if _, err := io.ReadFull(conn, head); err != nil {
							return
						}
						payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
						if _, err := io.ReadFull(conn, payload); err != nil {
							return
						}
						if head[4]&1 == 0 && (head[3] == settings || head[3] == ping) {
							if head[3] == settings {
								payload = nil
							}
							answers <- frame(head[3], 1, 0, payload)
						}
					}
				}()
				_, err := conn.Write(bytes.Join([][]byte{
					[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
					frame(settings, 0, 0, []byte{0, 4, 0, 0, 0, 0}), // the initial window
					frame(headers, 4, 1, fields), frame(data, 1, 1, []byte(body)),
				}, nil))
				if err != nil {
					t.Fatal(err)
				}
				var writing sync.WaitGroup
				writing.Go(func() {
					for a := range answers {
						if _, err := conn.Write(a); err != nil && !errors.Is(err, io.ErrClosedPipe) {
							t.Error(err)
						}
					}
				})
				within(t, ended, mostUnread)
				_ = conn.Close()
				writing.Wait()
			})
		})
	}
}

// A stream that is read lasts, however long nothing is said on it.
func TestReadStreamLasts(t *testing.T) {
	for name, two := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			unread(t, talker{pause: 10 * time.Minute}, func(t *testing.T, conn net.Conn, _ <-chan struct{}) {
				client := rpc.NewClient(rpc.ClientConfig{Plain2: two, Dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }})
				defer client.Close()
				stream, err := quoratev1connect.NewBackendServiceClient(client, "http://x", rpc.ClientOptions()).
					Watch(t.Context(), connect.NewRequest(&quoratev1.WatchRequest{}))
				if err != nil {
					t.Fatal(err)
				}
				for i := range 4 {
					if !stream.Receive() {
						t.Fatalf("message %d: %v", i, stream.Err())
					}
				}
			})
		})
	}
}
