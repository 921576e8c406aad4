package httpd

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"

	"github.com/quorate/quorate/internal/license"
)

// origins refuses requests that a foreign page makes a browser send. Programs
// send neither Origin nor Sec-Fetch-Site and pass.
type origins struct {
	trusted []string
	check   *http.CrossOriginProtection
}

func newOrigins(trusted []string) (*origins, error) {
	o := &origins{trusted: trusted, check: http.NewCrossOriginProtection()}
	for _, t := range trusted {
		if err := o.check.AddTrustedOrigin(t); err != nil {
			return nil, &license.Error{
				Code:    license.CodeInvalidInput,
				Message: fmt.Sprintf("%q is not an origin", t),
				Fix:     "write it as scheme and host, for example https://licenses.example.com",
				Err:     err,
			}
		}
	}
	return o, nil
}

// OrganizationHeader names the organization that a request of a browser is for,
// where it is another than the session's.
const OrganizationHeader = "Quorate-Organization"

// What pages of trusted origins may send, and read of an answer.
const (
	corsMethods = "GET, POST"
	corsHeaders = "Authorization, Content-Type, " + preflightHeader + ", " + OrganizationHeader + ", " + RequestIDHeader
	corsExposed = RequestIDHeader + ", Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, RateLimit-Cost"
	corsMaxAge  = "600" // seconds for which a browser doesn't ask again
)

// share lets pages of trusted origins read answers, and answers the question that
// browsers ask before they send what a form couldn't (CORS). Other origins are
// told nothing, so that their browsers keep the answers from them.
func (o *origins) share(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, origin := w.Header(), r.Header.Get("Origin")
		if len(o.trusted) > 0 {
			h.Add("Vary", "Origin")
		}
		trusted := origin != "" && slices.Contains(o.trusted, origin)
		if trusted {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Expose-Headers", corsExposed)
		}
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		if !trusted {
			writeError(w, errForeignPage())
			return
		}
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", corsMaxAge)
		w.WriteHeader(http.StatusNoContent)
	})
}

// preflightHeader is one that no form, link or image can send: a page has to ask
// first.
const preflightHeader = "GraphQL-Preflight"

// preflighted refuses to read for whoever a cookie names unless the request is one
// that a foreign page can't send unasked: it has a token, is sent as JSON, has
// preflightHeader, or comes from our own page. A POST is always JSON.
func preflighted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.Header.Get("Upgrade") == "" && r.Header.Get("Cookie") != "" && unasked(r) {
			writeError(w, license.Errorf(license.CodeForbidden,
				"send Content-Type: application/json, or "+preflightHeader+": 1, or an API token in place of the cookie",
				"any page could make a browser send this request"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// unasked says whether a page elsewhere could make a browser send a GET like this.
func unasked(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none": // our page, or typed by the user
		return false
	}
	return r.Header.Get("Authorization") == "" && r.Header.Get(preflightHeader) == "" && !isJSON(r)
}

func isJSON(r *http.Request) bool {
	mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && mt == "application/json"
}

func (o *origins) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := o.refuse(r); err != nil {
			writeError(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (o *origins) refuse(r *http.Request) error {
	if r.Header.Get("Upgrade") != "" {
		// A WebSocket is opened by GET, and no browser asks us first.
		if origin := r.Header.Get("Origin"); origin != "" && !o.own(r, origin) {
			return errForeignPage()
		}
		return nil
	}
	if err := o.check.Check(r); err != nil {
		return errForeignPage()
	}
	if r.Method == http.MethodPost && !isJSON(r) {
		return &statusError{http.StatusUnsupportedMediaType, license.Errorf(license.CodeInvalidInput,
			"send the body as JSON with Content-Type: application/json", "the body is not JSON")}
	}
	return nil
}

func (o *origins) own(r *http.Request, origin string) bool {
	if slices.Contains(o.trusted, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

func errForeignPage() error {
	return license.Errorf(license.CodeForbidden,
		"open the dashboard at this server's own address; behind a proxy, name its origin as a trusted one",
		"the request comes from another site's page")
}
