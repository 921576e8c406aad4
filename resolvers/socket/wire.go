package socket

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Sizes of a connection's buffers. What clients say is short; a message that is
// larger than the buffer takes one more call to the system. What the library
// writes, control frames, always fits.
const (
	readBuffer  = 512
	writeBuffer = 256
)

// wire is the connection below a WebSocket. The library reads by it, and answers
// pings and closes, each frame with one Write; messages are framed here: one call
// to the system each, without the library's locks and buffer. It closes itself
// when its peer takes nothing for too long, which the reading side notices.
type wire struct {
	net.Conn
	send time.Duration // how long the peer may take to accept a frame, or a quarter more

	mu    sync.Mutex // held for a whole frame
	over  bool       // nothing may be written any more
	until time.Time  // when a write that is under way ends
}

// Frames' first bytes (RFC 6455, 5.2).
const (
	wholeText = 0x81
	opClose   = 0x08
	opBits    = 0x0f
)

// Write writes a frame of the library's.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.put(p)
	if len(p) > 0 && p[0]&opBits == opClose {
		w.over = true
	}
	return n, err
}

// put needs the lock.
func (w *wire) put(p []byte) (int, error) {
	if w.over {
		return 0, net.ErrClosed
	}
	var n int
	var err error
	if now := time.Now(); w.until.Sub(now) < w.send { // else it was set for a frame just now
		w.until = now.Add(w.send + w.send/4)
		err = w.SetWriteDeadline(w.until)
	}
	if err == nil {
		n, err = w.Conn.Write(p)
	}
	if err != nil {
		w.over = true
		_ = w.Close()
	}
	return n, err
}

// header is how long a frame's header is at most.
const header = 10

// frame is a message on its way.
type frame struct{ bytes.Buffer }

// frames are used again.
var frames = sync.Pool{New: func() any { return new(frame) }} //nolint:gochecknoglobals // memory only

// mostKept is how large a frame may be that is used again.
const mostKept = 64 << 10

// newFrame begins a message, with room for the header.
func newFrame() *frame {
	f, _ := frames.Get().(*frame)
	f.Reset()
	f.Write(make([]byte, header))
	return f
}

// text sends a message and lets go of it. That it fails the reading side notices.
func (w *wire) text(f *frame) {
	all := f.Bytes()
	n, at := len(all)-header, 0
	switch {
	case n < 126:
		at = header - 2
		all[at+1] = byte(n)
	case n <= 0xffff:
		at = header - 4
		all[at+1] = 126
		binary.BigEndian.PutUint16(all[at+2:], uint16(n))
	default:
		all[1] = 127
		binary.BigEndian.PutUint64(all[2:], uint64(n))
	}
	all[at] = wholeText
	w.mu.Lock()
	_, _ = w.put(all[at:])
	w.mu.Unlock()
	if f.Cap() <= mostKept {
		frames.Put(f)
	}
}

// hijacker gives a connection small buffers in place of the server's, and keeps
// it.
type hijacker struct {
	http.ResponseWriter
	send time.Duration
	wire *wire
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	if len(early) > 0 {
		c = &begun{c, bytes.Clone(early)}
	}
	h.wire = &wire{Conn: c, send: h.send}
	return h.wire, bufio.NewReadWriter(bufio.NewReaderSize(c, readBuffer), bufio.NewWriterSize(h.wire, writeBuffer)), nil
}

// begun is a connection of which something was read already.
type begun struct {
	net.Conn
	early []byte
}

// Read gives what was read already, then what comes.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.early) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.early)
	if b.early = b.early[n:]; len(b.early) == 0 {
		b.early = nil
	}
	return n, nil
}
