package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

// The platform vouches for the time: by a file where there is no link, by itself
// where there is one.
func TestLifeTime(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	began := time.Now().Truncate(time.Second)
	filed, linked := l.box("filed", "130-100", "Shipping Company", false), l.box("linked", "130-200", "Shipping Company", true)
	linked.start()
	item := l.item(charts, "Charts until 2099", "--expiration", "2099-01-01")

	first := filed.request("first")
	update, again := l.path("time.lupd"), l.path("again.lupd")
	l.do("offline", "certify", first, "-o", update)
	l.do("offline", "certify", first, "-o", again)
	if says := must(t, "inspect", update, "--root", l.root, "--request", first); !strings.Contains(says, "time certificate") || !strings.Contains(says, "it answers the request") {
		t.Errorf("the file with the time: %s", says)
	}
	other := l.box("other", "130-300", "Shipping Company", false)
	refused(t, "TIME_FORGED", "apply", update, "--container", other.file())
	refused(t, "UPDATE_TAMPERED", "apply", l.write("cut.lupd", l.read("time.lupd")[:200]), "--container", filed.file())
	for range 2 { // the second time it is there
		if _, told := filed.apply(update); !strings.Contains(told, "time of 130-100 certified: 20") {
			t.Errorf("the time alone: %s", told)
		}
	}
	refused(t, "TIME_STALE", "apply", again, "--container", filed.file())
	if k := filed.wantState("UP_TO_DATE"); k.UpdateCounter != 0 {
		t.Errorf("the time is no update: %+v", k)
	}
	filed.buy(item, 1)
	filed.byFiles("license")
	filed.start()
	if w := filed.why(charts); !w.Usable || w.Certified.Before(began) || w.Certified.After(time.Now()) {
		t.Errorf("by files: certified %s, not since %s", w.Certified, began)
	}

	linked.buy(item, 1)
	linked.overLink()
	testenv.Eventually(t, 30*time.Second, func() error {
		if w := linked.why(charts); !w.Usable || w.Certified.Before(began) || w.Certified.After(time.Now()) {
			return fmt.Errorf("over the link: certified %s, not since %s", w.Certified, began)
		}
		return nil
	})
}
