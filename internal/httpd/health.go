package httpd

import (
	"io"
	"net/http"

	"github.com/quorate/quorate/internal/telemetry"
)

// health says that the process lives.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }

// ready says whether to send requests here: not while stopping, and not when
// what the platform stands on does not answer. The reason goes to the log,
// since the endpoint is open to everybody.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.stopping.Err() != nil {
		plain(w, http.StatusServiceUnavailable, "stopping\n")
		return
	}
	if s.cfg.Ready == nil {
		plain(w, http.StatusOK, "ready\n")
		return
	}
	telemetry.Ready(s.log, s.cfg.Ready).ServeHTTP(w, r)
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
