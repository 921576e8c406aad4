package memnet_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/rpc/memnet"
)

func connect(t *testing.T, n *memnet.Network, l net.Listener) (client, server net.Conn) {
	t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	client, err := n.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return client, <-accepted
}

func TestNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(memnet.Network)
		if _, err := n.Dial(t.Context(), "tcp", "a:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
		l, err := n.Listen("a:1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Listen("a:1"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listening twice: %v", err)
		}
		client, server := connect(t, n, l)
		_, _ = io.WriteString(client, "hello\n")
		if line, err := bufio.NewReader(server).ReadString('\n'); line != "hello\n" || err != nil {
			t.Errorf("got %q, %v", line, err)
		}
		began := time.Now()
		_ = client.SetReadDeadline(began.Add(time.Second))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("deadline: %v after %v", err, time.Since(began))
		}
		_ = client.SetReadDeadline(time.Time{})
		_, _ = io.WriteString(server, "bye")
		_ = server.Close()
		if b, err := io.ReadAll(client); string(b) != "bye" || err != nil {
			t.Errorf("after the peer's close: %q, %v", b, err)
		}
		_ = client.Close()
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the own close: %v", err)
		}

		client, _ = connect(t, n, l)
		n.Reset("a:1")
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after Reset: %v", err)
		}

		client, server = connect(t, n, l)
		n.Cut("a:1")
		_, _ = io.WriteString(server, "lost")
		_ = server.Close()
		_ = client.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after Cut: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := n.Dial(ctx, "tcp", "a:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dialling a host that is cut off: %v", err)
		}
		time.AfterFunc(time.Second, func() { n.Heal("a:1") })
		connect(t, n, l)
		_ = l.Close()
		if _, err := n.Dial(t.Context(), "tcp", "a:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after the listener's close: %v", err)
		}
	})
}
