package socket

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// breaking panics where its query says so; else it gives one message.
type breaking struct {
	where string
	given int
}

func (b *breaking) Next(context.Context) ([]byte, error) {
	if b.given++; b.where == "first" || b.where == "second" && b.given == 2 {
		panic("next")
	}
	if b.given > 1 {
		if b.where == "close" {
			return nil, io.EOF
		}
		return nil, nil
	}
	return []byte(`"one"`), nil
}

func (b *breaking) Close() {
	if b.where == "close" {
		panic("close")
	}
}

// TestPanicsEndWhatTheyServe: an operation, or, where it was none, the connection;
// the process and other operations go on.
func TestPanicsEndWhatTheyServe(t *testing.T) {
	var mu sync.Mutex
	var noted []string
	cfg := &Config{
		Init: func(ctx context.Context, with map[string]any) (context.Context, error) {
			if with["break"] != nil {
				panic("init")
			}
			return ctx, nil
		},
		Start: func(_ context.Context, params *graphql.RawParams, _ func()) (Operation, gqlerror.List) {
			if params.Query == "start" {
				panic("start")
			}
			return &breaking{where: params.Query}, nil
		},
		Panicked: func(_ context.Context, p any) gqlerror.List {
			mu.Lock()
			defer mu.Unlock()
			noted = append(noted, fmt.Sprint(p))
			return gqlerror.List{{Message: "internal error"}}
		},
		Most: 10, MostBody: 1 << 20, InitTimeout: time.Minute, Ping: time.Minute, Send: time.Minute,
	}
	serving := map[string]*Config{"within the request": cfg}
	beyond := *cfg
	beyond.Outlive = func(context.Context) (context.Context, func()) { return context.Background(), func() {} }
	serving["beyond the request"] = &beyond
	for name, cfg := range serving {
		t.Run(name, func(t *testing.T) {
			noted = nil
			s := httptest.NewServer(http.HandlerFunc(cfg.Serve))
			defer s.Close()
			dial := func(init string) (send func(kind, id, query string), next func() (message, error)) {
				t.Helper()
				c, _, err := websocket.Dial(t.Context(), s.URL, &websocket.DialOptions{Subprotocols: []string{Subprotocol}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.CloseNow() })
				if err := c.Write(t.Context(), websocket.MessageText, []byte(`{"type":"connection_init","payload":`+init+`}`)); err != nil {
					t.Fatal(err)
				}
				return func(kind, id, query string) {
						payload, _ := json.Marshal(map[string]string{"query": query})
						if err := wsjson.Write(t.Context(), c, message{ID: id, Type: kind, Payload: payload}); err != nil {
							t.Fatal(err)
						}
					}, func() (m message, err error) {
						return m, wsjson.Read(t.Context(), c, &m)
					}
			}
			_, next := dial(`{"break":true}`)
			if _, err := next(); websocket.CloseStatus(err) != closeInternal {
				t.Errorf("init: %v", err)
			}
			send, next := dial(`{}`)
			want := func(types string) {
				t.Helper()
				for _, kind := range strings.Fields(types) {
					m, err := next()
					if err != nil || m.Type != kind {
						t.Fatalf("got %+v %v, want %s", m, err, kind)
					}
					if kind == "error" && !strings.Contains(string(m.Payload), "internal error") {
						t.Errorf("told %s", m.Payload)
					}
				}
			}
			want("connection_ack")
			send("subscribe", "lives", "never")
			want("next")
			for _, q := range []string{"start", "first"} {
				send("subscribe", "1", q)
				want("error")
			}
			send("subscribe", "1", "second")
			want("next error")
			send("subscribe", "2", "never") // the name that broke is free again, and nothing stands still
			want("next")
			send("subscribe", "3", "close")
			want("next complete")
			send("complete", "2", "")
			send("subscribe", "2", "second")
			want("next error")
			mu.Lock()
			defer mu.Unlock()
			if got, want := strings.Join(noted, " "), "init start next next close next"; got != want {
				t.Errorf("noted %q, want %q", got, want)
			}
		})
	}
}
