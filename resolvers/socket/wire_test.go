package socket

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// payloads is an operation that gives one after the other.
type payloads struct {
	size   func(i int) int // negative: the end
	i      int
	closed chan struct{}
	once   sync.Once
}

func (p *payloads) Next(context.Context) ([]byte, error) {
	n := p.size(p.i)
	if n < 0 {
		return nil, io.EOF
	}
	b, err := json.Marshal(fmt.Sprint(p.i, " ", strings.Repeat("x", n)))
	p.i++
	return b, err
}

func (p *payloads) Close() { p.once.Do(func() { close(p.closed) }) }

func serveOne(t *testing.T, op Operation, send time.Duration) (url string) {
	t.Helper()
	cfg := &Config{
		Init:  func(ctx context.Context, _ map[string]any) (context.Context, error) { return ctx, nil },
		Start: func(context.Context, *graphql.RawParams, func()) (Operation, gqlerror.List) { return op, nil },
		Most:  1, MostBody: 1 << 20, InitTimeout: time.Minute, Ping: time.Minute, Send: send,
	}
	s := httptest.NewServer(http.HandlerFunc(cfg.Serve))
	t.Cleanup(s.Close)
	return s.URL
}

// TestFramesDontMix: messages of all lengths arrive whole while the library answers
// pings in between, and the names of operations as they came.
func TestFramesDontMix(t *testing.T) {
	sizes := []int{0, 1, 100, 123, 124, 125, 126, 127, 1000, 65_400, 65_500, 65_535, 65_536, 70_000, 300_000}
	const rounds = 10
	op := &payloads{closed: make(chan struct{}), size: func(i int) int {
		if i >= rounds*len(sizes) {
			return -1
		}
		return sizes[i%len(sizes)]
	}}
	url := serveOne(t, op, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{Subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(1 << 20)
	read := func() (m message) {
		t.Helper()
		_, data, err := c.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("%.200q: %v", data, err)
		}
		return m
	}
	say := func(text string) {
		t.Helper()
		if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	say(`{"type":"connection_init"}`)
	if m := read(); m.Type != "connection_ack" {
		t.Fatalf("%+v", m)
	}
	const id = `a "name" <&> ü`
	name, _ := json.Marshal(id)
	say(`{"id":` + string(name) + `,"type":"subscribe","payload":{"query":"{a}"}}`)
	var pings sync.WaitGroup
	stop := make(chan struct{})
	pings.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := c.Ping(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for i := range rounds * len(sizes) {
		m := read()
		var text string
		if err := json.Unmarshal(m.Payload, &text); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint(i, " "); m.ID != id || m.Type != "next" || !strings.HasPrefix(text, want) || len(text) != len(want)+sizes[i%len(sizes)] {
			t.Fatalf("message %d: %s %q with %d bytes, %.30q", i, m.Type, m.ID, len(text), text)
		}
	}
	if m := read(); m.Type != "complete" || m.ID != id {
		t.Errorf("the end: %+v", m)
	}
	go func() { _, _, _ = c.Read(ctx) }() // for the pong
	close(stop)
	pings.Wait()
}

// TestWhoTakesNothingIsLetGo: a peer that doesn't accept a message within the time
// is closed, and its operation ends.
func TestWhoTakesNothingIsLetGo(t *testing.T) {
	op := &payloads{closed: make(chan struct{}), size: func(int) int { return 1 << 20 }}
	url := serveOne(t, op, 200*time.Millisecond)
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	begin := "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + Subprotocol + "\r\n\r\n"
	// Frames of a client are masked, here by zeros.
	for _, text := range []string{`{"type":"connection_init"}`, `{"id":"1","type":"subscribe","payload":{"query":"{a}"}}`} {
		begin += string([]byte{wholeText, 0x80 | byte(len(text)), 0, 0, 0, 0}) + text
	}
	if _, err := c.Write([]byte(begin)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-op.closed:
	case <-time.After(20 * time.Second):
		t.Error("it is waited for")
	}
}

// recording is a connection that keeps what is written.
type recording struct {
	net.Conn
	wrote []byte
}

func (r *recording) Write(p []byte) (int, error) {
	r.wrote = append(r.wrote, p...)
	return len(p), nil
}

func (r *recording) SetWriteDeadline(time.Time) error { return nil }

// TestNothingFollowsTheClose: after a close frame no frame is written.
func TestNothingFollowsTheClose(t *testing.T) {
	to := &recording{}
	w := &wire{Conn: to, send: time.Minute}
	bye := []byte{0x80 | opClose, 2, 0x03, 0xe8}
	if _, err := w.Write(bye); err != nil {
		t.Fatal(err)
	}
	f := newFrame()
	f.WriteString(`{"type":"ping"}`)
	w.text(f)
	if _, err := w.Write([]byte{0x8a, 0}); err != net.ErrClosed || string(to.wrote) != string(bye) {
		t.Errorf("wrote %x, %v", to.wrote, err)
	}
}
