package httpd_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
)

// TestExports: an error before the first byte is the answer, one behind it breaks
// the answer off.
func TestExports(t *testing.T) {
	s := newServer(t, httpd.Config{Exports: map[string]func(http.ResponseWriter, *http.Request) error{
		"good": func(w http.ResponseWriter, r *http.Request) error {
			_, err := io.WriteString(w, "whole "+r.URL.Query().Get("x"))
			return err
		},
		"refused": func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Disposition", "attachment")
			return license.Errorf(license.CodeNotFound, "look", "there is none")
		},
		"broken": func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = io.WriteString(w, "half")
			return errors.New("the database")
		},
	}})
	if w := do(s, "GET", "/export/good?x=1", ""); w.Code != 200 || w.Body.String() != "whole 1" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if w := do(s, "GET", "/export/refused", ""); w.Code != 404 || !strings.Contains(w.Body.String(), `"NOT_FOUND"`) || w.Header().Get("Content-Disposition") != "" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	for method, target := range map[string]string{"GET": "/export/none", "POST": "/export/good"} {
		if w := do(s, method, target, ""); w.Code != 404 {
			t.Errorf("%s %s: %d", method, target, w.Code)
		}
	}
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	res, err := http.Get(server.URL + "/export/broken")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("half an answer looks whole")
	}
}

// TestExportsDontWaitForever: who doesn't read on is gone, however long the export is.
func TestExportsDontWaitForever(t *testing.T) {
	s := newServer(t, httpd.Config{Exports: map[string]func(http.ResponseWriter, *http.Request) error{
		"long": func(w http.ResponseWriter, _ *http.Request) error {
			for range 3 {
				if _, err := io.WriteString(w, "a piece"); err != nil {
					return err
				}
			}
			return nil
		},
	}})
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/export/long", nil))
	if w.Code != 200 || len(w.until) != 3 || time.Until(w.until[2]) > 5*time.Minute {
		t.Errorf("%d, deadlines %v", w.Code, w.until)
	}
}

// deadlines notes until when it may be written.
type deadlines struct {
	*httptest.ResponseRecorder

	until []time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	d.until = append(d.until, at)
	return nil
}

// TestExportsOfAnOrganization: two at a time, whoever of it asks; scrapes have
// a count of their own, and so has another organization.
func TestExportsOfAnOrganization(t *testing.T) {
	started, end := make(chan struct{}), make(chan struct{})
	wait := func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Query().Has("wait") {
			started <- struct{}{}
			<-end
		}
		_, err := io.WriteString(w, "whole")
		return err
	}
	s := newServer(t, httpd.Config{Exports: map[string]func(http.ResponseWriter, *http.Request) error{
		"usage": wait, "log": wait, "metrics": wait,
	}})
	ask := func(member, organization, target string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", target, nil)
		p := auth.Principal{Kind: auth.KindMember, ID: member, Organization: organization, Role: auth.Viewer}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r.WithContext(auth.With(r.Context(), p)))
		return w
	}
	var running sync.WaitGroup
	for _, target := range []string{"/export/usage?wait", "/export/log?wait"} {
		running.Go(func() {
			if w := ask("a", "one", target); w.Code != 200 {
				t.Errorf("%s: %d %q", target, w.Code, w.Body)
			}
		})
		<-started
	}
	if w := ask("b", "one", "/export/usage"); w.Code != 429 || !strings.Contains(w.Body.String(), `"THROTTLED"`) {
		t.Errorf("a third one: %d %q", w.Code, w.Body)
	}
	if w := ask("b", "one", "/export/metrics"); w.Code != 200 {
		t.Errorf("a scrape: %d %q", w.Code, w.Body)
	}
	if w := ask("c", "two", "/export/usage"); w.Code != 200 {
		t.Errorf("another organization's: %d %q", w.Code, w.Body)
	}
	close(end)
	running.Wait()
	for range 3 {
		if w := ask("a", "one", "/export/log"); w.Code != 200 {
			t.Errorf("after their end: %d %q", w.Code, w.Body)
		}
	}
}
