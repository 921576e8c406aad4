package rpc

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// Client is an HTTP client that can drop its connections. It satisfies
// connect.HTTPClient. Safe for concurrent use.
type Client struct {
	http  *http.Client
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	done  bool
	// endDials ends every dial, also those that no call waits for.
	endDials context.CancelFunc
}

// ClientConfig has useful zero values.
type ClientConfig struct {
	// TLS is for https; nil takes the system's authorities.
	TLS *tls.Config
	// Plain2 speaks HTTP/2 to http addresses too, which needs a server that
	// does. Without it they get HTTP/1.1.
	Plain2 bool
	// Dial makes connections; nil dials TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// NewClient makes a client. It follows no redirect, uses no proxy, and gives
// up a connection on which a peer doesn't answer pings.
func NewClient(c ClientConfig) *Client {
	client := &Client{conns: make(map[net.Conn]struct{})}
	closed, end := context.WithCancel(context.Background())
	client.endDials = end
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	if c.Plain2 {
		protocols.SetUnencryptedHTTP2(true)
	} else {
		protocols.SetHTTP1(true)
	}
	client.http = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				defer context.AfterFunc(closed, cancel)()
				conn, err := dial(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return client.track(conn)
			},
			TLSClientConfig:        c.TLS,
			TLSHandshakeTimeout:    3 * time.Second,
			Protocols:              protocols,
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    128,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
			HTTP2: &http.HTTP2Config{
				SendPingTimeout:  5 * time.Second,
				PingTimeout:      2 * time.Second,
				WriteByteTimeout: 5 * time.Second,
			},
		},
	}
	return client
}

// Do makes a request.
func (c *Client) Do(r *http.Request) (*http.Response, error) { return c.http.Do(r) }

// Close closes every connection at once, and with them the calls that use
// them, and ends those that are being made. Later calls fail. Closing twice is
// safe.
func (c *Client) Close() {
	c.endDials()
	c.mu.Lock()
	conns := c.conns
	c.conns, c.done = nil, true
	c.mu.Unlock()
	for conn := range conns {
		_ = conn.(*trackedConn).Conn.Close()
	}
	c.http.CloseIdleConnections()
}

// Reset closes every connection at once; later calls make new ones.
func (c *Client) Reset() {
	c.mu.Lock()
	conns := c.conns
	if !c.done {
		c.conns = make(map[net.Conn]struct{})
	} else {
		c.conns = nil
	}
	c.mu.Unlock()
	for conn := range conns {
		_ = conn.(*trackedConn).Conn.Close()
	}
	c.http.CloseIdleConnections()
}

func (c *Client) track(conn net.Conn) (net.Conn, error) {
	t := &trackedConn{Conn: conn, client: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	c.conns[t] = struct{}{}
	return t, nil
}

type trackedConn struct {
	net.Conn
	client *Client
}

func (t *trackedConn) Close() error {
	t.client.mu.Lock()
	delete(t.client.conns, t)
	t.client.mu.Unlock()
	return t.Conn.Close()
}
