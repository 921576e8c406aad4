package httpd

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
)

// statusError is an error whose HTTP status its code does not tell.
type statusError struct {
	status int
	err    *license.Error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func statusOf(err error) int {
	if s, ok := errors.AsType[*statusError](err); ok {
		return s.status
	}
	switch license.Public(err).Code {
	case license.CodeInvalidInput:
		return http.StatusBadRequest
	case license.CodeUnauthenticated:
		return http.StatusUnauthorized
	case license.CodeForbidden:
		return http.StatusForbidden
	case license.CodeNotFound:
		return http.StatusNotFound
	case license.CodeConflict:
		return http.StatusConflict
	case license.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case license.CodeThrottled:
		return http.StatusTooManyRequests
	case license.CodeUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// errorBody is how every endpoint but GraphQL tells an error.
type errorBody struct {
	Error struct {
		Code      license.Code `json:"code"`
		Message   string       `json:"message"`
		Fix       string       `json:"fix,omitempty"`
		RequestID string       `json:"requestId,omitempty"`
	} `json:"error"`
}

// WriteError answers with an error's public part, for what is served beside the
// Server's own handlers; GraphQL has errors of another form.
func WriteError(w http.ResponseWriter, err error) { writeError(w, err) }

// writeError answers with an error's public part.
func writeError(w http.ResponseWriter, err error) {
	public := license.Public(err)
	var body errorBody
	body.Error.Code, body.Error.Message, body.Error.Fix = public.Code, public.Message, public.Fix
	body.Error.RequestID = w.Header().Get(RequestIDHeader)
	w.Header().Set("Cache-Control", "no-store")
	if seconds := ratelimit.RetryAfter(err); seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	writeJSON(w, statusOf(err), body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a reader who went away is nobody's error
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, license.Errorf(license.CodeNotFound, "see the API's documentation for what there is", "there is nothing here"))
}

var errPanicked = errors.New("panic") // has no code, so that only the request id is shown
