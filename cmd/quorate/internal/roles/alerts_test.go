package roles

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/testenv"
)

// TestAlerts: Prometheus takes the rules, and they are about metrics that there
// are.
func TestAlerts(t *testing.T) {
	const file = "../../../../deploy/prometheus/quorate.rules.yml"
	if said := testenv.PromRules(t, file); said != "" {
		t.Error(said)
	}
	rules, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`quorate_[a-z_]+`).FindAllString(string(rules), -1)
	if len(named) < 9 {
		t.Errorf("the rules are about %v", named)
	}
	for _, metric := range named {
		if !strings.Contains(string(docs), "| `"+metric+"` |") {
			t.Errorf("there is no metric %s", metric)
		}
	}
}
