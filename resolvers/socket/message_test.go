package socket

import "testing"

// FuzzMessage reads anything as a message of a client.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"type":"connection_init","payload":{"authorization":"Bearer x"}}`))
	f.Add([]byte(`{"id":"1","type":"subscribe","payload":{"query":"{ a }","variables":{"n":12345678901234567890}}}`))
	f.Add([]byte(`{"id":"1","type":"complete"}`))
	f.Add([]byte(`{"type":"ping"} x`))
	f.Add([]byte(`{"type":"subscribe","payload":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, ok := parse(data)
		if !ok {
			if m.Type != "" || m.ID != "" || m.Payload != nil {
				t.Errorf("%q was refused, and gives %+v", data, m)
			}
			return
		}
		if len(m.ID) > mostID || (m.ID == "" && (m.Type == "subscribe" || m.Type == "complete")) {
			t.Errorf("%q was read as %+v", data, m)
		}
		if m.Type == "subscribe" {
			if params, ok := parseParams(m.Payload); ok && params == nil {
				t.Errorf("%q has no parameters", m.Payload)
			}
		}
	})
}
