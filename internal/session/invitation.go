package session

import (
	"net/http"

	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/platform/signin"
)

func (s *Sessions) invitation(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Token string `json:"token"`
	}
	if err := httpd.ReadJSON(r, &in); err != nil {
		return httpd.Reply{}, err
	}
	shown, err := s.people.Invitation(r.Context(), in.Token)
	if err != nil {
		return httpd.Reply{}, err
	}
	signedIn := ""
	if c, err := s.person(r); err == nil {
		if a, err := s.people.Account(r.Context(), c); err == nil {
			signedIn = a.Email
		}
	}
	return httpd.Reply{Body: map[string]any{"invitation": shown, "signedIn": signedIn}}, nil
}

func (s *Sessions) accept(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Token    string `json:"token"`
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if err := httpd.ReadJSON(r, &in); err != nil {
		return httpd.Reply{}, err
	}
	var by *signin.Claim
	if c, err := s.person(r); err == nil {
		by = &c
	}
	c, err := s.people.AcceptInvitation(r.Context(), by, in.Token, in.Name, in.Password)
	if err != nil {
		return httpd.Reply{}, err
	}
	if by == nil || by.User != c.User {
		return s.enter(r.Context(), c)
	}
	m, err := s.memberOf(r.Context(), c)
	if err == nil {
		err = s.renew(r.Context(), c)
	}
	return httpd.Reply{Body: memberBody{m}}, err
}
