package resolvers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// message is one of the protocol graphql-transport-ws.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

type socket struct {
	t    *testing.T
	conn *websocket.Conn
}

func dial(t *testing.T, server *httptest.Server, options *websocket.DialOptions) *socket {
	t.Helper()
	if options == nil {
		options = &websocket.DialOptions{}
	}
	if options.Subprotocols == nil {
		options.Subprotocols = []string{"graphql-transport-ws"}
	}
	conn, _, err := websocket.Dial(t.Context(), server.URL, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{t, conn}
}

func (s *socket) send(m message) {
	s.t.Helper()
	if err := wsjson.Write(s.t.Context(), s.conn, m); err != nil {
		s.t.Fatal(err)
	}
}

// next gives the next message; pings are answered.
func (s *socket) next() message {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	for {
		var m message
		if err := wsjson.Read(ctx, s.conn, &m); err != nil {
			s.t.Fatalf("waiting for a message: %v", err)
		}
		if m.Type != "ping" {
			return m
		}
		s.send(message{Type: "pong"})
	}
}

func (s *socket) want(kind string) message {
	s.t.Helper()
	m := s.next()
	if m.Type != kind {
		s.t.Fatalf("got %s %s, want %s", m.Type, m.Payload, kind)
	}
	return m
}

func (s *socket) init() {
	s.t.Helper()
	s.send(message{Type: "connection_init"})
	s.want("connection_ack")
}

func (s *socket) subscribe(id, query string) {
	s.t.Helper()
	payload, _ := json.Marshal(map[string]string{"query": query})
	s.send(message{ID: id, Type: "subscribe", Payload: payload})
}

// data reads the next message of a subscription into v.
func (s *socket) data(v any) {
	s.t.Helper()
	m := s.want("next")
	var p struct{ Data, Errors json.RawMessage }
	if err := json.Unmarshal(m.Payload, &p); err != nil || p.Errors != nil {
		s.t.Fatalf("%s %v", m.Payload, err)
	}
	if err := json.Unmarshal(p.Data, v); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) code(payload json.RawMessage) string {
	s.t.Helper()
	var p struct {
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal(payload, &p); err != nil || len(p.Errors) == 0 {
		s.t.Fatalf("no error in %s: %v", payload, err)
	}
	return p.Errors[0].Extensions.Code
}

func (w *world) server(t *testing.T, viewer string) *httptest.Server {
	server := httptest.NewServer(w.serve(viewer))
	t.Cleanup(server.Close)
	return server
}

// events reads server-sent events: "name data".
func events(t *testing.T, body io.Reader) func() string {
	lines := bufio.NewScanner(body)
	return func() string {
		t.Helper()
		name := ""
		for lines.Scan() {
			line := lines.Text()
			if n, ok := strings.CutPrefix(line, "event: "); ok {
				name = n
			}
			if data, ok := strings.CutPrefix(line, "data:"); ok {
				return name + data
			}
		}
		return "end"
	}
}
