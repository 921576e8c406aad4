package client_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
)

// A deferred Release is called with a context that is over, often.
func TestReleaseWithAContextThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", time.Minute)
		h := access(t, l.open(t, nil, "a"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Release(ctx); err != nil {
			t.Error(err)
		}
		if n := l.taken(t); n != 0 {
			t.Errorf("%d licenses are taken", n)
		}
		// It waits for servers that are gone, but not for long.
		h = access(t, l.open(t, nil, "a"))
		l.net.Gone("a")
		began := time.Now()
		wantCode(t, "servers are gone", h.Release(ctx), client.CodeUnavailable)
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// What an access under way gets while the client closes is given back.
func TestCloseDuringAnAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 5)
		s := l.start(t, "a", time.Hour)
		path, handler := s.Handler()
		slow := http.NewServeMux()
		slow.Handle(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handler.ServeHTTP(w, r)
			if strings.HasSuffix(r.URL.Path, "/Access") {
				select { // its answer is on its way for long
				case <-r.Context().Done():
				case <-time.After(200 * time.Millisecond):
				}
			}
		}))
		l.net.Serve(t, "slow", slow)
		c := l.open(t, nil, "slow")
		failed := make(chan error, 3)
		for range cap(failed) {
			go func() {
				_, err := c.Access(t.Context(), product)
				failed <- err
			}()
		}
		time.Sleep(100 * time.Millisecond)
		if n := l.taken(t); n != 3 {
			t.Fatalf("%d are taken", n)
		}
		began := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Close took %v", took)
		}
		for range cap(failed) {
			err := <-failed
			wantCode(t, "an access under way", err, client.CodeUnavailable)
			if err != nil && !strings.Contains(err.Error(), "closed") {
				t.Errorf("%v", err)
			}
		}
		if n := l.taken(t); n != 0 {
			t.Errorf("%d are taken still", n)
		}
		_, err := c.Access(t.Context(), product)
		wantCode(t, "after Close", err, client.CodeUnavailable)
	})
}

// Close waits for accesses, but not for long.
func TestCloseDuringAnAccessThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", time.Hour)
		access(t, l.open(t, nil, "a"))
		c := l.open(t, nil, "a")
		hold, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := c.Access(t.Context(), product, client.WithWait(time.Hour, func(client.Place) { <-hold }))
			ended <- err
		}()
		time.Sleep(10 * time.Second)
		began := time.Now()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("Close took %v", took)
		}
		close(hold)
		if err := <-ended; err == nil {
			t.Error("a closed client gave a license")
		}
	})
}

// Probe asks once, and tells a standby from one that is gone.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", time.Minute)
		l.start(t, "b", time.Minute)
		began := time.Now()
		for _, c := range []struct {
			servers []string
			want    client.Code
		}{
			{[]string{"a"}, ""}, {[]string{"b", "a"}, ""}, {[]string{"b"}, client.CodeNotLeader},
			{[]string{"nobody", "b"}, client.CodeNotLeader}, {[]string{"nobody"}, client.CodeUnavailable},
		} {
			wantCode(t, strings.Join(c.servers, " "), l.open(t, nil, c.servers...).Probe(t.Context()), c.want)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		c := l.open(t, nil, "a")
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "closed", c.Probe(t.Context()), client.CodeUnavailable)
	})
}

// A server that is slow with one call, and answers others, keeps its connections.
func TestLateCallCutsNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 5)
		s := l.start(t, "a", time.Hour)
		path, handler := s.Handler()
		var accesses atomic.Int32
		slow := http.NewServeMux()
		slow.Handle(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pause := time.Duration(0)
			switch {
			case strings.HasSuffix(r.URL.Path, "/OpenKey"):
				pause = time.Hour
				_, _ = io.Copy(io.Discard, r.Body) // so that it is seen when its caller goes
			case strings.HasSuffix(r.URL.Path, "/Access") && accesses.Add(1) == 3:
				pause = 2 * time.Second
			}
			select {
			case <-time.After(pause):
				handler.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		}))
		l.net.Serve(t, "slow", slow)
		c := l.open(t, func(c *client.Config) { c.Attempt = 3 * time.Second }, "slow")
		h := access(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		opened := make(chan error, 1)
		go func() {
			_, err := h.OpenKey(ctx, servertest.Wrap([]byte("k"))) // its attempt is over after 3 s
			opened <- err
		}()
		time.Sleep(time.Second)
		access(t, c)
		time.Sleep(time.Second)
		access(t, c) // takes from 2 s to 4 s
		if n := accesses.Load(); n != 3 {
			t.Errorf("%d calls for 3 accesses", n)
		}
		wantCode(t, "the slow call", <-opened, client.CodeUnavailable)
	})
}
