package roles

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// virtualAddress stands in for keepalived's virtual IP on one machine: a
// listener whose connections go to the server it points at. When it is pointed
// elsewhere, the connections are cut, as they are when an address moves.
type virtualAddress struct {
	ln net.Listener

	mu     sync.Mutex
	target string
	conns  map[net.Conn]struct{}
	wg     sync.WaitGroup
}

func listenVirtual(addr string) (*virtualAddress, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	v := &virtualAddress{ln: ln, conns: map[net.Conn]struct{}{}}
	v.wg.Go(v.accept)
	return v, nil
}

// Addr is host:port of the virtual address.
func (v *virtualAddress) Addr() string { return v.ln.Addr().String() }

// Point makes target (host:port; "" for nobody) the one that gets connections.
func (v *virtualAddress) Point(target string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.target == target {
		return
	}
	v.target = target
	for c := range v.conns {
		_ = c.Close()
	}
}

// Close ends the listener and every connection, and waits for them.
func (v *virtualAddress) Close() {
	_ = v.ln.Close()
	v.Point("")
	v.wg.Wait()
}

func (v *virtualAddress) accept() {
	for {
		in, err := v.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors: let some end
			continue
		}
		v.wg.Go(func() { v.forward(in) })
	}
}

func (v *virtualAddress) forward(in net.Conn) {
	target, ok := v.add(in)
	defer v.drop(in)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	out, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer v.drop(out)
	if now, _ := v.add(out); now != target {
		return // it moved while we dialed
	}
	done := make(chan struct{}, 2)
	pipe := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		done <- struct{}{}
	}
	go pipe(out, in)
	go pipe(in, out)
	<-done
	_ = in.Close()
	_ = out.Close()
	<-done
}

func (v *virtualAddress) add(c net.Conn) (target string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conns[c] = struct{}{}
	return v.target, v.target != ""
}

func (v *virtualAddress) drop(c net.Conn) {
	_ = c.Close()
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.conns, c)
}
