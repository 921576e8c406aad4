package httpd

import (
	"bufio"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/telemetry"
)

// RequestIDHeader carries a request's id in both directions.
const RequestIDHeader = telemetry.RequestIDHeader

func (s *Server) chain(next http.Handler) http.Handler {
	return forwarded(s.cfg.TrustedProxies, telemetry.Identify(s.cfg.Tracing.HTTP(s.spanName, s.observe(s.recover(s.secure(next))))))
}

// spanName names a request in traces. Calls of the link continue their caller's
// trace and make none of their own: most of them only wait.
func (s *Server) spanName(r *http.Request) string {
	switch route := s.route(r); {
	case strings.HasPrefix(route, "/quorate.v1."), route == "/healthz", route == "/readyz", route == "/":
		return ""
	default:
		return route
	}
}

// observe counts the request and logs it. The path is logged without its
// query, which may hold what a user typed.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		defer s.requests.Done()
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		s.metrics.inFlight.Inc()
		defer func() {
			took := time.Since(start)
			s.metrics.inFlight.Dec()
			route := s.route(r)
			s.metrics.observe(route, r.Method, rec.status(), took)
			telemetry.NoteStatus(r.Context(), rec.status())
			level := slog.LevelInfo
			switch {
			case rec.status() >= 500 && r.Context().Err() == nil: // not one that the caller gave up
				level = slog.LevelError
			case strings.HasPrefix(route, "/quorate.v1."), route == "/healthz" || route == "/readyz" || route == "/":
				level = slog.LevelDebug
			}
			s.log.LogAttrs(r.Context(), level, "request",
				slog.String("method", r.Method),
				slog.String("path", r.URL.Path),
				slog.Int("status", rec.status()),
				slog.Int64("bytes", rec.bytes),
				slog.Duration("took", took),
				slog.String("remote", r.RemoteAddr),
			)
		}()
		next.ServeHTTP(rec, r)
	})
}

// route names what served the request in metrics: a bounded set of names.
func (s *Server) route(r *http.Request) string {
	switch p := r.URL.Path; p {
	case "/healthz", "/readyz", "/graphql", "/auth/login", "/auth/logout", "/auth/session":
		return p
	}
	if s.authRoute(r) {
		return r.URL.Path
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/export/"); ok && s.cfg.Exports[name] != nil {
		return r.URL.Path
	}
	for path := range s.cfg.RPC {
		if strings.HasPrefix(r.URL.Path, path) {
			return path
		}
	}
	return "/"
}

// recover answers 500 for a panic and logs it with its stack. A connection
// that was given up on purpose stays given up.
func (s *Server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.log.ErrorContext(r.Context(), "panic", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			if rec, ok := w.(*recorder); ok && rec.code != 0 {
				panic(http.ErrAbortHandler) // half an answer is out: break it off visibly
			}
			writeError(w, errPanicked)
		}()
		next.ServeHTTP(w, r)
	})
}

// secure sets the headers that every answer carries. The dashboard's page
// replaces the content security policy by its own.
func (s *Server) secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		if s.cfg.HTTPS || r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func limitBody(most int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, most)
		next.ServeHTTP(w, r)
	})
}

// bySort sends WebSockets and event streams one way, all else the other.
func bySort(short, long http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" || strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			long.ServeHTTP(w, r)
			return
		}
		short.ServeHTTP(w, r)
	})
}

// recorder notes what was answered. It can do what the writer below it can:
// flush by http.Flusher, all else by Unwrap.
type recorder struct {
	http.ResponseWriter
	code  int
	bytes int64
}

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 && code >= 200 || code == http.StatusSwitchingProtocols {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

func (r *recorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	r.code = http.StatusSwitchingProtocols
	return http.NewResponseController(r.ResponseWriter).Hijack()
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
