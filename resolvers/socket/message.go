package socket

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/99designs/gqlgen/graphql"
)

// message is one of the protocol.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// parse reads a message; false for what is none.
func parse(data []byte) (m message, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if dec.Decode(&m) != nil {
		return message{}, false
	}
	if _, err := dec.Token(); err != io.EOF {
		return message{}, false
	}
	switch named := m.ID != "" && len(m.ID) <= mostID; m.Type {
	case "connection_init", "ping", "pong":
		ok = true
	case "subscribe":
		ok = named && len(m.Payload) > 0
	case "complete":
		ok = named
	}
	if !ok {
		return message{}, false
	}
	return m, true
}

// parseParams reads what to execute, numbers without loss.
func parseParams(payload []byte) (*graphql.RawParams, bool) {
	params := &graphql.RawParams{}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	return params, dec.Decode(params) == nil
}
