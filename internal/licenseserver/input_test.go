package licenseserver_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/seal"
)

func TestRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", nil)
		api := l.api(t, "a")
		for name, change := range map[string]func(*quoratev1.AccessRequest){
			"no id":                  func(r *quoratev1.AccessRequest) { r.RequestId = "" },
			"short id":               func(r *quoratev1.AccessRequest) { r.RequestId = "1234567" },
			"long id":                func(r *quoratev1.AccessRequest) { r.RequestId = strings.Repeat("1", 65) },
			"id with a blank":        func(r *quoratev1.AccessRequest) { r.RequestId = "1234 5678" },
			"no product":             func(r *quoratev1.AccessRequest) { r.Product = nil },
			"no firm":                func(r *quoratev1.AccessRequest) { r.Product = &quoratev1.Product{Code: 14} },
			"unknown mode":           func(r *quoratev1.AccessRequest) { r.Mode = 77 },
			"long user":              func(r *quoratev1.AccessRequest) { r.Client.User = strings.Repeat("u", 256) },
			"long station":           func(r *quoratev1.AccessRequest) { r.Client.Station = strings.Repeat("s", 256) },
			"control in application": func(r *quoratev1.AccessRequest) { r.Client.Application = "a\x00b" },
			"newline in address":     func(r *quoratev1.AccessRequest) { r.Client.Address = "a\nb" },
		} {
			r := access(1)
			change(r)
			_, err := api.Access(t.Context(), connect.NewRequest(r))
			wantCode(t, name, err, license.CodeInvalidInput)
			if err != nil && license.Public(err).Fix == "" {
				t.Errorf("%s: no fix", name)
			}
		}
		big := access(1)
		big.Client.User = strings.Repeat("u", 100<<10)
		_, err := api.Access(t.Context(), connect.NewRequest(big))
		wantCode(t, "a huge request", err, license.CodeTooLarge)

		h := take(t, api, access(1))
		for name, token := range map[string][]byte{"no": nil, "a long": make([]byte, 8<<10+1)} {
			_, err := renew(t.Context(), api, token)
			wantCode(t, name+" token", err, license.CodeInvalidInput)
			wantCode(t, name+" token", release(t.Context(), api, token), license.CodeInvalidInput)
			_, err = openKey(t.Context(), api, token, []byte("x"))
			wantCode(t, name+" token", err, license.CodeInvalidInput)
		}
		for name, wrapped := range map[string][]byte{"no": nil, "a long": make([]byte, 16<<10+1)} {
			_, err := openKey(t.Context(), api, h.GetToken(), wrapped)
			wantCode(t, name+" wrapped key", err, license.CodeInvalidInput)
		}
		_, err = openKey(t.Context(), api, h.GetToken(), []byte("of another product"))
		wantCode(t, "a foreign key", err, license.CodeKeyRefused)
	})
}

func TestClientIsShownAsItSaysAndFilledInFromTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.net.From = "127.0.0.1:40000" // who administers sees all
		l.start(t, "a", nil)
		api := l.api(t, "a")
		take(t, api, access(1))
		time.Sleep(time.Second)
		bare := access(2)
		bare.Client = nil
		take(t, api, bare)
		answer, err := api.ListHandles(t.Context(), connect.NewRequest(&quoratev1.ListHandlesRequest{}))
		if err != nil || len(answer.Msg.GetHandles()) != 2 {
			t.Fatalf("%v, %v", answer, err)
		}
		first, second := answer.Msg.GetHandles()[0], answer.Msg.GetHandles()[1]
		if c := first.GetClient(); c.GetAddress() != "pc-1" || c.GetUser() != "ada" || c.GetProcess() != 1 ||
			c.GetApplication() != "charts" || c.GetStation() != "pc-1" {
			t.Errorf("client %v", c)
		}
		if first.GetRemainingMs() != 29_000 || first.GetAccesses() != 1 {
			t.Errorf("handle %v", first)
		}
		if second.GetClient().GetAddress() != "127.0.0.1" {
			t.Errorf("client %v", second.GetClient())
		}
		none, err := api.ListHandles(t.Context(), connect.NewRequest(&quoratev1.ListHandlesRequest{
			Product: &quoratev1.Product{Firm: 6000010, Code: 15},
		}))
		if err != nil || len(none.Msg.GetHandles()) != 0 {
			t.Errorf("of another product: %v, %v", none, err)
		}
	})
}

func TestTokensAreNotForged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.start(t, "a", nil)
		api := l.api(t, "a")
		h := take(t, api, access(1))
		for i := range h.GetToken() {
			bad := bytes.Clone(h.GetToken())
			bad[i] ^= 1
			if _, err := renew(t.Context(), api, bad); err == nil {
				t.Fatalf("a token with byte %d changed was taken", i)
			}
		}
		token := seal.Token{
			Container: servertest.Virtual(), Product: servertest.Product(), Handle: "request-0001",
			Mode: license.UserLimit, Seat: 1, Epoch: 1, N: 1, Lease: time.Minute, IssuedAt: time.Now(),
		}
		foreign, err := seal.SignToken(seal.NewSigner(bytes.Repeat([]byte("x"), 32)), token)
		if err != nil {
			t.Fatal(err)
		}
		_, err = renew(t.Context(), api, foreign)
		wantCode(t, "a token of another key", err, license.CodeTokenInvalid)
		token.Container.Number++
		other, err := seal.SignToken(l.signer, token)
		if err != nil {
			t.Fatal(err)
		}
		_, err = renew(t.Context(), api, other)
		wantCode(t, "a token of another container", err, license.CodeTokenInvalid)
		if _, err := renew(t.Context(), api, h.GetToken()); err != nil {
			t.Errorf("the real one: %v", err)
		}
	})
}

func TestRemovalIsAuthorized(t *testing.T) {
	for name, tt := range map[string]struct {
		configured, from, header string
		want                     license.Code
	}{
		"loopback without a token":        {"", "127.0.0.1:5000", "", ""},
		"loopback of IPv6":                {"", "[::1]:5000", "", ""},
		"loopback of IPv4 in IPv6":        {"", "[::ffff:127.0.0.1]:5000", "", ""},
		"elsewhere without a token":       {"", "192.0.2.7:5000", "", license.CodeForbidden},
		"elsewhere with an unknown token": {"", "192.0.2.7:5000", "Bearer x", license.CodeForbidden},
		"no address":                      {"", "pipe", "", license.CodeForbidden},
		"right token":                     {"secret", "192.0.2.7:5000", "Bearer secret", ""},
		"right token, other case":         {"secret", "192.0.2.7:5000", "bearer secret", ""},
		"wrong token":                     {"secret", "127.0.0.1:5000", "Bearer secreT", license.CodeForbidden},
		"longer token":                    {"secret", "127.0.0.1:5000", "Bearer secret2", license.CodeForbidden},
		"empty token":                     {"secret", "127.0.0.1:5000", "Bearer ", license.CodeUnauthenticated},
		"no token":                        {"secret", "127.0.0.1:5000", "", license.CodeUnauthenticated},
		"other scheme":                    {"secret", "127.0.0.1:5000", "Basic secret", license.CodeUnauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, 1)
				l.net.From = tt.from
				l.start(t, "a", func(c *licenseserver.Config) { c.AdminToken = tt.configured })
				api := l.api(t, "a")
				h := take(t, api, access(1))
				r := connect.NewRequest(&quoratev1.RemoveHandleRequest{
					Product: rpc.ProductProto(servertest.Product()), Id: h.GetId(), By: "ada",
				})
				if tt.header != "" {
					r.Header().Set("Authorization", tt.header)
				}
				_, err := api.RemoveHandle(t.Context(), r)
				wantCode(t, "removal", err, tt.want)
				if strings.Contains(license.Public(err).Error(), "secret") && err != nil {
					t.Errorf("the error tells the token: %v", err)
				}
				want := license.Code("")
				if tt.want == "" {
					want = license.CodeHandleRemoved
				}
				_, err = renew(t.Context(), api, h.GetToken())
				wantCode(t, "renewal", err, want)
			})
		})
	}
}

func TestRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.net.From = "127.0.0.1:1"
		s := l.start(t, "a", nil)
		api := l.api(t, "a")
		h := take(t, api, access(1))
		if n, err := s.Handles(t.Context()); n != 1 || err != nil {
			t.Errorf("%d handles, %v", n, err)
		}
		remove := func(id string) error {
			_, err := api.RemoveHandle(t.Context(), connect.NewRequest(&quoratev1.RemoveHandleRequest{
				Product: rpc.ProductProto(servertest.Product()), Id: id,
			}))
			return err
		}
		wantCode(t, "a handle that isn't there", remove("request-9999"), license.CodeHandleUnknown)
		wantCode(t, "a handle id that is none", remove("x"), license.CodeInvalidInput)
		if err := s.Remove(t.Context(), servertest.Product(), h.GetId(), "the platform"); err != nil {
			t.Fatal(err)
		}
		// The seat is free at once.
		second := take(t, api, access(2))
		_, err := openKey(t.Context(), api, h.GetToken(), servertest.Wrap(nil))
		wantCode(t, "a key for the removed handle", err, license.CodeHandleRemoved)
		if err := remove(second.GetId()); err != nil {
			t.Error(err)
		}
		events, err := l.store.Events(t.Context(), servertest.Virtual(), 0, 10)
		if err != nil || len(events) != 4 || events[1].By != "the platform" || events[3].By != "administrator" {
			t.Errorf("events %+v, %v", events, err)
		}
		s.Stop()
		wantCode(t, "a stopped server", s.Remove(t.Context(), servertest.Product(), h.GetId(), "x"), license.CodeNotLeader)
		if n, err := s.Handles(t.Context()); n != 0 || err != nil {
			t.Errorf("a stopped server has %d handles, %v", n, err)
		}
	})
}
