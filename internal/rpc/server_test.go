package rpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// service answers Statement with the caller's pin, fails Stage as told, and
// streams until the server closes.
type service struct {
	quoratev1connect.UnimplementedBackendServiceHandler
	fail error
}

func (s *service) Statement(ctx context.Context, _ *connect.Request[quoratev1.StatementRequest]) (*connect.Response[quoratev1.StatementResponse], error) {
	return connect.NewResponse(&quoratev1.StatementResponse{Statement: []byte(rpc.PeerPin(ctx))}), nil
}

func (s *service) Stage(context.Context, *connect.Request[quoratev1.StageRequest]) (*connect.Response[quoratev1.StageResponse], error) {
	if s.fail == nil {
		panic("asked to panic")
	}
	return nil, s.fail
}

func (s *service) Watch(ctx context.Context, _ *connect.Request[quoratev1.WatchRequest], stream *connect.ServerStream[quoratev1.WatchResponse]) error {
	if err := stream.Send(&quoratev1.WatchResponse{}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-rpc.Closing(ctx):
		return license.Errorf(license.CodeUnavailable, "connect again", "the server is shutting down")
	}
}

type running struct {
	url  string
	stop func() error
	log  *bytes.Buffer
}

func serve(t *testing.T, s *service, conf *tls.Config) running {
	t.Helper()
	log := new(bytes.Buffer)
	logger := slog.New(slog.NewTextHandler(log, nil))
	mux := http.NewServeMux()
	mux.Handle(quoratev1connect.NewBackendServiceHandler(s, rpc.HandlerOptions(logger)))
	server := rpc.NewServer(mux, logger)
	server.TLSConfig = conf
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- rpc.Serve(ctx, server, ln) }()
	stopped := false
	r := running{url: "http://" + ln.Addr().String(), log: log, stop: func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}}
	if conf != nil {
		r.url = "https://" + ln.Addr().String()
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func backendClient(t *testing.T, url string, c rpc.ClientConfig) quoratev1connect.BackendServiceClient {
	client := rpc.NewClient(c)
	t.Cleanup(client.Close)
	return quoratev1connect.NewBackendServiceClient(client, url, rpc.ClientOptions())
}

func newKey(t *testing.T) *rpc.Key {
	t.Helper()
	k, err := rpc.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func statement(t *testing.T, c quoratev1connect.BackendServiceClient) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	res, err := c.Statement(ctx, connect.NewRequest(&quoratev1.StatementRequest{}))
	if err != nil {
		return "", err
	}
	return string(res.Msg.GetStatement()), nil
}

func TestPinsOfBothSides(t *testing.T) {
	server, client, stranger := newKey(t), newKey(t), newKey(t)
	strict := serve(t, &service{}, rpc.ServerTLS(server, []string{client.Pin()}))
	open := serve(t, &service{}, rpc.ServerTLS(server, nil))
	for _, c := range []struct {
		name string
		url  string
		key  *rpc.Key
		pins []string
		want string // pin that the server sees; "!": refused
	}{
		{"both right", strict.url, client, []string{stranger.Pin(), server.Pin()}, client.Pin()},
		{"client unknown", strict.url, stranger, []string{server.Pin()}, "!"},
		{"client without key", strict.url, nil, []string{server.Pin()}, "!"},
		{"server unknown", strict.url, client, []string{stranger.Pin()}, "!"},
		{"no server pin", strict.url, client, nil, "!"},
		{"open, stranger", open.url, stranger, []string{server.Pin()}, stranger.Pin()},
		{"open, nobody", open.url, nil, []string{server.Pin()}, ""},
		{"open, server unknown", open.url, nil, []string{stranger.Pin()}, "!"},
	} {
		pin, err := statement(t, backendClient(t, c.url, rpc.ClientConfig{TLS: rpc.ClientTLS(c.key, c.pins)}))
		switch {
		case c.want == "!" && license.CodeOf(err) != license.CodeUnavailable:
			t.Errorf("%s: got %q, %v", c.name, pin, err)
		case strings.HasSuffix(c.name, "server unknown") && !strings.Contains(err.Error(), "give the pin"):
			t.Errorf("%s: %v does not say what to do", c.name, err)
		case c.want != "!" && (err != nil || pin != c.want):
			t.Errorf("%s: got %q, %v", c.name, pin, err)
		}
	}
}

func TestCallInTheClear(t *testing.T) {
	r := serve(t, &service{}, rpc.ServerTLS(newKey(t), nil))
	_, err := statement(t, backendClient(t, strings.Replace(r.url, "https:", "http:", 1), rpc.ClientConfig{}))
	if license.CodeOf(err) != license.CodeUnavailable || !strings.Contains(err.Error(), "https://") {
		t.Errorf("got %v", err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	k := newKey(t)
	r := serve(t, &service{}, rpc.ServerTLS(k, nil))
	conf := rpc.ClientTLS(nil, []string{k.Pin()})
	conf.MinVersion, conf.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err := statement(t, backendClient(t, r.url, rpc.ClientConfig{TLS: conf})); license.CodeOf(err) != license.CodeUnavailable {
		t.Errorf("TLS 1.2: %v", err)
	}
}

func TestPlainHTTP(t *testing.T) {
	r := serve(t, &service{}, nil)
	for _, two := range []bool{false, true} {
		if pin, err := statement(t, backendClient(t, r.url, rpc.ClientConfig{Plain2: two})); pin != "" || err != nil {
			t.Errorf("HTTP/2 %v: got %q, %v", two, pin, err)
		}
	}
}

func TestErrorsAcrossTheNetwork(t *testing.T) {
	call := func(s *service, n int) (string, error) {
		r := serve(t, s, nil)
		_, err := backendClient(t, r.url, rpc.ClientConfig{}).
			Stage(t.Context(), connect.NewRequest(&quoratev1.StageRequest{Update: make([]byte, n)}))
		if serr := r.stop(); serr != nil {
			t.Error(serr)
		}
		return r.log.String(), err
	}
	_, err := call(&service{fail: license.Errorf(license.CodeUpdateGap, "install 3 first", "update 4 comes too early")}, 0)
	if !errors.Is(err, &license.Error{Code: license.CodeUpdateGap}) || err.Error() != "update 4 comes too early: install 3 first" {
		t.Errorf("got %v", err)
	}
	log, err := call(&service{fail: fmt.Errorf("open /secret/file: denied")}, 0)
	if license.CodeOf(err) != license.CodeInternal || strings.Contains(err.Error(), "secret") || !strings.Contains(log, "/secret/file") {
		t.Errorf("got %v, logged %s", err, log)
	}
	log, err = call(&service{}, 0)
	if license.CodeOf(err) != license.CodeInternal || strings.Contains(err.Error(), "panic") || !strings.Contains(log, "asked to panic") {
		t.Errorf("got %v, logged %s", err, log)
	}
	_, err = call(&service{}, rpc.MostMessage+1)
	if license.CodeOf(err) != license.CodeTooLarge {
		t.Errorf("a message too large: %v", err)
	}
}

func TestShutdownEndsStreams(t *testing.T) {
	r := serve(t, &service{}, nil)
	stream, err := backendClient(t, r.url, rpc.ClientConfig{Plain2: true}).
		Watch(t.Context(), connect.NewRequest(&quoratev1.WatchRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
	if stream.Receive() || license.CodeOf(rpc.FromError(stream.Err())) != license.CodeUnavailable {
		t.Errorf("the stream ended with %v", stream.Err())
	}
}

func TestClientClosesItsConnections(t *testing.T) {
	r := serve(t, &service{}, nil)
	client := rpc.NewClient(rpc.ClientConfig{Plain2: true})
	c := quoratev1connect.NewBackendServiceClient(client, r.url, rpc.ClientOptions())
	stream, err := c.Watch(t.Context(), connect.NewRequest(&quoratev1.WatchRequest{}))
	if err != nil || !stream.Receive() {
		t.Fatal(err, stream.Err())
	}
	client.Reset()
	if stream.Receive() {
		t.Error("the stream outlives the connection")
	}
	if _, err := statement(t, c); err != nil {
		t.Errorf("after Reset: %v", err)
	}
	client.Close()
	client.Close()
	if _, err := statement(t, c); license.CodeOf(err) != license.CodeUnavailable {
		t.Errorf("after Close: %v", err)
	}
}
