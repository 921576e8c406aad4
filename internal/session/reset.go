package session

import (
	"net/http"

	"github.com/quorate/quorate/internal/httpd"
)

func (s *Sessions) reset(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Token string `json:"token"`
	}
	if err := httpd.ReadJSON(r, &in); err != nil {
		return httpd.Reply{}, err
	}
	shown, err := s.people.Reset(r.Context(), in.Token)
	return httpd.Reply{Body: map[string]any{"reset": shown}}, err
}

func (s *Sessions) endReset(r *http.Request) (httpd.Reply, error) {
	var in struct {
		Token    string `json:"token"`
		Password string `json:"password"`
	}
	if err := httpd.ReadJSON(r, &in); err != nil {
		return httpd.Reply{}, err
	}
	key, err := s.people.EndReset(r.Context(), in.Token, in.Password)
	if err != nil {
		return httpd.Reply{}, err
	}
	// They have ended already: they began before. This only tidies up, and the link
	// that was followed can't be followed again.
	if err := s.store.EndAll(r.Context(), key); err != nil {
		s.log.WarnContext(r.Context(), "the sessions of before a new password are left to end by time", "err", err)
	}
	return httpd.Reply{}, nil
}
