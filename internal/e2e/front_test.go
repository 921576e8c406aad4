package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// front is one address for several replicas: each call goes to the next one.
type front struct {
	url   string
	calls atomic.Uint64
	to    atomic.Pointer[[]*url.URL]
}

func newFront(t testing.TB, replicas ...string) *front {
	f := &front{}
	f.only(replicas...)
	server := httptest.NewServer(&httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			all := *f.to.Load()
			r.SetURL(all[f.calls.Add(1)%uint64(len(all))])
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(func() {
		server.CloseClientConnections() // those of links wait
		server.Close()
	})
	f.url = server.URL
	return f
}

// only has calls go to these replicas from now on.
func (f *front) only(replicas ...string) {
	var all []*url.URL
	for _, r := range replicas {
		u, err := url.Parse(r)
		if err != nil {
			panic(err)
		}
		all = append(all, u)
	}
	f.to.Store(&all)
}
