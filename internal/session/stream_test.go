package session_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/ent/session"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/platform/accounts"
)

// Every member may watch rollouts; the owner's stream has something to tell.
const (
	streamed = `subscription { rolloutsChanged { sequence snapshot } }`
	audited  = `subscription { auditChanged { snapshot added { action } } }`
)

// patience is how long a stream is read at most.
const patience = 30 * time.Second

// stream is an open stream: of server-sent events, or a WebSocket.
type stream struct {
	t    *testing.T
	next func() string // one event, or why there is none any more
}

// events subscribes over server-sent events.
func (b *browser) events(query string, header ...string) stream {
	b.l.t.Helper()
	body, _ := json.Marshal(object{"query": query})
	ctx, cancel := context.WithTimeout(b.l.t.Context(), patience)
	b.l.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "POST", b.l.server.URL+"/graphql", strings.NewReader(string(body)))
	if err != nil {
		b.l.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := b.Do(r)
	if err != nil {
		b.l.t.Fatal(err)
	}
	b.l.t.Cleanup(func() { _ = res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	s := stream{b.l.t, func() string {
		name := ""
		for lines.Scan() {
			if n, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = n
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
				return name + data
			}
		}
		return "broken off"
	}}
	s.begun()
	return s
}

// socket subscribes over a WebSocket.
func (b *browser) socket() stream {
	b.l.t.Helper()
	ctx, cancel := context.WithTimeout(b.l.t.Context(), patience)
	b.l.t.Cleanup(cancel)
	c, _, err := websocket.Dial(ctx, b.l.server.URL+"/graphql", &websocket.DialOptions{HTTPClient: b.Client, Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		b.l.t.Fatal(err)
	}
	b.l.t.Cleanup(func() { _ = c.CloseNow() })
	query, _ := json.Marshal(object{"query": streamed})
	for _, m := range []string{`{"type":"connection_init"}`, `{"id":"1","type":"subscribe","payload":` + string(query) + `}`} {
		if err := c.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
			b.l.t.Fatal(err)
		}
	}
	s := stream{b.l.t, func() string {
		_, text, err := c.Read(ctx)
		switch code := websocket.CloseStatus(err); {
		case code == 4403:
			return "signed out"
		case err != nil:
			return "broken off: " + err.Error()
		}
		return string(text)
	}}
	if got := s.next(); !strings.Contains(got, "connection_ack") {
		b.l.t.Fatal(got)
	}
	s.begun()
	return s
}

func (s stream) begun() {
	s.t.Helper()
	if got := s.next(); !strings.Contains(got, `"snapshot":true`) {
		s.t.Fatalf("it begins with %s", got)
	}
}

// over waits for the end: server-sent events say why, and end properly; a
// WebSocket is closed, so that a browser that has another session by now comes
// back with that one.
func (s stream) over(what string) {
	s.t.Helper()
	switch got := s.next(); {
	case got == "signed out":
	case !strings.Contains(got, `"UNAUTHENTICATED"`):
		s.t.Errorf("%s: %s", what, got)
	default:
		if got := s.next(); got != "complete" {
			s.t.Errorf("%s: it ends with %q", what, got)
		}
	}
}

// Streams end with what they were opened by.
func TestStreamsEndWithTheSession(t *testing.T) {
	onBoth(t, func(t *testing.T, l *lab) {
		l.serveStreams()
		const clerk = "carl@example.com"
		m := l.member(l.first.Organization.ID, clerk, property.RoleOperator)
		in := func(who string) *browser {
			t.Helper()
			b := l.browser("a browser")
			if a := b.signIn(who, password); a.status != 200 {
				t.Fatalf("%+v", a)
			}
			return b
		}
		stays := in(email).events(audited)

		here, there := in(clerk), in(clerk)
		events, socket := here.events(streamed), here.socket()
		if a := there.post("/auth/sessions/end", object{"others": true}); a.status >= 300 {
			t.Fatalf("%+v", a)
		}
		events.over("ended from elsewhere")
		socket.over("ended from elsewhere")

		events, socket = there.events(streamed), there.socket()
		there.post("/auth/logout", nil)
		events.over("signed out")
		socket.over("signed out")

		here = in(clerk)
		events, socket = here.events(streamed), here.socket()
		ago := time.Now().UTC().Add(-13 * time.Hour).Truncate(time.Microsecond)
		if l.client().Session.Update().Where(session.UserID(*m.UserID)).SetSeenAt(ago).SaveX(l.system()) == 0 {
			t.Fatal("no session")
		}
		if err := l.Bus().Publish(t.Context(), event.Rights, ""); err != nil { // as each minute does
			t.Fatal(err)
		}
		events.over("nobody used it for long")
		socket.over("nobody used it for long")

		here = in(clerk)
		events, socket = here.events(streamed), here.socket()
		idp := l.client().IdentityProvider.Create().SetOrganizationID(l.first.Organization.ID).SetName("Company").
			SetIssuer("https://id.example.com").SetClientID("c").SetEnforced(true).SaveX(l.system())
		events.over("the provider is enforced")
		socket.over("the provider is enforced")
		if err := l.DeleteIdentityProvider(l.owner(), idp.ID); err != nil {
			t.Fatal(err)
		}

		here = in(clerk)
		events, socket = here.events(streamed), here.socket()
		if _, err := l.RemoveMember(l.owner(), m.ID); err != nil {
			t.Fatal(err)
		}
		events.over("removed")
		socket.over("removed")

		row, token, err := l.CreateToken(l.owner(), "", accounts.TokenSpec{Name: "monitor", Role: property.RoleViewer})
		if err != nil {
			t.Fatal(err)
		}
		events = l.browser("a program").events(streamed, "Authorization", "Bearer "+token)
		if _, err := l.RevokeToken(l.owner(), row.ID); err != nil {
			t.Fatal(err)
		}
		events.over("the token was revoked")
		for got := ""; !strings.Contains(got, "token.revoked"); {
			if got = stays.next(); !strings.Contains(got, "auditChanged") {
				t.Fatalf("another's stream ended: %s", got)
			}
		}
	})
}
