package meters

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/license"
)

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// call is a taking, or with n zero a question, that waits for its answer.
type call struct {
	request    string
	n, granted uint64

	answer uint64
	err    error
	done   chan struct{} // closed when answer and err are set
}

// known is a taking of the chain.
type known struct {
	n     uint64
	after uint64 // the units taken then, this taking's included
}

// register is one meter under one epoch. One worker at a time serves the calls
// that wait.
type register struct {
	of    *Meters
	key   key
	epoch uint64

	mu      sync.Mutex
	waiting []*call
	working bool

	head  license.Meter // the last value tried, of the chain
	read  bool          // head goes on from what two backends said
	sure  bool          // two have head
	units uint64        // of the last value that two had
	fresh time.Time     // when the last round that two confirmed began

	takings map[string]known
	order   []string // of takings, the oldest first

	feeds [license.Backends]feed
}

func newRegister(m *Meters, k key, epoch uint64) *register {
	return &register{of: m, key: k, epoch: epoch, takings: make(map[string]known)}
}

// remembered gives what was taken, if two backends have confirmed it lately.
func (r *register) remembered() (units uint64, ok bool) {
	if r.of.over(r.epoch) {
		return 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.units, r.isFresh()
}

// isFresh is called with mu held.
func (r *register) isFresh() bool { return !r.fresh.IsZero() && time.Since(r.fresh) < Freshness }

// ask waits for a call's answer. A call that is given up before its turn takes
// nothing.
func (r *register) ask(ctx context.Context, c *call) (uint64, error) {
	c.done = make(chan struct{})
	if err := r.enqueue(c); err != nil {
		return 0, err
	}
	select {
	case <-c.done:
		return c.answer, c.err
	case <-ctx.Done():
	}
	r.mu.Lock()
	if i := slices.Index(r.waiting, c); i >= 0 {
		r.waiting = slices.Delete(r.waiting, i, i+1)
	}
	r.mu.Unlock()
	return 0, &license.Error{
		Code: license.CodeUnavailable, Err: ctx.Err(),
		Message: "the call ended before two backends had confirmed the units",
		Fix:     "ask again with the same request id: it takes once",
	}
}

func (r *register) enqueue(c *call) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) >= mostWaiting {
		return license.Errorf(license.CodeThrottled, "wait a little, then try again",
			"%d calls wait for the units of %s already", mostWaiting, r.key.product)
	}
	if !r.working && !r.of.spawn(r.work) {
		return stopping()
	}
	r.working = true
	r.waiting = append(r.waiting, c)
	return nil
}

// work serves the calls that wait, some at a time, until none does.
func (r *register) work() {
	for {
		r.mu.Lock()
		batch := slices.Clone(r.waiting[:min(len(r.waiting), mostBatch)])
		r.waiting = slices.Delete(r.waiting, 0, len(batch))
		r.working = len(batch) > 0
		r.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		err := r.serve(batch)
		if license.CodeOf(err) == license.CodeFenced {
			r.of.depose(r.epoch)
		}
		for _, c := range batch {
			if err != nil {
				c.answer, c.err = 0, err
			}
			close(c.done)
		}
	}
}

// serve decides the calls of a batch in order and writes what they take at once.
// An error is everybody's: what one is told depends on those before.
func (r *register) serve(batch []*call) error {
	if r.of.over(r.epoch) {
		return fenced(r.epoch, nil)
	}
	asked := slices.ContainsFunc(batch, func(c *call) bool { return c.n == 0 })
	if err := r.settle(asked); err != nil {
		return err
	}
	r.mu.Lock()
	units := r.head.Units
	var taken []license.Taken
	for _, c := range batch {
		if c.decide(r, units) {
			units += c.n
			r.remember(c.request, known{c.n, units})
			taken = append(taken, license.Taken{Request: c.request, Units: c.n})
		}
	}
	if len(taken) == 0 {
		r.mu.Unlock()
		return nil
	}
	recent := slices.Concat(r.head.Recent, taken)
	r.head.Units, r.head.Recent = units, recent[max(0, len(recent)-license.MostRecent):]
	r.sure = false
	r.mu.Unlock()
	return r.write()
}

// decide sets the call's answer, and says whether it takes units. mu is held.
func (c *call) decide(r *register, units uint64) (takes bool) {
	if c.n == 0 {
		c.answer = units
		return false
	}
	k, repeated := r.takings[c.request]
	left := c.granted - min(units, c.granted)
	switch {
	case repeated && k.n != c.n:
		c.err = license.Errorf(license.CodeRequestMismatch, "use a new request id for each taking",
			"the request has taken %d units before, and asks for %d now", k.n, c.n)
	case repeated:
		c.answer = c.granted - min(k.after, c.granted)
	case c.n > left:
		c.err = license.NoUnits(r.key.product, left, c.n)
	default:
		c.answer = left - c.n
		return true
	}
	return false
}

// remember notes a taking. mu is held.
func (r *register) remember(request string, k known) {
	r.takings[request] = k
	r.order = append(r.order, request)
	if len(r.order) > mostKnown {
		delete(r.takings, r.order[0])
		r.order = r.order[1:]
	}
}

// settle makes head what two backends have under this epoch, and have confirmed
// lately where that is asked for. A taking needs no such confirmation: its own
// write is one, and other leaders only ever take more.
func (r *register) settle(fresh bool) error {
	r.mu.Lock()
	sure := r.sure
	fresh = !fresh || r.isFresh()
	enough := license.Majority
	if !r.read { // all are waited for: one more of them is one more that may know of units
		enough = license.Backends
	}
	r.mu.Unlock()
	if sure && fresh {
		return nil
	}
	began := time.Now()
	best, err := r.promise(enough)
	if err != nil {
		return err
	}
	r.mu.Lock()
	ours := best.Epoch < r.epoch || (best.Epoch == r.epoch && r.read && best.Units <= r.head.Units)
	if ours && !r.read {
		r.begin(best)
	}
	if ours && sure {
		r.fresh = began
	}
	r.mu.Unlock()
	switch {
	case !ours: // a newer epoch, or somebody else writes under this one
		return fenced(r.epoch, nil)
	case sure:
		return nil
	}
	return r.write()
}

// begin starts the chain from what two backends have. mu is held.
func (r *register) begin(m license.Meter) {
	r.head = license.Meter{
		Product: r.key.product, Issue: r.key.issue, Epoch: r.epoch, Units: m.Units, Recent: slices.Clone(m.Recent),
	}
	r.read = true
	after := m.Units
	all := make([]known, len(m.Recent))
	for i, t := range slices.Backward(m.Recent) {
		all[i] = known{t.Units, after}
		after -= min(t.Units, after)
	}
	for i, t := range m.Recent {
		r.remember(t.Request, all[i])
	}
}

// promise has all backends promise the epoch, waits for enough of them, and gives
// the latest meter of those that did, at least two.
func (r *register) promise(enough int) (license.Meter, error) {
	var found [license.Backends]license.Meter
	results := make(chan result, license.Backends)
	for i, b := range r.of.backends {
		if !r.of.spawn(func() {
			ctx, cancel := context.WithTimeout(r.of.ctx, CallTime)
			defer cancel()
			m, ok, err := b.Promise(ctx, r.epoch, r.key.product, r.key.issue)
			if err == nil && ok {
				if m.Product != r.key.product || m.Issue != r.key.issue || m.Units > license.MostUnits {
					err = license.Errorf(license.CodeInternal, "look into its log", "backend %d gave another meter", i+1)
				}
				found[i] = m
			}
			results <- result{i, err}
		}) {
			return license.Meter{}, stopping()
		}
	}
	answered, err := r.count(results, enough)
	if err != nil {
		return license.Meter{}, err
	}
	var best license.Meter
	for i := range maps.Keys(answered) {
		if later(found[i], best) {
			best = found[i]
		}
	}
	return best, nil
}

func later(a, b license.Meter) bool {
	return a.Epoch > b.Epoch || (a.Epoch == b.Epoch && a.Units > b.Units)
}

// result is what one backend said in a round.
type result struct {
	backend int
	err     error
}

// count waits for backends until enough have agreed, or too many have not, and
// gives those that have, at least two.
func (r *register) count(results <-chan result, enough int) (map[int]bool, error) {
	agreed := make(map[int]bool)
	var failed, refused error
	for n := 0; n < license.Backends && len(agreed) < enough; n++ {
		if n-len(agreed) > license.Backends-license.Majority {
			break // two have not: no third can help
		}
		select {
		case res := <-results:
			switch {
			case res.err == nil:
				agreed[res.backend] = true
			case license.CodeOf(res.err) == license.CodeFenced:
				refused = res.err
			default:
				failed = res.err
			}
		case <-r.of.ctx.Done():
			return nil, stopping()
		}
	}
	switch {
	case len(agreed) >= license.Majority:
		return agreed, nil
	case refused != nil:
		return nil, fenced(r.epoch, refused)
	}
	return nil, noMajority(failed)
}
