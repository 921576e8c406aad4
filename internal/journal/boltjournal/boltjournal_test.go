package boltjournal

import (
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/journaltest"
	"github.com/quorate/quorate/internal/license"
)

var own = license.Serial{Mask: 130, Number: 1874829}

func open(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := Open(path, own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func TestContract(t *testing.T) {
	journaltest.Run(t, journaltest.Driver{Open: func(t *testing.T) journaltest.Harness {
		path := filepath.Join(t.TempDir(), "journal")
		j := open(t, path)
		return journaltest.Harness{Journal: j, Restart: func() journal.Journal {
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j = open(t, path)
			return j
		}}
	}})
}
