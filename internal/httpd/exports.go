package httpd

import (
	"net/http"
	"time"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/ratelimit"
)

const (
	// mostExports is how many of an organization run at a time: each reads the
	// database for as long as its reader takes.
	mostExports = 2
	// scraped is read again and again by programs, which other exports don't
	// keep from it: it has a count of its own.
	scraped = "metrics"
	// exportAgain is when to try again while others run.
	exportAgain = 5 * time.Second
)

// limitExports refuses what is too many for the caller's organization, at all
// replicas together. Who isn't known is next's to refuse.
func (s *Server) limitExports(name string, next http.Handler) http.Handler {
	slots := "exports:"
	if name == scraped {
		slots = "scrapes:"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if by, err := auth.From(r.Context()); err == nil {
			release, held, err := s.cfg.Limits.Hold(r.Context(), slots+by.Organization, mostExports)
			if err != nil {
				writeError(w, err)
				return
			}
			if !held {
				writeError(w, ratelimit.Throttled(exportAgain, "wait until one has ended",
					"%d exports of the organization are running already", mostExports))
				return
			}
			defer release()
		}
		next.ServeHTTP(w, r)
	})
}

// export tells an error that came before the first byte; one that came later is
// told by breaking the answer off, so that nobody takes it for whole.
func export(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &recorder{ResponseWriter: patient{w}}
		err := f(out, r)
		switch {
		case err == nil:
		case out.code != 0:
			panic(http.ErrAbortHandler)
		default:
			w.Header().Del("Content-Disposition")
			writeError(w, err)
		}
	})
}

// patient is for an answer of any length: a reader who takes too long for a piece
// of it is gone.
type patient struct{ http.ResponseWriter }

func (p patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p patient) Write(b []byte) (int, error) {
	_ = http.NewResponseController(p.ResponseWriter).SetWriteDeadline(time.Now().Add(answerTimeout))
	return p.ResponseWriter.Write(b)
}
