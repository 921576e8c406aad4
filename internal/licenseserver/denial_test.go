package licenseserver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// detailsOf gives the figures of an error, as JSON has them.
func detailsOf(err error) map[string]any {
	var e *license.Error
	if !errors.As(err, &e) {
		return nil
	}
	return e.Details
}

// holdersOf gives who has the licenses by a denial.
func holdersOf(t testing.TB, err error) (all []map[string]any) {
	t.Helper()
	told, _ := detailsOf(err)["holders"].([]any)
	for _, h := range told {
		all = append(all, h.(map[string]any))
	}
	return all
}

func denied(t testing.TB, a api, r *quoratev1.AccessRequest, token string) error {
	t.Helper()
	req := connect.NewRequest(r)
	if token != "" {
		req.Header().Set("Authorization", "Bearer "+token)
	}
	_, err := a.Access(t.Context(), req)
	if err == nil {
		t.Fatal("it was granted")
	}
	return err
}

func renewIdle(t testing.TB, a api, token []byte, idle time.Duration) *quoratev1.RenewResponse {
	t.Helper()
	answer, err := a.Renew(t.Context(), connect.NewRequest(&quoratev1.RenewRequest{Token: token, IdleMs: idle.Milliseconds()}))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Msg
}

func TestDenialTellsWhoAsFarAsTheAskerMayKnow(t *testing.T) {
	for _, c := range []struct {
		disclose licenseserver.Disclosure
		token    string
		keys     []string // of a holder
		message  string
	}{
		{disclose: licenseserver.DiscloseNone, message: "all licenses for 6000010:14 are taken (2 of 2); the next is free in 20 s unless its program renews it"},
		{disclose: "", keys: []string{"handle", "host", "licenses", "idleMs"},
			message: "all licenses for 6000010:14 are taken (2 of 2); the one on host pc-7 has been idle for 41 min; the next is free in 20 s unless its program renews it"},
		{disclose: licenseserver.DiscloseUsers, keys: []string{"handle", "host", "licenses", "idleMs", "user", "application", "station"},
			message: "all licenses for 6000010:14 are taken (2 of 2); the one of ada on host pc-7 has been idle for 41 min; the next is free in 20 s unless its program renews it"},
		{disclose: licenseserver.DiscloseNone, token: "secret", keys: []string{"handle", "host", "licenses", "idleMs", "user", "application", "station"},
			message: "all licenses for 6000010:14 are taken (2 of 2); the one of ada on host pc-7 has been idle for 41 min; the next is free in 20 s unless its program renews it"},
	} {
		t.Run(string(c.disclose)+c.token, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, 2)
				l.start(t, "a", func(cfg *licenseserver.Config) { cfg.Disclose, cfg.AdminToken = c.disclose, "secret" })
				a := l.api(t, "a")
				busy, idle := take(t, a, on(1, "pc-1", userLimit)), take(t, a, on(7, "pc-7", userLimit))
				renewIdle(t, a, idle.GetToken(), 41*time.Minute-10*time.Second)
				time.Sleep(10 * time.Second)
				err := denied(t, a, access(9), c.token)
				wantCode(t, "denied", err, license.CodeNoFreeSeat)
				var e *license.Error
				if errors.As(err, &e); e.Message != c.message || e.Fix == "" {
					t.Errorf("it says\n%s, want\n%s", e.Message, c.message)
				}
				d := detailsOf(err)
				if d["taken"] != 2.0 || d["quantity"] != 2.0 || d["waiting"] != 0.0 || d["heldBack"] != 0.0 || d["nextExpiryMs"] != 20_000.0 {
					t.Errorf("details %v", d)
				}
				holders := holdersOf(t, err)
				if c.keys == nil {
					if holders != nil || d["holdersInAll"] != nil {
						t.Errorf("details %v", d)
					}
				} else if len(holders) != 2 || d["holdersInAll"] != 2.0 {
					t.Fatalf("holders %v", holders)
				} else if h := holders[0]; h["host"] != "pc-7" || h["handle"] != idle.GetId() || h["idleMs"] != (41*time.Minute).Seconds()*1000 {
					t.Errorf("the longest idle is %v", h)
				} else if len(h) != len(c.keys) {
					t.Errorf("of a holder %v is told", h)
				} else {
					for _, key := range c.keys {
						if h[key] == nil {
							t.Errorf("of a holder %s is not told: %v", key, h)
						}
					}
					if b := holders[1]; b["idleMs"] != nil || b["host"] != "pc-1" {
						t.Errorf("the other is %v", b)
					}
				}
				text, _ := json.Marshal(d)
				for _, secret := range []string{"process", "token", string(busy.GetToken())} {
					if strings.Contains(string(text)+err.Error(), secret) {
						t.Errorf("it tells %q: %s", secret, text)
					}
				}
				// quorate why tells the same.
				req := connect.NewRequest(&quoratev1.ExplainRequest{Product: access(0).GetProduct(), Client: access(9).GetClient()})
				if c.token != "" {
					req.Header().Set("Authorization", "Bearer "+c.token)
				}
				answer, err := a.Explain(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				r := answer.Msg.GetReasons()
				if len(r) != 1 || r[0].GetCode() != "NO_FREE_SEAT" || r[0].GetMessage() != c.message {
					t.Fatalf("explained as %v", r)
				}
				var again map[string]any
				if json.Unmarshal([]byte(r[0].GetDetailsJson()), &again) != nil || fmt.Sprint(again) != fmt.Sprint(d) {
					t.Errorf("explained with\n%v, denied with\n%v", again, d)
				}
			})
		})
	}
}

func TestDenialNamesTenHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 40)
		l.start(t, "a", func(c *licenseserver.Config) { c.Disclose = licenseserver.DiscloseUsers })
		a := l.api(t, "a")
		for i := range 40 {
			r := on(i, fmt.Sprint("pc-", i), userLimit)
			r.Client.User, r.Client.Application, r.Client.Station = strings.Repeat("ü", 127), strings.Repeat("ü", 127), strings.Repeat("ü", 127)
			take(t, a, r)
		}
		take(t, a, on(50, "free", noUserLimit)) // takes nothing
		err := denied(t, a, access(99), "")
		if n := len(holdersOf(t, err)); n != 10 || detailsOf(err)["holdersInAll"] != 40.0 {
			t.Errorf("%d holders of %v", n, detailsOf(err)["holdersInAll"])
		}
	})
}

// A crowd of denials reads the pool once in a while, not each time.
func TestDenialsInACrowdReadThePoolOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		lists := 0
		l.start(t, "a", func(c *licenseserver.Config) { c.Store = counting{l.store, &lists} })
		a := l.api(t, "a")
		take(t, a, access(0))
		for i := range 100 {
			refused(t, "denied", a, access(i+1), license.CodeNoFreeSeat)
		}
		if lists != 1 {
			t.Errorf("the pool was read %d times", lists)
		}
		time.Sleep(2 * time.Second)
		refused(t, "later", a, access(200), license.CodeNoFreeSeat)
		if lists != 2 {
			t.Errorf("the pool was read %d times", lists)
		}
	})
}

func TestDenialOnABusyStation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 20)
		l.start(t, "a", nil)
		a := l.api(t, "a")
		take(t, a, on(1, "pc-1", exclusive))
		take(t, a, on(2, "pc-2", userLimit))
		err := denied(t, a, on(3, "pc-1", stationShare), "")
		wantCode(t, "there", err, license.CodeStationBusy)
		if h := holdersOf(t, err); len(h) != 1 || h[0]["host"] != "pc-1" || !strings.Contains(err.Error(), "; it is in use on host pc-1; ") {
			t.Errorf("holders %v", h)
		}
		for station, want := range map[string]int{"pc-1": 1, "pc-2": 1, "pc-3": 0} {
			q := question()
			q.Mode, q.Client.Station = exclusive, station
			m := explain(t, a, q)
			if len(m.GetReasons()) != want || m.GetUsable() != (want == 0) || want > 0 && m.GetReasons()[0].GetCode() != "STATION_BUSY" {
				t.Errorf("%s: %v", station, m)
			}
		}
	})
}

// The server's rules: who is refused, whose limit is reached, and what is kept
// back for others.
func TestDenialByRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 5)
		l.start(t, "a", func(c *licenseserver.Config) {
			c.AdminToken = "secret"
			c.Limits = func(p license.Product, ask license.Ask) (lease.Limits, int32, error) {
				holds := []lease.Hold{{Tag: "reserve lab", Least: 2}}
				switch ask.User {
				case "eve":
					return lease.Limits{Holds: holds}, 0, &license.Error{
						Code: license.CodeNotAllowed, Message: "not here", Fix: "ask", Details: map[string]any{"rule": "deny user eve"},
					}
				case "lab":
					return lease.Limits{Tags: []string{"reserve lab"}}, 0, nil
				case "intern":
					return lease.Limits{Tags: []string{"cap interns"}, Caps: []lease.Cap{{Tag: "cap interns", Most: 1}}, Holds: holds}, 0, nil
				}
				return lease.Limits{Holds: holds}, 0, nil
			}
		})
		a := l.api(t, "a")
		of := func(id int, user string) *quoratev1.AccessRequest {
			r := on(id, "pc-"+user, userLimit)
			r.Client.User = user
			return r
		}
		why := func(user string) *quoratev1.ExplainResponse {
			return explain(t, a, &quoratev1.ExplainRequest{Product: access(0).GetProduct(), Client: of(0, user).GetClient()})
		}
		err := denied(t, a, of(1, "eve"), "")
		wantCode(t, "who is refused", err, license.CodeNotAllowed)
		if detailsOf(err)["rule"] != "deny user eve" {
			t.Errorf("details %v", detailsOf(err))
		}
		if m := why("eve"); m.GetUsable() || reasons(m)[0] != license.CodeNotAllowed {
			t.Errorf("explained as %v", m)
		}
		take(t, a, of(2, "intern"))
		err = denied(t, a, of(3, "intern"), "")
		wantCode(t, "whose limit is reached", err, license.CodeLimitReached)
		if d := detailsOf(err); d["limit"] != "cap interns" || d["most"] != 1.0 || d["taken"] != 1.0 || len(holdersOf(t, err)) != 1 {
			t.Errorf("details %v", d)
		}
		if m := why("intern"); m.GetUsable() || reasons(m)[0] != license.CodeLimitReached {
			t.Errorf("explained as %v", m)
		}
		take(t, a, of(4, "ada"))
		take(t, a, of(5, "ada"))
		err = denied(t, a, of(6, "ada"), "")
		wantCode(t, "what is kept back", err, license.CodeNoFreeSeat)
		if d := detailsOf(err); d["heldBack"] != 2.0 || d["taken"] != 3.0 {
			t.Errorf("details %v", d)
		}
		m := why("ada")
		if m.GetUsable() || reasons(m)[0] != license.CodeNoFreeSeat || m.GetFree() != 2 || m.GetHeldBack() != 2 {
			t.Errorf("explained as %v", m)
		}
		if m := why("lab"); !m.GetUsable() {
			t.Errorf("explained as %v", m)
		}
		underRules := func() map[string]uint32 {
			q := connect.NewRequest(&quoratev1.ListLicensesRequest{})
			q.Header().Set("Authorization", "Bearer secret")
			answer, err := a.ListLicenses(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			return answer.Msg.GetLicenses()[0].GetTakenByTag()
		}
		// Rules name users and hosts.
		if u := list(t, a); u.GetHeldBack() != 2 || len(u.GetTakenByTag()) != 0 || underRules()["cap interns"] != 1 {
			t.Errorf("use %v", u)
		}
		take(t, a, of(7, "lab"))
		if u := list(t, a); u.GetHeldBack() != 1 || len(u.GetTakenByTag()) != 0 || underRules()["reserve lab"] != 1 {
			t.Errorf("use %v", u)
		}
		events, err := l.store.Events(t.Context(), l.source.Serial(), 0, 20)
		if err != nil {
			t.Fatal(err)
		}
		var rules []string
		for _, e := range events {
			if e.Kind == lease.Denied {
				rules = append(rules, e.Rule)
			}
		}
		if strings.Join(rules, ",") != "deny user eve,cap interns,reserve lab" {
			t.Errorf("the denials on record name %q", rules)
		}
	})
}

// What the license itself refuses is on record, too, with its reason; what isn't
// there to be refused is not.
func TestDenialsByTheLicenseAreOnRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 5)
		l.start(t, "a", nil)
		a := l.api(t, "a")
		elsewhere := access(1)
		elsewhere.Product = &quoratev1.Product{Firm: 6000010, Code: 99}
		refused(t, "no license", a, elsewhere, license.CodeNoLicense)
		lacking := access(2)
		lacking.Features, lacking.Licenses = 0b0100, 3
		refused(t, "a feature", a, lacking, license.CodeFeatureMissing)
		l.source.Change(func(o *license.Options) { o.Expiration = time.Now().Add(-time.Second) })
		refused(t, "an expired license", a, access(3), license.CodeExpired)
		l.source.Refuse(license.Errorf(license.CodeNoMajority, "wait", "too few"))
		refused(t, "no majority", a, access(4), license.CodeNoMajority)
		events, err := l.store.Events(t.Context(), l.source.Serial(), 0, 20)
		if err != nil || len(events) != 2 {
			t.Fatalf("events %+v, %v", events, err)
		}
		for i, want := range []license.Code{license.CodeFeatureMissing, license.CodeExpired} {
			if e := events[i]; e.Kind != lease.Denied || e.Reason != want || e.Client.User != "ada" || e.Seq != uint64(i+1) || e.Rule != "" {
				t.Errorf("event %+v", e)
			}
		}
		if events[0].Licenses != 3 {
			t.Errorf("event %+v", events[0])
		}
	})
}
