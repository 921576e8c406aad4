package rpc_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/quorate/quorate/internal/rpc"
)

// Close ends a call whose connection is being made, to a host that is silent.
func TestCloseEndsDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := rpc.NewClient(rpc.ClientConfig{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		r, err := http.NewRequest(http.MethodGet, "http://backend:443/", nil)
		if err != nil {
			t.Fatal(err)
		}
		called := make(chan error)
		go func() {
			_, err := c.Do(r)
			called <- err
		}()
		synctest.Wait()
		c.Close()
		c.Close()
		if err := <-called; err == nil {
			t.Error("the call succeeded")
		}
	})
}
