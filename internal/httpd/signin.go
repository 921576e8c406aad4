package httpd

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/quorate/quorate/internal/license"
)

// Sessions signs people in and knows who is signed in. Implementations are
// safe for concurrent use.
type Sessions interface {
	// Wrap makes who asks (by session cookie or Authorization header) known to
	// next by the request's context, and sends the cookie of a changed session
	// with the answer.
	Wrap(next http.Handler) http.Handler
	// SignIn starts a session for the request that ctx belongs to. A wrong
	// e-mail address and a wrong password are the same error,
	// license.CodeUnauthenticated; too many tries are license.CodeThrottled.
	// The session gets a new id, so that one planted before is worth nothing.
	// A Member without ID: the password is right, and a code is asked for next.
	SignIn(ctx context.Context, email, password string) (Member, error)
	// SignOut ends the request's session. No session is no error.
	SignOut(ctx context.Context) error
	// Member is who is signed in by the request's session, if anybody.
	Member(ctx context.Context) (Member, bool, error)
}

// Member is a person who is signed in.
type Member struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	Email        string       `json:"email"`
	Role         string       `json:"role"`
	Organization Organization `json:"organization"`
	// IdentityProvider vouches for the member; empty: he gave his password.
	IdentityProvider string `json:"identityProvider,omitempty"`
}

// Organization is what a member acts for.
type Organization struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Vendor   bool   `json:"vendor"`
	Customer bool   `json:"customer"`
	// Environment is "TEST" where licenses are for tests; empty: not told.
	Environment string `json:"environment,omitempty"`
}

type signIn struct {
	sessions Sessions
	log      *slog.Logger
}

type sessionBody struct {
	Member Member `json:"member"`
}

func (s signIn) login(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := readJSON(r.Body, &in); err != nil {
		writeError(w, err)
		return
	}
	if in.Email == "" || in.Password == "" {
		writeError(w, license.Errorf(license.CodeInvalidInput, "fill in both", "e-mail address or password is missing"))
		return
	}
	member, err := s.sessions.SignIn(r.Context(), in.Email, in.Password)
	if err != nil {
		s.fail(w, r, "sign in", err)
		return
	}
	if member.ID == "" {
		writeJSON(w, http.StatusOK, map[string]bool{"secondFactor": true})
		return
	}
	writeJSON(w, http.StatusOK, sessionBody{member})
}

func (s signIn) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.sessions.SignOut(r.Context()); err != nil {
		s.fail(w, r, "sign out", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s signIn) session(w http.ResponseWriter, r *http.Request) {
	member, ok, err := s.sessions.Member(r.Context())
	if err != nil {
		s.fail(w, r, "session", err)
		return
	}
	if !ok {
		writeError(w, license.Errorf(license.CodeUnauthenticated, "sign in", "nobody is signed in"))
		return
	}
	writeJSON(w, http.StatusOK, sessionBody{member})
}

func (s signIn) fail(w http.ResponseWriter, r *http.Request, what string, err error) {
	if license.Public(err).Code == license.CodeInternal {
		s.log.ErrorContext(r.Context(), what, "err", err)
	}
	writeError(w, err)
}

// readJSON reads exactly one JSON value without unknown fields.
func readJSON(body io.Reader, into any) error {
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, next := dec.Token(); next == io.EOF {
			return nil
		}
		err = errors.New("more than one value")
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &license.Error{Code: license.CodeTooLarge, Message: "the body is too large", Fix: "send less", Err: err}
	}
	return &license.Error{Code: license.CodeInvalidInput, Message: "the body is not the JSON object expected here",
		Fix: "send the fields that the API's documentation names, and no others", Err: err}
}
