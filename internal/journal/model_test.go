package journal

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// lively is how often things happen in a random walk; each walk has its own
// temper on top.
var lively = [ops]int{
	opTick: 6, opClaim: 2, opCrash: 1, opDisk: 2, opCopy: 1, opRestore: 40,
	opDeliver: 60, opReturn: 60, opLose: 3, opDelay: 2, opLate: 2,
	opAsk: 20, opServe: 60, opAnswer: 60, opGiveUp: 2, opQuit: 1, opExpire: 10, opCut: 1,
}

// walk plays one random world and gives the steps up to a contradiction.
func walk(v variant, seed uint64, seen counters) (w *world, steps []step) {
	r := rand.New(rand.NewPCG(seed, 7))
	w = start(v, seed, r)
	w.seen = seen
	weights := lively
	for i := range weights {
		weights[i] *= []int{1, 1, 2, 4, 8}[r.IntN(5)]
	}
	return w, w.play(r, 400, &weights)
}

func start(v variant, seed uint64, r *rand.Rand) *world {
	w := newWorld(v, budget{claims: 6, crashes: 3, losses: 2, rollbacks: 1, lates: 6, ticks: 40, handles: 8, lostCalls: 20, cuts: 6})
	w.many = seed%4 == 3
	w.patience = time.Duration(r.IntN(2)) * 5 * time.Second
	w.lag = time.Duration(seed%3) * time.Second
	guide := r.IntN(guides)
	if v.guide > 0 && seed%2 == 1 {
		guide, w.many = v.guide, w.many || v.guide == 10
	}
	w.guide(guide, r)
	return w
}

func describe(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s.String())
	}
	return b.String()
}

func (c counters) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "\n  %-45s %d", k, c[k])
	}
	return b.String()
}

// most is how long walks go on; QUORATE_CHECK asks for more.
func most(t *testing.T, d time.Duration) time.Duration {
	if s := os.Getenv("QUORATE_CHECK"); s != "" {
		long, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		return long
	}
	if testing.Short() {
		return d / 10
	}
	return d
}

func TestRandomWalks(t *testing.T) {
	seen := counters{}
	total, began := 0, time.Now()
	for seed := uint64(0); time.Since(began) < most(t, 15*time.Second); seed++ {
		w, steps := walk(variant{}, seed, seen)
		total += len(steps)
		if w.wrong == "" {
			w.recover()
		}
		if w.wrong != "" {
			again := start(variant{}, seed, rand.New(rand.NewPCG(seed, 7)))
			t.Fatalf("seed %d, step %d: %s\n%s\n%s\nat last: %v", seed, len(steps), w.wrong, describe(steps), replay(again, steps, 60), w)
		}
	}
	t.Logf("%d steps%v", total, seen)
	for _, what := range []string{
		"takeovers", "renewals by a leader that was replaced", "write-backs", "in-flight grants adopted", "rejoins",
		"claims beside a leader", "claims dropped", "leaders that found themselves fenced", "leaders that one refuses and two confirm",
		"late calls done", "disks lost", "disks put back", "emptied to begin anew", "more than one disk lost", "grace periods",
		"lost handles taken in", "servers that saw a newer token", "third journals that lag",
	} {
		if seen[what] < total/10_000_000+1 {
			t.Errorf("%s: seen %d times in %d steps: the walks don't show it", what, seen[what], total)
		}
	}
}

// Each rule is needed: without it the checker finds a contradiction.
func TestBrokenVariantsAreCaught(t *testing.T) {
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			total, began := 0, time.Now()
			for seed := uint64(0); total < 60_000_000; seed++ {
				w, steps := walk(v, seed, counters{})
				total += len(steps)
				if w.wrong != "" {
					t.Logf("after %d steps in %v, seed %d, %d steps: %s", total, time.Since(began).Round(time.Millisecond), seed, len(steps), w.wrong)
					return
				}
			}
			t.Errorf("not caught in %d steps", total)
		})
	}
}

var variants = map[string]variant{
	"no extra 2 s":                        {noExtra: true, guide: 12},
	"no write-back":                       {noWriteBack: true, guide: 9},
	"no confirmation":                     {noConfirm: true},
	"confirmation counts from receipt":    {lateConfirm: true, guide: 7},
	"an epoch twice":                      {sameEpoch: true},
	"an n twice":                          {sameN: true},
	"a lower n is written":                {oldN: true, guide: 11},
	"a release of an older n":             {oldRelease: true},
	"a lost disk votes at once":           {lostVotes: true},
	"answer after one journal":            {oneWrite: true},
	"written after a newer promise":       {noPromise: true},
	"validity counts from receipt":        {lateValidity: true},
	"a newer token is refused":            {refusesNewer: true},
	"what never came about is adopted":    {noBase: true, guide: 9},
	"a journal votes when one knows it":   {oneRoster: true, guide: 8},
	"no grace period":                     {noGrace: true, guide: 10},
	"a grace period ends with its leader": {shortGrace: true, guide: 10},
	"a disk put back is not noticed":      {oldDisk: true, guide: 13},
}

// trace tells how a world came to where it is.
func (w *world) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "now %v", w.now)
	for i := range w.disks {
		d := &w.disks[i]
		fmt.Fprintf(&b, "\n   disk %d %s v%d voting=%t promised=%d base=%d roster=%v marks=%v", i, d.state.Incarnation, d.state.Version,
			d.state.Voting, d.state.Promised.Epoch, d.state.Base, d.state.Roster, d.state.Marks)
		for _, r := range d.recs {
			fmt.Fprintf(&b, " (%d,%d,%v)", r.Epoch, r.N, r.Holder)
		}
	}
	for i := range w.servers {
		v := &w.servers[i]
		if v.core == nil {
			continue
		}
		fmt.Fprintf(&b, "\n   server %d epoch=%d phase=%d committed=%d last=%d base=%d grace=%t founding=%t known=%v table=%v", i, v.core.term.Epoch, v.core.phase,
			v.core.committed, v.core.last(), v.core.base, v.core.grace, v.core.founding, v.core.known, v.table)
		for j := range v.core.slots {
			s := &v.core.slots[j]
			f := v.calls[j]
			fmt.Fprintf(&b, "\n      slot %d %s claimed=%t voter=%t follows=%t ready=%t acked=%d heard=%v call=%d/%d %v", j, s.state.Incarnation, s.claimed, s.voter, s.follows, s.ready, s.acked, s.heard.mono, f.stage, f.call.kind, f.call.batch.Records)
		}
	}
	for i := range w.users {
		fmt.Fprintf(&b, "\n   user %d %+v", i, w.users[i])
	}
	return b.String()
}

func replay(w *world, steps []step, last int) string {
	var b strings.Builder
	for i, s := range steps {
		w.apply(s)
		if i >= len(steps)-last {
			fmt.Fprintf(&b, "%d %v: %v\n", i, s, w)
		}
	}
	return b.String()
}
