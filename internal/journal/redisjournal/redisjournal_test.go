package redisjournal

import (
	"testing"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/journaltest"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

var group = license.Serial{Mask: 130, Number: 1874829}

func settings() []string { return append(testenv.Durable(), "--maxmemory-policy", "noeviction") }

func open(t *testing.T, url string) *Journal {
	t.Helper()
	j, err := Open(t.Context(), Config{URL: url, Group: group})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func TestContract(t *testing.T) {
	journaltest.Run(t, journaltest.Driver{Open: func(t *testing.T) journaltest.Harness {
		server := testenv.Redis(t, settings()...)
		return journaltest.Harness{Journal: open(t, server.URL()), Restart: func() journal.Journal {
			server.Kill()
			server.Restart()
			return open(t, server.URL())
		}}
	}})
}
