package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

func startDemo(t *testing.T, dir string) (*process, api) {
	t.Helper()
	p := start(t, "demo", "demo", "--listen", "127.0.0.1:0", "--data", dir, "--patience", patience, "--json")
	for _, key := range []string{"url", "graphql", "token", "licenseServer"} {
		if p.ready[key] == "" {
			t.Fatalf("the JSON line has no %s: %v", key, p.ready)
		}
	}
	return p, api{p.ready["url"], p.ready["token"]}
}

// The whole job on SQLite and in-process leases, as a new user has it.
func TestJobInTheDemo(t *testing.T) {
	dir := t.TempDir()
	p, a := startDemo(t, dir)
	before := a.group(t)
	if before.stage() != stages()[0] || before.VirtualSerial != virtual || before.Health != "FULLY_REDUNDANT" {
		t.Fatalf("the demo starts with %+v", before)
	}
	for i, want := range []string{"130-1874829", "130-27845973", "130-3879234"} {
		if got := before.Backends[i].Serial; got != want {
			t.Errorf("backend %d is %s, want %s", i+1, got, want)
		}
	}
	testenv.Eventually(t, 20*time.Second, func() error { return wantHandles(t, p.ready["licenseServer"], 12) })
	if first := must(t, "ls", "--server", p.ready["licenseServer"]); !strings.Contains(first, "8 of 20 free") {
		t.Errorf("quorate ls shows\n%s", first)
	}
	runJob(t, a, []string{p.ready["licenseServer"]}, 12, func() { a.startRollout(t) })

	// It goes on with the same data, and the old token still works.
	p.stop(t)
	p, a = startDemo(t, dir)
	if after := a.group(t); after.stage() != stages()[6] {
		t.Errorf("after a restart the group shows %s", after.stage())
	}
	testenv.Eventually(t, 20*time.Second, func() error { return wantHandles(t, p.ready["licenseServer"], 12) })
	p.stop(t)
}
