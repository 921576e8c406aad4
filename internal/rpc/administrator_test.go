package rpc

import (
	"net/http"
	"testing"

	"connectrpc.com/connect"
)

// A proxy on the server's machine makes nobody an administrator.
func TestAdministratorIsNotBehindAProxy(t *testing.T) {
	here := connect.Peer{Addr: "127.0.0.1:40000"}
	if err := Administrator("", http.Header{}, here, "this"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"Forwarded", "Via", "X-Real-IP", "X-Forwarded-For"} {
		h := http.Header{}
		h.Set(name, "192.0.2.1")
		if Administrator("", h, here, "this") == nil {
			t.Errorf("%s passes", name)
		}
	}
}
