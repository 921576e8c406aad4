package resolvers

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/resolvers/present"
)

// subprotocol is the only one spoken; the older graphql-ws is refused.
const subprotocol = "graphql-transport-ws"

// mostOperations is how many operations one connection may have at once:
// subscriptions, and queries that are not answered yet.
const mostOperations = 100

// closeUnauthorized is the protocol's close code for a connection without
// valid credentials.
const closeUnauthorized = 4401

// newSocket makes the WebSocket transport. Who asks is known by the request's
// cookie or header, or by connection_init's payload {"authorization": "Bearer …"},
// which goes before.
func newSocket(cfg Config) transport.Websocket {
	most := int64(mostBody)
	return transport.Websocket{
		Implementation:   upgrader{},
		InitTimeout:      cfg.InitTimeout,
		PingPongInterval: cfg.Ping,
		PayloadReadLimit: &most,
		InitFunc: func(ctx context.Context, payload transport.InitPayload) (context.Context, *transport.InitPayload, error) {
			authorization := payload.Authorization()
			if authorization != "" {
				p, err := cfg.Authenticate(ctx, authorization)
				if err != nil {
					return unauthorized(ctx), nil, err
				}
				ctx = auth.With(ctx, p)
			}
			if _, err := auth.From(ctx); err != nil {
				return unauthorized(ctx), nil, err
			}
			return context.WithValue(ctx, socketKey{}, new(atomic.Int32)), nil, nil
		},
	}
}

func unauthorized(ctx context.Context) context.Context {
	return transport.AppendCloseReason(transport.WithWebsocketCloseCode(ctx, closeUnauthorized), "unauthorized")
}

// socketKey leads to the number of operations that a WebSocket has open.
type socketKey struct{}

// onSocket says whether an operation came by WebSocket.
func onSocket(ctx context.Context) bool {
	_, ok := ctx.Value(socketKey{}).(*atomic.Int32)
	return ok
}

// streams bounds the operations of one connection.
type streams struct{}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
} = streams{}

// ExtensionName names the extension.
func (streams) ExtensionName() string { return "Streams" }

// Validate has nothing to check.
func (streams) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation counts operations in and out.
func (streams) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	open, ok := ctx.Value(socketKey{}).(*atomic.Int32)
	if !ok {
		return next(ctx)
	}
	if open.Add(1) > mostOperations {
		open.Add(-1)
		return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{present.Final(license.Errorf(license.CodeThrottled,
			"end some, or open another connection", "this connection has %d operations open already", mostOperations))}})
	}
	context.AfterFunc(ctx, func() { open.Add(-1) })
	return next(ctx)
}

// refuseUpgrade says why a request can't become a WebSocket, if so.
func (h *Handler) refuseUpgrade(r *http.Request) (status int, err *license.Error) {
	if !slices.ContainsFunc(r.Header.Values("Sec-Websocket-Protocol"), offers) {
		return http.StatusBadRequest, license.Errorf(license.CodeInvalidInput,
			"offer "+subprotocol, "none of the offered WebSocket subprotocols is spoken here")
	}
	origin := r.Header.Get("Origin")
	if u, err := url.Parse(origin); origin != "" && (err != nil || u.Host != r.Host) && !slices.Contains(h.cfg.TrustedOrigins, origin) {
		return http.StatusForbidden, license.Errorf(license.CodeForbidden,
			"open the dashboard at this server's own address", "the request comes from another site's page")
	}
	return 0, nil
}

func offers(header string) bool {
	for p := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(p) == subprotocol {
			return true
		}
	}
	return false
}

// upgrader accepts WebSockets that refuseUpgrade lets pass.
type upgrader struct{}

func (upgrader) Accept(w http.ResponseWriter, r *http.Request, _ transport.WebsocketAcceptOptions) (transport.WebsocketConn, error) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, InsecureSkipVerify: true, // the origin was checked
	})
	if err != nil {
		return nil, err
	}
	return &socketConn{conn: conn, ctx: r.Context(), closing: make(chan struct{})}, nil
}

// socketConn is one WebSocket. A message that the peer doesn't accept in time
// ends it, so that one slow reader holds nothing up and gathers nothing.
type socketConn struct {
	conn *websocket.Conn
	ctx  context.Context

	mu       sync.Mutex
	deadline *time.Timer
	once     sync.Once
	closing  chan struct{}
}

var (
	_ transport.WebsocketReadLimiter   = (*socketConn)(nil)
	_ transport.WebsocketReadDeadliner = (*socketConn)(nil)
)

func (c *socketConn) Subprotocol() string      { return c.conn.Subprotocol() }
func (c *socketConn) SetReadLimit(limit int64) { c.conn.SetReadLimit(limit) }
func (c *socketConn) NextReader() (int, io.Reader, error) {
	kind, data, err := c.conn.Read(context.WithoutCancel(c.ctx))
	switch websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		return int(kind), nil, transport.ErrWebsocketClosed
	}
	return int(kind), bytes.NewReader(data), err
}

func (c *socketConn) WriteJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), sendTimeout)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, data)
}

// WriteClose begins the close handshake and does not wait for its end. When
// the server stops, the peer is told so: it may connect again elsewhere.
func (c *socketConn) WriteClose(code int, reason string) error {
	if code == transport.WebsocketCloseNormalClosure && c.ctx.Err() != nil {
		code, reason = int(websocket.StatusGoingAway), "the server is stopping"
	}
	c.once.Do(func() {
		close(c.closing)
		_ = c.SetReadDeadline(time.Time{})
		go func() { _ = c.conn.Close(websocket.StatusCode(code), reason) }()
	})
	return nil
}

// Close ends the connection at once, unless a close handshake is under way,
// which ends it within seconds.
func (c *socketConn) Close() error {
	select {
	case <-c.closing:
		return nil
	default:
	}
	_ = c.SetReadDeadline(time.Time{})
	return c.conn.CloseNow()
}

// SetReadDeadline ends the connection at t; the zero time takes that back.
func (c *socketConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline != nil {
		c.deadline.Stop()
		c.deadline = nil
	}
	if !t.IsZero() {
		c.deadline = time.AfterFunc(time.Until(t), func() { _ = c.conn.CloseNow() })
	}
	return nil
}
