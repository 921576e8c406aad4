package rules

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/license"
)

var day = time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)

// past makes a grant of a minute's start and end; an end of -1 is none.
func past(user string, start, end int, more ...func(*Past)) Past {
	g := Past{
		ID: fmt.Sprintf("%s-%d", user, start), Product: chart, Mode: license.UserLimit, Station: "pc-" + user,
		Ask: ask(user, "pc-"+user, "chart", "10.1.2.3"), Start: day.Add(time.Duration(start) * time.Minute),
	}
	if end >= 0 {
		g.End = day.Add(time.Duration(end) * time.Minute)
	}
	for _, f := range more {
		f(&g)
	}
	return g
}

func of(p license.Product) func(*Past)      { return func(g *Past) { g.Product = p } }
func mode(m license.AccessMode) func(*Past) { return func(g *Past) { g.Mode = m } }
func taking(n uint32) func(*Past)           { return func(g *Past) { g.Licenses = n } }
func station(s string) func(*Past)          { return func(g *Past) { g.Station = s } }
func quantity(n uint32) map[license.Product]uint32 {
	return map[license.Product]uint32{chart: n}
}

// checked is a report of a check that has the time it takes.
func checked(t interface{ Error(...any) }, s *Set, past []Past, quantity map[license.Product]uint32) Report {
	r, err := Check(context.Background(), s, past, quantity)
	if err != nil {
		t.Error(err)
	}
	return r
}

// TestCheckEnds: a check that nobody waits for any more goes on no further.
func TestCheckEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := Check(ctx, parsed(t, "deny user:ada"), []Past{past("ada", 0, 9)}, nil); !errors.Is(err, context.Canceled) || r.Checked != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestCheck(t *testing.T) {
	groups := "group eng user:anna user:ben\ngroup interns user:carl user:dora\n"
	for name, tt := range map[string]struct {
		rules    string
		past     []Past
		quantity map[license.Product]uint32
		want     string // users and rules
		unknown  []license.Product
	}{
		"no rules":   {"", []Past{past("anna", 0, 9)}, nil, "", nil},
		"deny":       {"deny group:interns", []Past{past("anna", 0, 9), past("carl", 1, 2), past("dora", 3, -1)}, nil, "carl: deny group:interns, dora: deny group:interns", nil},
		"allow list": {"allow group:eng", []Past{past("carl", 0, 9), past("anna", 0, 9)}, nil, "carl: allow list of all licenses", nil},
		"other product": {
			"deny group:interns product:6000010:15", []Past{past("carl", 0, 9), past("carl", 1, 9, of(other))}, nil,
			"carl: deny group:interns product:6000010:15", nil,
		},
		"a cap over time": {
			"cap 1 group:interns", []Past{past("carl", 0, 10), past("dora", 5, 7), past("dora", 10, 20), past("anna", 11, 12), past("carl", 15, 16)}, nil,
			"dora: cap group:interns, carl: cap group:interns", nil,
		},
		"what is refused takes nothing": {
			"cap 2 group:interns", []Past{past("carl", 0, 10, taking(2)), past("dora", 1, 20, taking(2)), past("carl", 11, 12, taking(2))}, nil,
			"dora: cap group:interns", nil,
		},
		"licenses that take too many at once": {"cap 2 everybody", []Past{past("carl", 0, 10, taking(3))}, nil, "carl: cap everybody", nil},
		"one cap each":                        {"cap 1 group:interns\ncap 2 user:carl", []Past{past("carl", 0, 9), past("carl", 1, 9), past("dora", 2, 9), past("carl", 3, 9)}, nil, "carl: cap user:carl", nil},
		"the cap of each product by itself":   {"cap 1 everybody", []Past{past("carl", 0, 9), past("carl", 1, 9, of(other))}, nil, "", nil},
		"no user limit takes nothing":         {"cap 0 everybody", []Past{past("carl", 0, 9, mode(license.NoUserLimit))}, nil, "", nil},
		"no user limit, denied":               {"deny user:carl", []Past{past("carl", 0, 9, mode(license.NoUserLimit))}, nil, "carl: deny user:carl", nil},
		"a station shares": {
			"cap 3 everybody", []Past{
				past("anna", 0, 9, mode(license.StationShare), station("s")), past("ben", 1, 9, mode(license.StationShare), station("s"), taking(3)),
				past("carl", 2, 9, mode(license.StationShare), station("s"), taking(2)), past("dora", 3, 9, mode(license.StationShare), station("t")),
			}, nil, "dora: cap everybody", nil,
		},
		"a station shares what is left": {
			"cap 3 everybody", []Past{
				past("ben", 0, 5, mode(license.StationShare), station("s"), taking(3)), past("anna", 1, 9, mode(license.StationShare), station("s")),
				past("dora", 6, 9, taking(2)), past("dora", 7, 8),
			}, nil, "dora: cap everybody", nil,
		},
		"a moment": {"cap 1 everybody", []Past{past("anna", 3, 3), past("ben", 3, 9), past("carl", 4, 4)}, nil, "carl: cap everybody", nil},
		"a reservation": {
			"reserve 2 group:eng", []Past{past("carl", 0, 9), past("dora", 1, 9), past("anna", 2, 9), past("dora", 3, 9), past("ben", 4, 5)}, quantity(3),
			"dora: reserve group:eng, dora: reserve group:eng", nil,
		},
		"a reservation that is used": {
			"reserve 2 group:eng", []Past{past("anna", 0, 9), past("ben", 1, 9), past("carl", 2, 9)}, quantity(3), "", nil,
		},
		"two reservations": {
			"reserve 1 group:eng\nreserve 1 user:dora", []Past{past("carl", 0, 9), past("carl", 1, 9), past("anna", 2, 9), past("dora", 3, 9)}, quantity(3),
			"carl: reserve user:dora", nil,
		},
		"there was more then": {
			"reserve 1 group:eng", []Past{past("carl", 0, 9), past("carl", 1, 9), past("carl", 2, 9), past("carl", 3, 9)}, quantity(2),
			"carl: reserve group:eng, carl: reserve group:eng, carl: reserve group:eng", nil,
		},
		"quantity not known": {"reserve 2 group:eng", []Past{past("carl", 0, 9)}, nil, "", []license.Product{chart}},
		"two at once: by id": {"cap 1 everybody", []Past{past("ben", 0, 9), past("anna", 0, 9)}, nil, "ben: cap everybody", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := checked(t, parsed(t, groups+tt.rules), tt.past, tt.quantity)
			var got []string
			for _, f := range r.Refused {
				got = append(got, tt.past[f.Grant].Ask.User+": "+f.Rule)
				if !strings.Contains(f.Reason, tt.past[f.Grant].Ask.User) {
					t.Errorf("the reason %q does not say who", f.Reason)
				}
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("refused %s, want %s", s, tt.want)
			}
			if r.Checked != len(tt.past) || !slices.Equal(r.Unknown, tt.unknown) {
				t.Errorf("checked %d, unknown %v", r.Checked, r.Unknown)
			}
		})
	}
}

// What was granted to an address that nobody noted is not held to be refused.
func TestCheckWithoutAddresses(t *testing.T) {
	s := parsed(t, "group lab subnet:10.9.0.0/16 user:ben", "deny group:lab", "cap 1 subnet:10.8.0.0/16", "reserve 1 host:10.7.0.1")
	nowhere := func(g *Past) { g.Ask.Address = netip.Addr{} }
	r := checked(t, s, []Past{past("anna", 0, 9, nowhere), past("ben", 0, 9, nowhere), past("carl", 0, 9), past("dora", 1, 9, nowhere)}, quantity(3))
	if len(r.Refused) != 1 || r.Refused[0].Grant != 1 || r.Unsure != 2 {
		t.Errorf("%+v", r)
	}
	r = checked(t, parsed(t, "deny user:ben"), []Past{past("anna", 0, 9, nowhere)}, nil)
	if len(r.Refused) != 0 || r.Unsure != 0 {
		t.Errorf("no rule looks at addresses: %+v", r)
	}
}

// naive looks at each grant at everything that was given before it.
func naive(s *Set, past []Past, quantity map[license.Product]uint32) []int {
	order := make([]int, len(past))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if n := past[a].Start.Compare(past[b].Start); n != 0 {
			return n
		}
		if n := strings.Compare(past[a].ID, past[b].ID); n != 0 {
			return n
		}
		return a - b
	})
	var given, refused []int
	sum := func(p license.Product, at time.Time, tag string, extra ...int) uint32 {
		n, stations := uint32(0), map[string]uint32{}
		for i, g := range slices.Concat(given, extra) {
			g := past[g]
			alive := i >= len(given) || g.End.IsZero() || (!g.Start.After(at) && g.End.After(at))
			if !alive || g.Product != p || g.Mode == license.NoUserLimit || (tag != "" && !slices.Contains(s.Evaluate(p, g.Ask).Tags(), tag)) {
				continue
			}
			if l := max(g.Licenses, 1); g.Mode == license.StationShare {
				stations[g.Station] = max(stations[g.Station], l)
			} else {
				n += l
			}
		}
		for _, l := range stations {
			n += l
		}
		return n
	}
	allowed := func(i int) bool {
		g := past[i]
		out := s.Evaluate(g.Product, g.Ask)
		if !out.Allowed {
			return false
		}
		if g.Mode == license.NoUserLimit {
			return true
		}
		for _, c := range out.Caps() {
			before, after := sum(g.Product, g.Start, c.Tag), sum(g.Product, g.Start, c.Tag, i)
			if after > before && after > c.Licenses {
				return false
			}
		}
		q, known := quantity[g.Product]
		held := uint32(0)
		for _, h := range out.Holds() {
			held += h.Licenses - min(h.Licenses, sum(g.Product, g.Start, h.Tag))
		}
		before, after := sum(g.Product, g.Start, ""), sum(g.Product, g.Start, "", i)
		return !known || after <= before || after > q || after+held <= q
	}
	for _, i := range order {
		switch {
		case !allowed(i):
			refused = append(refused, i)
		case past[i].End.IsZero() || past[i].End.After(past[i].Start):
			given = append(given, i)
		}
	}
	return refused
}

func TestCheckAgainstNaive(t *testing.T) {
	users := []string{"anna", "ben", "carl", "dora", ""}
	lines := []string{
		"deny user:ben product:6000010:14", "allow group:eng", "allow user:carl product:6000010:15", "deny group:interns firm:6000010",
		"cap 3 everybody", "cap 2 group:eng", "cap 1 user:anna product:6000010:14", "cap 4 group:interns firm:6000010", "cap 2 each:user everybody", "cap 1 each:user group:eng",
		"reserve 2 group:eng", "reserve 1 group:interns", "reserve 1 user:anna", "reserve 1 user:ben product:6000010:15",
	}
	rapid.Check(t, func(t *rapid.T) {
		text := "group eng user:anna user:ben\ngroup interns user:carl user:dora\n"
		for _, l := range lines {
			if rapid.IntRange(0, 3).Draw(t, l) == 0 {
				text += l + "\n"
			}
		}
		s, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		grants := make([]Past, rapid.IntRange(0, 40).Draw(t, "grants"))
		for i := range grants {
			start := rapid.IntRange(0, 15).Draw(t, "start")
			end := start + rapid.IntRange(0, 10).Draw(t, "length")
			if rapid.IntRange(0, 9).Draw(t, "open") == 0 {
				end = -1
			}
			grants[i] = past(rapid.SampledFrom(users).Draw(t, "user"), start, end,
				of(rapid.SampledFrom([]license.Product{chart, other}).Draw(t, "product")),
				mode(rapid.SampledFrom([]license.AccessMode{license.UserLimit, license.StationShare, license.StationShare, license.Exclusive, license.NoUserLimit}).Draw(t, "mode")),
				station(rapid.SampledFrom([]string{"s", "t"}).Draw(t, "station")), taking(rapid.Uint32Range(0, 3).Draw(t, "licenses")))
		}
		q := map[license.Product]uint32{chart: rapid.Uint32Range(0, 6).Draw(t, "quantity")}
		if rapid.Bool().Draw(t, "known") {
			q[other] = 4
		}
		var got []int
		for _, r := range checked(t, s, grants, q).Refused {
			got = append(got, r.Grant)
		}
		if want := naive(s, grants, q); !reflect.DeepEqual(got, want) {
			t.Fatalf("refused %v, want %v\n%s", got, want, text)
		}
	})
}

// The replay's cost grows as sorting does: not with how many hold licenses at once.
func TestCheckScales(t *testing.T) {
	s := parsed(t, "cap 1000000 everybody", "reserve 1 user:x")
	replay := func(n int) time.Duration {
		grants := make([]Past, n)
		for i := range grants {
			grants[i] = past("anna", i, i+n, mode(license.StationShare), taking(uint32(1+i)))
		}
		began := time.Now()
		if r := checked(t, s, grants, quantity(1<<31)); len(r.Refused) != 0 {
			t.Fatalf("%d refused", len(r.Refused))
		}
		return time.Since(began)
	}
	replay(1000)
	small, large := replay(4000), replay(64000)
	if large > 100*small+time.Second { // quadratic would be 256 times
		t.Errorf("4,000 grants took %v, 64,000 took %v", small, large)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	lines := []string{"group eng user:anna"}
	for i := range 300 {
		lines = append(lines, fmt.Sprintf("deny user:u%d", i), fmt.Sprintf("cap 3 host:pc-%d*", i), fmt.Sprintf("allow subnet:10.%d.0.0/16", i%256+0)+fmt.Sprintf(" application:a%d", i))
	}
	s := parsed(b, append(lines, "allow group:eng", "reserve 2 group:eng")...)
	a := ask("anna", "pc-anna.example.com", "chart", "10.1.2.3")
	b.ReportAllocs()
	for b.Loop() {
		if !s.Evaluate(chart, a).Allowed {
			b.Fatal("refused")
		}
	}
}
