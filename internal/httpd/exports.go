package httpd

import (
	"net/http"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
)

const (
	// mostExports is how many of an organization run at a time: each reads the
	// database for as long as its reader takes.
	mostExports = 2
	// scraped is read again and again by programs, which other exports don't
	// keep from it: it has a count of its own.
	scraped = "metrics"
)

// exports counts those that run.
type exports struct {
	mu      sync.Mutex
	running map[exportsOf]int
}

type exportsOf struct {
	organization string
	scraped      bool
}

// limit refuses what is too many for the caller's organization. Who isn't known
// is next's to refuse.
func (e *exports) limit(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if by, err := auth.From(r.Context()); err == nil {
			of := exportsOf{by.Organization, name == scraped}
			if !e.begin(of) {
				writeError(w, license.Errorf(license.CodeThrottled, "wait until one has ended",
					"%d exports of the organization are running already", mostExports))
				return
			}
			defer e.end(of)
		}
		next.ServeHTTP(w, r)
	})
}

func (e *exports) begin(of exportsOf) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[of] >= mostExports {
		return false
	}
	e.running[of]++
	return true
}

func (e *exports) end(of exportsOf) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[of]--; e.running[of] == 0 {
		delete(e.running, of)
	}
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
