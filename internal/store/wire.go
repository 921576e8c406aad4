package store

import (
	"context"
	"net"
	"time"
)

// How long PostgreSQL may keep whoever waits for it.
const (
	// connectTime is for a new connection.
	connectTime = 10 * time.Second
	// endTime is how long a statement may go on after its context: it is
	// cancelled, and a server that runs has long done so. One that is frozen, or
	// whose network is cut, never answers; then the connection is given up.
	endTime = 2 * time.Second
	// silentTime is how long the other host may acknowledge nothing. The system's
	// own is a quarter of an hour.
	silentTime = 20 * time.Second
)

// wire is the network's side of a connection.
type wire struct {
	net.Conn
	ctx  context.Context //nolint:containedctx // Connect's: the driver dials with one that ends when it has
	stop func() bool     // has its end not matter any more
}

type wireKey struct{}

// dialer makes connections of which none waits longer than its context. They are
// to be opened when it is over.
type dialer struct{ net.Dialer }

func newDialer() *dialer {
	return &dialer{net.Dialer{Control: notSilent, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silentTime / 2, Interval: silentTime / 4, Count: 2}}}
}

// DialTimeout implements pq.Dialer.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext. The driver asks for nothing with a
// context until the connection is open. Without a wire it is for having a statement
// cancelled, which whoever gave it waits for.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	w, ok := ctx.Value(wireKey{}).(*wire)
	most := endTime
	if ok {
		most = connectTime
	}
	bounded, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	conn, err := d.Dialer.DialContext(bounded, network, address)
	if err != nil {
		return nil, err
	}
	deadline, _ := bounded.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		_ = conn.Close()
		return nil, err
	}
	if ok {
		w.opened() // another host's, which was no good
		w.Conn, w.stop = conn, context.AfterFunc(w.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	}
	return conn, nil
}

// opened has the wire wait as long as it likes, and says whether it still may.
func (w *wire) opened() bool {
	if w.Conn == nil {
		return true
	}
	return w.stop() && w.SetDeadline(time.Time{}) == nil
}

// during bounds what waits at the wire, from now until the function that it gives
// is called, once.
func (w *wire) during(ctx context.Context) func() {
	if ctx.Done() == nil || w.Conn == nil {
		return func() {}
	}
	until := make(chan time.Time, 1)
	stop := context.AfterFunc(ctx, func() {
		end := time.Now().Add(endTime)
		_ = w.SetDeadline(end)
		until <- end
	})
	return func() {
		if stop() {
			return
		}
		// What has ended in time leaves a connection that others may use. Any other
		// is closed, which must not wait either.
		if time.Now().Before(<-until) {
			_ = w.SetDeadline(time.Time{})
		}
	}
}
