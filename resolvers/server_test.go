package resolvers_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/resolvers"
)

// The API behind the whole of the server: streams of both sorts pass its
// middleware, and a stop ends them in order.
func TestStreamsBehindTheServer(t *testing.T) {
	w := newWorld(t, func(c *resolvers.Config) { c.Outlive = httpd.Outlive })
	server, err := httpd.New(httpd.Config{GraphQL: w.serve("owner")})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, ln) }()
	at := "http://" + ln.Addr().String() + "/graphql"

	s := dial(t, &httptest.Server{URL: at}, nil)
	s.init()
	s.subscribe("1", groupQuery)
	var m groupMessage
	s.data(&m)

	r, err := http.NewRequestWithContext(t.Context(), "GET", at+"?query="+url.QueryEscape(`subscription { tmrGroupChanged(id: "tmr_1") { tmrGroup { sequence } } }`), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	next := events(t, resp.Body)
	if got := next(); !strings.Contains(got, `"sequence":3`) {
		t.Errorf("event stream: %s", got)
	}

	stop()
	for err = nil; err == nil; {
		_, _, err = s.conn.Read(t.Context())
	}
	if websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the socket ended with %v", err)
	}
	if got := next(); got != "end" { // broken off, so that the client asks again
		t.Errorf("the event stream ended with %s", got)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the event stream's body: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
