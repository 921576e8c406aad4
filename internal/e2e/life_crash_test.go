package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

const (
	crashRounds = 30
	crashTime   = 30 * time.Second
	fewestRound = 6
)

// Whatever is killed at whatever instant, the platform names a state that is
// true of the container, and no license is there twice.
func TestLifeCrash(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // G115: any will do
	t.Logf("seed %d", seed)
	l := newLife(t)
	c := &crashing{
		life: l, t: t, rng: rand.New(rand.NewPCG(seed, 1)), item: l.item(views, "Views"), //nolint:gosec // G404: no secret
		filed: l.box("filed", "130-100", "Shipping Company", false), linked: l.box("linked", "130-200", "Shipping Company", true),
	}
	c.linked.start()
	c.order(c.filed, 4, false)
	c.order(c.linked, 4, false)
	update, id := c.filed.offline(c.filed.request("first"), "first")
	began := time.Now()
	receipt, _ := c.filed.apply(update)
	c.installing = time.Since(began)
	c.filed.finish(id, receipt)
	c.linked.overLink()
	c.check("at first")

	began = time.Now()
	rounds := 0
	for ; rounds < crashRounds && !t.Failed() && (rounds < fewestRound || time.Since(began) < crashTime); rounds++ {
		switch rounds % 3 {
		case 0, 1:
			c.byFiles(rounds)
		case 2:
			c.overLink(rounds)
		}
	}
	t.Logf("%d rounds", rounds)

	// What is under way comes to an end.
	for range 3 {
		_, update := c.handIn(c.filed)
		if update == "" {
			break
		}
		c.filed.apply(update)
	}
	c.roll(c.linked)
	c.settled(c.linked)
	c.handIn(c.filed)
	c.check("at the end")
	c.filed.wantState("UP_TO_DATE")
}

type crashing struct {
	*life
	t             *testing.T
	rng           *rand.Rand
	item          string
	filed, linked *box
	bought        int
	installing    time.Duration // how long an apply takes
}

// try is an operation that may be refused with a code of these; it gives the code.
func (c *crashing) try(query string, input map[string]any, out any, codes ...string) string {
	c.t.Helper()
	errs, err := c.api.do(query, map[string]any{"in": input}, out)
	if err != nil {
		c.t.Fatal(err)
	}
	if len(errs) == 0 {
		return ""
	}
	for _, code := range codes {
		if errs[0].Extensions.Code == code {
			return code
		}
	}
	c.t.Fatalf("%s: %+v", query, errs)
	return ""
}

func (c *crashing) order(b *box, n int, credit bool) {
	c.t.Helper()
	in := map[string]any{"item": c.item, "container": b.serial, "quantity": n, "credit": credit}
	if c.try(`mutation($in: OrderInput!) { order(input: $in) { order { id } } }`, in, nil) == "" && !credit {
		c.bought += n
	}
}

// change has something to be rolled out to a container.
func (c *crashing) change(b, other *box) {
	c.t.Helper()
	in := map[string]any{"container": b.serial, "product": views, "quantity": 1}
	switch credits := c.credits(views); c.rng.IntN(4) {
	case 0:
		c.order(b, 1+c.rng.IntN(3), false)
	case 1:
		if credits > 0 {
			c.order(b, credits, true)
			return
		}
		fallthrough
	case 2:
		c.try(`mutation($in: TransferInput!) { returnLicenses(input: $in) { transfer { id } } }`, in, nil, "CONFLICT")
	case 3:
		in["to"] = other.serial
		c.try(`mutation($in: MoveLicensesInput!) { moveLicenses(input: $in) { transfer { id } } }`, in, nil, "CONFLICT")
	}
}

// handIn gives a fresh request to the platform: the rollout's state, and the
// path of the update, "" where none is due.
func (c *crashing) handIn(b *box) (state, update string) {
	c.t.Helper()
	text, err := os.ReadFile(b.request("now"))
	if err != nil {
		c.t.Fatal(err)
	}
	var out struct {
		StartOfflineRollout struct {
			Rollout struct{ State string }
			Update  *string
		}
	}
	in := map[string]any{"container": b.serial, "request": string(text)}
	if code := c.try(`mutation($in: StartOfflineRolloutInput!) { startOfflineRollout(input: $in) { rollout { state } update } }`, in, &out, "ROLLOUT_UP_TO_DATE", "ROLLOUT_STATE"); code != "" {
		return code, ""
	}
	if out.StartOfflineRollout.Update == nil {
		return out.StartOfflineRollout.Rollout.State, ""
	}
	return out.StartOfflineRollout.Rollout.State, c.write(b.name+".lupd", []byte(*out.StartOfflineRollout.Update))
}

// byFiles kills what installs an update, or the platform that is to issue it.
func (c *crashing) byFiles(round int) {
	c.t.Helper()
	c.change(c.filed, c.linked)
	if c.rng.IntN(3) == 0 {
		p := launch(c.t, "offline start", c.at("offline", "start", c.filed.serial, c.filed.request("killed"), "-o", c.path("killed.lupd"))...)
		c.after(p, 300*time.Millisecond)
		c.platform.kill()
		<-p.exited
		c.platform = start(c.t, "platform", c.args...)
	}
	if _, update := c.handIn(c.filed); update != "" {
		p := launch(c.t, "apply", "apply", update, "--container", c.filed.file(), "--receipt", c.path("filed.lrcp"))
		c.after(p, c.installing+c.installing/4)
		p.kill()
	}
	// Whatever was installed, the next request says so.
	state, _ := c.handIn(c.filed)
	c.check(fmt.Sprintf("round %d, by files (%s)", round, state))
}

// overLink kills the license server or the platform, or both, during a rollout.
func (c *crashing) overLink(round int) {
	c.t.Helper()
	c.change(c.linked, c.filed)
	c.roll(c.linked)
	c.after(nil, 900*time.Millisecond)
	what := 1 + c.rng.IntN(3)
	if what&1 != 0 {
		c.linked.kill()
	}
	if what&2 != 0 {
		c.platform.kill()
		c.platform = start(c.t, "platform", c.args...)
	}
	if c.linked.server == nil {
		state, update := c.handIn(c.linked) // a file is no way around the link
		if update != "" {
			c.linked.apply(update)
		}
		c.sum(fmt.Sprintf("round %d, killed (%d, %s)", round, what, state))
		c.linked.start()
	}
	if k := c.linked.known(); k.Rollout != nil && k.State != "AWAITING_RECEIPT" && k.State != "UPDATE_DUE" {
		c.t.Errorf("round %d: a rollout is under way, and the container is %s", round, k.State)
	}
	c.settled(c.linked)
	c.check(fmt.Sprintf("round %d, over the link", round))
}

// roll begins what is due over the link, if anything is.
func (c *crashing) roll(b *box) {
	c.t.Helper()
	c.try(`mutation($in: StartRolloutInput!) { startRollout(input: $in) { rollout { id } } }`, map[string]any{"container": b.serial}, nil, "ROLLOUT_UP_TO_DATE")
}

// settled waits until no rollout is under way.
func (c *crashing) settled(b *box) {
	c.t.Helper()
	testenv.Eventually(c.t, 60*time.Second, func() error {
		if k := b.known(); k.Rollout != nil {
			return fmt.Errorf("rollout %s of %s is %s", k.Rollout.ID, b.serial, k.Rollout.State)
		}
		return nil
	})
}

// after lets a random time pass, of most at most, or until the process ends.
func (c *crashing) after(p *process, most time.Duration) {
	timer := time.NewTimer(time.Duration(c.rng.Int64N(int64(most))))
	defer timer.Stop()
	var exited chan struct{}
	if p != nil {
		exited = p.exited
	}
	select {
	case <-timer.C:
	case <-exited:
	}
}

// there is how many licenses are in a container, by its own word.
func (c *crashing) there(b *box) int {
	c.t.Helper()
	if b.server != nil {
		return b.ls(views).Total
	}
	return b.held()[views]
}

// sum asserts that no more licenses are usable or credited than were bought.
func (c *crashing) sum(when string) {
	c.t.Helper()
	filed, linked, credits := c.there(c.filed), c.there(c.linked), c.credits(views)
	if filed+linked+credits > c.bought {
		c.t.Errorf("%s: %d and %d are usable and %d credited, %d were bought", when, filed, linked, credits, c.bought)
	}
}

// check asserts that what the platform says of both containers is true.
func (c *crashing) check(when string) {
	c.t.Helper()
	c.sum(when)
	for _, b := range []*box{c.filed, c.linked} {
		k, held := b.known(), c.there(b)
		due := false
		for _, l := range k.Licenses {
			due = due || l.Waiting > 0 || l.Leaving > 0
		}
		switch {
		case held != k.quantity(views):
			c.t.Errorf("%s: %s holds %d, the platform says %+v", when, b.serial, held, k)
		case k.State == "UP_TO_DATE" && !due && k.Rollout == nil:
		case k.State == "UPDATE_DUE" && due:
		case k.State == "AWAITING_RECEIPT" && due && k.Rollout != nil && b == c.filed:
		default:
			c.t.Errorf("%s: %s is not what the platform says: %+v", when, b.serial, k)
		}
	}
}
