package licenseserver_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/rulebook"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// TestRulesAtTheService: rules decide who gets a handle, what is counted, and what
// why tells; a reload counts for new accesses alone.
func TestRulesAtTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 3)
		book, err := rulebook.New(rulebook.Config{})
		if err != nil {
			t.Fatal(err)
		}
		say := func(version uint64, text string) {
			t.Helper()
			if err := book.Take(version, text); err != nil {
				t.Fatal(err)
			}
		}
		l.start(t, "a", func(c *licenseserver.Config) { c.Limits = book.Limits })
		api := l.api(t, "a")
		n := 0
		ask := func(user string) *quoratev1.AccessRequest {
			n++
			r := access(n)
			r.Client.User = user
			return r
		}
		refused := func(what, user string, code license.Code, detail string, want any) {
			t.Helper()
			_, err := api.Access(t.Context(), connect.NewRequest(ask(user)))
			wantCode(t, what, err, code)
			var e *license.Error
			if !errors.As(err, &e) || e.Details[detail] != want {
				t.Errorf("%s: want %s %v: %+v", what, detail, want, e)
			}
		}
		explain := func(user string) *quoratev1.ExplainResponse {
			t.Helper()
			res, err := api.Explain(t.Context(), connect.NewRequest(&quoratev1.ExplainRequest{
				Product: rpc.ProductProto(servertest.Product()), Client: &quoratev1.Client{Address: "pc-1", User: user},
			}))
			if err != nil {
				t.Fatal(err)
			}
			return res.Msg
		}

		anna := take(t, api, ask("anna"))
		say(1, "group crew user:anna user:ben\nallow group:crew name:crew-only\nallow user:carl\ncap 1 user:carl\nreserve 2 group:crew\n")
		refused("not on the list", "dora", license.CodeNotAllowed, "rule", "allow list of all licenses")
		if e := explain("dora"); e.GetUsable() || len(e.GetReasons()) == 0 || e.GetReasons()[0].GetCode() != string(license.CodeNotAllowed) {
			t.Errorf("why: %v", e)
		}
		// Anna's handle is from before the rules, so two are still kept back.
		refused("kept back for the crew", "carl", license.CodeNoFreeSeat, "heldBack", 2.0)
		ben := take(t, api, ask("ben"))
		refused("one more is kept back", "carl", license.CodeNoFreeSeat, "heldBack", 1.0)
		take(t, api, ask("anna"))

		// What is running goes on, whatever the rules say now; who asks anew is refused.
		say(2, "deny group:crew\ngroup crew user:anna user:ben\ncap 1 user:carl\nreserve 5 user:zoe\n")
		for range 3 {
			time.Sleep(20 * time.Second)
			for _, h := range []*quoratev1.Handle{anna, ben} {
				if _, err := renew(t.Context(), api, h.GetToken()); err != nil {
					t.Errorf("a running program is thrown out: %v", err)
				}
			}
		}
		refused("denied now", "anna", license.CodeNotAllowed, "rule", "deny group:crew")

		say(3, "cap 1 user:carl name:one-each")
		if err := release(t.Context(), api, ben.GetToken()); err != nil {
			t.Fatal(err)
		}
		carl := take(t, api, ask("carl"))
		refused("his cap", "carl", license.CodeLimitReached, "limit", "one-each")
		// Another number, the same name: what he has still counts.
		say(4, "# two each\ncap 2 user:carl name:one-each")
		take(t, api, ask("carl"))
		refused("his new cap", "carl", license.CodeLimitReached, "taken", 2.0)
		if err := release(t.Context(), api, carl.GetToken()); err != nil {
			t.Fatal(err)
		}
		say(5, "")
		take(t, api, ask("dora"))
	})
}

// The address is the connection's, whatever the program states of itself.
func TestEachUserApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 9)
		book, err := rulebook.New(rulebook.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := book.Take(1, "cap 1 each:user everybody\ncap 3 everybody\n"); err != nil {
			t.Fatal(err)
		}
		l.start(t, "a", func(c *licenseserver.Config) { c.Limits = book.Limits })
		api := l.api(t, "a")
		n := 0
		of := func(user, limit string) {
			t.Helper()
			n++
			r := access(n)
			r.Client.User = user
			_, err := api.Access(t.Context(), connect.NewRequest(r))
			if limit == "" {
				wantCode(t, user, err, "")
				return
			}
			wantCode(t, user, err, license.CodeLimitReached)
			if d := license.Public(err).Details["limit"]; d != limit {
				t.Errorf("%s: refused by %v, want %s", user, d, limit)
			}
		}
		of("anna", "")
		of("Anna", "cap each:user everybody = anna")
		of("ben", "")
		of("carl", "")
		of("dora", "cap everybody")
	})
}

func TestRulesLookAtTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 3)
		book, err := rulebook.New(rulebook.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := book.Take(1, "allow host:10.0.0.5\nallow subnet:10.0.0.0/8"); err != nil {
			t.Fatal(err)
		}
		l.start(t, "a", func(c *licenseserver.Config) { c.Limits = book.Limits })
		r := access(1)
		r.Client.Address, r.Client.Station = "10.0.0.5", "10.0.0.5"
		_, err = l.api(t, "a").Access(t.Context(), connect.NewRequest(r))
		wantCode(t, "a stated address", err, license.CodeNotAllowed)
	})
}
