package resolvers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/resolvers/present"
	"github.com/quorate/quorate/resolvers/socket"
)

// mostOperations is how many operations one connection may have at once:
// subscriptions, and queries that are not answered yet.
const mostOperations = 100

// sendTimeout is how long a reader may take to accept one message. Then the
// connection ends: messages are not gathered for it.
const sendTimeout = 10 * time.Second

// newSocket says how WebSockets are served. Who asks is known by the request's
// cookie or header, or by connection_init's payload {"authorization": "Bearer …"},
// which goes before.
func (h *Handler) newSocket() socket.Config {
	return socket.Config{
		Init: func(ctx context.Context, payload map[string]any) (context.Context, error) {
			if authorization := authorizationIn(payload); authorization != "" {
				p, err := h.cfg.Authenticate(ctx, authorization)
				switch license.CodeOf(err) {
				case "":
				case license.CodeUnauthenticated, license.CodeForbidden:
					return nil, err
				default:
					return nil, errors.Join(socket.ErrTryAgain, h.present.Present(ctx, err)) // which logs it
				}
				ctx = auth.With(auth.WithHold(ctx, auth.Hold{}), p)
			}
			if _, err := auth.From(ctx); err != nil {
				return nil, err
			}
			return context.WithValue(ctx, socketKey{}, true), nil
		},
		Start: h.start,
		Full: func(ctx context.Context) gqlerror.List {
			return gqlerror.List{h.present.Stamp(ctx, present.Final(license.Errorf(license.CodeThrottled,
				"end some, or open another connection", "this connection has %d operations open already", mostOperations)))}
		},
		Panicked: h.panicked, Outlive: h.cfg.Outlive,
		Most: mostOperations, MostBody: mostBody, InitTimeout: h.cfg.InitTimeout, Ping: h.cfg.Ping, Send: sendTimeout,
	}
}

func authorizationIn(payload map[string]any) string {
	for _, name := range []string{"authorization", "Authorization"} {
		if value, ok := payload[name].(string); ok && value != "" {
			return value
		}
	}
	return ""
}

// socketKey marks what came by WebSocket.
type socketKey struct{}

// onSocket says whether an operation came by WebSocket.
func onSocket(ctx context.Context) bool { return ctx.Value(socketKey{}) != nil }

// refuseUpgrade says why a request can't become a WebSocket, if so.
func (h *Handler) refuseUpgrade(r *http.Request) (status int, err *license.Error) {
	if !slices.ContainsFunc(r.Header.Values("Sec-Websocket-Protocol"), offers) {
		return http.StatusBadRequest, license.Errorf(license.CodeInvalidInput,
			"offer "+socket.Subprotocol, "none of the offered WebSocket subprotocols is spoken here")
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
		if strings.TrimSpace(p) == socket.Subprotocol {
			return true
		}
	}
	return false
}
