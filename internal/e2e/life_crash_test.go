package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/testenv"
)

const (
	crashRounds    = 30
	crashTime      = 20 * time.Second
	shortCrashTime = 8 * time.Second
	fewestRound    = 6 // one over the link among them
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
	rounds, enough := 0, crashTime
	if testing.Short() {
		enough = shortCrashTime
	}
	for ; rounds < crashRounds && !t.Failed() && (rounds < fewestRound || time.Since(began) < enough); rounds++ {
		if rounds%4 == 3 {
			c.overLink(rounds)
		} else {
			c.byFiles(rounds)
		}
	}
	t.Logf("%d rounds; an apply that was killed had installed the update %d times, and %d times not", rounds, c.installed, c.not)

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
	installed,
	not int // by an apply that was killed
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
	if c.rng.IntN(4) == 0 {
		p := launch(c.t, "offline start", c.at("offline", "start", c.filed.serial, c.filed.request("killed"), "-o", c.path("killed.lupd"))...)
		c.after(p, 0, c.installing)
		c.platform.kill()
		<-p.exited
		c.platform = start(c.t, "platform", c.args...)
	}
	state, update := c.handIn(c.filed)
	for tries := 0; update != "" && tries < 3; tries++ {
		began := time.Now()
		p := launch(c.t, "apply", "apply", update, "--container", c.filed.file(), "--receipt", c.path("filed.lrcp"))
		if c.after(p, c.installing*3/4, c.installing*3/2) {
			c.installing = time.Since(began)
		}
		p.kill()
		// Whatever was installed, the next request says so.
		if state, update = c.handIn(c.filed); update == "" {
			c.installed++
		} else {
			c.not++
		}
	}
	c.check(fmt.Sprintf("round %d, by files (%s)", round, state))
}

// overLink kills the license server or the platform, or both, during a rollout.
func (c *crashing) overLink(round int) {
	c.t.Helper()
	c.change(c.linked, c.filed)
	c.roll(c.linked)
	c.after(nil, 0, 900*time.Millisecond)
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
	testenv.Eventually(c.t, 10*time.Second, func() error { // it may go on between the two that are read
		if k := c.linked.known(); k.Rollout != nil && k.State != "AWAITING_RECEIPT" && k.State != "UPDATE_DUE" {
			return fmt.Errorf("round %d: a rollout is under way, and the container is %s", round, k.State)
		}
		return nil
	})
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

// after lets a random time pass, or until the process ends, which it says.
func (c *crashing) after(p *process, least, most time.Duration) (ended bool) {
	timer := time.NewTimer(least + time.Duration(c.rng.Int64N(int64(most-least))))
	defer timer.Stop()
	var exited chan struct{}
	if p != nil {
		exited = p.exited
	}
	select {
	case <-timer.C:
		return false
	case <-exited:
		return true
	}
}

// there is how many licenses are in a container, by its own word.
func (c *crashing) there(b *box) int {
	c.t.Helper()
	if b.server == nil {
		return b.held()[views]
	}
	sdk, err := client.Open(c.t.Context(), client.Config{Servers: []string{b.url()}})
	if err != nil {
		c.t.Fatal(err)
	}
	defer sdk.Close()
	all, err := sdk.Licenses(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, l := range all {
		if l.Product == views {
			return int(l.Total)
		}
	}
	return 0
}

// sum asserts that no more licenses are usable or credited than were bought.
func (c *crashing) sum(when string) (filed, linked int) {
	c.t.Helper()
	filed, linked = c.there(c.filed), c.there(c.linked)
	credits := c.credits(views)
	if filed+linked+credits > c.bought {
		c.t.Errorf("%s: %d and %d are usable and %d credited, %d were bought", when, filed, linked, credits, c.bought)
	}
	return filed, linked
}

// check asserts that what the platform says of both containers is true.
func (c *crashing) check(when string) {
	c.t.Helper()
	filed, linked := c.sum(when)
	for b, held := range map[*box]int{c.filed: filed, c.linked: linked} {
		k := b.known()
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
