// Package servertest is what tests of license servers and programs share: a
// network in memory, which works in a synctest bubble, and a source of licenses
// that a test can change.
package servertest

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Network connects any number of hosts in memory. Safe for concurrent use.
type Network struct {
	mu    sync.Mutex
	hosts map[string]*host
	// From is the address that servers see; "" is 192.0.2.1:40000.
	From string
}

type host struct {
	accept chan net.Conn
	closed chan struct{}
	state  state
	conns  map[net.Conn]struct{}
}

type state int

const (
	up   state = iota
	down       // refuses connections
	gone       // swallows everything, like a machine without power
)

// NewNetwork makes an empty network.
func NewNetwork() *Network { return &Network{hosts: make(map[string]*host)} }

// Serve runs handler at http://name until the test ends. A name that is served
// again is a restarted machine.
func (n *Network) Serve(t testing.TB, name string, handler http.Handler) {
	t.Helper()
	ln := n.listen(name)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

func (n *Network) listen(name string) net.Listener {
	h := &host{accept: make(chan net.Conn), closed: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = h
	return &listener{host: h, addr: addr(name + ":80")}
}

// Down cuts the host's connections; new ones are refused.
func (n *Network) Down(name string) { n.set(name, down) }

// Gone makes the host swallow everything: connections stay open, and nobody
// answers.
func (n *Network) Gone(name string) { n.set(name, gone) }

// Up brings the host back. Connections from before Gone are reset, as by a
// machine that has started anew.
func (n *Network) Up(name string) { n.set(name, up) }

func (n *Network) set(name string, s state) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.hosts[name]
	if !ok {
		return
	}
	h.state = s
	if s != gone {
		for c := range h.conns {
			_ = c.Close()
		}
		clear(h.conns)
	}
}

// DialContext connects to the host of an address.
func (n *Network) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	name, _, _ := strings.Cut(address, ":")
	n.mu.Lock()
	h, ok := n.hosts[name]
	s := down
	if ok {
		s = h.state
	}
	from := n.From
	n.mu.Unlock()
	if from == "" {
		from = "192.0.2.1:40000"
	}
	switch s {
	case down:
		return nil, refused(address)
	case gone:
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: addr(address), Err: ctx.Err()}
	}
	a, b := net.Pipe()
	client := &conn{Conn: a, network: n, host: h, local: addr(from), remote: addr(address)}
	server := &conn{Conn: b, network: n, host: h, local: addr(address), remote: addr(from)}
	select {
	case h.accept <- server:
	case <-h.closed:
		return nil, refused(address)
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: addr(address), Err: ctx.Err()}
	}
	n.mu.Lock()
	h.conns[client] = struct{}{}
	n.mu.Unlock()
	return client, nil
}

func refused(address string) error {
	return &net.OpError{Op: "dial", Net: "memory", Addr: addr(address), Err: syscall.ECONNREFUSED}
}

func (n *Network) swallows(h *host) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return h.state == gone
}

// conn loses what is written to and from a host that is gone.
type conn struct {
	net.Conn
	network       *Network
	host          *host
	local, remote addr
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) Write(b []byte) (int, error) {
	if c.network.swallows(c.host) {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

type listener struct {
	host *host
	addr addr
	once sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.host.accept:
		return c, nil
	case <-l.host.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.host.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

type addr string

func (addr) Network() string  { return "memory" }
func (a addr) String() string { return string(a) }
