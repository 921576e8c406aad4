package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// api is the platform as an integrator sees it.
type api struct{ url, token string }

type apiError struct {
	Message    string
	Extensions struct{ Code, Fix string }
}

func (a api) do(query string, variables map[string]any, out any) ([]apiError, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+a.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer := struct {
		Data   any
		Errors []apiError
	}{Data: out}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", res.Status, err)
	}
	return answer.Errors, nil
}

// query fails the test on any error.
func (a api) query(t testing.TB, query string, variables map[string]any, out any) {
	t.Helper()
	errs, err := a.do(query, variables, out)
	if err != nil || len(errs) > 0 {
		t.Fatalf("%s\n%v %v", query, err, errs)
	}
}

// refused runs an operation that must fail, and gives its code.
func (a api) refused(t testing.TB, query string, variables map[string]any) apiError {
	t.Helper()
	errs, err := a.do(query, variables, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(errs) == 0 {
		t.Fatalf("%s\nwas not refused", query)
	}
	return errs[0]
}

// subscription is a live graphql-transport-ws stream.
type subscription struct {
	conn *websocket.Conn
	next chan json.RawMessage
	err  error // once next is closed
}

func (a api) subscribe(t testing.TB, query string, variables map[string]any) *subscription {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(a.url, "http")+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(4 << 20)
	send := func(v any) {
		t.Helper()
		if err := wsjson.Write(ctx, conn, v); err != nil {
			t.Fatal(err)
		}
	}
	send(map[string]any{"type": "connection_init", "payload": map[string]any{"authorization": "Bearer " + a.token}})
	var ack struct{ Type string }
	if err := wsjson.Read(ctx, conn, &ack); err != nil || ack.Type != "connection_ack" {
		t.Fatalf("no acknowledgement: %q %v", ack.Type, err)
	}
	send(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": query, "variables": variables}})
	s := &subscription{conn: conn, next: make(chan json.RawMessage, 4096)}
	go func() {
		defer close(s.next)
		for {
			var m struct {
				Type    string
				Payload json.RawMessage
			}
			if s.err = wsjson.Read(ctx, conn, &m); s.err != nil {
				return
			}
			switch m.Type {
			case "next":
				s.next <- m.Payload
			case "error":
				s.err = fmt.Errorf("refused: %s", m.Payload)
				return
			case "complete":
				return
			case "ping":
				if s.err = wsjson.Write(ctx, conn, map[string]string{"type": "pong"}); s.err != nil {
					return
				}
			}
		}
	}()
	return s
}

// read decodes the next message's data, or fails the test after the timeout.
func (s *subscription) read(t testing.TB, timeout time.Duration, out any) bool {
	t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case raw, ok := <-s.next:
		if !ok {
			if s.err != nil {
				t.Fatalf("the subscription ended: %v", s.err)
			}
			return false
		}
		var m struct {
			Data   json.RawMessage
			Errors []apiError
		}
		if err := json.Unmarshal(raw, &m); err != nil || len(m.Errors) > 0 {
			t.Fatalf("%v %v: %s", err, m.Errors, raw)
		}
		if err := json.Unmarshal(m.Data, out); err != nil {
			t.Fatalf("%v: %s", err, m.Data)
		}
		return true
	case <-timer.C:
		t.Fatalf("nothing within %s", timeout)
		return false
	}
}
