package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rollout"
)

// The model: a coordinator around Next and Pending, an executor that may carry
// out each command any number of times and late, three containers, and a wire
// that loses answers when the coordinator dies. Everything that may happen in
// a state is tried, so each order of events is walked.
//
// Two properties hold in every state:
//
//	available: the view has the license in force, with #7 or #8;
//	careful:   no activation is begun while another backend is down.
type world struct {
	rollout rollout.State // as it is stored
	alive   bool          // the coordinator runs
	id      [3]uint32     // TMR-ID that the container holds; 0 while an in-place installation is under way
	up      [3]bool
	staged  [3]bool
	mark    [3]bool // shown as activating
	swap    [3]bool // statements were shown, the swap is due
	// commands are those given; answers those under way to the coordinator.
	commands, answers string // sets, as sorted lines
	faults, crashes   int    // still to come
	careless          bool
}

// variant takes a safeguard away, to show that the model notices.
type variant struct{ noGuard, inPlace bool }

func (w world) ids() string { return fmt.Sprint(w.id) }

func add(set, member string) string {
	all := strings.Fields(set)
	if slices.Contains(all, member) {
		return set
	}
	all = append(all, member)
	slices.Sort(all)
	return strings.Join(all, " ")
}

func keep(set string, wanted func(string) bool) string {
	var kept []string
	for _, m := range strings.Fields(set) {
		if wanted(m) {
			kept = append(kept, m)
		}
	}
	return strings.Join(kept, " ")
}

func (w world) key() string {
	r := w.rollout
	hold := ""
	if r.Hold != nil {
		hold = string(r.Hold.Phase)
	}
	var receipts [3]bool
	for i, s := range r.Steps {
		receipts[i] = s.Receipt
	}
	return fmt.Sprint(line(r), r.Attempt, hold, receipts, w.alive, w.id, w.up, w.staged, w.mark, w.swap,
		w.commands, "|", w.answers, w.faults, w.crashes, w.careless)
}

func (w world) view() license.View {
	var obs [3]license.Observation
	for i := range obs {
		switch {
		case !w.up[i]:
		case w.mark[i]:
			obs[i].Presence = license.Activating
		default:
			obs[i].Presence = license.Present
		}
		if w.id[i] != 0 {
			obs[i].Licenses = w.licenses(i)
		}
	}
	return license.Merge(license.View{}, obs)
}

func (w world) licenses(i int) []license.Held { return others(w.id[0], w.id[1], w.id[2])[i] }

func (w world) available() bool {
	l, ok := w.view().Find(chart)
	return ok && l.InForce
}

// othersUp says whether the two besides i answer.
func (w world) othersUp(i int) bool { return w.up[(i+1)%3] && w.up[(i+2)%3] }

// settle drops what can change nothing any more: answers to something else
// than the effect now due (TestOnlyTheDueAnswerCounts), and old commands but
// activations, which alone change a container.
func (w world) settle() world {
	due := key(w.rollout)
	w.answers = keep(w.answers, func(a string) bool { return strings.Split(a, "|")[1] == due })
	w.commands = keep(w.commands, func(c string) bool { return c == due || strings.HasPrefix(c, "ACTIVATE") })
	return w
}

// steps gives every world that may come next.
func (w world) steps(t *testing.T, v variant) []world {
	var to []world
	may := func(change func(n *world)) {
		n := w
		change(&n)
		to = append(to, n.settle())
	}
	apply := func(e rollout.Event) {
		may(func(n *world) { n.rollout = next(t, w.rollout, e) })
	}
	if w.alive {
		if a, ok := rollout.Pending(w.rollout); ok {
			switch a.Kind {
			case rollout.Collect, rollout.Issue: // change no container
				apply(success(w.rollout))
			case rollout.AwaitView:
				apply(rollout.Viewed{At: instant, Unanimous: shown(w.view())})
			default:
				may(func(n *world) { n.commands = add(n.commands, a.Key) })
			}
		}
		if w.rollout.Phase == rollout.Queued {
			apply(success(w.rollout))
		}
		if w.rollout.Phase == rollout.Held && w.up == [3]bool{true, true, true} {
			apply(rollout.Retried{At: instant})
		}
		for _, a := range strings.Fields(w.answers) {
			apply(decode(a, w.rollout))
		}
		if w.crashes > 0 {
			may(func(n *world) { n.alive, n.answers, n.crashes = false, "", n.crashes-1 })
		}
	} else {
		may(func(n *world) { n.alive = true })
	}
	for i := range w.up {
		switch {
		case !w.up[i]:
			may(func(n *world) { n.up[i] = true })
		case w.faults > 0:
			may(func(n *world) { n.up[i], n.faults = false, n.faults-1 })
		}
	}
	for _, c := range strings.Fields(w.commands) {
		w.execute(c, v, may)
	}
	return to
}

// execute carries one command out, as far as it gets in one step.
func (w world) execute(command string, v variant, may func(func(*world))) {
	var kind string
	var backend, attempt int
	if _, err := fmt.Sscanf(strings.ReplaceAll(command, "/", " "), "%s %d %d", &kind, &backend, &attempt); err != nil {
		panic(err)
	}
	i := backend - 1
	answer := func(n *world, ok bool) {
		word := "fail"
		if ok {
			word = "ok"
		}
		n.answers = add(n.answers, word+"|"+command+"|"+strings.ReplaceAll(w.ids(), " ", ","))
	}
	switch rollout.Kind(kind) {
	case rollout.Stage:
		may(func(n *world) {
			for b := range n.staged {
				n.staged[b] = n.staged[b] || n.up[b]
			}
			answer(n, n.up == [3]bool{true, true, true})
		})
	case rollout.AskOthers:
		may(func(n *world) { answer(n, v.noGuard || w.othersUp(i)) })
	case rollout.Verify:
		may(func(n *world) {
			ok := w.up[i] && w.id[i] == 8
			n.mark[i] = n.mark[i] && !ok
			answer(n, ok)
		})
	case rollout.Activate:
		switch {
		case !w.up[i]:
			may(func(n *world) { n.swap[i], n.mark[i] = false, false; answer(n, false) })
		case w.id[i] == 8: // installed already: the stored receipt
			may(func(n *world) { answer(n, true) })
		case w.id[i] == 0: // the second half of an in-place installation
			may(func(n *world) { n.id[i] = 8; answer(n, true) })
		case w.swap[i]:
			may(func(n *world) {
				n.swap[i] = false
				if v.inPlace {
					n.id[i] = 0
					return
				}
				n.id[i] = 8
				answer(n, true)
			})
		case v.noGuard || (w.othersUp(i) && rollout.Guard(others(w.id[0], w.id[1], w.id[2]), backend) == nil):
			may(func(n *world) {
				n.mark[i], n.swap[i] = true, true
				n.careless = n.careless || !w.othersUp(i)
			})
		default:
			may(func(n *world) { answer(n, false) })
		}
	}
}

func decode(answer string, s rollout.State) rollout.Event {
	parts := strings.Split(answer, "|")
	if parts[0] == "fail" {
		return rollout.Failed{At: instant, Key: parts[1], Code: license.CodeBackendAbsent, Message: "a backend does not answer"}
	}
	e := success(s)
	if g, ok := e.(rollout.Guarded); ok {
		var ids [3]uint32
		fmt.Sscanf(parts[2], "[%d,%d,%d]", &ids[0], &ids[1], &ids[2])
		g.Others = others(ids[0], ids[1], ids[2])
		return g
	}
	return e
}

type walk struct {
	states              int
	outage, careless    string // the first state found of each, or ""
	done, held, stuck   int
	crashed, faultySeen bool
}

// explore walks every reachable world breadth first.
func explore(t *testing.T, v variant) walk {
	start := world{
		rollout: rollout.New(), alive: true, id: [3]uint32{7, 7, 7}, up: [3]bool{true, true, true}, faults: 1, crashes: 2,
	}
	var r walk
	number := map[string]int{start.key(): 0}
	all := []world{start}
	var from [][]int // for each world, those it comes from
	from = append(from, nil)
	for at := 0; at < len(all); at++ {
		w := all[at]
		if !w.available() && r.outage == "" {
			r.outage = w.key()
		}
		if w.careless && r.careless == "" {
			r.careless = w.key()
		}
		for _, n := range w.steps(t, v) {
			k := n.key()
			i, seen := number[k]
			if !seen {
				i = len(all)
				number[k] = i
				all = append(all, n)
				from = append(from, nil)
			}
			from[i] = append(from[i], at)
		}
	}
	r.states = len(all)
	reaches := make([]bool, len(all))
	var queue []int
	for i, w := range all {
		r.crashed = r.crashed || w.crashes == 0
		r.faultySeen = r.faultySeen || w.faults == 0
		switch w.rollout.Phase {
		case rollout.Done:
			r.done++
			reaches[i] = true
			queue = append(queue, i)
			if w.id != [3]uint32{8, 8, 8} {
				t.Fatalf("done, but the containers hold %v", w.id)
			}
		case rollout.Held:
			r.held++
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, f := range from[at] {
			if !reaches[f] {
				reaches[f] = true
				queue = append(queue, f)
			}
		}
	}
	for _, ok := range reaches {
		if !ok {
			r.stuck++
		}
	}
	return r
}

func TestModelHasNoOutage(t *testing.T) {
	r := explore(t, variant{})
	t.Logf("%d states, %d held, %d done", r.states, r.held, r.done)
	if r.outage != "" {
		t.Errorf("no license in force in %s", r.outage)
	}
	if r.careless != "" {
		t.Errorf("activation begun while another backend is down: %s", r.careless)
	}
	if r.stuck != 0 {
		t.Errorf("%d states from which the rollout can't be completed", r.stuck)
	}
	if r.done == 0 || r.held == 0 || !r.crashed || !r.faultySeen {
		t.Errorf("interesting states were not reached: %+v", r)
	}
}

func TestModelCatchesMissingGuard(t *testing.T) {
	if r := explore(t, variant{noGuard: true}); r.careless == "" {
		t.Errorf("not caught in %d states", r.states)
	}
}

func TestModelCatchesInPlaceInstallation(t *testing.T) {
	r := explore(t, variant{inPlace: true})
	if r.outage == "" {
		t.Errorf("not caught in %d states", r.states)
	}
}
