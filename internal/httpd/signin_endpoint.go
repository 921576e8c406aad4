package httpd

import (
	"net/http"
)

// Endpoint answers a request under /auth/, of a browser.
type Endpoint func(r *http.Request) (Reply, error)

// Reply is an Endpoint's answer: a page to go to, or a body as JSON, or nothing.
type Reply struct {
	Location string
	Cookie   *http.Cookie
	Body     any
}

func (s signIn) endpoint(e Endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply, err := e(r)
		if err != nil {
			s.fail(w, r, r.URL.Path, err)
			return
		}
		if reply.Cookie != nil {
			http.SetCookie(w, reply.Cookie)
		}
		switch {
		case reply.Location != "":
			w.Header().Set("Referrer-Policy", "no-referrer")
			w.Header().Set("Location", reply.Location)
			w.WriteHeader(http.StatusSeeOther)
		case reply.Body != nil:
			writeJSON(w, http.StatusOK, reply.Body)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

// ReadJSON reads a request's body: exactly one JSON value without unknown
// fields. Errors: license.CodeInvalidInput, license.CodeTooLarge.
func ReadJSON(r *http.Request, into any) error { return readJSON(r.Body, into) }

// authRoute names an /auth/ endpoint in metrics.
func (s *Server) authRoute(r *http.Request) bool { return s.cfg.Auth[r.Method+" "+r.URL.Path] != nil }
