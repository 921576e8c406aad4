package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

// TestServerBehindReplicas: two replicas of the platform stand behind one address,
// which gives each call to the next one. A license server enrolls by a one-time
// code, gets what a ticket brings whichever replica was asked, goes on when one of
// them is killed, needs no code at its next start, and is cut off when its token
// is revoked.
func TestServerBehindReplicas(t *testing.T) {
	dsn, rdb := testenv.Postgres(t), testenv.Redis(t)
	l := newLife(t, "--database", dsn, "--redis", rdb.URL())
	second := testenv.FreeAddr(t)
	other := start(t, "platform-2", append([]string{"platform", "--listen", second, "--settle", "300ms", "--json"}, l.database...)...)
	a, b := l.api, api{"http://" + second, l.api.token}

	front := newFront(t, a.url, b.url)
	at := func(p api, args ...string) []string { return append(args, "--url", p.url, "--token", p.token) }

	must(t, "container", "create", l.path("one.qrc"), "--serial", "130-77", "--root", l.root, "--bind", "none", "--fingerprint", l.path("one.print"))
	must(t, "request", "--container", l.path("one.qrc"), "-o", l.path("one.lreq"))
	must(t, at(a, "container", "register", l.path("one.lreq"), "--customer", "Shipping Company")...)
	var item struct{ ID string }
	l.json(&item, at(b, "item", "create", charts, "Charts", "--json")...)
	var ticket struct{ ID, Code, State string }
	l.json(&ticket, at(a, "ticket", "create", item.ID+"=5", "--customer", "Shipping Company", "--reference", "PO-1", "--json")...)
	var enrollment struct{ Code string }
	l.json(&enrollment, at(b, "enroll", "create", "130-77", "office", "--json")...)

	serve := func(more ...string) *process {
		t.Helper()
		return start(t, "server", append([]string{"server", "--container", l.path("one.qrc"), "--listen", testenv.FreeAddr(t), "--plain", "--json", "--name", "office",
			"--key", l.path("tls.key"), "--token-key", l.path("token.key"), "--leases", l.path("leases.db"), "--platform", front.url, "--link-token", l.path("link.token")}, more...)...)
	}
	server := serve("--enroll", enrollment.Code)
	type fleet struct {
		ID, State, Version string
		Latency            *int
		Links              int
	}
	state := func(p api, want string) (got fleet) {
		t.Helper()
		testenv.Eventually(t, 20*time.Second, func() error {
			var all []fleet
			l.json(&all, at(p, "servers", "list", "--json")...)
			if len(all) != 1 || all[0].State != want || (want == "ONLINE" && all[0].Latency == nil) {
				return fmt.Errorf("the fleet is %+v, want one server %s", all, want)
			}
			got = all[0]
			return nil
		})
		return got
	}
	s := state(b, "ONLINE")
	if s.Version == "" || s.Links != 1 {
		t.Errorf("%+v", s)
	}
	holds := func(quantity int) {
		t.Helper()
		testenv.Eventually(t, 30*time.Second, func() error {
			var out struct {
				Container struct{ Licenses []struct{ Quantity int } }
			}
			b.query(t, `{ container(serial: "130-77") { licenses { quantity } } }`, nil, &out)
			if all := out.Container.Licenses; len(all) != 1 || all[0].Quantity != quantity {
				return fmt.Errorf("it holds %+v, want %d", all, quantity)
			}
			return nil
		})
	}
	must(t, at(a, "ticket", "activate", strings.ToLower(ticket.Code), "130-77", item.ID+"=2", "--key", "first")...)
	holds(2)
	must(t, at(a, "ticket", "activate", ticket.Code, "130-77", item.ID+"=2", "--key", "first")...)

	// One replica dies with calls of the server's on it.
	l.platform.kill()
	front.only(b.url)
	must(t, at(b, "ticket", "activate", ticket.Code, "130-77")...)
	holds(5)
	if s = state(b, "ONLINE"); s.Links != 1 {
		t.Errorf("a replica that died took the link along: %+v", s)
	}

	server.stop(t)
	server = serve()
	testenv.Eventually(t, 20*time.Second, func() error {
		if s = state(b, "ONLINE"); s.Links != 2 {
			return fmt.Errorf("%d links", s.Links)
		}
		return nil
	})
	must(t, at(b, "servers", "revoke", s.ID)...)
	state(b, "OFFLINE")
	testenv.Eventually(t, 20*time.Second, func() error {
		if out := server.output(); !strings.Contains(out, "UNAUTHENTICATED") {
			return fmt.Errorf("the server goes on: %s", out)
		}
		return nil
	})
	server.stop(t)
	if out := must(t, at(b, "ticket", "show", ticket.Code)...); !strings.Contains(out, "used up") || strings.Count(out, "activation") != 2 {
		t.Errorf("shown:\n%s", out)
	}
	for _, secret := range []string{enrollment.Code, ticket.Code} {
		if strings.Contains(other.output()+server.output()+l.platform.output(), secret) {
			t.Error("a code is in a log")
		}
	}
}
