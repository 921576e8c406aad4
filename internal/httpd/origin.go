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
	if r.Method == http.MethodPost {
		if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
			return &statusError{http.StatusUnsupportedMediaType, license.Errorf(license.CodeInvalidInput,
				"send the body as JSON with Content-Type: application/json", "the body is not JSON")}
		}
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
