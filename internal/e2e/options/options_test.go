package options

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

func TestQuantity(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		set := func(n uint32) { l.update(func(o *terms) { o.Quantity = n }) }
		set(1)
		all := []*program{l.gets("the first of one")}
		l.refused("the second of one", license.CodeNoFreeSeat)
		l.passes("one that takes no seat", func(a *ask) { a.Mode = quoratev1.AccessMode_ACCESS_MODE_NO_USER_LIMIT })
		set(3)
		all = append(all, l.gets("the second of three"), l.gets("the third of three"))
		l.refused("the fourth of three", license.CodeNoFreeSeat)
		set(1)
		for _, p := range all {
			wantCode(t, "renewal after the quantity was lowered", p.renew(), "")
		}
		l.refused("one more of one", license.CodeNoFreeSeat)
		all[0].release()
		all[1].release()
		l.refused("one more while one has it", license.CodeNoFreeSeat)
		all[2].release()
		l.passes("the seat is free again")
	})
}

func TestLocalOnly(t *testing.T) {
	local := func(a *ask) { a.from = here }
	single(t, func(t *testing.T, l *lab) {
		l.update(func(o *terms) { o.Quantity = 0 })
		var all []*program
		for range 3 {
			p := l.gets("a local program", local)
			if p.GetMode() != quoratev1.AccessMode_ACCESS_MODE_NO_USER_LIMIT {
				t.Errorf("handle %v", p.Handle)
			}
			all = append(all, p)
		}
		l.refused("a program elsewhere", license.CodeLocalOnly)
		l.update(func(o *terms) { o.Quantity = 1 })
		for _, p := range all {
			wantCode(t, "a local program after an update", p.renew(), "")
		}
		far := l.gets("a program elsewhere, of one")
		l.refused("a local program takes a seat, too", license.CodeNoFreeSeat, local)
		l.update(func(o *terms) { o.Quantity = 0 })
		wantCode(t, "a seat of before", far.renew(), "")
		l.refused("a program elsewhere again", license.CodeLocalOnly)
		l.passes("a local program again", local)
	})
	group(t, func(t *testing.T, l *lab) {
		wantCode(t, "a TMR license without a quantity", l.tryUpdate(func(o *terms) { o.Quantity = 0 }), license.CodeInvalidInput)
	})
}

func TestActivationTime(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		begin := time.Now().Truncate(time.Second).Add(time.Minute)
		l.update(nil)
		held := l.gets("without one")
		l.update(func(o *terms) { o.Activation = begin })
		l.refused("long before", license.CodeNotYetValid)
		wantCode(t, "renewal before", held.renew(), license.CodeNotYetValid)
		wantCode(t, "a key before", held.openKey(), license.CodeNotYetValid)
		l.justBefore(begin)
		l.refused("just before", license.CodeNotYetValid)
		l.at(begin)
		l.passes("at the instant")
		l.update(func(o *terms) { o.Activation = begin.Add(time.Hour) })
		l.refused("moved by an update", license.CodeNotYetValid)
		l.update(nil)
		l.passes("removed by an update")
	})
}

func TestExpirationTime(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		end := time.Now().Truncate(time.Second).Add(20 * time.Second)
		l.update(func(o *terms) { o.Expiration = end })
		held := l.gets("long before")
		if held.GetUntilUnix() != end.Unix() || held.why.GetUntilUnix() != end.Unix() || l.listed().GetUntilUnix() != end.Unix() {
			t.Errorf("until %d, why says %d", held.GetUntilUnix(), held.why.GetUntilUnix())
		}
		l.justBefore(end)
		l.passes("just before")
		wantCode(t, "renewal just before", held.renew(), "")
		l.at(end)
		l.refused("at the instant", license.CodeExpired)
		wantCode(t, "renewal at the instant", held.renew(), license.CodeExpired)
		wantCode(t, "a key at the instant", held.openKey(), license.CodeExpired)
		l.update(func(o *terms) { o.Expiration = end.Add(time.Minute) })
		l.passes("extended by an update")
		wantCode(t, "renewal after the extension", held.renew(), "")
		l.at(end.Add(time.Minute))
		l.refused("at the later instant", license.CodeExpired)
		l.update(nil)
		p := l.gets("removed by an update")
		if p.GetUntilUnix() != 0 {
			t.Errorf("until %d", p.GetUntilUnix())
		}
	})
}

func TestUsagePeriod(t *testing.T) {
	single(t, func(t *testing.T, l *lab) {
		period := func(d time.Duration, issue uint32) {
			l.update(func(o *terms) { o.UsagePeriod, o.Issue = d, issue })
		}
		period(time.Minute, 0)
		time.Sleep(time.Hour)
		if u := l.listed(); !u.GetUsable() || u.GetFirstUseUnix() != 0 {
			t.Errorf("before the first use: %v", u)
		}
		p := l.gets("the first use") // after it was asked why, which is none
		if p.why.GetFirstUseUnix() != 0 || p.why.GetUntilUnix() != 0 {
			t.Errorf("asking why is a use: %v", p.why)
		}
		first := time.Now()
		end := first.Add(time.Minute)
		if p.GetUntilUnix() != end.Unix() || l.listed().GetFirstUseUnix() != first.Unix() {
			t.Errorf("until %d, listed %v", p.GetUntilUnix(), l.listed())
		}
		time.Sleep(20 * time.Second)
		wantCode(t, "renewal within", p.renew(), "")
		l.restart()
		p.api = l.client(away)
		l.passes("within, after a restart")
		wantCode(t, "renewal after a restart", p.renew(), "")
		time.Sleep(20 * time.Second)
		wantCode(t, "renewal on and on", p.renew(), "")
		l.justBefore(end)
		wantCode(t, "renewal just before its end", p.renew(), "")
		l.passes("just before its end")
		l.at(end)
		l.refused("at its end", license.CodeUsageOver)
		wantCode(t, "renewal at its end", p.renew(), license.CodeUsageOver)
		wantCode(t, "a key at its end", p.openKey(), license.CodeUsageOver)
		l.restart()
		l.refused("after its end and a restart", license.CodeUsageOver)
		period(time.Minute, 0)
		l.refused("updated under the same issue", license.CodeUsageOver)
		period(2*time.Minute, 0)
		l.passes("made longer by an update, from the same first use")
		l.at(first.Add(2 * time.Minute))
		l.refused("at the later end", license.CodeUsageOver)
		period(time.Minute, 1)
		if l.listed().GetFirstUseUnix() != 0 {
			t.Errorf("a new issue: %v", l.listed())
		}
		time.Sleep(time.Hour)
		l.passes("a new issue, given late")
		time.Sleep(time.Minute)
		l.refused("at the end of the new issue", license.CodeUsageOver)
		l.update(func(o *terms) { o.Issue = 1 })
		l.passes("removed by an update")
		wantCode(t, "an issue given back", l.tryUpdate(func(o *terms) { o.UsagePeriod = time.Minute }), license.CodeUpdateConflict)
	})
	group(t, func(t *testing.T, l *lab) {
		wantCode(t, "a TMR license with a usage period", l.tryUpdate(func(o *terms) { o.UsagePeriod = time.Hour }), license.CodeInvalidInput)
	})
}

func TestUnits(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		grant := func(n uint64, issue uint32) { l.update(func(o *terms) { o.Units, o.Issue = new(n), issue }) }
		left := func(what string, p *program, n, want uint64) {
			t.Helper()
			if got, err := p.consume(n); got != want || err != nil {
				t.Errorf("%s: %d left, %v, want %d", what, got, err, want)
			}
			if u := l.listed(); u.UnitsLeft == nil || u.GetUnitsLeft() != want {
				t.Errorf("%s: %v listed", what, u.UnitsLeft)
			}
		}
		l.update(nil)
		p := l.gets("not counted")
		_, err := p.consume(1)
		wantCode(t, "taken where none are counted", err, license.CodeNoUnits)
		if p.UnitsLeft != nil || l.listed().UnitsLeft != nil {
			t.Errorf("units of a license that isn't counted: %v", p.Handle)
		}
		grant(0, 0)
		l.refused("none granted", license.CodeNoUnits)
		wantCode(t, "renewal without units", p.renew(), "")
		_, err = p.consume(1)
		wantCode(t, "one of none", err, license.CodeNoUnits)
		grant(5, 0)
		q := l.gets("five granted")
		if q.GetUnitsLeft() != 5 || q.why.GetUnitsLeft() != 5 {
			t.Errorf("%v", q.Handle)
		}
		left("two of five", q, 2, 3)
		_, err = q.consume(4)
		wantCode(t, "one too many", err, license.CodeNoUnits)
		left("refused ones take none", q, 1, 2)
		for range 2 {
			if n, err := q.consumeAs("request-once", 1); n != 1 || err != nil {
				t.Errorf("a repeated request: %d left, %v", n, err)
			}
		}
		left("exactly what is left", p, 1, 0)
		_, err = p.consume(1)
		wantCode(t, "one of no more", err, license.CodeNoUnits)
		l.refused("access when they are used up", license.CodeNoUnits)
		wantCode(t, "renewal when they are used up", q.renew(), "")
		wantCode(t, "a key when they are used up", q.openKey(), "")
		l.restart()
		l.refused("after a restart", license.CodeNoUnits)
		grant(8, 0)
		r := l.gets("raised by an update")
		left("what was added", r, 3, 0)
		grant(4, 0)
		l.refused("lowered below what was taken", license.CodeNoUnits)
		grant(9, 0)
		r.api = l.client(away)
		left("of nine in all", r, 1, 0)
		if _, err := r.consumeAs("request-once", 1); err != nil || l.listed().GetUnitsLeft() != 0 {
			t.Errorf("a request of long ago: %v, %v", l.listed(), err)
		}
		grant(2, 1)
		left("a new issue", r, 1, 1)
		l.update(func(o *terms) { o.Issue = 1 })
		l.passes("removed by an update")
		grant(2, 1)
		left("counted again, under the same issue", r, 1, 0)
	})
}

func TestFeatureMap(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		bits := func(n uint32) func(*ask) { return func(a *ask) { a.Features = n } }
		l.update(nil)
		l.passes("none asked for, none there")
		l.refused("one asked for, none there", license.CodeFeatureMissing, bits(1))
		l.update(func(o *terms) { o.FeatureMap = 0b110 })
		l.passes("both there", bits(0b110))
		held := l.gets("one there", bits(0b010))
		if held.GetFeatureMap() != 0b110 {
			t.Errorf("handle %v", held.Handle)
		}
		l.refused("one missing", license.CodeFeatureMissing, bits(0b011))
		l.update(func(o *terms) { o.FeatureMap = 1<<32 - 1 })
		l.passes("all of all", bits(1<<32-1))
		l.update(nil)
		l.refused("removed by an update", license.CodeFeatureMissing, bits(1<<31))
		wantCode(t, "renewal after that", held.renew(), "")
	})
}

func TestMaintenancePeriod(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		first, last := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 3, 31, 0, 0, 0, 0, time.UTC)
		released := func(at time.Time) func(*ask) { return func(a *ask) { a.ReleaseDateUnix = at.Unix() } }
		l.update(nil)
		l.passes("no period, nothing stated")
		l.update(func(o *terms) { o.Maintenance = license.Maintenance{From: first, Until: last} })
		l.refused("nothing stated", license.CodeWrongVersion)
		l.refused("the second before the first day", license.CodeWrongVersion, released(first.Add(-time.Second)))
		l.passes("the first day", released(first))
		l.passes("the last second of the last day", released(last.Add(24*time.Hour-time.Second)))
		l.refused("the day after", license.CodeWrongVersion, released(last.Add(24*time.Hour)))
		l.update(func(o *terms) { o.Maintenance.Until = last })
		l.passes("without a beginning", released(time.Unix(1, 0)))
		l.refused("without a beginning, too late", license.CodeWrongVersion, released(last.Add(24*time.Hour)))
		l.update(func(o *terms) { o.Maintenance.From = first })
		l.passes("without an end", released(last.Add(1e5*time.Hour)))
		l.refused("without an end, too early", license.CodeWrongVersion, released(first.Add(-time.Second)))
		l.update(nil)
		l.passes("removed by an update")
	})
}

func TestMinimumVersion(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		version := func(v string) func(*ask) { return func(a *ask) { a.Version = v } }
		l.update(nil)
		l.passes("no limit, stated", version("0.1"))
		l.update(func(o *terms) { o.MinimumVersion = "10.4" })
		l.refused("not stated", license.CodeWrongVersion)
		l.passes("equal", version("10.4"))
		l.passes("equal, with more parts", version("10.4.0.0"))
		l.passes("more parts, higher", version("10.4.0.1"))
		l.refused("lower", license.CodeWrongVersion, version("10.3.9.9"))
		l.refused("lower, with fewer parts", license.CodeWrongVersion, version("10"))
		l.refused("lower as a number, not as text", license.CodeWrongVersion, version("9.9"))
		l.update(func(o *terms) { o.MinimumVersion = "10.4.0.1178" })
		l.refused("raised by an update", license.CodeWrongVersion, version("10.4"))
		l.update(nil)
		l.passes("removed by an update")
	})
}

func TestText(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		for _, text := range []string{"", "für Acme\nLine 2", strings.Repeat("x", license.MostText), "another", ""} {
			l.update(func(o *terms) { o.Text = text })
			p := l.gets("text")
			if got := p.GetOptions().GetText(); got != text || l.listed().GetOptions().GetText() != text || p.why.GetOptions().GetText() != text {
				t.Errorf("the program sees %q", got)
			}
			p.release()
		}
		wantCode(t, "one byte too long", l.tryUpdate(func(o *terms) { o.Text = strings.Repeat("x", license.MostText+1) }), license.CodeInvalidInput)
	})
}

func TestAccessList(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		rules := func(all ...string) {
			t.Helper()
			l.update(func(o *terms) {
				for _, s := range all {
					r, err := license.ParseAccessRule(s)
					ok(t, err)
					o.AccessList = append(o.AccessList, r)
				}
			})
		}
		bert := func(a *ask) { a.Client.User = "bert" }
		rules()
		ada := l.gets("no list")
		for _, tt := range []struct {
			rules      []string
			ada, other license.Code
			change     func(*ask)
		}{
			{[]string{"user:ada"}, "", license.CodeNotOnAccessList, bert},
			{[]string{"user:ADA"}, "", license.CodeNotOnAccessList, bert},
			{[]string{"!user:ada"}, license.CodeNotOnAccessList, "", bert},
			{[]string{"user:ada", "!user:ada"}, license.CodeNotOnAccessList, license.CodeNotOnAccessList, bert},
			{[]string{"host:PC-1"}, "", license.CodeNotOnAccessList, func(a *ask) { a.Client.Address = "pc-2" }},
			{[]string{"!host:pc-1"}, license.CodeNotOnAccessList, "", func(a *ask) { a.Client.Address = "pc-2" }},
			{[]string{"application:charts"}, "", license.CodeNotOnAccessList, func(a *ask) { a.Client.Application = "Charts" }},
			{[]string{"!application:charts"}, license.CodeNotOnAccessList, "", func(a *ask) { a.Client.Application = "" }},
			{[]string{"subnet:192.0.2.0/24"}, "", license.CodeNotOnAccessList, func(a *ask) { a.from = "198.51.100.1:4000" }},
			{[]string{"subnet:192.0.2.0/24"}, "", license.CodeNotOnAccessList, func(a *ask) { a.from, a.Client.Address = "198.51.100.1:4000", "192.0.2.1" }},
			{[]string{"!subnet:192.0.2.1"}, license.CodeNotOnAccessList, "", func(a *ask) { a.from = "[2001:db8::1]:4000" }},
			{[]string{"subnet:2001:db8::/32", "user:ada"}, "", "", func(a *ask) { a.from, a.Client.User = "[2001:db8::1]:4000", "bert" }},
			{[]string{"user:ada", "!subnet:198.51.100.0/24"}, "", license.CodeNotOnAccessList, func(a *ask) { a.from = "198.51.100.1:4000" }},
			{nil, "", "", bert},
		} {
			rules(tt.rules...)
			name := strings.Join(tt.rules, " ")
			ada.api = l.client(away)
			wantCode(t, name+": renewal", ada.renew(), tt.ada)
			wantCode(t, name+": a key within the lease", ada.openKey(), "")
			for _, who := range []struct {
				want   license.Code
				change []func(*ask)
			}{{tt.ada, nil}, {tt.other, []func(*ask){tt.change}}} {
				if who.want == "" {
					l.passes(name, who.change...)
				} else {
					l.refused(name, who.want, who.change...)
				}
			}
			if got := l.listed().GetOptions().GetAccessList(); len(got) != 0 {
				t.Errorf("the listing tells who is on the list: %v", got)
			}
		}
	})
}

func TestLinger(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		bert := func(a *ask) { a.Client.User = "bert" }
		set := func(d time.Duration) { l.update(func(o *terms) { o.Quantity, o.Linger = 1, d }) }
		set(0)
		l.passes("none")
		l.passes("somebody else at once", bert)
		set(10 * time.Second)
		l.passes("the one before")
		released := time.Now()
		if u := l.listed(); u.GetLingering() != 1 || u.GetFree() != 0 {
			t.Errorf("listed %v", u)
		}
		l.refused("somebody else", license.CodeNoFreeSeat, bert)
		l.justBefore(released.Add(10 * time.Second))
		l.refused("somebody else just before its end", license.CodeNoFreeSeat, bert)
		l.at(released.Add(10 * time.Second))
		l.passes("somebody else at its end", bert)
		time.Sleep(10 * time.Second)
		p := l.gets("again")
		set(0)
		p.release()
		l.passes("removed by an update", bert)
	})
	// Why counts a seat that lingers for who asks as taken, so he asks Access.
	run(t, func(t *testing.T, l *lab) {
		l.update(func(o *terms) { o.Quantity, o.Linger = 1, time.Minute })
		l.passes("once")
		a := l.asked(nil)
		answer, err := l.client(a.from).Access(t.Context(), connect.NewRequest(a.AccessRequest))
		if err != nil || answer.Msg.GetHandle().GetSeat() != 1 {
			t.Errorf("the same again: %v, %v", answer, err)
		}
	})
}

func TestTMRID(t *testing.T) {
	group(t, func(t *testing.T, l *lab) {
		l.update(nil)
		p := l.gets("three backends")
		if p.GetOptions().GetTmrId() != 1 || p.why.GetStatus() != "1:#1 2:#1 3:#1" {
			t.Errorf("%v", p.why)
		}
		l.stops[0]()
		l.await("two backends", func(v license.View) bool { return v.PresentCount() == 2 })
		l.passes("two backends")
		wantCode(t, "renewal on two", p.renew(), "")
		l.stops[1]()
		l.await("one backend", func(v license.View) bool { return v.PresentCount() == 1 })
		l.refused("one backend", license.CodeNoMajority)
		wantCode(t, "renewal on one", p.renew(), license.CodeNoMajority)
	})
	// A container of a group, on a server of its own.
	s := newSite(t, true)
	s.operate(t, func(_ *testing.T, l *lab) { l.update(nil) })
	alone := *s
	alone.tmr, alone.boxes = false, s.boxes[:1]
	alone.operate(t, func(_ *testing.T, l *lab) { l.refused("one of three alone", license.CodeTMROnly) })
}
