package client_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/license"
)

// Who lost a license because a server refused it is told to do something about
// that, not about the connection.
func TestLostByRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", 30*time.Second)
		h := access(t, l.open(t, nil, "a"))
		l.source.Refuse(license.Errorf(license.CodeNoLicense, "order one", "it was revoked"))
		<-h.Done()
		wantCode(t, "the reason", h.Err(), client.CodeHandleExpired)
		var e *client.Error
		if !errors.As(h.Err(), &e) || e.Fix != "order one" || !errors.Is(e.Unwrap(), &client.Error{Code: client.CodeNoLicense}) {
			t.Errorf("it says %v", h.Err())
		}
	})
}
