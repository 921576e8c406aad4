package journal_test

import (
	"testing"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/journaltest"
)

func TestMemory(t *testing.T) {
	journaltest.Run(t, journaltest.Driver{Open: func(*testing.T) journaltest.Harness {
		return journaltest.Harness{Journal: journal.NewMemory()}
	}})
}
