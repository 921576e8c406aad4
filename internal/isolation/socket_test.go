package isolation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// frame is a message of the protocol graphql-transport-ws.
type frame struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// overSocket executes an operation over a WebSocket, and gives the first answer
// as JSON. Who may not even open one gets his refusal in the same form.
func (a *asker) overSocket(operation string, variables map[string]any) string {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 10*time.Second)
	defer cancel()
	for range 2 { // the walk may have revoked the token, and has renewed it since
		if body, ok := a.overThisSocket(ctx, operation, variables); ok {
			return body
		}
		_ = a.socket.CloseNow()
		a.socket = nil
	}
	return `{"errors":[{"message":"","extensions":{"code":"UNAUTHENTICATED"}}]}`
}

func (a *asker) overThisSocket(ctx context.Context, operation string, variables map[string]any) (string, bool) {
	a.t.Helper()
	if a.socket == nil {
		conn, _, err := websocket.Dial(ctx, a.server.URL+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
		if err != nil {
			a.t.Fatal(err)
		}
		conn.SetReadLimit(1 << 24)
		a.socket = conn
		a.t.Cleanup(func() { _ = conn.CloseNow() })
		hello := frame{Type: "connection_init"}
		if a.token != "" {
			hello.Payload = json.RawMessage(`{"authorization": "Bearer ` + a.token + `"}`)
		}
		if err := wsjson.Write(ctx, conn, hello); err != nil {
			return "", false
		}
		var m frame
		if err := wsjson.Read(ctx, conn, &m); err != nil || m.Type != "connection_ack" {
			return "", false
		}
	}
	a.opened++
	id := fmt.Sprint(a.opened)
	payload, err := json.Marshal(map[string]any{"query": operation, "variables": variables})
	if err != nil {
		a.t.Fatal(err)
	}
	if err := wsjson.Write(ctx, a.socket, frame{ID: id, Type: "subscribe", Payload: payload}); err != nil {
		return "", false
	}
	for {
		var m frame
		if err := wsjson.Read(ctx, a.socket, &m); err != nil {
			return "", false
		}
		switch {
		case m.Type == "ping":
			if err := wsjson.Write(ctx, a.socket, frame{Type: "pong"}); err != nil {
				return "", false
			}
		case m.ID != id: // what was under way when another one was ended
			a.inspect("what another subscription sent late", string(m.Payload))
		case m.Type == "next":
			if err := wsjson.Write(ctx, a.socket, frame{ID: id, Type: "complete"}); err != nil {
				return "", false
			}
			return requestID.ReplaceAllString(string(m.Payload), `"requestId":"…"`), true
		case m.Type == "error":
			return requestID.ReplaceAllString(`{"errors":`+string(m.Payload)+`}`, `"requestId":"…"`), true
		case m.Type == "complete":
			return "{}", true
		}
	}
}

// subscribe follows a subscription until its first message, by server-sent
// events and over a WebSocket, which must be answered alike.
func (a *asker) subscribe(operation string, sent ...string) string {
	a.t.Helper()
	_, body := a.request("POST", "/graphql", `{"query": `+quote(operation)+`}`, "Accept", "text/event-stream")
	a.inspect(operation, body, sent...)
	over := a.overSocket(operation, nil)
	a.inspect(operation+" over WebSocket", over, sent...)
	for _, code := range codes.FindAllString(body+over, -1) {
		if strings.Contains(body, code) != strings.Contains(over, code) {
			a.once("%s: %s is answered by events with\n%s\nand over WebSocket with\n%s", a.name, operation, body, over)
		}
	}
	return body
}
