package resolvers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/resolvers"
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

func TestSocketSignsInByToken(t *testing.T) {
	w := newWorld(t)
	ctx := w.as(t.Context(), "owner")
	row, token, err := w.platform.CreateToken(ctx, "", accounts.TokenSpec{Name: "monitoring", Role: property.RoleViewer})
	if err != nil {
		t.Fatal(err)
	}
	server := w.server(t, "nobody")
	s := dial(t, server, nil)
	s.send(message{Type: "connection_init", Payload: json.RawMessage(`{"authorization":"Bearer ` + token + `"}`)})
	s.want("connection_ack")
	s.subscribe("1", groupQuery)
	var m groupMessage
	s.data(&m)
	// Taken back, it ends what it began.
	w.change("", "", func(tx *store.Tx) error { return tx.ApiToken.DeleteOneID(row.ID).Exec(w.system()) })
	w.change(event.TmrGroup, "tmr_1", func(tx *store.Tx) error {
		return w.pushView(tx, groupView(6000010, "131-4837572", [3]int{0, 7, 7}, 7))
	})
	if got := s.code(s.want("next").Payload); got != "UNAUTHENTICATED" {
		t.Errorf("code %s", got)
	}

	for name, payload := range map[string]string{"none": `{}`, "wrong": `{"authorization":"Bearer qrt_wrong"}`} {
		s := dial(t, server, nil)
		s.send(message{Type: "connection_init", Payload: json.RawMessage(payload)})
		if _, _, err := s.conn.Read(t.Context()); websocket.CloseStatus(err) != 4401 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who can't be told now, because the database is away, is not turned away: clients
// don't come back after 4401.
func TestSocketSignInWithoutDatabase(t *testing.T) {
	w := newWorld(t)
	_, token, err := w.platform.CreateToken(w.as(t.Context(), "owner"), "", accounts.TokenSpec{Name: "monitoring", Role: property.RoleViewer})
	if err != nil {
		t.Fatal(err)
	}
	server := w.server(t, "nobody")
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	s := dial(t, server, nil)
	s.send(message{Type: "connection_init", Payload: json.RawMessage(`{"authorization":"Bearer ` + token + `"}`)})
	if _, _, err := s.conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusTryAgainLater {
		t.Errorf("closed with %v", err)
	}
	if !strings.Contains(w.log.String(), "closed") {
		t.Errorf("log: %s", w.log)
	}
}

// A socket says once who asks; what he may is looked up for each operation.
func TestSocketKnowsWhatOneMayNow(t *testing.T) {
	const order = `mutation { order(input: {item: "itm_1", tmrGroup: "tmr_1", quantity: 10}) { order { quantity } } }`
	role := func(w *world, r property.Role) {
		w.change("", "", func(tx *store.Tx) error { return tx.Member.UpdateOneID("mem_owner").SetRole(r).Exec(w.system()) })
	}
	w := newWorld(t)
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	answer := func(what, query, code string) {
		t.Helper()
		s.subscribe("1", query)
		m := s.want("next")
		if code == "" && strings.Contains(string(m.Payload), "errors") || code != "" && s.code(m.Payload) != code {
			t.Errorf("%s: %s, want %q", what, m.Payload, code)
		}
		s.want("complete")
	}
	answer("an owner", order, "")
	role(w, property.RoleViewer)
	answer("a viewer by now", order, "FORBIDDEN")
	answer("a viewer by now", `{ viewer { role } }`, "")
	w.change("", "", func(tx *store.Tx) error { return tx.Member.DeleteOneID("mem_owner").Exec(w.system()) })
	answer("removed", order, "UNAUTHENTICATED")
	answer("removed", `{ viewer { name } }`, "UNAUTHENTICATED")

	_, token, err := w.platform.CreateToken(w.as(t.Context(), "stranger"), "", accounts.TokenSpec{Name: "integration", Role: property.RoleOwner})
	if err != nil {
		t.Fatal(err)
	}
	s = dial(t, w.server(t, "nobody"), nil)
	s.send(message{Type: "connection_init", Payload: json.RawMessage(`{"authorization":"Bearer ` + token + `"}`)})
	s.want("connection_ack")
	answer("a token", `{ viewer { name } }`, "")
	w.change("", "", func(tx *store.Tx) error {
		_, err := tx.ApiToken.Delete().Exec(w.system())
		return err
	})
	answer("a token that was taken back", `{ viewer { name } }`, "UNAUTHENTICATED")
}

func TestSocketRefusals(t *testing.T) {
	w := newWorld(t, func(c *resolvers.Config) { c.InitTimeout = 20 * time.Millisecond })
	server := w.server(t, "owner")
	for name, options := range map[string]*websocket.DialOptions{
		"older subprotocol": {Subprotocols: []string{"graphql-ws"}},
		"no subprotocol":    {},
		"foreign page":      {Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {"https://evil.test"}}},
	} {
		if conn, _, err := websocket.Dial(t.Context(), server.URL, options); err == nil {
			_ = conn.CloseNow()
			t.Errorf("%s was accepted", name)
		}
	}
	s := dial(t, server, nil)
	if _, _, err := s.conn.Read(t.Context()); websocket.CloseStatus(err) == -1 {
		t.Errorf("who says nothing is closed: %v", err)
	}
	s = dial(t, server, nil)
	s.init()
	s.subscribe("1", `{ allocations(first: 1000000) { totalCount } }`)
	if m := s.next(); !strings.Contains(string(m.Payload), "INVALID_INPUT") {
		t.Errorf("limits over WebSocket: %s %s", m.Type, m.Payload)
	}
}

func TestSocketBoundsItsStreams(t *testing.T) {
	w := newWorld(t)
	s := dial(t, w.server(t, "owner"), nil)
	s.init()
	for i := range 101 {
		s.subscribe(fmt.Sprint(i), `subscription { rolloutChanged(id: "rol_0x") { sequence } }`)
		s.want("next") // not found: it ends at once and does not count any more
		s.want("complete")
	}
	for i := range 101 {
		s.subscribe(fmt.Sprint(i), `subscription { tmrGroupChanged(id: "tmr_1") { sequence } }`)
	}
	throttled := 0
	for range 101 {
		if m := s.next(); strings.Contains(string(m.Payload), "THROTTLED") {
			throttled++
		}
	}
	if throttled != 1 {
		t.Errorf("%d of 101 streams were refused", throttled)
	}
}

// The context of a request that ends tells the socket to close politely.
func TestSocketIsToldThatTheServerStops(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.handler.ServeHTTP(rw, r.WithContext(w.as(auth.With(ctx, auth.Principal{}), "owner")))
	}))
	t.Cleanup(server.Close)
	s := dial(t, server, nil)
	s.init()
	s.subscribe("1", groupQuery)
	s.want("next")
	stop()
	for {
		if _, _, err := s.conn.Read(t.Context()); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("closed with %v", err)
			}
			return
		}
	}
}
