// Package memnet is a network in memory, for tests of several servers: hosts
// that listen, connections between them, and the two ways a peer dies. A host
// that is stopped resets its connections; one that is cut off falls silent,
// as behind a broken cable: connections stay open, what is written to them
// vanishes, and dialling waits.
//
// Everything blocks on conditions and channels alone, so it works in a
// synctest bubble.
package memnet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Network is safe for concurrent use. The zero value is empty.
type Network struct {
	mu    sync.Mutex
	hosts map[string]*host
}

type host struct {
	listener *listener     // nil: nobody listens
	healed   chan struct{} // non-nil while cut off; closed by Heal
	conns    map[*conn]struct{}
}

func (n *Network) host(addr string) *host {
	if n.hosts == nil {
		n.hosts = make(map[string]*host)
	}
	h := n.hosts[addr]
	if h == nil {
		h = &host{conns: make(map[*conn]struct{})}
		n.hosts[addr] = h
	}
	return h
}

// Listen listens at an address such as "backend1:443". Closing the listener
// frees the address and leaves its connections alone.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.host(addr)
	if h.listener != nil {
		return nil, &net.OpError{Op: "listen", Net: "mem", Addr: address(addr), Err: syscall.EADDRINUSE}
	}
	h.listener = &listener{network: n, addr: addr, queue: make(chan *conn), done: make(chan struct{})}
	return h.listener, nil
}

// Dial connects to an address; it fits rpc.ClientConfig and http.Transport.
func (n *Network) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "mem", Addr: address(addr), Err: err}
	}
	for {
		n.mu.Lock()
		h := n.host(addr)
		healed, l := h.healed, h.listener
		if healed == nil && l == nil {
			n.mu.Unlock()
			return fail(syscall.ECONNREFUSED)
		}
		if healed == nil {
			client, server := pair(addr)
			h.conns[client], h.conns[server] = struct{}{}, struct{}{}
			n.mu.Unlock()
			select {
			case l.queue <- server:
				return client, nil
			case <-l.done:
				return fail(syscall.ECONNREFUSED)
			case <-ctx.Done():
				return fail(ctx.Err())
			}
		}
		n.mu.Unlock()
		select {
		case <-healed:
		case <-ctx.Done():
			return fail(ctx.Err())
		}
	}
}

// Cut silences a host: its connections carry nothing any more, for good, and
// new ones wait for Heal.
func (n *Network) Cut(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.host(addr)
	if h.healed == nil {
		h.healed = make(chan struct{})
	}
	for c := range h.conns {
		c.write.silence()
	}
	clear(h.conns)
}

// Heal lets new connections through again.
func (n *Network) Heal(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.host(addr); h.healed != nil {
		close(h.healed)
		h.healed = nil
	}
}

// Reset breaks a host's connections, as a crash of its process does.
func (n *Network) Reset(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.host(addr)
	for c := range h.conns {
		c.read.end(syscall.ECONNRESET)
		c.write.end(syscall.ECONNRESET)
	}
	clear(h.conns)
}

type address string

func (address) Network() string  { return "mem" }
func (a address) String() string { return string(a) }

type listener struct {
	network *Network
	addr    string
	queue   chan *conn
	done    chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		l.network.host(l.addr).listener = nil
	})
	return nil
}

func (l *listener) Addr() net.Addr { return address(l.addr) }

type conn struct {
	read, write   *pipe
	local, remote address
}

func pair(addr string) (client, server *conn) {
	up, down := newPipe(), newPipe()
	return &conn{read: down, write: up, local: "client:0", remote: address(addr)},
		&conn{read: up, write: down, local: address(addr), remote: "client:0"}
}

func (c *conn) Read(b []byte) (int, error)         { return c.read.Read(b) }
func (c *conn) Write(b []byte) (int, error)        { return c.write.Write(b) }
func (c *conn) LocalAddr() net.Addr                { return c.local }
func (c *conn) RemoteAddr() net.Addr               { return c.remote }
func (c *conn) SetReadDeadline(t time.Time) error  { c.read.deadline(t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { return nil } // writes never wait
func (c *conn) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }

func (c *conn) Close() error {
	c.read.end(net.ErrClosed)
	c.write.end(io.EOF)
	return nil
}

// pipe is one direction of a connection.
type pipe struct {
	mu     sync.Mutex
	wake   sync.Cond
	data   []byte
	err    error // why it has ended
	silent bool
	until  time.Time
	timer  *time.Timer
}

func newPipe() *pipe {
	p := new(pipe)
	p.wake.L = &p.mu
	return p
}

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case errors.Is(p.err, net.ErrClosed):
			return 0, p.err
		case !p.until.IsZero() && !time.Now().Before(p.until):
			return 0, os.ErrDeadlineExceeded
		case len(p.data) > 0:
			n := copy(b, p.data)
			p.data = p.data[n:]
			return n, nil
		case p.err != nil:
			return 0, p.err
		}
		p.wake.Wait()
	}
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil && !p.silent:
		return 0, syscall.EPIPE
	case !p.silent:
		p.data = append(p.data, b...)
		p.wake.Broadcast()
	}
	return len(b), nil
}

// end lets the reader see err after what is written already; net.ErrClosed,
// the reader's own, at once. A silent pipe carries no news of the writer's.
func (p *pipe) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent && !errors.Is(err, net.ErrClosed) {
		return
	}
	if p.err == nil || errors.Is(err, net.ErrClosed) {
		p.err = err
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.wake.Broadcast()
}

func (p *pipe) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
}

func (p *pipe) deadline(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.until = t
	if !t.IsZero() {
		p.timer = time.AfterFunc(time.Until(t), p.wake.Broadcast)
	}
	p.wake.Broadcast()
}
