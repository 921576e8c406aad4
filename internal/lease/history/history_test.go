package history_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/history"
	"github.com/quorate/quorate/internal/license"
)

var pool = lease.Pool{
	Container: license.Serial{Mask: 131, Number: 4837572},
	Product:   license.Product{Firm: 6000010, Code: 14},
}

// TestHistoryRules has the smallest histories that keep and break each rule;
// times are in seconds.
func TestHistoryRules(t *testing.T) {
	epoch := time.Unix(1_000_000, 0)
	at := func(s float64) time.Time { return epoch.Add(time.Duration(s * float64(time.Second))) }
	op := func(kind history.Kind, handle string, seat uint32, n uint64, start, end float64, code license.Code) history.Op {
		return history.Op{
			Kind: kind, Pool: pool, Handle: handle, Seat: seat, N: n, Lease: 10 * time.Second,
			Start: at(start), End: at(end), Code: code,
		}
	}
	told := func(quantity uint32, o history.Op) history.Op {
		o.Quantity = quantity
		return o
	}
	leaves := func(handle string, linger, start, end float64, code license.Code) history.Op {
		o := op(history.Release, handle, 0, 0, start, end, code)
		o.Linger = time.Duration(linger * float64(time.Second))
		return o
	}
	by := func(user string, o history.Op) history.Op {
		o.Holder = lease.Holder{Mode: license.UserLimit, User: user}
		return o
	}
	as := func(mode license.AccessMode, station string, licenses uint32, o history.Op) history.Op {
		o.Request.Mode, o.Request.Station, o.Request.Licenses = mode, station, licenses
		return o
	}
	limited := func(o history.Op, l lease.Limits) history.Op {
		o.Request.Limits = l
		return o
	}
	waits := func(priority int32, place float64, o history.Op) history.Op {
		o.Request.Wait = &lease.Wait{Priority: priority, Until: time.Hour, Place: time.Duration(place * float64(time.Second))}
		return o
	}
	share := func(station string, o history.Op) history.Op { return as(license.StationShare, station, 1, o) }
	team := lease.Limits{Tags: []string{"team"}, Caps: []lease.Cap{{Tag: "team", Most: 1}}}
	plain := lease.Limits{Holds: []lease.Hold{{Tag: "chiefs", Least: 1}}}
	type step struct {
		quantity   uint32
		start, end float64
	}
	one, two := []step{{1, 0, 0}}, []step{{2, 0, 0}}
	for name, c := range map[string]struct {
		rule string // empty: fine
		in   []step
		ops  []history.Op
	}{
		"one after the other": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Release, "a", 0, 0, 2, 3, ""),
			op(history.Access, "b", 1, 2, 2.1, 2.9, ""),
		}},
		"second before the first gave up": {history.RuleQuantity, one, []history.Op{
			op(history.Access, "a", 0, 0, 0, 1, ""), op(history.Release, "a", 0, 0, 2, 3, ""),
			op(history.Access, "b", 0, 0, 1.5, 1.9, ""),
		}},
		"the deadline counts from before sending": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 9, ""), op(history.Access, "b", 1, 2, 9.5, 10.5, ""),
		}},
		"granted by an asking without an answer, before the quantity was lowered": {"", one, []history.Op{
			told(2, op(history.Access, "a", 1, 1, 0, 1, "")), told(2, op(history.Access, "b", 0, 0, 2, 3, license.CodeUnavailable)),
			told(1, op(history.Access, "b", 2, 1, 4, 5, "")),
		}},
		"a station's license that others were given after, and that one joins": {"", one, []history.Op{
			told(1, share("s", op(history.Access, "a", 1, 1, 0, 1, ""))), told(2, op(history.Access, "b", 2, 1, 2, 3, "")),
			op(history.Confirm, "b", 2, 1, 8, 8.5, ""),
			told(1, share("s", op(history.Access, "c", 3, 1, 10.1, 10.2, ""))),
		}},
		"granted by a later asking alone, after the quantity was lowered": {history.RuleQuantity, one, []history.Op{
			told(2, op(history.Access, "a", 1, 1, 0, 1, "")), told(1, op(history.Access, "b", 2, 1, 4, 5, "")),
			told(2, op(history.Access, "b", 2, 1, 6, 7, license.CodeUnavailable)),
		}},
		"within the deadline": {history.RuleSeat, []step{{2, 0, 0}}, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Access, "b", 1, 2, 9, 9.9, ""),
		}},
		"released, and fenced while another claimed": {"", []step{{2, 0, 0}}, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Claim, "", 0, 0, 3, 4, ""),
			op(history.Release, "a", 0, 0, 2, 5, license.CodeFenced), op(history.Access, "b", 1, 2, 6, 7, ""),
		}},
		"fenced after another had claimed": {history.RuleSeat, []step{{2, 0, 0}}, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Claim, "", 0, 0, 1.5, 2, ""),
			op(history.Release, "a", 0, 0, 3, 4, license.CodeFenced), op(history.Access, "b", 1, 2, 6, 7, ""),
		}},
		"raised meanwhile": {"", []step{{1, 0, 0}, {2, 5, 6}}, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Access, "b", 2, 1, 4, 5.5, ""),
		}},
		"raised only later": {history.RuleQuantity, []step{{1, 0, 0}, {2, 5, 6}}, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Access, "b", 2, 1, 3, 4, ""),
		}},
		"lowered, nobody is thrown out": {"", []step{{2, 0, 0}, {1, 5, 6}}, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Access, "b", 2, 1, 2, 3, ""),
			op(history.Confirm, "a", 1, 1, 7, 8, ""), op(history.Confirm, "b", 2, 1, 7, 8, ""),
		}},
		"lowered, and somebody new": {history.RuleQuantity, []step{{2, 0, 0}, {1, 5, 6}}, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Access, "b", 2, 1, 6.5, 7, ""),
		}},
		"renewed late": {history.RuleRevived, one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Confirm, "a", 1, 1, 11.5, 12, ""),
		}},
		"renewed late after a takeover": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Claim, "", 0, 0, 9, 9.5, ""),
			op(history.Confirm, "a", 1, 1, 11.5, 12, ""),
		}},
		"refused in time": {history.RuleDropped, one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Confirm, "a", 0, 0, 8, 9, license.CodeHandleExpired),
		}},
		"refused after a removal": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Remove, "a", 0, 0, 7, 8, ""),
			op(history.Confirm, "a", 0, 0, 8, 9, license.CodeHandleRemoved),
		}},
		"an n twice": {history.RuleN, one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Release, "a", 0, 0, 2, 3, ""),
			op(history.Access, "b", 1, 1, 4, 5, ""),
		}},
		"an n going down": {history.RuleN, one, []history.Op{
			op(history.Access, "a", 1, 2, 0, 1, ""), op(history.Release, "a", 0, 0, 2, 3, ""),
			op(history.Access, "b", 1, 1, 4, 5, ""),
		}},
		"a repeat with another seat": {history.RuleAnswer, []step{{2, 0, 0}}, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Access, "a", 2, 1, 2, 3, ""),
		}},
		"refused with all taken": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Access, "b", 0, 0, 2, 3, license.CodeNoFreeSeat),
		}},
		"refused with a seat free": {history.RuleRefused, one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), op(history.Release, "a", 0, 0, 1, 1.5, ""),
			op(history.Access, "b", 0, 0, 2, 3, license.CodeNoFreeSeat),
		}},
		"refused while one may be held": {"", one, []history.Op{
			op(history.Access, "a", 0, 0, 0, 1, license.CodeUnavailable),
			op(history.Access, "b", 0, 0, 2, 3, license.CodeNoFreeSeat),
		}},
		"a lingering seat comes back": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			by("ada", op(history.Access, "b", 1, 2, 4, 5, "")),
		}},
		"a lingering seat for another": {history.RuleLinger, one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			by("bob", op(history.Access, "b", 1, 2, 4, 9.9, "")),
		}},
		"after the linger": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			by("bob", op(history.Access, "b", 1, 2, 4, 10.1, "")),
		}},
		"another after its client came back": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			by("bob", op(history.Access, "b", 1, 3, 4, 5, "")),
		}},
		"another after a removal": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			op(history.Remove, "a", 0, 0, 4, 5, ""), by("bob", op(history.Access, "b", 1, 2, 5, 6, "")),
		}},
		"another where the release is open": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, license.CodeUnavailable),
			by("bob", op(history.Access, "b", 1, 2, 5, 6, "")),
		}},
		"another where it may have been released without": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""), leaves("a", 0, 2.5, 3, ""),
			by("bob", op(history.Access, "b", 1, 2, 5, 6, "")),
		}},
		"another where the lease may have run out": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 9.5, 10.5, ""),
			by("bob", op(history.Access, "b", 1, 2, 11, 12, "")),
		}},
		"another refused while it lingers": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			by("bob", op(history.Access, "b", 0, 0, 10.9, 11.5, license.CodeNoFreeSeat)),
		}},
		"another refused after it lingered": {history.RuleRefused, one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			by("bob", op(history.Access, "b", 0, 0, 11.1, 11.5, license.CodeNoFreeSeat)),
		}},
		"another refused after a removal": {history.RuleRefused, one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			op(history.Remove, "a", 0, 0, 4, 5, ""), by("bob", op(history.Access, "b", 0, 0, 5.1, 6, license.CodeNoFreeSeat)),
		}},
		"another refused after a takeover": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 2, 2, 3, ""),
			op(history.Claim, "", 0, 0, 3, 4, ""), by("bob", op(history.Access, "b", 0, 0, 7.5, 7.9, license.CodeNoFreeSeat)),
		}},
		"its client refused": {history.RuleReturn, one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			by("ada", op(history.Access, "b", 0, 0, 4, 5, license.CodeNoFreeSeat)),
		}},
		"its client refused where another of its programs may have it": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			by("ada", op(history.Access, "b", 0, 0, 3.5, 5, license.CodeUnavailable)),
			by("ada", op(history.Access, "c", 0, 0, 4, 5, license.CodeNoFreeSeat)),
		}},
		"its client refused where another of its programs has it": {"", one, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			by("ada", op(history.Access, "b", 1, 2, 3.5, 5, "")), leaves("b", 0, 5.1, 5.2, ""),
			by("ada", op(history.Access, "c", 0, 0, 4, 5, license.CodeNoFreeSeat)),
		}},
		"its client refused with the quantity lowered": {"", []step{{2, 0, 0}, {1, 3, 3.5}}, []history.Op{
			by("ada", op(history.Access, "a", 1, 1, 0, 1, "")), leaves("a", 8, 2, 3, ""),
			by("bob", op(history.Access, "b", 2, 1, 1, 2, "")),
			by("ada", op(history.Access, "c", 0, 0, 4, 5, license.CodeNoFreeSeat)),
		}},
		"a station shares": {"", one, []history.Op{
			share("s", op(history.Access, "a", 1, 1, 0, 1, "")), share("s", op(history.Access, "b", 2, 1, 0, 2, "")),
		}},
		"two stations share": {history.RuleQuantity, one, []history.Op{
			share("s", op(history.Access, "a", 1, 1, 0, 1, "")), share("r", op(history.Access, "b", 2, 1, 0, 2, "")),
		}},
		"a station takes the most": {history.RuleQuantity, two, []history.Op{
			as(license.StationShare, "s", 1, op(history.Access, "a", 1, 1, 0, 1, "")),
			as(license.StationShare, "s", 3, op(history.Access, "b", 2, 1, 0, 2, "")),
		}},
		"joined after the quantity was lowered": {"", []step{{2, 0, 0}, {1, 3, 3.5}}, []history.Op{
			share("s", op(history.Access, "a", 1, 1, 0, 1, "")), share("r", op(history.Access, "b", 2, 1, 1, 2, "")),
			share("s", op(history.Access, "c", 3, 1, 4, 5, "")), op(history.Release, "a", 0, 0, 6, 7, ""),
			op(history.Confirm, "c", 3, 1, 8, 9, ""), op(history.Confirm, "b", 2, 1, 8, 9, ""),
		}},
		"a station anew after the quantity was lowered": {history.RuleQuantity, []step{{2, 0, 0}, {1, 3, 3.5}}, []history.Op{
			share("s", op(history.Access, "a", 1, 1, 0, 1, "")), share("r", op(history.Access, "b", 2, 1, 1, 2, "")),
			op(history.Release, "a", 0, 0, 3.6, 3.8, ""), share("s", op(history.Access, "c", 3, 1, 4, 5, "")),
		}},
		"several licenses": {history.RuleQuantity, two, []history.Op{
			as(license.UserLimit, "s", 2, op(history.Access, "a", 1, 1, 0, 1, "")), op(history.Access, "b", 2, 1, 2, 3, ""),
		}},
		"no user limit takes nothing": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), as(license.NoUserLimit, "s", 9, op(history.Access, "b", 2, 1, 2, 3, "")),
		}},
		"exclusive and another": {history.RuleStation, two, []history.Op{
			as(license.Exclusive, "s", 1, op(history.Access, "a", 1, 1, 0, 1, "")), share("s", op(history.Access, "b", 2, 1, 2, 3, "")),
		}},
		"exclusive on stations of their own": {"", two, []history.Op{
			as(license.Exclusive, "s", 1, op(history.Access, "a", 1, 1, 0, 1, "")),
			as(license.Exclusive, "r", 1, op(history.Access, "b", 2, 1, 2, 3, "")),
			as(license.NoUserLimit, "r", 1, op(history.Access, "c", 3, 1, 2, 3, "")),
		}},
		"a station busy": {"", two, []history.Op{
			as(license.Exclusive, "s", 1, op(history.Access, "a", 1, 1, 0, 1, "")),
			share("s", op(history.Access, "b", 0, 0, 2, 3, license.CodeStationBusy)),
		}},
		"a station busy with nobody exclusive": {history.RuleRefused, two, []history.Op{
			share("s", op(history.Access, "a", 1, 1, 0, 1, "")), share("s", op(history.Access, "b", 0, 0, 2, 3, license.CodeStationBusy)),
		}},
		"above a cap": {history.RuleCap, two, []history.Op{
			limited(op(history.Access, "a", 1, 1, 0, 1, ""), team), limited(op(history.Access, "b", 2, 1, 2, 3, ""), team),
		}},
		"refused by a cap": {"", two, []history.Op{
			limited(op(history.Access, "a", 1, 1, 0, 1, ""), team),
			limited(op(history.Access, "b", 0, 0, 2, 3, license.CodeLimitReached), team),
		}},
		"refused by a cap that is not reached": {history.RuleRefused, two, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), limited(op(history.Access, "b", 0, 0, 2, 3, license.CodeLimitReached), team),
		}},
		"taken from what is kept back": {history.RuleHold, two, []history.Op{
			limited(op(history.Access, "c", 3, 1, 0, 0.5, ""), lease.Limits{Tags: []string{"chiefs"}}), op(history.Release, "c", 0, 0, 0.6, 0.8, ""),
			limited(op(history.Access, "a", 1, 1, 1, 2, ""), plain), limited(op(history.Access, "b", 2, 1, 2, 3, ""), plain),
		}},
		"refused for what is kept back": {"", two, []history.Op{
			limited(op(history.Access, "a", 1, 1, 0, 1, ""), plain),
			limited(op(history.Access, "b", 0, 0, 2, 3, license.CodeNoFreeSeat), plain),
		}},
		"given past who waits": {history.RuleQueue, one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), waits(0, 5, op(history.Access, "w", 0, 0, 1, 2, license.CodeQueued)),
			op(history.Release, "a", 0, 0, 3, 3.5, ""), op(history.Access, "b", 1, 2, 4, 5, ""),
		}},
		"given to who waits": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), waits(0, 5, op(history.Access, "w", 0, 0, 1, 2, license.CodeQueued)),
			waits(0, 5, op(history.Access, "v", 0, 0, 2, 3, license.CodeQueued)), op(history.Release, "a", 0, 0, 3, 3.5, ""),
			waits(0, 5, op(history.Access, "w", 1, 2, 4, 5, "")),
		}},
		"given to who is more urgent": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), waits(0, 5, op(history.Access, "w", 0, 0, 1, 2, license.CodeQueued)),
			waits(1, 5, op(history.Access, "v", 0, 0, 2, 3, license.CodeQueued)), op(history.Release, "a", 0, 0, 3, 3.5, ""),
			waits(1, 5, op(history.Access, "v", 1, 2, 4, 5, "")),
		}},
		"given after the place may be lost": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), waits(0, 2, op(history.Access, "w", 0, 0, 1, 2, license.CodeQueued)),
			op(history.Release, "a", 0, 0, 2.5, 2.8, ""), op(history.Access, "b", 1, 2, 3, 4, ""),
		}},
		"given after a takeover": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), waits(0, 5, op(history.Access, "w", 0, 0, 1, 2, license.CodeQueued)),
			op(history.Claim, "", 0, 0, 2, 3, ""), op(history.Release, "a", 0, 0, 3, 3.5, ""), op(history.Access, "b", 1, 2, 4, 5, ""),
		}},
		"held up by who waits": {"", one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), waits(0, 5, op(history.Access, "w", 0, 0, 1, 2, license.CodeQueued)),
			op(history.Release, "a", 0, 0, 3, 3.5, ""), op(history.Access, "b", 0, 0, 4, 5, license.CodeNoFreeSeat),
		}},
		"held up by who has left": {history.RuleRefused, one, []history.Op{
			op(history.Access, "a", 1, 1, 0, 1, ""), waits(0, 5, op(history.Access, "w", 0, 0, 1, 2, license.CodeQueued)),
			op(history.Leave, "w", 0, 0, 2.5, 3, ""), op(history.Release, "a", 0, 0, 3, 3.5, ""),
			op(history.Access, "b", 0, 0, 4, 5, license.CodeNoFreeSeat),
		}},
		"waits though one is free": {history.RuleRefused, one, []history.Op{
			waits(0, 5, op(history.Access, "w", 0, 0, 1, 2, license.CodeQueued)),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var h history.History
			h.Margin = 2 * time.Second
			for _, q := range c.in {
				h.SetQuantity(pool, q.quantity, at(q.start), at(q.end))
			}
			for _, o := range c.ops {
				h.Record(o)
			}
			found := h.Check()
			if c.rule == "" && len(found) > 0 {
				t.Fatalf("found %v", found)
			}
			if c.rule != "" && (len(found) == 0 || found[0].Rule != c.rule) {
				t.Fatalf("found %v, want %q", found, c.rule)
			}
		})
	}
}
